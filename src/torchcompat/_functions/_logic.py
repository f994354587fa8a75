"""Questions of true and false: logical operations, and reductions to a bool or to a count."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._axes import checked_dims, squeezed
from ._promote import check_tensors, refuse_out
from ._scripts import scripted, scripts_as_torch

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
]


def attached(first: str, last: str) -> Limit:
    return Limit("requires_grad", "A tensor that requires grad: RuntimeError.", on="native", first=first, last=last)


def truth(input: Tensor) -> Tensor:
    """Which elements are not zero, as bools; NaN is not zero."""
    return input if input.dtype is torch.bool else input != 0


def _two(function: str, input: Any, other: Any, out: Any) -> tuple[Tensor, Tensor]:
    refuse_out(function, out)
    check_tensors(function, input=input, other=other)
    return truth(input), truth(other)


@polyfill(
    "torch.logical_and",
    since="1.5",
    link="https://github.com/pytorch/pytorch/blob/v1.5.1/torch/_torch_docs.py#L2880",
    limits=[attached("1.5", "1.9")],
)
def logical_and(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Whether the elements of two tensors are both not zero.

    In torch since 1.5. Fallback: ``&`` of bools.
    https://docs.pytorch.org/docs/stable/generated/torch.logical_and.html

    Args:
        input: a tensor of any dtype.
        other: a tensor of any dtype that broadcasts with it.
        out: None.

    Returns:
        A tensor of bools; NaN counts as true.

    Raises:
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    first, second = _two("logical_and", input, other, out)
    return first & second


@polyfill(
    "torch.logical_or",
    since="1.5",
    link="https://github.com/pytorch/pytorch/blob/v1.5.1/torch/_torch_docs.py#L2931",
    limits=[attached("1.5", "1.9")],
)
def logical_or(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Whether one of the elements of two tensors is not zero.

    In torch since 1.5. Fallback: ``|`` of bools.
    https://docs.pytorch.org/docs/stable/generated/torch.logical_or.html

    Args:
        input: a tensor of any dtype.
        other: a tensor of any dtype that broadcasts with it.
        out: None.

    Returns:
        A tensor of bools; NaN counts as true.

    Raises:
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    first, second = _two("logical_or", input, other, out)
    return first | second


@polyfill(
    "torch.logical_xor",
    since="1.5",
    link="https://github.com/pytorch/pytorch/blob/v1.5.1/torch/_torch_docs.py#L2959",
    reason="bools alone, or dtypes that are the same",
    limits=[scripted("1.3", "1.4"), attached("1.5", "1.9")],
)
def logical_xor(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Whether exactly one of the elements of two tensors is not zero.

    In torch since 1.5. Fallback: ``!=`` of bools.
    https://docs.pytorch.org/docs/stable/generated/torch.logical_xor.html

    Args:
        input: a tensor of any dtype.
        other: a tensor of any dtype that broadcasts with it.
        out: None.

    Returns:
        A tensor of bools; NaN counts as true.

    Raises:
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    first, second = _two("logical_xor", input, other, out)
    return first != second


@polyfill(
    "torch.logical_not",
    since="1.3",
    link="https://github.com/pytorch/pytorch/blob/v1.3.1/torch/_torch_docs.py#L2623",
    limits=[attached("1.3", "1.9")],
)
def logical_not(input: Tensor, *, out: Any = None) -> Tensor:
    """Whether the elements of a tensor are zero.

    In torch since 1.3. Fallback: ``input == 0``.
    https://docs.pytorch.org/docs/stable/generated/torch.logical_not.html

    Args:
        input: a tensor of any dtype.
        out: None.

    Returns:
        A tensor of bools; NaN counts as true, and gives False.

    Raises:
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("logical_not", out)
    check_tensors("logical_not", input=input)
    return ~input if input.dtype is torch.bool else input == 0


# Builtins of Python, and torch's own of one bool tensor and one dimension, which are right everywhere.
_native_any: Any = torch.any
_native_all: Any = torch.all


