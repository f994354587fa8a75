"""Names and their values, by scope."""

from __future__ import annotations

import ast
from typing import Any


class Scope:
    """The names of a module, a function or a class body. *outer* is where a name is looked up next."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.names: dict[str, Any] = {}
        self.outer = outer
        self.node: ast.AST | None = None  # the module or the function whose names these are
        self.cls: Any = None  # in the body of a class and in its methods
        self.is_class = False
        self.instance = ""  # in a constructor the name of what it makes, whose attributes are names here: "self.x"
        self.globals: list[str] = []
        self.stars: list[str] = []

    def module(self) -> Scope:
        """The scope of the module."""
        scope = self
        while scope.outer is not None:
            scope = scope.outer
        return scope

    def holder(self, name: str) -> dict[str, Any] | None:
        """The names among which *name* is bound: those of this scope or of one around it."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.outer
        return None if scope is None else scope.names

    def find(self, name: str) -> tuple[bool, Any]:
        """(whether *name* is bound, its value)."""
        names = self.holder(name)
        return (False, None) if names is None else (True, names[name])

    def settle(self, name: str, value: Any) -> None:
        """Keep what an import turned out to bring, where it is bound."""
        names = self.holder(name)
        if names is not None:
            names[name] = value

    def bind(self, name: str, value: Any) -> None:
        """Bind *name* here, or in the module where the function says `global`."""
        target = self.module() if name in self.globals else self
        target.names[name] = value
