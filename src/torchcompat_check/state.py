"""Where the analysis is: on which minors the present statement runs, among which names, and who catches an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._minors import ALL
from .scope import Scope
from .values import Value, choice

if TYPE_CHECKING:
    from .uses import Frame, Guard


class State:
    """What every reader of a node looks at. It is changed for a part of the code by `with state.at(...)`.

    Attributes:
        reach: the minors on which the present statement runs; 0 after one that never ends.
        scope: the names around it.
        quiet: whether uses are not to be reported, since the code is read for its value alone.
        in_function: whether it runs when a function is called, and not at import.
        frames: the `try` statements around it.
        guards: the `if` statements around it.
        returns: where a function is read in the place of its call, what it returns; else None.
        ended: the minors on which the function that is read has returned.
        depth: how many functions are read in the place of their calls, one in the other.
    """

    __slots__ = ("depth", "ended", "frames", "guards", "in_function", "quiet", "reach", "returns", "scope")

    def __init__(self) -> None:
        self.reach = ALL
        self.scope = Scope()
        self.quiet = False
        self.in_function = False
        self.frames: list[Frame] = []
        self.guards: list[Guard] = []
        self.returns: list[tuple[int, Value]] | None = None
        self.ended = 0
        self.depth = 0

    def at(self, **new: Any) -> At:
        """A context in which the attributes have these values; afterwards they have those that they had before."""
        return At(self, new)

    def refuse(self, ended: int) -> None:
        """What was called raises an error but on the minors *ended*: there alone the code goes on."""
        if not self.reach & ~ended:
            return
        self.reach &= ended
        for frame in self.frames:
            frame.sure = False


class At:
    """What `State.at` gives. A class, and no generator: it is entered for every other node."""

    __slots__ = ("_new", "_old", "_state")

    def __init__(self, state: State, new: dict[str, Any]) -> None:
        self._state = state
        self._new = new
        self._old: list[tuple[str, Any]] = []

    def __enter__(self) -> State:
        state = self._state
        self._old = [(name, getattr(state, name)) for name in self._new]
        for name, value in self._new.items():
            setattr(state, name, value)
        return state

    def __exit__(self, *exc: object) -> None:
        for name, value in self._old:
            setattr(self._state, name, value)


def join(first: dict[str, Value], reach: int, second: dict[str, Value], other: int) -> dict[str, Value]:
    """The names after two branches that end on the minors *reach* and *other*; one that ends nowhere does not count."""
    if not reach:
        return second
    if not other:
        return first
    if first == second:
        return first
    joined = {name: value if name in second else choice([(reach, value)]) for name, value in first.items()}
    for name, value in second.items():
        if name not in first:
            joined[name] = choice([(other, value)])
        elif first[name] is not value:
            joined[name] = choice([(reach, first[name]), (other, value)])
    return joined
