"""Which of torchcompat's names stands in for which of torch's: the reader of shims.txt."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple


class Shim(NamedTuple):
    """torchcompat's name for one of torch's, and the oldest torch on which it works."""

    name: str
    oldest: str


@functools.lru_cache(maxsize=None)
def load() -> dict[str, Shim]:
    """{torch's name: shim}."""
    text = Path(__file__).with_name("shims.txt").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {torch: Shim(ours, oldest) for torch, ours, oldest in rows}


@functools.lru_cache(maxsize=None)
def _by_home(history: Any) -> dict[str, Shim]:
    """The shims by where torch's newest keeps the object, which is how two names for one object are told."""
    found = {}
    for torch, shim in load().items():
        entry = history.find(torch)
        if entry is not None:
            found[entry.home] = shim
    return found


def find(history: Any, name: str) -> Shim | None:
    """The shim of a name of torch, under any of its names; for a member of a class, that of the class."""
    if name in load():
        return load()[name]
    entry = history.find(name)
    if entry is None:
        return None
    if entry.home in _by_home(history):
        return _by_home(history)[entry.home]
    owner = history.find(name.rpartition(".")[0])
    if owner is not None and any(kind == "class" for kind, _ in owner.kinds):
        return find(history, owner.name)
    return None
