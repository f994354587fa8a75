"""Operations that look at where the elements of a tensor lie in memory: strides, offsets, sizes of the memory itself.

The samples of a batch share one storage. To the function each looks as if it began where the batch does, as torch's own
vmap has it: its offset is the batch's, and an offset counts from there. So these cannot be looped over slices of the
batch, whose offsets differ.
"""

from __future__ import annotations

from typing import Any

import torch

from .._batched import levels_of, physical_of, rule, shape, spread, wrap
from ._reductions import again
from ._shapes import lead, sizes_of


@rule("storage_offset")
def storage_offset(func: Any, input: Any) -> int:
    return int(physical_of(input).storage_offset())


@rule("data_ptr", "storage", "untyped_storage", "_typed_storage", "storage_type", "is_set_to", "set_", "as_strided_")
def of_the_memory(func: Any, *args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(
        f"vmap: {func.__name__} of a tensor that is mapped over: the samples of a batch have no memory of their own"
    )


def _strides(input: Any, size: Any, stride: Any, offset: Any) -> Any:
    """The arguments of ``as_strided`` for the whole batch; raises for what a sample alone does not have."""
    physical, by = physical_of(input), len(levels_of(input))
    first = physical.storage_offset() if offset is None else offset
    size, stride = sizes_of((size,), {}), sizes_of((stride,), {})
    if 0 not in size:
        last = first + _span(size, stride)
        if (
            not physical.storage_offset()
            <= first
            <= last
            <= physical.storage_offset() + _span(shape(input), physical.stride()[by:])
        ):
            raise RuntimeError(
                f"vmap: as_strided(size={size}, stride={stride}, storage_offset={offset}) goes beyond the sample, "
                f"which has the shape {list(shape(input))} and the strides {list(physical.stride()[by:])}"
            )
    return lead(input) + size, list(physical.stride()[:by]) + stride, first


def _span(size: Any, stride: Any) -> int:
    """How far the last element is from the first."""
    return sum((one - 1) * step for one, step in zip(size, stride))


@rule("as_strided", "as_strided_copy")
def as_strided(func: Any, input: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    return again(func(physical_of(input), *_strides(input, size, stride, storage_offset)), input)


@rule("as_strided_scatter")
def as_strided_scatter(func: Any, input: Any, src: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    levels = levels_of(input, src)
    whole = spread(input, levels)
    copy = whole.clone()
    if copy.stride() != whole.stride():
        if not physical_of(input).is_contiguous():
            raise RuntimeError("vmap: as_strided_scatter into samples that lie across each other in memory")
        copy = whole.contiguous().clone()
    offset = None if storage_offset is None else storage_offset - whole.storage_offset()
    # Not by func, whose own derivative is wrong for more than one sample.
    copy.as_strided(*_strides(wrap(copy, levels), size, stride, offset)).copy_(spread(src, levels))
    return wrap(copy, levels)


@rule("new_empty_strided")
def new_empty_strided(func: Any, input: Any, size: Any, stride: Any, **kwargs: Any) -> Any:
    sizes, strides = sizes_of((size,), {}), sizes_of((stride,), {})
    front: list[int] = []
    step = 0 if 0 in sizes else _span(sizes, strides) + 1  # each sample has memory of its own
    for one in reversed(lead(input)):
        front.insert(0, step)
        step *= one
    return again(func(physical_of(input), lead(input) + sizes, front + strides, **kwargs), input)


@rule("is_contiguous")
def is_contiguous(func: Any, input: Any, *args: Any, **kwargs: Any) -> bool:
    sample = physical_of(input)
    for level in levels_of(input):
        if not level.size:
            return True
        sample = sample.select(0, 0)
    return bool(func(sample, *args, **kwargs))


@rule("resize_", "resize_as_")
def resize(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if func.__name__ == "resize_as_":
        sizes = list(shape(args[0] if args else kwargs["the_template"]))
    else:
        sizes = sizes_of([kwargs["size"]] if "size" in kwargs else args, {})
    wanted, there = torch.Size(sizes).numel(), torch.Size(shape(input)).numel()
    if sizes == list(shape(input)):
        return input
    physical = physical_of(input)
    if wanted > there or not physical.is_contiguous() or physical.requires_grad:
        raise RuntimeError(
            f"vmap: {func.__name__} of a tensor that is mapped over, from {list(shape(input))} to {sizes}: the samples "
            "of a batch have no memory to grow into, and only contiguous ones without a gradient can shrink. Reshape."
        )
    flat = physical.view(lead(input) + [there]).narrow(-1, 0, wanted)
    input._physical = flat.as_strided(lead(input) + sizes, list(flat.stride()[:-1]) + _contiguous(sizes))
    return input


def _contiguous(sizes: Any) -> list[int]:
    strides: list[int] = []
    step = 1
    for size in reversed(sizes):
        strides.insert(0, step)
        step *= max(size, 1)
    return strides
