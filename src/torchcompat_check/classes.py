"""Classes of the project: their attributes, what `super()` finds, and which arguments they hand on to torch."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from . import bodies
from ._minors import ALL
from .nodes import walk_tree
from .scope import Scope
from .values import (
    TRANSPARENT,
    Bound,
    Function,
    Initialiser,
    LocalClass,
    LocalInstance,
    Ref,
    Super,
    Value,
    decorator_names,
)

if TYPE_CHECKING:
    from .walk import Walk

HAND_ON_DEPTH = 4


def member(walk: Walk, node: ast.AST, value: Any, name: str, mask: int) -> Value:
    """An attribute of a class of the project: its own, else that of the class of torch it comes from."""
    if name == "__init__":
        return initialiser(value.cls if isinstance(value, Super) else value, isinstance(value, Super))
    if isinstance(value, Super):
        return of_super(walk, node, value.cls, name, mask)
    cls = value if isinstance(value, LocalClass) else value.cls
    found, own = cls.find(name)
    if found:
        return attribute(walk, value, own)
    base = inherited(walk, value, name)
    return of_torch(walk, node, base, name, mask, not isinstance(value, LocalClass))[1] if base else None


def attribute(walk: Walk, value: Any, own: Value) -> Value:
    """What a class binds, as an attribute of it or of an instance: a property is called at once."""
    if not isinstance(own, Function) or not own.scope.is_class or isinstance(own.node, ast.Lambda):
        return own
    names = decorator_names(own.node)
    if "staticmethod" in names:
        return own
    if "classmethod" in names:
        return Bound(own, value.cls if isinstance(value, LocalInstance) else value)
    if not isinstance(value, LocalInstance):
        return own
    if any(name in PROPERTIES for name in names):
        return bodies.inline(walk, own, [value], {})
    return Bound(own, value) if all(name in TRANSPARENT for name in names) else None


PROPERTIES = ("property", "cached_property")


def of_super(walk: Walk, node: ast.AST, cls: LocalClass, name: str, mask: int) -> Value:
    """`super().name`: what the first of the classes behind *cls* has that has it."""
    for one in cls.order()[1:]:
        if isinstance(one, LocalClass):
            found, own = one.own(name)
            if found:
                return own
        elif isinstance(one, Ref):
            known, there = of_torch(walk, node, one.path, name, mask, True)
            if known:
                return there
        else:
            return None
    return None


def inherited(walk: Walk, value: Any, name: str) -> str:
    """The class of torch that *value*, a class of the project or an instance of one, may have *name* from, or ""."""
    cls = value if isinstance(value, LocalClass) else value.cls
    own = cls.order()[1:] if isinstance(value, Super) else cls.order()
    if any(isinstance(one, LocalClass) and one.own(name)[0] for one in own):
        return ""
    paths = (base for base in cls.torch_bases() or () if walk.uses.history.find(f"{base}.{name}") is not None)
    return next(paths, "")


def of_torch(walk: Walk, node: ast.AST, base: str, name: str, mask: int, bound: bool) -> tuple[bool, Value]:
    """(whether any torch has an attribute *name* of its class *base*, its value), which is a use of it."""
    path = f"{base}.{name}"
    entry = walk.uses.history.find(path)
    if entry is None:
        return False, None
    before = walk.uses.history.find(base)
    walk.uses.name(node, path, mask & (before.present if before else ALL))
    return True, Ref(path, bound) if entry.kind not in ("property", "data") else None


def initialiser(value: Any, behind: bool) -> Value:
    """`__init__` of a class of the project, or with *behind* of what comes after it: its own, or one of torch."""
    cls = value.cls if isinstance(value, LocalInstance) else value
    for one in cls.order()[1 if behind else 0 :]:
        if isinstance(one, LocalClass):
            found, own = one.own("__init__")
            if found:
                return own
        else:
            return Initialiser(one.path, not isinstance(value, LocalClass) or behind) if isinstance(one, Ref) else None
    return None


def initialiser_of(walk: Walk, node: ast.AST, path: str, known: int) -> Value:
    """`nn.LayerNorm.__init__`, of a class of torch."""
    walk.uses.name(node, path, known)
    entry = walk.uses.history.find(path)
    return Initialiser(path, False) if entry is not None and entry.kind == "class" else None


def called(walk: Walk, node: ast.Call, cls: LocalClass, mask: int) -> Value:
    """A call of a class of the project: its own `__init__`, or that of the class of torch it comes from."""
    if not cls.find("__new__")[0]:
        made = initialiser(cls, False)
        if isinstance(made, Initialiser):
            walk.uses.call(node, made.path, mask, True)
        elif isinstance(made, Function):
            handed_on(walk, node, made, mask)
    walk.state.refuse(cls.instances() | ~mask)
    return LocalInstance(cls)


def handed_on(walk: Walk, node: ast.Call, function: Function, mask: int, depth: int = 0) -> None:
    """The keywords that a function takes as `**kwargs` and hands on whole are those of what it calls with them."""
    arguments = getattr(function.node, "args", None)
    if arguments is None or arguments.kwarg is None or depth > HAND_ON_DEPTH:
        return
    names = {one.arg for one in [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]}
    others = [keyword for keyword in node.keywords if keyword.arg is not None and keyword.arg not in names]
    inner = receiver(function, arguments.kwarg.arg) if others else None
    if inner is None:
        return
    target = value_in(walk, function, inner.func)
    handed = ast.copy_location(ast.Call(inner.func, [], others), node)
    if isinstance(target, (Initialiser, Ref)):
        walk.uses.call(handed, target.path, mask, False)
    elif isinstance(target, LocalClass):
        target = initialiser(target, False)
    if isinstance(target, Function) and target is not function:
        handed_on(walk, handed, target, mask, depth + 1)


def receiver(function: Function, name: str) -> ast.Call | None:
    """The one call, always made, to which a function hands its `**name`; None if it does anything else with it."""
    if name not in function.receivers:
        function.receivers[name] = _receiver(function.node, name)
    return function.receivers[name]


def _receiver(node: Any, name: str) -> ast.Call | None:
    if isinstance(node, ast.Lambda) or sum(one.id == name for one in walk_tree(node) if isinstance(one, ast.Name)) != 1:
        return None
    for statement in node.body:
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call):
            for keyword in call.keywords:
                if keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == name:
                    return call
    return None


def value_in(walk: Walk, function: Function, node: ast.AST) -> Value:
    """The value of an expression in the body of a function, as far as the names around the function tell it."""
    scope = Scope(function.scope.outer if function.scope.is_class else function.scope)
    scope.cls = function.scope.cls
    return walk.quietly(node, scope)
