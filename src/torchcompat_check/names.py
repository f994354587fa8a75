"""Patterns of names, as `--select` takes them: whether any name of torch can fit one."""

from __future__ import annotations

import re

from .api import close_matches
from .config import BadConfig
from .history import load

_PATTERN = re.compile(r"([^(]*)(?:\((.*)\))?$", re.S)
_WILD = re.compile(r"[*?\[]")


def refuse_unknown(pattern: str) -> None:
    """Raise BadConfig for a pattern that fits nothing, which would say of any code that it runs everywhere."""
    match = _PATTERN.match(pattern)
    name, parameter = match.groups() if match else (pattern, None)
    wild = _WILD.search(name)
    # Names that a class inherits are not listed: of a pattern, what stands before its first wildcard must be there.
    known = name[: wild.start()].rpartition(".")[0] if wild else name
    entry = load().find(known) if known else None
    if known and entry is None:
        near = close_matches(load(), known)
        hint = f"; similar names: {', '.join(near)}" if near else ""
        raise BadConfig(f"select {pattern!r}: no torch is known to have {known}{hint}")
    if entry is None or wild or not parameter or _WILD.search(parameter):
        return
    if parameter not in (entry.parameters or {}):
        raise BadConfig(f"select {pattern!r}: {name} has no parameter {parameter} on any torch")
