"""What an assignment binds: a name, several, an attribute, an item of a dictionary."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from . import dictionaries, implicit, versions
from .history import is_torch
from .nodes import walk_tree
from .values import LocalInstance, Mapping, Ref, Value, plain

if TYPE_CHECKING:
    from .walk import Walk


def bind(walk: Walk, target: ast.AST, value: Value) -> None:
    """An assignment to *target*."""
    if isinstance(target, ast.Name):
        walk.state.scope.bind(target.id, None if target.id in walk.rebound and is_constant(value) else value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = versions.elements(value) or []
        for index, element in enumerate(target.elts):
            bind(walk, element, parts[index] if len(parts) == len(target.elts) else None)
    elif isinstance(target, ast.Starred):
        bind(walk, target.value, None)
    elif isinstance(target, ast.Attribute):
        bind_attribute(walk, target, value)
    elif isinstance(target, ast.Subscript):
        bind_item(walk, target, value)
    else:
        for child in ast.iter_child_nodes(target):
            walk.evaluate(child)


def bind_item(walk: Walk, target: ast.Subscript, value: Value) -> None:
    """`kw["x"] = value`."""
    key, owner = subscripted(walk, target)
    walk.entries.note(target, walk.state.reach)
    if isinstance(target.value, ast.Name) and isinstance(owner, Mapping):
        name = target.value.id
        own = walk.state.scope.names.get(name)
        new = dictionaries.filled(own, key, value) if isinstance(own, Mapping) else None
        walk.state.scope.settle(name, new)


def bind_attribute(walk: Walk, target: ast.Attribute, value: Value) -> None:
    """`self.x = value`; `torch.x = value`, which provides a name of torch's."""
    owner = walk.evaluate(target.value)
    if isinstance(owner, LocalInstance):
        scope, value = walk.state.scope, dictionaries.unsure(value)
        if scope.instance and getattr(target.value, "id", "") == scope.instance:
            scope.names[f"{scope.instance}.{target.attr}"] = value
        else:
            owner.cls.bind(target.attr, value)
    elif isinstance(owner, Ref) and is_torch(owner.path):
        path = f"{owner.path}.{target.attr}"
        walk.uses.provided[path] = walk.uses.provided.get(path, 0) | walk.state.reach


def rebound(tree: ast.AST) -> set[str]:
    """The names that functions of a file declare `global` or `nonlocal`."""
    declared = (node for node in walk_tree(tree) if isinstance(node, (ast.Global, ast.Nonlocal)))
    return {name for node in declared for name in node.names}


def is_constant(value: Value) -> bool:
    """Whether a value is the same on every minor, as a flag is that is set by hand."""
    values = plain(value)
    return values is not None and all(one == values[0] for one in values)


def subscripted(walk: Walk, node: ast.Subscript) -> tuple[Value, Value]:
    """(the index, what it is an index of)."""
    value = walk.evaluate(node.value)
    index = walk.evaluate(place_of(node))
    implicit.subscript(walk, node, value)
    return index, value


def place_of(node: ast.Subscript) -> Any:
    """The index, which Python up to 3.8 wraps in a node of its own."""
    place: Any = node.slice
    return place.value if type(place).__name__ == "Index" else place
