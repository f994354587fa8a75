"""What the decorators and the text of a function say before its body is read."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from . import conditions
from ._minors import ALL, MINORS
from .values import TRANSPARENT, Choice, Const, Function, Imported, PerMinor, Truth, decorator_names, not_, truth

if TYPE_CHECKING:
    from .uses import Uses
    from .walk import Walk

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
BOUND = re.compile(r"(>=|<=|==|<|>)\s*(\d+\.\d+)")
COMMENT = re.compile(r"#\s*torchcompat:\s*needs torch\s+((?:(?:>=|<=|==|<|>)\s*\d+\.\d+\s*,?\s*)+)")


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
    return not any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in ast.walk(node))


def reach(walk: Walk, node: Any) -> int:
    """The minors on which a function or class is run at all: a test that is skipped elsewhere is a guarded use."""
    mask = walk.uses.reach
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or not decorator.args:
            continue
        name = getattr(decorator.func, "attr", getattr(decorator.func, "id", "")).lower()
        if name == "implement_for":
            mask &= implemented(walk, decorator)
        if name not in ("skipif", "skipunless"):
            continue
        walk.uses.quiet += 1
        condition = truth(walk.evaluate(decorator.args[0]))
        walk.uses.quiet -= 1
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


def said(uses: Uses, statement: Any) -> int:
    """The minors that a comment on the first line of a statement names, all if there is none.

    It is for what the code does not show: `def f():  # torchcompat: needs torch >= 1.12, < 2.9`.
    """
    body = getattr(statement, "body", None)
    last = body[0].lineno if isinstance(body, list) and body else statement.lineno + 1
    mask = ALL
    for number in range(statement.lineno, max(last, statement.lineno + 1)):
        match = COMMENT.search(uses.line(number))
        for sign, minor in BOUND.findall(match.group(1)) if match else ():
            mask &= conditions.compare_to_version_of(sign, minor).true
    return mask


def may_test_version(function: Function) -> bool:
    """Whether it is worth while to read the body of a function at its call."""
    if function.may_test_version is None:
        function.may_test_version = False  # for a function that calls itself
        function.may_test_version = _may_test_version(function)
    return function.may_test_version


def is_short(function: Function) -> bool:
    """Whether a function is no longer than those are that test for a version."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function.node)) <= LONGEST


def _may_test_version(function: Function) -> bool:
    nodes = list(ast.walk(function.node))
    if not is_short(function):
        return False
    return any(_tells(function, node) for node in nodes)


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
