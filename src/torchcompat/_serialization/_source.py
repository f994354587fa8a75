"""A seekable file of known length, read without going past its end."""

from __future__ import annotations

import ctypes
import io
import os
from typing import IO, Any

_CHUNK = 1 << 20


def is_path(f: Any) -> bool:
    """Whether *f* names a file."""
    return isinstance(f, (str, os.PathLike))


def check_seekable(f: Any) -> None:
    """Raise what torch raises for an object that is no file, or a file in which one cannot go back."""
    try:
        f.seek(f.tell())
    except (io.UnsupportedOperation, AttributeError) as error:
        if "seek" not in str(error) and "tell" not in str(error):
            raise
        raise type(error)(
            f"{error}. You can only load from a file that is seekable: read it into an io.BytesIO and load from that."
        ) from None


def _end(f: IO[bytes]) -> int:
    """Where *f* ends; a decompressing file that cannot say is read through, keeping nothing."""
    try:
        f.seek(0, io.SEEK_END)
    except (ValueError, io.UnsupportedOperation):
        while f.read(_CHUNK):
            pass
    return f.tell()


class Source:
    """What an open binary file holds from its present position on; positions count from there."""

    def __init__(self, f: IO[bytes]) -> None:
        check_seekable(f)
        self._file = f
        self._start = f.tell()
        self.size = max(0, _end(f) - self._start)
        self._readinto = getattr(f, "readinto", None)
        f.seek(self._start)

    def seek(self, position: int) -> None:
        """Put the file at *position*."""
        self._file.seek(self._start + position)

    def read(self, position: int, length: int) -> bytes:
        """Exactly *length* bytes from *position* on.

        Raises:
            EOFError: the file ends before.
        """
        self.check(position, length)
        self.seek(position)
        data = self._file.read(length)
        while len(data) < length:
            more = self._file.read(length - len(data))
            if not more:
                raise EOFError(f"the file ends {length - len(data)} bytes too early")
            data += more
        return data

    def read_to(self, address: int, position: int, length: int) -> None:
        """Read exactly *length* bytes from *position* on to the memory at *address*, which must hold that many."""
        self.check(position, length)
        self.seek(position)
        memory = memoryview((ctypes.c_char * length).from_address(address)).cast("B")
        done = 0
        while done < length:
            count = self._into(memory[done:])
            if not count:
                raise EOFError(f"the file ends {length - done} bytes too early")
            done += count

    def _into(self, memory: memoryview) -> int:
        if self._readinto is not None:
            return int(self._readinto(memory))
        data = self._file.read(min(len(memory), _CHUNK))
        memory[: len(data)] = data
        return len(data)

    def check(self, position: int, length: int) -> None:
        """Raise EOFError unless the file has *length* bytes from *position* on."""
        if position < 0 or length < 0 or position + length > self.size:
            raise EOFError(f"the file has {self.size} bytes, but {length} are wanted from byte {position} on")
