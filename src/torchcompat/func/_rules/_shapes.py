"""Operations that change the shape of one tensor, or choose a regular part of it: most of them views.

The dimensions of the sample come after those of the batch, so a rule shifts the ``dim`` that it gets; a view of the
sample is a view of the batch. A dimension that the sample does not have goes to the loop, where torch raises. What
joins tensors or makes new ones is in ``_joins``, what looks at strides and memory in ``_memory``. Left to the loop:
named tensors, ``sum_to_size``, ``fill_diagonal_``, ``repeat_interleave`` with a number for each sample, ``*_copy``.
"""

from __future__ import annotations

from typing import Any

import torch

from .._batched import levels_of, lift, physical_of, rank, register, rule, shape, spread, wrap
from ._reductions import again, shift


def lead(input: Any) -> list[int]:
    """The sizes of the batch in front of the sample."""
    return list(physical_of(input).shape[: len(levels_of(input))])


def sizes_of(args: Any, kwargs: Any) -> list[int]:
    """The ints that an operation got: apart, or as one sequence, or as its only keyword."""
    if kwargs and not args:
        args = tuple(kwargs.values())
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = args[0]
    return [size.__index__() for size in args]


def reshaped(input: Any, sizes: Any) -> Any:
    """*input* with samples of these *sizes*."""
    return again(physical_of(input).reshape(lead(input) + list(sizes)), input)


# Operations of one tensor with dims among their arguments: the names of the arguments, which of them are dims, and the
# defaults.
FIRST = {"dim": 0}
ALONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "transpose": ("dim0 dim1", "dim0 dim1", {}),
    "swapdims": ("dim0 dim1", "dim0 dim1", {}),
    "swapaxes": ("axis0 axis1", "axis0 axis1", {}),
    "movedim": ("source destination", "source destination", {}),
    "moveaxis": ("source destination", "source destination", {}),
    "select": ("dim index", "dim", {}),
    "narrow": ("dim start length", "dim", {}),
    "narrow_copy": ("dim start length", "dim", {}),
    "chunk": ("chunks dim", "dim", FIRST),
    "unsafe_chunk": ("chunks dim", "dim", FIRST),
    "split": ("split_size dim", "dim", FIRST),
    "unsafe_split": ("split_size dim", "dim", FIRST),
    "split_with_sizes": ("split_size dim", "dim", FIRST),
    "unsafe_split_with_sizes": ("split_size dim", "dim", FIRST),
    "tensor_split": ("sections dim", "dim", FIRST),
    "unbind": ("dim", "dim", FIRST),
    "unflatten": ("dim sizes", "dim", {}),
    "diagonal": ("offset dim1 dim2", "dim1 dim2", {"offset": 0, "dim1": 0, "dim2": 1}),
    "rot90": ("k dims", "dims", {"k": 1, "dims": [0, 1]}),
}
SYNONYMS = {
    "axis": "dim",
    "split_size_or_sections": "split_size",
    "split_sizes": "split_size",
    "indices_or_sections": "sections",
    "indices": "sections",
    "dimension": "dim",
}


def _arguments(table: tuple[str, str, dict[str, Any]], args: Any, kwargs: Any, ndim: int, by: int) -> Any:
    """The positional arguments with shifted dims, or None for what only torch can answer."""
    names, dims, defaults = table
    order = names.split()
    given = dict(defaults)
    given.update(zip(order, args))
    given.update((SYNONYMS.get(name, name), value) for name, value in kwargs.items())
    if len(args) > len(order) or set(given) != set(order) or levels_of(*given.values()):
        return None
    for name in dims.split():
        given[name] = shift(given[name], ndim, by)
        if given[name] is None:
            return None
    return [given[name] for name in order]


