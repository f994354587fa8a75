"""Differences and sums along a dimension: ``diff``, ``gradient``, the trapezoids, ``logcumsumexp``."""

from __future__ import annotations

import numbers
from typing import Any, Sequence

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._arguments import as_int, check_distinct, check_tensor, wrapped
from ._promote import as_float, is_complex, join, promote, refuse_out
from ._scripts import scripted, scripts_as_torch


def _ends(value: Any, dim: int, count: int = 1) -> tuple[Any, Any]:
    """All slices of *value* along *dim* but the first *count*, and all but the last."""
    length = max(value.size(dim) - count, 0)
    return value.narrow(dim, min(count, value.size(dim)), length), value.narrow(dim, 0, length)


def _joined(parts: Sequence[Any], dim: int) -> Any:
    dtype = parts[0].dtype
    for part in parts:
        dtype = join(dtype, part.dtype)
    return torch.cat([part.to(dtype) for part in parts], dim)


@polyfill(
    "torch.diff",
    since="1.11",
    link="https://github.com/pytorch/pytorch/blob/v1.11.0/torch/_torch_docs.py#L3269",
    limits=[
        scripted("1.8", "1.10"),
        Limit("negative", "takes a negative *n* for 0", "native", "1.11", "2.0"),
    ],
    reason="`n` must be 1",
)
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Subtract neighbours along a dimension.

    In torch since 1.11. Fallback: *n* subtractions; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.diff.html

    Args:
        input: a tensor of at least one dimension.
        n: how many times.
        dim: the dimension.
        prepend: put in front of *input* first.
        append: put behind it first.
        out: None.

    Returns:
        A tensor that is shorter by *n* along *dim*. Bools that differ give True.

    Raises:
        RuntimeError: *input* has no dimension, *n* is negative, or what is added has other dimensions.
        IndexError: *dim* is out of range.
    """
    refuse_out("diff", out)
    check_tensor("input", input)
    if not input.dim():
        raise RuntimeError("input must have at least one dimension")
    where, times = wrapped(dim, input.dim()), as_int("n", n)
    if times < 0:
        raise RuntimeError(f"n must not be negative, got {times}")
    given = [("prepend", prepend), ("input", input), ("append", append)]
    parts = [(name, part) for name, part in given if part is not None]
    for name, part in parts:
        check_tensor(name, part)
        if part.dim() != input.dim():
            raise RuntimeError(f"{name} must have as many dimensions as input, {input.dim()}, got {part.dim()}")
    result = _joined([part for _, part in parts], where) if len(parts) > 1 else input
    for _ in range(min(times, result.size(where))):
        later, earlier = _ends(result, where)
        result = later != earlier if result.dtype is torch.bool else later - earlier
    return result


# --- gradient


def _uneven(value: Any, points: Any, dim: int) -> Any:
    """The weights of second order at points that are not evenly spaced."""
    view = [-1 if axis == dim else 1 for axis in range(value.dim())]
    steps = (points[1:] - points[:-1]).to(value.dtype)
    before, after = steps[:-1].view(view), steps[1:].view(view)
    count = value.size(dim) - 2
    left, middle, right = (value.narrow(dim, start, count) for start in range(3))
    return (
        right * (before / (after * (before + after)))
        + middle * ((after - before) / (before * after))
        - left * (after / (before * (before + after)))
    )


def _edge(value: Any, steps: Any, dim: int, order: int, last: bool) -> Any:
    at = [value.size(dim) - 1 - k if last else k for k in range(order + 1)]
    first, second = value.narrow(dim, at[0], 1), value.narrow(dim, at[1], 1)
    one = steps[-1] if last else steps[0]
    if order == 1:
        return (first - second) / one if last else (second - first) / one
    other = steps[-2] if last else steps[1]
    third = value.narrow(dim, at[2], 1)
    slope = (
        -first * ((2 * one + other) / (one * (one + other)))
        + second * ((one + other) / (one * other))
        - third * (one / (other * (one + other)))
    )
    return -slope if last else slope


def _slope(value: Any, spacing: Any, dim: int, order: int) -> Any:
    length = value.size(dim)
    if isinstance(spacing, Tensor):
        steps: Any = (spacing[1:] - spacing[:-1]).to(value.dtype)
        inner = _uneven(value, spacing, dim) if length > 2 else value.narrow(dim, 0, 0)
    else:
        steps = [spacing] * 2
        inner = value.narrow(dim, 2, length - 2) - value.narrow(dim, 0, length - 2)
        inner = inner / (2 * spacing)
    edges = [_edge(value, steps, dim, order, last) for last in (False, True)]
    return torch.cat([edges[0], inner, edges[1]], dim)


def _spacings(spacing: Any, dims: list[int], given: bool, ndim: int) -> list[Any]:
    if isinstance(spacing, Tensor) and not spacing.dim():
        spacing = spacing.item()
    if isinstance(spacing, numbers.Number):
        return [spacing] * len(dims)
    if not isinstance(spacing, (list, tuple)):
        raise TypeError(f"spacing must be a number, or a list or tuple of numbers or tensors, got {spacing!r}")
    if len(spacing) != len(dims):
        what = f"{len(dims)}, as many as dim" if given else f"{ndim}, as many as dimensions"
        raise RuntimeError(f"spacing must be a number or have a length of {what}, got {len(spacing)}")
    for step in spacing:
        if not isinstance(step, (Tensor, numbers.Number)):
            raise TypeError(f"spacing must have numbers or tensors, got {type(step).__name__}")
        if isinstance(step, Tensor) and step.dim() != 1:
            raise RuntimeError(f"spacing must have tensors of one dimension, got shape {tuple(step.shape)}")
    return list(spacing)


@polyfill(
    "torch.gradient",
    since="1.10",
    link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L3840",
    limits=[
        scripted("1.9", "1.9"),
        Limit("short", "raises where a dimension that *dim* leaves out is too short", "native", "1.10", "1.10"),
    ],
    reason="no `edge_order=2`",
)
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimate the gradient of a function from samples, by central differences.

    In torch since 1.10. Fallback: differences of second order inside, of *edge_order* at the edges.
    https://docs.pytorch.org/docs/stable/generated/torch.gradient.html

    Args:
        input: the samples.
        spacing: a number, the step in every dimension; or a list or tuple with a number, or the coordinates as a tensor
            of one dimension, for each dimension of *dim*.
        dim: an int, or a tuple of ints; None: every dimension.
        edge_order: 1 or 2.

    Returns:
        A tuple of tensors of the shape of *input*, one for each dimension of *dim*.

    Raises:
        RuntimeError: a dimension has no more than *edge_order* samples, a dim is given twice, another *edge_order*, or
            *spacing* does not fit.
        IndexError: a dim is out of range.
    """
    check_tensor("input", input)
    if input.dtype is torch.uint8:
        raise NotImplementedError("input must not be of dtype torch.uint8")
    if edge_order not in (1, 2):
        raise RuntimeError(f"edge_order must be 1 or 2, got {edge_order!r}")
    ndim = input.dim()
    dims = (
        list(range(ndim))
        if dim is None
        else [wrapped(d, ndim) for d in (dim if isinstance(dim, (list, tuple)) else [dim])]
    )
    check_distinct("dim", dims)
    steps = _spacings(spacing, dims, dim is not None, ndim)
    (value,) = as_float(input)
    for each, step in zip(dims, steps):
        if value.dim() == 0 or value.size(each) <= edge_order:
            raise RuntimeError(
                f"input must have more than {edge_order} samples along dim {each}, got {tuple(input.shape)}"
            )
        if isinstance(step, Tensor) and step.numel() != value.size(each):
            raise RuntimeError(f"spacing must have {value.size(each)} coordinates for dim {each}, got {step.numel()}")
    return tuple(_slope(value, step, each, edge_order) for each, step in zip(dims, steps))


