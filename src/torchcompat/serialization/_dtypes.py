"""The names by which files call dtypes and storages, and what the installed torch has of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from .._torch import UnsupportedError, find

# The storages of torch 1.2 to 2.15, by the dtype that files mean.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QUInt8Storage": "quint8",
    "QInt8Storage": "qint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "uint8",
}

# The first minor of dtypes that torch 1.2 lacks, where both it and the one before were looked at.
_SINCE = {
    "quint4x2": "1.8",
    "bits16": "2.1",
    "bits1x8": "2.1",
    "bits2x4": "2.1",
    "bits4x2": "2.1",
    "bits8": "2.1",
    "float8_e4m3fn": "2.1",
    "float8_e5m2": "2.1",
    "float8_e4m3fnuz": "2.2",
    "float8_e5m2fnuz": "2.2",
    "uint16": "2.3",
    "uint32": "2.3",
    "uint64": "2.3",
    "float8_e8m0fnu": "2.7",
    "float4_e2m1fn_x2": "2.8",
}
_SINCE.update({f"uint{bits}": "2.3" for bits in range(1, 8)})
_SINCE.update({f"int{bits}": "2.6" for bits in range(1, 8)})

_SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "qint32": 4,
    "bits16": 2,
    "bcomplex32": 4,
}
_PACKED = {"quint4x2": 2, "quint2x4": 4}
_COMPLEX = ("complex32", "complex64", "complex128", "bcomplex32")

DTYPES = sorted(
    {*STORAGES.values(), *_SINCE, *_SIZES, "half", "float", "double", "short", "int", "long", "cfloat", "cdouble"}
    | {"chalf", "bit"}
)


def name_of(dtype: torch.dtype) -> str:
    """``"float32"`` for ``torch.float32``."""
    return str(dtype)[len("torch.") :]


@lru_cache(maxsize=None)
def dtype_named(name: str) -> torch.dtype:
    """The dtype of that name.

    Raises:
        UnsupportedError: the installed torch does not have it.
    """
    dtype = find("torch." + name)
    if isinstance(dtype, torch.dtype):
        return dtype
    since = _SINCE.get(name)
    where = f"it is in torch since {since}" if since else "a newer torch may have it"
    raise UnsupportedError(
        f"the file holds values of dtype torch.{name}, which torch {torch.__version__} lacks: {where}"
    )


def item_size(name: str) -> int:
    """The bytes of one element of a storage."""
    return _SIZES.get(name, 1)


def elements_per_item(name: str) -> int:
    """How many elements of a tensor one element of its storage holds."""
    return _PACKED.get(name, 1)


def swap_size(name: str) -> int:
    """How many bytes are in the wrong order together, in a file from a machine of the other byte order."""
    return item_size(name) // 2 if name in _COMPLEX else item_size(name)


@lru_cache(maxsize=None)
def storage_class(name: str) -> Any:
    """The installed torch's class of typed storages of that name."""
    found = find("torch." + name)
    if found is None:
        dtype_named(STORAGES[name])
        raise UnsupportedError(f"the file holds a torch.{name}, which torch {torch.__version__} lacks")
    return found
