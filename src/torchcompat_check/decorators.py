"""What the decorators of a function say of how it is called."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .nodes import walk_tree
from .values import TRANSPARENT, decorator_names

if TYPE_CHECKING:
    pass


def is_static(node: Any) -> bool:
    """Whether a method has no first parameter of its own."""
    return "staticmethod" in decorator_names(node)


def is_class_method(node: Any) -> bool:
    """Whether a method's first parameter is the class."""
    return "classmethod" in decorator_names(node) or getattr(node, "name", "") in ("__new__", "__init_subclass__")


def runs_at_call(node: Any) -> bool:
    """Whether the body of a function runs when it is called: not that of a generator, nor of what is decorated anew."""
    if any(name not in TRANSPARENT for name in decorator_names(node)):
        return False
    return not any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in walk_tree(node))
