"""The code of a Jupyter notebook as one Python source, in which every line of a cell keeps its number.

A cell that is not Python as it stands is read as IPython would read it: lines that are magics, shell commands or
calls for help become `pass`, so that columns and lines of all else stay. A cell that is still no Python is reported
and left out.
"""

from __future__ import annotations

import ast
import json
import re
from bisect import bisect_right
from typing import Any, Iterator, NamedTuple, Sequence

from .report import BadFile, Problem

# Cell magics whose cell is Python code that runs here.
PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun", "python", "python3", "debug", "memit", "mprun", "lprun"})

_CELL_MAGIC = re.compile(r"\s*%%(\w*)")
# `%time f(x)` runs f(x): the magic gives way to a statement of the same width.
_TIMING = re.compile(r"(\s*)(%timeit|%time)((?:\s+-(?:[nrp]\s*\d+|[toqv]+))*)(\s+)(?=\S)")
_ESCAPE = re.compile(r"\s*[%!?/,;]")
_HELP = re.compile(r"\s*[\w.*]+\?{1,2}\s*$")
_ASSIGNED = re.compile(r"(\s*[\w.,\s()\[\]*]+=\s*)[!%]")
_TOKEN = re.compile(r"#.*|'''|\"\"\"|'(?:\\.|[^'\\])*'?|\"(?:\\.|[^\"\\])*\"?|[(\[{]|[)\]}]|\\$")


class Cell(NamedTuple):
    """A code cell: its number among all cells from 1, its first line in the joined source and, or 0, in the file."""

    number: int
    first: int
    file_first: int


def is_notebook(path: str) -> bool:
    """Whether a path is read as a notebook."""
    return path.endswith(".ipynb")


def cell_at(cells: Sequence[Cell], line: int) -> Cell:
    """The cell that holds a line of the joined source."""
    return cells[bisect_right([cell.first for cell in cells], line) - 1]


def cells_of(path: str, text: str) -> tuple[str, list[Cell], list[Problem]]:
    """The joined code of a notebook's cells, the cells, and a problem for each cell that is no Python."""
    lines: list[str] = []
    cells: list[Cell] = []
    problems: list[Problem] = []
    finder = _LineFinder(text)
    for number, source in _code_cells(text):
        code, fault = python_of(source)
        if fault:
            problems.append(Problem(path, fault.lineno or 1, f"syntax error: {fault.msg}", number))
        cells.append(Cell(number, len(lines) + 1, finder.find(source)))
        lines += code
    return "\n".join(lines) + "\n", cells, problems


def _code_cells(text: str) -> Iterator[tuple[int, str]]:
    try:
        book = json.loads(text)
    except RecursionError:
        raise BadFile("not a notebook: its JSON is nested too deeply") from None
    except ValueError as error:
        raise BadFile(f"not a notebook: {error}") from None
    cells = _cell_list(book)
    if cells is None:
        raise BadFile("not a notebook: it has no list of cells")
    if not _is_python(book):
        return
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            parts: list[Any] = source if isinstance(source, list) else [source]
            if not all(isinstance(part, str) for part in parts):
                raise BadFile(f"not a notebook: the source of cell {number} is no text")
            yield number, "".join(parts)


def _cell_list(book: Any) -> Any:
    """The cells: of a notebook of format 4, or of the worksheets of format 3."""
    if not isinstance(book, dict):
        return None
    sheets = book.get("worksheets")
    if isinstance(sheets, list) and "cells" not in book:
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        return [cell for cells in lists if isinstance(cells, list) for cell in cells]
    cells = book.get("cells")
    return cells if isinstance(cells, list) else None


def _is_python(book: Any) -> bool:
    """Whether a notebook is in Python, as is one that does not say."""
    about = book.get("metadata")
    about = about if isinstance(about, dict) else {}
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        part = about.get(key)
        if isinstance(part, dict) and isinstance(part.get(field), str):
            return part[field].lower() in ("python", "ipython")
    return True


def python_of(source: str) -> tuple[list[str], Any]:
    """The lines of a cell as Python, and the SyntaxError of one that is not: its lines are then empty."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not _fault(lines):
        return lines, None
    magic = _CELL_MAGIC.match(next((line for line in lines if line.strip()), ""))
    if magic and magic.group(1) not in PYTHON_CELLS:
        return [""] * len(lines), None
    plain = list(_without_magics(lines))
    fault = _fault(plain)
    return ([""] * len(lines), fault) if fault else (plain, None)


def _fault(lines: Sequence[str]) -> Any:
    try:
        ast.parse("\n".join(lines) + "\n")
    except SyntaxError as error:
        return error
    except (RecursionError, MemoryError):
        return SyntaxError("nested too deeply to be read")
    return None


def _without_magics(lines: Sequence[str]) -> Iterator[str]:
    """The lines with `pass` for what only IPython understands; within brackets and strings `%` and `!` are Python's."""
    state = ""
    carried = False
    for line in lines:
        if carried:
            # The rest of a shell command that a backslash carries on.
            carried = line.endswith("\\")
            yield ""
            continue
        if not state:
            plain = _plain(line)
            carried = plain != line and line.endswith("\\") and not _TIMING.match(line)
            line = plain
        state = _open_after(line, state)
        yield line


def _plain(line: str) -> str:
    """A line at the start of a statement, as Python."""
    timing = _TIMING.match(line)
    if timing:
        indent, magic, options, space = timing.groups()
        statement = f"{indent}0;{' ' * (len(magic + options + space) - 2)}{line[timing.end() :]}"
        if not _fault([statement.strip()]):
            return statement
    if _CELL_MAGIC.match(line):
        return ""
    if _ESCAPE.match(line) or _HELP.match(line):
        return line[: len(line) - len(line.lstrip())] + "pass"
    assigned = _ASSIGNED.match(line)
    return assigned.group(1) + "None" if assigned else line


def _open_after(line: str, state: str) -> str:
    """What is open after a line: brackets, the quotes of a long string, a backslash; "" if a statement may start."""
    state = state.rstrip("\\")
    position = 0
    while position < len(line):
        if state[-3:] in ("'''", '"""'):
            end = re.compile(r"(?:\\.|[^\\])*?" + state[-3:]).match(line, position)
            if not end:
                return state
            state, position = state[:-3], end.end()
            continue
        token = _TOKEN.search(line, position)
        if not token:
            break
        position = token.end()
        word = token.group()
        if word in ("'''", '"""', "\\") or word in "([{":
            state += word
        elif word in ")]}":
            state = state[:-1]
    return state


class _LineFinder:
    """Finds the line of a notebook's file where a cell's code begins, if it is written as one string a line."""

    def __init__(self, text: str) -> None:
        self.lines = [line.strip() for line in text.split("\n")]
        self.next = 0

    def find(self, source: str) -> int:
        """The line of the first line of *source*, at or after the last one found; 0 if there is none."""
        wanted = source.splitlines(keepends=True)
        for index in range(self.next, len(self.lines)):
            if self.lines[index] in ('"source": [', '"input": [') and self._stands_at(index + 1, wanted):
                self.next = index + 1 + len(wanted)
                return index + 2
        return 0

    def _stands_at(self, index: int, wanted: Sequence[str]) -> bool:
        here = self.lines[index : index + len(wanted)]
        return bool(wanted) and len(here) == len(wanted) and all(map(_is_literal_of, here, wanted))


def _is_literal_of(written: str, text: str) -> bool:
    try:
        return bool(json.loads(written.rstrip(",")) == text)
    except ValueError:
        return False
