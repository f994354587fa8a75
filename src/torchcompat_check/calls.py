"""Calls: what they hand over, also by `**mapping` and by `functools.partial`, and what they give."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Sequence

from . import bodies, classes, conditions, dictionaries, entries, implicit, memberships, methods, versions
from ._minors import ALL
from .dictionaries import Handed
from .history import Entry, is_torch
from .values import (
    CONSTRUCTORS,
    Bound,
    Const,
    Function,
    Initialiser,
    Instance,
    LocalClass,
    Mapping,
    Method,
    Partial,
    Ref,
    Rest,
    Value,
    choice,
    options,
    plain,
)

if TYPE_CHECKING:
    from .walk import Walk

Keywords = Sequence[ast.keyword]
# Functions that make tensors of sizes and numbers, of whatever class their arguments are.
MAKING = (
    *("tensor", "as_tensor", "from_numpy", "scalar_tensor", "zeros", "ones", "empty", "full", "eye", "arange"),
    *("linspace", "logspace", "rand", "randn", "randint", "randperm", "normal", "tril_indices", "triu_indices"),
)
# Methods that enter the context that they are given, as `with` does; True: with `async with`.
ENTERING = {
    **dict.fromkeys(("enter_context", "enterContext", "enterClassContext", "enterModuleContext"), False),
    **dict.fromkeys(("enter_async_context", "enterAsyncContext"), True),
}


def call(walk: Walk, node: ast.Call) -> Value:
    """A call: its function, its arguments, and what it gives."""
    walk.callee = node.func
    function = walk.evaluate(node.func)
    arguments = [walk.evaluate(argument) for argument in node.args]
    if getattr(node.func, "attr", "") in entries.FILLING:
        walk.entries.note(node, walk.state.reach)
    node, keywords = handed_over(walk, node)
    if function is None:
        return entries.got(walk, node, arguments, of_unknown(walk, node, arguments, keywords))
    implicit.asked(walk, node, function, ("__call__",))
    values = [(mask, called(walk, node, one, mask, arguments, keywords)) for mask, one in options(function)]
    methods.called(walk, node, function)
    return entries.got(walk, node, arguments, choice(values))


def handed_over(walk: Walk, node: ast.Call) -> tuple[ast.Call, dict[Any, Value]]:
    """The call with the keywords that are surely handed over by `**`; and the values of all its keywords."""
    values: dict[Any, Value] = {}
    more: list[Handed] = []
    for keyword in node.keywords:
        value = walk.evaluate(keyword.value)
        if keyword.arg is not None:
            values[keyword.arg] = value
            continue
        value = dictionaries.known(walk, keyword.value, value)
        values[None] = value
        for handed, known in dictionaries.spread(keyword, value):
            more.append(handed)
            values[handed.arg] = known if handed.where == ALL else None
    if more:
        node = ast.copy_location(ast.Call(node.func, node.args, [*node.keywords, *more]), node)
    return node, values


def of_unknown(walk: Walk, node: ast.Call, arguments: list[Value], keywords: dict[Any, Value]) -> Value:
    """A call of what is not known: of a name of Python's own, or of a method that tells by its name."""
    if isinstance(node.func, ast.Name):
        if node.func.id == "dict" and not (arguments and isinstance(arguments[0], memberships.SEVERAL)):
            return dictionaries.made(node, given(walk, node, arguments), keywords)
        for one in arguments if node.func.id in implicit.BUILTINS else ():
            implicit.asked(walk, node, one, implicit.BUILTINS[node.func.id])
        return conditions.builtin(walk, node, node.func.id, arguments)
    if isinstance(node.func, ast.Attribute):
        if node.func.attr in ENTERING and node.args:
            implicit.entered(walk, node.args[0], arguments[0], ENTERING[node.func.attr])
            return arguments[0]
        dictionaries.grow(walk, node, given(walk, node, arguments), keywords)
    return None


def given(walk: Walk, node: ast.Call, arguments: list[Value]) -> list[Value]:
    """The arguments of a call that only reads them."""
    return [dictionaries.known(walk, one, value) for one, value in zip(node.args, arguments)]


def called(
    walk: Walk, node: ast.Call, function: Value, mask: int, arguments: Sequence[Value], keywords: dict[Any, Value]
) -> Value:
    """What a call of *function* gives."""
    if isinstance(function, Ref):
        if function.path in PARTIAL:
            return partial(walk, node, arguments, keywords, function.path)
        if not is_torch(function.path):
            return conditions.known_function(walk, node, function.path, list(arguments))
    if isinstance(function, Partial):
        return call_partial(walk, node, function, mask, arguments, keywords)
    handed = uses(walk, node, function, mask, arguments)
    if isinstance(function, Function):
        return inlined(walk, node, function, arguments, keywords)
    if isinstance(function, Bound):
        return bodies.inline(walk, function.function, [function.receiver, *arguments], keywords)
    if isinstance(function, Method):
        if isinstance(function.receiver, Mapping):
            return item(function.receiver, arguments[0]) if arguments else None
        return versions.call_method(function, arguments)
    if isinstance(function, memberships.SEVERAL):
        is_get = isinstance(node.func, ast.Attribute) and node.func.attr == "get" and arguments
        return memberships.got(walk, function, list(arguments)) if is_get else function
    if isinstance(function, Mapping):
        return function
    return handed


