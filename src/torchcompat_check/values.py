"""What the analysis knows of a value: which object of torch it is, or what it is on each minor. `None`: not known."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple, Sequence, Union

from ._minors import ALL, MINORS
from .history import is_torch
from .nodes import walk_tree
from .scope import Scope


class Ref(NamedTuple):
    """An importable object by its dotted name: `torch.nn.Linear`, `packaging.version.parse`; a method may be bound."""

    path: str
    bound: bool = False


class Instance(NamedTuple):
    """An instance of a class of torch."""

    path: str


class Const(NamedTuple):
    """A literal: number, string, None, or a tuple or list of such."""

    value: Any


class Truth(NamedTuple):
    """A condition: the minors on which it may be true, and those on which it may be false."""

    true: int
    false: int


class PerMinor(NamedTuple):
    """A plain value that is known for each minor: the version as a string, as numbers, its parts."""

    values: tuple[Any, ...]


class Parameters(NamedTuple):
    """The names that `inspect.signature(FUNCTION).parameters` holds."""

    path: str


class Names(NamedTuple):
    """The names that an object of torch has: `dir(torch)`, `vars(torch)`, `torch.__dict__`."""

    owner: Any


class Fields(NamedTuple):
    """The fields of a data class or a named tuple of torch: `dataclasses.fields(CLASS)`, `CLASS.__annotations__`."""

    path: str


class Element(NamedTuple):
    """Any one of several names: what a comprehension over a function's parameters binds."""

    of: Any


class ClassOf(NamedTuple):
    """`type(self)`: the class of an instance, or one that comes from it, which may be made in another way."""

    cls: Any


class Rest(NamedTuple):
    """What `*arguments` hands over in a call: none, one or several."""


class Method(NamedTuple):
    """A method of a plain value."""

    receiver: Any
    name: str


class Mapping(NamedTuple):
    """A dictionary with at least these keys: `{">=": operator.ge}`. *sure*: nobody else can have taken one away."""

    items: tuple[tuple[Any, Value], ...]
    sure: bool = False


class Partial(NamedTuple):
    """`functools.partial(function, ...)`: what it is made of, *call*, and the values in that."""

    function: Any
    call: ast.Call
    arguments: tuple[Value, ...]
    keywords: tuple[tuple[Any, Value], ...]


class Module(NamedTuple):
    """A module of the project that is read, not of torch."""

    file: str


class Imported(NamedTuple):
    """What a module of the project calls *name*; that module is read when somebody asks."""

    file: str
    name: str


class Choice(NamedTuple):
    """One of several values, each on its minors: a name that is bound in both branches of a condition."""

    options: tuple[tuple[int, Value], ...]


def decorator_names(node: Any) -> list[str]:
    """The last parts of the names of a function's decorators."""
    found = []
    for decorator in getattr(node, "decorator_list", []):
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        found.append(getattr(target, "attr", getattr(target, "id", "")))
    return found


class Function:
    """A function or a lambda of the project. A private one runs on the minors on which something *reached* it."""

    def __init__(self, node: ast.AST, scope: Scope) -> None:
        self.node = node
        self.scope = scope
        self.is_private = scope.outer is None and getattr(node, "name", "").startswith("_")
        self.reached: dict[frozenset[str], int] = {}  # by what is caught around its calls
        self.may_test_version: bool | None = None
        self.receivers: dict[str, ast.Call | None] = {}


# Decorators that leave a function or a method what it is.
TRANSPARENT = (
    *("staticmethod", "classmethod", "abstractmethod", "override", "final", "overload", "lru_cache", "cache"),
    *("no_grad", "enable_grad", "inference_mode", "wraps", "unused", "ignore", "export", "disable"),
)
# Bases that bring none of the names that are asked for.
HARMLESS = ("abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Generic", "typing_extensions.Protocol")
# Methods that bind an attribute whose name is their first argument, or their second: `setattr(self, "x", 1)`.
BINDING = ("setattr", "__setattr__", "add_module", "register_module", "register_buffer", "register_parameter")


# Methods that run before there is an instance, or instead.
CONSTRUCTORS = ("__init__", "__new__", "__post_init__")


class LocalClass:
    """A class of the project: its bases and what its body and its methods bind."""

    def __init__(self, node: ast.ClassDef, bases: Sequence[Value], is_private: bool = False) -> None:
        self.is_private = is_private  # its methods run on the minors on which the module mentions it
        self.reached = 0
        self.made = ALL  # where its own `__init__` ends, and does not raise
        self.bases = [base for base in bases if not (isinstance(base, Ref) and base.path in HARMLESS)]
        self.names: dict[str, Value] = {}
        self.constructed: set[str] = set()  # what a constructor has bound in `self`
        self.name = node.name
        self.node = node
        self._stored: set[str] | None = None
        self._order: list[Value] = []

    def _binds(self, name: str) -> bool:
        """Whether a method binds *name* in `self`, or in whatever else: then its value is not known."""
        if self._stored is None:
            self._stored = set()
            for node in walk_tree(self.node):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    self._stored.add(node.attr)
                elif isinstance(node, ast.Call):
                    self._stored.update(bound_by(node))
        return name in self._stored

    def own(self, name: str) -> tuple[bool, Value]:
        """(whether this class itself binds *name*, its value)."""
        if name in self.names:
            return True, self.names[name]
        return self._binds(name), None

    def order(self) -> list[Value]:
        """This class and those that it comes from, about in the order in which Python asks them; None is unknown."""
        if not self._order:
            found: list[Value] = [self]
            for base in self.bases:
                if isinstance(base, LocalClass):
                    found += base.order()
                else:
                    found.append(base if isinstance(base, Ref) and is_torch(base.path) else None)
            # A class that two others come from is asked after both.
            self._order = [one for at, one in enumerate(found) if one is None or one not in found[at + 1 :]]
        return self._order

    def find(self, name: str) -> tuple[bool, Value]:
        """(whether a class of the project binds *name*, its value)."""
        for one in self.order():
            if isinstance(one, LocalClass):
                found, value = one.own(name)
                if found:
                    return True, value
        return False, None

    def instances(self) -> int:
        """The minors on which there are instances of it: on others the `__init__` that it has raises an error."""
        for one in self.order():
            if isinstance(one, LocalClass) and any(name in one.names for name in CONSTRUCTORS):
                return one.made
        return ALL

    def bind(self, name: str, value: Value) -> None:
        """Bind *name* in the class or in `self`; bound twice to different things it is not known."""
        before = self.names.get(name, value)
        self.names[name] = value if before is value or before == value else None

    def torch_bases(self) -> list[str] | None:
        """The classes of torch it comes from; None where a base is not known, which may bind anything."""
        paths: list[str] = []
        for one in self.order():
            if isinstance(one, Ref):
                paths.append(one.path)
            elif not isinstance(one, LocalClass):
                return None
        return paths


