"""Which arguments the calls in a file pass to the functions of the file."""

from __future__ import annotations

import ast
from typing import Any, Iterator

from .nodes import walk_tree
from .values import LocalClass, decorator_names


def defaults(parameters: ast.arguments) -> Iterator[tuple[int, ast.arg, ast.expr]]:
    """(place, parameter, default) of each parameter with a default; a place of -1 is none."""
    places = [*getattr(parameters, "posonlyargs", []), *parameters.args]
    first = len(places) - len(parameters.defaults)
    for at, default in enumerate(parameters.defaults, first):
        yield at, places[at], default
    for argument, given in zip(parameters.kwonlyargs, parameters.kw_defaults):
        if given is not None:
            yield -1, argument, given


class Callers:
    """The calls in a file, by the last part of the name that is called; found when somebody asks."""

    def __init__(self, tree: ast.AST | None = None) -> None:
        self._tree = tree
        self._calls: dict[str, list[ast.Call]] | None = None
        self._names: dict[ast.AST, list[str]] = {}

    def _of(self, name: str) -> list[ast.Call]:
        if self._calls is None:
            self._calls = {}
            for node in walk_tree(self._tree) if self._tree is not None else ():
                self._look(node, self._calls)
        return self._calls.get(name, [])

    def _look(self, node: ast.AST, calls: dict[str, list[ast.Call]]) -> None:
        """Note a call, and the names that a lambda is given."""
        if isinstance(node, ast.Call):
            calls.setdefault(last_part(node.func), []).append(node)
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Lambda):
                    self._names.setdefault(keyword.value, []).append(keyword.arg or "")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._names.setdefault(node.value, []).extend(last_part(one) for one in targets)

    def pass_(self, function: Any, cls: LocalClass | None, at: int, name: str) -> bool:
        """Whether a call in the file may pass a value for the parameter *name*, in place *at*, of a function."""
        others = self._of("partial") + self._of("partialmethod")
        if isinstance(function, ast.Lambda):
            names = self._names.get(function, [])
            others = others + [call for call in self._of("") if call.func is function]
        else:
            names = [function.name]
        if cls is not None and names == ["__init__"]:
            names = [*names, cls.name]
        at -= cls is not None and at >= 0 and "staticmethod" not in decorator_names(function)
        calls = [call for one in names if one for call in self._of(one)]
        return any(passes(call, at, name) for call in calls) or any(
            passes(call, at if call.func is function else -1, name) for call in others
        )


def last_part(node: ast.AST) -> str:
    """The last part of a name; "" of what is none, as a call is."""
    return getattr(node, "attr", getattr(node, "id", ""))


def passes(call: ast.Call, at: int, name: str) -> bool:
    """Whether a call may pass the parameter *name*, in place *at*."""
    if any(keyword.arg in (name, None) for keyword in call.keywords):
        return True
    return at >= 0 and (len(call.args) > at or any(isinstance(one, ast.Starred) for one in call.args))
