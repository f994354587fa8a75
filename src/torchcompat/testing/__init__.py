"""Assertions and random tensors for tests (torch.testing)."""

from __future__ import annotations

from typing import Any, Callable

import torch

from .._lazy import attach as _attach
from .._shim import polyfill
from . import _compare, _make

__all__ = ["assert_close", "make_tensor"]


@polyfill(
    "torch.testing.assert_close",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/testing/_comparison.py#L1098",
    reason="no `allow_subclasses` up to 1.9, no `check_layout` up to 1.10; a message is text alone",
)
def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert that two tensors, numbers, arrays, or sequences and mappings of these, are close.

    In torch since 1.12. Fallback: the same comparison, element by element:
    ``|actual - expected| <= atol + rtol * |expected|``. https://docs.pytorch.org/docs/stable/testing.html

    Args:
        actual, expected: of one kind: tensors, arrays of NumPy, numbers, None, or sequences or mappings of these.
        allow_subclasses: whether a tensor may be compared with one of a subclass.
        rtol, atol: the tolerances, both or neither. None: as the dtypes ask for.
        equal_nan: whether NaN is close to NaN.
        check_device, check_dtype, check_layout, check_stride: whether these must be the same. Where a dtype may differ,
            both are promoted; where a device or a layout may, both are brought to the CPU or made dense.
        msg: the message of the error, or a function that is given ours.

    Raises:
        AssertionError: they are not close.
        TypeError: they are of kinds that are not compared.
        ValueError: one tolerance is given alone.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"rtol and atol go together: both must be given, or neither; got {rtol} and {atol}")
    how = _compare.How(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride)
    found = _compare.difference(actual, expected, how)
    if found is not None:
        raise AssertionError(msg(found) if callable(msg) else found if msg is None else msg)


@polyfill(
    "torch.testing.make_tensor",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/testing/_creation.py#L31",
    reason="no `memory_format`",
)
def make_tensor(
    *shape: Any,
    dtype: torch.dtype,
    device: str | torch.device,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: torch.memory_format | None = None,
) -> torch.Tensor:
    """A tensor of uniform random numbers.

    In torch since 2.0. Fallback: draws with other functions, so that the numbers are others for one seed.
    https://docs.pytorch.org/docs/stable/testing.html

    Args:
        shape: ints, or one sequence of them.
        dtype, device: of the result.
        low, high: the numbers are from *low* to *high*, without *high*. None: from -9 to 9 for floating-point and
            complex dtypes, -9 to 9 for signed ints, 0 to 9 for uint8, 0 and 1 for bool.
        requires_grad: of the result.
        noncontiguous: have gaps in memory, where there are two elements or more.
        exclude_zero: put the smallest number that is not zero for zero.
        memory_format: of the result; not together with *noncontiguous*.

    Raises:
        ValueError: *low* is not below *high*, *noncontiguous* and *memory_format* are both given, or *requires_grad*
            is asked of a dtype that has no gradients.
    """
    return _make.make(shape, dtype, device, low, high, requires_grad, noncontiguous, exclude_zero, memory_format)


_attach(globals())
