"""Names of a package that are loaded when they are first asked for, so that an import costs what is used.

A package declares in a table which module has which of its names, and hands the table to :func:`attach`. The same names
stand in a block under ``TYPE_CHECKING`` for editors and type checkers; a test holds the two together. This is SPEC 1 of
scientific Python, https://scientific-python.org/specs/spec-0001/, without the dependency.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Callable, Mapping

# {package: {name: the module that has it, or "" for a submodule}}, for tests to read.
TABLES: dict[str, dict[str, str]] = {}


def attach(package: str, table: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of *package*.

    Args:
        package: the ``__name__`` of the package.
        table: a module of the package, relative to it, to the names that it has, separated by spaces. The names of the
            package's own submodules stand under ``""``.
    """
    where = {name: module for module, names in table.items() for name in names.split()}
    TABLES[package] = where

    def __getattr__(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = where[name]
        found = import_module(f"{package}.{module or name}")
        if module:
            found = getattr(found, name)
        # From now on the name is an ordinary attribute, which costs nothing.
        setattr(sys.modules[package], name, found)
        return found

    def __dir__() -> list[str]:
        return sorted(set(vars(sys.modules[package])) | set(where))

    return __getattr__, __dir__
