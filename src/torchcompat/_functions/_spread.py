"""Standard deviation and variance with a *correction*, and sums and means without NaN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from .._torch import UnsupportedError, at_least
from ._axes import checked_dims
from ._promote import check_tensors, is_complex, refuse_out
from ._scripts import scripted, scripts_as_torch
from ._selection import choose

__all__ = ["nanmean", "nansum", "std", "std_mean", "var", "var_mean"]

_native_var: Any = torch.var
_native_std: Any = torch.std
# Up to 1.5 the gradient of the deviation of equal values is NaN.
NATIVE_IS_RIGHT = at_least(1, 8)


def _correction(function: str, dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """The dimensions and the correction that the arguments of one of the overloads mean."""
    if isinstance(dim, bool):  # std(input, unbiased)
        if unbiased is not None:
            raise TypeError(f"{function}(): dim must be an integer or several, got {dim}")
        dim, unbiased = None, dim
    if unbiased is None:
        return dim, 1 if correction is None else correction
    if correction is not None:
        raise TypeError(f"{function}(): unbiased and correction must not both be given")
    return dim, 1 if unbiased else 0


def _spread(
    function: str, input: Any, dim: Any, unbiased: Any, correction: Any, out: Any
) -> tuple[Tensor, list[int], float]:
    """The checked input, its dimensions to reduce, and the correction."""
    refuse_out(function, out)
    check_tensors(function, input=input)
    dim, by = _correction(function, dim, unbiased, correction)
    if not input.is_floating_point():
        if is_complex(input.dtype):
            raise UnsupportedError(f"{function}(): a complex input needs torch 2.0 or newer")
        raise NotImplementedError(f"{function}(): input must be of a floating-point dtype, got {input.dtype}")
    dims = checked_dims(function, input, dim)
    return input, dims, by


def _mean(input: Tensor, dims: list[int], keepdim: bool) -> Tensor:
    return input.mean(dims, keepdim=keepdim) if input.dim() else input.clone()


def _variance(input: Tensor, dims: list[int], by: float, keepdim: bool) -> Tensor:
    if NATIVE_IS_RIGHT and input.dim() and _is_plain(input, dims, by):
        return _native_var(input, dims, bool(by), keepdim)  # type: ignore[no-any-return]
    count = 1
    for axis in dims if input.dim() else []:
        count *= input.shape[axis]
    away = input - _mean(input, dims, True)
    squares = away * away
    total = squares.sum(dims, keepdim=keepdim) if input.dim() else squares
    # Not a Python number, by which a zero may not be divided.
    return total / torch.tensor(max(0.0, count - by), dtype=total.dtype, device=total.device)


def _is_plain(input: Tensor, dims: list[int], by: float) -> bool:
    """Whether older torch has the correction, and says nothing of too few values."""
    count = 1
    for axis in dims:
        count *= input.shape[axis]
    return by in (0, 1) and count > by


def _root(variance: Tensor) -> Tensor:
    """The square root, with a slope of 0 at 0."""
    none = variance == 0
    return choose(none, variance * 0, torch.sqrt(variance.masked_fill(none, 1)))


def _deviation(input: Tensor, dims: list[int], by: float, keepdim: bool) -> Tensor:
    if NATIVE_IS_RIGHT and input.dim() and _is_plain(input, dims, by):
        return _native_std(input, dims, bool(by), keepdim)  # type: ignore[no-any-return]
    return _root(_variance(input, dims, by, keepdim))


_WHY = "no correction, or only one with dimensions"
_SILENT = Limit("warns", "Too few values for the correction: no UserWarning.", on="fallback")
_FRACTION = Limit("fraction", "A correction that is a float: TypeError.", on="native", first="2.0", last="2.0")
_COMPLEX = Limit("complex", "A complex tensor: UnsupportedError.", on="fallback")


@polyfill(
    "torch.std",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/_torch_docs.py#L10698",
    reason=_WHY,
    limits=[scripted("1.2", "1.13"), _SILENT, _COMPLEX, _FRACTION],
)
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Any = None,
) -> Tensor:
    """Find the standard deviation, of all elements or along dimensions.

    In torch since 2.0. Fallback: torch's own for a correction of 0 or 1, from 1.8 on; else the formula.
    https://docs.pytorch.org/docs/stable/generated/torch.std.html

    Args:
        input: a tensor of a floating-point dtype.
        dim: a dimension or several; None and ``()`` are all. A bool stands for *unbiased*.
        unbiased: True is a correction of 1, False of 0.
        keepdim: keep the dimensions, with a size of 1.
        correction: what is taken from the number of values before the sum of squares is divided by it; None is 1.
        out: None.

    Returns:
        A tensor of the same dtype: NaN or infinite where there are too few values. The gradient at equal values is 0.

    Raises:
        IndexError: a dimension does not exist.
        NotImplementedError: *input* is of integers or bools.
        TypeError: *input* is no tensor, or both *unbiased* and *correction* are given.
        UnsupportedError: *input* is complex, or *out* is given.
    """
    input, dims, by = _spread("std", input, dim, unbiased, correction, out)
    return _deviation(input, dims, by, keepdim)


@polyfill(
    "torch.var",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/_torch_docs.py#L12077",
    reason=_WHY,
    limits=[scripted("1.2", "1.13"), _SILENT, _COMPLEX, _FRACTION],
)
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Any = None,
) -> Tensor:
    """Find the variance, of all elements or along dimensions.

    In torch since 2.0. Fallback: torch's own for a correction of 0 or 1, from 1.8 on; else the formula.
    https://docs.pytorch.org/docs/stable/generated/torch.var.html

    Args:
        input: a tensor of a floating-point dtype.
        dim: a dimension or several; None and ``()`` are all. A bool stands for *unbiased*.
        unbiased: True is a correction of 1, False of 0.
        keepdim: keep the dimensions, with a size of 1.
        correction: what is taken from the number of values before the sum of squares is divided by it; None is 1.
        out: None.

    Returns:
        A tensor of the same dtype: NaN or infinite where there are too few values.

    Raises:
        IndexError: a dimension does not exist.
        NotImplementedError: *input* is of integers or bools.
        TypeError: *input* is no tensor, or both *unbiased* and *correction* are given.
        UnsupportedError: *input* is complex, or *out* is given.
    """
    input, dims, by = _spread("var", input, dim, unbiased, correction, out)
    return _variance(input, dims, by, keepdim)


@polyfill(
    "torch.std_mean",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/_torch_docs.py#L10754",
    reason=_WHY,
    limits=[scripted("1.2", "1.13"), _SILENT, _COMPLEX, _FRACTION],
)
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Any = None,
) -> tuple[Tensor, Tensor]:
    """Find the standard deviation and the mean, of all elements or along dimensions.

    In torch since 2.0. Fallback: ``std`` and ``mean``.
    https://docs.pytorch.org/docs/stable/generated/torch.std_mean.html

    Args:
        input: a tensor of a floating-point dtype.
        dim: a dimension or several; None and ``()`` are all. A bool stands for *unbiased*.
        unbiased: True is a correction of 1, False of 0.
        keepdim: keep the dimensions, with a size of 1.
        correction: as for ``std``.
        out: None.

    Returns:
        A tuple of two tensors of the same dtype.

    Raises:
        IndexError: a dimension does not exist.
        NotImplementedError: *input* is of integers or bools.
        TypeError: *input* is no tensor, or both *unbiased* and *correction* are given.
        UnsupportedError: *input* is complex, or *out* is given.
    """
    input, dims, by = _spread("std_mean", input, dim, unbiased, correction, out)
    return _deviation(input, dims, by, keepdim), _mean(input, dims, keepdim)


@polyfill(
    "torch.var_mean",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/_torch_docs.py#L12133",
    reason=_WHY,
    limits=[scripted("1.2", "1.13"), _SILENT, _COMPLEX, _FRACTION],
)
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Any = None,
) -> tuple[Tensor, Tensor]:
    """Find the variance and the mean, of all elements or along dimensions.

    In torch since 2.0. Fallback: ``var`` and ``mean``.
    https://docs.pytorch.org/docs/stable/generated/torch.var_mean.html

    Args:
        input: a tensor of a floating-point dtype.
        dim: a dimension or several; None and ``()`` are all. A bool stands for *unbiased*.
        unbiased: True is a correction of 1, False of 0.
        keepdim: keep the dimensions, with a size of 1.
        correction: as for ``var``.
        out: None.

    Returns:
        A tuple of two tensors of the same dtype.

    Raises:
        IndexError: a dimension does not exist.
        NotImplementedError: *input* is of integers or bools.
        TypeError: *input* is no tensor, or both *unbiased* and *correction* are given.
        UnsupportedError: *input* is complex, or *out* is given.
    """
    input, dims, by = _spread("var_mean", input, dim, unbiased, correction, out)
    return _variance(input, dims, by, keepdim), _mean(input, dims, keepdim)


def _sum(input: Tensor, dims: list[int], keepdim: bool) -> Tensor:
    if not input.dim():
        return input + 0 if input.dtype is not torch.bool else input.long()
    return input.sum(dims, keepdim=keepdim)


@polyfill("torch.nansum", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L7169")
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Tensor:
    """Add the elements up, with 0 in place of NaN.

    In torch since 1.7. Fallback: ``masked_fill`` and ``sum``.
    https://docs.pytorch.org/docs/stable/generated/torch.nansum.html

    Args:
        input: a tensor, not complex.
        dim: a dimension or several; None and ``()`` are all.
        keepdim: keep the dimensions, with a size of 1.
        dtype: the dtype in which to add; None is that of *input*, ``int64`` for integers and bools.
        out: None.

    Returns:
        A tensor. The gradient of what was NaN is 0.

    Raises:
        IndexError: a dimension does not exist.
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("nansum", out)
    check_tensors("nansum", input=input)
    dims = checked_dims("nansum", input, dim)
    known = input.masked_fill(input != input, 0) if input.is_floating_point() else input
    return _sum(known if dtype is None else known.to(dtype), dims, keepdim)


@polyfill(
    "torch.nanmean", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L5933"
)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Tensor:
    """Find the mean of the elements that are not NaN.

    In torch since 1.10. Fallback: ``nansum`` over the number of what is not NaN.
    https://docs.pytorch.org/docs/stable/generated/torch.nanmean.html

    Args:
        input: a tensor of a floating-point dtype.
        dim: a dimension or several; None and ``()`` are all.
        keepdim: keep the dimensions, with a size of 1.
        dtype: the dtype in which to add and divide; None is that of *input*.
        out: None.

    Returns:
        A tensor, NaN where all elements are.

    Raises:
        IndexError: a dimension does not exist.
        NotImplementedError: *input* is of integers or bools.
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("nanmean", out)
    check_tensors("nanmean", input=input)
    if not input.is_floating_point():
        raise NotImplementedError(f"nanmean(): input must be of a floating-point dtype, got {input.dtype}")
    dims = checked_dims("nanmean", input, dim)
    total = nansum(input, dims, keepdim, dtype=dtype)
    return total / _sum((input == input).to(total.dtype), dims, keepdim)


scripts_as_torch("std", "var", "std_mean", "var_mean")
