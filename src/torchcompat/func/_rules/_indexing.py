"""Choosing and writing elements by position: ``x[...]``, ``x[...] = y``, ``index_select`` and its like.

Ints, slices, None and ``...`` choose a view of the batch. What is left are tensors of positions. If those are mapped
over, each sample's go with the number of that sample, an arange over each level of the tensor that is indexed, so that
one indexing of the batch does it. A mask that is mapped over would choose another number of elements from each sample:
RuntimeError, as in torch. Left to the loop: ``index_reduce``, Python bools and uint8 masks as index, and samples
without dimensions.
"""

from __future__ import annotations

from typing import Any

import torch

from .._batched import (
    Levels,
    levels_of,
    lift,
    loop,
    physical_of,
    rank,
    refuse_wider,
    rule,
    shape,
    spread,
    wrap,
)
from ._reductions import shift

ALL = slice(None)


class Unknown(Exception):
    """An index that the rules leave to the loop."""


def refuse_shape(name: str) -> None:
    """The error for a result whose shape depends on values that are mapped over."""
    raise RuntimeError(
        f"vmap: {name}: the shape of the result would depend on values that are mapped over, and be another one for "
        "each sample. torch.where(mask, x, 0) keeps the shape."
    )


# --- reading an index


def _item(item: Any) -> Any:
    """One entry of an index: an int, slice, None, Ellipsis or tensor of positions or mask, not a plain number."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, torch.Tensor):
        if item.dtype == torch.uint8 or (item.dtype == torch.bool and not rank(item)):
            raise Unknown
        if item.dtype == torch.bool and levels_of(item):
            refuse_shape("indexing by a mask")
        return int(item) if not rank(item) and not levels_of(item) and not item.is_floating_point() else item
    if isinstance(item, bool):
        raise Unknown
    if hasattr(item, "__index__"):
        return item.__index__()
    return _item(_tensor(item))


def _tensor(items: Any) -> Any:
    """The tensor for a list, a range or an array of positions."""
    if levels_of(items):
        return torch.stack(list(items))
    if isinstance(items, (list, tuple, range)):
        return torch.tensor(items, dtype=torch.long) if not len(items) else torch.tensor(items)
    return torch.as_tensor(items)


def _is_one_index(index: Any) -> bool:
    """Whether a list is one tensor of positions, and not, as a tuple, an index for each of the dimensions."""
    return all(isinstance(item, (int, list)) or (isinstance(item, torch.Tensor) and not rank(item)) for item in index)


def _items(index: Any, ndim: int) -> list[Any]:
    """The entries of an index, without Ellipsis, for *ndim* dimensions."""
    if isinstance(index, list) and not _is_one_index(index):
        raise Unknown
    items = [_item(item) for item in (index if isinstance(index, tuple) else (index,))]
    used = 0
    for item in items:
        if item is not None and item is not Ellipsis:
            used += rank(item) if isinstance(item, torch.Tensor) and item.dtype == torch.bool else 1
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    dots = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise Unknown
    place = dots[0] if dots else len(items)
    return items[:place] + [ALL] * (ndim - used) + items[place + 1 :]


class Place:
    """Where an index points: *base*, a view of the batch, and the positions in some of its dimensions."""

    def __init__(self, base: Any, own: Levels, positions: dict[int, Any]) -> None:
        """*base* is physical, batched over *own*; *positions* has tensors by dimension of the sample."""
        self.own = own
        self.levels = levels_of(*positions.values(), wrap(base, own))
        self.positions = positions
        self.batched = bool(levels_of(*positions.values()))
        order = list(positions)
        rest = [dim for dim in range(base.dim() - len(own)) if dim not in positions]
        self.rest = len(rest)
        self.base = base.permute(list(range(len(own))) + [len(own) + dim for dim in order + rest]) if order else base
        # Torch puts the dimensions of the positions where the first of them was, or in front if others are between
        # them. Positions without dimensions count as ints.
        with_dims = [dim for dim in order if rank(positions[dim]) or not levels_of(positions[dim])]
        gone = [dim for dim in order if dim not in with_dims]
        seats = [dim - sum(other < dim for other in gone) for dim in with_dims]
        together = bool(seats) and seats[-1] - seats[0] == len(seats) - 1
        self.seat = seats[0] if together else 0
        self.ndim = max([rank(tensor) for tensor in positions.values()], default=0)

    def _index(self) -> Any:
        tensors = list(self.positions.values())
        if not self.batched:
            return tuple([ALL] * len(self.own) + tensors)
        lifted = [lift(tensor, self.levels, self.ndim) for tensor in tensors]
        return tuple([self._numbers(level, lifted[0].device) for level in self.own] + lifted)

    def _numbers(self, level: Any, device: Any) -> Any:
        sizes = [1] * (len(self.levels) + self.ndim)
        sizes[self.levels.index(level)] = level.size
        return torch.arange(level.size, device=device).reshape(sizes)

    def _seated(self, tensor: Any, back: bool = False) -> Any:
        """Move the dimensions of the positions from the front of the sample to their seat, or back."""
        if not self.seat or not self.ndim:
            return tensor
        by, seat, ndim = len(self.levels), self.seat, self.ndim
        front = list(range(by))
        moved = list(range(by, by + (seat if back else ndim)))
        passed = list(range(by + len(moved), by + seat + ndim))
        return tensor.permute(front + passed + moved + list(range(by + seat + ndim, tensor.dim())))

    def read(self) -> Any:
        """What is there, as a logical tensor."""
        if not self.positions:
            return wrap(self.base, self.own)
        return wrap(self._seated(self.base[self._index()]), self.levels)

    def write(self, value: Any, accumulate: bool = False) -> None:
        """Write *value*, a number or a logical tensor that broadcasts, into the memory of the batch."""
        if isinstance(value, torch.Tensor):
            value = self._seated(self._fitted(value), back=True)
        if accumulate:
            self.base.index_put_(self._full_index(), value, accumulate=True)
        elif self.positions:
            self.base[self._index()] = value
        elif isinstance(value, torch.Tensor):
            self.base.copy_(value)  # torch 1.10 and 1.11 lose the gradient of a number in brackets
        else:
            self.base[...] = value

    def _full_index(self) -> Any:
        index = self._index()
        if self.batched:
            return index
        # index_put_ takes no slices below 1.8, so that each level gets its numbers.
        by = len(self.own)
        numbers = [self._numbers(level, index[-1].device) for level in self.own]
        return tuple(numbers + [lift(tensor, self.levels, self.ndim) for tensor in index[by:]])

    def _fitted(self, value: Any) -> Any:
        """The physical *value* with as many dimensions as the result; torch drops leading ones."""
        ndim = self.ndim + self.rest
        sizes = list(shape(value))
        surplus = len(sizes) - ndim
        if surplus > 0:
            if any(size != 1 for size in sizes[:surplus]):
                raise RuntimeError(f"shape mismatch: a value of shape {sizes} for {ndim} dimensions")
            value = wrap(physical_of(value).reshape(_lead(value) + sizes[surplus:]), levels_of(value))
        return lift(value, self.levels, ndim)


def _lead(tensor: Any) -> list[int]:
    return list(physical_of(tensor).shape[: len(levels_of(tensor))])


def locate(input: Any, index: Any) -> Place:
    """The place in *input*, or in its memory, that an index of Python's brackets points to."""
    own = levels_of(input)
    view: list[Any] = [ALL] * len(own)
    positions: dict[int, Any] = {}
    dim = used = 0
    for item in _items(index, rank(input)):
        if isinstance(item, torch.Tensor):
            found = _where(item, shape(input)[used:]) if item.dtype == torch.bool else [item]
            positions.update(zip(range(dim, dim + len(found)), found))
            view += [ALL] * len(found)
            dim, used = dim + len(found), used + len(found)
            continue
        view.append(item)
        dim += not isinstance(item, int)
        used += item is not None
    return Place(physical_of(input)[tuple(view)], own, positions)