def item(mapping: Mapping, key: Value) -> Value:
    """What `mapping.get(key)` gives of a key that it is known to have."""
    return (
        dict(mapping.items).get(key.value) if isinstance(key, Const) and dictionaries.is_hashable(key.value) else None
    )


def uses(walk: Walk, node: ast.Call, function: Value, mask: int, arguments: Sequence[Value]) -> Value:
    """The uses of torch in what a call hands over; and, of a class or a function of torch, what it gives."""
    if isinstance(function, Ref) and is_torch(function.path):
        implicit.called(walk, node, function, mask, arguments)
        return call_torch(walk, node, function, mask, arguments)
    if isinstance(function, (Function, Bound)):
        own = function if isinstance(function, Function) else function.function
        classes.handed_on(walk, node, own, mask)
        if own.scope.cls is not None and getattr(own.node, "name", "") in CONSTRUCTORS:
            walk.state.refuse(own.scope.cls.instances() | ~mask)
    elif isinstance(function, LocalClass):
        return classes.called(walk, node, function, mask)
    elif isinstance(function, Initialiser):
        walk.uses.call(node, function.path, mask, True, skip=0 if function.bound else 1)
    return None


def inlined(
    walk: Walk, node: ast.Call, function: Function, arguments: Sequence[Value], keywords: dict[Any, Value]
) -> Value:
    """What a function of the project gives; of one that is known by its name, where its body does not tell."""
    value = bodies.inline(walk, function, arguments, keywords)
    helper = conditions.HELPERS.get(getattr(function.node, "name", ""))
    if helper is None or plain(value) is not None:
        return value
    known = helper(walk, node, list(arguments))
    return value if known is None else known


def call_torch(walk: Walk, node: ast.Call, function: Ref, mask: int, arguments: Sequence[Value]) -> Value:
    """A call of torch's own function, class or method."""
    path = function.path
    entry = walk.uses.history.find(path)
    if entry is None:
        return None
    walk.uses.call(node, path, mask, function.bound or entry.kind != "method", direct=not function.bound)
    if entry.kind == "class":
        return Instance(path)
    if entry.returns and not (walk.has_others and any(one in (None, Rest()) for one in arguments) and mixes(entry)):
        return Instance(entry.returns)
    return None


def mixes(entry: Entry) -> bool:
    """Whether a function of torch gives what its arguments make of it; of sizes and numbers it makes tensors."""
    return entry.kind == "function" and entry.name.rpartition(".")[2] not in MAKING


# What makes a function of a function and some of its arguments; a method's first argument is not among these.
PARTIAL = ("functools.partial", "functools.partialmethod")


def partial(walk: Walk, node: ast.Call, arguments: Sequence[Value], keywords: dict[Any, Value], path: str) -> Value:
    """`functools.partial(nn.LayerNorm, bias=False)`, which is no call of it yet, but hands over the same."""
    if not node.args or isinstance(node.args[0], ast.Starred):
        return None
    is_method = path.endswith("method")
    inner = ast.copy_location(ast.Call(node.args[0], [] if is_method else node.args[1:], node.keywords), node)
    made = []
    for mask, one in options(arguments[0]):
        if isinstance(one, Partial):
            inner_call = joined(one.call, inner)
            uses(walk, inner_call, one.function, mask, [*one.arguments, *arguments[1:]])
            values = {**dict(one.keywords), **keywords}
            single: Value = Partial(one.function, inner_call, (*one.arguments, *arguments[1:]), tuple(values.items()))
        else:
            uses(walk, inner, one, mask, arguments[1:])
            single = Partial(one, inner, tuple(arguments[1:]), tuple(keywords.items()))
        made.append((mask, single))
    return None if is_method else choice(made)


def call_partial(
    walk: Walk, node: ast.Call, made: Partial, mask: int, arguments: Sequence[Value], keywords: dict[Any, Value]
) -> Value:
    """A call of what `partial` made: its arguments, then those of the call."""
    values = {**dict(made.keywords), **keywords}
    return called(walk, joined(made.call, node), made.function, mask, [*made.arguments, *arguments], values)


def joined(first: ast.Call, second: ast.Call) -> ast.Call:
    """One call with the arguments of two; a keyword of the second takes the place of that of the first."""
    later = {keyword.arg for keyword in second.keywords if keyword.arg is not None}
    kept = [keyword for keyword in first.keywords if keyword.arg is None or keyword.arg not in later]
    return ast.copy_location(ast.Call(first.func, [*first.args, *second.args], [*kept, *second.keywords]), second)
