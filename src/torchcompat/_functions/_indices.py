"""Writing slices and elements to places of a copy that one index gives: ``index_add``, ``index_reduce``, ``put``."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._arguments import check_tensor, wrapped
from ._promote import is_complex, refuse_out
from ._scatter import REDUCTIONS, reduced, scattered, written
from ._scripts import scripted, scripts_as_torch


def _line(input: Any, dim: Any, index: Any, source: Any) -> int:
    for name, value in (("input", input), ("index", index), ("source", source)):
        check_tensor(name, value)
    where = wrapped(dim, input.dim())
    if input.dtype != source.dtype:
        raise RuntimeError(f"source must be of the dtype of input, {input.dtype}, got {source.dtype}")
    if index.dim() > 1:
        raise RuntimeError(f"index must have at most one dimension, got shape {tuple(index.shape)}")
    wanted = list(input.shape)
    if wanted:
        wanted[where] = index.numel()
    if list(source.shape) != wanted:
        raise RuntimeError(
            f"source must have the shape of input with as many elements along dim {where} as index has, "
            f"{tuple(wanted)}, got {tuple(source.shape)}"
        )
    if index.dtype not in (torch.int64, torch.int32):
        raise RuntimeError(f"index must be of dtype torch.int64 or torch.int32, got {index.dtype}")
    size = input.size(where) if wanted else 1
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= size):
        raise IndexError(f"index must have values from 0 to {size - 1} for dim {where}")
    return where


@polyfill(
    "torch.index_reduce",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L232",
    limits=[Limit("integers", "raises RuntimeError for the mean of integers", "native", "1.12", "1.12")],
)
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """Copy a tensor, and reduce slices of another one into its slices along a dimension.

    In torch since 1.12. Fallback: as of :func:`scatter_reduce`; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.index_reduce.html

    Args:
        input: the tensor to copy.
        dim: the dimension.
        index: int64 or int32, shape ``(n,)``: where each slice of *source* goes.
        source: shaped as *input*, with n slices along *dim*, of the same dtype.
        reduce: "prod", "mean", "amax" or "amin". The mean of integers is rounded down.
        include_self: the elements of *input* take part.
        out: None.

    Returns:
        A new tensor like *input*.

    Raises:
        RuntimeError: another *reduce*, dtypes or shapes that do not fit.
        IndexError: *dim* or an index is out of range.
    """
    refuse_out("index_reduce", out)
    if reduce not in REDUCTIONS[1:]:
        raise RuntimeError(f"reduce must be one of {', '.join(REDUCTIONS[1:])}, got {reduce!r}")
    where = _line(input, dim, index, source)
    if not input.dim():
        return scattered(input, 0, index.reshape([]), source, reduce, include_self)
    lines = index.to(torch.int64).view([-1 if axis == where else 1 for axis in range(input.dim())])
    return scattered(input, where, lines.expand(source.shape), source, reduce, include_self)


@polyfill(
    "torch.index_add",
    since="1.9",
    link="https://github.com/pytorch/pytorch/blob/v1.11.0/torch/_torch_docs.py#L216",
    limits=[scripted("1.2", "1.8")],
    reason="no `alpha`",
)
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """Copy a tensor, and add slices of another one to its slices along a dimension.

    In torch since 1.9. Fallback: torch's own, of *source* times *alpha*; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.index_add.html

    Args:
        input: the tensor to copy.
        dim: the dimension.
        index: int64 or int32, shape ``(n,)``: where each slice of *source* goes.
        source: shaped as *input*, with n slices along *dim*, of the same dtype.
        alpha: a number that *source* is multiplied by; of a float, tensors of integers take the integer part.
        out: None.

    Returns:
        A new tensor like *input*.

    Raises:
        RuntimeError: dtypes or shapes do not fit.
        IndexError: *dim* or an index is out of range.
    """
    refuse_out("index_add", out)
    where = _line(input, dim, index, source)
    if not isinstance(alpha, numbers.Number):
        raise TypeError(f"alpha must be a number, got {type(alpha).__name__}")
    if input.dtype is torch.bool:
        return _bool_added(input, where, index, source if alpha else torch.zeros_like(source))
    factor: Any = alpha
    if factor != 1:
        plain = input.dtype.is_floating_point or is_complex(input.dtype)
        source = source * (factor if plain else int(factor))
    return input.index_add(where, index.to(torch.int64), source)


def _bool_added(input: Any, dim: int, index: Any, source: Any) -> Any:
    return input.to(torch.int64).index_add(dim, index.to(torch.int64), source.to(torch.int64)) > 0


@polyfill("torch.put", since="1.9", link="https://github.com/pytorch/pytorch/pull/53356")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Copy a tensor, and write elements to places of it, counted as if it had one dimension.

    In torch since 1.9. Fallback: ``scatter`` and ``scatter_add`` of a flat copy; refuses *out*.

    Args:
        input: the tensor to copy.
        index: int64 of any shape; negative ones count from the end.
        source: as many elements, of the dtype of *input*.
        accumulate: add to what is there.
        out: None.

    Returns:
        A new tensor like *input*.

    Raises:
        RuntimeError: dtypes do not fit.
        IndexError: the numbers of elements differ, or an index is out of range.
    """
    refuse_out("put", out)
    for name, value in (("input", input), ("index", index), ("source", source)):
        check_tensor(name, value)
    if input.dtype != source.dtype:
        raise RuntimeError(f"source must be of the dtype of input, {input.dtype}, got {source.dtype}")
    if index.dtype is not torch.int64:
        raise RuntimeError(f"index must be of dtype torch.int64, got {index.dtype}")
    if index.numel() != source.numel():
        raise IndexError(f"index and source must have as many elements, got {index.numel()} and {source.numel()}")
    places, count = index.reshape(-1), input.numel()
    if places.numel() and (int(places.min()) < -count or int(places.max()) >= count):
        raise IndexError(f"index must have values from {-count} to {count - 1}")
    places = torch.where(places < 0, places + count, places)
    flat, values = input.reshape(-1), source.reshape(-1)
    if not accumulate:
        return written(flat, 0, places, values).reshape(input.shape)
    return reduced(flat, places, values, "sum", True).reshape(input.shape)


scripts_as_torch("index_add")
