"""What is used of torch's classes without being named: `with`, operators, `for`, `len`, `x[i]`, decorators, `match`.

The history has the special methods of a class as it has its other members. They are believed from the first torch on
that has them: one that seems to end is inherited from elsewhere from then on.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Sequence, Tuple

from . import classes
from ._minors import ALL, at_least, minors_of
from .history import Entry, is_torch
from .values import Bound, Const, Function, Instance, LocalClass, LocalInstance, Partial, Ref, Value, options

if TYPE_CHECKING:
    from .walk import Walk

BINARY: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}
UNARY: dict[type[ast.AST], str] = {ast.USub: "__neg__", ast.UAdd: "__pos__", ast.Invert: "__invert__"}
# A comparison and what the other side is asked for; `==` and `!=` every object has.
COMPARED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("__lt__", "__gt__"),
    ast.LtE: ("__le__", "__ge__"),
    ast.Gt: ("__gt__", "__lt__"),
    ast.GtE: ("__ge__", "__le__"),
}
ITERATED = ("__iter__", "__getitem__")
CONTAINS = ("__contains__", *ITERATED)
# What functions of Python ask of their argument: any of these will do.
BUILTINS: dict[str, Sequence[str]] = {
    "len": ("__len__",),
    "iter": ITERATED,
    "list": ITERATED,
    "tuple": ITERATED,
    "set": ITERATED,
    "sorted": ITERATED,
    "enumerate": ITERATED,
    "sum": ITERATED,
    "next": ("__next__",),
    "reversed": ("__reversed__", "__getitem__"),
    "abs": ("__abs__",),
    "round": ("__round__",),
    "divmod": ("__divmod__",),
    "int": ("__int__", "__index__", "__trunc__"),
    "float": ("__float__", "__index__"),
    "complex": ("__complex__", "__float__", "__index__"),
}
# Classes that take a function, as decorators without parentheses do, from this torch on, and by which parameter:
# https://github.com/pytorch/pytorch/pull/107086
BARE = {
    "torch.autograd.grad_mode.no_grad": ("orig_func", "2.1"),
    "torch.autograd.grad_mode.enable_grad": ("orig_func", "2.1"),
    "torch.autograd.grad_mode.inference_mode": ("mode", "2.1"),
}


def asked(walk: Walk, node: ast.AST, value: Value, names: Sequence[str], kind: str = "type") -> None:
    """A use of one of the special methods *names* of *value*, whichever there is. *kind*: as in `Uses.absent`."""
    if value is None:
        return
    for mask, one in options(value):
        for path in owners(walk, one, names):
            lacking(walk, node, path, names, mask, kind)


def owners(walk: Walk, value: Value, names: Sequence[str]) -> list[str]:
    """The class of torch that is asked for the special methods of a value, if it is one."""
    if isinstance(value, Instance):
        return [value.path]
    if isinstance(value, LocalInstance) and not any(value.cls.find(name)[0] for name in names):
        found = [classes.inherited(walk, value, name) for name in names]
        return [path for path in found if path][:1]
    return []


def lacking(walk: Walk, node: ast.AST, path: str, names: Sequence[str], mask: int, kind: str) -> None:
    """Report the class *path* where it has none of the special methods *names*, if it has one later."""
    entry, missing = since(walk, path, names)
    missing &= walk.state.reach & mask
    if entry is not None and missing:
        walk.uses.absent(node, entry, "", missing, kind)


def since(walk: Walk, path: str, names: Sequence[str]) -> tuple[Entry | None, int]:
    """(the method that comes first, where the class is without any)."""
    history = walk.uses.history
    owner = history.find(path)
    found = [entry for entry in (history.find(f"{path}.{name}") for name in names) if entry is not None]
    if owner is None or not found:
        return None, 0
    first = min(found, key=lambda entry: entry.present & -entry.present)
    # Where the name is a function, what it gives is not known.
    missing = dict(owner.kinds).get("class", 0) & ~at_least(minors_of(first.present)[0])
    return first, missing & history.described(path) if missing else 0


def binary(walk: Walk, node: ast.AST, operator: ast.AST, left: Value, right: Value, in_place: bool = False) -> None:
    """`left + right`: one of both must know how."""
    if left is None or right is None:
        return
    name = BINARY.get(type(operator))
    if name is not None:
        own = [f"__i{name}__", f"__{name}__"] if in_place else [f"__{name}__"]
        either(walk, node, (left, own), (right, [f"__r{name}__"]))


def compare(walk: Walk, node: ast.AST, operator: ast.AST, left: Value, right: Value) -> None:
    """`left < right`, and `left in right`."""
    if isinstance(operator, (ast.In, ast.NotIn)):
        asked(walk, node, right, CONTAINS)
    elif left is not None and right is not None and type(operator) in COMPARED:
        own, other = COMPARED[type(operator)]
        either(walk, node, (left, [own]), (right, [other]))


Side = Tuple[Value, Sequence[str]]


def either(walk: Walk, node: ast.AST, left: Side, right: Side) -> None:
    """An operator of which one side must have a method: a use where both sides are known."""
    missing, entry = walk.state.reach, None
    for value, names in (left, right):
        if isinstance(value, Const):
            if value is left[0] and not isinstance(value.value, (int, float, complex)):
                return  # a string or a tuple that may take the other side
            continue
        paths = owners(walk, value, names)
        if not paths and not isinstance(value, Instance):
            return
        found, where = since(walk, paths[0], names)
        if found is not None:
            entry = entry or found
            missing &= where
    if entry is not None and missing:
        walk.uses.absent(node, entry, "", missing, "type")


def subscript(walk: Walk, node: ast.Subscript, value: Value) -> None:
    """`x[i]`, `x[i] = y`, `del x[i]`; and `Dataset[int]`, which asks the class."""
    if value is None:
        return
    if isinstance(node.ctx, ast.Load):
        for mask, one in options(value):
            if isinstance(one, Ref) and is_torch(one.path):
                lacking(walk, node, one.path, ("__class_getitem__",), mask, "type")
        asked(walk, node, value, ("__getitem__",))
    else:
        asked(walk, node, value, ("__setitem__",) if isinstance(node.ctx, ast.Store) else ("__delitem__",))


def entered(walk: Walk, node: ast.AST, value: Value, is_async: bool) -> None:
    """`with value:`."""
    asked(walk, node, value, ("__aenter__",) if is_async else ("__enter__",), "context")


def decorated(walk: Walk, node: ast.expr, value: Value) -> None:
    """`@value` over a function, which is a call with that function."""
    call = ast.copy_location(ast.Call(node, [node], []), node)
    for mask, one in options(value):
        if isinstance(one, Ref) and is_torch(one.path):
            bare(walk, node, one, mask)
            entry = walk.uses.history.find(one.path)
            if entry is not None and entry.kind != "method":
                walk.uses.call(call, one.path, mask, True, direct=not one.bound)
    asked(walk, node, value, ("__call__",))


def called(walk: Walk, node: ast.Call, function: Ref, mask: int, arguments: Sequence[Value]) -> None:
    """`torch.no_grad(f)`; `torch.inference_mode(True)` is another thing, `torch.no_grad(True)` is none."""
    entry = walk.uses.history.find(function.path)
    if entry is None or entry.home not in BARE or not node.args or isinstance(node.args[0], ast.Starred):
        return
    takes_only_functions = BARE[entry.home][0] == "orig_func"
    if takes_only_functions or any(is_function(one) for _, one in options(arguments[0] if arguments else None)):
        bare(walk, node.args[0], function, mask)


def is_function(value: Value) -> bool:
    """Whether a value is surely something that can be called, and no flag."""
    return isinstance(value, (Function, Bound, LocalClass, Partial)) or (
        isinstance(value, Ref) and is_torch(value.path)
    )


def bare(walk: Walk, node: ast.AST, function: Ref, mask: int) -> None:
    """A use of a context manager that takes a function."""
    entry = walk.uses.history.find(function.path)
    if entry is None or entry.home not in BARE:
        return
    parameter, minor = BARE[entry.home]
    missing = walk.state.reach & mask & entry.present & ~at_least(minor)
    if missing:
        walk.uses.absent(node, entry, parameter, missing, "type", direct=not function.bound)


def matched(walk: Walk, pattern: Any) -> None:
    """A pattern of a `case`: the names in it, and classes that are taken apart by place."""
    if hasattr(pattern, "cls"):
        value = walk.evaluate(pattern.cls)
        if pattern.patterns and isinstance(value, Ref):
            lacking(walk, pattern.cls, value.path, ("__match_args__",), ALL, "type")
    for name in ("value", "key"):
        if isinstance(getattr(pattern, name, None), ast.AST):
            walk.evaluate(getattr(pattern, name))
    for key in getattr(pattern, "keys", []):
        walk.evaluate(key)
    bound = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
    if isinstance(bound, str):
        walk.state.scope.bind(bound, None)
    inner = [
        *getattr(pattern, "patterns", []),
        *getattr(pattern, "kwd_patterns", []),
        getattr(pattern, "pattern", None),
    ]
    for one in inner:
        if one is not None:
            matched(walk, one)
