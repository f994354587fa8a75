"""Sparse tensors, whose indices are checked first: torch's kernels go where an index says."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

import torch

from .._torch import UnsupportedError, at_least, find

_LARGEST = 2**63 - 1
_torch: Any = torch
_UNCHECKED: dict[str, Any] = {"check_invariants": False} if at_least(2, 0) else {}  # they have been checked by then


def is_dense(tensor: Any) -> bool:
    """Whether *tensor* has a strided layout and at most as many elements as it has memory."""
    if tensor.layout != torch.strided:
        return False
    span = 1 + sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride()))
    return bool(tensor.numel() <= span or tensor.numel() == 0)


def _check_size(size: Any) -> tuple[int, ...]:
    numbers = tuple(size) if isinstance(size, tuple) else ()
    if not isinstance(size, tuple) or len(numbers) > 64 or not all(type(n) is int and n >= 0 for n in numbers):
        raise UnpicklingError("the size of a sparse tensor is not a tuple of lengths")
    product = 1
    for length in numbers:
        product *= max(length, 1)
    if product > _LARGEST // 16:
        raise UnpicklingError("a sparse tensor is larger than any memory")
    return numbers


def _need(condition: Any, what: str) -> None:
    if not bool(condition):
        raise UnpicklingError(f"a sparse tensor is broken: {what}")


def _check_parts(*parts: Any) -> None:
    for part in parts:
        _need(isinstance(part, torch.Tensor) and is_dense(part), "its indices and values are not plain tensors")


def rebuild(layout: Any, data: Any) -> Any:
    """The sparse tensor that *data* describe, of *layout*."""
    if type(data) is not tuple or not isinstance(layout, torch.layout):
        raise UnpicklingError("a sparse tensor is described by a layout and a tuple")
    if layout == torch.sparse_coo:
        return _coo(*data)
    names = {str(layout): layout for layout in (find("torch.sparse_" + kind) for kind in ("csr", "csc", "bsr", "bsc"))}
    _need(str(layout) in names and layout is not None, "no torch writes this layout")
    return _compressed(layout, *data)


def _coo(indices: Any, values: Any, size: Any, is_coalesced: Any = None) -> Any:
    size = _check_size(size)
    _check_parts(indices, values)
    _need(indices.dtype == torch.int64 and indices.dim() == 2 and values.dim() >= 1, "its indices are not a matrix")
    dimensions, count = indices.shape
    _need(dimensions <= len(size) and values.shape[0] == count, "it has not one value for each index")
    _need(tuple(values.shape[1:]) == size[dimensions:], "its values do not have the size that it says")
    linear = torch.zeros(count, dtype=torch.int64, device=indices.device)
    if indices.device.type != "meta":
        for row, length in zip(indices, size):
            _need(not count or (int(row.min()) >= 0 and int(row.max()) < length), "an index is out of range")
            linear = linear * length + row
    result = _torch.sparse_coo_tensor(indices, values, size, **_UNCHECKED)
    if is_coalesced is True and find("torch.Tensor._coalesced_"):
        ordered = count < 2 or indices.device.type == "meta" or bool((linear[1:] > linear[:-1]).all())
        _need(ordered, "it says that its indices are in order, but they are not")
        result = _torch.Tensor._coalesced_(result, True)
    return result


def _compressed(layout: Any, compressed: Any, plain: Any, values: Any, size: Any) -> Any:
    size = _check_size(size)
    _check_parts(compressed, plain, values)
    _need(compressed.dtype in (torch.int32, torch.int64) and plain.dtype == compressed.dtype, "its indices are no ints")
    _need(compressed.dim() >= 1 and compressed.dim() == plain.dim(), "its indices differ in their dimensions")
    kind = str(layout)
    batch = compressed.dim() - 1
    _need(len(size) >= batch + 2 and values.dim() > batch, "it has too few dimensions")
    block = tuple(values.shape[batch + 1 : batch + 3]) if "bs" in kind else (1, 1)
    _need(len(block) == 2 and all(block), "its blocks are empty")
    rows, columns = (size[batch] // block[0], size[batch + 1] // block[1])
    lines, others = (rows, columns) if "sr" in kind else (columns, rows)
    count = plain.shape[-1]
    _need(compressed.shape[-1] == lines + 1 and values.shape[batch] == count, "its parts do not fit together")
    _need(compressed.shape[:-1] == plain.shape[:-1] == values.shape[:batch], "its batches do not fit together")
    if compressed.device.type != "meta" and compressed.numel():
        steps = compressed[..., 1:] - compressed[..., :-1]
        _need((compressed[..., 0] == 0).all() and (compressed[..., -1] == count).all(), "its rows have another length")
        _need(not steps.numel() or (int(steps.min()) >= 0 and int(steps.max()) <= others), "a row has no such length")
        _need(not plain.numel() or (int(plain.min()) >= 0 and int(plain.max()) < others), "an index is out of range")
    make = find("torch.sparse_compressed_tensor")
    validate = find("torch._validate_sparse_compressed_tensor_args")
    if make is not None:
        if validate is not None:
            _validate(validate, compressed, plain, values, size, layout)
        return make(compressed, plain, values, size, layout=layout, **_UNCHECKED)
    # torch 1.9 keeps the function to itself: https://github.com/pytorch/pytorch/pull/58994
    make_csr = find("torch.sparse_csr_tensor") or find("torch._sparse_csr_tensor")
    if kind == "torch.sparse_csr" and make_csr is not None:
        return make_csr(compressed, plain, values, size, **_UNCHECKED)
    raise UnsupportedError(f"the file holds a tensor of layout {kind}, which torch {torch.__version__} cannot make")


def _validate(validate: Any, *arguments: Any) -> None:
    try:
        validate(*arguments)
    except RuntimeError as error:
        raise UnpicklingError(f"a sparse tensor is broken: {error}") from None
