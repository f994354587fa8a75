"""The greater and the smaller: of two tensors, of bounds, and along dimensions.

Where two operands are equal they share the gradient, and so do the equal elements of a reduction, as in torch 2.15.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._axes import checked_dims, is_whole, squeezed
from ._promote import check_tensors, is_complex, promote, refuse_out
from ._selection import choose, may_differentiate

__all__ = ["amax", "amin", "aminmax", "fmax", "fmin", "maximum", "minimum"]

_TIES = "Where both are equal, the gradient of the first is 0 and that of the second 1, instead of 0.5 each."

_NUMBERS = [
    Limit(
        "ties",
        "Where both are equal, the gradient of the first is 1 and that of the second 0, instead of 0.5 each.",
        on="native",
        first="1.8",
        last="2.13",
    ),
    Limit("nan_gradient", "Where one is NaN, the gradients differ.", on="native", first="2.14", last="2.14"),
]
_EMPTY = [
    Limit("empty", "A tensor without elements: RuntimeError, whatever `dim` is.", on="native", first="1.7", last="1.8"),
    Limit("no_dim", "A tensor without elements, and no `dim`: no error.", on="native", first="1.9", last="1.11"),
]


def _halved(one: Tensor, other: Tensor) -> Tensor:
    """Either of two equal tensors, with half of the gradient for each; linear, so that no NaN leaks."""
    return choose(one.abs() == float("inf"), one * 0.5 + other * 0.5, one + (other - one) * 0.5)


def _of_two(function: str, input: Any, other: Any, out: Any) -> tuple[Tensor, Tensor]:
    refuse_out(function, out)
    check_tensors(function, input=input, other=other)
    first, second = promote(input, other)
    if not is_complex(first.dtype):
        return first, second
    raise NotImplementedError(f"{function}(): input and other must be real, got {first.dtype}")


def extreme(one: Tensor, other: Tensor, greater: bool) -> Tensor:
    """``maximum``, or ``minimum``, of two tensors of one dtype: NaN if one is NaN."""
    if one.dtype is torch.bool:
        return one | other if greater else one & other
    first = one > other if greater else one < other
    if not one.is_floating_point():
        return choose(first, one, other)
    if not may_differentiate(one, other):
        return choose(first | (one != one), one, other)
    result = choose(first, one, choose(one == other, _halved(one, other), other))
    # A NaN on one side, and both have all of the gradient.
    return choose((one != one) | (other != other), one + other, result)


def _ignoring_nan(one: Tensor, other: Tensor, greater: bool) -> Tensor:
    """``fmax``, or ``fmin``, of two tensors of one dtype: the number if one is NaN."""
    if not one.is_floating_point():
        return extreme(one, other, greater)
    result = choose(one > other if greater else one < other, one, other)
    if may_differentiate(one, other):
        result = choose(one == other, _halved(one, other), result)
    return choose(other != other, one, result)


@polyfill(
    "torch.maximum",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L4409",
    limits=[Limit("ties", _TIES, on="native", first="1.7", last="1.9")],
)
def maximum(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the greater of two tensors, element by element.

    In torch since 1.7. Fallback: comparisons and ``where``.
    https://docs.pytorch.org/docs/stable/generated/torch.maximum.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype: NaN where one of the two is NaN. Where they are equal, each has half of the
        gradient.

    Raises:
        NotImplementedError: the tensors are complex.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    return extreme(*_of_two("maximum", input, other, out), greater=True)


@polyfill(
    "torch.minimum",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L4802",
    limits=[Limit("ties", _TIES, on="native", first="1.7", last="1.9")],
)
def minimum(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the smaller of two tensors, element by element.

    In torch since 1.7. Fallback: comparisons and ``where``.
    https://docs.pytorch.org/docs/stable/generated/torch.minimum.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype: NaN where one of the two is NaN. Where they are equal, each has half of the
        gradient.

    Raises:
        NotImplementedError: the tensors are complex.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    return extreme(*_of_two("minimum", input, other, out), greater=False)


@polyfill(
    "torch.fmax",
    since="1.8",
    link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L5175",
    limits=_NUMBERS,
)
def fmax(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the greater of two tensors, element by element, and ignore NaN where there is a number.

    In torch since 1.8. Fallback: comparisons and ``where``.
    https://docs.pytorch.org/docs/stable/generated/torch.fmax.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype: NaN where both are NaN. Where they are equal, each has half of the gradient.

    Raises:
        NotImplementedError: the tensors are complex.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    return _ignoring_nan(*_of_two("fmax", input, other, out), greater=True)


@polyfill(
    "torch.fmin",
    since="1.8",
    link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L5650",
    limits=_NUMBERS,
)
def fmin(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the smaller of two tensors, element by element, and ignore NaN where there is a number.

    In torch since 1.8. Fallback: comparisons and ``where``.
    https://docs.pytorch.org/docs/stable/generated/torch.fmin.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype: NaN where both are NaN. Where they are equal, each has half of the gradient.

    Raises:
        NotImplementedError: the tensors are complex.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    return _ignoring_nan(*_of_two("fmin", input, other, out), greater=False)


def _extreme_values(input: Tensor, dims: list[int], greatest: bool) -> Tensor:
    """The extreme values along *dims*, which are kept with a size of 1."""
    found = input.detach()
    # Torch 1.2 finds no extreme bool.
    found = found.to(torch.uint8) if input.dtype is torch.bool else found
    for dim in dims:
        # Not of an empty tensor, for which older torch raises.
        if found.numel() == 0:
            found = found.narrow(dim, 0, 1)
        else:
            found = (found.max if greatest else found.min)(dim, keepdim=True)[0]
    return found.to(input.dtype)


def _shared(input: Tensor, extremes: Tensor, dims: list[int]) -> Tensor:
    """*extremes* as a function of *input*, whose equal elements share the gradient."""
    equal = input.detach() == extremes
    weights = equal.to(input.dtype)
    weights = weights / weights.sum(dims, keepdim=True)
    # Where there is a NaN the weights are NaN, and so is the gradient.
    picked = (input.masked_fill(~equal & (extremes == extremes), 0) * weights).sum(dims, keepdim=True)
    finite = (extremes - extremes) == 0
    return choose(finite, extremes + (picked - picked.detach()), picked)


def _reduced(function: str, input: Any, dim: Any, keepdim: bool, out: Any, greatest: bool) -> Tensor:
    refuse_out(function, out)
    check_tensors(function, input=input)
    dims = checked_dims(function, input, dim)
    if is_whole(dim) and input.numel() == 0:
        raise RuntimeError(f"{function}(): dim must be given for an input without elements, got {tuple(input.shape)}")
    for axis in dims:
        if input.dim() and input.shape[axis] == 0:
            raise IndexError(f"{function}(): dim {axis} of input must not be empty, got shape {tuple(input.shape)}")
    if not input.dim():
        return input.clone()
    result = _extreme_values(input, dims, greatest)
    if may_differentiate(input) and result.numel():
        result = _shared(input, result, dims)
    return result if keepdim else squeezed(result, dims)


@polyfill(
    "torch.amax",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L4433",
    limits=_EMPTY,
)
def amax(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Find the greatest elements along dimensions.

    In torch since 1.7. Fallback: ``max`` along each of the dimensions.
    https://docs.pytorch.org/docs/stable/generated/torch.amax.html

    Args:
        input: a tensor, not complex.
        dim: a dimension or several; None and ``()`` are all.
        keepdim: keep the dimensions, with a size of 1.
        out: None.

    Returns:
        A tensor of the same dtype: NaN where there is a NaN. The equal greatest elements share the gradient evenly.

    Raises:
        IndexError: a dimension does not exist, or is empty.
        RuntimeError: a dimension is given twice, or *input* has no elements and no dimension is given.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    return _reduced("amax", input, dim, keepdim, out, greatest=True)


@polyfill(
    "torch.amin",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L4826",
    limits=_EMPTY,
)
def amin(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Find the least elements along dimensions.

    In torch since 1.7. Fallback: ``min`` along each of the dimensions.
    https://docs.pytorch.org/docs/stable/generated/torch.amin.html

    Args:
        input: a tensor, not complex.
        dim: a dimension or several; None and ``()`` are all.
        keepdim: keep the dimensions, with a size of 1.
        out: None.

    Returns:
        A tensor of the same dtype: NaN where there is a NaN. The equal least elements share the gradient evenly.

    Raises:
        IndexError: a dimension does not exist, or is empty.
        RuntimeError: a dimension is given twice, or *input* has no elements and no dimension is given.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    return _reduced("amin", input, dim, keepdim, out, greatest=False)


_Aminmax = namedtuple("_Aminmax", "min max")


@polyfill(
    "torch.aminmax",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L6338",
    limits=[
        Limit("gradient", "It has no gradient: RuntimeError in the backward.", on="native", first="1.10", last="2.11"),
        Limit(
            "resized",
            "A tensor without dimensions, with `dim` and `keepdim`: a UserWarning, and results of one dimension.",
            on="native",
            first="1.10",
            last="2.0",
        ),
    ],
)
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False, out: Any = None) -> Any:
    """Find the least and the greatest elements, of all or along one dimension.

    In torch since 1.10. Fallback: ``amin`` and ``amax``.
    https://docs.pytorch.org/docs/stable/generated/torch.aminmax.html

    Args:
        input: a tensor, not complex.
        dim: a dimension; None is all of them.
        keepdim: keep the dimension, with a size of 1.
        out: None.

    Returns:
        A named tuple ``(min, max)`` of tensors of the same dtype. Equal elements share the gradient evenly.

    Raises:
        IndexError: the dimension does not exist.
        RuntimeError: there are no elements to compare.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    refuse_out("aminmax", out)
    check_tensors("aminmax", input=input)
    if dim is not None and (isinstance(dim, bool) or not isinstance(dim, int)):
        raise TypeError(f"aminmax(): dim must be an integer, got {type(dim).__name__}")
    dims = checked_dims("aminmax", input, dim)
    if any(input.shape[axis] == 0 for axis in dims if input.dim()):
        raise RuntimeError(f"aminmax(): input must not be empty along dim, got shape {tuple(input.shape)}")
    return _Aminmax(amin(input, dims, keepdim), amax(input, dims, keepdim))
