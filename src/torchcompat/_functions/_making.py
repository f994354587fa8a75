"""Tensors out of what other libraries have, with strides of one's own, and complex ones."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Sequence

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import UnsupportedError, at_least, find
from ._arguments import as_int, as_ints, check_tensor
from ._promote import is_complex, refuse_out

_SIZES = {torch.bool: 1, torch.uint8: 1, torch.int8: 1, torch.int16: 2, torch.float16: 2, torch.bfloat16: 2}
_SIZES.update({torch.int32: 4, torch.float32: 4, torch.int64: 8, torch.float64: 8})
_SIZES.update({torch.complex64: 8, torch.complex128: 16})
# Torch can view a tensor as of another dtype from then on: NumPy lacks some dtypes.
VIEWS_DTYPES = at_least(1, 8)


def _numpy() -> Any:
    try:
        return import_module("numpy")
    except ImportError:
        raise UnsupportedError(f"this needs NumPy on torch {torch.__version__}") from None


def _same_memory(buffer: Any, dtype: torch.dtype, count: int, offset: int) -> Tensor:
    name = str(dtype)[len("torch.") :]
    numpy = _numpy()
    known = {"bool": "bool_"}.get(name, name)
    if hasattr(numpy, known):
        return torch.from_numpy(numpy.frombuffer(buffer, getattr(numpy, known), count, offset))
    if not VIEWS_DTYPES:
        raise UnsupportedError(f"NumPy has no {name}, and torch {torch.__version__} cannot view other dtypes as it")
    size = _item_size(dtype)
    whole = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}[size]
    return torch.from_numpy(numpy.frombuffer(buffer, whole, count, offset)).view(dtype)


def _item_size(dtype: torch.dtype) -> int:
    return _SIZES.get(dtype) or torch.empty(0, dtype=dtype).element_size()


@polyfill("torch.frombuffer", since="1.10", link="https://github.com/pytorch/pytorch/pull/59077")
def frombuffer(
    buffer: Any, *, dtype: torch.dtype, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """Make a tensor of one dimension out of the bytes of an object, in the same memory.

    In torch since 1.10. Fallback: by ``numpy.frombuffer``; bfloat16 needs torch 1.8.
    https://docs.pytorch.org/docs/stable/generated/torch.frombuffer.html

    Args:
        buffer: an object with the buffer protocol, such as a bytearray. The tensor keeps it alive. Of one that is not
            writable, torch warns: do not write to the tensor.
        dtype: how the bytes are read.
        count: how many elements; negative: all.
        offset: how many bytes to leave out first.
        requires_grad: whether autograd records what is done with the tensor.

    Returns:
        Shape ``(count,)``.

    Raises:
        ValueError: *buffer* is empty, too short, or has no buffer protocol; *count* is 0; *offset* is out of range.
        TypeError: *dtype* is not a dtype.
    """
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be a torch.dtype, got {type(dtype).__name__}")
    try:
        length = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError(f"buffer must have the buffer protocol, got {type(buffer).__name__}") from None
    wanted, start, size = as_int("count", count), as_int("offset", offset), _item_size(dtype)
    if length == 0 or wanted == 0:
        raise ValueError(f"buffer and count must not be 0 long, got {length} bytes and count {wanted}")
    if not 0 <= start < length:
        raise ValueError(f"offset must be from 0 to {length - 1}, got {start}")
    if wanted > 0 and start + wanted * size > length:
        raise ValueError(f"{wanted} elements of {size} bytes from byte {start} on are more than the {length} bytes")
    if wanted < 0 and (length - start) % size:
        raise ValueError(f"the {length - start} bytes from byte {start} on are not a multiple of {size}")
    result = _same_memory(buffer, dtype, max(wanted, -1), start)
    return result.requires_grad_() if requires_grad else result


def _from_outside(obj: Any, dtype: torch.dtype | None) -> Tensor | None:
    """The tensor in the memory of *obj*, or None where it has none to share."""
    numpy = _numpy()
    if isinstance(obj, numpy.ndarray) and obj.dtype != object:
        return torch.from_numpy(obj)
    if hasattr(obj, "__dlpack__"):
        from torch.utils import dlpack  # which `import torch` leaves alone on old torch

        return dlpack.from_dlpack(obj.__dlpack__())
    if isinstance(obj, numpy.generic):
        return None
    try:
        view = memoryview(obj)
    except TypeError:
        return None
    if dtype is not None:
        return frombuffer(obj, dtype=dtype)
    array = numpy.asarray(view)
    return torch.from_numpy(array)


def _aliased(found: Tensor, dtype: torch.dtype | None, device: Any, copy: bool | None) -> Tensor:
    kind = found.dtype if dtype is None else dtype
    where = found.device if device is None else torch.device(device)
    moves = where.type != found.device.type or (where.index is not None and where.index != found.device.index)
    if copy is False and (kind != found.dtype or moves):
        raise ValueError(
            f"copy=False cannot make a tensor of dtype {kind} on {where} out of {found.dtype} on {found.device}"
        )
    if kind == found.dtype and not moves:
        return found.clone() if copy else found
    return found.to(device=where, dtype=kind)


@polyfill(
    "torch.asarray",
    since="2.15",
    link="https://github.com/pytorch/pytorch/pull/188784",
    reason="drops `requires_grad` of a tensor, and reads buffers as of the default dtype",
)
def asarray(
    obj: Any,
    *,
    dtype: torch.dtype | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """Make a tensor out of an object, in its memory where it can be.

    In torch since 2.15. Fallback: NumPy for arrays and buffers, and ``torch.tensor``. Torch's own dropped
    ``requires_grad`` of a tensor before, and read bytes without a *dtype* as of the default dtype.
    https://docs.pytorch.org/docs/stable/generated/torch.asarray.html

    Args:
        obj: a tensor, a NumPy array or number, an object with ``__dlpack__`` or the buffer protocol, a number, or
            sequences of numbers.
        dtype: the dtype; None: that of *obj*. Bytes of a buffer are read as of it.
        device: the device; None: that of *obj*.
        copy: True: always copy. False: never. None: where it is needed.
        requires_grad: whether autograd records what is done with the tensor; None: as it is.

    Returns:
        A tensor: *obj* itself if it is one, and nothing is to be changed.

    Raises:
        ValueError: a copy is needed, but *copy* is False.
        TypeError, RuntimeError: *obj* is nothing to make a tensor of.
    """
    if isinstance(obj, Tensor):
        result = _aliased(obj, dtype, device, copy)
    else:
        found = _from_outside(obj, dtype)
        if found is not None:
            result = _aliased(found, dtype, device, copy)
        elif copy is False:
            raise ValueError(f"copy=False cannot make a tensor out of {type(obj).__name__}")
        else:
            result = torch.tensor(obj, dtype=dtype, device=device)
    if requires_grad is False and result.requires_grad:
        return result.detach()
    if requires_grad and not result.requires_grad:
        return result.requires_grad_()
    return result


@polyfill(
    "torch.empty_permuted",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/95208",
)
def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Make a tensor whose dimensions lie in memory in an order of one's own.

    In torch since 2.1. Fallback: ``empty`` and ``permute``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.empty_permuted.html

    Args:
        size: the shape.
        physical_layout: the dims from the outermost in memory to the innermost: ``(0, 2, 3, 1)`` is channels last.
        dtype: the dtype; None: the default one.
        layout: None or ``torch.strided``.
        device: the device.
        requires_grad: whether autograd records what is done with the tensor.
        pin_memory: put it into pinned memory.
        out: None.

    Returns:
        A tensor of shape *size* with elements that are not set.

    Raises:
        RuntimeError: *physical_layout* does not name each dim once.
    """
    refuse_out("empty_permuted", out)
    sizes, order = as_ints("size", size), as_ints("physical_layout", physical_layout)
    if sorted(order) != list(range(len(sizes))):
        raise RuntimeError(f"physical_layout must name each dim from 0 to {len(sizes) - 1} once, got {tuple(order)}")
    given = {"dtype": dtype, "layout": layout, "device": device}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if pin_memory:
        options["pin_memory"] = True
    plain = torch.empty([sizes[dim] for dim in order], **options)
    result = plain.permute([order.index(dim) for dim in range(len(sizes))])
    return result.requires_grad_() if requires_grad else result


