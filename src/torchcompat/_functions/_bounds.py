"""Keeping elements within bounds: ``clamp`` and its other names."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from .._torch import at_least
from ._extremes import extreme
from ._promote import check_numbers, check_tensors, is_complex, promote, refuse_out
from ._scripts import scripted, scripts_as_torch

__all__ = ["clamp", "clamp_max", "clamp_min", "clip"]

_native_clamp: Any = torch.clamp
# Before, torch clamps each element by one bound after the other, and not a minimum above the maximum.
KEEPS_ORDER = at_least(1, 9)


def _limits(first: str, nan_last: str) -> list[Limit]:
    kink = "At a bound that is a number, the gradient is 1 instead of 0."
    return [
        scripted("1.2", "1.11"),
        Limit("kink", kink, on="native", first=first, last="2.13"),
        Limit("kink", kink, on="fallback", last="2.13"),
        Limit("nan_bound", "A bound that is NaN is ignored.", on="native", first=first, last=nan_last),
    ]


_NEGATIVE = Limit(
    "negative_bound", "A negative bound for `uint8` wraps around.", on="native", first="1.12", last="2.14"
)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Number)


def _between(input: Tensor, least: Any, most: Any) -> Tensor:
    """*input*, of the dtype of the result, between two numbers or None."""
    nan = any(bound is not None and bound != bound for bound in (least, most))
    if nan:
        return input.masked_fill(torch.ones_like(input, dtype=torch.bool), float("nan"))
    if input.dtype is torch.uint8 and least is not None:
        least = max(least, 0)  # which would wrap around
    ordered = least is None or most is None or least <= most
    if ordered or KEEPS_ORDER:
        given = {name: bound for name, bound in (("min", least), ("max", most)) if bound is not None}
        return _native_clamp(input, **given)  # type: ignore[no-any-return]
    return input.masked_fill(input == input, most)


def _clamped(function: str, input: Any, least: Any, most: Any, out: Any) -> Tensor:
    refuse_out(function, out)
    check_tensors(function, input=input)
    bounds = {name: value for name, value in (("min", least), ("max", most)) if value is not None}
    if not bounds:
        raise RuntimeError(f"{function}(): min or max must be given")
    check_numbers(function, **bounds)
    if any(map(_is_number, bounds.values())) and any(
        isinstance(bound, Tensor) and bound.dim() for bound in bounds.values()
    ):
        raise TypeError(f"{function}(): min and max must both be tensors or both be numbers")
    result, *rest = promote(input, *bounds.values())
    if is_complex(result.dtype):
        raise NotImplementedError(f"{function}(): input must be real, got {input.dtype}")
    if all(map(_is_number, bounds.values())):
        return _between(result, least, most)
    for name, bound in zip(bounds, rest):
        result = extreme(result, bound, greater=name == "min")
    return result


@polyfill(
    "torch.clamp",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L2412",
    reason="no tensors as bounds, or integers for a bound that is none",
    limits=[*_limits("1.12", "2.11"), _NEGATIVE],
)
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Any = None) -> Tensor:
    """Keep the elements of a tensor within bounds.

    In torch since 1.12. Fallback: torch's own for numbers, the extreme of two tensors for tensors.
    https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    Args:
        input: a tensor, not complex.
        min: the lower bound, a number or a tensor that broadcasts; None is none.
        max: the upper bound, which wins where the lower one is greater; None is none. Both are numbers or both tensors.
        out: None.

    Returns:
        A tensor of the common dtype, NaN where the element or a bound is NaN.

    Raises:
        NotImplementedError: *input* is complex.
        RuntimeError: no bound is given.
        TypeError: *input* is no tensor, a bound is neither a number nor a tensor, or the two are mixed.
        UnsupportedError: *out* is given.
    """
    return _clamped("clamp", input, min, max, out)


@polyfill(
    "torch.clip",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L2451",
    reason="no tensors as bounds, or integers for a bound that is none",
    limits=[scripted("1.7", "1.11"), *_limits("1.12", "2.11")[1:], _NEGATIVE],
)
def clip(input: Tensor, min: Any = None, max: Any = None, *, out: Any = None) -> Tensor:
    """Keep the elements of a tensor within bounds: another name of ``clamp``.

    In torch since 1.12. Fallback: that of ``clamp``.
    https://docs.pytorch.org/docs/stable/generated/torch.clip.html

    Args:
        input: a tensor, not complex.
        min: the lower bound, a number or a tensor that broadcasts; None is none.
        max: the upper bound, which wins where the lower one is greater; None is none.
        out: None.

    Returns:
        A tensor of the common dtype.

    Raises:
        NotImplementedError: *input* is complex.
        RuntimeError: no bound is given.
        TypeError: *input* is no tensor, a bound is neither a number nor a tensor, or the two are mixed.
        UnsupportedError: *out* is given.
    """
    return _clamped("clip", input, min, max, out)


@polyfill(
    "torch.clamp_min",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L2412",
    reason="no tensors as bounds, or integers for a bound that is none",
    limits=_limits("1.12", "2.11")[:3],
)
def clamp_min(input: Tensor, min: Any, *, out: Any = None) -> Tensor:
    """Keep the elements of a tensor at or above a bound.

    In torch since 1.12. Fallback: that of ``clamp``.
    https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    Args:
        input: a tensor, not complex.
        min: the bound, a number or a tensor that broadcasts.
        out: None.

    Returns:
        A tensor of the common dtype.

    Raises:
        NotImplementedError: *input* is complex.
        TypeError: *input* is no tensor, or the bound neither a number nor a tensor.
        UnsupportedError: *out* is given.
    """
    check_numbers("clamp_min", min=min)
    return _clamped("clamp_min", input, min, None, out)


@polyfill(
    "torch.clamp_max",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L2412",
    reason="no tensors as bounds, or integers for a bound that is none",
    limits=_limits("1.12", "2.11")[:3],
)
def clamp_max(input: Tensor, max: Any, *, out: Any = None) -> Tensor:
    """Keep the elements of a tensor at or below a bound.

    In torch since 1.12. Fallback: that of ``clamp``.
    https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    Args:
        input: a tensor, not complex.
        max: the bound, a number or a tensor that broadcasts.
        out: None.

    Returns:
        A tensor of the common dtype.

    Raises:
        NotImplementedError: *input* is complex.
        TypeError: *input* is no tensor, or the bound neither a number nor a tensor.
        UnsupportedError: *out* is given.
    """
    check_numbers("clamp_max", max=max)
    return _clamped("clamp_max", input, None, max, out)


scripts_as_torch("clamp", "clip", "clamp_min", "clamp_max")
