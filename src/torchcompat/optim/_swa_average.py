"""The arithmetic of averages, for tensors of any dtype on any torch."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

import torch

from .._torch import at_least, find

_HALVES = (torch.float16, torch.bfloat16)
_foreach_lerp = find("torch._foreach_lerp_") if at_least(2, 1) else None


_COMPLEX = tuple(filter(None, map(find, ("torch.complex32", "torch.complex64", "torch.complex128"))))


def as_numbers(tensor: Any) -> Any:
    """*tensor* in a dtype in which torch can compute: half precision as float32, whole numbers as the default dtype.

    Up to torch 1.4 a whole number times a float is a whole number, and CPUs compute in half precision only later.
    """
    if not isinstance(tensor, torch.Tensor):
        return float(tensor)
    if tensor.dtype in _HALVES:
        return tensor.float()
    if tensor.dtype.is_floating_point or tensor.dtype in _COMPLEX:
        return tensor
    return tensor.to(torch.get_default_dtype())


def back(result: Any, like: Any) -> Any:
    """*result* of :func:`as_numbers` in the precision of *like*; whole numbers are not rounded."""
    return result.to(like.dtype) if like.dtype in _HALVES else result


def _blend(average: Any, current: Any, weight: float) -> None:
    if average.dtype == current.dtype and average.dtype in (torch.float32, torch.float64):
        average.lerp_(current, weight)
        return
    old = as_numbers(average)
    average.copy_(old + (as_numbers(current) - old) * weight)


def blend_all(averages: Sequence[Any], currents: Sequence[Any], weight: float) -> None:
    """Move all *averages*, of one dtype and device, towards *currents*, by that part of the way."""
    alike = averages[0].dtype.is_floating_point and all(each.dtype == averages[0].dtype for each in currents)
    with torch.no_grad():
        if _foreach_lerp and averages[0].is_cuda and alike:
            _foreach_lerp(list(averages), list(currents), weight)
            return
        for average, current in zip(averages, currents):
            _blend(average, current, weight)


def average_all(averaged_param_list: Sequence[Any], current_param_list: Sequence[Any], num_averaged: Any) -> None:
    """Take the current values into even averages of *num_averaged* others."""
    blend_all(averaged_param_list, current_param_list, 1.0 / (int(num_averaged) + 1))


def by_kind(averages: list[Any], currents: list[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Both lists in parts, each of one device and dtype."""
    parts: dict[Any, tuple[list[Any], list[Any]]] = {}
    for average, current in zip(averages, currents):
        some, new = parts.setdefault((average.device, average.dtype), ([], []))
        some.append(average)
        new.append(current)
    yield from parts.values()
