"""Reads the format of torch before 1.6: five pickles in a row, then the storages.

The pickle with the object stands before the data, so it is run twice: once making nothing, to learn the types of the
storages and with them where each one lies, and once more when the storages have been read.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, Callable, Tuple

from ._allowed import modern_name, storage_names
from ._budget import STORAGE, Budget
from ._machine import Machine, Rules, Truncated
from ._reader import Options, Reader, parsed
from ._source import Source
from ._storages import Kind, Loaded, kind_named, part

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_WINDOW = 1 << 16
_COUNT = 8  # bytes of the number that stands before each storage
Found = Tuple[Kind, str, int]


class Survey(Rules):
    """Runs through a pickle, making nothing, to learn what it says of its storages and which globals it names."""

    def __init__(self, budget: Budget, parts: int, encoding: str = "utf-8") -> None:
        super().__init__()
        self._budget, self._parts, self.encoding = budget, parts, encoding
        self.found: dict[str, Found] = {}
        self.named: set[str] = set()

    def find(self, module: str, name: str) -> Any:
        full = modern_name(module, name)
        self.named.add(full)
        if full in storage_names():
            return kind_named(storage_names()[full])
        return {"collections.OrderedDict": OrderedDict, "collections.Counter": Counter}.get(full)

    def call(self, function: Any, arguments: Any) -> Any:
        return function() if function is OrderedDict or function is Counter else None

    def new(self, cls: Any, arguments: Any) -> Any:
        return None

    def build(self, instance: Any, state: Any) -> Any:
        return instance

    def persistent(self, identity: Any) -> Any:
        if type(identity) is tuple and identity and identity[0] in ("storage", b"storage"):
            kind, key, location, nbytes = parsed(identity, self._parts)
            if key not in self.found:
                self._budget.spend(STORAGE)
                self.found[key] = kind, location, nbytes


def pickle_at(source: Source, start: int, rules: Callable[[Budget], Rules]) -> tuple[Any, Rules, int]:
    """The object of the pickle at *start*, the rules that it went by, and where it ends.

    It does not say how long it is: a piece of the file is tried, then a piece 8 times as long.
    """
    length = _WINDOW
    while True:
        whole = start + length >= source.size
        data = source.read(start, source.size - start if whole else length)
        budget = Budget(source.size)
        going_by = rules(budget)
        machine = Machine(data, going_by, budget)
        try:
            value = machine.run()
            return value, going_by, start + machine.position
        except Truncated:
            if whole:
                raise
        length *= 8
        del data, machine


def _nothing(budget: Budget) -> Rules:
    """For pickles of plain values only."""
    return Rules()


class _LegacyReader(Reader):
    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self._parts: dict[tuple[int, int, int], Loaded] = {}

    def load(self) -> Any:
        """Read the object, and leave the file at its end."""
        encoding = self.options.encoding
        start = self._header()
        _, survey, end = pickle_at(self.source, start, lambda budget: Survey(budget, 6, encoding))
        assert isinstance(survey, Survey)
        keys, _, after = pickle_at(self.source, end, _nothing)
        after = self._read_storages(keys, survey.found, after)
        result = Machine(self.source.read(start, end - start), self.rules(), self.budget).run()
        self.source.seek(after)
        return result

    def _header(self) -> int:
        end = 0
        for expected, message in (
            (_MAGIC, "Invalid magic number; corrupt file?"),
            (_PROTOCOL, "Invalid protocol version"),
        ):
            value, _, end = pickle_at(self.source, end, _nothing)
            if type(value) is not int or value != expected:
                raise RuntimeError(message)
        _, _, end = pickle_at(
            self.source, end, _nothing
        )  # about the machine that wrote it; data are little-endian on all
        return end

    def _read_storages(self, keys: Any, found: dict[str, Found], position: int) -> int:
        if type(keys) is not list:
            raise UnpicklingError(f"a list of the storages was expected, but got {type(keys)}")
        for key in keys:
            name = key.decode("ascii") if isinstance(key, bytes) else key
            if type(name) is not str or name not in found or name in self.done:
                raise UnpicklingError("the list of the storages is not that of the storages in the object")
            kind, location, nbytes = found[name]
            count = int.from_bytes(self.source.read(position, _COUNT), "little", signed=True)
            if count * kind.item_size != nbytes:
                raise UnpicklingError(f"a storage should have {nbytes} bytes, but the file has {count} elements of it")
            self.source.check(position + _COUNT, nbytes)
            self.done[name] = self.read(kind, location, position + _COUNT, nbytes, "little")
            position += _COUNT + nbytes
        return position

    def storage(self, identity: Any) -> Loaded:
        kind, key, _, nbytes = parsed(identity, 6)
        loaded = self.seen(key, kind, nbytes)
        if loaded is None:
            raise UnpicklingError("the object has a storage that the file has not")
        return loaded if identity[5] is None else self._part(loaded, identity[5])

    def _part(self, loaded: Loaded, what: Any) -> Loaded:
        if type(what) is not tuple or len(what) != 3 or type(what[0]) not in (str, bytes):
            raise UnpicklingError("the view of a storage is a key, an offset and a length")
        _, first, count = what
        size = loaded.kind.item_size
        if type(first) is not int or type(count) is not int or min(first, count) < 0:
            raise UnpicklingError("the view of a storage is a key, an offset and a length")
        if (first + count) * size > loaded.nbytes:
            raise UnpicklingError("the view of a storage reaches beyond it")
        name = id(loaded), first, count
        if name not in self._parts:
            self.budget.spend(STORAGE)
            self._parts[name] = part(loaded, first, count)
        return self._parts[name]


def read_legacy(source: Source, options: Options) -> Any:
    """The object in a file of the older format. Then the file is at the end of it."""
    return _LegacyReader(source, options).load()
