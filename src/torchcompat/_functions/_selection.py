"""Choosing element by element: ``where`` and ``nan_to_num``, and what other modules build on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import at_least
from ._promote import check_numbers, check_tensors, promote, refuse_out
from ._scripts import scripted, scripts_as_torch

__all__ = ["nan_to_num", "where"]

_native_where: Any = torch.where
# Before, torch chooses between floats and integers alone.
CHOOSES_BOOLS = at_least(1, 8)


def choose(condition: Tensor, input: Tensor, other: Tensor) -> Tensor:
    """``where`` of two tensors of one dtype."""
    if input.dtype is torch.bool and not CHOOSES_BOOLS:
        return (condition & input) | (~condition & other)
    return _native_where(condition, input, other)  # type: ignore[no-any-return]


def may_differentiate(*tensors: Tensor) -> bool:
    """Whether a derivative through *tensors* may be asked for, so that what has a kink must take the slow way."""
    if not tensors[0].is_floating_point():
        return False
    # Forward AD and torch's own transforms leave no mark; they are of 1.8 and later.
    return at_least(1, 8) or (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))


def _checked_condition(condition: Any) -> Tensor:
    check_tensors("where", condition=condition)
    if condition.dtype is torch.uint8:
        return condition != 0
    if condition.dtype is not torch.bool:
        raise RuntimeError(f"where(): condition must be a tensor of bools, got dtype {condition.dtype}")
    return condition  # type: ignore[no-any-return]


_MISSING: Any = object()


@polyfill(
    "torch.where",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L11037",
    limits=[scripted("1.2", "1.11")],
    reason="no numbers beside tensors, or no promotion",
)
def where(condition: Tensor, input: Any = _MISSING, other: Any = _MISSING, *, out: Any = None) -> Any:
    """Choose from two tensors or numbers, element by element.

    In torch since 1.12. Fallback: torch's own, after the two have been brought to one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.where.html

    Args:
        condition: a tensor of bools.
        input: a tensor or number, chosen where the condition is true.
        other: a tensor or number, chosen elsewhere. The three broadcast.
        out: None.

    Returns:
        A tensor of the common dtype. With *condition* alone: what ``condition.nonzero(as_tuple=True)`` returns, a tuple
        of the indices along each dimension.

    Raises:
        RuntimeError: the condition is a tensor of another dtype.
        TypeError: the condition is no tensor, or one of the others is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    refuse_out("where", out)
    if input is _MISSING and other is _MISSING:
        check_tensors("where", condition=condition)
        return _native_where(condition.reshape(1) if condition.dim() == 0 else condition)
    if input is _MISSING or other is _MISSING:
        raise TypeError("where(): input and other must be given together")
    condition = _checked_condition(condition)
    check_numbers("where", input=input, other=other)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        # Numbers alone go where the condition is.
        input = torch.as_tensor(input, device=condition.device)
        other = torch.as_tensor(other, device=condition.device)
    first, second = promote(input, other)
    return choose(condition, first, second)


def _number_or(value: Any, name: str, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, Tensor):
        raise TypeError(f"nan_to_num(): {name} must be a number, got Tensor")
    return float(value)


@polyfill(
    "torch.nan_to_num", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L6260"
)
def nan_to_num(input: Tensor, nan: Any = 0.0, posinf: Any = None, neginf: Any = None, *, out: Any = None) -> Tensor:
    """Replace NaN and the infinities by numbers.

    In torch since 1.8. Fallback: ``masked_fill`` for each of the three.
    https://docs.pytorch.org/docs/stable/generated/torch.nan_to_num.html

    Args:
        input: a tensor of any dtype. Integers and bools are copied.
        nan: what replaces NaN; None is 0.
        posinf: what replaces infinity; None is the largest finite number of the dtype.
        neginf: what replaces minus infinity; None is the least finite number.
        out: None.

    Returns:
        A new tensor of the same shape and dtype. The gradient is 0 where something was replaced.

    Raises:
        TypeError: *input* is no tensor, or one of the three is a tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("nan_to_num", out)
    check_tensors("nan_to_num", input=input)
    if not input.is_floating_point():
        return input.clone()
    extremes = torch.finfo(input.dtype)
    infinite = input.abs() == float("inf")
    result = input.masked_fill(input != input, _number_or(nan, "nan", 0.0))
    result = result.masked_fill(infinite & (input > 0), _number_or(posinf, "posinf", extremes.max))
    return result.masked_fill(infinite & (input < 0), _number_or(neginf, "neginf", extremes.min))


scripts_as_torch("where")
