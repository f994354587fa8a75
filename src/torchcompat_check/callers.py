"""Which arguments the calls in a file pass to the functions of the file."""

from __future__ import annotations

import ast
from typing import Any, Iterator

from .values import LocalClass


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

    def _of(self, name: str) -> list[ast.Call]:
        if self._calls is None:
            self._calls = {}
            for node in ast.walk(self._tree) if self._tree is not None else ():
                if isinstance(node, ast.Call):
                    self._calls.setdefault(getattr(node.func, "attr", getattr(node.func, "id", "")), []).append(node)
        return self._calls.get(name, [])

    def pass_(self, function: Any, cls: LocalClass | None, at: int, name: str) -> bool:
        """Whether a call in the file may pass a value for the parameter *name*, in place *at*, of a function."""
        names = [getattr(function, "name", "")]
        if cls is not None and names == ["__init__"]:
            names.append(cls.name)
        at -= cls is not None and at >= 0
        calls = [call for one in names for call in self._of(one)]
        return any(passes(call, at, name) for call in calls) or any(
            passes(call, -1, name) for call in self._of("partial")
        )


def passes(call: ast.Call, at: int, name: str) -> bool:
    """Whether a call may pass the parameter *name*, in place *at*."""
    if any(keyword.arg in (name, None) for keyword in call.keywords):
        return True
    return at >= 0 and (len(call.args) > at or any(isinstance(one, ast.Starred) for one in call.args))
