"""What the functions on shapes ask of their arguments: tensors, dims, sequences of ints."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor

# Whether torch.jit.trace is recording: sizes are tensors then, and a check of them would be recorded too.
tracing = torch._C._get_tracing_state


def check_tensor(name: str, value: Any) -> None:
    """Raise TypeError unless *value* is a tensor, or a type that takes part in torch's functions by their protocol."""
    if not isinstance(value, Tensor) and not hasattr(type(value), "__torch_function__"):
        raise TypeError(f"{name} must be a Tensor, got {type(value).__name__}")


def check_tensors(name: str, value: Any) -> Sequence[Any]:
    """*value*, which must be a list or tuple of tensors and not be empty."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be a list or tuple of Tensors, got {type(value).__name__}")
    if not value:
        raise RuntimeError(f"{name} must not be empty")
    for position, tensor in enumerate(value):
        check_tensor(f"{name}[{position}]", tensor)
    return value


def as_int(name: str, value: Any) -> int:
    """*value*, which must be an int, and no bool, as a plain int. NumPy's integers and tensors of one are ints, too."""
    if type(value) is int:
        return value
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        try:
            return int(value.__index__())
        except TypeError:  # a tensor of floats has the method and refuses
            pass
    raise TypeError(f"{name} must be an int, got {value!r}")


def as_ints(name: str, value: Any) -> list[int]:
    """*value*, which must be a list or tuple of ints, as a list. Under a trace its sizes stay what they are."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be a tuple of ints, got {value!r}")
    if tracing() is not None:
        return list(value)
    return [as_int(f"{name}[{position}]", item) for position, item in enumerate(value)]


def wrapped(dim: Any, ndim: int, name: str = "dim") -> int:
    """*dim* counted from the front; a tensor without dimensions counts as one of one dimension."""
    found = as_int(name, dim)
    last = max(ndim, 1)
    if not -last <= found < last:
        raise IndexError(
            f"{name} out of range: it must be in the range [{-last}, {last - 1}] for a tensor of {ndim} dimensions, "
            f"got {found}"
        )
    return found + last if found < 0 else found


def check_distinct(name: str, dims: Sequence[int]) -> None:
    """Raise RuntimeError if a dim stands twice in *dims*."""
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"{name}: a dim appears more than once in {tuple(dims)}")
