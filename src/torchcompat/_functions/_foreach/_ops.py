"""What the functions over lists do to one tensor: torch's own operation, with the promotion of torch 2.15 everywhere.

From 1.13 on torch promotes by itself as 2.15 does. Before, what is of one floating-point dtype goes straight to torch,
and the rest is brought to its common dtype first.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import torch
from torch import Tensor

from ..._torch import UnsupportedError, at_least
from ._arguments import records
from .._promote import as_float, dtype_of, is_complex, promote

Step = Callable[..., Tensor]
PROMOTES = at_least(1, 13)

ROUNDING = frozenset("ceil floor round trunc".split())
FLOATING = frozenset(
    "acos asin atan cos cosh erf erfc exp expm1 lgamma log log10 log1p log2 reciprocal rsqrt sigmoid sin sinh sqrt tan "
    "tanh".split()
)


def _is_direct(*values: Any) -> bool:
    """Whether torch needs no help: tensors of one floating-point dtype, and real numbers."""
    dtype = values[0].dtype
    if not dtype.is_floating_point:
        return False
    for value in values[1:]:
        if isinstance(value, Tensor):
            if value.dtype is not dtype:
                return False
        elif isinstance(value, complex):
            return False
    return True


# One tensor


def unary(name: str) -> Step:
    """The function *name* of one tensor."""
    function: Step = getattr(torch, name)
    if PROMOTES:
        return function
    if name in ROUNDING:
        # Torch up to 1.12 rounds no integers.
        return lambda tensor: tensor.clone() if _is_integer(tensor) else function(tensor)
    if name in FLOATING:
        return lambda tensor: function(*as_float(tensor))
    return function


def unary_(name: str) -> Step:
    """The same, in place."""
    method: Step = getattr(Tensor, name + "_")
    if not PROMOTES and name in ROUNDING:
        return lambda tensor: tensor if _is_integer(tensor) else method(tensor)
    return method


def _is_integer(tensor: Tensor) -> bool:
    return not (tensor.dtype.is_floating_point or is_complex(tensor.dtype) or tensor.dtype is torch.bool)


# Two operands


def binary(name: str) -> Step:
    """The function *name* of a tensor and a tensor or number; *alpha* is passed on."""
    if name in BY_HAND:
        return BY_HAND[name]
    function: Step = getattr(torch, name)
    prepare = as_float if name == "div" else promote

    def step(tensor: Any, other: Any, **alpha: Any) -> Tensor:
        if PROMOTES or _is_direct(tensor, other):
            return function(tensor, other, **alpha)
        first, second = prepare(tensor, other)
        _check(name, first, second, **alpha)
        return function(first, second, **alpha)

    return step


def _check(name: str, first: Tensor, second: Tensor, alpha: Any = 1) -> None:
    """What torch 2.15 refuses and an older one may compute."""
    if name == "sub" and torch.bool in (first.dtype, second.dtype):
        raise RuntimeError("_foreach_sub: bool tensors cannot be subtracted; use torch.logical_xor")
    if isinstance(alpha, float) and not (first.dtype.is_floating_point or is_complex(first.dtype)):
        raise RuntimeError(f"_foreach_{name}: alpha must be an integer for integer tensors, got {alpha}")


def _pow(base: Any, exponent: Any) -> Tensor:
    if PROMOTES or (isinstance(base, Tensor) and _is_direct(base, exponent)):
        return torch.pow(base, exponent)
    first, second = promote(base, exponent)
    if _is_integer(second) and bool((second < 0).any()):
        raise RuntimeError("_foreach_pow: integers to negative integer powers are not allowed")
    return torch.pow(first, second)


def _larger(first: Tensor, second: Tensor, sign: int) -> Tensor:
    """The larger of two, or the smaller; NaN if one of them is, and half of the gradient to each where they are equal."""
    chosen = torch.where(first > second if sign > 0 else first < second, first, second)
    if first.requires_grad or second.requires_grad:
        chosen = torch.where(first == second, first * 0.5 + second * 0.5, chosen)
    return torch.where(first != first, first, chosen)


def _extremum(name: str, sign: int) -> Step:
    native: Any = getattr(torch, name, None)

    def step(tensor: Tensor, other: Any) -> Tensor:
        first, second = promote(tensor, other)
        return native(first, second) if PROMOTES else _larger(first, second, sign)

    return step


def _clamp(name: str, sign: int) -> Step:
    native: Any = getattr(torch, name)

    def step(tensor: Tensor, bound: Any) -> Tensor:
        if PROMOTES and not records(tensor, bound):
            return native(tensor, bound)
        # The derivative at the bound is another one up to 2.9.
        first, second = promote(tensor, bound)
        if isinstance(bound, Tensor):
            return _larger(first, second, sign)
        chosen = torch.where(first > second if sign > 0 else first < second, first, second)
        return torch.where(first != first, first, chosen)

    return step


BY_HAND: dict[str, Step] = {
    "pow": _pow,
    "maximum": _extremum("maximum", 1),
    "minimum": _extremum("minimum", -1),
    "clamp_min": _clamp("clamp_min", 1),
    "clamp_max": _clamp("clamp_max", -1),
}


def _before(tensor: Tensor, *others: Any) -> Tensor:
    """*tensor*, for a derivative that needs it as it was before it is written to."""
    return tensor.clone() if records(tensor, *others) else tensor


def binary_(name: str) -> Step:
    """The same, in place. The caller has checked that dtype and shape can stay as they are."""
    method: Any = getattr(Tensor, name + "_", None)
    step = binary(name)

    def step_(tensor: Tensor, other: Any, **alpha: Any) -> Tensor:
        if name in BY_HAND:
            direct = PROMOTES and not records(tensor, other)
        else:
            direct = PROMOTES or _is_direct(tensor, other)
        if method and direct:
            return method(tensor, other, **alpha)
        return tensor.copy_(step(_before(tensor, other), other, **alpha))

    return step_


# Three operands


def pointwise(name: str) -> Step:
    """``addcmul`` or ``addcdiv``."""
    function: Step = getattr(torch, name)

    def step(tensor: Tensor, first: Tensor, second: Tensor, value: Any) -> Tensor:
        # Torch up to 2.0 fails at an assertion of its own where addcmul_ has operands of two dtypes.
        if _is_direct(tensor, first, second, value):
            return function(tensor, first, second, value=value)
        operands = promote(tensor, first, second)
        if not (operands[0].dtype.is_floating_point or is_complex(operands[0].dtype)):
            if name == "addcdiv":
                raise RuntimeError(
                    "_foreach_addcdiv: integer division is not supported; make one of them floating point"
                )
            value = int(value)
        return function(*operands, value=value)

    return step


def pointwise_(name: str) -> Step:
    """The same, in place."""
    method: Step = getattr(Tensor, name + "_")
    step = pointwise(name)

    def step_(tensor: Tensor, first: Tensor, second: Tensor, value: Any) -> Tensor:
        if _is_direct(tensor, first, second, value):
            return method(tensor, first, second, value=value)
        return tensor.copy_(step(_before(tensor, first, second), first, second, value))

    return step_


# The rest


def lerp(tensor: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Between *tensor* and *end*; torch promotes nothing here."""
    return torch.lerp(tensor, end, weight)