def along(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation of one tensor along some of its dimensions."""
    given = _arguments(ALONG[func.__name__], args, kwargs, rank(input), len(levels_of(input)))
    return NotImplemented if given is None else again(func(physical_of(input), *given), input)


register(along, ALONG)


@rule(torch.Tensor.unfold)
def unfold(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = _arguments(("dim size step", "dim", {}), args, kwargs, rank(input), len(levels_of(input)))
    return NotImplemented if given is None else again(func(physical_of(input), *given), input)


@rule("diag_embed")
def diag_embed(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    defaults = {"offset": 0, "dim1": -2, "dim2": -1}
    given = _arguments(
        ("offset dim1 dim2", "dim1 dim2", defaults), args, kwargs, rank(input) + 1, len(levels_of(input))
    )
    return NotImplemented if given is None or not rank(input) else again(func(physical_of(input), *given), input)


# --- sizes


def _inferred(input: Any, sizes: list[int]) -> list[int]:
    """*sizes* without -1, which an empty batch would leave open."""
    if sizes.count(-1) != 1:
        return sizes
    total = known = 1
    for size in shape(input):
        total *= size
    for size in sizes:
        known *= size if size != -1 else 1
    return [total // known if size == -1 and known else size for size in sizes]


def _fits(input: Any, sizes: list[int]) -> bool:
    total = 1
    for size in list(shape(input)):
        total *= size
    for size in sizes:
        if size < 0 or (size and total % size):
            return False
        total = total // size if size else total
    return total == 1 or not total or 0 in sizes


@rule("reshape", "view")
def reshape(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    first = args[0] if args else next(iter(kwargs.values()))
    if isinstance(first, torch.dtype):
        return again(func(physical_of(input), first), input) if rank(input) else NotImplemented
    sizes = _inferred(input, sizes_of(args, kwargs))
    return again(func(physical_of(input), lead(input) + sizes), input) if _fits(input, sizes) else NotImplemented


@rule("view_as", "reshape_as")
def reshape_as(func: Any, input: Any, other: Any) -> Any:
    return reshape(torch.Tensor.view if func.__name__ == "view_as" else torch.Tensor.reshape, input, shape(other))


@rule("flatten")
def flatten(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if not rank(input):
        return again(physical_of(input).unsqueeze(-1), input)
    defaults = {"start_dim": 0, "end_dim": -1}
    given = _arguments(
        ("start_dim end_dim", "start_dim end_dim", defaults), args, kwargs, rank(input), len(levels_of(input))
    )
    return NotImplemented if given is None else again(func(physical_of(input), *given), input)


@rule("ravel")
def ravel(func: Any, input: Any) -> Any:
    return flatten(torch.flatten, input)


@rule("expand", "broadcast_to")
def expand(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("implicit", None)
    sizes = sizes_of(args, kwargs)
    extra = len(sizes) - rank(input)
    if extra < 0 or -1 in sizes[:extra]:
        return NotImplemented
    return again(lift(input, levels_of(input), len(sizes)).expand(lead(input) + sizes), input)


@rule("expand_as")
def expand_as(func: Any, input: Any, other: Any) -> Any:
    return input.expand(shape(other))


@rule("repeat")
def repeat(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    sizes = sizes_of(args, kwargs)
    if len(sizes) < rank(input):
        return NotImplemented
    levels = levels_of(input)
    return again(func(lift(input, levels, len(sizes)), [1] * len(levels) + sizes), input)


@rule("tile")
def tile(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    sizes = sizes_of(args, kwargs)
    return input.repeat([1] * (rank(input) - len(sizes)) + sizes)


@rule("repeat_interleave")
def repeat_interleave(func: Any, input: Any, repeats: Any = None, dim: Any = None, **kwargs: Any) -> Any:
    if repeats is None or levels_of(repeats):
        return NotImplemented
    if dim is None:
        input, dim = input.reshape(-1), 0
    dim = shift(dim, rank(input), len(levels_of(input)))
    return NotImplemented if dim is None else again(func(physical_of(input), repeats, dim, **kwargs), input)


# --- single dimensions


@rule("unsqueeze")
def unsqueeze(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = _arguments(("dim", "dim", {}), args, kwargs, rank(input) + 1, len(levels_of(input)))
    return NotImplemented if given is None else again(func(physical_of(input), *given), input)


@rule("squeeze")
def squeeze(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    by, ndim, physical = len(levels_of(input)), rank(input), physical_of(input)
    dims = kwargs.get("dim", args[0] if args else None)
    if dims is None:
        dims = list(range(ndim))
    elif not ndim and dims in (0, -1):
        dims = []
    shifted = shift(list(dims) if isinstance(dims, (list, tuple)) else [dims], ndim, by)
    if shifted is None or len(set(shifted)) < len(shifted):
        return NotImplemented
    ones = sorted((dim for dim in shifted if physical.shape[dim] == 1), reverse=True)
    for dim in ones:
        physical = physical.squeeze(dim)
    return again(physical if ones else physical.view(physical.shape), input)


@rule("permute")
def permute(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    by = len(levels_of(input))
    dims = shift(sizes_of(args, kwargs), rank(input), by)
    if dims is None or len(dims) != rank(input):
        return NotImplemented
    return again(func(physical_of(input), list(range(by)) + dims), input)


@rule("flip")
def flip(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    dims = shift(sizes_of(args, kwargs), rank(input), len(levels_of(input)))
    return NotImplemented if dims is None else again(func(physical_of(input), dims), input)


@rule("fliplr", "flipud")
def flip_matrix(func: Any, input: Any) -> Any:
    dim = int(func.__name__ == "fliplr")
    return input.flip(dim) if rank(input) > dim else NotImplemented


@rule("__reversed__")
def reverse(func: Any, input: Any) -> Any:
    return input.flip(0) if rank(input) else input


@rule("roll")
def roll(func: Any, input: Any, shifts: Any, dims: Any = ()) -> Any:
    if dims == () or dims == []:
        return roll(func, input.flatten(), shifts, 0).reshape(shape(input))
    dims = shift(dims, rank(input), len(levels_of(input)))
    return NotImplemented if dims is None else again(func(physical_of(input), shifts, dims), input)


# --- matrices


@rule("t", ".T", ".mT", ".H", ".mH", "adjoint")
def transposed(func: Any, input: Any) -> Any:
    name = "T" if func.__name__ == "t" else getattr(getattr(func, "__self__", None), "__name__", "mH")
    if rank(input) == 2 or (rank(input) > 2 and name in ("mT", "mH")):
        result = physical_of(input).transpose(-2, -1)
        return again(result.conj() if name in ("H", "mH") and result.is_complex() else result, input)
    # Torch warns or raises for most of these.
    sample = func(torch.empty([0] * rank(input)))
    assert sample.dim() == rank(input)
    return input.permute(list(range(rank(input)))[::-1])


@rule("tril", "triu")
def triangle(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if rank(input) < 2 or levels_of(args, kwargs):
        return NotImplemented
    return again(func(physical_of(input), *args, **kwargs), input)


@rule("tril_", "triu_")
def triangle_in_place(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if triangle(func, input, *args, **kwargs) is NotImplemented:
        return NotImplemented
    return input


@rule("diag")
def diag(func: Any, input: Any, diagonal: int = 0) -> Any:
    if rank(input) == 1:
        return input.diag_embed(diagonal)
    return input.diagonal(diagonal).clone() if rank(input) == 2 else NotImplemented


@rule("diagflat")
def diagflat(func: Any, input: Any, offset: int = 0) -> Any:
    return input.flatten().diag_embed(offset)


@rule("view_as_complex")
def view_as_complex(func: Any, input: Any) -> Any:
    return again(func(physical_of(input)), input) if rank(input) else NotImplemented


# --- what changes the tensor's own shape: another view of the same memory takes its place


@rule("squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_")
def in_place(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    result = getattr(input, func.__name__[:-1])(*args, **kwargs)
    input._physical = result._physical
    return input


# --- parts written into a copy


SCATTERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "select_scatter": ("dim index", "dim", {}),
    "slice_scatter": ("dim start end step", "dim", {"dim": 0, "start": None, "end": None, "step": 1}),
    "diagonal_scatter": ("offset dim1 dim2", "dim1 dim2", {"offset": 0, "dim1": 0, "dim2": 1}),
}


def scatter_part(func: Any, input: Any, src: Any, *args: Any, **kwargs: Any) -> Any:
    levels = levels_of(input, src)
    given = _arguments(SCATTERS[func.__name__], args, kwargs, rank(input), len(levels))
    if given is None:
        return NotImplemented
    return wrap(func(spread(input, levels), spread(src, levels), *given), levels)


register(scatter_part, SCATTERS)
