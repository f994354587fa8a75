"""Sparse tensors, whose indices are checked first: torch's kernels go where an index says.

What was checked must stay as it is. Torch makes a compressed tensor of the very objects that it is given, and a pickle
may still give those another storage by the opcode BUILD. So what torch gets is a tensor that nobody else has; and no
opcode writes to a storage.
"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any, Iterator

import torch

from .._torch import UnsupportedError, at_least, find
from ._budget import RECORD, Budget

_LARGEST = 2**63 - 1
_PIECE = 1 << 18  # as many indices are checked at once, so that the check itself takes no memory to speak of
_torch: Any = torch
_UNCHECKED: dict[str, Any] = {"check_invariants": False} if at_least(2, 0) else {}  # they have been checked by then


def is_plain(tensor: Any) -> bool:
    """Whether *tensor* is a strided tensor of torch's own whose elements are what its memory holds."""
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout != torch.strided or tensor.is_quantized:
        return False
    return not at_least(1, 10) or not (tensor.is_conj() or tensor.is_neg())


def is_dense(tensor: Any) -> bool:
    """Whether *tensor* has a strided layout and at most as many elements as it has memory."""
    if tensor.layout != torch.strided:
        return False
    span = 1 + sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride()))
    return bool(tensor.numel() <= span or tensor.numel() == 0)


def is_meta(tensor: Any) -> bool:
    """Whether *tensor* has no data."""
    return bool(tensor.device.type == "meta")


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
        _need(is_plain(part) and is_dense(part), "its indices and values are not plain tensors")
    _need(len({part.device for part in parts}) == 1, "its indices and values are on several devices")