def _accumulated(name: str, tensor: Tensor, dtype: Any) -> Tensor:
    """*tensor*, as a real one, in the dtype to add up in."""
    for what, each in (("tensor", tensor.dtype), ("dtype", dtype)):
        if each is not None and not (each.is_floating_point or is_complex(each)):
            raise RuntimeError(f"{name}: {what} must be floating point or complex, got {each}")
    if dtype is not None:
        if dtype_of((tensor.reshape(-1), torch.empty(1, dtype=dtype))) is not dtype:
            raise RuntimeError(f"{name}: dtype must be at least as wide as {tensor.dtype}, got {dtype}")
        tensor = tensor.to(dtype)
    return tensor.abs() if is_complex(tensor.dtype) else tensor


def norm(tensor: Tensor, ord: Any, dtype: Any) -> Tensor:
    """The norm of all elements."""
    if PROMOTES:
        return torch.linalg.vector_norm(tensor, ord, dtype=dtype)  # torchcompat: needs torch >= 1.13
    values = _accumulated("_foreach_norm", tensor, dtype).reshape(-1)
    if (ord == math.inf or ord < 0) and not values.numel():
        raise RuntimeError(f"_foreach_norm: the norm of order {ord} of no elements is undefined")
    return torch.norm(values, ord)


def powsum(tensor: Tensor, ord: Any, dtype: Any) -> Tensor:
    """The sum of the powers of the absolute values."""
    values = _accumulated("_foreach_powsum", tensor, dtype)
    return (values * values if ord == 2 else values.abs().pow(ord)).sum()


def largest(tensor: Tensor) -> Tensor:
    """The largest element; the largest share its gradient."""
    if not tensor.numel():
        raise RuntimeError("_foreach_max: the maximum of no elements is undefined")
    if at_least(1, 7) or not tensor.requires_grad:
        return tensor.max()
    value = tensor.detach().max()
    mean = tensor.masked_select(tensor.detach() == value).mean()
    return value + (mean - mean.detach())


def clone(tensor: Tensor, memory_format: Any) -> Tensor:
    """A copy; with the strides of the tensor unless a memory format is given."""
    if at_least(1, 5):
        return tensor.clone(memory_format=memory_format or torch.preserve_format)  # torchcompat: needs torch >= 1.5
    if memory_format is torch.contiguous_format:
        return tensor.contiguous() if not tensor.is_contiguous() else tensor.clone()
    if memory_format not in (None, getattr(torch, "preserve_format", None)):
        raise UnsupportedError(
            f"_foreach_clone: memory_format={memory_format} needs torch 1.5, this is {torch.__version__}"
        )
    return tensor.clone()
