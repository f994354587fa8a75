"""Which of torchcompat's names stands in for which of torch's: the reader of shims.txt."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

from ._minors import MINORS, at_least

# `import torchcompat` does not load these modules, as `import torch` does not load theirs.
ON_DEMAND = (
    "torchcompat.utils.checkpoint",
    "torchcompat.utils.pytree",
    "torchcompat.nn.attention.bias",
    "torchcompat.nn.attention.flex_attention",
    "torchcompat.nn.attention.varlen",
)

# Modules of torch for which torchcompat has an object that takes every name that torch's module takes. It can stand
# where they are named, but not in `import torch._dynamo.config as settings`, since it is no module.
OPEN = ("torch._dynamo.config", "torch._inductor.config")


class Shim(NamedTuple):
    """torchcompat's name for one of torch's, and the oldest torch on which it works."""

    name: str
    oldest: str


def _rows() -> list[list[str]]:
    text = Path(__file__).with_name("shims.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


@functools.lru_cache(maxsize=None)
def load() -> dict[str, Shim]:
    """{torch's name: shim}."""
    return {torch: Shim(ours, oldest) for torch, ours, oldest, *_ in _rows()}


@functools.lru_cache(maxsize=None)
def absent() -> frozenset[str]:
    """The names of torchcompat that are placeholders on older torch, to import and to test with."""
    return frozenset(ours for _, ours, _, *kind in _rows() if kind == ["absent"])


@functools.lru_cache(maxsize=None)
def successors() -> tuple[tuple[str, str, str, str], ...]:
    """(old name, "->", "=>" or "~>", new name, note) of successors.txt."""
    rows = []
    for line in Path(__file__).with_name("successors.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            names, _, note = line.partition(" : ")
            old, arrow, new = names.split()
            rows.append((old, arrow, new, note))
    return tuple(rows)


@functools.lru_cache(maxsize=None)
def every() -> dict[str, Shim]:
    """{torch's name: shim}, with the old and private names whose successor does the same and has a shim."""
    ours = {shim.name: shim for shim in load().values()}
    found = {}
    for old, arrow, new, _ in successors():
        shim = load().get(new) or ours.get(new) or (Shim(new, MINORS[0]) if new.startswith("torchcompat.") else None)
        if arrow == "=>" and shim is not None:
            found[old] = shim
    return {**found, **load()}


@functools.lru_cache(maxsize=None)
def _by_home(history: Any) -> dict[str, Shim]:
    """The shims by where torch's newest keeps the object, which is how two names for one object are told."""
    found = {}
    for torch, shim in every().items():
        entry = history.find(torch)
        if entry is not None:
            found[entry.home] = shim
    return found


def find(history: Any, name: str) -> Shim | None:
    """The shim that stands in for a name of torch, under any of its names."""
    if name in every():
        return every()[name]
    if is_open(name):
        module = next(one for one in OPEN if name.startswith(one))
        whole = every()[module]
        return whole._replace(name=whole.name + name[len(module) :])
    entry = history.find(name)
    return None if entry is None else _by_home(history).get(entry.home)


def is_open(name: str) -> bool:
    """Whether a name is that of one of the `OPEN` modules, or of something in it."""
    return any(name == one or name.startswith(one + ".") for one in OPEN)


def find_owner(history: Any, name: str) -> Shim | None:
    """The shim of a name; for a member of a class, whose instances have it, that of the class."""
    found = find(history, name)
    owner = history.find(name.rpartition(".")[0])
    if found is None and owner is not None and any(kind == "class" for kind, _ in owner.kinds):
        return find(history, owner.name)
    return found


@functools.lru_cache(maxsize=None)
def takes(history: Any, ours: str, keyword: str) -> bool:
    """Whether a name of torchcompat takes a keyword: where that is torch's own name, as the newest torch does."""
    names = [torch for torch, shim in every().items() if shim.name == ours]
    entry = history.find(names[-1]) if names else None
    newest = at_least(MINORS[-1])
    return entry is None or not entry.present & newest or bool(entry.accepts(keyword) & newest)


def torchs(ours: str) -> list[str]:
    """torch's names for one of torchcompat's: for its own path first, then for what is called so elsewhere."""
    by_name: dict[str, str] = {shim.name: torch for torch, shim in every().items()}
    last = ours.rpartition(".")[2]
    # `torchcompat.functional_call` is there as well, for short.
    short = [name for name in by_name if ours.count(".") == 1 and name.rpartition(".")[2] == last]
    return [by_name[name] for name in dict.fromkeys([ours, *short]) if name in by_name]
