"""What vmap's ``randomness`` needs to know: who drew random numbers.

The rules of random operations draw inside of :func:`drawing`. From torch 1.13 on they see every draw, see ``_mode``.
Draws that no rule sees (below 1.13 ``torch.rand(3)``, and dropout of a tensor that is not batched) show in the state of
the generators, the default ones and those that the function is known to have, which is compared when the function
returns; they make vmap run the function again, sample by sample. Not seen are draws that a ``manual_seed`` follows.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, Tuple

import torch

from .._torch import UnsupportedError

RANDOMNESS = ("error", "different", "same")
State = Tuple[Any, ...]  # of the default generators, and of others: pairs of a generator and its state


class Unseen(UnsupportedError):
    """Something that the batching rules have not seen; a loop of the whole function over the samples can do it."""

    def __init__(self, what: str, levels: Any) -> None:
        super().__init__(
            f"vmap: {what} without a batched tensor, which is not seen here on torch {torch.__version__}. The function "
            "cannot be run again for each sample either, since it has written to its arguments: write to copies of "
            "them."
        )
        self.levels = levels


def _default_states() -> list[Any]:
    states: list[Any] = [torch.get_rng_state()]
    if getattr(torch.cuda, "_initialized", False):  # is_initialized() came with 1.3
        states += torch.cuda.get_rng_state_all()
    return states


def state_of(generators: Iterable[Any]) -> State:
    """The state of the default generators and of *generators*."""
    return (_default_states(), [(generator, generator.get_state()) for generator in generators])


def restore(state: State) -> None:
    """Put the generators back to *state*."""
    default, others = state
    torch.set_rng_state(default[0])
    if len(default) > 1:
        torch.cuda.set_rng_state_all(default[1:])
    for generator, own in others:
        generator.set_state(own)


def generators_among(args: Any, kwargs: Any) -> list[Any]:
    """The generators that an operation got."""
    return [value for value in list(args) + list(kwargs.values()) if isinstance(value, torch.Generator)]


def _same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(torch.equal(one, other) for one, other in zip(first, second))


def _seeded(seed: int, state: Any) -> bool:
    """Whether *state*, of a generator on the CPU, is that after *seed* was set."""
    fresh = torch.Generator()
    fresh.manual_seed(seed)
    return bool(torch.equal(fresh.get_state(), state))


def _has_drawn(before: State) -> bool:
    """Whether anybody has drawn since the state *before*; a function may seed a generator."""
    after = _default_states()
    # The generators of CUDA devices are seeded with the CPU's, so they are left out here.
    if not _same(before[0], after) and not _seeded(torch.initial_seed(), after[0]):
        return True
    for generator, old in before[1]:
        new = generator.get_state()
        seeded = generator.device.type == "cpu" and _seeded(generator.initial_seed(), new)
        if not torch.equal(old, new) and not seeded:
            return True
    return False


class _Watch(threading.local):
    def __init__(self) -> None:
        self.generators: list[Any] = []
        self.known: State | None = None  # the state after the last draw that a rule made
        self.foreign = False  # whether anybody else has drawn

    def look(self) -> None:
        """Note whether anybody has drawn since the last look."""
        if self.known is not None:
            self.foreign = self.foreign or _has_drawn(self.known)
            self.known = state_of(self.generators)

    def add(self, generators: Iterable[Any]) -> None:
        """Watch these *generators*, too."""
        new = [one for one in generators if not any(one is other for other in self.generators)]
        self.generators = self.generators + new
        if new and self.known is not None:
            self.known = (self.known[0], self.known[1] + state_of(new)[1])


_watch = _Watch()


def refuse(name: str) -> None:
    """The error for a draw under ``randomness="error"``."""
    raise RuntimeError(
        f"vmap: {name} draws random numbers, and randomness is 'error'. Pass randomness='different' to vmap for "
        "numbers that differ between the samples, or randomness='same' for the same ones."
    )


@contextmanager
def watched(randomness: str, generators: Iterable[Any], level: Any = None) -> Iterator[None]:
    """A context for the function that a vmap, of *level*, maps: raises for draws that no batching rule has seen."""
    if randomness == "same":
        yield  # what is drawn without a batched tensor is the same for all samples
        return
    outermost = _watch.known is None
    if outermost:
        _watch.generators, _watch.foreign = [], False
        _watch.known = state_of(())
    _watch.add(generators)
    try:
        yield
        _watch.look()
        if _watch.foreign and randomness == "error":
            refuse("the function")
        if _watch.foreign:
            raise Unseen("random numbers were drawn", (level,))
    finally:
        if outermost:
            _watch.known = None


@contextmanager
def drawing(name: str, levels: Iterable[Any]) -> Iterator[None]:
    """A context in which the rule of the operation *name* draws, if *levels*, all that are active, let it."""
    if any(level.randomness == "error" for level in levels):
        refuse(name)
    watching = _watch.known is not None
    if watching:
        _watch.look()
    yield
    if watching:
        _watch.known = state_of(_watch.generators)


@contextmanager
def unmapped(name: str, levels: Iterable[Any], generators: Iterable[Any]) -> Iterator[None]:
    """A context for a call without a mapped tensor that may draw: raises where the numbers cannot be one for all."""
    before = state_of(generators)
    yield
    if _has_drawn(before):
        if any(level.randomness == "error" for level in levels):
            refuse(name)
        different = tuple(level for level in levels if level.randomness == "different")
        if different:
            raise Unseen("random numbers were drawn", different)


@contextmanager
def _restarting(policies: Any, generators: Iterable[Any]) -> Iterator[Any]:
    before = state_of(generators)

    def restart() -> None:
        if policies == {"same"}:
            _watch.look()
            restore(before)
            if _watch.known is not None:
                _watch.known = state_of(_watch.generators)

    yield before, restart


@contextmanager
def looped(
    name: str, levels: Iterable[Any], active: Iterable[Any], generators: Iterable[Any]
) -> Iterator[Callable[[], None]]:
    """A context for a loop of an operation over *levels*, in which any call may draw, also from *generators*.

    Gives what to call before each call.
    """
    policies = {level.randomness for level in levels}
    others = {level.randomness for level in active if level not in levels}
    _watch.look()
    with _restarting(policies, generators) as (before, restart):
        yield restart
    if not _has_drawn(before):
        return
    if "error" in policies | others:
        refuse(name)
    if len(policies) > 1 or "different" in others:
        raise UnsupportedError(
            f"vmap: {name} has no batching rule and draws random numbers. A loop over the samples cannot draw them for "
            "nested vmaps of different randomness, or for an outer one that its arguments are not mapped by."
        )
    if _watch.known is not None:
        _watch.known = state_of(_watch.generators)


@contextmanager
def function_looped(randomness: str, generators: Iterable[Any]) -> Iterator[Callable[[], None]]:
    """A context for a loop of a whole function, sample by sample or in chunks; see :func:`looped`.

    Whether an outer vmap permits what is drawn is left to the watch over that one.
    """
    with _restarting({randomness}, generators) as (before, restart):
        yield restart
    if randomness == "error" and _has_drawn(before):
        refuse("the function")