# --- trapezoids


def _areas(name: str, y: Any, x: Any, dx: Any, dim: Any) -> tuple[Any, int]:
    """The areas between neighbours, and the dimension."""
    check_tensor("y", y)
    if x is not None and dx is not None:
        raise TypeError(f"{name}() takes one of x and dx, got both")
    if not y.dim():
        raise IndexError("y must have at least one dimension")
    where = wrapped(dim, y.dim())
    if y.dtype is torch.bool:
        raise NotImplementedError("y must not be of dtype torch.bool")
    if x is None:
        if dx is not None and not isinstance(dx, numbers.Number):
            raise TypeError(f"dx must be a number, got {type(dx).__name__}")
        (value,) = as_float(y)
        later, earlier = _ends(value, where)
        total = later + earlier
        return (total if dx is None else total * dx) / 2, where
    check_tensor("x", x)
    if x.dtype is torch.bool:
        raise NotImplementedError("x must not be of dtype torch.bool")
    return _between(y, x, where), where


def _between(y: Any, x: Any, dim: int) -> Any:
    one, other = as_float(*promote(y, x))
    if other.dim() == 1:
        if other.numel() != one.size(dim):
            raise RuntimeError(f"x must have a value for each of the {one.size(dim)} samples of y, got {other.numel()}")
        other = other.view([-1 if axis == dim else 1 for axis in range(one.dim())])
    elif other.dim() < one.dim():
        other = other.view([1] * (one.dim() - other.dim()) + list(other.shape))
    back = dim - one.dim()
    if other.dim() < -back or (other.size(back) != one.size(dim)):
        raise RuntimeError(f"x must have a value for each of the {one.size(dim)} samples of y, got {tuple(x.shape)}")
    later, earlier = _ends(one, dim)
    further, before = _ends(other, other.dim() + back)
    return (further - before) * (later + earlier) / 2


