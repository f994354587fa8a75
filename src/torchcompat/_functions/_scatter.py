"""Writing to places of a copy, where several elements may go to one place: added, multiplied, averaged, the largest."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import at_least
from ._arguments import check_tensor, wrapped
from ._promote import is_complex, refuse_out
from ._scripts import scripted, scripts_as_torch

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")
TRUNCATES = at_least(1, 8)


def _floor_divided(total: Any, count: Any) -> Any:
    """*total* by *count*, rounded down where both are integers, on which ``//`` once rounded to 0."""
    if total.dtype.is_floating_point or is_complex(total.dtype):
        return total / count.to(total.dtype)
    count = count.to(total.dtype)
    return _exact(total - total.remainder(count), count)


def _exact(multiple: Any, divisor: Any) -> Any:
    return torch.div(multiple, divisor, rounding_mode="trunc") if TRUNCATES else multiple // divisor


class Groups:
    """The elements of *src* that go to one place each of *input*, as vectors sorted by place.

    Both are taken as flat; *places* are those of the elements of *src* in the flat *input*.
    """

    def __init__(self, places: Any, src: Any, size: int) -> None:
        ordered, origin = places.sort()
        self.size, self.places = size, ordered
        self.values = src.gather(0, origin)
        starts = torch.cat([torch.ones_like(ordered[:1]), (ordered[1:] != ordered[:-1]).to(torch.int64)])
        index = torch.arange(ordered.numel(), device=ordered.device)
        # How many elements of the place came before, from the last start of a place on.
        begun = _running_max(index * starts)
        self.rank = index - begun
        self.deepest = int(self.rank.max()) + 1 if ordered.numel() else 0

    def folded(self, initial: Any, combine: Any) -> Any:
        """*initial* combined with the first element of every place, then with the second, and so on."""
        result = initial
        for depth in range(self.deepest):
            chosen = (self.rank == depth).nonzero(as_tuple=True)[0]
            places = self.places.gather(0, chosen)
            result = result.scatter(0, places, combine(result.gather(0, places), self.values.gather(0, chosen)))
        return result


def written(input: Any, dim: Any, index: Any, src: Any) -> Any:
    """``input.scatter(dim, index, src)``; torch 1.10 gives memory that nobody wrote where *index* is empty."""
    return input.scatter(dim, index, src) if index.numel() else input.clone()


def _running_max(values: Any) -> Any:
    """The largest so far, of a vector that is 0 where it does not rise."""
    step = 1
    while step < values.numel():
        values = torch.cat([values[:step], torch.max(values[step:], values[:-step])])
        step *= 2
    return values


def _counts(places: Any, size: int) -> Any:
    return torch.zeros(size, dtype=torch.int64, device=places.device).scatter_add(0, places, torch.ones_like(places))


def _extreme(base: Any, places: Any, src: Any, largest: bool, include: bool) -> Any:
    """The largest or smallest at each place. Those that tie share the gradient, the element of *base* among them.

    It has its share where it does not take part, too, and nobody gets that: as in torch 2.15.
    """
    detached = src.detach()
    groups = Groups(places, detached, base.numel())
    # At places that nothing goes to, the result is base itself.
    initial = base.detach()
    if not include:
        # The first element of each place stands in for what is left out.
        first = (groups.rank == 0).nonzero(as_tuple=True)[0]
        initial = written(initial, 0, groups.places.gather(0, first), groups.values.gather(0, first))
    best = groups.folded(initial, _larger if largest else _smaller)
    if not (base.requires_grad or src.requires_grad):
        return best
    ours = _equal(src.detach(), best.gather(0, places))
    shares = torch.zeros_like(best).scatter_add(0, places, ours.to(best.dtype))
    hit = _counts(places, base.numel()) > 0
    kept = _equal(base.detach(), best) & hit
    shares = shares + kept.to(best.dtype)
    own = kept.to(best.dtype) * float(include) / shares.clamp(min=1)
    weight = torch.where(hit, own, torch.ones_like(best))
    parts = ours.to(best.dtype) / shares.clamp(min=1).gather(0, places)
    # Zeros that carry the gradients: the values are those of best, also where they are infinite or NaN.
    carried = torch.zeros_like(best)
    carried = carried + (base - base.detach()).masked_fill(_not_finite(base), 0) * weight
    carried = carried.scatter_add(0, places, (src - src.detach()).masked_fill(_not_finite(src), 0) * parts)
    return best + carried


