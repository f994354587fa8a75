"""torch's version in the code that is read: worked out for each minor, whatever is done with it.

Libraries test the version in a dozen styles: packaging, `LooseVersion`, tuples of ints, regular expressions, floats.
All of them are pure functions of `torch.__version__`; so they are applied to the version of each minor in turn.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import Any, Callable, Sequence

from packaging.version import Version

from ._minors import MINORS, PATCHES, mask_of
from .values import (
    Const,
    Element,
    Fields,
    Mapping,
    Method,
    Names,
    Parameters,
    PerMinor,
    Truth,
    Value,
    certain,
    of_plain,
    plain,
)


class TorchVersion(str):
    """A string that is ordered as a version, which `torch.__version__` is from 1.10 on.

    https://github.com/pytorch/pytorch/pull/64565
    """

    def _compare(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        return compare(Version(str(self)), parse(".".join(map(str, other)) if isinstance(other, tuple) else other))

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, operator.ge)

    def __eq__(self, other: Any) -> Any:
        return self._compare(other, operator.eq)

    __hash__ = str.__hash__


def parse(text: Any) -> Any:
    """A version out of a string, or out of what is one."""
    return text if isinstance(text, Version) else Version(str(text))


VERSION = PerMinor(
    tuple(text if index < MINORS.index("1.10") else TorchVersion(text) for index, text in enumerate(PATCHES))
)

METHODS = {
    *("split", "rsplit", "partition", "rpartition", "startswith", "endswith", "strip", "lstrip", "rstrip", "replace"),
    *("lower", "upper", "isdigit", "isnumeric", "isdecimal", "removeprefix", "removesuffix", "join", "find", "index"),
    *("group", "groups", "count"),
}
VERSION_PARTS = {"release", "major", "minor", "micro", "base_version", "public", "local", "version", "pre", "dev"}
VERSION_PARTS |= {"is_prerelease", "is_devrelease", "is_postrelease"}


KNOWN: dict[str, Value] = {
    **dict.fromkeys(("torch.__version__", "torch.version.__version__", "torch.torch_version.__version__"), VERSION),
    "torchcompat.torch_version": PerMinor(tuple(Version(text).release for text in PATCHES)),
}

# Functions by the last part of their name: the same ones are imported from many places.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("Version", "LooseVersion", "StrictVersion", "TorchVersion", "parse_version"), parse),
    "packaging.version.parse": parse,
    "version.parse": parse,
    "pkg_resources.parse_version": parse,
    "re.match": re.match,
    "re.search": re.search,
    "re.split": re.split,
    "re.findall": re.findall,
    "re.sub": re.sub,
    **{f"operator.{name}": getattr(operator, name) for name in ("ge", "gt", "le", "lt", "eq", "ne")},
}
# A longer range is none of the parts of a version.
LONGEST_RANGE = 8


def range_(*bounds: int) -> tuple[int, ...]:
    """`range(3)`."""
    if len(range(*bounds)) > LONGEST_RANGE:
        raise ValueError
    return tuple(range(*bounds))


BUILTINS: dict[str, Callable[..., Any]] = {
    "range": range_,
    "int": int,
    "float": float,
    "str": str,
    "tuple": tuple,
    "list": tuple,
    "len": len,
    "bool": bool,
    "max": max,
    "min": min,
    "sorted": sorted,
    "sum": sum,
    "any": any,
    "all": all,
}


def ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison that takes a string for a version where the other side is one, as `LooseVersion` does."""

    def compared(left: Any, right: Any) -> Any:
        if isinstance(left, Version) or isinstance(right, Version):
            return compare(parse(left), parse(right))
        return compare(left, right)

    return compared


OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Lt: ordered(operator.lt),
    ast.LtE: ordered(operator.le),
    ast.Gt: ordered(operator.gt),
    ast.GtE: ordered(operator.ge),
    ast.Eq: ordered(operator.eq),
    ast.NotEq: ordered(operator.ne),
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


