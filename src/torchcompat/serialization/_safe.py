"""What the user has declared safe to load, beside what always is."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from .._torch import find

_lock = threading.Lock()
_always: set[Any] = set()  # added until it is cleared
_in_blocks: Counter[Any] = Counter()  # in how many blocks each is added that have not ended


def add(items: Any) -> None:
    """Add *items* until :func:`clear`."""
    with _lock:
        _always.update(items)


def enter(items: Any) -> set[Any]:
    """Add *items* for a block, which may overlap with others, in this thread or another; returns what to give back."""
    added = set(items)
    with _lock:
        _in_blocks.update(added)
    return added


def leave(items: set[Any]) -> None:
    """End a block: *items* stay as long as another block or :func:`add` has added them."""
    with _lock:
        for item in items:
            if _in_blocks[item] > 1:
                _in_blocks[item] -= 1
            else:
                _in_blocks.pop(item, None)  # it may have been cleared


def clear() -> None:
    """Take everything out."""
    with _lock:
        _always.clear()
        _in_blocks.clear()


def listed() -> list[Any]:
    """Everything that was added."""
    with _lock:
        return list(_always.union(_in_blocks))


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
