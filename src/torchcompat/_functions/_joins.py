"""Joining tensors into one: ``concat``, the stacks, ``block_diag``; and what makes tensors fit for them."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import at_least
from ._arguments import as_int, check_tensor, check_tensors
from ._promote import join, refuse_out

# Torch up to 1.5 joins tensors of one dtype only.
CAT_PROMOTES = at_least(1, 6)


def _of_one_dtype(tensors: Sequence[Any]) -> Sequence[Any]:
    dtype = tensors[0].dtype
    for tensor in tensors:
        dtype = join(dtype, tensor.dtype)
    return [tensor if tensor.dtype is dtype else tensor.to(dtype) for tensor in tensors]


def _cat(tensors: Sequence[Any], dim: int) -> Any:
    return torch.cat(tensors if CAT_PROMOTES else _of_one_dtype(tensors), dim)  # type: ignore[arg-type]


def _concat(name: str, tensors: Any, dim: Any, out: Any, names: dict[str, Any]) -> Any:
    if names:
        if set(names) - {"axis", "dim"}:
            raise TypeError(f"{name}() got unexpected keyword arguments: {sorted(names)}")
        dim = next(iter(names.values()))
    refuse_out(name, out)
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"tensors must be a list or tuple of Tensors, got {type(tensors).__name__}")
    if not tensors:
        # A ValueError from 2.15 on, a RuntimeError before.
        raise ValueError("tensors must not be empty")
    for position, tensor in enumerate(tensors):
        check_tensor(f"tensors[{position}]", tensor)
    return _cat(tensors, as_int("dim", dim))


@polyfill(
    "torch.concat", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L1859"
)
def concat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, **names: Any) -> Tensor:
    """Join tensors along a dimension that they have: another name of ``cat``.

    In torch since 1.10. Fallback: ``cat``, of tensors of one dtype, to which they are brought before torch 1.6; refuses
    *out*. https://docs.pytorch.org/docs/stable/generated/torch.concat.html

    Args:
        tensors: a list or tuple of tensors that agree in all sizes but that of *dim*.
        dim: the dimension; ``axis`` means the same.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.

    Raises:
        ValueError: *tensors* is empty.
        TypeError: something is not a tensor.
        RuntimeError: sizes differ, or a tensor has no dimension.
        IndexError: *dim* is out of range.
    """
    return _concat("concat", tensors, dim, out, names)


@polyfill("torch.concatenate", since="1.13", link="https://github.com/pytorch/pytorch/issues/81161")
def concatenate(tensors: Sequence[Tensor], axis: int = 0, out: Tensor | None = None, **names: Any) -> Tensor:
    """Join tensors along a dimension that they have: ``cat`` by NumPy's name.

    In torch since 1.13. Fallback: ``cat``, of tensors of one dtype, to which they are brought before torch 1.6; refuses
    *out*. https://docs.pytorch.org/docs/stable/generated/torch.concatenate.html

    Args:
        tensors: a list or tuple of tensors that agree in all sizes but that of *axis*.
        axis: the dimension; ``dim`` means the same.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.
    """
    return _concat("concatenate", tensors, axis, out, names)


def _at_least_1d(tensor: Any) -> Any:
    return tensor if tensor.dim() else tensor.reshape(1)


def _at_least_2d(tensor: Any) -> Any:
    ndim = tensor.dim()
    if ndim > 1:
        return tensor
    return tensor.unsqueeze(0) if ndim else tensor.reshape(1, 1)


def _at_least_3d(tensor: Any) -> Any:
    ndim = tensor.dim()
    if ndim > 2:
        return tensor
    return tensor.unsqueeze(-1) if ndim == 2 else _at_least_2d(tensor).unsqueeze(-1)


def _each(function: Any, tensors: Any) -> Any:
    alone = len(tensors) == 1
    if alone and isinstance(tensors[0], (list, tuple)):
        tensors, alone = tensors[0], False
    for position, tensor in enumerate(tensors):
        check_tensor(f"tensors[{position}]", tensor)
    return function(tensors[0]) if alone else tuple(map(function, tensors))


@polyfill(
    "torch.atleast_1d", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/functional.py#L1061"
)
def atleast_1d(*tensors: Any) -> Any:
    """Give tensors without dimensions one.

    In torch since 1.7. Fallback: ``reshape``. https://docs.pytorch.org/docs/stable/generated/torch.atleast_1d.html

    Args:
        tensors: tensors, or one list or tuple of tensors.

    Returns:
        A view of the tensor, or a tuple of views if there were several or a sequence.
    """
    return _each(_at_least_1d, tensors)


@polyfill(
    "torch.atleast_2d", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/functional.py#L1095"
)
def atleast_2d(*tensors: Any) -> Any:
    """Give tensors two dimensions if they have fewer: ``(n,)`` becomes ``(1, n)``.

    In torch since 1.7. Fallback: ``unsqueeze``. https://docs.pytorch.org/docs/stable/generated/torch.atleast_2d.html

    Args:
        tensors: tensors, or one list or tuple of tensors.

    Returns:
        A view of the tensor, or a tuple of views if there were several or a sequence.
    """
    return _each(_at_least_2d, tensors)


@polyfill(
    "torch.atleast_3d", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/functional.py#L1130"
)
def atleast_3d(*tensors: Any) -> Any:
    """Give tensors three dimensions if they have fewer: ``(n,)`` becomes ``(1, n, 1)``, ``(m, n)`` ``(m, n, 1)``.

    In torch since 1.7. Fallback: ``unsqueeze``. https://docs.pytorch.org/docs/stable/generated/torch.atleast_3d.html

    Args:
        tensors: tensors, or one list or tuple of tensors.

    Returns:
        A view of the tensor, or a tuple of views if there were several or a sequence.
    """
    return _each(_at_least_3d, tensors)


@polyfill("torch.hstack", since="1.7", link="https://github.com/pytorch/pytorch/pull/42799")
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors beside each other: along dimension 1, and tensors of one dimension along dimension 0.

    In torch since 1.7. Fallback: ``cat``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.hstack.html

    Args:
        tensors: a list or tuple of tensors; those without dimensions count as ``(1,)``.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.

    Raises:
        RuntimeError: *tensors* is empty, or sizes do not fit.
        TypeError: something is not a tensor.
    """
    refuse_out("hstack", out)
    parts = [_at_least_1d(tensor) for tensor in check_tensors("tensors", tensors)]
    return _cat(parts, 0 if parts[0].dim() == 1 else 1)


