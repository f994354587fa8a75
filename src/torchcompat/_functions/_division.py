"""Division: true, rounded, what remains, and greatest common divisors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from .._torch import at_least
from ._promote import as_float, check_numbers, check_tensors, is_complex, promote, refuse_out
from ._scripts import scripted, scripts_as_torch
from ._selection import choose, may_differentiate

__all__ = ["div", "divide", "floor_divide", "gcd", "lcm", "remainder", "true_divide"]

INF = float("inf")
_native_div: Any = torch.div


def _is_float(tensor: Tensor) -> bool:
    return bool(tensor.is_floating_point())


def _refuse_kind(function: str, dtype: torch.dtype) -> None:
    if dtype is torch.bool or is_complex(dtype):
        raise NotImplementedError(f"{function}(): input and other must be of integers or floats, got {dtype}")


def _refuse_zero(other: Tensor) -> None:
    # Newer torch says so itself, without a look at the values from here.
    if not at_least(1, 5) and bool((other == 0).any()):
        raise RuntimeError("ZeroDivisionError: other must not be 0 for tensors of integers")


def _whole_trunc(one: Tensor, other: Tensor) -> Tensor:
    """The quotient of integers, rounded towards 0."""
    _refuse_zero(other)
    if at_least(1, 8):
        return _native_div(one, other, rounding_mode="trunc")  # type: ignore[no-any-return]
    # Both truncate in the torch that has them.
    return torch.floor_divide(one, other) if at_least(1, 5) else one / other


def _whole_floor(one: Tensor, other: Tensor) -> Tensor:
    quotient = _whole_trunc(one, other)
    rest = one - quotient * other
    return quotient - ((rest != 0) & ((rest < 0) != (other < 0))).to(quotient.dtype)


def _python_mod(one: Tensor, other: Tensor) -> Tensor:
    """What remains of floats, with the sign of the divisor."""
    rest = torch.fmod(one, other)
    return choose((rest != 0) & ((other < 0) != (rest < 0)), rest + other, rest)


def _float_floor(one: Tensor, other: Tensor) -> Tensor:
    """The quotient of floats rounded down as Python does it: 6 // 0.1 is 59, since 0.1 is more than a tenth."""
    plain = one / other
    rest = torch.fmod(one, other)
    quotient = (one - rest) / other
    quotient = quotient - ((rest != 0) & ((other < 0) != (rest < 0))).to(one.dtype)
    whole = torch.floor(quotient)
    whole = whole + (quotient - whole > 0.5).to(one.dtype)
    # A zero has the sign of the plain quotient, which is no number of a size to be lost here.
    whole = choose(quotient == 0, plain * 0, whole)
    return choose(other == 0, plain, whole)


def _rounded(function: str, one: Tensor, other: Tensor, mode: str) -> Tensor:
    """The rounded quotient of two tensors of one dtype, without a gradient."""
    _refuse_kind(function, one.dtype)
    one, other = one.detach(), other.detach()
    if not _is_float(one):
        return _whole_floor(one, other) if mode == "floor" else _whole_trunc(one, other)
    return _float_floor(one, other) if mode == "floor" else torch.trunc(one / other)


