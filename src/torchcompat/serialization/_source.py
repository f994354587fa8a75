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


def path_of(f: Any) -> str:
    """The path that *f* is, as a string, which torch's own functions ask for; a path object may give bytes."""
    return os.fsdecode(f)


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
        data = self._some(length)
        while len(data) < length:
            data += self._some(length - len(data))
        return data

    def _some(self, wanted: int) -> bytes:
        """At most *wanted* bytes from where the file is, and at least one, if any is wanted."""
        data = self._file.read(wanted)
        if not isinstance(data, (bytes, bytearray, memoryview)) or len(data) > wanted:
            raise RuntimeError(f"read({wanted}) of the file gave no bytes, or more than that: {type(data)}")
        if wanted and not len(data):
            raise EOFError(f"the file ends {wanted} bytes too early")
        return bytes(data)

    def read_to(self, address: int, position: int, length: int) -> None:
        """Read exactly *length* bytes from *position* on to the memory at *address*, which must hold that many."""
        self.check(position, length)
        self.seek(position)
        memory = memoryview((ctypes.c_char * length).from_address(address)).cast("B")
        done = 0
        while done < length:
            done += self._into(memory[done:])

    def _into(self, memory: memoryview) -> int:
        if self._readinto is None:
            data = self._some(min(len(memory), _CHUNK))
            memory[: len(data)] = data
            return len(data)
        count = self._readinto(memory)
        if not isinstance(count, int) or not 0 <= count <= len(memory):
            raise RuntimeError(f"readinto of the file gave {count!r}, which is no number from 0 to {len(memory)}")
        if not count:
            raise EOFError(f"the file ends {len(memory)} bytes too early")
        return count

    def check(self, position: int, length: int) -> None:
        """Raise EOFError unless the file has *length* bytes from *position* on."""
        if position < 0 or length < 0 or position + length > self.size:
            raise EOFError(f"the file has {self.size} bytes, but {length} are wanted from byte {position} on")
