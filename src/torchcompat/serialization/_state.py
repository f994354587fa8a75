"""The attributes that a parameter or a tensor of a subclass has in a file."""

from __future__ import annotations

from collections import Counter, OrderedDict
from pickle import UnpicklingError
from types import MemberDescriptorType
from typing import Any, Callable, Iterable, Iterator

import torch

from ._budget import RECORD, Budget

_DEEPEST = 100
_PAIR = 100
_ATOMS = (str, int, float, bool, type(None), bytes)
_VISIT = 350  # bytes that are needed while a container is looked at
_END = object()


class States:
    """Gives tensors their attributes, and keeps them from being nested in one another without end.

    A tensor frees its attributes recursively in C: a chain of some ten thousand would overflow the stack, also when the
    file is refused halfway. So at no moment is there a chain of more than ``_DEEPEST`` tensors. Everything that a
    tensor holds is recorded with its depth, once; whoever changes what is recorded must call :meth:`grow`.

    Args:
        is_users: whether objects of that type are of a class of the user's, and may hold anything as attributes.
    """

    def __init__(self, budget: Budget, is_users: Callable[[type], bool]) -> None:
        self._budget, self._is_users = budget, is_users
        # What tensors hold, by identity: the object, its depth, and the number of changes when that was found.
        self.recorded: dict[int, tuple[Any, int, int]] = {}
        self._deepest = 0  # no chain is longer
        self._changes = self._floor = 0  # after a change, what was recorded before may be as deep as the floor

    def set(self, tensor: Any, state: Any) -> Any:
        """*tensor* with the attributes in *state*: a dict, or a pair of a dict and the values of its slots."""
        attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        for values in (attributes, slots):
            if values is not None:
                self._check_names(values)
        self.note(tensor, state)
        if attributes:
            tensor.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            if type(getattr(type(tensor), name, None)) is not MemberDescriptorType:
                raise UnpicklingError(f"a tensor has no slot {name[:100]!r}")
            setattr(tensor, name, value)
        return tensor

    def _check_names(self, values: Any) -> None:
        if isinstance(values, dict):
            self._budget.spend(_PAIR * len(values))
            if all(type(name) is str for name in values):
                return
        raise UnpicklingError("the attributes of a tensor are not a dict with names")

    def note(self, tensor: Any, state: Any) -> None:
        """Note that *tensor* is about to hold *state*; raises UnpicklingError if the chain becomes too long."""
        if id(tensor) in self.recorded:
            self.grow([state], 1)
            return
        depth = self._depth(state) + 1
        self._check(depth)
        self._deepest = max(self._deepest, depth)
        self._record(tensor, depth)

    def grow(self, items: Iterable[Any], more: int = 0) -> None:
        """Note that something recorded is about to hold *items*, too, and how many more tensors are in the chain."""
        more += max(map(self._depth, items), default=0)
        if more:
            self._check(self._deepest + more)
            self._deepest += more
            self._changes += 1
            self._floor = self._deepest

    def _check(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise UnpicklingError(f"tensors are attributes of one another, more than {_DEEPEST} deep")

    def _record(self, item: Any, depth: int) -> None:
        self._budget.spend(RECORD)
        self.recorded[id(item)] = item, depth, self._changes

    def _known(self, item: Any) -> int | None:
        found = self.recorded.get(id(item))
        if found is None:
            return None
        _, depth, changes = found
        return depth if changes == self._changes else max(depth, self._floor)

    def _depth(self, root: Any) -> int:
        """How many tensors are in one another in *root*, all of which is recorded."""
        if type(root) in _ATOMS:
            return 0
        known = self._known(root)
        return self._walk(root) if known is None else known

    def _walk(self, root: Any) -> int:
        path = [_Visit(root, self._parts(root))]
        on_path, walked, cyclic = {id(root)}, [], False
        self._budget.spend(_VISIT)
        while path:
            part = next(path[-1].parts, _END)
            if part is _END:
                visit = path.pop()
                on_path.discard(id(visit.item))
                self._budget.spend(-_VISIT)
                depth = self._finish(visit)
                walked.append(visit.item)
            elif type(part) in _ATOMS:
                continue
            elif id(part) in on_path:
                cyclic = True
                continue
            else:
                known = self._known(part)
                if known is None:
                    self._budget.spend(_VISIT)
                    path.append(_Visit(part, self._parts(part)))
                    on_path.add(id(part))
                    continue
                depth = known
            if path:
                path[-1].depth = max(path[-1].depth, depth)
        if cyclic:  # then what is in a circle was finished before all of its parts were
            for item in walked:
                self.recorded[id(item)] = item, depth, self._changes
        return depth

    def _finish(self, visit: _Visit) -> int:
        depth = visit.depth
        if isinstance(visit.item, torch.Tensor) and getattr(visit.item, "__dict__", None):  # the user's code made it
            depth += 1
            self._check(depth)
            self._deepest = max(self._deepest, depth)
        self._record(visit.item, depth)
        return depth

    def _parts(self, item: Any) -> Iterator[Any]:
        if isinstance(item, dict):
            yield from item.values()
            yield from (key for key in item if type(key) is not str)
        elif isinstance(item, (list, tuple, set, frozenset)):
            yield from item
        if isinstance(item, (OrderedDict, Counter, torch.Tensor)) or self._is_users(type(item)):
            yield from getattr(item, "__dict__", {}).values()


class _Visit:
    """A container whose parts are being looked at."""

    __slots__ = ("depth", "item", "parts")

    def __init__(self, item: Any, parts: Iterator[Any]) -> None:
        self.item, self.parts, self.depth = item, parts, 0
