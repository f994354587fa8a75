"""The text of one file: its bytes, decoded as Python would decode them, and notebooks as the code in their cells."""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import sys
import tokenize
from typing import NamedTuple, Sequence

from .notebook import Cell, cells_of, is_notebook
from .report import BadFile, Problem

MAX_FILE_SIZE = 10_000_000

# Python refuses UTF-16 and UTF-32 as source, and what it says ("null bytes") helps nobody.
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


_LONG_CHAIN = re.compile(r"(?:\.\w+){3000}")


class Source(NamedTuple):
    """The Python code of one file; *cells* say where it comes from if the file is a notebook."""

    text: str
    cells: Sequence[Cell] = ()
    problems: Sequence[Problem] = ()


def megabytes(size: int) -> str:
    """A size in the unit of ``--max-file-size``."""
    return f"{size / 1e6:.1f} MB"


def read_bytes(path: str, limit: int) -> bytes:
    """The bytes of a regular file of at most *limit* bytes."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise BadFile("not a regular file")
        if about.st_size > limit:
            raise BadFile(f"too large: {megabytes(about.st_size)}, and --max-file-size is {megabytes(limit)}")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from None


def decode(data: bytes) -> str:
    """Source code as text, by its byte order mark or coding comment (PEP 263), else as UTF-8; with line feeds only."""
    for mark, name in _WIDE_MARKS:
        if data.startswith(mark):
            raise BadFile(f"{name} text; Python reads UTF-8, or the encoding that a coding comment names")
    if b"\0" in data:
        raise BadFile("binary file: it holds NUL bytes")
    encoding = "utf-8"
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
    except UnicodeError as error:
        raise BadFile(f"not {encoding} text: {error}") from None
    except (SyntaxError, LookupError) as error:
        # Of an encoding that Python does not know, that is no encoding of text, or that the file is not in.
        raise BadFile(str(error)) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: str) -> str:
    """The code in a Python file; BadFile, which is a ValueError, if it cannot be read."""
    return decode(read_bytes(path, MAX_FILE_SIZE))


def mentions_torch(data: bytes) -> bool:
    """Whether code can have to do with torch: "functorch" holds the word, too. UTF-16 is not searched but reported."""
    return b"torch" in data or b"\0" in data or data.startswith(tuple(mark for mark, _ in _WIDE_MARKS))


def source_of(path: str, data: bytes) -> Source:
    """The code in *data*, the content of *path*."""
    text = decode(data)
    if not is_notebook(path):
        refuse_long_chains(text)
        return Source(text)
    code, cells, problems = cells_of(path, text)
    return Source(code, cells, problems)


def refuse_long_chains(text: str) -> None:
    """Python 3.7 and 3.8 crash on, or take, what later ones call too deep: `elif` and attributes by the thousand."""
    if sys.version_info < (3, 9) and (text.count("elif") > 5000 or _LONG_CHAIN.search(text)):
        raise BadFile("nested too deeply to be read")
