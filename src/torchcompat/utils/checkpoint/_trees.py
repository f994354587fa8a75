"""Tensors in nested tuples, lists, dicts and dataclasses: found, taken out and put back."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Callable

import torch

from ..._torch import UnsupportedError


class _Slot:
    """The place of a tensor that was taken out."""

    def __init__(self, index: int) -> None:
        self.index = index


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _map(function: Callable[[Any], Any], value: Any) -> Any:
    """*value* with every leaf replaced; the same object where nothing in it was."""
    if isinstance(value, (tuple, list)) and type(value) is not torch.Size:
        items = [_map(function, item) for item in value]
        if all(new is old for new, old in zip(items, value)):
            return value
        if isinstance(value, list):
            changed = copy.copy(value)
            changed[:] = items
            return changed
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        pairs = {key: _map(function, item) for key, item in value.items()}
        if all(pairs[key] is value[key] for key in pairs):
            return value
        changed_dict = copy.copy(value)
        changed_dict.update(pairs)
        for key, old in vars(value).items() if hasattr(value, "__dict__") else ():
            if isinstance(old, torch.Tensor):  # a dict whose items are attributes as well
                object.__setattr__(changed_dict, key, function(old))
        return changed_dict
    if _is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        new = {name: _map(function, item) for name, item in fields.items()}
        if all(new[name] is fields[name] for name in fields):
            return value
        changed_object = copy.copy(value)
        for name, item in new.items():
            object.__setattr__(changed_object, name, item)
        return changed_object
    return function(value)


def replace_inputs(tree: Any, every: bool) -> tuple[Any, list[torch.Tensor]]:
    """*tree* with slots for the tensors with a history (with *every*: that require a gradient), and those tensors.

    A tensor that occurs twice has one slot. Leaves stay: they are the same tensors when the function runs again.
    """
    found: list[torch.Tensor] = []

    def take(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.requires_grad or (value.is_leaf and not every):
            return value
        for i, other in enumerate(found):
            if other is value:
                return _Slot(i)
        found.append(value)
        return _Slot(len(found) - 1)

    return _map(take, tree), found


def fill(tree: Any, tensors: list[torch.Tensor]) -> Any:
    """*tree* with its slots filled."""
    return _map(lambda value: tensors[value.index] if isinstance(value, _Slot) else value, tree)


def outputs_in(result: Any, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors with a history in what a function returned, each once."""
    found: list[torch.Tensor] = []

    def look(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.requires_grad and not value.is_leaf and all(value is not other for other in found):
                found.append(value)
        elif hasattr(value, "__dict__") and not isinstance(value, (type, torch.nn.Module)) and not callable(value):
            for name, item in vars(value).items():
                if isinstance(item, torch.Tensor) and item.requires_grad:
                    raise UnsupportedError(
                        f"a checkpointed function returned {type(value).__name__} with a tensor in .{name}; torch "
                        "before 1.10 can follow tensors, tuples, lists, dicts and dataclasses of them only"
                    )
        return value

    _map(look, result)
    return found


def substitute(result: Any, old: list[torch.Tensor], new: list[torch.Tensor]) -> Any:
    """*result* with each tensor of *old* replaced by the one of *new* at its place."""

    def swap(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            for before, after in zip(old, new):
                if value is before:
                    return after
        return value

    return _map(swap, result)
