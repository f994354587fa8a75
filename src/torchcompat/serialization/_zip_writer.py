"""Writes a zip archive of stored records, each aligned, the way in which torch reads them from 1.6 on.

The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

_ALIGNMENT = 64
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
# The extra field that fills up to the next multiple of 64, by the number of bytes that are to be filled.
_PADDINGS = [b"FB" + struct.pack("<H", length) + b"Z" * length for length in range(_ALIGNMENT)]
_WIDE = 0xFFFFFFFF
_UTF8 = 0x800
_CHUNK = 1 << 24


class ZipWriter:
    """Writes records to *file*, which need only have ``write``; :meth:`close` writes the table of contents."""

    def __init__(self, file: Any, prefix: str, compute_crc32: bool = True) -> None:
        self._file, self._prefix, self._compute = file, prefix, compute_crc32
        self._position = 0
        self._table: list[bytes] = []
        self._sums: list[int] = []

    def _write(self, data: Any) -> None:
        self._file.write(data)
        self._position += len(data)

    def add(self, name: str, data: Any) -> None:
        """Write a record: bytes, or a view of memory."""
        if len(data) <= _CHUNK:
            self._start(name, len(data), zlib.crc32(data) if self._compute else 0)
            if data:
                self._write(data)
            return
        sum_ = 0
        if self._compute:
            for start in range(0, len(data), _CHUNK):
                sum_ = zlib.crc32(data[start : start + _CHUNK], sum_)
        self._start(name, len(data), sum_)
        for start in range(0, len(data), _CHUNK):
            self._write(data[start : start + _CHUNK])

    def add_empty(self, name: str, length: int) -> None:
        """Write a record of *length* zeros: the place for data that come later."""
        self._start(name, length, 0)
        zeros = bytes(min(length, _CHUNK))
        for start in range(0, length, _CHUNK):
            self._write(zeros[: length - start])

    def _start(self, name: str, length: int, sum_: int) -> None:
        full = (self._prefix + name).encode("utf-8")
        at, wide = self._position, length >= _WIDE
        self._sums.append(sum_)
        extra = struct.pack("<2H2Q", 1, 16, length, length) if wide else b""
        used = at + _LOCAL.size + len(full) + len(extra) + 4
        padding = -used % _ALIGNMENT
        extra += _PADDINGS[padding]
        short = _WIDE if wide else length
        self._write(
            _LOCAL.pack(b"PK\x03\x04", 45 if wide else 0, _UTF8, 0, 0, 0, sum_, short, short, len(full), len(extra))
            + full
            + extra
        )
        self._table.append(_entry(full, length, at, sum_))

    def close(self) -> None:
        """Write what torch wants at the end, and the table of contents."""
        self.add("version", b"3\n")
        number = zlib.crc32(repr(self._sums).encode("ascii")), len(self._sums)
        self.add(".data/serialization_id", b"%020d%020d" % number)
        start = self._position
        for entry in self._table:
            self._write(entry)
        count, size, end = len(self._table), self._position - start, self._position
        self._write(_END64.pack(b"PK\x06\x06", _END64.size - 12, 45, 45, 0, 0, count, count, size, start))
        self._write(_LOCATOR.pack(b"PK\x06\x07", 0, end, 1))
        few, short = min(count, 0xFFFF), (min(size, _WIDE), min(start, _WIDE))
        self._write(_END.pack(b"PK\x05\x06", 0, 0, few, few, *short, 0))


def _entry(name: bytes, length: int, at: int, sum_: int) -> bytes:
    """An entry of the table of contents."""
    wide = [number for number in (length, length, at) if number >= _WIDE] if length + at >= _WIDE else []
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    short, place = min(length, _WIDE), min(at, _WIDE)
    needs = 45 if wide else 0
    return (
        _CENTRAL.pack(
            b"PK\x01\x02", 0, needs, _UTF8, 0, 0, 0, sum_, short, short, len(name), len(extra), 0, 0, 0, 0, place
        )
        + name
        + extra
    )
