"""The ``dim`` of reductions: checked, and counted from the front."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def _checked(function: str, dim: Any, ndim: int) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{function}(): dim must be an integer or several, got {type(dim).__name__}")
    axis = int(dim)
    last = max(ndim, 1)
    if not -last <= axis < last:
        raise IndexError(f"{function}(): dim must be from {-last} to {last - 1}, got {axis}")
    return axis % last


def is_whole(dim: Any) -> bool:
    """Whether *dim* stands for all dimensions: None, or none of them."""
    return dim is None or (isinstance(dim, (tuple, list)) and not dim)


def checked_dims(function: str, input: Tensor, dim: Any) -> list[int]:
    """The dimensions that *dim*, an integer or several, stands for, from the first to the last; None and () are all.

    A tensor without dimensions counts as one of one dimension, if it is given one.
    """
    if is_whole(dim):
        return list(range(input.dim()))
    several = dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = [_checked(function, one, input.dim()) for one in several]
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"{function}(): dim must name a dimension once, got {dim}")
    return sorted(axes)


def squeezed(tensor: Tensor, dims: list[int]) -> Tensor:
    """*tensor* without its *dims*, all of size 1."""
    for axis in reversed(dims if tensor.dim() else []):
        tensor = tensor.squeeze(axis)
    return tensor


def joined(input: Tensor, dims: list[int]) -> Tensor:
    """*input* with its *dims* made one, which is the last."""
    if not input.dim():
        return input.reshape(1)
    kept = [axis for axis in range(input.dim()) if axis not in dims]
    shape = [input.shape[axis] for axis in kept]
    length = 1
    for axis in dims:
        length *= input.shape[axis]
    return input.permute(kept + dims).reshape([*shape, length])


def restored(result: Tensor, input: Tensor, dims: list[int], keepdim: bool) -> Tensor:
    """*result*, one for each row of ``joined(input, dims)``, in the shape of a reduction of *input*."""
    if not input.dim():
        return result.reshape([])
    return result.reshape(kept_shape(input, dims)) if keepdim else result


def kept_shape(input: Tensor, dims: list[int]) -> list[int]:
    """The shape of *input* with a size of 1 along *dims*."""
    return [1 if axis in dims else size for axis, size in enumerate(input.shape)]
