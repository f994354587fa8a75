"""Elements by their places: taken, put into a copy, found, and places counted in one or in several dimensions."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor

from .._shim import Limit, lacks, polyfill
from .._torch import at_least, is_version
from ._arguments import as_int, check_tensor, wrapped
from ._promote import is_complex, refuse_out

TRUNCATES = at_least(1, 8)
# Where no step is given, torch 1.13 takes whatever number it finds in memory.
_NO_STEP = (
    "https://github.com/pytorch/pytorch/blob/v1.13.1/torch/csrc/utils/python_arg_parser.h#L981"
    if is_version(1, 13)
    else None
)


def _quotient(multiple: Any, divisor: int) -> Any:
    """An exact division of integers: ``//`` warns on torch 1.8 to 1.12, and ``/`` gives floats from 1.5 on."""
    return torch.div(multiple, divisor, rounding_mode="trunc") if TRUNCATES else multiple // divisor


def broadcast(*shapes: Sequence[int]) -> list[int]:
    """The shape that *shapes* broadcast to."""
    result: list[int] = []
    for position, shape in enumerate(shapes):
        extra = len(shape) - len(result)
        if extra > 0:
            result = [*shape[:extra], *result]
        for back in range(1, min(len(shape), len(result)) + 1):
            size, other = shape[-back], result[-back]
            if size != other and size != 1 and other != 1:
                raise RuntimeError(
                    f"shapes must broadcast: at dimension {-back} shapes[{position}], {tuple(shape)}, has {size}, and "
                    f"the shapes before it {other}"
                )
            result[-back] = other if size == 1 else size
    return result


def _shape(position: int, value: Any) -> Sequence[int]:
    if isinstance(value, (list, tuple)):
        sizes = [as_int(f"shapes[{position}]", size) for size in value]
    elif isinstance(value, Tensor) or not hasattr(value, "__index__"):
        raise RuntimeError(f"shapes[{position}] must be an int, or a tuple or list of ints, got {value!r}")
    else:
        sizes = [as_int(f"shapes[{position}]", value)]
    if any(size < 0 for size in sizes):
        raise ValueError(f"shapes[{position}] must not have negative sizes, got {tuple(sizes)}")
    return sizes


@polyfill(
    "torch.broadcast_shapes",
    since="1.8",
    link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/functional.py#L77",
    limits=[
        Limit("no_shapes", "raises IndexError where no shape is given", "native", "1.8", "1.11"),
        Limit("negative", "takes negative sizes", "native", "1.8", "1.11"),
    ],
)
def broadcast_shapes(*shapes: Any) -> torch.Size:
    """Find the shape that shapes broadcast to.

    In torch since 1.8. Fallback: compares the sizes, from the last dimension on.
    https://docs.pytorch.org/docs/stable/generated/torch.broadcast_shapes.html

    Args:
        shapes: ints, and tuples and lists of ints.

    Returns:
        A ``torch.Size``.

    Raises:
        RuntimeError: the shapes do not broadcast, or something is not a shape.
        ValueError: a size is negative.
    """
    return torch.Size(
        broadcast(*[_shape(position, shape) for position, shape in enumerate(shapes) if shape is not None])
    )


