"""Comprehensions: their names, and what they are where they run over the parts of a version, or over names."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Sequence

from . import binding, implicit, memberships, versions
from .scope import Scope
from .values import Value, truth

if TYPE_CHECKING:
    from .walk import Walk


def comprehension(walk: Walk, node: Any, elements: Sequence[ast.AST]) -> Value:
    """A comprehension; its value where it runs over the parts of a version."""
    state = walk.state
    inner = Scope(state.scope)
    inner.cls = state.scope.cls
    value: Value = None
    with state.at(scope=state.scope, reach=state.reach):
        for generator in node.generators:
            value = walk.evaluate(generator.iter)
            implicit.asked(walk, generator.iter, value, ("__aiter__",) if generator.is_async else implicit.ITERATED)
            state.scope = inner
            binding.bind(walk, generator.target, None)
            for condition in generator.ifs:
                state.reach &= truth(walk.condition(condition)).true
        for element in elements:
            walk.evaluate(element)
        if len(node.generators) > 1 or len(elements) > 1:
            return None
        if isinstance(value, memberships.SEVERAL):
            return memberships.comprehended(walk, node, value)
        known = versions.elements(value)
        return each(walk, node, known) if known else None


def each(walk: Walk, node: Any, known: Sequence[Value]) -> Value:
    """The tuple that a comprehension over known values gives."""
    generator, found = node.generators[0], []
    if not isinstance(generator.target, ast.Name):
        return None
    for one in known:
        walk.state.scope.names[generator.target.id] = one
        conditions = [truth(walk.evaluate(condition)) for condition in generator.ifs]
        if all(condition.false == 0 for condition in conditions):
            found.append(walk.evaluate(node.elt))
        elif not any(condition.true == 0 for condition in conditions):
            return None
    return versions.combined(found)
