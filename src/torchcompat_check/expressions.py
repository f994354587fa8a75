"""What an expression is, and the uses of torch in it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable

from . import (
    binding,
    calls,
    classes,
    comprehensions,
    conditions,
    dictionaries,
    entries,
    implicit,
    memberships,
    versions,
)
from ._minors import ALL
from .history import is_torch
from .values import (
    HARMLESS,
    UNKNOWN,
    Bound,
    Choice,
    ClassOf,
    Const,
    Function,
    Imported,
    Instance,
    LocalClass,
    LocalInstance,
    Mapping,
    Module,
    Ref,
    Rest,
    Super,
    Truth,
    Value,
    certain,
    choice,
    not_,
    options,
    truth,
)

if TYPE_CHECKING:
    from .walk import Walk

TENSOR = "torch.Tensor"
HANDLERS: dict[type[ast.AST], Callable[[Walk, Any], Value]] = {}


def handles(*types: type[ast.AST]) -> Callable[[Callable[[Walk, Any], Value]], Callable[[Walk, Any], Value]]:
    """Register what reads nodes of these types."""

    def register(function: Callable[[Walk, Any], Value]) -> Callable[[Walk, Any], Value]:
        for one in types:
            HANDLERS[one] = function
        return function

    return register


def evaluate(walk: Walk, node: ast.AST | None) -> Value:
    """The value of an expression; the uses in it are noted on the way."""
    if node is None:
        return None
    handler = HANDLERS.get(type(node))
    if handler is not None:
        return handler(walk, node)
    for child in ast.iter_child_nodes(node):
        evaluate(walk, child)
    return None


@handles(ast.Name)
def name(walk: Walk, node: ast.Name) -> Value:
    found, value = walk.state.scope.find(node.id)
    if isinstance(value, Imported):
        value = dictionaries.unsure(walk.project.member(Module(value.file), value.name))
        walk.state.scope.settle(node.id, value)
    if isinstance(value, Function) and value.is_private:
        walk.bodies.reached(value, node is walk.callee)
    if isinstance(value, LocalClass) and value.is_private:
        walk.bodies.reached_class(value)
    if found:
        return dictionaries.unsure(value) if isinstance(value, (Mapping, Choice)) else value
    for star in walk.state.scope.module().stars:
        path = f"{star}.{node.id}"
        if walk.uses.history.find(path) is not None:
            walk.uses.name(node, path, ALL, direct=True)
            return Ref(path)
    return None


@handles(ast.Attribute)
def attribute(walk: Walk, node: ast.Attribute) -> Value:
    """A chain of attributes is looked up as a whole: `torch.nn.attention.bias` is one use, not three."""
    names = [node.attr]
    base = node.value
    while isinstance(base, ast.Attribute):
        names.append(base.attr)
        base = base.value
    names.reverse()
    scope = walk.state.scope
    if scope.instance and isinstance(base, ast.Name) and f"{base.id}.{names[0]}" in scope.names:
        start, names = scope.names[f"{base.id}.{names[0]}"], names[1:]
        if not names:
            return dictionaries.unsure(start)
    else:
        start = evaluate(walk, base)
    if start is None or isinstance(start, (Function, Bound)):
        return None
    return dictionaries.unsure(choice([(mask, follow(walk, node, one, names, mask)) for mask, one in options(start)]))


def follow(walk: Walk, node: ast.AST, value: Value, names: list[str], mask: int) -> Value:
    """The value of a chain of attributes of *value*, which is what it is on the minors *mask*."""
    for index, one in enumerate(names):
        if isinstance(value, Ref) and f"{value.path}.{one}" in versions.KNOWN:
            value = versions.KNOWN[f"{value.path}.{one}"]
            continue
        if one == "__class__" and isinstance(value, (Instance, LocalInstance)):
            value = conditions.class_of(value)
            continue
        if isinstance(value, ClassOf):
            value = value.cls
        if isinstance(value, (Ref, Instance)):
            return follow_path(walk, node, value, names[index:], mask)
        if isinstance(value, Choice):
            return choice(
                [(inner, follow(walk, node, each, names[index:], mask & inner)) for inner, each in value.options]
            )
        value = member(walk, node, value, one, mask)
    return value


def follow_path(walk: Walk, node: ast.AST, start: Any, names: list[str], mask: int) -> Value:
    """The attributes *names* of an object of torch, or of another importable one."""
    path = ".".join([start.path, *names])
    if not is_torch(path):
        return Ref(path)
    before = walk.uses.history.find(start.path)
    known = mask & (before.present if before is not None else ALL)
    telling = next((at for at, one in enumerate(names) if one in memberships.TELLING), None)
    if telling is not None:
        owner = ".".join([start.path, *names[:telling]])
        walk.uses.name(node, owner, known)
        return memberships.of_attribute(walk, owner, names[telling])
    if names[-1] == "__init__":
        return classes.initialiser_of(walk, node, path.rpartition(".")[0], known)
    walk.uses.name(node, path, known, direct=isinstance(start, Ref) and not start.bound)
    entry = walk.uses.history.find(path)
    if entry is None:
        return None
    if entry.kind in ("property", "data"):
        return Instance(entry.returns) if entry.returns else None
    return Ref(path, isinstance(start, Instance))


def member(walk: Walk, node: ast.AST, value: Value, name: str, mask: int) -> Value:
    """The attribute *name* of something that is not torch's own."""
    if isinstance(value, Module):
        return walk.project.member(value, name)
    if isinstance(value, (LocalClass, LocalInstance, Super)):
        return classes.member(walk, node, value, name, mask)
    return versions.member(value, name)


