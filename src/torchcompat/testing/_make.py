"""Random tensors for tests."""

from __future__ import annotations

import math
from typing import Any

import torch

_UNIFORM = -9.0, 9.0


def _range(dtype: torch.dtype, low: float | None, high: float | None) -> tuple[float, float]:
    smallest, largest, default = -math.inf, math.inf, _UNIFORM
    if dtype == torch.bool:
        smallest, largest, default = 0, 2, (0, 2)
    elif not (dtype.is_floating_point or "complex" in str(dtype)):
        kind = torch.iinfo(dtype)
        smallest, largest = kind.min, kind.max + (kind.bits < 64)
        default = (0, 10) if kind.min == 0 else (-9, 10)
    low, high = (default[0] if low is None else low), (default[1] if high is None else high)
    if low != low or high != high:
        raise ValueError(f"low and high must be numbers, got {low} and {high}")
    if low >= high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    return max(low, smallest), min(high, largest)


def _draw(shape: Any, dtype: torch.dtype, device: Any, low: float, high: float) -> torch.Tensor:
    if "complex" in str(dtype):  # torchcompat: needs torch >= 1.6
        part = torch.float64 if dtype == torch.complex128 else torch.float32
        parts = _draw((*shape, 2), part, device, low, high)
        return torch.view_as_complex(parts).to(dtype)
    if dtype.is_floating_point:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        limit = torch.finfo(wide).max / 2
        drawn = torch.rand(tuple(shape), dtype=wide, device=device) * (min(high, limit) - max(low, -limit))
        return (drawn + max(low, -limit)).to(dtype)
    whole = torch.randint(math.ceil(low), math.ceil(high), tuple(shape), device=device)
    return whole.to(dtype)


def make(
    shape: Any,
    dtype: torch.dtype,
    device: Any,
    low: float | None,
    high: float | None,
    requires_grad: bool,
    noncontiguous: bool,
    exclude_zero: bool,
    memory_format: Any,
) -> torch.Tensor:
    """See ``make_tensor``."""
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else tuple(shape)
    differentiable = dtype.is_floating_point or "complex" in str(dtype)
    if noncontiguous and memory_format is not None:
        raise ValueError("noncontiguous and memory_format cannot both be given")
    if requires_grad and not differentiable:
        raise ValueError(f"requires_grad=True needs a floating-point or complex dtype, got {dtype}")
    bounds = _range(dtype, low, high)
    wide = noncontiguous and _count(sizes) > 1
    drawn = _draw((*sizes[:-1], 2 * sizes[-1]) if wide else sizes, dtype, device, *bounds)
    result = drawn[..., ::2] if wide else drawn
    if exclude_zero:
        # Torch 1.2 can neither compare halves nor fill them.
        wide_result = result.float() if dtype in (torch.float16, torch.bfloat16) else result
        size = wide_result.abs() if "complex" in str(dtype) else wide_result.float()
        result.copy_(wide_result.masked_fill(size == 0, _smallest(dtype)))
    if memory_format is not None:
        result = result.contiguous(memory_format=memory_format)
    return result.requires_grad_(requires_grad)


def _smallest(dtype: torch.dtype) -> float:
    """The smallest number above zero that is no denormal."""
    if not (dtype.is_floating_point or "complex" in str(dtype)):
        return 1
    # Up to torch 1.5 finfo(bfloat16) aborts the process; its range is that of float32.
    known = {torch.bfloat16: torch.float32, getattr(torch, "complex32", None): torch.float16}
    known.update({getattr(torch, "complex64", None): torch.float32, getattr(torch, "complex128", None): torch.float64})
    return float(torch.finfo(known.get(dtype, dtype)).tiny)


def _count(sizes: Any) -> int:
    number = 1
    for size in sizes:
        number *= size
    return number
