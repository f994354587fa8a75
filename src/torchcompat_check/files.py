"""Which files to read: those named, and what is Python in the folders named."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from typing import Iterable, Iterator, NamedTuple, Sequence

from .report import Problem

SUFFIXES = (".py", ".pyi", ".ipynb")
# Where tools build; `build` may be a package of the project as well, so only beside the file that a build starts from.
_BUILT = ("build", "dist")
_BUILT_BESIDE = ("pyproject.toml", "setup.py", "setup.cfg")


class Excludes(NamedTuple):
    """Patterns of paths to leave out, and the folder that they are relative to."""

    patterns: Sequence[str] = ()
    root: str = "."

    def match(self, path: str) -> bool:
        """Whether a file or folder is left out."""
        return bool(self.patterns) and matches(relative(path, self.root), self.patterns)


def relative(path: str, root: str) -> str:
    """*path* seen from the folder *root*, with slashes; as it is where there is no way, as between drives."""
    try:
        path = os.path.relpath(path, root)
    except ValueError:
        pass
    return path.replace(os.sep, "/")


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern fits *path* or a folder above it; one without a slash fits any single part of the path."""
    parts = path.split("/")
    ways = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for pattern in patterns:
        pattern = pattern.rstrip("/")
        if any(fnmatchcase(name, pattern) for name in (ways if "/" in pattern else parts)):
            return True
    return False


def find(paths: Sequence[str], excludes: Excludes) -> tuple[list[str], list[Problem]]:
    """The files to check, sorted within each of *paths*, none twice; and a problem for each that cannot be reached."""
    walk = _Walk(excludes)
    files: list[str] = []
    seen: set[str] = set()
    for path in paths:
        for found in walk.under(os.path.normpath(path)):
            absolute = os.path.abspath(found)
            if absolute not in seen:
                seen.add(absolute)
                files.append(found)
    return files, walk.problems


class _Walk:
    def __init__(self, excludes: Excludes) -> None:
        self.excludes = excludes
        self.problems: list[Problem] = []
        # Device and number of the folders read so far: each is read once, by whichever links it is reached.
        self.folders: set[tuple[int, int]] = set()

    def under(self, path: str) -> Iterator[str]:
        """The files of a path that the user named: a file whatever its suffix, a folder whatever its name."""
        if self.excludes.match(path):
            return
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            self._problem(path, _reason(error))
            return
        if stat.S_ISDIR(mode):
            yield from self._folder(path)
        else:
            yield path

    def _folder(self, top: str) -> Iterator[str]:
        # A stack of our own: a tree of folders may be deeper than Python's.
        stack = [(top, True)]
        while stack:
            path, is_folder = stack.pop()
            if not is_folder:
                yield path
            elif self._is_new(path):
                stack += reversed(self._entries(path))

    def _is_new(self, folder: str) -> bool:
        try:
            about = os.stat(folder)
        except OSError as error:
            self._problem(folder, _reason(error))
            return False
        if os.path.islink(folder) and _is_above(os.path.realpath(folder), os.path.realpath(os.path.dirname(folder))):
            self._problem(folder, "symbolic link loop: it leads to a folder that holds it")
            return False
        identity = about.st_dev, about.st_ino
        new = identity not in self.folders
        self.folders.add(identity)
        return new

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        """What to read in a folder: (path, whether it is a folder), sorted by name."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self._problem(folder, _reason(error))
            return []
        entries: list[tuple[str, bool]] = []
        for name in names:
            path = name if folder == "." else os.path.join(folder, name)
            if self.excludes.match(path):
                continue
            if os.path.isdir(path):
                if not _is_skipped(name, path, names):
                    entries.append((path, True))
            elif name.endswith(SUFFIXES) and self._exists(path):
                entries.append((path, False))
        return entries

    def _exists(self, path: str) -> bool:
        try:
            os.stat(path)
        except OSError as error:
            self._problem(path, _reason(error))
            return False
        return True

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, 0, message))


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _is_above(folder: str, below: str) -> bool:
    return below == folder or below.startswith(folder.rstrip(os.sep) + os.sep)


def _is_skipped(name: str, path: str, siblings: Sequence[str]) -> bool:
    """Whether a folder holds other people's code, or none: hidden ones, environments, caches, what a build wrote."""
    if name.startswith(".") or name in ("__pycache__", "node_modules", "venv", "site-packages"):
        return True
    if os.path.exists(os.path.join(path, "pyvenv.cfg")):
        return True
    return name in _BUILT and any(beside in siblings for beside in _BUILT_BESIDE)
