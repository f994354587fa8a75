"""Text that comes from a file, as an error may show it."""

from __future__ import annotations


def shown(text: str) -> str:
    """*text* in one line, with an escape for each character that does not print.

    A name in a hostile file may hold the end of a line, an instruction to the terminal, or a change of the direction of
    writing, and so make an error look like another one.
    """
    return text if text.isprintable() else repr(text)[1:-1]


def first_line(error: BaseException) -> str:
    """The first line of what torch or Python says, which may repeat what the file holds."""
    return shown(str(error).split("\n", 1)[0][:200])