def _vstack(name: str, tensors: Any, out: Any) -> Any:
    refuse_out(name, out)
    return _cat([_at_least_2d(tensor) for tensor in check_tensors("tensors", tensors)], 0)


@polyfill("torch.vstack", since="1.7", link="https://github.com/pytorch/pytorch/pull/42799")
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors below each other, as rows if they have one dimension.

    In torch since 1.7. Fallback: ``cat`` along dimension 0; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.vstack.html

    Args:
        tensors: a list or tuple of tensors; each is taken as by :func:`atleast_2d`.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.
    """
    return _vstack("vstack", tensors, out)


@polyfill("torch.row_stack", since="1.8", link="https://github.com/pytorch/pytorch/pull/46313")
def row_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors below each other: another name of :func:`vstack`.

    In torch since 1.8. Fallback: ``cat`` along dimension 0; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.row_stack.html
    """
    return _vstack("row_stack", tensors, out)


@polyfill("torch.dstack", since="1.7", link="https://github.com/pytorch/pytorch/pull/42799")
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors behind each other, along dimension 2.

    In torch since 1.7. Fallback: ``cat``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.dstack.html

    Args:
        tensors: a list or tuple of tensors; each is taken as by :func:`atleast_3d`.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.
    """
    refuse_out("dstack", out)
    return _cat([_at_least_3d(tensor) for tensor in check_tensors("tensors", tensors)], 2)


@polyfill("torch.column_stack", since="1.8", link="https://github.com/pytorch/pytorch/pull/46313")
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors beside each other, along dimension 1; those of one dimension become columns.

    In torch since 1.8. Fallback: ``cat``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.column_stack.html

    Args:
        tensors: a list or tuple of tensors.
        out: None.

    Returns:
        A new tensor of the dtype that those of *tensors* promote to.
    """
    refuse_out("column_stack", out)
    given = check_tensors("tensors", tensors)
    return _cat([tensor if tensor.dim() > 1 else tensor.reshape(-1, 1) for tensor in given], 1)


@polyfill(
    "torch.block_diag", since="1.6", link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/functional.py#L894"
)
def block_diag(*tensors: Any) -> Tensor:
    """Put matrices along the diagonal of one that is zero elsewhere.

    In torch since 1.6. Fallback: pads each matrix with zeros, and joins them.
    https://docs.pytorch.org/docs/stable/generated/torch.block_diag.html

    Args:
        tensors: tensors of at most two dimensions. One dimension is a row; none is a matrix of one element.

    Returns:
        A matrix of the dtype that those of *tensors* promote to; without a tensor, shape ``(1, 0)``.

    Raises:
        RuntimeError: a tensor has more than two dimensions.
        TypeError: something is not a tensor.
    """
    blocks = []
    for position, tensor in enumerate(tensors):
        check_tensor(f"tensors[{position}]", tensor)
        if tensor.dim() > 2:
            raise RuntimeError(f"tensors[{position}] must have at most two dimensions, got shape {tuple(tensor.shape)}")
        blocks.append(_at_least_2d(tensor))
    if not blocks:
        return torch.empty(1, 0)
    blocks = list(_of_one_dtype(blocks))
    widths = [block.size(1) for block in blocks]
    rows = []
    for position, block in enumerate(blocks):
        height = block.size(0)
        sides = [block.new_zeros(height, sum(widths[:position])), block.new_zeros(height, sum(widths[position + 1 :]))]
        rows.append(torch.cat([sides[0], block, sides[1]], 1))
    return torch.cat(rows, 0)
