"""Contexts over a process-wide switch that never leave it on, in whatever order they close."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Callable, TypeVar

from . import _scope
from ._precision_flags import Recorded

F = TypeVar("F", bound=Callable[..., Any])

# One lock for all switches, since from torch 2.9 on they share parents.
_LOCK = threading.RLock()


class _Scope:
    """An open context: what it has to restore."""

    def __init__(self, found: Any) -> None:
        self.found = found


class Setting:
    """A switch and its open contexts, in the order of entry."""

    def __init__(self, switch: Recorded) -> None:
        self._switch = switch
        self._open: list[_Scope] = []

    def get(self) -> str:
        with _LOCK:
            return self._switch.get()

    def set(self, level: str) -> None:
        with _LOCK:
            self._switch.set(level)

    def enter(self, level: str) -> _Scope:
        with _LOCK:
            scope = _Scope(self._switch.save())
            self._switch.set(level)
            self._open.append(scope)
        return scope

    def leave(self, scope: _Scope) -> None:
        """Restore what *scope* found; if a later one is still open, leave that to it."""
        with _LOCK:
            place = self._open.index(scope)
            del self._open[place]
            if place == len(self._open):
                self._switch.restore(scope.found)
            else:
                self._open[place].found = scope.found


class Context:
    """What the public contexts have in common. A subclass names its setting and checks its level."""

    _setting: Setting

    def __init__(self, level: str) -> None:
        self._level = level
        self._scopes: list[_Scope] = []

    def __enter__(self) -> None:
        self._scopes.append(self._setting.enter(self._level))

    def __exit__(self, *exc_info: object) -> None:
        self._setting.leave(self._scopes.pop())

    def __call__(self, function: F) -> F:
        covered: F = _scope.cover(type(self).__name__, function, lambda: partial(type(self), self._level))
        return covered
