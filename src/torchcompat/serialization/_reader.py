"""What reading has in common for both formats of ``torch.save``, and the reader of zip archives."""

from __future__ import annotations

import sys
from pickle import UnpicklingError
from typing import Any

import torch

from . import _storages
from ._allowed import Allowed
from ._budget import STORAGE, Budget
from ._machine import Machine, Outside, Rules
from ._source import Source
from ._storages import Kind, Loaded
from ._zip import Archive

_ALIGNMENT = 64
_LONGEST_KEY = 1024


class Options:
    """How a file is to be read.

    Attributes:
        map_location: as in :func:`torchcompat.load`.
        users: the user's safe globals, by full name.
        encoding: of the byte strings of Python 2.
        mapped: the storage that the whole file is mapped to, or None.
        skip_data: whether storages are left as they are.
        byteorder: "little" or "big", for files that do not say.
    """

    def __init__(self, map_location: Any = None, users: dict[str, Any] | None = None, encoding: str = "utf-8") -> None:
        self.map_location, self.users, self.encoding = map_location, users or {}, encoding
        self.mapped: Any = None
        self.skip_data = False
        self.byteorder = "little"

    def device(self, device: torch.device) -> Any:
        """Where a tensor goes that has no storage, and was on *device*."""
        wanted = self.map_location
        if wanted is None:
            return device
        if isinstance(wanted, dict):
            return wanted.get(device, wanted.get(str(device), device))
        if isinstance(wanted, (str, torch.device)):
            return wanted
        raise RuntimeError(
            "map_location cannot be a function for a file with tensors that have no storage of their own"
        )


class Reader:
    """What the readers of both formats share: storages are read once, and checked against the file."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source, self.options = source, options
        self.budget = Budget(source.size)
        self.outside = Outside()
        self._restore = _storages.restorer(options.map_location)
        self.done: dict[str, Loaded] = {}
        self._retyped: dict[tuple[str, str], Loaded] = {}  # the same as another type

    def rules(self) -> Rules:
        """What the pickle may do that describes the object."""
        options = self.options
        return Allowed(self.budget, self.outside, self.storage, options.users, options.device, options.encoding)

    def storage(self, identity: Any) -> Loaded:
        """The storage that a persistent id names."""
        raise NotImplementedError

    def read(self, kind: Kind, location: str, position: int, nbytes: int, byteorder: str) -> Loaded:
        """The storage whose data stand at *position*."""
        self.budget.spend(STORAGE)
        options = self.options
        if _storages.is_meta(options.map_location):
            return Loaded(_storages.meta(kind, nbytes), kind, nbytes)
        if options.mapped is not None and position % _ALIGNMENT == 0:
            raw = options.mapped[position : position + nbytes]
        else:
            raw = _storages.allocate(kind, nbytes)
            if not options.skip_data:
                _storages.fill(raw, self.source, position, nbytes)
        if byteorder != sys.byteorder and not options.skip_data:
            _storages.swap_bytes(raw, kind, nbytes)
        return Loaded(self.outside(self._restore, raw, location), kind, nbytes)

    def seen(self, key: str, kind: Kind, nbytes: int) -> Loaded | None:
        """The storage of that key, if it has been read."""
        loaded = self.done.get(key)
        if loaded is None or (loaded.kind.name, loaded.nbytes) == (kind.name, nbytes):
            return loaded
        if loaded.nbytes != nbytes or not _storages.UNTYPED:
            raise UnpicklingError("the file names one storage with two sizes or types")
        if (key, kind.name) not in self._retyped:
            self.budget.spend(STORAGE)
            self._retyped[key, kind.name] = Loaded(loaded.raw, kind, nbytes)
        return self._retyped[key, kind.name]


def parsed(identity: Any, count: int) -> tuple[Kind, str, str, int]:
    """Type, key, location and size in bytes of the storage that a persistent id names."""
    if len(identity) != count:
        raise UnpicklingError(f"the persistent id of a storage has {count} parts, but got {len(identity)}")
    kind, key, location, count = identity[1:5]
    if not isinstance(kind, Kind):
        raise UnpicklingError(f"a class of storages was expected, but got {type(kind)}")
    if type(count) is not int or not 0 <= count < 2**63:
        raise UnpicklingError("the length of a storage is not an integer from 0 to 2**63 - 1")
    if type(key) not in (str, bytes, int) or (type(key) is not int and len(key) > _LONGEST_KEY):
        raise UnpicklingError(f"the key of a storage is a string of up to {_LONGEST_KEY} characters, not {type(key)}")
    if isinstance(key, bytes):
        key = key.decode("ascii")
    return kind, str(key), _storages.checked_location(location), count * kind.item_size


class ZipReader(Reader):
    def __init__(self, source: Source, archive: Archive, options: Options) -> None:
        super().__init__(source, options)
        self.budget.spend(archive.memory)
        self._archive = archive
        self._byteorder = options.byteorder
        if "byteorder" in archive:
            _, length = archive.find("byteorder")
            self._byteorder = archive.read("byteorder").decode("ascii", "replace") if length < 10 else ""
            if self._byteorder not in ("little", "big"):
                raise ValueError(f"Unknown endianness type: {self._byteorder!r}")

    def storage(self, identity: Any) -> Loaded:
        kind, key, location, nbytes = parsed(identity, 5)
        loaded = self.seen(key, kind, nbytes)
        if loaded is None:
            position, length = self._archive.find("data/" + key)
            if length != nbytes:
                raise UnpicklingError(f"a storage should have {nbytes} bytes, but the file has {length} of it")
            loaded = self.read(kind, location, position, nbytes, self._byteorder)
            self.done[key] = loaded
        return loaded


def read_zip(source: Source, archive: Archive, options: Options) -> Any:
    """The object in a zip archive."""
    reader = ZipReader(source, archive, options)
    return Machine(archive.read("data.pkl"), reader.rules(), reader.budget).run()
