"""Operations that join tensors, pad them or make new ones. Left to the loop: ``cartesian_prod``, ``combinations``."""

from __future__ import annotations

from typing import Any

import torch

from ..._torch import at_least
from .._batched import BatchedTensor, Levels, levels_of, loop, physical_of, rank, rule, shape, spread, wrap
from ._reductions import again, shift
from ._shapes import lead, reshaped, sizes_of


def _dim(args: Any, kwargs: Any) -> Any:
    """The dim of an operation that joins tensors, 0 by default; None where there is more, such as ``out``."""
    if len(args) + len(kwargs) > 1 or not set(kwargs) <= {"dim", "axis"}:
        return None
    return args[0] if args else next(iter(kwargs.values()), 0)


@rule("cat", "concat", "concatenate")
def cat(func: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
    levels = levels_of(tensors)
    ndim = max(map(rank, tensors))
    dim = shift(_dim(args, kwargs), ndim, len(levels))
    if dim is None or not min(map(rank, tensors)):
        return NotImplemented
    return wrap(torch.cat([_part(tensor, tensors, levels, dim) for tensor in tensors], dim), levels)


def _part(tensor: Any, tensors: Any, levels: Levels, dim: int) -> Any:
    """The physical tensor; an empty vector, which torch lets pass beside any shape, gets the right one."""
    whole = spread(tensor, levels)
    ndim = max(map(rank, tensors))
    if tuple(shape(tensor)) != (0,) or ndim == 1:
        return whole
    other = next(one for one in tensors if rank(one) == ndim)
    sizes = list(shape(other))
    sizes[dim - len(levels)] = 0
    return whole.reshape(list(whole.shape[: len(levels)]) + sizes)


@rule("stack")
def stack(func: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
    levels = levels_of(tensors)
    dim = shift(_dim(args, kwargs), rank(tensors[0]) + 1, len(levels))
    if dim is None or len({tuple(shape(tensor)) for tensor in tensors}) > 1:
        return NotImplemented
    return wrap(torch.stack([spread(tensor, levels) for tensor in tensors], dim), levels)


def _at_least(tensor: Any, ndim: int) -> Any:
    """``torch.atleast_1d`` and so on."""
    sizes = list(shape(tensor))
    if len(sizes) >= ndim:
        return tensor
    if ndim == 3:
        sizes = [1, 1, 1] if not sizes else [1] + sizes + [1] if len(sizes) == 1 else sizes + [1]
    else:
        sizes = [1] * (ndim - len(sizes)) + sizes
    return reshaped(tensor, sizes)


@rule("atleast_1d", "atleast_2d", "atleast_3d")
def atleast(func: Any, *tensors: Any) -> Any:
    ndim = int(func.__name__[-2])
    if len(tensors) == 1:
        if isinstance(tensors[0], torch.Tensor):
            return _at_least(tensors[0], ndim)
        tensors = tuple(tensors[0])
    return tuple([_at_least(tensor, ndim) for tensor in tensors])


@rule("hstack", "vstack", "dstack", "row_stack", "column_stack")
def stack_at_least(func: Any, tensors: Any, **kwargs: Any) -> Any:
    if kwargs:
        return NotImplemented
    if func.__name__ == "column_stack":
        tensors = [reshaped(tensor, [-1, 1]) if rank(tensor) < 2 else tensor for tensor in tensors]
        return torch.cat(tensors, 1)
    ndim, dim = {"hstack": (1, 0), "dstack": (3, 2)}.get(func.__name__, (2, 0))
    tensors = [_at_least(tensor, ndim) for tensor in tensors]
    if func.__name__ == "hstack" and rank(tensors[0]) > 1:
        dim = 1
    return torch.cat(tensors, dim)


@rule("hsplit", "vsplit", "dsplit")
def split_at_least(func: Any, input: Any, sections: Any) -> Any:
    dim = {"hsplit": int(rank(input) > 1), "vsplit": 0, "dsplit": 2}[func.__name__]
    needed = {"hsplit": 1, "vsplit": 2, "dsplit": 3}[func.__name__]
    if rank(input) < needed or (isinstance(sections, int) and (not sections or shape(input)[dim] % sections)):
        return NotImplemented
    return input.tensor_split(sections, dim=dim)


@rule("block_diag")
def block_diag(func: Any, *tensors: Any) -> Any:
    if max(map(rank, tensors)) > 2:
        return NotImplemented
    blocks = [_at_least(tensor, 2) for tensor in tensors]
    width = sum(int(shape(block)[1]) for block in blocks)
    rows, before = [], 0
    for block in blocks:
        own = int(shape(block)[1])
        rows.append(torch.nn.functional.pad(block, (before, width - before - own)))
        before += own
    return torch.cat(rows)


# --- broadcasting


def _blank(tensor: Any) -> Any:
    """A tensor of the sample's shape without memory of its own."""
    return torch.empty([], dtype=tensor.dtype).expand(shape(tensor))


@rule("broadcast_tensors")
def broadcast_tensors(func: Any, *tensors: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    blanks = func(*[_blank(tensor) for tensor in tensors])
    return type(blanks)([tensor.expand(blanks[0].shape) for tensor in tensors])


@rule("meshgrid")
def meshgrid(func: Any, *tensors: Any, **kwargs: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    # Raises and warns as torch does. Not func: tensors in a list come by as those of another function, of a list.
    blanks = torch.meshgrid(*[_blank(tensor) for tensor in tensors], **kwargs)
    grids = []
    for number, tensor in enumerate(tensors):
        sizes = [1] * len(tensors)
        place = 1 - number if kwargs.get("indexing") == "xy" and number < 2 <= len(tensors) else number
        sizes[place] = -1
        grids.append(reshaped(tensor, sizes).expand(blanks[0].shape))
    return type(blanks)(grids)


# --- borders


@rule("pad", "_pad")
def pad(func: Any, input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    pad, ndim, physical = list(pad), rank(input), physical_of(input)
    padded = len(pad) // 2
    if levels_of(pad, value) or len(pad) % 2:
        return NotImplemented
    if mode == "constant":
        return again(func(physical, pad, mode, value or 0), input) if padded <= ndim else NotImplemented
    if not padded or not padded + 1 + (mode == "circular") <= ndim <= padded + 2:
        return NotImplemented
    return _per_sample(lambda images: func(images, pad, mode), input, padded + 1)


def _per_sample(function: Any, input: Any, ndim: int) -> Any:
    """*function*, of N tensors with *ndim* dimensions each, where the batch and what else is in front make N."""
    physical = physical_of(input)
    front = list(physical.shape[: physical.dim() - ndim])
    total = 1
    for size in front:
        total *= size
    result = function(physical.reshape([total] + list(physical.shape[physical.dim() - ndim :])))
    return again(result.reshape(front + list(result.shape[1:])), input)


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def shuffle(func: Any, input: Any, factor: Any = None, **kwargs: Any) -> Any:
    factor = next(iter(kwargs.values()), factor)
    if rank(input) < 3 or not isinstance(factor, int):
        return NotImplemented
    ndim = 3 if func.__name__.startswith("pixel") else rank(input) - 1
    return _per_sample(lambda images: func(images, factor), input, ndim)


# --- new tensors. They belong to the sample that they are made from, so that results can be written into them.


@rule("new_zeros", "new_ones", "new_empty")
def new(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    size = kwargs.pop("size", None)
    sizes = sizes_of(args if size is None else (size,), {})
    return again(func(physical_of(input), lead(input) + sizes, **kwargs), input)


@rule("new_full")
def new_full(func: Any, input: Any, size: Any, fill_value: Any, **kwargs: Any) -> Any:
    if levels_of(fill_value):
        return NotImplemented
    return again(func(physical_of(input), lead(input) + list(size), fill_value, **kwargs), input)


@rule("new_tensor")
def new_tensor(func: Any, input: Any, data: Any, **kwargs: Any) -> Any:
    result = func(physical_of(input), data, **kwargs)
    return again(result.expand(lead(input) + list(result.shape)).clone(), input)


@rule("new")
def new_legacy(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if len(args) == 1 and isinstance(args[0], list) and not levels_of(args):
        return new_tensor(func, input, args[0], **kwargs)
    if kwargs or not all(isinstance(arg, (int, torch.Size)) for arg in args):
        return NotImplemented
    return new(torch.Tensor.new_empty, input, *(args or (0,)))


def _method(function: Any, original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = function(original, self, *args, **kwargs)
        return loop(original, self, *args, **kwargs) if result is NotImplemented else result

    return call


# On the way of these to __torch_function__ torch 1.7 loses the arguments, https://github.com/pytorch/pytorch/issues/47069,
# and 1.8 to 1.11 crash on keywords. So they do not go that way.
if not at_least(1, 12):
    for _name, _function in (("new_ones", new), ("new_tensor", new_tensor), ("new", new_legacy)):
        setattr(BatchedTensor, _name, _method(_function, getattr(torch.Tensor, _name)))
