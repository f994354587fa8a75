"""Questions of true and false: logical operations, reductions to a bool, and what kind of number an element is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from .._torch import at_least
from ._axes import checked_dims, squeezed
from ._promote import check_tensors, is_complex, refuse_out
from ._scripts import scripted, scripts_as_torch

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "isneginf",
    "isposinf",
    "isreal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "signbit",
]

INF = float("inf")


def _attached(first: str, last: str) -> Limit:
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
    link="https://github.com/pytorch/pytorch/pull/30521",
    limits=[_attached("1.5", "1.9")],
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
    link="https://github.com/pytorch/pytorch/pull/30521",
    limits=[_attached("1.5", "1.9")],
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
    link="https://github.com/pytorch/pytorch/pull/27248",
    reason="bools alone, or dtypes that are the same",
    limits=[scripted("1.3", "1.4"), _attached("1.5", "1.9")],
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
    link="https://github.com/pytorch/pytorch/pull/23839",
    limits=[_attached("1.3", "1.9")],
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
    link="https://github.com/pytorch/pytorch/pull/110310",
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
    link="https://github.com/pytorch/pytorch/pull/110310",
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
    link="https://github.com/pytorch/pytorch/pull/39992",
    limits=[_attached("1.7", "1.7")],
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


def _real(function: str, input: Any, out: Any) -> None:
    refuse_out(function, out)
    check_tensors(function, input=input)
    if is_complex(input.dtype):
        raise TypeError(f"{function}(): input must be real, got {input.dtype}")


@polyfill(
    "torch.isposinf",
    since="1.7",
    link="https://github.com/pytorch/pytorch/pull/41588",
    limits=[_attached("1.7", "1.7")],
)
def isposinf(input: Tensor, *, out: Any = None) -> Tensor:
    """Which elements are infinity.

    In torch since 1.7. Fallback: ``input == inf``.
    https://docs.pytorch.org/docs/stable/generated/torch.isposinf.html

    Args:
        input: a tensor, not complex. No integer is infinite.
        out: None.

    Returns:
        A tensor of bools.

    Raises:
        TypeError: *input* is no tensor, or complex.
        UnsupportedError: *out* is given.
    """
    _real("isposinf", input, out)
    return input == INF if input.is_floating_point() else torch.zeros_like(input, dtype=torch.bool)


@polyfill(
    "torch.isneginf",
    since="1.7",
    link="https://github.com/pytorch/pytorch/pull/41588",
    limits=[_attached("1.7", "1.7")],
)
def isneginf(input: Tensor, *, out: Any = None) -> Tensor:
    """Which elements are minus infinity.

    In torch since 1.7. Fallback: ``input == -inf``.
    https://docs.pytorch.org/docs/stable/generated/torch.isneginf.html

    Args:
        input: a tensor, not complex. No integer is infinite.
        out: None.

    Returns:
        A tensor of bools.

    Raises:
        TypeError: *input* is no tensor, or complex.
        UnsupportedError: *out* is given.
    """
    _real("isneginf", input, out)
    return input == -INF if input.is_floating_point() else torch.zeros_like(input, dtype=torch.bool)


@polyfill("torch.isreal", since="1.7", link="https://github.com/pytorch/pytorch/pull/41298")
def isreal(input: Tensor) -> Tensor:
    """Which elements have no imaginary part.

    In torch since 1.7. Fallback: ``input.imag == 0``, and True for what is not complex.
    https://docs.pytorch.org/docs/stable/generated/torch.isreal.html

    Args:
        input: a tensor.

    Returns:
        A tensor of bools.

    Raises:
        TypeError: *input* is no tensor.
    """
    check_tensors("isreal", input=input)
    if is_complex(input.dtype):
        return input.imag == 0
    return torch.ones_like(input, dtype=torch.bool)


_native_signbit: Any = getattr(torch, "signbit", None)
KNOWS_MINUS_ZERO = at_least(1, 13)


def has_minus(input: Tensor) -> Tensor:
    """Which elements have their sign bit set, also of a zero or NaN."""
    if not input.is_floating_point():
        return input < 0 if input.dtype not in (torch.bool, torch.uint8) else torch.zeros_like(input, dtype=torch.bool)
    if KNOWS_MINUS_ZERO:
        return _native_signbit(input)  # type: ignore[no-any-return]
    # atan2 of NumPy's rules: that of a minus zero and a minus one is minus pi. It does not see the sign of a NaN.
    return torch.atan2(input.detach(), torch.full_like(input.detach(), -1)) < 0


@polyfill(
    "torch.signbit",
    since="1.13",
    link="https://github.com/pytorch/pytorch/pull/78818",
    reason="False for -0.0",
    limits=[
        scripted("1.7", "1.12"),
        Limit("nan_sign", "Of a NaN with its sign bit set: False.", on="fallback", last="1.12"),
    ],
)
def signbit(input: Tensor, *, out: Any = None) -> Tensor:
    """Which elements have their sign bit set: those that are negative, and minus zero.

    In torch since 1.13. Fallback: torch's own where it knows minus zero, else by ``atan2``.
    https://docs.pytorch.org/docs/stable/generated/torch.signbit.html

    Args:
        input: a tensor, not complex.
        out: None.

    Returns:
        A tensor of bools.

    Raises:
        TypeError: *input* is no tensor, or complex.
        UnsupportedError: *out* is given.
    """
    _real("signbit", input, out)
    return has_minus(input)


scripts_as_torch("any", "all", "logical_xor", "signbit")
