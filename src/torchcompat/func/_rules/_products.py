"""Products of matrices and vectors, einsum, and the linear layer.

Torch's matmul broadcasts leading dimensions, so those of the batch need no copy. An operand that is the same for all
samples is used once: a matrix that is not batched makes one big product, and so does one that a derivative has expanded
over the batch. Left to the loop: lobpcg, ormqr, the sparse products.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from .._batched import (
    BatchedTensor,
    Levels,
    fold,
    levels_of,
    lift,
    physical_of,
    rank,
    refuse_wider,
    rule,
    shape,
    unfold,
    wrap,
)
from .._shared import SharedLinear, is_shared


def is_expanded(tensor: Any) -> bool:
    """Whether a batched tensor is one sample that was expanded over the batch."""
    if type(tensor) is not BatchedTensor:
        return False
    count = len(tensor._levels)
    return not any(tensor._physical.stride()[:count]) and 0 not in tensor._physical.shape[:count]


def one_for_all(tensor: Any, levels: Levels) -> Any:
    """*tensor*, without its batch if that is expanded, over some of *levels*, and wants no gradient for each sample."""
    if not is_expanded(tensor) or tensor._physical.requires_grad or not set(tensor._levels) <= set(levels):
        return tensor
    return tensor._physical[(0,) * len(tensor._levels)]


def wants_own_gradients(tensor: Any) -> bool:
    """Whether *tensor* is expanded over the batch and each sample wants a gradient with respect to it."""
    return is_expanded(tensor) and bool(tensor._physical.requires_grad)


def _product(x: Any, y: Any) -> Any:
    """``x @ y`` of logical tensors of 1 or more dimensions."""
    x, y = one_for_all(x, levels_of(y)), one_for_all(y, levels_of(x))
    levels = levels_of(x, y)
    first, second = physical_of(x), physical_of(y)
    if not levels_of(y) and rank(y) <= 2:
        return wrap(torch.matmul(first, second), levels)
    if not levels_of(x) and rank(x) == 1:
        return wrap(torch.matmul(first, second) if rank(y) > 1 else torch.matmul(second, first), levels)
    if not levels_of(x) and rank(x) == 2 and rank(y) == 1:
        return wrap(torch.matmul(second, first.t()), levels)
    if rank(y) == 2 and wants_own_gradients(y):
        return linear(None, x, wrap(second.transpose(-1, -2), levels_of(y)))
    if rank(x) == 2 and rank(y) == 1 and wants_own_gradients(x):
        return linear(None, y, x)
    return wrap(_of_batches(x, y, levels), levels)


def _of_batches(x: Any, y: Any, levels: Levels) -> Any:
    ndim = max(rank(x), rank(y), 2)
    first, second = physical_of(x), physical_of(y)
    if rank(x) == 1:
        x = wrap(first.unsqueeze(-2), levels_of(x))
    if rank(y) == 1:
        y = wrap(second.unsqueeze(-1), levels_of(y))
        result = torch.matmul(lift(x, levels, ndim), lift(y, levels, ndim)).squeeze(-1)
        return result.squeeze(-1) if first is not physical_of(x) else result
    result = torch.matmul(lift(x, levels, ndim), lift(y, levels, ndim))
    return result.squeeze(-2) if first is not physical_of(x) else result


@rule("matmul", "__matmul__", "linalg_matmul")
def matmul(func: Any, input: Any, other: Any) -> Any:
    if not (isinstance(input, torch.Tensor) and isinstance(other, torch.Tensor) and rank(input) and rank(other)):
        return NotImplemented
    return _product(input, other)


@rule("__rmatmul__")
def reflected_matmul(func: Any, input: Any, other: Any) -> Any:
    return matmul(func, other, input)


RANKS = {"mm": (2, 2), "mv": (2, 1), "bmm": (3, 3), "dot": (1, 1), "vdot": (1, 1)}


@rule("mm", "mv", "bmm", "dot")
def strict_product(func: Any, input: Any, other: Any, **kwargs: Any) -> Any:
    ranks = RANKS[func.__name__]
    wrong = (rank(input), rank(other)) != ranks or (ranks[0] == 3 and shape(input)[0] != shape(other)[0])
    return NotImplemented if wrong or kwargs else _product(input, other)


@rule("vdot", "linalg_vecdot")
def vdot(func: Any, input: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
    if (rank(input), rank(other)) != (1, 1) or args or kwargs:
        return NotImplemented
    return _product(input.conj() if input.is_complex() else input, other)


@rule("outer", "ger")
def outer(func: Any, input: Any, vec2: Any) -> Any:
    if (rank(input), rank(vec2)) != (1, 1):
        return NotImplemented
    levels = levels_of(input, vec2)
    return wrap(lift(input, levels).unsqueeze(-1) * lift(vec2, levels).unsqueeze(-2), levels)


@rule("inner")
def inner(func: Any, input: Any, other: Any) -> Any:
    if not (rank(input) and rank(other)):
        return input * other
    return tensordot(func, input, other, ([-1], [-1]))


# beta * input + alpha * (what these are of the other two arguments)
ADDED: dict[str, tuple[tuple[int, int], Any]] = {
    "addmm": ((2, 2), lambda x, y: _product(x, y)),
    "addmv": ((2, 1), lambda x, y: _product(x, y)),
    "baddbmm": ((3, 3), lambda x, y: _product(x, y)),
    "addbmm": ((3, 3), lambda x, y: _product(x, y).sum(0)),
    "addr": ((1, 1), lambda x, y: outer(None, x, y)),
}


@rule(*ADDED, *[name + "_" for name in ADDED])
def added_product(func: Any, input: Any, first: Any, second: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    ranks, product = ADDED[func.__name__.rstrip("_")]
    if not isinstance(first, torch.Tensor) or (rank(first), rank(second)) != ranks:
        return NotImplemented  # among them the form addmm(beta, input, alpha, first, second)
    if ranks[0] == 3 and shape(first)[0] != shape(second)[0]:
        return NotImplemented
    result = product(first, second)
    if rank(input) > rank(result):
        return NotImplemented
    result = result if alpha == 1 else result * alpha
    if beta:
        result = result + (input if beta == 1 else input * beta)
    if not func.__name__.endswith("_"):
        return result
    refuse_wider(func.__name__, input, levels_of(input, first, second))
    physical_of(input).copy_(physical_of(result))
    return input


@rule("chain_matmul")
def chain_matmul(func: Any, *matrices: Any) -> Any:
    return functools.reduce(lambda x, y: x @ y, matrices)


@rule("linalg_multi_dot")
def multi_dot(func: Any, tensors: Any) -> Any:
    return functools.reduce(lambda x, y: x @ y, tensors)


# The linear layer.


@rule("linear")
def linear(func: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if rank(weight) != 2 or not rank(input):
        return NotImplemented
    weight = one_for_all(weight, levels_of(input))
    if not levels_of(weight):
        if levels_of(bias):
            return linear(func, input, weight) + bias
        return wrap(func(physical_of(input), weight, bias), levels_of(input))
    levels = levels_of(input, weight)
    middle = list(shape(input)[:-1])
    rows = fold(input, levels)
    rows = rows.reshape(rows.shape[0], _count(middle), rows.shape[-1])
    matrices = fold(weight, levels)
    if matrices.requires_grad and is_shared(matrices):
        result = SharedLinear.apply(rows, matrices)  # type: ignore[no-untyped-call]
    elif bias is not None and levels_of(bias) == levels:
        result = torch.baddbmm(fold(bias, levels).unsqueeze(1), rows, matrices.transpose(1, 2))
        bias = None
    else:
        result = torch.bmm(rows, matrices.transpose(1, 2))
    result = unfold(result.reshape([result.shape[0]] + middle + [result.shape[-1]]), levels)
    return result if bias is None else result + bias


def _count(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


@rule("bilinear")
def bilinear(func: Any, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    if rank(input1) != rank(input2) or not rank(input1) or rank(weight) != 3:
        return NotImplemented
    result = einsum(torch.einsum, "...i,oij,...j->...o", input1, weight, input2)
    return result if bias is None else result + bias


# einsum and tensordot.

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _explicit(equation: str) -> tuple[list[str], str]:
    """The subscripts of the operands and of the result of an einsum *equation*."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = ("..." if "..." in left else "") + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    return left.split(","), right


