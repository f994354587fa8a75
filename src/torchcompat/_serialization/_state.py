"""The attributes that a parameter or a tensor of a subclass has in a file."""

from __future__ import annotations

from pickle import UnpicklingError
from types import MemberDescriptorType
from typing import Any

import torch

from ._budget import Budget

_DEEPEST = 100
_MOST = 10000


class States:
    """Gives tensors their attributes, and keeps them from being nested in one another without end.

    A tensor frees its attributes recursively in C: a chain of some ten thousand would overflow the stack.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._depths: dict[int, tuple[Any, int]] = {}

    def set(self, tensor: Any, state: Any) -> Any:
        """*tensor* with the attributes in *state*: a dict, or a pair of a dict and the values of its slots."""
        attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        for values in (attributes, slots):
            if values is not None and not (isinstance(values, dict) and all(type(name) is str for name in values)):
                raise UnpicklingError("the attributes of a tensor are not a dict with names")
        depth = self._depth(state)
        if depth > _DEEPEST:
            raise UnpicklingError(f"tensors are attributes of one another, more than {_DEEPEST} deep")
        if attributes:
            tensor.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            if type(getattr(type(tensor), name, None)) is not MemberDescriptorType:
                raise UnpicklingError(f"a tensor has no slot {name[:100]!r}")
            setattr(tensor, name, value)
        self._depths[id(tensor)] = tensor, depth
        return tensor

    def _depth(self, state: Any) -> int:
        deepest, seen, waiting = 0, 0, [state]
        while waiting:
            item = waiting.pop()
            seen += 1
            if seen > _MOST:
                raise UnpicklingError(f"the attributes of a tensor hold more than {_MOST} objects")
            if isinstance(item, torch.Tensor):
                deepest = max(deepest, self._depths.get(id(item), (None, 0))[1])
            elif isinstance(item, dict):
                waiting += list(item.values())[: _MOST + 1]
            elif isinstance(item, (list, tuple)):
                waiting += item[: _MOST + 1]
        self._budget.spend(8 * seen)
        return deepest + 1