@polyfill("torch.take_along_dim", since="1.9", link="https://github.com/pytorch/pytorch/pull/52833")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """Take elements along a dimension, as the results of ``argmax`` and ``argsort`` say: ``gather`` that broadcasts.

    In torch since 1.9. Fallback: ``expand`` and ``gather``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html

    Args:
        input: a tensor of any shape.
        indices: int64, of as many dimensions; all sizes but that of *dim* broadcast with those of *input*.
        dim: the dimension. None: both tensors are taken as of one dimension.
        out: None.

    Returns:
        A new tensor of the shape that both broadcast to, with the size of *dim* that *indices* has.

    Raises:
        RuntimeError: *indices* are of another dtype, or the shapes do not fit.
        IndexError: *dim* is out of range.
    """
    refuse_out("take_along_dim", out)
    check_tensor("input", input)
    check_tensor("indices", indices)
    if indices.dtype is not torch.int64:
        raise RuntimeError(f"indices must be of dtype torch.int64, got {indices.dtype}")
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    if input.dim() != indices.dim():
        raise RuntimeError(
            f"input and indices must have as many dimensions, got {input.dim()} and {indices.dim()} dimensions"
        )
    where = wrapped(dim, input.dim())
    if not input.dim():
        return input.reshape(1).gather(0, indices.reshape(1)).reshape([])
    sizes, wanted = list(input.shape), list(indices.shape)
    length, taken = sizes[where], wanted[where]
    sizes[where] = wanted[where] = 1
    common = broadcast(sizes, wanted)
    common[where] = length
    spread = input.expand(common)
    common[where] = taken
    return spread.gather(where, indices.expand(common))


def _check_fits(src: Any, part: Any) -> None:
    if src.shape != part.shape:
        raise RuntimeError(
            f"src must have the shape of the part that it replaces, {tuple(part.shape)}, got {tuple(src.shape)}"
        )


def _copy_of(input: Any, src: Any) -> Any:
    check_tensor("input", input)
    check_tensor("src", src)
    return input.clone()


@polyfill("torch.select_scatter", since="1.11", link="https://github.com/pytorch/pytorch/pull/64430")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Copy a tensor with another one at an index of a dimension.

    In torch since 1.11. Fallback: ``clone`` and ``copy_``.
    https://docs.pytorch.org/docs/stable/generated/torch.select_scatter.html

    Args:
        input: the tensor to copy.
        src: what replaces ``input.select(dim, index)``, of its shape.
        dim: the dimension.
        index: the index in it.

    Returns:
        A new tensor of the dtype of *input*.

    Raises:
        RuntimeError: *src* has another shape.
        IndexError: *dim* or *index* is out of range.
    """
    result = _copy_of(input, src)
    part = result.select(dim, index)
    _check_fits(src, part)
    part.copy_(src)
    return result


@polyfill(
    "torch.slice_scatter",
    since="1.11",
    link="https://github.com/pytorch/pytorch/pull/64430",
    limits=[lacks("script", "1.13", "1.13")],
    wrong=_NO_STEP,
)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """Copy a tensor with another one in a slice of a dimension.

    In torch since 1.11. Fallback: ``clone`` and ``copy_``.
    https://docs.pytorch.org/docs/stable/generated/torch.slice_scatter.html

    Args:
        input: the tensor to copy.
        src: what replaces the slice, of its shape.
        dim: the dimension.
        start: where the slice starts; None: at the front.
        end: where it ends; None: at the back.
        step: its step, positive.

    Returns:
        A new tensor of the dtype of *input*.

    Raises:
        RuntimeError: *src* has another shape, or *step* is not positive.
    """
    result = _copy_of(input, src)
    if as_int("step", step) <= 0:
        raise RuntimeError(f"step must be positive, got {step}")
    part = result[(slice(None),) * wrapped(dim, input.dim()) + (slice(start, end, step),)]
    _check_fits(src, part)
    part.copy_(src)
    return result


@polyfill("torch.diagonal_scatter", since="1.11", link="https://github.com/pytorch/pytorch/pull/64430")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Copy a tensor with another one on a diagonal.

    In torch since 1.11. Fallback: ``clone`` and ``copy_``.
    https://docs.pytorch.org/docs/stable/generated/torch.diagonal_scatter.html

    Args:
        input: the tensor to copy, of at least two dimensions.
        src: what replaces ``input.diagonal(offset, dim1, dim2)``, of its shape.
        offset: which diagonal; 0 is the main one, positive ones are above it.
        dim1: the first dimension of the matrices.
        dim2: the second.

    Returns:
        A new tensor of the dtype of *input*.

    Raises:
        RuntimeError: *src* has another shape.
    """
    result = _copy_of(input, src)
    part = result.diagonal(offset, dim1, dim2)
    _check_fits(src, part)
    part.copy_(src)
    return result