# --- complex numbers

_VIEWS = find("torch.view_as_complex"), find("torch.view_as_real")


def _needs_complex(name: str) -> None:
    if _VIEWS[0] is None:
        raise UnsupportedError(
            f"{name}() needs complex tensors, which torch {torch.__version__} lacks: use torch >= 1.6"
        )


def _whole(name: str, real: Any, imag: Any, labels: Sequence[str]) -> Tensor:
    _needs_complex(name)
    if not at_least(1, 8) and torch.is_grad_enabled() and (real.requires_grad or imag.requires_grad):
        raise UnsupportedError(f"{name}(): gradients of complex tensors need torch >= 1.8")
    if real.dtype != imag.dtype:
        raise RuntimeError(f"{labels[0]} and {labels[1]} must have one dtype, got {real.dtype} and {imag.dtype}")
    pair = torch.broadcast_tensors(real, imag)  # type: ignore[no-untyped-call]
    whole: Tensor = _VIEWS[0](torch.stack(list(pair), -1))
    return whole


def _check_parts(first: str, one: Any, second: str, other: Any, dtypes: Sequence[torch.dtype]) -> None:
    for name, value in ((first, one), (second, other)):
        check_tensor(name, value)
        if value.dtype not in dtypes:
            raise NotImplementedError(f"{name} must be of a floating-point dtype, got {value.dtype}")


