"""Cutting a tensor into parts along a dimension; the parts are views."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import polyfill
from ._arguments import as_int, as_ints, check_tensor, wrapped


def _sections(input: Any, sections: int, dim: int) -> tuple[Tensor, ...]:
    if sections <= 0:
        raise RuntimeError(f"the number of sections must be larger than 0, got {sections}")
    size, longer = divmod(input.size(dim), sections)
    starts = [part * size + min(part, longer) for part in range(sections + 1)]
    return tuple(input.narrow(dim, start, end - start) for start, end in zip(starts, starts[1:]))


def _between(input: Any, indices: list[int], dim: int) -> tuple[Tensor, ...]:
    before = (slice(None),) * dim
    bounds = [0, *indices, input.size(dim)]
    # The first part starts at 0, and the last has no end: -0 would be 0.
    slices = [slice(start, end) for start, end in zip(bounds, bounds[1:-1])] + [slice(bounds[-2], None)]
    return tuple(input[before + (part,)] for part in slices)


def _from_tensor(where: Any) -> Any:
    """The number or the list of numbers in a tensor of them."""
    if where.dtype is not torch.int64:
        raise RuntimeError(f"indices_or_sections must be of dtype torch.int64, got {where.dtype}")
    if where.device.type != "cpu":
        raise RuntimeError(f"indices_or_sections must be on the CPU, got {where.device}")
    if where.dim() > 1:
        raise RuntimeError(f"indices_or_sections must have at most one dimension, got shape {tuple(where.shape)}")
    return where.tolist()


def _given(name: str, positional: Any, keywords: dict[str, Any]) -> Any:
    """The argument that torch knows by several names, of which one must be given."""
    found = [value for value in (positional, *keywords.values()) if value is not None]
    if len(found) != 1:
        raise TypeError(f"{name}() takes one of indices_or_sections, {', '.join(keywords)}, got {len(found)} of them")
    return found[0]


def _split(input: Any, where: Any, dim: int) -> tuple[Tensor, ...]:
    if isinstance(where, Tensor):
        where = _from_tensor(where)
    if isinstance(where, (list, tuple)):
        return _between(input, as_ints("indices", where), dim)
    return _sections(input, as_int("sections", where), dim)


@polyfill(
    "torch.tensor_split", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L1375"
)
def tensor_split(
    input: Tensor,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    sections: int | None = None,
    indices: Any = None,
    tensor_indices_or_sections: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Cut a tensor along a dimension, into parts that may differ in size.

    In torch since 1.8. Fallback: views by ``narrow`` and slices.
    https://docs.pytorch.org/docs/stable/generated/torch.tensor_split.html

    Args:
        input: a tensor of at least one dimension.
        indices_or_sections: an int: how many parts; the first ones are longer by one where the size cannot be divided.
            A list or tuple of ints: where to cut, as bounds of slices. Or an int64 tensor on the CPU of the one or the
            other.
        dim: the dimension to cut.
        sections: the number of parts by keyword.
        indices: the places by keyword.
        tensor_indices_or_sections: the tensor by keyword.

    Returns:
        A tuple of views of *input*.

    Raises:
        RuntimeError: *input* has no dimension, the number of parts is not positive, or a tensor of another dtype.
        IndexError: *dim* is out of range.
        TypeError: something is of another type.
    """
    check_tensor("input", input)
    keywords = {
        "sections": sections,
        "indices": indices,
        "tensor_indices_or_sections": tensor_indices_or_sections,
    }
    where = _given("tensor_split", indices_or_sections, keywords)
    if not input.dim():
        raise RuntimeError("input must have at least one dimension")
    return _split(input, where, wrapped(dim, input.dim()))


def _evenly(name: str, input: Any, where: Any, sections: Any, indices: Any, dim: int) -> tuple[Tensor, ...]:
    check_tensor("input", input)
    where = _given(name, where, {"sections": sections, "indices": indices})
    if input.dim() <= dim:
        raise RuntimeError(f"input must have at least {max(dim, 1)} dimension(s), got shape {tuple(input.shape)}")
    dim = min(dim, input.dim() - 1)
    if not isinstance(where, (list, tuple)):
        count = as_int("sections", where)
        size = input.size(dim)
        if count == 0 or size % count:
            raise RuntimeError(f"the size of dim {dim} of input, {size}, must be divisible by the sections, {count}")
    return _split(input, where, dim)


@polyfill("torch.hsplit", since="1.9", link="https://github.com/pytorch/pytorch/pull/53536")
def hsplit(
    input: Tensor, indices_or_sections: Any = None, *, sections: int | None = None, indices: Any = None
) -> tuple[Tensor, ...]:
    """Cut a tensor by its columns: along dimension 1, and a tensor of one dimension along dimension 0.

    In torch since 1.9. Torch's own of 1.9 and 1.10 ends the process where it gets 0 parts. Fallback: as of
    :func:`tensor_split`.
    https://docs.pytorch.org/docs/stable/generated/torch.hsplit.html

    Args:
        input: a tensor of at least one dimension.
        indices_or_sections: an int, the number of parts, which must divide the size; or a list or tuple of ints, where
            to cut.
        sections: the number of parts by keyword.
        indices: the places by keyword.

    Returns:
        A tuple of views of *input*.

    Raises:
        RuntimeError: *input* has too few dimensions, or the size cannot be divided.
    """
    dim = int(isinstance(input, Tensor) and input.dim() > 1)
    return _evenly("hsplit", input, indices_or_sections, sections, indices, dim)


@polyfill("torch.vsplit", since="1.9", link="https://github.com/pytorch/pytorch/pull/53536")
def vsplit(
    input: Tensor, indices_or_sections: Any = None, *, sections: int | None = None, indices: Any = None
) -> tuple[Tensor, ...]:
    """Cut a tensor of at least two dimensions by its rows, along dimension 0.

    In torch since 1.9. Fallback: as of :func:`tensor_split`; the arguments are those of :func:`hsplit`.
    https://docs.pytorch.org/docs/stable/generated/torch.vsplit.html
    """
    if isinstance(input, Tensor) and input.dim() < 2:
        raise RuntimeError(f"input must have at least 2 dimensions, got shape {tuple(input.shape)}")
    return _evenly("vsplit", input, indices_or_sections, sections, indices, 0)


@polyfill("torch.dsplit", since="1.9", link="https://github.com/pytorch/pytorch/pull/53536")
def dsplit(
    input: Tensor, indices_or_sections: Any = None, *, sections: int | None = None, indices: Any = None
) -> tuple[Tensor, ...]:
    """Cut a tensor of at least three dimensions along dimension 2.

    In torch since 1.9. Fallback: as of :func:`tensor_split`; the arguments are those of :func:`hsplit`.
    https://docs.pytorch.org/docs/stable/generated/torch.dsplit.html
    """
    if isinstance(input, Tensor) and input.dim() < 3:
        raise RuntimeError(f"input must have at least 3 dimensions, got shape {tuple(input.shape)}")
    return _evenly("dsplit", input, indices_or_sections, sections, indices, 2)
