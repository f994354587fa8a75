"""Operations with a position for each element, masks, the positions of values: ``gather``, ``scatter``, ``one_hot``.

Left to the loop: ``put``, ``masked_scatter``, ``bincount``, ``argwhere``, ``nonzero_static``, samples without
dimensions.
"""

from __future__ import annotations

from typing import Any

import torch

from .._batched import (
    BatchedTensor,
    Levels,
    levels_of,
    lift,
    physical_of,
    rank,
    register,
    rule,
    shape,
    spread,
    wrap,
)
from ._indexing import Place, copy_or_target, refuse_shape
from ._reductions import shift


def _spread_all(levels: Levels, tensors: Any) -> Any:
    return [spread(tensor, levels) if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors]


@rule("gather")
def gather(func: Any, input: Any, dim: Any, index: Any, **kwargs: Any) -> Any:
    levels = levels_of(input, index)
    dim = shift(dim, rank(input), len(levels))
    if dim is None or rank(index) != rank(input):
        return NotImplemented
    return wrap(func(spread(input, levels), dim, spread(index, levels), **kwargs), levels)


SCATTERS = ("scatter", "scatter_add", "scatter_reduce")


def _scatter(func: Any, input: Any, dim: Any, index: Any, *args: Any, **kwargs: Any) -> Any:
    levels = levels_of(input, index, args, kwargs)
    dim = shift(dim, rank(input), len(levels))
    source = kwargs.get("src", kwargs.get("value", args[0] if args else None))
    if isinstance(source, BatchedTensor) and not rank(source):
        return NotImplemented  # a value for each sample
    if dim is None or rank(index) != rank(input):
        return NotImplemented
    target = copy_or_target(func, input, index, args, kwargs)
    tensors = _spread_all(levels, args)
    named = dict(zip(kwargs, _spread_all(levels, kwargs.values())))
    result = func(physical_of(target), dim, spread(index, levels), *tensors, **named)
    return wrap(result, levels) if target is not input else input


register(_scatter, SCATTERS + tuple(f"{name}_" for name in SCATTERS))


@rule("take_along_dim")
def take_along_dim(func: Any, input: Any, indices: Any, dim: Any = None) -> Any:
    if dim is None:
        return torch.gather(input.reshape(-1), 0, indices.reshape(-1))
    levels = levels_of(input, indices)
    dim = shift(dim, rank(input), len(levels))
    if dim is None or rank(indices) != rank(input):
        return NotImplemented
    return wrap(func(lift(input, levels), lift(indices, levels), dim), levels)


@rule("take")
def take(func: Any, input: Any, index: Any) -> Any:
    flat = input.reshape(-1)
    return Place(physical_of(flat), levels_of(flat), {0: index}).read()


# --- masks


@rule("masked_select")
def masked_select(func: Any, input: Any, mask: Any) -> Any:
    if levels_of(mask):
        refuse_shape("masked_select")
    input, mask = torch.broadcast_tensors(input, mask)
    return input[mask]


@rule("nonzero")
def nonzero(func: Any, *args: Any, **kwargs: Any) -> Any:
    refuse_shape(func.__name__)


# --- positions of values


@rule("one_hot")
def one_hot(func: Any, tensor: Any, num_classes: int = -1) -> Any:
    if num_classes == -1:
        refuse_shape("one_hot without num_classes")
    return wrap(func(physical_of(tensor), num_classes), levels_of(tensor))


@rule("searchsorted")
def searchsorted(func: Any, sorted_sequence: Any, input: Any, **kwargs: Any) -> Any:
    levels = levels_of(sorted_sequence, input)
    if levels_of(kwargs) or kwargs.get("sorter") is not None or not isinstance(input, torch.Tensor):
        return NotImplemented
    if not levels_of(sorted_sequence) and rank(sorted_sequence) == 1:
        return wrap(func(sorted_sequence, physical_of(input), **kwargs), levels)
    if rank(sorted_sequence) > 1 and rank(sorted_sequence) == rank(input):
        return wrap(func(_whole(sorted_sequence, levels), _whole(input, levels), **kwargs), levels)
    if rank(sorted_sequence) != 1:
        return NotImplemented
    values = spread(input, levels).reshape([level.size for level in levels] + [-1])
    result = func(_whole(sorted_sequence, levels), values.contiguous(), **kwargs)
    return wrap(result.reshape(list(result.shape[: len(levels)]) + list(shape(input))), levels)


def _whole(tensor: Any, levels: Levels) -> Any:
    return spread(tensor, levels).contiguous()  # torch warns of what is not


@rule("bucketize")
def bucketize(func: Any, input: Any, boundaries: Any, **kwargs: Any) -> Any:  # torchcompat: needs torch >= 1.7
    return searchsorted(torch.searchsorted, boundaries, input, **kwargs)