@polyfill(
    "torch.complex", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L1734"
)
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Make complex numbers out of their real and imaginary parts.

    In torch since 1.7. Fallback: ``view_as_complex`` of both; before torch 1.6, which has no complex tensors,
    UnsupportedError; refuses *out*. https://docs.pytorch.org/docs/stable/generated/torch.complex.html

    Args:
        real: float32 or float64.
        imag: of the same dtype; the shapes broadcast.
        out: None.

    Returns:
        complex64 or complex128.

    Raises:
        RuntimeError: the dtypes differ, or are not of floating point.
    """
    refuse_out("complex", out)
    _check_parts("real", real, "imag", imag, (torch.float16, torch.float32, torch.float64))
    return _whole("complex", real, imag, ("real", "imag"))


@polyfill("torch.polar", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L1762")
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Make complex numbers out of their absolute values and angles.

    In torch since 1.7. Fallback: cosine and sine; before torch 1.6, which has no complex tensors, UnsupportedError;
    refuses *out*. https://docs.pytorch.org/docs/stable/generated/torch.polar.html

    Args:
        abs: float32 or float64.
        angle: of the same dtype; the shapes broadcast.
        out: None.

    Returns:
        complex64 or complex128.

    Raises:
        RuntimeError: the dtypes differ, or are not of floating point.
    """
    refuse_out("polar", out)
    _check_parts("abs", abs, "angle", angle, (torch.float32, torch.float64))
    if abs.dtype != angle.dtype:
        raise RuntimeError(f"abs and angle must have one dtype, got {abs.dtype} and {angle.dtype}")
    return _whole("polar", abs * angle.cos(), abs * angle.sin(), ("abs", "angle"))


@polyfill(
    "torch.view_as_real", since="1.6", link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L1159"
)
def view_as_real(input: Tensor) -> Tensor:
    """View complex numbers as pairs of real ones.

    In torch since 1.6. Fallback: torch's own; before, there is none and there are no complex tensors: UnsupportedError.
    https://docs.pytorch.org/docs/stable/generated/torch.view_as_real.html

    Args:
        input: a complex tensor of any shape.

    Returns:
        A view of *input* of shape ``(*input.shape, 2)``.

    Raises:
        RuntimeError, TypeError: *input* is not complex.
    """
    check_tensor("input", input)
    _needs_complex("view_as_real")
    if not is_complex(input.dtype):
        raise TypeError(f"input must be complex, got {input.dtype}")
    parts: Tensor = _VIEWS[1](input)
    return parts


@polyfill(
    "torch.view_as_complex",
    since="1.6",
    link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L1185",
)
def view_as_complex(input: Tensor) -> Tensor:
    """View pairs of real numbers as complex ones.

    In torch since 1.6. Fallback: torch's own; before, there is none and there are no complex tensors: UnsupportedError.
    https://docs.pytorch.org/docs/stable/generated/torch.view_as_complex.html

    Args:
        input: shape ``(..., 2)``, of floating point.

    Returns:
        A view of *input* of shape ``(...)``.

    Raises:
        RuntimeError: *input* is not made of pairs that lie together in memory.
    """
    check_tensor("input", input)
    _needs_complex("view_as_complex")
    whole: Tensor = _VIEWS[0](input)
    return whole
