"""``einsum`` in all its forms, by that of the installed torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import UnsupportedError, at_least
from ._scripts import scripted, scripts_as_torch

# Torch 1.9 takes capitals, but puts them last where the result is not given, and older torch takes none.
CAPITALS = at_least(1, 10)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _subscripts(numbers: Any) -> str:
    """A list of numbers in letters: those sort as the numbers do."""
    letters = []
    for number in numbers:
        if number is Ellipsis:
            letters.append("...")
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(LETTERS):
            raise ValueError(f"a subscript must be an int from 0 to {len(LETTERS) - 1} or Ellipsis, got {number!r}")
        letters.append(LETTERS[number])
    return "".join(letters)


def _equation(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The equation and the operands of operands each with a list of subscripts, and perhaps one more list."""
    count = len(args) // 2
    operands = args[: 2 * count : 2]
    equation = ",".join(map(_subscripts, args[1 : 2 * count : 2]))
    return (f"{equation}->{_subscripts(args[-1])}" if len(args) % 2 else equation), operands


def _small(equation: str) -> str:
    """*equation* in small letters, which stand in the order of what they replace."""
    if equation.islower() or not any(letter.isupper() for letter in equation):
        return equation
    found = sorted({letter for letter in equation if letter.isalpha()})
    if len(found) > 26:
        raise UnsupportedError(f"einsum() of more than 26 letters needs torch >= 1.10; this is {torch.__version__}")
    return "".join(LETTERS[26 + found.index(letter)] if letter.isalpha() else letter for letter in equation)


@polyfill(
    "torch.einsum",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/functional.py#L159",
    limits=[scripted("1.2", "1.9")],
    reason="no lists of subscripts",
)
def einsum(*args: Any) -> Tensor:
    """Sum products of elements along dimensions that are named by letters.

    In torch since 1.10. Fallback: torch's own, with lists of subscripts as letters, and capitals as small ones.
    https://docs.pytorch.org/docs/stable/generated/torch.einsum.html

    Args:
        args: an equation such as ``"ij,jk->ik"``, and the operands or a list of them; or each operand with the list of
            its subscripts, ints from 0 to 51 and Ellipsis, and perhaps the list of those of the result.

    Returns:
        A tensor.

    Raises:
        ValueError: no operand is given, or a subscript is out of range.
        RuntimeError: the equation does not fit the operands.
        TypeError: the equation is not a string.
    """
    if len(args) < 2:
        raise ValueError("einsum() takes an equation and operands, or operands with lists of subscripts")
    equation, operands = _equation(args) if isinstance(args[0], Tensor) else (args[0], args[1:])
    if not isinstance(equation, str):
        raise TypeError(f"equation must be a str, got {type(equation).__name__}")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return torch.einsum(equation if CAPITALS else _small(equation), *operands)


scripts_as_torch("einsum")
