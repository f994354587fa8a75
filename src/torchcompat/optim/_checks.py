"""Checks of the optimisers' arguments: each raises before anything has changed, and names the argument."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch


def number(value: Any, name: str) -> None:
    """*value* must be a real number, or a tensor of one."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} must be a number or a tensor of one element, got a tensor of {value.numel()}")
    elif not isinstance(value, Real):
        raise TypeError(f"{name} must be a number or a tensor of one element, got {value!r}")


def not_negative(**values: Any) -> None:
    """Each must be a number of at least 0. NaN is refused too."""
    for name, value in values.items():
        number(value, name)
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value!r}")


def not_below_zero(**values: Any) -> None:
    """As :func:`not_negative`, but NaN passes."""
    for name, value in values.items():
        number(value, name)
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value!r}")


def positive(**values: Any) -> None:
    """Each must be a number above 0."""
    for name, value in values.items():
        number(value, name)
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value!r}")


def decay_rates(betas: Any) -> None:
    """Both must be in [0, 1)."""
    for index, beta in enumerate(betas):
        number(beta, f"betas[{index}]")
        if not 0 <= beta < 1:
            raise ValueError(f"betas[{index}] must be at least 0 and below 1, got {beta!r}")


def fused(fused: Any, foreach: Any, differentiable: bool) -> None:
    """``fused`` goes with neither of the other two."""
    if fused and differentiable:
        raise RuntimeError("fused=True does not go with differentiable=True: leave one of them out")
    if fused and foreach:
        raise RuntimeError("fused=True does not go with foreach=True: leave one of them out")


def no_tensor_with_foreach(foreach: Any, capturable: bool, **values: Any) -> None:
    """``foreach=True`` without ``capturable=True`` takes no tensors for these."""
    for name, value in values.items():
        if foreach and not capturable and isinstance(value, torch.Tensor):
            raise ValueError(f"{name} cannot be a tensor with foreach=True and capturable=False; give a float")
