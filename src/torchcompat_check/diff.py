"""Which lines a change adds or rewrites, from a unified diff."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Dict, FrozenSet, Iterable, Iterator, Match

from .files import SUFFIXES, Excludes

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_OCTAL = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}

Lines = Dict[str, FrozenSet[int]]


class BadDiff(Exception):
    """A diff that cannot be had or read, and why."""


def changed_lines(text: str) -> Lines:
    """For each file of a unified diff the numbers of the lines that are new in it; deleted files have none."""
    changed: dict[str, set[int]] = {}
    path = ""
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        if line.startswith("+++ "):
            path = _path(line[4:])
        elif line.startswith("@@ "):
            hunk = _HUNK.match(line)
            if not hunk:
                raise BadDiff(f"line {number} of the diff is not a hunk header of a unified diff: {line[:60]!r}")
            if not path:
                raise BadDiff(f"line {number} of the diff: a hunk before any '+++ FILE' line")
            old, first, new = (1 if count is None else int(count) for count in hunk.groups())
            added = _hunk(lines, first, old, new)
            if path != os.devnull:
                changed.setdefault(path, set()).update(added)
    if text.strip() and not changed and "diff " not in text and "+++ " not in text:
        raise BadDiff("not a unified diff: it has no '+++ FILE' line")
    return {path: frozenset(numbers) for path, numbers in changed.items()}


def _hunk(lines: Iterator[tuple[int, str]], first: int, old: int, new: int) -> list[int]:
    """The new lines of a hunk, which is read to its end: within it "+++ " is an added line, not a header."""
    added = []
    last = first + new
    while old > 0 or first < last:
        number, line = next(lines, (0, ""))
        if not number:
            raise BadDiff("the diff ends within a hunk")
        if line.startswith("+"):
            added.append(first)
            first += 1
        elif line.startswith("-"):
            old -= 1
        elif line.startswith(" ") or not line:
            old -= 1
            first += 1
        elif not line.startswith("\\"):
            raise BadDiff(f"line {number} of the diff is neither context nor added nor removed: {line[:60]!r}")
    return added


def _path(field: str) -> str:
    """The path of a "+++ " line: without the date that diff(1) writes, quotes and git's prefix."""
    field = field.rstrip("\r")
    if field.startswith('"') and field.endswith('"'):
        field = os.fsdecode(_OCTAL.sub(_unquoted, os.fsencode(field[1:-1])))
    else:
        field = field.partition("\t")[0]
    return field[2:] if field.startswith(("b/", "w/", "i/")) else field


def _unquoted(match: Match[bytes]) -> bytes:
    code = match.group(1)
    return bytes([_LETTERS[code] if code in _LETTERS else int(code, 8)])


def git_diff(base: str) -> Lines:
    """The lines of the working tree that differ from the commit *base*; paths are relative to the current folder."""
    if base.startswith("-"):
        raise BadDiff(f"--diff: {base!r} is not a commit")
    top = _git("rev-parse", "--show-toplevel").rstrip("\n")
    text = _git("diff", "--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-U0", base, "--")
    return {os.path.relpath(os.path.join(top, path)): lines for path, lines in changed_lines(text).items()}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise BadDiff(f"--diff needs git, which cannot be run: {error.strerror or error}") from None
    if done.returncode:
        words = os.fsdecode(done.stderr).split("\n")[0]
        raise BadDiff(f"--diff: git {' '.join(arguments)} failed: {words}")
    return done.stdout.decode("utf-8", "surrogateescape")


def chosen(changed: Lines, paths: Iterable[str], excludes: Excludes) -> Lines:
    """Of the changed files those that would be read, and, if *paths* are given, lie under one of them."""
    tops = [os.path.abspath(path) for path in paths]
    return {
        path: changed[path]
        for path in sorted(changed)
        if path.endswith(SUFFIXES) and changed[path] and not excludes.match(path) and _is_under(path, tops)
    }


def _is_under(path: str, tops: list[str]) -> bool:
    path = os.path.abspath(path)
    return not tops or any(path == top or path.startswith(top.rstrip(os.sep) + os.sep) for top in tops)
