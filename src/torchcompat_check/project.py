"""The files around the one that is read: many projects keep their version tests in one module of their own."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, Callable

from . import conditions
from .history import History, is_torch, load
from .values import Imported, Module, Ref, Value

if TYPE_CHECKING:
    from .walk import Walk


# torchcompat's own tests for the installed torch are known by name, in its own source, too.
OURS = os.path.join("torchcompat", "_torch.py")


class Project:
    """Finds and reads the modules that a file imports from its own package; each is read once."""

    def __init__(self, make: Callable[[str, str, History, Project], Walk]) -> None:
        self._make = make  # a `Walk`
        self._walks: dict[str, Walk | None] = {}
        self._roots: dict[str, str] = {}
        self._files: dict[str, Module | None] = {}

    def walk(self, path: str, source: str) -> Walk:
        """Read the statements of a module; the bodies of its functions wait."""
        file = os.path.abspath(path)
        before = self._walks.get(file)
        if before is not None and before.uses.source == source:
            return before
        tree = ast.parse(source, path)
        one = self._make(path, source, load(), self)
        self._walks[file] = one
        one.module(tree)
        return one

    def root(self, folder: str) -> str:
        """The folder that holds the outermost package around *folder*."""
        if folder not in self._roots:
            if os.path.isfile(os.path.join(folder, "__init__.py")):
                self._roots[folder] = self.root(os.path.dirname(folder))
            else:
                self._roots[folder] = folder
        return self._roots[folder]

    def module(self, path: str, name: str, level: int) -> Module | None:
        """The module of the project that `from ..name import` in the file *path* means."""
        if not level and is_torch(name):
            return None
        folder = os.path.dirname(os.path.abspath(path))
        if level:
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            return self._file(os.path.join(folder, *name.split(".")) if name else folder)
        return self._file(os.path.join(self.root(folder), *name.split(".")))

    def _file(self, base: str) -> Module | None:
        if base not in self._files:
            files = (os.path.join(base, "__init__.py"), f"{base}.py")
            self._files[base] = next((Module(file) for file in files if os.path.isfile(file)), None)
        return self._files[base]

    def names(self, module: Module) -> dict[str, Value]:
        """The names that a module of the project binds, so far."""
        if module.file not in self._walks:
            self._walks[module.file] = None
            self._read(module.file)
        walk = self._walks[module.file]
        return walk.state.scope.module().names if walk is not None else {}

    def _starred(self, module: Module, name: str) -> Ref | None:
        """What a module of the project has by `from torch.x import *`."""
        walk = self._walks.get(module.file)
        for star in walk.state.scope.module().stars if walk is not None else ():
            if load().find(f"{star}.{name}") is not None:
                return Ref(f"{star}.{name}")
        return None

    def _read(self, file: str) -> None:
        """Read a module for what it binds; one that cannot be read binds nothing that is known."""
        from .reading import read_text

        try:
            self.walk(file, read_text(file))
        except (OSError, SyntaxError, ValueError, RecursionError):
            self._walks[file] = None

    def member(self, module: Module, name: str) -> Value:
        """What a module of the project calls *name*: something that it binds, or a module in it."""
        if module.file.endswith(OURS):
            return conditions.RELEASE if name == "torch_version" else Ref(f"torchcompat.{name}")
        names = self.names(module)
        if name in names:
            value = names[name]
            if isinstance(value, Imported):
                names[name] = None  # for modules that import each other
                own = value == Imported(module.file, name)  # `from . import x` in a package is its module x
                found = self._submodule(module, name) if own else self.member(Module(value.file), value.name)
                names[name] = value = found
            return value
        star = self._starred(module, name)
        if star is not None:
            return star
        return self._submodule(module, name)

    def _submodule(self, module: Module, name: str) -> Module | None:
        """The module *name* in a package of the project."""
        folder, file = os.path.split(module.file)
        return self._file(os.path.join(folder, name)) if file == "__init__.py" else None