def apply(function: Callable[..., Any], *arguments: Value) -> Value:
    """A pure function of plain values, for each minor; not known where one of them is not.

    Where a comparison raises, as that of a string with a tuple does, the code runs on neither branch.
    """
    if all(isinstance(argument, Const) for argument in arguments):
        return constant(function, arguments)
    columns = [plain(argument) for argument in arguments]
    if any(column is None for column in columns):
        return None
    rows: list[Any] = []
    for row in zip(*[column for column in columns if column is not None]):
        try:
            rows.append(function(*row))
        except Exception:  # what the code that is read would raise there, be it what it may
            rows.append(FAILED)
    return of_rows(rows)


FAILED = object()


def of_rows(rows: list[Any]) -> Value:
    """A value out of one for each minor, of which some could not be had."""
    known = [row for row in rows if row is not FAILED]
    if len(known) == len(rows):
        return of_plain(rows)
    if not known or not all(isinstance(row, bool) for row in known):
        return None
    true, false = (mask_of(MINORS[at] for at, row in enumerate(rows) if row is wanted) for wanted in (True, False))
    return Truth(true, false)


def constant(function: Callable[..., Any], arguments: Sequence[Value]) -> Value:
    """The same of literals alone."""
    try:
        result = function(*[argument.value for argument in arguments if isinstance(argument, Const)])
    except Exception:  # as above
        return None
    return certain(result) if isinstance(result, bool) else Const(result)


def function(path: str) -> Callable[..., Any] | None:
    """The pure function that *path* names, if it is one that version tests use."""
    parts = path.split(".")
    return FUNCTIONS.get(path) or FUNCTIONS.get(".".join(parts[-2:])) or FUNCTIONS.get(parts[-1])


def member(value: Value, name: str) -> Value:
    """An attribute of a plain value: a part of a version, or a method of a string."""
    if isinstance(value, (Parameters, Names, Fields)) or (isinstance(value, Mapping) and name == "keys"):
        return value
    if isinstance(value, Mapping) and name in ("get", "pop"):
        return Method(value, name)
    if isinstance(value, Element) and name == "name":
        return value
    if name in VERSION_PARTS:
        return apply(lambda one: getattr(one, name), value)
    if name in METHODS and isinstance(value, (PerMinor, Const)):
        return Method(value, name)
    return None


def call_method(method: Method, arguments: Sequence[Value]) -> Value:
    """A call of a method of a plain value."""
    return apply(lambda one, *rest: getattr(one, method.name)(*rest), method.receiver, *arguments)


def operation(operator_: ast.AST, left: Value, right: Value) -> Value:
    """A binary operation on plain values."""
    known = OPERATORS.get(type(operator_))
    return apply(known, left, right) if known else None


def subscript(value: Value, node: ast.AST, index: Value) -> Value:
    """One part of a plain value, or several: `[0]`, `[:2]`."""
    if isinstance(value, Mapping) and isinstance(index, Const):
        return next((one for key, one in value.items if key == index.value), None)
    if isinstance(value, (Parameters, Names, Fields)) and isinstance(node, ast.Slice):
        return value  # `f.__code__.co_varnames[:f.__code__.co_argcount]`
    if not isinstance(value, (PerMinor, Const)):
        return None
    if isinstance(node, ast.Slice):
        bounds = [literal(part) for part in (node.lower, node.upper, node.step)]
        return apply(lambda one: one[slice(*bounds)], value)
    return apply(lambda one, at: one[at], value, index)


def literal(node: ast.AST | None) -> Any:
    """The number that a bound of a slice is; a slice of what cannot be read has none."""
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None


def combined(values: Sequence[Value]) -> Value:
    """A tuple of plain values."""
    return apply(lambda *parts: parts, *values)


def elements(value: Value) -> list[Value] | None:
    """The elements of a plain sequence that has the same length on each minor."""
    if isinstance(value, Const) and isinstance(value.value, (tuple, list, str)):
        return [Const(one) for one in value.value]
    if not isinstance(value, PerMinor):
        return None
    try:
        columns = [tuple(one) for one in value.values]
    except TypeError:
        return None
    if len({len(column) for column in columns}) != 1:
        return None
    return [PerMinor(column) for column in zip(*columns)]