def _with_no_slope(result: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """*result* as a function of the other two whose derivatives are 0."""
    if not may_differentiate(one, other):
        return result
    never = torch.zeros_like(result, dtype=torch.bool)
    return choose(never, torch.floor(one) + torch.floor(other), result)


def _divided(function: str, input: Any, other: Any, mode: str | None, out: Any) -> Tensor:
    refuse_out(function, out)
    check_numbers(function, input=input, other=other)
    if mode is None:
        first, second = as_float(input, other)
        return first / second
    if mode not in ("trunc", "floor"):
        raise RuntimeError(f"{function}(): rounding_mode must be None, 'trunc' or 'floor', got {mode!r}")
    first, second = promote(input, other)
    return _with_no_slope(_rounded(function, first, second, mode), first, second)


@polyfill(
    "torch.div",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L3128",
    reason="no `rounding_mode`, or NaN for a number divided by 0 and rounded down",
    limits=[scripted("1.2", "1.9")],
)
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
    """Divide a tensor or number by another, and round the quotient if asked to.

    In torch since 1.10. Fallback: the division of tensors of one dtype; rounded down by what ``fmod`` leaves.
    https://docs.pytorch.org/docs/stable/generated/torch.div.html

    Args:
        input: a tensor or number.
        other: a tensor or number.
        rounding_mode: None, the quotient itself; ``"trunc"``, rounded towards 0; ``"floor"``, rounded down as Python's
            ``//`` does.
        out: None.

    Returns:
        A tensor: of a floating-point dtype without *rounding_mode*, else of the common dtype. A rounded quotient has
        derivatives of 0.

    Raises:
        NotImplementedError: bools or complex numbers are to be rounded.
        RuntimeError: another *rounding_mode*, or integers divided by 0 and rounded.
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _divided("div", input, other, rounding_mode, out)


@polyfill(
    "torch.divide",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L3193",
    reason="no `rounding_mode`, or NaN for a number divided by 0 and rounded down",
    limits=[scripted("1.7", "1.9")],
)
def divide(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
    """Divide a tensor or number by another: another name of ``div``.

    In torch since 1.10. Fallback: that of ``div``.
    https://docs.pytorch.org/docs/stable/generated/torch.divide.html

    Args:
        input: a tensor or number.
        other: a tensor or number.
        rounding_mode: None, ``"trunc"`` or ``"floor"``.
        out: None.

    Returns:
        A tensor, as ``div`` returns it.

    Raises:
        NotImplementedError: bools or complex numbers are to be rounded.
        RuntimeError: another *rounding_mode*, or integers divided by 0 and rounded.
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _divided("divide", input, other, rounding_mode, out)


@polyfill(
    "torch.true_divide", since="1.5", link="https://github.com/pytorch/pytorch/blob/v1.5.1/torch/_torch_docs.py#L6194"
)
def true_divide(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """Divide a tensor or number by another, integers too.

    In torch since 1.5. Fallback: that of ``div``.
    https://docs.pytorch.org/docs/stable/generated/torch.true_divide.html

    Args:
        input: a tensor.
        other: a tensor or number.
        out: None.

    Returns:
        A tensor of a floating-point dtype.

    Raises:
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _divided("true_divide", input, other, None, out)


@polyfill(
    "torch.floor_divide",
    since="1.13",
    link="https://github.com/pytorch/pytorch/blob/v1.13.1/torch/_torch_docs.py#L4209",
    reason="rounds towards 0",
    limits=[scripted("1.5", "1.12")],
)
def floor_divide(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """Divide a tensor or number by another, and round down.

    In torch since 1.13. Fallback: the division of tensors of one dtype, rounded down by what ``fmod`` leaves.
    https://docs.pytorch.org/docs/stable/generated/torch.floor_divide.html

    Args:
        input: a tensor or number.
        other: a tensor or number.
        out: None.

    Returns:
        A tensor of the common dtype, without a gradient.

    Raises:
        NotImplementedError: the operands are of bools or complex numbers.
        RuntimeError: an integer is divided by 0.
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    refuse_out("floor_divide", out)
    check_numbers("floor_divide", input=input, other=other)
    first, second = promote(input, other)
    return _rounded("floor_divide", first, second, "floor")


def _whole_remainder(one: Tensor, other: Tensor) -> Tensor:
    return one - _whole_floor(one, other) * other


@polyfill(
    "torch.remainder",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L8087",
    reason="no number before a tensor",
    limits=[
        scripted("1.2", "1.9"),
        Limit("gradient", "No gradient for the divisor: RuntimeError.", on="native", first="1.10", last="1.10"),
    ],
)
def remainder(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """Find what remains of a division, with the sign of the divisor.

    In torch since 1.10. Fallback: ``fmod``, and the divisor added where the signs differ.
    https://docs.pytorch.org/docs/stable/generated/torch.remainder.html

    Args:
        input: a tensor or number.
        other: a tensor or number, not both numbers.
        out: None.

    Returns:
        A tensor of the common dtype, as Python's ``%``: ``remainder(-3, 2)`` is 1, ``remainder(3, -2)`` is -1.

    Raises:
        NotImplementedError: the operands are of bools or complex numbers.
        RuntimeError: an integer is divided by 0.
        TypeError: both are numbers, or one is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    refuse_out("remainder", out)
    check_numbers("remainder", input=input, other=other)
    if not isinstance(input, Tensor):
        check_tensors("remainder", other=other)
    first, second = promote(input, other)
    _refuse_kind("remainder", first.dtype)
    if not _is_float(first):
        return _whole_remainder(first, second)
    one, two = first.detach(), second.detach()
    result = _python_mod(one, two)
    if not may_differentiate(first, second):
        return result
    # An infinite operand has no difference from itself.
    by_input = choose(one.abs() == INF, first * 0, first - one)
    by_other = choose(two.abs() == INF, torch.zeros_like(two), second - two)
    return result + by_input - _float_floor(one, two) * by_other


# Euclid's algorithm takes at most that many steps: those of two neighbours of Fibonacci's sequence.
_STEPS = {torch.uint8: 13, torch.int8: 11, torch.int16: 23, torch.int32: 46, torch.int64: 92}


def _divisor(function: str, input: Any, other: Any, out: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The absolute operands and their greatest common divisor."""
    refuse_out(function, out)
    check_tensors(function, input=input, other=other)
    first, second = promote(input, other)
    if first.dtype not in _STEPS:
        raise NotImplementedError(f"{function}(): input and other must be of integers, got {first.dtype}")
    one, two = (first, second) if first.dtype is torch.uint8 else (first.abs(), second.abs())
    great, small = torch.max(one, two), torch.min(one, two)
    for _ in range(_STEPS[first.dtype]):
        divisor = small + (small == 0).to(small.dtype)
        rest = great - _whole_trunc(great, divisor) * divisor
        great, small = choose(small == 0, great, small), choose(small == 0, small, rest)
    return one, two, great


@polyfill(
    "torch.gcd",
    since="1.9",
    link="https://github.com/pytorch/pytorch/blob/v1.9.1/torch/_torch_docs.py#L3447",
    reason="no promotion",
    limits=[scripted("1.7", "1.8")],
)
def gcd(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the greatest common divisor, element by element.

    In torch since 1.9. Fallback: Euclid's algorithm, with as many steps as the dtype may need.
    https://docs.pytorch.org/docs/stable/generated/torch.gcd.html

    Args:
        input: a tensor of integers.
        other: a tensor of integers that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype, not negative; 0 for two zeros.

    Raises:
        NotImplementedError: the tensors are not of integers.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    return _divisor("gcd", input, other, out)[2]


@polyfill(
    "torch.lcm",
    since="1.9",
    link="https://github.com/pytorch/pytorch/blob/v1.9.1/torch/_torch_docs.py#L4332",
    reason="no promotion",
    limits=[scripted("1.7", "1.8")],
)
def lcm(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Find the least common multiple, element by element.

    In torch since 1.9. Fallback: the product over the greatest common divisor.
    https://docs.pytorch.org/docs/stable/generated/torch.lcm.html

    Args:
        input: a tensor of integers.
        other: a tensor of integers that broadcasts with it.
        out: None.

    Returns:
        A tensor of the common dtype, not negative; 0 where one is 0.

    Raises:
        NotImplementedError: the tensors are not of integers.
        TypeError: one of the two is no tensor.
        UnsupportedError: *out* is given.
    """
    one, two, divisor = _divisor("lcm", input, other, out)
    product = _whole_trunc(one, divisor + (divisor == 0).to(divisor.dtype)) * two
    return product if product.dtype is torch.uint8 else product.abs()


scripts_as_torch("div", "divide", "floor_divide", "gcd", "lcm", "remainder")
