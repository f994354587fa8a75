"""What the user has declared safe to load, beside what always is."""

from __future__ import annotations

from typing import Any

from .._torch import find

_safe: set[Any] = set()


def add(items: Any) -> set[Any]:
    """Add *items*; returns those that were not there before."""
    new = set(items) - _safe
    _safe.update(new)
    return new


def remove(items: set[Any]) -> None:
    """Take *items* out again."""
    _safe.difference_update(items)


def clear() -> None:
    """Take everything out."""
    _safe.clear()


def listed() -> list[Any]:
    """Everything that was added."""
    return list(_safe)


def by_name() -> dict[str, Any]:
    """What was added here or to torch's own list, by the full name under which a file may name it."""
    native = find("torch.serialization.get_safe_globals")
    table: dict[str, Any] = {}
    for item in listed() + (native() if native else []):
        if isinstance(item, tuple):
            if len(item) != 2:
                raise ValueError(
                    f"a safe global is an object or a pair of an object and its full name; got {len(item)} items"
                )
            if type(item[1]) is not str:
                raise TypeError(f"the full name of a safe global is a str; got {type(item[1])}")
            table[item[1]] = item[0]
        else:
            table[f"{item.__module__}.{item.__qualname__}"] = item
    return table