@rule("einsum")
def einsum(func: Any, equation: Any, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not isinstance(equation, str):
        return NotImplemented
    inputs, output = _explicit(equation)
    levels = levels_of(*operands)
    free = [letter for letter in LETTERS if letter not in equation]
    if len(inputs) != len(operands) or len(free) < len(levels):
        return NotImplemented
    letter_of = dict(zip(levels, free))
    operands = tuple(
        one_for_all(one, levels_of(*[other for other in operands if other is not one])) for one in operands
    )

    def letters(one: Any) -> str:
        return "".join(letter_of[level] for level in levels_of(one))

    terms = ",".join(letters(operand) + subscripts for operand, subscripts in zip(operands, inputs))
    levels = levels_of(*operands)
    result = func(f"{terms}->{letters(wrap(operands[0], levels))}{output}", *[physical_of(one) for one in operands])
    return wrap(result, levels)


def _pairs(dims: Any, first: int, second: int) -> Any:
    if isinstance(dims, torch.Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        return list(range(first - dims, first)), list(range(dims))
    return [
        [dim % ndim for dim in ([one] if isinstance(one, int) else one)] for one, ndim in zip(dims, (first, second))
    ]


def _matrices(tensor: Any, outer: list[int], inner: list[int], flip: bool) -> Any:
    """A tensor of batches of matrices: *outer* dimensions of the samples by *inner* ones, or transposed."""
    count, physical, sizes = len(levels_of(tensor)), physical_of(tensor), shape(tensor)
    order = inner + outer if flip else outer + inner
    moved = physical.permute(list(range(count)) + [dim + count for dim in order])
    rows, columns = _count(sizes[dim] for dim in outer), _count(sizes[dim] for dim in inner)
    matrix = [columns, rows] if flip else [rows, columns]
    return wrap(moved.reshape(list(physical.shape[:count]) + matrix), levels_of(tensor))


@rule("tensordot")
def tensordot(func: Any, a: Any, b: Any, dims: Any = 2) -> Any:
    pairs = _pairs(dims, rank(a), rank(b))
    first, second = pairs
    sizes = [shape(a)[dim] for dim in first], [shape(b)[dim] for dim in second]
    if sizes[0] != sizes[1]:
        return NotImplemented
    outer = [dim for dim in range(rank(a)) if dim not in first], [dim for dim in range(rank(b)) if dim not in second]
    result = _product(_matrices(a, outer[0], first, False), _matrices(b, outer[1], second, True))
    levels = levels_of(result)
    physical = physical_of(result)
    rest = [shape(a)[dim] for dim in outer[0]] + [shape(b)[dim] for dim in outer[1]]
    return wrap(physical.reshape(list(physical.shape[: len(levels)]) + rest), levels)


@rule("kron")
def kron(func: Any, input: Any, other: Any) -> Any:
    levels = levels_of(input, other)
    ndim, count = max(rank(input), rank(other)), len(levels)
    first, second = lift(input, levels, ndim), lift(other, levels, ndim)
    sizes = [m * n for m, n in zip(first.shape[count:], second.shape[count:])]
    for n in range(ndim):
        first, second = first.unsqueeze(count + 2 * n + 1), second.unsqueeze(count + 2 * n)
    result = first * second
    return wrap(result.reshape(list(result.shape[:count]) + sizes), levels)


@rule("cdist")
def cdist(func: Any, x1: Any, x2: Any, *args: Any, **kwargs: Any) -> Any:
    if min(rank(x1), rank(x2)) < 2:
        return NotImplemented
    levels, ndim = levels_of(x1, x2), max(rank(x1), rank(x2))
    first, second = lift(x1, levels, ndim), lift(x2, levels, ndim)
    sizes = [max(m, n) if min(m, n) else 0 for m, n in zip(first.shape[:-2], second.shape[:-2])]
    # One contiguous stack of matrices: on torch 1.7 gradients need that; those of more dimensions get a wrong shape.
    first, second = (
        one.expand(sizes + list(one.shape[-2:])).reshape([_count(sizes)] + list(one.shape[-2:])).contiguous()
        for one in (first, second)
    )
    result = func(first, second, *args, **kwargs)
    return wrap(result.reshape(sizes + list(result.shape[1:])), levels)