@polyfill(
    "torch.trapezoid", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L10821"
)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """Integrate samples along a dimension by the trapezoidal rule.

    In torch since 1.10. Fallback: sums of the areas.
    https://docs.pytorch.org/docs/stable/generated/torch.trapezoid.html

    Args:
        y: the samples.
        x: where they were taken: shape ``(n,)``, or one that broadcasts with *y*.
        dx: the distance between neighbours, a number; 1 if neither is given.
        dim: the dimension.

    Returns:
        *y* without *dim*.

    Raises:
        RuntimeError: *x* does not fit.
        IndexError: *dim* is out of range.
        TypeError: both *x* and *dx* are given.
    """
    areas, where = _areas("trapezoid", y, x, dx, dim)
    return areas.sum(where)


@polyfill(
    "torch.cumulative_trapezoid",
    since="1.10",
    link="https://github.com/pytorch/pytorch/pull/61615",
)
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """Integrate samples along a dimension by the trapezoidal rule, up to each of them.

    In torch since 1.10. Fallback: cumulative sums of the areas.
    https://docs.pytorch.org/docs/stable/generated/torch.cumulative_trapezoid.html

    Args:
        y: the samples.
        x: where they were taken: shape ``(n,)``, or one that broadcasts with *y*.
        dx: the distance between neighbours, a number; 1 if neither is given.
        dim: the dimension.

    Returns:
        A tensor that is shorter by one along *dim*.
    """
    areas, where = _areas("cumulative_trapezoid", y, x, dx, dim)
    return areas.cumsum(where)


@polyfill(
    "torch.logcumsumexp",
    since="1.9",
    link="https://github.com/pytorch/pytorch/blob/v1.9.1/torch/_torch_docs.py#L2359",
    limits=[scripted("1.6", "1.8")],
    reason="NaN from `-inf` at the front",
)
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """Sum exponentials along a dimension up to each element, and take the logarithm.

    In torch since 1.9. Fallback: doubles the number of elements that are summed, step by step; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.logcumsumexp.html

    Args:
        input: a tensor of floating point.
        dim: the dimension.
        out: None.

    Returns:
        A new tensor of the shape of *input*.
    """
    refuse_out("logcumsumexp", out)
    check_tensor("input", input)
    if not input.dtype.is_floating_point and not is_complex(input.dtype):
        raise NotImplementedError(f"input must be of a floating-point dtype, got {input.dtype}")
    where = wrapped(dim, input.dim())
    if not input.dim():
        return input.clone()
    result, step = input.clone(), 1
    while step < input.size(where):
        rest = input.size(where) - step
        head = result.narrow(where, 0, step)
        pair = torch.stack([result.narrow(where, step, rest), result.narrow(where, 0, rest)])
        result = torch.cat([head, torch.logsumexp(pair, 0)], where)
        step *= 2
    return result


scripts_as_torch("diff", "gradient", "logcumsumexp")
