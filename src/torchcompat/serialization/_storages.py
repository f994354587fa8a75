"""Storages of the installed torch: made, filled from a file, moved to their device, and viewed as tensors."""

from __future__ import annotations

import ctypes
import re
from functools import lru_cache
from typing import Any, Callable

import torch

from .._torch import UnsupportedError, at_least
from . import _dtypes
from ._source import Source

# Torch has storages without a dtype under this name from 1.13 on; before, each dtype has its own class.
# https://github.com/pytorch/pytorch/pull/82438
UNTYPED = at_least(1, 13)
_torch: Any = torch
MapLocation = Any


class Kind:
    """What a pickle means by the class of a storage: ``torch.FloatStorage``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dtype_name = _dtypes.STORAGES[name]
        self.item_size = _dtypes.item_size(self.dtype_name)

    @property
    def dtype(self) -> torch.dtype:
        """The installed torch's dtype; raises UnsupportedError where it has none."""
        return _dtypes.dtype_named(self.dtype_name)


@lru_cache(maxsize=None)
def kind_named(name: str) -> Kind:
    """The kind of that name, always the same object."""
    return Kind(name)


class Loaded:
    """A storage that was read: what torch's functions take of it, and how many bytes it has."""

    def __init__(self, raw: Any, kind: Kind, nbytes: int) -> None:
        self.raw, self.kind, self.nbytes = raw, kind, nbytes
        self.public = _wrap(raw, kind)

    @property
    def device(self) -> Any:
        """Where the storage is."""
        return getattr(self.raw, "device", None) or ("cuda" if self.raw.is_cuda else "cpu")


_PRIVATE = {"_internal": True} if at_least(2, 0) else {}


def _wrap(raw: Any, kind: Kind) -> Any:
    """The storage as it appears in what is loaded."""
    if not UNTYPED:
        return raw
    return _torch.storage.TypedStorage(wrap_storage=raw, dtype=kind.dtype, **_PRIVATE)


def allocate(kind: Kind, nbytes: int) -> Any:
    """A storage of *nbytes* bytes on the CPU, not filled."""
    if UNTYPED:
        return _torch.UntypedStorage(nbytes)
    name = "ByteStorage" if kind.name == "UntypedStorage" else kind.name
    return _dtypes.storage_class(name)(nbytes // kind.item_size)


def meta(kind: Kind, nbytes: int) -> Any:
    """A storage that holds no data."""
    if not at_least(2, 0):
        raise UnsupportedError("map_location='meta' needs storages without data, which torch has since 2.0")
    return _torch.UntypedStorage(nbytes, device="meta")


def fill(raw: Any, source: Source, position: int, nbytes: int) -> None:
    """Read *nbytes* bytes of the file to *raw*, which has that many, without a copy in between."""
    if nbytes:
        source.read_to(raw.data_ptr(), position, nbytes)


def swap_bytes(raw: Any, kind: Kind, nbytes: int) -> None:
    """Turn the bytes of every number around."""
    width = _dtypes.swap_size(kind.dtype_name)
    if width == 1 or not nbytes:
        return
    memory = memoryview((ctypes.c_char * nbytes).from_address(raw.data_ptr())).cast("B")
    for left in range(width // 2):
        right = width - 1 - left
        kept = bytes(memory[left::width])
        memory[left::width] = memory[right::width]
        memory[right::width] = kept


def part(loaded: Loaded, first: int, count: int) -> Loaded:
    """The part of a storage that is *count* elements long and starts with the one numbered *first*."""
    size = loaded.kind.item_size
    if not UNTYPED and at_least(1, 10):
        raise UnsupportedError("the file holds a view of a storage, which torch 1.10 to 1.12 cannot make")
    raw = loaded.raw[first * size : (first + count) * size] if UNTYPED else loaded.raw[first : first + count]
    return Loaded(raw, loaded.kind, count * size)


def is_meta(map_location: MapLocation) -> bool:
    """Whether *map_location* says that no data are wanted."""
    return str(map_location) == "meta" if isinstance(map_location, (str, torch.device)) else False


def checked_location(location: Any) -> str:
    """The place that a file says a storage was in."""
    if type(location) is str and location == "cpu":
        return "cpu"
    text = location[:65].decode("ascii") if isinstance(location, bytes) else location
    if not isinstance(text, str) or not re.match(r"[\w:.\-]{1,64}\Z", text):
        raise UnsupportedError("the file holds a storage whose location is no name of a device")
    return text


def on_device(move: Callable[[], Any], what: str, device: Any) -> Any:
    """What *move* gives, which brings *what* to *device*; RuntimeError if that is no device here."""
    try:
        return move()
    except (AssertionError, ImportError, AttributeError, NotImplementedError) as error:
        # Torch asks the backend, which may not have been compiled, or be a package that is not there: what it then says
        # is about a module of its own.
        raise RuntimeError(
            f"{what} was at {str(device)!r}, and this torch has no such device. Load to one that is here, as with "
            'map_location="cpu", or import the package that adds the device'
        ) from error


def _default(storage: Any, location: str) -> Any:
    restore: Any = torch.serialization.default_restore_location
    return on_device(lambda: restore(storage, location), "a storage", location)


def restorer(map_location: MapLocation) -> Callable[[Any, str], Any]:
    """The function that moves a storage, given its location in the file, where *map_location* says."""
    default = _default
    if map_location is None:
        return default
    if isinstance(map_location, dict):
        mapping = map_location
        return lambda storage, location: default(storage, mapping.get(location, location))
    if isinstance(map_location, bytes):
        return lambda storage, location: default(storage, map_location.decode("ascii"))
    if isinstance(map_location, (str, torch.device)):
        return lambda storage, location: default(storage, str(map_location))

    def restore(storage: Any, location: str) -> Any:
        result = map_location(storage, location)
        return default(storage, location) if result is None else result

    return restore


def view(loaded: Loaded, dtype: torch.dtype, offset: int, size: Any, stride: Any) -> torch.Tensor:
    """A tensor of *dtype* on a storage. The caller has checked that it stays within it."""
    empty = torch.empty((0,), dtype=dtype, device=loaded.device)
    return empty.set_(loaded.raw, offset, size, stride)
