"""Views of one tensor with other dimensions: moved, exchanged, split, joined, dropped, spread, reversed.

What torch calls a view is one here too, so that writing to the result writes to the tensor.
"""

from __future__ import annotations

from typing import Any, Sequence

from torch import Tensor

from .._shim import Limit, polyfill
from ._arguments import as_int, as_ints, check_distinct, check_tensor, tracing, wrapped
from ._promote import is_complex
from ._scripts import scripted, scripts_as_torch


def _reordered(source: Sequence[int], destination: Sequence[int], ndim: int) -> list[int]:
    """The order of dims that puts *source* at *destination* and leaves the others in their order."""
    order = [-1] * ndim
    for dim, place in zip(source, destination):
        order[place] = dim
    others = iter(dim for dim in range(ndim) if dim not in source)
    return [next(others) if dim < 0 else dim for dim in order]


def _moved(input: Any, source: Any, destination: Any) -> Any:
    check_tensor("input", input)
    ndim = input.dim()
    if type(source) is int and type(destination) is int and -ndim <= source < ndim and -ndim <= destination < ndim:
        order = list(range(ndim))
        order.insert(destination % ndim, order.pop(source))
        return input.permute(order)
    if isinstance(source, (list, tuple)) != isinstance(destination, (list, tuple)):
        raise TypeError(f"source and destination must be two ints or two tuples, got {source!r} and {destination!r}")
    if isinstance(source, (list, tuple)):
        if len(source) != len(destination):
            raise RuntimeError(
                f"source and destination must have one length, got {tuple(source)} and {tuple(destination)}"
            )
    else:
        source, destination = (source,), (destination,)
    origins = [wrapped(dim, ndim, "source") for dim in source]
    places = [wrapped(dim, ndim, "destination") for dim in destination]
    check_distinct("source", origins)
    check_distinct("destination", places)
    return input.permute(_reordered(origins, places, ndim)) if ndim else input.view([])


@polyfill(
    "torch.movedim",
    since="1.7",
    link="https://github.com/pytorch/pytorch/pull/41480",
    limits=[Limit("scalar", "raises RuntimeError for a tensor without dimensions", "native", "1.7", "1.10")],
)
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move dimensions to other places; the others keep their order.

    In torch since 1.7. Fallback: one ``permute``. https://docs.pytorch.org/docs/stable/generated/torch.movedim.html

    Args:
        input: a tensor of any shape.
        source: the dim to move, or a tuple of dims.
        destination: where it goes, or a tuple of as many places.

    Returns:
        A view of *input*.

    Raises:
        IndexError: a dim is out of range.
        RuntimeError: a dim is given twice, or the two tuples differ in length.
        TypeError: *input* is not a tensor, a dim is not an int, or only one of the two is a tuple.
    """
    return _moved(input, source, destination)


@polyfill(
    "torch.moveaxis",
    since="1.8",
    link="https://github.com/pytorch/pytorch/pull/48581",
    limits=[Limit("scalar", "raises RuntimeError for a tensor without dimensions", "native", "1.8", "1.10")],
)
def moveaxis(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move dimensions to other places: another name of :func:`movedim`.

    In torch since 1.8. Fallback: one ``permute``. https://docs.pytorch.org/docs/stable/generated/torch.moveaxis.html
    """
    return _moved(input, source, destination)


@polyfill("torch.swapaxes", since="1.8", link="https://github.com/pytorch/pytorch/pull/46041")
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Exchange two dimensions: ``transpose`` by NumPy's name.

    In torch since 1.8. Fallback: ``transpose``. https://docs.pytorch.org/docs/stable/generated/torch.swapaxes.html
    """
    check_tensor("input", input)
    return input.transpose(axis0, axis1)


@polyfill("torch.swapdims", since="1.8", link="https://github.com/pytorch/pytorch/pull/46041")
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions: another name of ``transpose``.

    In torch since 1.8. Fallback: ``transpose``. https://docs.pytorch.org/docs/stable/generated/torch.swapdims.html
    """
    check_tensor("input", input)
    return input.transpose(dim0, dim1)


