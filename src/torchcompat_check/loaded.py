"""Which of torch's modules a file can count on: those that `import torch` brings, and those that something imports."""

from __future__ import annotations

import ast
import functools
import os
import re

from .history import History
from .nodes import walk_tree

# What imports a module when it is called: https://github.com/pytorch/pytorch/pull/93138
BRINGING = {"torch._dynamo": "torch.compile", "torch._inductor": "torch.compile"}


class Loaded:
    """The modules of torch that a file, or another one of its package, imports."""

    def __init__(self, path: str, source: str) -> None:
        self._path = path
        self._source = source
        self._named: set[str] | None = None

    def lacking(self, module: str, mask: int, history: History) -> int:
        """Of the minors *mask*, on which `import torch` does not bring a module, those on which nothing else does.

        Another module of torch may, if it needs an import itself: where the file imports such a one, nothing is said.
        """
        if self._named is None:
            self._named = named_in(self._source)
        if is_named(module, self._named) or BRINGING.get(module, module) in self._source.replace(module, ""):
            return 0
        for name in self._named:
            mask &= ~history.needs_import(name)
        return 0 if mask and os.path.isfile(self._path) and is_imported(package_of(self._path), module) else mask


def is_named(module: str, names: set[str]) -> bool:
    """Whether an import of *names* brings a module."""
    return any((name + ".").startswith(module + ".") for name in names)


def named_in(source: str) -> set[str]:
    """The modules that a file imports, and what it imports from them; and what strings may stand for."""
    found: set[str] = set()
    for node in walk_tree(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        text = getattr(node, "value", getattr(node, "s", None))
        if isinstance(text, str) and text.startswith("torch."):
            found.add(text)
    return found


def package_of(path: str) -> str:
    """The folder of the outermost package that a file is in, or its own folder."""
    folder = os.path.dirname(os.path.abspath(path))
    while os.path.isfile(os.path.join(os.path.dirname(folder), "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


@functools.lru_cache(maxsize=None)
def is_imported(folder: str, module: str) -> bool:
    """Whether any file of a package imports a module; in a folder that is none, any file beside."""
    parent, _, last = module.rpartition(".")
    words = rf"^\s*(import|from)\s+{re.escape(module)}\b|^\s*from\s+{re.escape(parent)}\s+import\b[^#]*?\b{last}\b"
    pattern = re.compile(words.encode(), re.M)
    for inner, folders, files in os.walk(folder):
        if not os.path.isfile(os.path.join(folder, "__init__.py")):
            folders.clear()
        for file in files:
            if file.endswith(".py") and pattern.search(content(os.path.join(inner, file))):
                return True
    return False


def content(path: str) -> bytes:
    """The bytes of a file, none of one that cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