def _not_finite(value: Any) -> Any:
    found = value.detach()
    return (found - found) != 0


def _equal(one: Any, other: Any) -> Any:
    return (one == other) | ((one != one) & (other != other))


def _larger(one: Any, other: Any) -> Any:
    return torch.where((other > one) | (other != other), other, one)


def _smaller(one: Any, other: Any) -> Any:
    return torch.where((other < one) | (other != other), other, one)


def reduced(base: Any, places: Any, src: Any, how: str, include: bool) -> Any:
    """The flat *base* with the elements of the flat *src* reduced into it at *places*."""
    if not places.numel():
        return base.clone()
    if how in ("amax", "amin"):
        if base.dtype is torch.bool:
            return _extreme(base.to(torch.uint8), places, src.to(torch.uint8), how == "amax", include).to(torch.bool)
        return _extreme(base, places, src, how == "amax", include)
    if base.dtype is torch.bool:
        if how == "mean":
            raise NotImplementedError("the mean of bools is not defined")
        how, kind = ("amax" if how == "sum" else "amin"), torch.uint8
        return _extreme(base.to(kind), places, src.to(kind), how == "amax", include).to(torch.bool)
    counts = _counts(places, base.numel())
    hit = counts > 0
    start = base if include else torch.where(hit, torch.full_like(base, how == "prod"), base)
    if how == "prod":
        return Groups(places, src, base.numel()).folded(start, lambda one, other: one * other)
    total = start.scatter_add(0, places, src)
    if how == "sum":
        return total
    counts = (counts + int(include)).clamp(min=1)
    return torch.where(hit, _floor_divided(total, counts), base)


def _flat_places(index: Any, shape: list[int], dim: int) -> Any:
    """The places in a flat tensor of *shape* that *index* names along *dim*, as a vector."""
    places = torch.zeros_like(index)
    for axis, size in enumerate(shape):
        if axis == dim:
            places = places * size + index
        else:
            line = torch.arange(index.size(axis), device=index.device)
            places = places * size + line.view([-1 if other == axis else 1 for other in range(index.dim())])
    return places.reshape(-1)


def _check_index(index: Any, size: int, dim: int) -> None:
    if index.dtype not in (torch.int64, torch.int32):
        raise RuntimeError(f"index must be of dtype torch.int64 or torch.int32, got {index.dtype}")
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= size):
        raise RuntimeError(f"index must have values from 0 to {size - 1} for dim {dim}")


def _checked(input: Any, dim: Any, index: Any, src: Any) -> int:
    for name, value in (("input", input), ("index", index), ("src", src)):
        check_tensor(name, value)
    where = wrapped(dim, input.dim())
    if input.dtype != src.dtype:
        raise RuntimeError(f"src must be of the dtype of input, {input.dtype}, got {src.dtype}")
    if not index.numel():
        return where
    shapes = [list(each.shape) or [1] for each in (input, index, src)]
    if not len(shapes[0]) == len(shapes[1]) == len(shapes[2]):
        raise RuntimeError("input, index and src must have as many dimensions")
    for axis, (size, wanted, given) in enumerate(zip(*shapes)):
        if wanted > given or (axis != where and wanted > size):
            raise RuntimeError(
                f"index must not be larger than src, nor, but for dim {where}, than input: got {tuple(index.shape)} "
                f"for {tuple(src.shape)} and {tuple(input.shape)}"
            )
    _check_index(index, shapes[0][where], where)
    return where


def _cut(src: Any, shape: Any) -> Any:
    for axis, size in enumerate(shape):
        src = src.narrow(axis, 0, size)
    return src