def _where(mask: Any, sizes: Any) -> list[Any]:
    if tuple(mask.shape) != tuple(sizes[: mask.dim()]):
        raise IndexError(f"the shape of the mask {list(mask.shape)} does not match the indexed tensor {list(sizes)}")
    return list(mask.nonzero(as_tuple=True))  # torch 1.7 warns of nonzero() alone


# --- brackets


@rule("__getitem__")
def get_item(func: Any, input: Any, index: Any) -> Any:
    try:
        return locate(input, index).read()
    except Unknown:
        return NotImplemented


@rule("__setitem__")
def set_item(func: Any, input: Any, index: Any, value: Any) -> Any:
    refuse_wider("x[...] = y", input, levels_of(input, index, value))
    try:
        place = locate(input, index)
    except Unknown:
        return _set_each(input, index, value)
    place.write(value)
    return None


def _set_each(input: Any, index: Any, value: Any) -> Any:
    """The loop for what :func:`locate` leaves."""
    loop(_ASSIGN, input, index, value)


class _Assign:
    __name__ = "assign_"  # in place, for the loop

    def __call__(self, input: Any, index: Any, value: Any) -> None:
        input[index] = value


_ASSIGN = _Assign()


@rule("index_put", "index_put_")
def index_put(func: Any, input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    target = copy_or_target(func, input, indices, values)
    index = tuple([ALL if index is None else index for index in indices])
    try:
        place = locate(target, index)
    except Unknown:
        return NotImplemented
    place.write(values, accumulate)
    return target


def copy_or_target(func: Any, input: Any, *others: Any) -> Any:
    """What an operation writes into: *input*, or a copy of it that is batched as widely as the *others*."""
    levels = levels_of(input, others)
    if func.__name__.endswith("_"):
        refuse_wider(func.__name__, input, levels)
        return input
    return wrap(spread(input, levels).clone(), levels)


# --- positions along one dimension


def _along(input: Any, dim: Any, index: Any) -> Place | None:
    """The place of a vector of positions along *dim*, or None where torch is to answer."""
    dim = shift(dim, rank(input), 0)
    if dim is None or not isinstance(index, torch.Tensor) or rank(index) > 1 or index.is_floating_point():
        return None
    if not rank(index):
        index = wrap(physical_of(index).unsqueeze(-1), levels_of(index))
    index = wrap(physical_of(index).long(), levels_of(index))
    return Place(physical_of(input), levels_of(input), {dim: index})


@rule("index_select")
def index_select(func: Any, input: Any, dim: Any, index: Any) -> Any:
    place = _along(input, dim, index)
    if place is None:
        return NotImplemented
    if place.batched:
        return place.read()
    return wrap(func(physical_of(input), shift(dim, rank(input), len(place.own)), index), place.own)


@rule("index_fill", "index_fill_")
def index_fill(func: Any, input: Any, dim: Any, index: Any, value: Any) -> Any:
    if isinstance(value, torch.Tensor) and rank(value):
        return NotImplemented
    target = copy_or_target(func, input, index, value)
    place = _along(target, dim, index)
    if place is None:
        return NotImplemented
    place.write(value)
    return target


@rule("index_add", "index_add_", "index_copy", "index_copy_")
def index_write(func: Any, input: Any, dim: Any, index: Any, source: Any = None, **kwargs: Any) -> Any:
    source = kwargs.pop("tensor", source)  # its name up to 1.8
    target = copy_or_target(func, input, index, source)
    place = _along(target, dim, index)
    if place is None or not _matches(target, shift(dim, rank(input), 0), index, source):
        return NotImplemented
    alpha = kwargs.get("alpha", 1)
    place.write(source if alpha == 1 else source * alpha, accumulate=func.__name__.startswith("index_add"))
    return target


def _matches(target: Any, dim: int, index: Any, source: Any) -> bool:
    """Whether *source* has the shape that torch wants, which is stricter than broadcasting, and the dtype."""
    sizes = list(shape(target))
    sizes[dim] = int(shape(index)[0]) if rank(index) else 1
    return list(shape(source)) == sizes and source.dtype == target.dtype