@polyfill(
    "torch.permute", since="1.9", link="https://github.com/pytorch/pytorch/blob/v1.9.1/torch/_torch_docs.py#L6843"
)
def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Put the dimensions into another order.

    In torch since 1.9. Fallback: the method ``permute``, which older torch has as well.
    https://docs.pytorch.org/docs/stable/generated/torch.permute.html

    Args:
        input: a tensor of any shape.
        dims: every dim of *input*, in the order that is wanted.

    Returns:
        A view of *input*.
    """
    check_tensor("input", input)
    return input.permute(as_ints("dims", dims))


def _divided(length: int, sizes: list[int], dim: int) -> list[int]:
    """*sizes* with the one that is -1 filled in; their product must be *length*."""
    known = 1
    for size in sizes:
        known *= 1 if size == -1 else size
    holes = sizes.count(-1)
    if holes > 1:
        raise RuntimeError(f"sizes must have at most one -1, got {tuple(sizes)}")
    if holes and known == 0:
        raise RuntimeError(f"sizes {tuple(sizes)} leave open what -1 is, since another size is 0")
    if any(size < -1 for size in sizes) or (length % known if holes else length != known):
        raise RuntimeError(f"sizes {tuple(sizes)} do not multiply up to {length}, the size of dim {dim} of input")
    return [length // known if size == -1 else size for size in sizes]


@polyfill("torch.unflatten", since="1.13", link="https://github.com/pytorch/pytorch/issues/51282")
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several: the inverse of ``flatten``.

    In torch since 1.13. Fallback: ``view``; names of dimensions, which torch has dropped, are refused.
    https://docs.pytorch.org/docs/stable/generated/torch.unflatten.html

    Args:
        input: a tensor of at least one dimension.
        dim: the dimension to split.
        sizes: what it becomes. Their product is the size of *dim*; one of them may be -1.

    Returns:
        A view of *input*.

    Raises:
        RuntimeError: *sizes* is empty, or does not fit the size of *dim*.
        IndexError: *dim* is out of range.
        TypeError: *input* is not a tensor, or *sizes* is not a tuple or list of ints.
    """
    check_tensor("input", input)
    wanted = as_ints("sizes", sizes)
    if not wanted:
        raise RuntimeError("sizes must not be empty")
    shape = list(input.shape)
    where = wrapped(dim, len(shape))
    if not shape:
        raise RuntimeError("input must have at least one dimension")
    if tracing() is None:
        wanted = _divided(shape[where], wanted, where)
    return input.view(shape[:where] + wanted + shape[where + 1 :])


