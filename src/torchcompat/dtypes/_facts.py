"""Facts of a dtype that torch's dtypes learned to tell after torch 1.2."""

from __future__ import annotations

from typing import Any

import torch

from .._shim import facade
from .._torch import UnsupportedError, at_least, find

__all__ = ["finfo", "is_signed", "itemsize", "to_complex", "to_real"]

_UNSIGNED = ("bool", "uint8", "uint16", "uint32", "uint64", "quint8", "quint4x2", "quint2x4")
_REAL = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
# (bits of the fraction, smallest exponent, largest exponent, decimal digits) of what torch up to 1.11 may have.
_FORMATS = {
    "float16": (10, -14, 15, 3),
    "bfloat16": (7, -126, 127, 2),
    "float32": (23, -126, 127, 6),
    "float64": (52, -1022, 1023, 15),
}


def _name(dtype: Any) -> str:
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be a torch.dtype, got {dtype!r}")
    return str(dtype).rpartition(".")[2]


@facade("dtypes.itemsize")
def itemsize(dtype: torch.dtype) -> int:
    """The bytes of one number.

    Not in torch as a function: the attribute ``dtype.itemsize`` came with 2.1.

    Args:
        dtype: any dtype that tensors are made of.

    Raises:
        TypeError: *dtype* is no dtype.
    """
    _name(dtype)
    return int(dtype.itemsize) if at_least(2, 1) else int(torch.empty(0, dtype=dtype).element_size())


@facade("dtypes.is_signed")
def is_signed(dtype: torch.dtype) -> bool:
    """Whether a dtype has negative numbers.

    Not in torch as a function: the attribute ``dtype.is_signed`` came with 1.4.

    Args:
        dtype: any dtype.

    Raises:
        TypeError: *dtype* is no dtype.
    """
    return _name(dtype) not in _UNSIGNED


@facade("dtypes.to_real")
def to_real(dtype: torch.dtype) -> torch.dtype:
    """The dtype of the real part: float32 for complex64. A real dtype itself.

    Not in torch as a function: ``dtype.to_real()`` came with 2.1.

    Args:
        dtype: any dtype.

    Raises:
        TypeError: *dtype* is no dtype.
    """
    name = _name(dtype)
    return find(f"torch.{_REAL[name]}") if name in _REAL else dtype


@facade("dtypes.to_complex")
def to_complex(dtype: torch.dtype) -> torch.dtype:
    """The complex dtype whose parts are of this dtype: complex64 for float32. A complex dtype itself.

    Not in torch as a function: ``dtype.to_complex()`` came with 2.1.

    Args:
        dtype: float16, float32, float64 or a complex dtype.

    Raises:
        TypeError: *dtype* is no dtype.
        RuntimeError: there is no such complex dtype.
        UnsupportedError: this torch lacks it.
    """
    name = _name(dtype)
    if name in _REAL:
        return dtype
    wanted = next((complex_name for complex_name, real in _REAL.items() if real == name), None)
    if wanted is None:
        raise RuntimeError(f"there is no complex dtype of {dtype}")
    found = find(f"torch.{wanted}")
    if found is None:
        raise UnsupportedError(f"torch.{wanted} needs a newer torch than {torch.__version__}")
    return found


class _Finfo:
    """Limits of a floating-point dtype."""

    def __init__(self, name: str) -> None:
        fraction, least, most, digits = _FORMATS[name]
        self.dtype = name
        self.bits = {"float64": 64, "float32": 32}.get(name, 16)
        self.eps = 2.0**-fraction
        self.max = (2.0 - self.eps) * 2.0**most
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0**least
        self.resolution = 10.0**-digits

    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={value}" for key, value in sorted(vars(self).items()))
        return f"finfo({fields})"


@facade("dtypes.finfo")
def finfo(dtype: torch.dtype | None = None) -> Any:
    """The limits of a floating-point dtype, with every attribute that torch has for them today.

    Not in torch in this form: ``torch.finfo`` has ``smallest_normal`` since 1.12, ``resolution`` and ``dtype`` since
    1.7, and up to 1.5 it ends the process when it is asked of bfloat16.

    Args:
        dtype: floating-point, or complex: then that of its parts. None: the default dtype.

    Returns:
        ``torch.finfo`` from torch 1.12 on; before, an object with ``bits``, ``dtype``, ``eps``, ``max``, ``min``,
        ``resolution``, ``smallest_normal`` and ``tiny``.

    Raises:
        TypeError: *dtype* is something else.
    """
    chosen = to_real(torch.get_default_dtype() if dtype is None else dtype)
    if at_least(1, 12):
        return torch.finfo(chosen)
    name = _name(chosen)
    if name not in _FORMATS:
        raise TypeError(f"dtype must be floating-point or complex, got {dtype}")
    return _Finfo(name)
