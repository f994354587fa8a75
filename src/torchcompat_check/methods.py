"""Methods of tensors that a function of torch's own does as well: torchcompat's function can take their place.

`x.amax(1)` is `torchcompat.amax(x, 1)`, where it is certain that `x` is a tensor, and both take what is handed over.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from ._minors import MINORS, at_least
from .history import Entry, History
from .values import Ref, Value

if TYPE_CHECKING:
    from .walk import Walk

OWNER = "torch.Tensor."
# Methods that take a list also as arguments of their own, which the functions do not: `x.permute(1, 0)`.
SPREAD = ("flip", "permute", "tile")


def is_method(name: str) -> bool:
    """Whether a name is that of a method, or another attribute, of tensors."""
    return name.startswith(OWNER)


def called(walk: Walk, node: ast.Call, function: Value) -> None:
    """A call of *function*: if that is a method of what is surely a tensor, its findings are those of a function."""
    if not isinstance(function, Ref) or not function.bound or not is_method(function.path):
        return
    if isinstance(node.func, ast.Attribute) and not _is_super(node.func.value) and not walk.state.quiet:
        method = walk.uses.history.find(function.path)
        entry = function_of(walk.uses.history, function.path)
        if method is not None and entry is not None and _fits(method, node):
            walk.uses.stands_for(node, function.path, entry)


def function_of(history: History, name: str) -> Entry | None:
    """The function that takes, on the newest torch, a tensor and then what the method *name* takes, if there is one."""
    last = name[len(OWNER) :]
    method, function = history.find(name), history.find(f"torch.{last}")
    if last in SPREAD or method is None or function is None or function.kind != "function":
        return None
    places, keywords = _parameters(method)
    there, more = _parameters(function)
    same = there[: len(places) + 1] == ["input", *places] and set(keywords) <= {*more, *there[len(places) + 1 :]}
    return function if same else None


def _parameters(entry: Entry) -> tuple[list[str], list[str]]:
    """What the newest torch takes in places, and by keyword alone."""
    newest = at_least(MINORS[-1])
    found = {name: one for name, one in (entry.parameters or {}).items() if one.present & newest}
    only = [name for name, one in found.items() if one.keyword_only & newest]
    return [name for name in found if name not in only], only


def _fits(method: Entry, node: ast.Call) -> bool:
    """Whether a call of a method hands over nothing but what the newest torch takes, by the names that it shows."""
    places, keywords = _parameters(method)
    return (
        len(node.args) <= len(places)
        and not any(isinstance(one, ast.Starred) for one in node.args)
        and all(one.arg in places or one.arg in keywords for one in node.keywords)
    )


def _is_super(node: Any) -> bool:
    """`super()`, which is no tensor."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