def bound_by(node: ast.Call) -> list[str]:
    """The names that a call such as `self.register_buffer("x", ...)` binds."""
    if getattr(node.func, "attr", getattr(node.func, "id", "")) not in BINDING:
        return []
    texts = (getattr(argument, "value", getattr(argument, "s", None)) for argument in node.args[:2])
    return [text for text in texts if isinstance(text, str)]


class LocalInstance(NamedTuple):
    """An instance of a class of the project: `self`."""

    cls: LocalClass


class Super(NamedTuple):
    """`super()` in a method of a class of the project."""

    cls: LocalClass


class Bound(NamedTuple):
    """A method of the project with its first argument."""

    function: Function
    receiver: Any


class Initialiser(NamedTuple):
    """`__init__` of a class of torch: `super().__init__`, which is bound, or `nn.Module.__init__`, which is not."""

    path: str
    bound: bool


Value = Union[
    None,
    Ref,
    Instance,
    Const,
    Truth,
    PerMinor,
    Parameters,
    Names,
    Fields,
    Element,
    ClassOf,
    Mapping,
    Partial,
    Rest,
    Method,
    Module,
    Imported,
    Choice,
    Function,
    LocalClass,
    LocalInstance,
    Super,
    Initialiser,
    Bound,
]

UNKNOWN = Truth(ALL, ALL)


def options(value: Value) -> tuple[tuple[int, Value], ...]:
    """The values that *value* may be, each with its minors."""
    return value.options if isinstance(value, Choice) else ((ALL, value),)


def choice(pairs: Sequence[tuple[int, Value]]) -> Value:
    """A value out of several; not known where they are many."""
    flat: list[tuple[int, Value]] = []
    for mask, value in pairs:
        for inner, single in options(value):
            if mask & inner:
                add_option(flat, mask & inner, single)
    if len(flat) == 1 and flat[0][0] == ALL:
        return flat[0][1]
    return Choice(tuple(flat)) if 0 < len(flat) <= 4 else None


def add_option(flat: list[tuple[int, Value]], mask: int, value: Value) -> None:
    """Add an option, joined with an equal one if there is."""
    for index, (other_mask, other) in enumerate(flat):
        if other is value or (isinstance(value, tuple) and type(other) is type(value) and other == value):
            flat[index] = (other_mask | mask, other)
            return
    flat.append((mask, value))


def certain(value: bool) -> Truth:
    """A condition that is the same on every minor."""
    return Truth(ALL, 0) if value else Truth(0, ALL)


def not_(truth: Truth) -> Truth:
    """The opposite."""
    return Truth(truth.false, truth.true)


def per_minor_truth(values: Sequence[Any]) -> Truth:
    """A condition out of a plain value for each minor."""
    mask = 0
    for index, value in enumerate(values):
        if value:
            mask |= 1 << index
    return Truth(mask, ALL & ~mask)


def truth(value: Value) -> Truth:
    """When a value counts as true."""
    if value is None:
        return UNKNOWN
    if isinstance(value, Truth):
        return value
    if isinstance(value, Const):
        return certain(bool(value.value))
    if isinstance(value, PerMinor):
        return per_minor_truth(value.values)
    if isinstance(value, Choice):
        return choice_truth(value)
    if isinstance(value, Ref):
        return certain(True) if is_torch(value.path) else UNKNOWN
    return certain(True) if isinstance(value, (Module, Function, Bound, LocalClass, Parameters, Partial)) else UNKNOWN


def choice_truth(value: Choice) -> Truth:
    """When one of several values counts as true."""
    true = false = covered = 0
    for mask, single in value.options:
        inner = truth(single)
        true |= mask & inner.true
        false |= mask & inner.false
        covered |= mask
    rest = ALL & ~covered
    return Truth(true | rest, false | rest)


def plain(value: Value) -> tuple[Any, ...] | None:
    """The plain value of each minor, where that is known."""
    if isinstance(value, PerMinor):
        return value.values
    if isinstance(value, Const):
        return (value.value,) * len(MINORS)
    if isinstance(value, Truth) and value.true & value.false == 0 and value.true | value.false == ALL:
        return tuple(bool(value.true >> index & 1) for index in range(len(MINORS)))
    return None


def of_plain(values: Sequence[Any]) -> Value:
    """A value out of plain ones."""
    if all(isinstance(value, bool) for value in values):
        return per_minor_truth(values)
    return PerMinor(tuple(values))