def _pieces(length: int, width: int) -> Iterator[slice]:
    """Parts of a row of *length* that have some ``_PIECE`` elements, where each step has *width* of them."""
    step = max(1, _PIECE // max(1, width))
    return (slice(start, start + step) for start in range(0, length, step))


def _memory(tensor: Any) -> tuple[Any, ...]:
    """What tells one view of memory from another."""
    return tensor.device, tensor.dtype, tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


class Sparse:
    """Makes the sparse tensors of one pickle."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        # What has been checked. The tensors are kept, so that nothing else comes to lie where they are.
        self._checked: dict[Any, tuple[Any, ...]] = {}

    def rebuild(self, layout: Any, data: Any) -> Any:
        """The sparse tensor that *data* describe, of *layout*."""
        if type(data) is not tuple or not isinstance(layout, torch.layout):
            raise UnpicklingError("a sparse tensor is described by a layout and a tuple")
        if layout == torch.sparse_coo:
            return self._coo(*data)
        known = [find("torch.sparse_" + kind) for kind in ("csr", "csc", "bsr", "bsc")]
        _need(any(layout == each for each in known if each is not None), "no torch writes this layout")
        return self._compressed(layout, *data)

    def _is_new(self, key: Any, *tensors: Any) -> bool:
        """Whether *tensors* must be checked, which nobody has done with that *key* yet, and can be."""
        if is_meta(tensors[0]) or key in self._checked:
            return False
        self._budget.spend(2 * RECORD + 16 * len(key))
        self._budget.read(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
        self._checked[key] = tensors
        return True

    def _spend(self, size: Any, *parts: Any) -> None:
        for dimensions in (len(size), *(part.dim() for part in parts)):
            self._budget.spend_tensor(dimensions)

    def _coo(self, indices: Any, values: Any, size: Any, is_coalesced: Any = None) -> Any:
        size = _check_size(size)
        _check_parts(indices, values)
        _need(indices.dtype == torch.int64 and indices.dim() == 2 and values.dim() >= 1, "its indices are not a matrix")
        dimensions, count = indices.shape
        _need(dimensions <= len(size) and values.shape[0] == count, "it has not one value for each index")
        _need(tuple(values.shape[1:]) == size[dimensions:], "its values do not have the size that it says")
        ordered = is_coalesced is True and find("torch.Tensor._coalesced_") is not None
        self._spend(size, indices, values)
        if self._is_new((_memory(indices), size[:dimensions], ordered), indices):
            _check_indices(indices, size[:dimensions], ordered)
        if not at_least(1, 7):  # there torch reads them every time
            self._budget.read(8 * indices.numel())
        result = _make_coo(indices.detach(), values.detach(), size)
        return _torch.Tensor._coalesced_(result, True) if ordered else result

    def _compressed(self, layout: Any, compressed: Any, plain: Any, values: Any, size: Any) -> Any:
        size = _check_size(size)
        _check_parts(compressed, plain, values)
        others = _check_shapes(str(layout), compressed, plain, values, size)
        self._spend(size, compressed, plain, values)
        key = (str(layout), _memory(compressed), _memory(plain), tuple(values.shape), size)
        if self._is_new(key, compressed, plain):
            _check_lines(compressed, plain.shape[-1], others)
            for piece in _pieces(plain.shape[-1], plain.numel() // max(1, plain.shape[-1])):
                part = plain[..., piece]
                in_range = not part.numel() or (int(part.min()) >= 0 and int(part.max()) < others)
                _need(in_range, "an index is out of range")
            _validate(compressed, plain, values, size, layout)
        return _make_compressed(layout, compressed.detach(), plain.detach(), values.detach(), size)


def _check_indices(indices: Any, lengths: tuple[int, ...], ordered: bool) -> None:
    """Check that *indices* are below *lengths*, and, if they are *ordered*, that each comes after the one before."""
    dimensions, count = indices.shape
    if not dimensions:
        _need(not ordered or count < 2, "it says that its indices are in order, but they are not")
        return
    limits = torch.tensor(lengths, dtype=torch.int64, device=indices.device).unsqueeze(1)
    steps = [1]
    for length in lengths[:0:-1]:
        steps.append(steps[-1] * length)
    factors = torch.tensor(steps[::-1], dtype=torch.int64, device=indices.device).unsqueeze(1)
    last = -1
    for piece in _pieces(count, dimensions):
        part = indices[:, piece]
        _need(not bool((part < 0).any()) and not bool((part >= limits).any()), "an index is out of range")
        if ordered:
            places = (part * factors).sum(0)
            rising = int(places[0]) > last and bool((places[1:] > places[:-1]).all())
            _need(rising, "it says that its indices are in order, but they are not")
            last = int(places[-1])


def _check_shapes(kind: str, compressed: Any, plain: Any, values: Any, size: tuple[int, ...]) -> int:
    """Check that the parts of a compressed tensor fit together; returns how many elements a row may have.

    A row, here and below, is a column where the columns are compressed.
    """
    ints = compressed.dtype in (torch.int32, torch.int64) and plain.dtype == compressed.dtype
    _need(ints, "its indices are no ints")
    _need(compressed.dim() >= 1 and compressed.dim() == plain.dim(), "its indices differ in their dimensions")
    batch = compressed.dim() - 1
    _need(len(size) >= batch + 2 and values.dim() > batch, "it has too few dimensions")
    block = tuple(values.shape[batch + 1 : batch + 3]) if "bs" in kind else (1, 1)
    _need(len(block) == 2 and all(block), "its blocks are empty")
    _need(size[batch] % block[0] == 0 == size[batch + 1] % block[1], "its size is no multiple of its blocks'")
    rows, columns = (size[batch] // block[0], size[batch + 1] // block[1])
    lines, others = (rows, columns) if "sr" in kind else (columns, rows)
    _need(compressed.shape[-1] == lines + 1 and values.shape[batch] == plain.shape[-1], "its parts do not fit together")
    batches = {tuple(part.shape[:batch]) for part in (compressed, plain, values)}
    _need(batches == {size[:batch]}, "its batches do not fit together")
    dense = tuple(values.shape[batch + (3 if "bs" in kind else 1) :])
    _need(dense == size[batch + 2 :], "its values do not have the size that it says")
    return int(others)


def _check_lines(compressed: Any, count: int, others: int) -> None:
    """Check where the rows begin: at 0, never before the one above, and with at most as many elements as fit.

    The rows are compared before one is subtracted from the other, which may overflow.
    """
    if not compressed.numel():
        return
    first, last, begin, end = compressed[..., 0], compressed[..., -1], compressed[..., :-1], compressed[..., 1:]
    ends = int(first.min()) == 0 == int(first.max()) and int(last.min()) == count == int(last.max())
    _need(ends, "its rows have another length")
    pieces = list(_pieces(begin.shape[-1], first.numel()))
    for piece in pieces:
        _need((end[..., piece] >= begin[..., piece]).all(), "a row has no such length")
    for piece in pieces:  # now all of them are from 0 to count
        _need(int((end[..., piece] - begin[..., piece]).max()) <= others, "a row has no such length")


def _validate(*arguments: Any) -> None:
    """Let torch check what is a matter of its own: that the indices of each row are in order."""
    validate = find("torch._validate_sparse_compressed_tensor_args")
    if validate is None:
        return
    try:
        validate(*arguments)
    except RuntimeError as error:
        raise UnpicklingError(f"a sparse tensor is broken: {str(error).splitlines()[0]}") from None


def _make_coo(indices: Any, values: Any, size: tuple[int, ...]) -> Any:
    # Before check_invariants, the function that reads all indices again has a twin that does not.
    make = None if at_least(2, 0) else find("torch._sparse_coo_tensor_unsafe")
    make = make or _torch.sparse_coo_tensor
    return make(indices, values, size, dtype=values.dtype, device=values.device, **_UNCHECKED)


def _make_compressed(layout: Any, compressed: Any, plain: Any, values: Any, size: tuple[int, ...]) -> Any:
    options = {"dtype": values.dtype, "device": values.device, **_UNCHECKED}
    unsafe = "_{}_unsafe" if not at_least(2, 0) else "{}"
    make = find("torch." + unsafe.format("sparse_compressed_tensor")) or find("torch.sparse_compressed_tensor")
    if make is not None:
        return make(compressed, plain, values, size, layout=layout, **options)
    # torch 1.9 keeps the function to itself: https://github.com/pytorch/pytorch/pull/58994
    make_csr = find("torch." + unsafe.format("sparse_csr_tensor"))
    make_csr = make_csr or find("torch.sparse_csr_tensor") or find("torch._sparse_csr_tensor")
    if str(layout) == "torch.sparse_csr" and make_csr is not None:
        return make_csr(compressed, plain, values, size, **options)
    raise UnsupportedError(f"the file holds a tensor of layout {layout}, which torch {torch.__version__} cannot make")
