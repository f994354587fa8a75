"""A baseline: the findings that a project knows of, so that only new ones are reported.

A finding is known by its file, name, argument and the text of its line, not by the line's number, so that it stays
known when lines above it come and go. Findings alike in all four are counted.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any, Iterable, Sequence, Tuple
from typing import Counter as CounterType

from .files import relative
from .report import Result

VERSION = 1
_FIELDS = ("path", "name", "parameter", "text")

Key = Tuple[str, str, str, str]


class BadBaseline(Exception):
    """A baseline that cannot be read or written, and why."""


def _key(result: Result, root: str) -> Key:
    finding = result.finding
    return relative(finding.path, root), finding.name, finding.parameter, result.text


def _root(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


def write(path: str, results: Iterable[Result]) -> int:
    """Write the baseline of *results* to *path*; return how many they are."""
    root = _root(path)
    counts = Counter(_key(result, root) for result in results)
    findings: list[dict[str, Any]] = [{**dict(zip(_FIELDS, key)), "count": counts[key]} for key in sorted(counts)]
    text = json.dumps({"version": VERSION, "findings": findings}, indent=1) + "\n"
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise BadBaseline(f"baseline {path}: cannot be written: {error.strerror or error}") from None
    return sum(counts.values())


def read(path: str) -> CounterType[Key]:
    """The findings of the baseline at *path*, counted."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise BadBaseline(f"baseline {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BadBaseline(f"baseline {path}: not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise BadBaseline(f"baseline {path}: not a baseline of version {VERSION}, which --write-baseline writes")
    counts: CounterType[Key] = Counter()
    rows = content.get("findings")
    for number, row in enumerate(rows if isinstance(rows, list) else [None], 1):
        counts[_row_key(path, number, row)] += row["count"]
    return counts


def _row_key(path: str, number: int, row: Any) -> Key:
    good = isinstance(row, dict) and all(isinstance(row.get(field), str) for field in _FIELDS)
    if not good or not isinstance(row.get("count"), int) or row["count"] < 1:
        accepted = ", ".join(_FIELDS)
        raise BadBaseline(f"baseline {path}: finding {number} needs {accepted} (strings) and count (a number from 1)")
    return row["path"], row["name"], row["parameter"], row["text"]


def new(path: str, results: Sequence[Result], read_paths: Iterable[str]) -> tuple[list[Result], int]:
    """The results that the baseline does not know, and how many it knows that the files read no longer have."""
    root = _root(path)
    left = read(path)
    unknown: list[Result] = []
    for result in results:
        key = _key(result, root)
        if left[key] > 0:
            left[key] -= 1
        else:
            unknown.append(result)
    files = {relative(name, root) for name in read_paths}
    return unknown, sum(count for key, count in left.items() if count > 0 and key[0] in files)
