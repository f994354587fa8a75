"""What a name in a file means, by its scopes; apart from `fix` because it cannot be imported without LibCST."""

from __future__ import annotations

from typing import Any, Iterable

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    BuiltinAssignment,
    ExpressionContext,
    ExpressionContextProvider,
    GlobalScope,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    ScopeProvider,
)

OURS = "torchcompat"
# An alias of an alias of an alias is as far as anybody goes.
DEEPEST = 3


class Names:
    """Answers for one module. What is bound more than once, or by anything but an import, means nothing certain."""

    def __init__(self, wrapper: MetadataWrapper) -> None:
        # At once, so that LibCST goes through the tree fewer times.
        found: Any = wrapper.resolve_many([ScopeProvider, ParentNodeProvider, ExpressionContextProvider])
        self._scopes = found[ScopeProvider]
        self._parents = found[ParentNodeProvider]
        self._contexts = found[ExpressionContextProvider]

    def path(self, node: cst.CSTNode, depth: int = 0) -> str:
        """The dotted path of what a chain of names spells, through the imports of the file; "" where not certain."""
        text = get_full_name_for_node(node) if isinstance(node, (cst.Name, cst.Attribute)) else None
        if not text or not _is_chain(node):
            return ""
        root, dot, rest = text.partition(".")
        found = {self._bound(one, root, depth) for one in self._certain(node, root)}
        path = found.pop() if len(found) == 1 else ""
        return path and path + dot + rest

    def imports(self, node: cst.CSTNode) -> list[ImportAssignment]:
        """The imports by which a chain of names has its path."""
        found: list[ImportAssignment] = []
        for one in self._certain(node, (get_full_name_for_node(node) or "").partition(".")[0]):
            value = self._value(one)
            if isinstance(one, ImportAssignment):
                found.append(one)
            elif value is not None:
                found += self.imports(value)
        return found

    def is_starred(self, node: cst.Name) -> bool:
        """Whether nothing but a star import, or Python itself, brings a name."""
        return all(isinstance(one, BuiltinAssignment) for one in self._assignments(node, node.value))

    def is_ours(self, node: cst.CSTNode) -> bool:
        """Whether `torchcompat`, at this place, is the module, imported for all or beside torch's; or is unbound."""
        beside = [one.scope for one in self.imports(node)]
        return all(
            isinstance(one, ImportAssignment)
            and _imported(one, OURS) == OURS
            and (isinstance(one.scope, GlobalScope) or one.scope in beside)
            for one in self._assignments(node, OURS)
        )

    def is_read(self, node: cst.CSTNode) -> bool:
        """Whether an expression is read: not bound, deleted or changed in an attribute or item."""
        at: Any = node
        while self._contexts.get(at, ExpressionContext.LOAD) == ExpressionContext.LOAD:
            parent = self._parents.get(at)
            if not isinstance(parent, (cst.Attribute, cst.Subscript)) or parent.value is not at:
                return not (isinstance(parent, cst.AugAssign) and parent.target is at)
            at = parent
        return False

    def _assignments(self, node: cst.CSTNode, name: str) -> Iterable[BaseAssignment]:
        at: Any = node
        while at is not None and self._scopes.get(at) is None:
            at = self._parents.get(at)
        scope = self._scopes.get(at)
        return scope[name] if scope is not None else ()

    def _certain(self, node: cst.CSTNode, name: str) -> list[BaseAssignment]:
        """The assignments of a name, but for None, which stands for torch where it is not installed."""
        found = list(self._assignments(node, name))
        values = [self._value(one) for one in found]
        return [one for one, value in zip(found, values) if not (isinstance(value, cst.Name) and value.value == "None")]

    def _value(self, one: BaseAssignment) -> cst.BaseExpression | None:
        """What stands on the right of a plain assignment of the module."""
        if isinstance(one, ImportAssignment) or not isinstance(one, Assignment):
            return None
        target = self._parents.get(one.node) if isinstance(one.scope, GlobalScope) else None
        statement = self._parents.get(target) if target is not None else None
        return statement.value if isinstance(statement, cst.Assign) and isinstance(target, cst.AssignTarget) else None

    def _bound(self, one: BaseAssignment, name: str, depth: int) -> str:
        """What an assignment binds *name* to."""
        if isinstance(one, ImportAssignment):
            return _imported(one, name)
        value = self._value(one)
        return self.path(value, depth + 1) if value is not None and depth < DEEPEST else ""


def _is_chain(node: cst.CSTNode) -> bool:
    """`a.b.c`, and not `a[0].c` or `a().c`."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def _imported(one: ImportAssignment, name: str) -> str:
    """The dotted path that an import binds *name* to; "" for one from the project's own package."""
    node = one.node
    if not isinstance(node, (cst.Import, cst.ImportFrom)) or isinstance(node.names, cst.ImportStar):
        return ""
    for alias in node.names:
        if isinstance(node, cst.Import):
            if alias.evaluated_alias == name:
                return alias.evaluated_name
            if alias.asname is None and alias.evaluated_name.partition(".")[0] == name:
                return name
        elif (alias.evaluated_alias or alias.evaluated_name) == name:
            module = get_full_name_for_node(node.module) if node.module is not None and not node.relative else None
            return f"{module}.{alias.evaluated_name}" if module else ""
    return ""
