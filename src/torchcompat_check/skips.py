"""Decorators that say on which torch a function or a class runs: marks of skipped tests, and pyvers."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from . import conditions
from ._minors import ALL, MINORS
from .values import Const, not_, truth

if TYPE_CHECKING:
    from .walk import Walk


def reach(walk: Walk, node: Any) -> int:
    """The minors on which a function or class is run at all: a test that is skipped elsewhere is a guarded use."""
    mask = walk.state.reach
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or not decorator.args:
            continue
        name = getattr(decorator.func, "attr", getattr(decorator.func, "id", "")).lower()
        if name == "implement_for":
            mask &= implemented(walk, decorator)
        if name not in ("skipif", "skipunless"):
            continue
        with walk.state.at(quiet=True):
            condition = truth(walk.evaluate(decorator.args[0]))
        mask &= (condition if name == "skipunless" else not_(condition)).true
    return mask


def implemented(walk: Walk, node: ast.Call) -> int:
    """`@implement_for("torch", "2.0", "2.3")` of pyvers: a function for torch from 2.0 on, up to before 2.3."""
    values = [walk.evaluate(one) for one in node.args[:3]]
    if values[0] != Const("torch"):
        return ALL
    mask = ALL
    for value, sign in zip(values[1:], (">=", "<")):
        text = value.value if isinstance(value, Const) else None
        match = re.match(r"\d+\.\d+", text) if isinstance(text, str) else None
        if match is not None and match.group() in MINORS:
            mask &= conditions.compare_to_version_of(sign, match.group()).true
    return mask
