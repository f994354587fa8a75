"""Whether torch's objects have a name: an attribute, a parameter, a field of a data class; however the code asks."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from . import classes
from ._minors import ALL, MINORS
from .history import is_torch
from .values import (
    UNKNOWN,
    Choice,
    ClassOf,
    Const,
    Element,
    Fields,
    Initialiser,
    Instance,
    LocalClass,
    LocalInstance,
    Names,
    Parameters,
    PerMinor,
    Ref,
    Super,
    Truth,
    Value,
    certain,
    choice,
    options,
)

if TYPE_CHECKING:
    from .walk import Walk

# Values that are several names at once.
SEVERAL = (Parameters, Names, Fields)


def present(walk: Walk, owner: Value, name: Value) -> int | None:
    """The minors on which *owner* has an attribute *name*; None where that cannot be said."""
    if not isinstance(name, Const) or not isinstance(name.value, str):
        return None
    mask = 0
    for option, single in options(owner):
        if isinstance(single, Const):
            continue
        there = named_in(walk, single, name.value)
        if there is None:
            return None
        mask |= option & there
    return mask


def named_in(walk: Walk, owner: Value, name: str) -> int | None:
    """The same of one value. A class of the project has what the class of torch has that it comes from."""
    if isinstance(owner, ClassOf):
        owner = owner.cls
    if isinstance(owner, (Ref, Instance)):
        entry = walk.uses.history.find(f"{owner.path}.{name}")
        return None if entry is None else entry.present & ~walk.uses.apart(f"{owner.path}.{name}")
    path = classes.inherited(walk, owner, name) if isinstance(owner, (LocalClass, LocalInstance, Super)) else ""
    return named_in(walk, Ref(path), name) if path else None


def exactly(mask: int) -> Truth:
    """True on these minors, false on the others."""
    return Truth(mask, ALL & ~mask)


def has_name(walk: Walk, owner: Value, name: Value) -> Truth:
    """When *owner* has an attribute *name*."""
    mask = present(walk, owner, name)
    return Truth(where_bound(owner, name), ALL) if mask is None else exactly(mask)


def where_bound(owner: Value, name: Value) -> int:
    """Where an instance of a class of the project may have an attribute that its constructor binds on some minors."""
    if not isinstance(owner, LocalInstance) or not isinstance(name, Const) or not isinstance(name.value, str):
        return ALL
    found, value = owner.cls.find(name.value)
    if not found or not isinstance(value, Choice):
        return ALL
    mask = 0
    for option, _ in value.options:
        mask |= option
    return mask


def has_parameter(walk: Walk, path: str, name: Value) -> Truth:
    """`name in inspect.signature(function).parameters`."""
    entry = walk.uses.history.find(path)
    if entry is None or entry.parameters is None or not isinstance(name, Const):
        return UNKNOWN
    parameter = entry.parameters.get(name.value)
    return Truth(parameter.present & entry.present, ALL & ~parameter.present) if parameter else UNKNOWN


def has_field(walk: Walk, path: str, name: Value) -> Truth:
    """`name in CLASS.__dataclass_fields__`: what is no attribute of the class is a parameter of its `__init__`."""
    mask = present(walk, Ref(path), name)
    parameter = has_parameter(walk, path, name)
    if mask is None:
        return parameter
    return exactly(mask | (parameter.true if parameter != UNKNOWN else 0))


def contains(walk: Walk, names: Any, one: Value) -> Truth:
    """When *one* is among the names, parameters or keys."""
    if isinstance(names, Names):
        return has_name(walk, names.owner, one)
    if isinstance(names, Parameters):
        return has_parameter(walk, names.path, one)
    if isinstance(names, Fields):
        return has_field(walk, names.path, one)
    # Of a key that is not there nothing is known: it may be added later.
    return certain(True) if isinstance(one, Const) and one.value in dict(names.items) else UNKNOWN


def got(walk: Walk, names: Value, arguments: list[Value]) -> Value:
    """`inspect.signature(function).parameters.get("x")`: something, or None."""
    there = contains(walk, names, arguments[0])
    default = arguments[1] if len(arguments) > 1 else Const(None)
    return None if there == UNKNOWN else choice([(there.true, names), (there.false, default)])


def of_attribute(walk: Walk, path: str, name: str) -> Value:
    """What `path.name` is where it tells the names of an object of torch; *path* may end in `__init__`."""
    owner = path.rpartition(".")[0] if path.endswith(".__init__") else path
    if name == "__code__":
        return Parameters(owner)
    if name in ("__dict__", "__members__"):
        return Names(Ref(path))
    if name not in FIELDS:
        return None
    entry = walk.uses.history.find(path)
    return Fields(path) if owner == path and entry is not None and entry.kind == "class" else Parameters(owner)


FIELDS = ("__dataclass_fields__", "__annotations__", "__match_args__", "__slots__", "_fields")
TELLING = ("__code__", "__dict__", "__members__", *FIELDS)


def signature(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`inspect.signature(torch's function)` and `inspect.getfullargspec`."""
    one = arguments[0] if len(arguments) == 1 else None
    if isinstance(one, Initialiser) or (isinstance(one, Ref) and is_torch(one.path)):
        return Parameters(one.path.replace(".__init__", ""))
    return None


def fields(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`dataclasses.fields(class of torch, or an instance)`."""
    one = arguments[0] if len(arguments) == 1 else None
    return Fields(one.path) if isinstance(one, (Ref, Instance)) and is_torch(one.path) else None


def hints(walk: Walk, node: ast.Call, arguments: list[Value]) -> Value:
    """`typing.get_type_hints(class or function of torch)`."""
    one = arguments[0] if arguments else None
    if isinstance(one, (Ref, Instance)) and is_torch(one.path):
        return of_attribute(walk, one.path, "__annotations__")
    return None


def comprehended(walk: Walk, node: Any, names: Value) -> Value:
    """`{f.name for f in fields(CLASS)}` is the same names; of `f.name == "x" for f in ...` one is true, or none.

    The scope is that of the comprehension.
    """
    generator = node.generators[0]
    if len(node.generators) > 1 or not isinstance(generator.target, ast.Name) or not hasattr(node, "elt"):
        return None
    walk.state.scope.names[generator.target.id] = Element(names)
    if not generator.ifs:
        return names if isinstance(walk.quietly(node.elt, walk.state.scope), Element) else equal(walk, node.elt)
    return equal(walk, generator.ifs[0]) if len(generator.ifs) == 1 else None


def equal(walk: Walk, node: ast.AST) -> Value:
    """`f.name == "x"` for any of the names: for each minor a tuple of whether one is."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return None
    sides = [walk.quietly(side, walk.state.scope) for side in (node.left, node.comparators[0])]
    for one, other in (sides, sides[::-1]):
        if isinstance(one, Element) and isinstance(other, Const):
            there = contains(walk, one.of, other)
            if there.true & there.false == 0:
                return PerMinor(tuple((True,) if there.true >> at & 1 else () for at in range(len(MINORS))))
    return None