def _reduced(function: str, native: Any, input: Any, dim: Any, keepdim: bool, out: Any) -> Tensor:
    refuse_out(function, out)
    check_tensors(function, input=input)
    found = truth(input)
    result_dtype = torch.uint8 if input.dtype is torch.uint8 else torch.bool
    if isinstance(dim, (tuple, list)) and not dim:
        return found.to(result_dtype)  # of no dimensions, and not of all
    if dim is None and not keepdim:
        return native(found).to(result_dtype)  # type: ignore[no-any-return]
    dims = checked_dims(function, input, dim)
    for axis in dims if input.dim() else []:
        found = native(found, axis, True)
    return (found if keepdim else squeezed(found, dims)).to(result_dtype)


@polyfill(
    "torch.any",
    since="2.2",
    link="https://github.com/pytorch/pytorch/blob/v2.4.1/torch/_torch_docs.py#L844",
    reason="no several dimensions at once",
    limits=[scripted("1.2", "2.1")],
)
def any(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Whether any element is not zero, of all elements or along dimensions.

    In torch since 2.2. Fallback: torch's own of bools, along one dimension after another.
    https://docs.pytorch.org/docs/stable/generated/torch.any.html

    Args:
        input: a tensor of any dtype; NaN counts as true.
        dim: a dimension or several; None is all, and ``()`` is none: every element for itself.
        keepdim: keep the dimensions, with a size of 1.
        out: None.

    Returns:
        A tensor of bools, or of ``uint8`` for a tensor of ``uint8``. Of no elements: False.

    Raises:
        IndexError: a dimension does not exist.
        RuntimeError: a dimension is given twice.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    return _reduced("any", _native_any, input, dim, keepdim, out)


@polyfill(
    "torch.all",
    since="2.2",
    link="https://github.com/pytorch/pytorch/blob/v2.4.1/torch/_torch_docs.py#L787",
    reason="no several dimensions at once",
    limits=[scripted("1.2", "2.1")],
)
def all(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Whether all elements are not zero, of the whole tensor or along dimensions.

    In torch since 2.2. Fallback: torch's own of bools, along one dimension after another.
    https://docs.pytorch.org/docs/stable/generated/torch.all.html

    Args:
        input: a tensor of any dtype; NaN counts as true.
        dim: a dimension or several; None is all, and ``()`` is none: every element for itself.
        keepdim: keep the dimensions, with a size of 1.
        out: None.

    Returns:
        A tensor of bools, or of ``uint8`` for a tensor of ``uint8``. Of no elements: True.

    Raises:
        IndexError: a dimension does not exist.
        RuntimeError: a dimension is given twice.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    return _reduced("all", _native_all, input, dim, keepdim, out)


@polyfill(
    "torch.count_nonzero",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L2070",
    limits=[attached("1.7", "1.7")],
)
def count_nonzero(input: Tensor, dim: Any = None, *, out: Any = None) -> Tensor:
    """Count the elements that are not zero, of the whole tensor or along dimensions.

    In torch since 1.7. Fallback: the sum of ``input != 0``.
    https://docs.pytorch.org/docs/stable/generated/torch.count_nonzero.html

    Args:
        input: a tensor of any dtype; NaN is not zero.
        dim: a dimension or several; None and ``()`` are all.
        out: None.

    Returns:
        A tensor of ``int64``.

    Raises:
        IndexError: a dimension does not exist.
        RuntimeError: a dimension is given twice.
        TypeError: *input* is no tensor, or *dim* is no integer.
        UnsupportedError: *out* is given.
    """
    refuse_out("count_nonzero", out)
    check_tensors("count_nonzero", input=input)
    dims = checked_dims("count_nonzero", input, dim)
    found = truth(input).to(torch.int64)
    return found.sum(dims) if input.dim() else found


scripts_as_torch("any", "all", "logical_xor")