@handles(ast.Call)
def call(walk: Walk, node: ast.Call) -> Value:
    return calls.call(walk, node)


@handles(ast.BinOp)
def operation(walk: Walk, node: ast.BinOp) -> Value:
    left, right = evaluate(walk, node.left), evaluate(walk, node.right)
    implicit.binary(walk, node, node.op, left, right)
    return operated(node.op, left, right)


def operated(operator: ast.AST, left: Value, right: Value) -> Value:
    """What `left + right` gives: a tensor only of tensors and numbers, as other classes have rules of their own."""
    if left == right and isinstance(left, memberships.SEVERAL):
        return left  # the names of two kinds of parameters
    tensor = Instance(TENSOR)
    if tensor in (left, right):
        both = all(one == tensor or isinstance(one, (Const, Truth)) for one in (left, right))
        return tensor if both else None
    return versions.operation(operator, left, right)


@handles(ast.Starred)
def starred(walk: Walk, node: ast.Starred) -> Value:
    evaluate(walk, node.value)
    return Rest()


@handles(ast.Await)
def awaited(walk: Walk, node: ast.Await) -> Value:
    implicit.asked(walk, node, evaluate(walk, node.value), ("__await__",))
    return None


@handles(ast.UnaryOp)
def unary(walk: Walk, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        return not_(truth(walk.condition(node.operand)))
    value = evaluate(walk, node.operand)
    implicit.asked(walk, node, value, (implicit.UNARY[type(node.op)],))
    if isinstance(node.op, ast.USub) and isinstance(value, Const) and isinstance(value.value, (int, float)):
        return Const(-value.value)
    return value if value == Instance(TENSOR) else None


@handles(ast.BoolOp)
def boolean(walk: Walk, node: ast.BoolOp) -> Value:
    """`a and b`: b is only read where a is true; so much of version tests is written that way."""
    is_and = isinstance(node.op, ast.And)
    true, false = (ALL, 0) if is_and else (0, ALL)
    values = []
    with walk.state.at(reach=walk.state.reach) as state:
        for part in node.values:
            value = walk.condition(part)
            values.append(value)
            one = truth(value)
            if is_and:
                true, false = true & one.true, false | one.false
                state.reach &= one.true
            else:
                true, false = true | one.true, false & one.false
                state.reach &= one.false
    if not is_and and not isinstance(values[0], Truth):
        return first_true(values)
    return Truth(true, false)


def first_true(values: list[Value]) -> Value:
    """`a or b` as a value: a where it is true, else b."""
    first = truth(values[0])
    return choice([(first.true, values[0]), (first.false, values[-1] if len(values) == 2 else None)])


@handles(ast.Compare)
def compare(walk: Walk, node: ast.Compare) -> Value:
    left = evaluate(walk, node.left)
    true, false = ALL, 0
    for operator, part in zip(node.ops, node.comparators):
        right = evaluate(walk, part)
        implicit.compare(walk, node, operator, left, right)
        one = conditions.compare(walk, operator, left, right)
        if one == UNKNOWN and isinstance(operator, (ast.In, ast.NotIn)):
            one = inside(walk, operator, left, part)
        true, false = true & one.true, false | one.false
        left = right
    return Truth(true, false)


def inside(walk: Walk, operator: ast.AST, left: Value, container: ast.AST) -> Truth:
    """`"x" in container`, of a container that the file fills."""
    mask = entries.contained(walk, container, left)
    if mask is None:
        return UNKNOWN
    return Truth(mask, ALL) if isinstance(operator, ast.In) else Truth(ALL, mask)


@handles(ast.IfExp)
def conditional(walk: Walk, node: ast.IfExp) -> Value:
    condition = truth(walk.condition(node.test))
    before = walk.state.reach
    with walk.state.at(reach=before & condition.true):
        first = evaluate(walk, node.body)
    with walk.state.at(reach=before & condition.false):
        second = evaluate(walk, node.orelse)
    return choice([(condition.true, first), (condition.false, second)])


@handles(ast.Subscript)
def subscript(walk: Walk, node: ast.Subscript) -> Value:
    index, value = binding.subscripted(walk, node)
    if value == Instance(TENSOR):
        return value
    if isinstance(value, Ref) and is_class(walk, value):
        return value
    return versions.subscript(value, binding.place_of(node), index)


def is_class(walk: Walk, value: Ref) -> bool:
    """Whether a value is a class that may be written `Dataset[int]`."""
    entry = walk.uses.history.find(value.path) if is_torch(value.path) else None
    return value.path in HARMLESS or (entry is not None and entry.kind == "class")


@handles(ast.Tuple, ast.List)
def sequence(walk: Walk, node: Any) -> Value:
    if isinstance(node, ast.List) and not node.elts:
        return None  # it is there to be filled
    values = [evaluate(walk, element) for element in node.elts]
    if all(isinstance(value, Const) for value in values):
        return Const(tuple(value.value for value in values if isinstance(value, Const)))
    return versions.combined(values)


@handles(ast.Dict)
def mapping(walk: Walk, node: ast.Dict) -> Value:
    keys = [None if key is None else evaluate(walk, key) or UNKNOWN for key in node.keys]
    values = [evaluate(walk, value) for value in node.values]
    for at, key in enumerate(node.keys):
        if key is None:
            values[at] = dictionaries.known(walk, node.values[at], values[at])
    return dictionaries.literal(list(zip(keys, values)))


@handles(ast.GeneratorExp, ast.ListComp, ast.SetComp)
def comprehension(walk: Walk, node: Any) -> Value:
    return comprehensions.comprehension(walk, node, [node.elt])


@handles(ast.DictComp)
def dict_comprehension(walk: Walk, node: ast.DictComp) -> Value:
    comprehensions.comprehension(walk, node, [node.key, node.value])
    return None


@handles(ast.Lambda)
def anonymous(walk: Walk, node: ast.Lambda) -> Value:
    walk.bodies.add(node)
    return Function(node, walk.state.scope)


@handles(ast.JoinedStr)
def formatted(walk: Walk, node: ast.JoinedStr) -> Value:
    """`f"{major}.{minor}"`."""
    parts = [evaluate(walk, part) for part in node.values]
    return versions.apply(lambda *texts: "".join(map(str, texts)), *parts)


@handles(ast.FormattedValue)
def formatted_part(walk: Walk, node: ast.FormattedValue) -> Value:
    """What stands in braces."""
    value = evaluate(walk, node.value)
    if node.format_spec is not None:
        evaluate(walk, node.format_spec)
        return None
    return value if node.conversion == -1 else None


def named(walk: Walk, node: Any) -> Value:
    """`(name := value)`, from Python 3.8 on."""
    value = evaluate(walk, node.value)
    walk.state.scope.bind(node.target.id, value)
    return value


def constant(walk: Walk, node: Any) -> Value:
    """A literal; Python 3.7 has a class for each kind of it."""
    if hasattr(node, "value"):
        return certain(node.value) if isinstance(node.value, bool) else Const(node.value)
    return Const(getattr(node, "n", getattr(node, "s", None)))


for _type in ("Constant", "Num", "Str", "Bytes", "NameConstant", "NamedExpr"):
    if hasattr(ast, _type) and (_type in ("Constant", "NamedExpr") or not hasattr(ast, "NamedExpr")):
        HANDLERS[getattr(ast, _type)] = named if _type == "NamedExpr" else constant
