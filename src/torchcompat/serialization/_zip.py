"""The records of a zip archive as torch writes it: stored, not compressed, one after another.

Python's zipfile is not used: its objects take ten times what an entry takes in the file, and it takes overlapping,
repeated and compressed entries as they come. The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
from typing import NoReturn, Tuple

from ._source import Source

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LONGEST_COMMENT = 0xFFFF
_ENTRY = 180  # bytes that an entry takes here beside its name
_ENCRYPTED = 0x41  # the bits of the flags for an encrypted entry
_IN_EXTRA = 0xFFFFFFFF

Entry = Tuple[int, int]  # where its local header starts, and the length of its data


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(f"this zip archive cannot be read: {what}. It is damaged, or was not written by torch.save")


class Archive:
    """A zip archive whose table of contents has been checked: no two entries share a byte or a name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count, size, self._contents = self._find_contents()
        self._table = source.read(self._contents, size)
        self._positions: dict[str, int] = {}
        self.memory = size  # bytes that this object takes
        self.prefix = ""
        self._read_contents()

    def _find_contents(self) -> tuple[int, int, int]:
        """How many entries there are, and the length and position of the table of them."""
        source = self._source
        start = max(0, source.size - _END.size - _LONGEST_COMMENT)
        tail = source.read(start, source.size - start)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or at + _END.size > len(tail):
            _refuse("it has no table of contents at its end")
        _, disk, _, _, count, size, position, _ = _END.unpack_from(tail, at)
        end = start + at
        if at >= _LOCATOR.size and tail[at - _LOCATOR.size : at - _LOCATOR.size + 4] == b"PK\x06\x07":
            _, _, where, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
            end = where
            if where + _END64.size > source.size:
                _refuse("the record with its 64-bit sizes lies outside of it")
            signature, _, _, _, disk, _, _, count, size, position = _END64.unpack(source.read(where, _END64.size))
            if signature != b"PK\x06\x06":
                _refuse("the record with its 64-bit sizes is not where it should be")
        if disk not in (0, 0xFFFF):
            _refuse("it is a part of several")
        if position + size > end:
            _refuse("its table of contents lies outside of it")
        return count, size, position

    def _read_contents(self) -> None:
        at = free = 0  # free: the first byte that no entry so far takes
        for _ in range(self._count):
            name, start, size, following = self._central(at)
            if start < free:
                _refuse("two of its entries overlap, or are not in the order of the table of contents")
            free = start + _LOCAL.size + len(name) + size
            if free > self._contents:
                _refuse("an entry reaches into the table of contents")
            self._note(name, at)
            at = following
        if at != len(self._table):
            _refuse("its table of contents has another length than it says")

    def _note(self, name: bytes, at: int) -> None:
        text = name.decode("utf-8", "replace")
        if not self._positions:
            self.prefix = text.partition("/")[0] + "/"
        if text in self._positions:
            _refuse("two of its entries have the same name")
        self._positions[text] = at
        self.memory += _ENTRY + 4 * len(name)

    def _central(self, at: int) -> tuple[bytes, int, int, int]:
        """Of the entry at *at* in the table: name, position of the local header, length, and where the next one is."""
        if at + _CENTRAL.size > len(self._table):
            _refuse("its table of contents ends too early")
        fields = _CENTRAL.unpack_from(self._table, at)
        signature, flags, method, packed, size = fields[0], fields[3], fields[4], fields[8], fields[9]
        name_length, extra_length, start = fields[10], fields[11], fields[16]
        name_at = at + _CENTRAL.size
        name = self._table[name_at : name_at + name_length]
        extra = self._table[name_at + name_length : name_at + name_length + extra_length]
        if signature != b"PK\x01\x02" or len(name) != name_length or len(extra) != extra_length:
            _refuse("its table of contents is broken")
        if _IN_EXTRA in (packed, size, start):
            size, packed, start = _wide(extra, size, packed, start)
        if flags & _ENCRYPTED:
            _refuse("an entry is encrypted")
        if method or packed != size:
            _refuse("an entry is compressed, which torch.save never does")
        return name, start, size, at + _CENTRAL.size + int(sum(fields[10:13]))

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self._positions

    def find(self, name: str) -> Entry:
        """Position and length of the data of the record *name*.

        Raises:
            RuntimeError: there is no such record, or its header is not what the table of contents says.
        """
        at = self._positions.get(self.prefix + name)
        if at is None:
            _refuse(f"it has no record {name[:100]!r}")
        full, start, size, following = self._central(at)
        if start + _LOCAL.size > self._contents:
            _refuse("an entry reaches into the table of contents")
        fields = _LOCAL.unpack(self._source.read(start, _LOCAL.size))
        signature, flags, method, name_length, extra_length = fields[0], fields[2], fields[3], fields[9], fields[10]
        if signature != b"PK\x03\x04" or flags & _ENCRYPTED or method:
            _refuse("the header of an entry is not what the table of contents says")
        begin = start + _LOCAL.size + name_length + extra_length
        if begin + size > self._start_of(following):
            _refuse("two of its entries overlap")
        if self._source.read(start + _LOCAL.size, name_length) != full:
            _refuse("the header of an entry is not what the table of contents says")
        return begin, size

    def _start_of(self, at: int) -> int:
        """Where the entry at *at* in the table starts; where the table does, at its end."""
        return self._contents if at == len(self._table) else self._central(at)[1]

    def read(self, name: str) -> bytes:
        """The data of the record *name*."""
        return self._source.read(*self.find(name))


def _wide(extra: bytes, size: int, packed: int, start: int) -> list[int]:
    """The values that did not fit into 32 bits, from the extra field for them."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            values = [extra[at + 4 : at + 4 + length][i : i + 8] for i in range(0, length, 8)]
            wide = iter([int.from_bytes(value, "little") for value in values if len(value) == 8])
            found = [next(wide, -1) if value == _IN_EXTRA else value for value in (size, packed, start)]
            if -1 not in found:
                return found
        at += 4 + length
    _refuse("an entry lacks its 64-bit sizes")