def _sizes(shape: Any) -> list[int]:
    if isinstance(shape, bool) or not isinstance(shape, (int, list, tuple)):
        raise TypeError(f"shape must be an int or a sequence of ints, got {type(shape).__name__}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError(f"shape must have ints only, got {type(size).__name__}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape must not have negative sizes, got {tuple(sizes)}")
    return sizes


@polyfill("torch.unravel_index", since="2.2", link="https://github.com/pytorch/pytorch/pull/110580")
def unravel_index(indices: Tensor, shape: int | Sequence[int] | torch.Size) -> tuple[Tensor, ...]:
    """Turn places in a flat tensor into places in each dimension of a shape.

    In torch since 2.2. Fallback: divisions.
    https://docs.pytorch.org/docs/stable/generated/torch.unravel_index.html

    Args:
        indices: a tensor of integers of any shape. As in torch, those beyond the shape wrap around.
        shape: a shape, or an int for one dimension.

    Returns:
        A tuple of int64 tensors of the shape of *indices*, one for each dimension.

    Raises:
        TypeError: *indices* are not integers, or *shape* is not a shape.
        ValueError: a size is negative, or 0 though there are indices.
    """
    check_tensor("indices", indices)
    if indices.dtype is torch.bool or indices.dtype.is_floating_point or is_complex(indices.dtype):
        raise TypeError(f"indices must be of an integer dtype, got {indices.dtype}")
    sizes = _sizes(shape)
    if 0 in sizes:
        if indices.numel():
            raise ValueError(f"shape must not have sizes of 0 where there are indices, got {tuple(sizes)}")
        return tuple(indices.to(torch.int64) for _ in sizes)
    rest, places = indices.to(torch.int64), []
    for size in reversed(sizes):
        place = rest.remainder(size)
        places.append(place)
        rest = _quotient(rest - place, size)
    return tuple(reversed(places))


def _found(input: Any) -> Any:
    check_tensor("input", input)
    if not input.dim():
        return torch.zeros(int(bool(input != 0)), 0, dtype=torch.int64, device=input.device)
    # Without as_tuple, torch 1.5 to 1.7 warn.
    return torch.stack(input.nonzero(as_tuple=True), 1)


@polyfill("torch.argwhere", since="1.11", link="https://github.com/pytorch/pytorch/pull/64257")
def argwhere(input: Tensor) -> Tensor:
    """Find where the elements of a tensor are not zero.

    In torch since 1.11. Fallback: ``nonzero``. https://docs.pytorch.org/docs/stable/generated/torch.argwhere.html

    Args:
        input: a tensor of any shape.

    Returns:
        Shape ``(n, input.dim())``, int64: a row for each element that is not zero.
    """
    return _found(input)


@polyfill(
    "torch.nonzero_static",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/97417",
)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Tensor | None = None) -> Tensor:
    """Find where the elements of a tensor are not zero, as a given number of rows.

    In torch since 2.1. Fallback: ``nonzero``, cut or filled up, on every device; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.nonzero_static.html

    Args:
        input: a tensor of any shape.
        size: how many rows the result has.
        fill_value: what stands in the rows that are left.
        out: None.

    Returns:
        Shape ``(size, input.dim())``, int64.

    Raises:
        RuntimeError: *size* is negative.
    """
    refuse_out("nonzero_static", out)
    rows = as_int("size", size)
    if rows < 0:
        raise RuntimeError(f"size must not be negative, got {rows}")
    found = _found(input)[:rows]
    filling = found.new_full((rows - found.size(0), found.size(1)), as_int("fill_value", fill_value))
    return torch.cat([found, filling])
