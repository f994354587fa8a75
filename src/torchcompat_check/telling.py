"""Whether a function may test for a version, so that it is worth while to read it in the place of its call."""

from __future__ import annotations

import ast
import itertools
from typing import Any

from .nodes import walk_tree
from .values import Choice, Function, Imported, PerMinor, Truth

# A function without any of these names does not test for a version.
TELLING = {
    *("__version__", "hasattr", "getattr", "version", "Version", "LooseVersion", "TorchVersion", "parse_version"),
    *(
        "find_spec",
        "signature",
        "getfullargspec",
        "import_module",
        "compare_version",
        "is_torch_version",
        "RequirementCache",
    ),
}
LONGEST = 20


def may_test_version(function: Function) -> bool:
    """Whether it is worth while to read the body of a function at its call."""
    if function.may_test_version is None:
        function.may_test_version = False  # for a function that calls itself
        function.may_test_version = _may_test_version(function)
    return function.may_test_version


def is_short(function: Function) -> bool:
    """Whether a function is no longer than those are that test for a version."""
    statements = (node for node in walk_tree(function.node) if isinstance(node, ast.stmt))
    return next(itertools.islice(statements, LONGEST, None), None) is None


def _may_test_version(function: Function) -> bool:
    return is_short(function) and any(_tells(function, node) for node in walk_tree(function.node))


def _tells(function: Function, node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in TELLING
    if not isinstance(node, ast.Name):
        return False
    if node.id in TELLING:
        return True
    value = function.scope.find(node.id)[1]
    if isinstance(value, Imported):
        return True  # reading the function will tell
    if isinstance(value, Function) and value is not function:
        return may_test_version(value)
    return isinstance(value, (PerMinor, Choice)) or is_certain(value)


def is_flag(value: Any) -> bool:
    """Whether a value is a condition on the version, or the version."""
    return is_certain(value) or isinstance(value, PerMinor)


def is_certain(value: Any) -> bool:
    """Whether a value is a condition on the version."""
    return isinstance(value, Truth) and value.true & value.false == 0 and bool(value.true) and bool(value.false)