@polyfill("torch.ravel", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L7396")
def ravel(input: Tensor) -> Tensor:
    """Give a tensor one dimension.

    In torch since 1.8. Fallback: ``reshape(-1)``. https://docs.pytorch.org/docs/stable/generated/torch.ravel.html

    Args:
        input: a tensor of any shape.

    Returns:
        Shape ``(n,)``: a view where *input* is contiguous, else a copy.
    """
    check_tensor("input", input)
    return input.reshape(-1) if input.is_contiguous() else input.contiguous().view(-1)


def _without(input: Any, dims: Sequence[Any]) -> Any:
    ndim = input.dim()
    chosen = [wrapped(dim, ndim) for dim in dims]
    check_distinct("dim", chosen)
    result = input
    for dim in sorted(chosen, reverse=True):
        result = result.squeeze(dim)
    return input.view_as(input) if result is input else result


@polyfill(
    "torch.squeeze",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/89017",
    limits=[scripted("1.2", "1.13")],
    reason="`dim` is no tuple",
)
def squeeze(input: Tensor, dim: Any = ..., **names: Any) -> Tensor:
    """Drop dimensions of size 1: all, one, or those of a tuple.

    In torch since 2.0. Fallback: torch's own for all dimensions and for one, which is called for each dim of a tuple.
    https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html

    Args:
        input: a tensor of any shape.
        dim: an int or a tuple of ints; those whose size is not 1 stay. Left out: every dimension of size 1 is dropped.

    Returns:
        A view of *input*.

    Raises:
        IndexError: a dim is out of range.
        RuntimeError: a dim is given twice.
        TypeError: *input* is not a tensor, or *dim* neither an int nor a tuple of ints.
    """
    check_tensor("input", input)
    if names:
        if set(names) != {"axis"} or dim is not ...:
            raise TypeError(f"squeeze() got unexpected keyword arguments: {sorted(names)}")
        dim = names["axis"]
    if dim is ...:
        return input.squeeze()
    if isinstance(dim, (list, tuple)):
        return _without(input, dim)
    return input.squeeze(as_int("dim", dim))


@polyfill(
    "torch.adjoint", since="1.11", link="https://github.com/pytorch/pytorch/blob/v1.11.0/torch/_torch_docs.py#L444"
)
def adjoint(input: Tensor) -> Tensor:
    """Transpose matrices, and conjugate them if they are complex.

    In torch since 1.11. Fallback: ``transpose``, and ``conj``, which copies before torch 1.10.
    https://docs.pytorch.org/docs/stable/generated/torch.adjoint.html

    Args:
        input: shape ``(..., m, n)``, or a tensor without dimensions.

    Returns:
        Shape ``(..., n, m)``, a view of *input*.

    Raises:
        RuntimeError: *input* has one dimension.
    """
    check_tensor("input", input)
    ndim = input.dim()
    if ndim == 1:
        raise RuntimeError("input must be a matrix or a batch of matrices, got a tensor of one dimension")
    turned = input.transpose(-2, -1) if ndim else input
    return turned.conj() if is_complex(input.dtype) else (turned if ndim else input.view([]))


@polyfill(
    "torch.broadcast_to", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L1244"
)
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat a tensor, without a copy, up to a shape.

    In torch since 1.8. Fallback: ``expand``. Torch's documentation says ``shape`` for the second argument, but its
    keyword is *size*. https://docs.pytorch.org/docs/stable/generated/torch.broadcast_to.html

    Args:
        input: a tensor whose shape broadcasts to *size*.
        size: the shape; -1 leaves a dimension of *input* as it is.

    Returns:
        A view of *input* with repeated elements: clone it before you write to it.
    """
    check_tensor("input", input)
    return input.expand(as_ints("size", size))


@polyfill(
    "torch.tile",
    since="1.8",
    link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L10313",
)
def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Repeat a tensor along its dimensions.

    In torch since 1.8. Fallback: ``repeat``. https://docs.pytorch.org/docs/stable/generated/torch.tile.html

    Args:
        input: a tensor of any shape.
        dims: how often in each dimension. Fewer numbers than dimensions count for the last ones; more add dimensions in
            front.

    Returns:
        A new tensor.

    Raises:
        RuntimeError: a number is negative.
    """
    check_tensor("input", input)
    times = as_ints("dims", dims)
    times = [1] * (input.dim() - len(times)) + times
    # Torch 1.2 repeats nothing 0 times.
    result = input.repeat([time or 1 for time in times])
    for dim, time in enumerate(times):
        if time == 0:
            result = result.narrow(dim, 0, 0)
    return result


@polyfill("torch.fliplr", since="1.6", link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L6087")
def fliplr(input: Tensor) -> Tensor:
    """Reverse the order of the columns, dimension 1.

    In torch since 1.6. Fallback: ``flip(1)``. https://docs.pytorch.org/docs/stable/generated/torch.fliplr.html

    Args:
        input: a tensor of at least two dimensions.

    Returns:
        A new tensor.
    """
    check_tensor("input", input)
    if input.dim() < 2:
        raise RuntimeError(f"input must have at least two dimensions, got shape {tuple(input.shape)}")
    return input.flip(1)


@polyfill("torch.flipud", since="1.6", link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L6113")
def flipud(input: Tensor) -> Tensor:
    """Reverse the order of the rows, dimension 0.

    In torch since 1.6. Fallback: ``flip(0)``. https://docs.pytorch.org/docs/stable/generated/torch.flipud.html

    Args:
        input: a tensor of at least one dimension.

    Returns:
        A new tensor.
    """
    check_tensor("input", input)
    if input.dim() < 1:
        raise RuntimeError("input must have at least one dimension")
    return input.flip(0)


scripts_as_torch("squeeze")
