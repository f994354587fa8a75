"""`[tool.torchcompat]` of pyproject.toml, and what its values may be; the command line's are checked here as well."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Callable, NamedTuple, Sequence

from ._minors import INDEX, MINORS

FORMATS = ("text", "json", "github", "sarif")


class BadConfig(Exception):
    """A setting that is not accepted: which, what is wrong with it, and what is accepted."""


class Config(NamedTuple):
    """The table of one pyproject.toml; empty where there is none. Paths in it are relative to *root*."""

    root: str
    values: dict[str, Any]

    def get(self, key: str, default: Any) -> Any:
        """The value of a key, or *default*."""
        return self.values.get(key, default)

    def path(self, key: str) -> str:
        """The path that a key names, "" if there is none."""
        return os.path.join(self.root, self.values[key]) if key in self.values else ""


def minor(text: Any) -> str:
    """The minor of a version: "1.13" of "1.13" and of "1.13.1"."""
    match = re.match(r"(\d+\.\d+)(?:\.\d+)?$", text) if isinstance(text, str) else None
    if not match or match.group(1) not in INDEX:
        hint = "" if isinstance(text, str) else ', as a string: in TOML 1.10 is the number 1.1, "1.10" is not'
        raise ValueError(f"{text!r} is not a minor of torch; accepted: {MINORS[0]} to {MINORS[-1]}{hint}")
    return match.group(1)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not accepted; a string is")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{value!r} is not accepted; a list of strings is")
    return value


def _table(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not accepted; a table of lists of names, by pattern of paths, is")
    return {pattern: _texts(names) for pattern, names in value.items()}


def _format(value: Any) -> str:
    if value not in FORMATS:
        raise ValueError(f"{value!r} is not a format; accepted: {', '.join(FORMATS)}")
    return str(value)


KEYS: dict[str, Callable[[Any], Any]] = {
    "min": minor,
    "max": minor,
    "exclude": _texts,
    "select": _texts,
    "ignore": _texts,
    "per-file-ignores": _table,
    "baseline": _text,
    "format": _format,
}


def checked(path: str, table: Any) -> dict[str, Any]:
    """The table with its values checked."""
    if not isinstance(table, dict):
        raise BadConfig(f"{path}: tool.torchcompat is {table!r}; a table is accepted")
    values = {}
    for key, value in table.items():
        if key not in KEYS:
            raise BadConfig(f"{path}: tool.torchcompat has no key {key!r}; accepted: {', '.join(KEYS)}")
        try:
            values[key] = KEYS[key](value)
        except ValueError as error:
            raise BadConfig(f"{path}: tool.torchcompat.{key}: {error}") from None
    return values


def load(path: str) -> Config:
    """The configuration in the file *path*."""
    root = os.path.dirname(os.path.abspath(path))
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeError as error:
        raise BadConfig(f"{path}: not UTF-8 text: {error}") from None
    # Most have no such table, and need no TOML reader on Pythons that lack one.
    if "torchcompat" not in text:
        return Config(root, {})
    tool = _parse(path, text).get("tool", {})
    return Config(root, checked(path, tool.get("torchcompat", {})) if isinstance(tool, dict) else {})


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ImportError:
        # What only names the package, as a dependency does, is not for us.
        if not re.search(r"^\s*\[\s*tool\s*\.\s*[\"']?torchcompat\b", text, re.M):
            return {}
        raise BadConfig(f"{path}: Python before 3.11 needs tomli to read it: pip install tomli") from None
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{path}: not TOML: {error}") from None
    return found


def nearest(paths: Sequence[str]) -> Config:
    """The table of the nearest pyproject.toml that has one, in the folder that holds all *paths* or above it."""
    folder = _common_folder(paths)
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            found = load(path)
            if found.values:
                return found
        parent = os.path.dirname(folder)
        if parent == folder:
            return Config(os.getcwd(), {})
        folder = parent


def _common_folder(paths: Sequence[str]) -> str:
    folders = [
        os.path.abspath(path) if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)) for path in paths
    ]
    try:
        return os.path.commonpath(folders or [os.getcwd()])
    except ValueError:
        # On several drives.
        return os.getcwd()


def version_range(least: str, most: str) -> tuple[str, str]:
    """The gate's first and last minor, checked against each other; "" is no limit."""
    if least and most and INDEX[least] > INDEX[most]:
        raise BadConfig(f"--min {least} is newer than --max {most}: no torch lies between them")
    return least, most
