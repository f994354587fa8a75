"""What kind of number an element is: infinite, real, of which sign."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from .._torch import at_least
from ._logic import attached
from ._promote import check_tensors, is_complex, refuse_out
from ._scripts import scripted, scripts_as_torch

__all__ = ["isneginf", "isposinf", "isreal", "signbit"]

INF = float("inf")


def _real(function: str, input: Any, out: Any) -> None:
    refuse_out(function, out)
    check_tensors(function, input=input)
    if is_complex(input.dtype):
        raise TypeError(f"{function}(): input must be real, got {input.dtype}")


@polyfill(
    "torch.isposinf",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L3335",
    limits=[attached("1.7", "1.7")],
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
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L3352",
    limits=[attached("1.7", "1.7")],
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


@polyfill("torch.isreal", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L3439")
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
    link="https://github.com/pytorch/pytorch/blob/v1.13.1/torch/_torch_docs.py#L9852",
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


scripts_as_torch("signbit")
