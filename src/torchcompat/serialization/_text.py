"""Text that comes from a file, as an error may show it."""

from __future__ import annotations

import re


def shown(text: str) -> str:
    """*text* in one line, with an escape for each character that does not print.

    A name in a hostile file may hold the end of a line, an instruction to the terminal, or a change of the direction of
    writing, and so make an error look like another one.
    """
    return text if text.isprintable() else repr(text)[1:-1]


def first_line(error: BaseException) -> str:
    """The first line of what torch or Python says, which may repeat what the file holds."""
    return shown(str(error).split("\n", 1)[0][:200])


def size_of_text(data: bytes, start: int, end: int) -> int:
    """What a long string takes while it is decoded: its characters are as wide as the widest one."""
    if _search(rb"[\xf0-\xff]", data, start, end):
        return 5 * (end - start)
    if _search(rb"[\xc4-\xef]", data, start, end):
        return 3 * (end - start)
    return 2 * (end - start) if _search(rb"[\x80-\xff]", data, start, end) else end - start


def _search(pattern: bytes, data: bytes, start: int, end: int) -> bool:
    return re.compile(pattern).search(data, start, end) is not None
