"""Conditions that depend on the torch that is installed: `hasattr`, version tests, what other libraries offer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable

from . import classes, memberships, versions
from ._minors import ALL
from .history import is_torch
from .values import (
    UNKNOWN,
    Bound,
    Choice,
    ClassOf,
    Const,
    Function,
    Instance,
    LocalClass,
    LocalInstance,
    Mapping,
    Names,
    Ref,
    Super,
    Truth,
    Value,
    choice,
    not_,
    options,
    truth,
)

if TYPE_CHECKING:
    from .history import History
    from .scope import Scope
    from .walk import Walk


def has_attribute(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`hasattr(owner, name)`."""
    return memberships.has_name(walk, *arguments) if len(arguments) == 2 else UNKNOWN


def names_of(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`dir(torch)`, `vars(torch.nn)`."""
    return Names(arguments[0]) if len(arguments) == 1 and isinstance(arguments[0], (Ref, Instance)) else None


def get_attribute(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`getattr(owner, name[, default])`: without a default a use as any other."""
    if len(arguments) < 2 or not isinstance(arguments[1], Const):
        return None
    mask = memberships.present(walk, arguments[0], arguments[1])
    owner = arguments[0].cls if isinstance(arguments[0], ClassOf) else arguments[0]
    if mask is None or not isinstance(owner, (Ref, Instance, LocalClass, LocalInstance, Super)):
        return None
    name = arguments[1].value
    base = owner.path if isinstance(owner, (Ref, Instance)) else classes.inherited(walk, owner, name)
    path = f"{base}.{name}"
    value: Value = Ref(path, not isinstance(owner, (Ref, LocalClass)))
    entry = walk.uses.history.find(path)
    if not isinstance(owner, (Ref, Instance)) and entry is not None and entry.kind in ("property", "data"):
        value = None
    if len(arguments) == 2:
        walk.uses.name(node, path, ALL)
        return value
    return choice([(mask, value), (ALL & ~mask, arguments[2])])


def is_instance(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`isinstance(version, str)`."""
    kind = BUILTIN_TYPES.get(getattr(node.args[-1], "id", "")) if len(arguments) == 2 else None
    value = versions.apply(lambda value: isinstance(value, kind), arguments[0]) if kind else None
    if value is not None or len(arguments) != 2:
        return value
    true = existing(walk, arguments[1])
    if excludes_none(node.args[1]):
        true &= is_none(arguments[0]).false
    return Truth(true, ALL) if true != ALL else None


def existing(walk: Walk, value: Value) -> int:
    """The minors on which there may be an instance of a class: it is not one of torch's, or torch has it there."""
    found = 0
    for mask, one in options(value):
        entry = walk.uses.history.find(one.path) if isinstance(one, Ref) and not one.bound else None
        is_class = entry is not None and entry.kind == "class"
        found |= mask & (entry.present if entry is not None and is_class else ALL)
    return found


def excludes_none(node: ast.AST) -> bool:
    """Whether None is no instance of a class, or of several: both are written as names."""
    if isinstance(node, ast.Tuple):
        return all(excludes_none(one) for one in node.elts)
    last = getattr(node, "attr", getattr(node, "id", ""))
    return bool(last) and last not in ("object", "NoneType")


def super_(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`super()`, or `super(Class, self)`."""
    if arguments:
        return Super(arguments[0]) if isinstance(arguments[0], LocalClass) else None
    scope: Scope | None = walk.state.scope
    while scope is not None and scope.cls is None:
        scope = scope.outer
    return Super(scope.cls) if scope is not None and scope.cls is not None else None


def map_(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`map(int, parts)`."""
    if len(node.args) != 2 or not isinstance(node.args[0], ast.Name):
        return None
    function = versions.BUILTINS.get(node.args[0].id)
    return versions.apply(lambda many: tuple(map(function, many)), arguments[1]) if function else None


def is_callable(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`callable(getattr(torch, name, None))`."""
    true = 0
    for mask, value in options(arguments[0]) if len(arguments) == 1 else ():
        if not isinstance(value, (Ref, Function, Bound, Const)):
            return UNKNOWN
        true |= 0 if isinstance(value, Const) else mask
    return memberships.exactly(true) if len(arguments) == 1 else UNKNOWN


def type_(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`type(self)`."""
    return class_of(arguments[0]) if len(arguments) == 1 else None


def class_of(value: Value) -> Value:
    """The class of an instance, or one that comes from it."""
    if isinstance(value, LocalInstance):
        return ClassOf(value.cls)
    return ClassOf(Ref(value.path)) if isinstance(value, Instance) else None


# Functions of Python's own that give the names that they are given.
SAME = ("set", "frozenset", "list", "tuple", "sorted", "dict")
BUILTIN_TYPES = {"str": str, "int": int, "float": float, "tuple": tuple, "list": list}
SPECIAL: dict[str, Callable[[Any, ast.Call, list[Value]], Value]] = {
    "hasattr": has_attribute,
    "getattr": get_attribute,
    "isinstance": is_instance,
    "super": super_,
    "map": map_,
    "callable": is_callable,
    "type": type_,
    "dir": names_of,
    "vars": names_of,
}


def builtin(walk: Walk, node: ast.Call, name: str, arguments: list[Value]) -> Value:
    """A call of a name that the code does not bind."""
    special = SPECIAL.get(name)
    if special is not None:
        return special(walk, node, arguments)
    if name in SAME and len(arguments) == 1 and isinstance(arguments[0], memberships.SEVERAL):
        return arguments[0]
    function = versions.BUILTINS.get(name)
    return versions.apply(function, *arguments) if function and arguments else None


def compare(walk: Walk, operator: ast.AST, left: Value, right: Value) -> Truth:
    """A comparison of two values."""
    if isinstance(operator, (ast.Is, ast.IsNot)):
        same = is_none(left) if right == Const(None) else UNKNOWN
        return same if isinstance(operator, ast.Is) else not_(same)
    if isinstance(left, Choice):
        parts = [(mask, compare(walk, operator, one, right)) for mask, one in left.options]
        return truth(Choice(tuple(parts)))
    if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(right, (*memberships.SEVERAL, Mapping)):
        inside = memberships.contains(walk, right, left)
        return inside if isinstance(operator, ast.In) else not_(inside)
    value = versions.operation(operator, left, right)
    return value if isinstance(value, Truth) else UNKNOWN


def is_none(value: Value) -> Truth:
    """When a value is None."""
    true = false = 0
    for mask, single in options(value):
        if single == Const(None):
            true |= mask
        elif isinstance(single, (Ref, Const, Function, Bound, LocalClass, *memberships.SEVERAL)):
            false |= mask
        else:
            true, false = true | mask, false | mask
    return Truth(true, false)


def known_function(walk: Walk, node: ast.Call, path: str, arguments: list[Value]) -> Value:
    """A call of a function that is neither torch's nor the project's."""
    last = path.rpartition(".")[2]
    if path.startswith("torchcompat."):
        return ours(last, arguments, walk.uses.history)
    special = LIBRARY.get(last)
    if special is not None:
        value = special(walk, node, arguments)
        if value is not None:
            return value
    function = versions.function(path)
    return versions.apply(function, *arguments) if function and arguments else None


def is_torch_name(value: Value) -> bool:
    """Whether a literal is torch's name, or that of a module of it."""
    return isinstance(value, Const) and isinstance(value.value, str) and is_torch(value.value)


def installed_version(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`importlib.metadata.version("torch")`."""
    return versions.VERSION if arguments[:1] == [Const("torch")] else None


def find_spec(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`importlib.util.find_spec("torch.distributed.tensor")`: a module, or None."""
    if not arguments or not is_torch_name(arguments[0]) or not isinstance(arguments[0], Const):
        return None
    return ref_or_none(walk.uses.history, arguments[0].value)


def ref_or_none(history: History, path: str) -> Value:
    """The object *path* of torch where that is there, None elsewhere; not known of a name that torch never had."""
    entry = history.find(path)
    return None if entry is None else choice([(entry.present, Ref(path)), (ALL & ~entry.present, Const(None))])


def import_module(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`importlib.import_module("torch.x")`, `pytest.importorskip("torch")`."""
    if not arguments or not is_torch_name(arguments[0]) or not isinstance(arguments[0], Const):
        return None
    walk.uses.name(node, arguments[0].value, ALL, "import")
    return Ref(arguments[0].value)


def compare_to_version(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`compare_version("torch", operator.ge, "2.0")`, `is_torch_version(">=", "2.0")`, and the like."""
    if len(arguments) == 3 and arguments[0] == Const("torch"):
        arguments = arguments[1:]
    if len(arguments) != 2:
        return None
    how, than = arguments
    if isinstance(how, Const):
        sign = SIGNS.get(how.value)
        return versions.operation(sign(), PARSED, versions.apply(versions.parse, than)) if sign else None
    function = versions.function(how.path) if isinstance(how, Ref) else None
    return versions.apply(function, PARSED, versions.apply(versions.parse, than)) if function else None


def compare_to_version_of(sign: str, minor: str) -> Truth:
    """`>= 1.12` as a condition; of a minor, its patch releases do not count."""
    wanted = tuple(int(part) for part in minor.split("."))
    known = versions.operation(SIGNS[sign](), versions.apply(lambda release: release[:2], RELEASE), Const(wanted))
    return known if isinstance(known, Truth) else UNKNOWN


def at_least(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`is_torch_greater_or_equal("2.4")` of transformers."""
    if not arguments or not isinstance(arguments[0], Const):
        return None
    return versions.operation(ast.GtE(), PARSED, versions.apply(versions.parse, arguments[0]))


def at_most(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`is_torch_less_or_equal("2.4")` of transformers."""
    if not arguments or not isinstance(arguments[0], Const):
        return None
    return versions.operation(ast.LtE(), PARSED, versions.apply(versions.parse, arguments[0]))


def less(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`is_torch_less_than("2.4")`."""
    value = at_least(walk, node, arguments)
    return not_(value) if isinstance(value, Truth) else None


def requirement(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`RequirementCache("torch>=2.0")` of lightning-utilities."""
    text = arguments[0].value if arguments and isinstance(arguments[0], Const) else None
    if not isinstance(text, str) or not text.startswith("torch"):
        return None
    for sign in SIGNS:
        name, found, than = text.partition(sign)
        if found and name.strip() == "torch" and "," not in than:
            return versions.operation(SIGNS[sign](), PARSED, versions.apply(versions.parse, Const(than.strip())))
    return None


def numbers(arguments: list[Value]) -> tuple[int, ...] | None:
    """The integers of `at_least(2, 4)`."""
    values = [argument.value for argument in arguments if isinstance(argument, Const)]
    return tuple(values) if len(values) == len(arguments) and all(isinstance(one, int) for one in values) else None


def ours(name: str, arguments: list[Value], history: History) -> Value:
    """What torchcompat itself offers to ask what the installed torch is."""
    wanted = numbers(arguments)
    if name in RELEASE_TESTS and wanted:
        return versions.apply(lambda release: RELEASE_TESTS[name](release, wanted), RELEASE)
    if name in ("has", "find") and len(arguments) == 1 and is_torch_name(arguments[0]):
        return ref_or_none(history, arguments[0].value) if isinstance(arguments[0], Const) else None
    return None


RELEASE = versions.KNOWN["torchcompat.torch_version"]
RELEASE_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": lambda release, wanted: release >= (*wanted, 0, 0)[:3],
    "at_most": lambda release, wanted: release[: len(wanted)] <= wanted,
    "is_version": lambda release, wanted: release[: len(wanted)] == wanted,
}

PARSED = versions.apply(versions.parse, versions.VERSION)
SIGNS: dict[Any, Any] = {">=": ast.GtE, "<=": ast.LtE, "==": ast.Eq, "!=": ast.NotEq, ">": ast.Gt, "<": ast.Lt}
# The helpers of libraries that compare torch's version, which are known by name in their own source, too.
HELPERS: dict[str, Callable[[Any, ast.Call, list[Value]], Value]] = {
    "compare_version": compare_to_version,
    "compare_versions": compare_to_version,
    "is_torch_version": compare_to_version,
    "is_torch_greater_or_equal": at_least,
    "is_torch_greater_or_equal_than": at_least,
    "torch_version_at_least": at_least,
    "is_torch_less_than": less,
    "is_torch_less_or_equal": at_most,
}
# What other libraries offer, by the last part of the name: it is imported from many places.
LIBRARY: dict[str, Callable[[Any, ast.Call, list[Value]], Value]] = {
    "version": installed_version,
    "signature": memberships.signature,
    "getfullargspec": memberships.signature,
    "fields": memberships.fields,
    "get_type_hints": memberships.hints,
    "find_spec": find_spec,
    "import_module": import_module,
    "importorskip": import_module,
    **HELPERS,
    "RequirementCache": requirement,
}
