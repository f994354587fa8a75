"""What the functions over lists of tensors take, and what they refuse before they write anything."""

from __future__ import annotations

import numbers
from typing import Any, Iterable, Sequence

import torch
from torch import Tensor

from ..._torch import find
from .._promote import dtype_of, is_complex

# Numbers that torch.compile does not know yet are no numbers.Number.
NUMBERS = (numbers.Number, *(kind for kind in map(find, ("torch.SymInt", "torch.SymFloat")) if kind is not None))


def tensor_list(function: str, name: str, value: Any, count: int | None = None) -> Sequence[Tensor]:
    """*value*, a list or tuple of tensors: at least one of them, or *count*."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{function}(): {name} must be a list or tuple of tensors, got {type(value).__name__}")
    for position, each in enumerate(value):
        if not isinstance(each, Tensor):
            raise TypeError(f"{function}(): {name}[{position}] must be a Tensor, got {type(each).__name__}")
    if not value:
        raise RuntimeError(f"{function}(): {name} must have at least one tensor, got an empty list")
    _check_count(function, name, value, count)
    return value


def _check_count(function: str, name: str, value: Sequence[Any], count: int | None) -> None:
    if count is not None and len(value) != count:
        raise RuntimeError(f"{function}(): {name} must be as long as the list of tensors, {count}, got {len(value)}")


def is_number(value: Any) -> bool:
    """Whether torch takes *value* for a number; a tensor without dimensions that records no gradient is one, too."""
    return isinstance(value, NUMBERS) or (
        isinstance(value, Tensor) and not value.dim() and not value.requires_grad and value.numel() == 1
    )


def number(function: str, name: str, value: Any) -> Any:
    """*value*, a number."""
    if not is_number(value):
        raise TypeError(f"{function}(): {name} must be a number, got {type(value).__name__}")
    return value.item() if isinstance(value, Tensor) else value


def number_list(function: str, name: str, value: Any, count: int) -> Sequence[Any]:
    """*value*, a list or tuple of *count* numbers."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{function}(): {name} must be a list or tuple of numbers, got {type(value).__name__}")
    for position, each in enumerate(value):
        if not isinstance(each, NUMBERS):
            raise TypeError(f"{function}(): {name}[{position}] must be a number, got {type(each).__name__}")
    _check_count(function, name, value, count)
    return value


def operands(function: str, name: str, value: Any, count: int, tensor: bool = False) -> tuple[str, Sequence[Any]]:
    """The overload that *value* asks for, and one operand for each of *count* tensors.

    *tensor*: whether a tensor without dimensions stands for itself, and not for the number that it holds.
    """
    if tensor and isinstance(value, Tensor):
        if value.dim():
            raise RuntimeError(f"{function}(): {name} must have no dimensions, got shape {tuple(value.shape)}")
        return "Tensor", [value] * count
    if is_number(value):
        return "Scalar", [number(function, name, value)] * count
    if not isinstance(value, (list, tuple)):
        wanted = "a number, or a list of numbers or of tensors"
        raise TypeError(f"{function}(): {name} must be {wanted}, got {type(value).__name__}")
    if value and isinstance(value[0], NUMBERS):
        return "ScalarList", number_list(function, name, value, count)
    return "List", tensor_list(function, name, value, count)


def one_of(function: str, **given: Any) -> tuple[str, Any]:
    """The one argument that is not None."""
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        names = ", ".join(given)
        raise TypeError(f"{function}(): exactly one of {names} must be given, got {len(found)}")
    return found[0]


def records(*values: Any) -> bool:
    """Whether autograd records what is done with the tensors among *values*."""
    if not torch.is_grad_enabled():
        return False
    for value in values:
        if isinstance(value, Tensor) and value.requires_grad:
            return True
    return False


def is_plain(tensors: Sequence[Tensor], *lists: Sequence[Any]) -> bool:
    """Whether all are plain tensors of one floating-point dtype, the operands of the shape of theirs, or real numbers."""
    dtype = tensors[0].dtype
    if not dtype.is_floating_point:
        return False
    for tensor in tensors:
        if tensor.dtype is not dtype or type(tensor) not in PLAIN:
            return False
    for values in lists:
        for tensor, value in zip(tensors, values):
            if isinstance(value, Tensor):
                if value.dtype is not dtype or value.shape != tensor.shape or type(value) not in PLAIN:
                    return False
            elif type(value) not in (int, float, bool):
                return False
    return True


PLAIN = (Tensor, torch.nn.Parameter)


# In place


def check_in_place(function: str, rule: str, rows: Iterable[Sequence[Any]]) -> None:
    """Raise what writing would raise in the middle: each row is a tensor that is written to, and its operands.

    *rule* says which dtype the result has: "same" as the tensor, "promoted", "floating", "alike" (all have one dtype), or
    "any", which is cast.
    """
    recording = torch.is_grad_enabled()
    tracing = torch._C._get_tracing_state() is not None  # sizes are no numbers then
    for tensor, *values in rows:
        if recording and tensor.requires_grad and tensor.is_leaf:
            raise RuntimeError(f"{function}(): a leaf that requires grad cannot be written to; use torch.no_grad()")
        for value in values:
            if isinstance(value, Tensor) and not tracing and value.shape != tensor.shape:
                _check_shape(function, tensor.shape, value.shape)
        _check_dtype(function, rule, tensor, values)


def _check_shape(function: str, shape: Sequence[int], other: Sequence[int]) -> None:
    trailing = shape[len(shape) - len(other) :] if len(other) <= len(shape) else ()
    if len(other) > len(shape) or any(theirs not in (1, ours) for ours, theirs in zip(trailing, other)):
        raise RuntimeError(
            f"{function}(): a tensor of shape {tuple(shape)} cannot be written to, since an operand of shape "
            f"{tuple(other)} does not broadcast to it"
        )


def _check_dtype(function: str, rule: str, tensor: Tensor, values: Sequence[Any]) -> None:
    if rule in ("same", "any"):
        return
    if rule == "alike":
        for value in values:
            if isinstance(value, Tensor) and value.dtype != tensor.dtype:
                raise RuntimeError(f"{function}(): all tensors must be of {tensor.dtype}, got one of {value.dtype}")
        return
    result = dtype_of([tensor, *values])
    if rule == "floating" and _rank(result) < 2:
        result = torch.get_default_dtype()
    if _rank(result) > _rank(tensor.dtype):
        raise RuntimeError(
            f"{function}(): a result of {result} cannot be cast to the {tensor.dtype} that is written to"
        )


def is_inexact(tensor: Tensor) -> bool:
    """Whether *tensor* is floating point or complex."""
    return _rank(tensor.dtype) > 1


def _rank(dtype: torch.dtype) -> int:
    if is_complex(dtype):
        return 3
    return 2 if dtype.is_floating_point else int(dtype is not torch.bool)