def scattered(input: Any, dim: Any, index: Any, src: Any, how: str, include: bool) -> Any:
    where = _checked(input, dim, index, src)
    if not index.numel():
        return input.clone()
    shape = list(input.shape) or [1]
    index = index.reshape(1) if not index.dim() else index
    part = _cut(src.reshape(1) if not src.dim() else src, index.shape)
    places = _flat_places(index.to(torch.int64), shape, where)
    return reduced(input.reshape(-1), places, part.reshape(-1), how, include).reshape(input.shape)


@polyfill(
    "torch.scatter_reduce",
    since="1.12",
    link="https://github.com/pytorch/pytorch/pull/74607",
    limits=[scripted("1.11", "1.11")],
    reason="another function: no `src` and no `include_self`",
)
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """Copy a tensor, and reduce elements of another one into places along a dimension.

    In torch since 1.12. Fallback: ``scatter_add`` for sums and means, else a step for each element of the place that
    gets most; refuses *out*. https://docs.pytorch.org/docs/stable/generated/torch.scatter_reduce.html

    Args:
        input: the tensor to copy.
        dim: the dimension that *index* counts along.
        index: int64 or int32, of as many dimensions; no larger than *src*.
        src: the elements, of the dtype of *input*.
        reduce: "sum", "prod", "mean", "amax" or "amin". The mean of integers is rounded down.
        include_self: the element of *input* takes part.
        out: None.

    Returns:
        A new tensor like *input*. Elements that tie for "amax" and "amin" share the gradient.

    Raises:
        RuntimeError: another *reduce*, dtypes that differ, shapes that do not fit, an index out of range.
        IndexError: *dim* is out of range.
    """
    refuse_out("scatter_reduce", out)
    how = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    if how not in REDUCTIONS:
        raise RuntimeError(f"reduce must be one of {', '.join(REDUCTIONS)}, got {reduce!r}")
    return scattered(input, dim, index, src, how, include_self)


@polyfill(
    "torch.scatter",
    since="1.11",
    link="https://github.com/pytorch/pytorch/blob/v1.11.0/aten/src/ATen/native/TensorAdvancedIndexing.cpp",
    limits=[scripted("1.2", "1.10")],
    reason="no `reduce` up to 1.9, and memory that nobody wrote for an empty index",
)
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    value: Any = None,
    *,
    reduce: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Copy a tensor, and write elements of another one, or a number, to places along a dimension.

    In torch since 1.11. Fallback: torch's own ``scatter``; with *reduce* as of :func:`scatter_reduce`; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.scatter.html

    Args:
        input: the tensor to copy.
        dim: the dimension that *index* counts along.
        index: int64, of as many dimensions.
        src: the elements, of the dtype of *input*, or a number.
        value: the number by keyword.
        reduce: "add" or "multiply": with what is there. None: instead of it.
        out: None.

    Returns:
        A new tensor like *input*.

    Raises:
        RuntimeError: another *reduce*, dtypes that differ, shapes that do not fit, an index out of range.
        IndexError: *dim* is out of range.
    """
    refuse_out("scatter", out)
    check_tensor("input", input)
    check_tensor("index", index)
    given = src if value is None else value
    if (src is None) == (value is None) or isinstance(value, Tensor):
        raise TypeError("scatter() takes one of src, a Tensor or number, and value, a number")
    if not isinstance(given, (Tensor, numbers.Number)):
        raise TypeError(f"src must be a Tensor or a number, got {type(given).__name__}")
    if reduce is None:
        wrapped(dim, input.dim())
        if isinstance(given, Tensor) and given.dtype != input.dtype:
            raise RuntimeError(f"src must be of the dtype of input, {input.dtype}, got {given.dtype}")
        return written(input, dim, index, given)
    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"reduce must be 'add' or 'multiply', got {reduce!r}")
    if not isinstance(given, Tensor):
        given = torch.full(index.shape, given, dtype=input.dtype, device=input.device)
    return scattered(input, dim, index, given, "sum" if reduce == "add" else "prod", True)


scripts_as_torch("scatter_reduce", "scatter")
