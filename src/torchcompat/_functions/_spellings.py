"""NumPy's spellings of old operations: greater, multiply, square and the like."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._promote import check_numbers, check_tensors, is_complex, promote, refuse_out

__all__ = [
    "absolute",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "multiply",
    "negative",
    "not_equal",
    "positive",
    "square",
    "subtract",
]

_NUMBER_FIRST = Limit("number_first", "A number before a tensor: TypeError.", on="native", first="1.7", last="1.10")


def _compared(function: str, compare: Any, input: Any, other: Any, out: Any) -> Tensor:
    refuse_out(function, out)
    check_tensors(function, input=input)
    check_numbers(function, other=other)
    first, second = promote(input, other)
    return compare(first, second)  # type: ignore[no-any-return]


@polyfill(
    "torch.greater", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L3147"
)
def greater(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Whether elements of a tensor are greater than those of another, or than a number.

    In torch since 1.7. Fallback: ``torch.gt`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.greater.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it, or a number.
        out: None.

    Returns:
        A tensor of bools; NaN is never greater.

    Raises:
        TypeError: *input* is no tensor, or *other* neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _compared("greater", torch.gt, input, other, out)


@polyfill(
    "torch.greater_equal", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L2961"
)
def greater_equal(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Whether elements of a tensor are at least those of another, or a number.

    In torch since 1.7. Fallback: ``torch.ge`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.greater_equal.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it, or a number.
        out: None.

    Returns:
        A tensor of bools, False where one is NaN.

    Raises:
        TypeError: *input* is no tensor, or *other* neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _compared("greater_equal", torch.ge, input, other, out)


@polyfill("torch.less", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L4167")
def less(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Whether elements of a tensor are less than those of another, or than a number.

    In torch since 1.7. Fallback: ``torch.lt`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.less.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it, or a number.
        out: None.

    Returns:
        A tensor of bools; NaN is never less.

    Raises:
        TypeError: *input* is no tensor, or *other* neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _compared("less", torch.lt, input, other, out)


@polyfill(
    "torch.less_equal", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L3607"
)
def less_equal(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Whether elements of a tensor are at most those of another, or a number.

    In torch since 1.7. Fallback: ``torch.le`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.less_equal.html

    Args:
        input: a tensor, not complex.
        other: a tensor that broadcasts with it, or a number.
        out: None.

    Returns:
        A tensor of bools, False where one is NaN.

    Raises:
        TypeError: *input* is no tensor, or *other* neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _compared("less_equal", torch.le, input, other, out)


@polyfill(
    "torch.not_equal", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L5323"
)
def not_equal(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Whether elements of a tensor differ from those of another, or from a number.

    In torch since 1.7. Fallback: ``torch.ne`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.not_equal.html

    Args:
        input: a tensor.
        other: a tensor that broadcasts with it, or a number.
        out: None.

    Returns:
        A tensor of bools; NaN differs from all.

    Raises:
        TypeError: *input* is no tensor, or *other* neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    return _compared("not_equal", torch.ne, input, other, out)


@polyfill(
    "torch.multiply",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L5113",
    limits=[_NUMBER_FIRST],
)
def multiply(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """Multiply two tensors, or a tensor and a number.

    In torch since 1.7. Fallback: ``*`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.multiply.html

    Args:
        input: a tensor or number.
        other: a tensor or number.
        out: None.

    Returns:
        A tensor of the common dtype.

    Raises:
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    refuse_out("multiply", out)
    check_numbers("multiply", input=input, other=other)
    first, second = promote(input, other)
    return first & second if first.dtype is torch.bool else first * second


def _scaled(second: Tensor, alpha: Any) -> Tensor:
    if alpha == 1:
        return second
    exact = not second.is_floating_point() and not is_complex(second.dtype)
    if exact and isinstance(alpha, (float, complex)):
        raise RuntimeError(f"subtract(): alpha must be an integer for tensors of integers, got {alpha}")
    return second * alpha


@polyfill(
    "torch.subtract",
    since="1.7",
    link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L7112",
    limits=[_NUMBER_FIRST],
)
def subtract(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Tensor:
    """Subtract a tensor or number, times *alpha*, from another.

    In torch since 1.7. Fallback: ``-`` of tensors of one dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.subtract.html

    Args:
        input: a tensor or number.
        other: a tensor or number.
        alpha: a number that *other* is multiplied by, an integer for tensors of integers.
        out: None.

    Returns:
        A tensor of the common dtype.

    Raises:
        RuntimeError: both are bools, or *alpha* is no integer where the tensors are.
        TypeError: one of the two is neither a tensor nor a number.
        UnsupportedError: *out* is given.
    """
    refuse_out("subtract", out)
    check_numbers("subtract", input=input, other=other)
    first, second = promote(input, other)
    bools = [isinstance(value, bool) or getattr(value, "dtype", None) is torch.bool for value in (input, other)]
    if any(bools):
        raise NotImplementedError("subtract(): input and other must not be of bools: use logical_xor() or ^")
    return first - _scaled(second, alpha)


def _no_bool(function: str, input: Any, instead: str) -> None:
    check_tensors(function, input=input)
    if input.dtype is torch.bool:
        raise NotImplementedError(f"{function}(): input must not be of bools{instead}")


@polyfill(
    "torch.negative", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L5353"
)
def negative(input: Tensor, *, out: Any = None) -> Tensor:
    """Change the sign of every element.

    In torch since 1.7. Fallback: ``torch.neg``.
    https://docs.pytorch.org/docs/stable/generated/torch.negative.html

    Args:
        input: a tensor, not of bools.
        out: None.

    Returns:
        A tensor of the same dtype; unsigned integers wrap around.

    Raises:
        NotImplementedError: *input* is of bools.
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("negative", out)
    _no_bool("negative", input, ": use logical_not() or ~")
    return torch.neg(input)


@polyfill(
    "torch.positive", since="1.9", link="https://github.com/pytorch/pytorch/blob/v1.9.1/torch/_torch_docs.py#L6921"
)
def positive(input: Tensor) -> Tensor:
    """Return the tensor itself, if it is not of bools.

    In torch since 1.9. Fallback: returns what it got.
    https://docs.pytorch.org/docs/stable/generated/torch.positive.html

    Args:
        input: a tensor, not of bools.

    Returns:
        *input*.

    Raises:
        NotImplementedError: *input* is of bools.
        TypeError: *input* is no tensor.
    """
    _no_bool("positive", input, "")
    return input


@polyfill(
    "torch.absolute", since="1.6", link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L126"
)
def absolute(input: Tensor, *, out: Any = None) -> Tensor:
    """Find the absolute value of every element.

    In torch since 1.6. Fallback: ``torch.abs``.
    https://docs.pytorch.org/docs/stable/generated/torch.absolute.html

    Args:
        input: a tensor, not of bools.
        out: None.

    Returns:
        A tensor of the same dtype, or of the parts' for a complex one. The gradient at 0 is 0.

    Raises:
        NotImplementedError: *input* is of bools.
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("absolute", out)
    _no_bool("absolute", input, "")
    return torch.abs(input)


@polyfill(
    "torch.square",
    since="1.5",
    link="https://github.com/pytorch/pytorch/blob/v1.5.1/torch/_torch_docs.py#L5279",
    limits=[Limit("bools", "A tensor of bools: RuntimeError.", on="native", first="1.5", last="1.5")],
)
def square(input: Tensor, *, out: Any = None) -> Tensor:
    """Multiply every element by itself.

    In torch since 1.5. Fallback: ``input * input``; bools become ``int64``.
    https://docs.pytorch.org/docs/stable/generated/torch.square.html

    Args:
        input: a tensor.
        out: None.

    Returns:
        A tensor of the same dtype.

    Raises:
        TypeError: *input* is no tensor.
        UnsupportedError: *out* is given.
    """
    refuse_out("square", out)
    check_tensors("square", input=input)
    input = input.to(torch.int64) if input.dtype is torch.bool else input
    return input * input
