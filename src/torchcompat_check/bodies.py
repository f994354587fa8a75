"""The bodies of functions: they wait until the names around them are all bound, or are read in the place of a call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Sequence

from . import decorators, telling, versions
from ._minors import ALL
from .callers import defaults
from .nodes import walk_tree
from .scope import Scope
from .uses import Frame
from .values import (
    CONSTRUCTORS,
    Const,
    Function,
    Instance,
    LocalClass,
    LocalInstance,
    Mapping,
    PerMinor,
    Rest,
    Value,
    choice,
)

if TYPE_CHECKING:
    from .state import State
    from .walk import Walk

INLINE_DEPTH = 4


class Deferred:
    """A function whose body is read when the names around it are all bound; *cls* is the class whose method it is."""

    def __init__(
        self, node: Any, scope: Scope, reach: int, cls: LocalClass | None, kinds: frozenset[str] = frozenset()
    ) -> None:
        self.node = node
        self.scope = scope
        self.reach = reach
        self.cls = cls
        self.kinds = kinds  # what a `try` around its call catches

    def constructs(self) -> bool:
        """Whether it is a method that makes an instance."""
        return self.cls is not None and self.node.name in CONSTRUCTORS

    def instances(self) -> int:
        """The minors on which there is an instance of which it can be a method."""
        if self.cls is None or self.constructs() or decorators.is_static(self.node):
            return ALL
        return ALL if decorators.is_class_method(self.node) else self.cls.instances()


class Bodies:
    """The functions of a file that wait to be read, private ones and the methods of private classes apart."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._deferred: list[Deferred] = []
        self._private: dict[Function, Deferred] = {}
        self._methods: dict[LocalClass, list[Deferred]] = {}

    def add(self, node: Any, function: Function | None = None) -> None:
        """Read the body of a function later."""
        state = self._walk.state
        if state.returns is not None:
            return
        is_method = state.scope.is_class and not isinstance(node, ast.Lambda)
        one = Deferred(node, state.scope, state.reach, state.scope.cls if is_method else None)
        if function is not None and function.is_private:
            self._private[function] = one
        elif one.cls is not None and one.cls.is_private:
            self._methods.setdefault(one.cls, []).append(one)
        else:
            self._deferred.append(one)

    def read(self) -> None:
        """Read the bodies of the functions: outer ones first, private ones where something reaches them."""
        self._drain()
        for function, deferred in list(self._private.items()):
            if not function.reached:
                self._deferred.append(deferred)
        self._private.clear()
        for cls, methods in list(self._methods.items()):
            if not cls.reached:
                self._deferred += methods
        self._methods.clear()
        self._drain()

    def _drain(self) -> None:
        while self._deferred:
            waiting, self._deferred = self._deferred, []
            # What a constructor refuses, the other methods do not meet.
            for one in sorted(waiting, key=lambda one: not one.constructs()):
                read(self._walk, one)

    def reached(self, function: Function, is_called: bool) -> None:
        """A private function of the module is mentioned on the present minors: its body runs on these alone.

        Where it is called in a `try`, that catches what is missing in its body, too.
        """
        one = self._private.get(function)
        if one is None or self._walk.state.quiet:
            return
        kinds = frozenset().union(*[frame.kinds for frame in self._walk.state.frames]) if is_called else frozenset()
        new = self._walk.state.reach & ~function.reached.get(kinds, 0) & ~function.reached.get(frozenset(), 0)
        if not new:
            return
        function.reached[kinds] = function.reached.get(kinds, 0) | new
        if one.reach & new:
            self._deferred.append(Deferred(one.node, one.scope, one.reach & new, one.cls, kinds))

    def reached_class(self, cls: LocalClass) -> None:
        """A private class of the module is mentioned on the present minors: its methods run on these alone."""
        new = self._walk.state.reach & ~cls.reached
        if self._walk.state.quiet or not new or cls not in self._methods:
            return
        cls.reached |= new
        for one in self._methods[cls]:
            if one.reach & new:
                self._deferred.append(Deferred(one.node, one.scope, one.reach & new, one.cls))


def read(walk: Walk, one: Deferred) -> None:
    """Read the body of a function, on the minors on which it can run."""
    reach = one.reach & one.instances()
    frames = [Frame(one.node, set(one.kinds))] if one.kinds else []
    with walk.state.at(scope=parameters_of(walk, one), reach=reach, in_function=True, frames=frames, ended=0) as state:
        if isinstance(one.node, ast.Lambda):
            walk.evaluate(one.node.body)
            return
        walk.block(one.node.body)
        if one.cls is not None and one.constructs():
            construct(one.cls, state)
            made = state.ended | state.reach
            one.cls.made &= made | ~one.reach if made else ALL  # one that never ends is there to be overridden


def construct(cls: LocalClass, state: State) -> None:
    """Bind what a constructor has left in `self`."""
    prefix = f"{state.scope.instance}."
    elsewhere = stored_in(cls.node, False)
    for key, value in list(state.scope.names.items()):
        if not key.startswith(prefix):
            continue
        name = key[len(prefix) :]
        if state.ended:
            value = choice([(state.reach & ~state.ended, value), (state.ended, None)])
        if name in elsewhere and not isinstance(value, (Instance, LocalInstance)):
            value = None  # other methods may bind something else
        if name in cls.constructed or isinstance(cls.names.get(name), Function):  # which may be a property
            cls.bind(name, value)
        else:
            cls.names[name] = value
            cls.constructed.add(name)


def stored_in(node: ast.ClassDef, by_constructors: bool) -> set[str]:
    """The attributes that the constructors of a class bind, of whatever object, or its other methods."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods = [one for one in node.body if isinstance(one, functions)]
    wanted = [one for one in methods if (one.name in CONSTRUCTORS) == by_constructors]
    nodes = (inner for one in wanted for inner in walk_tree(one) if isinstance(inner, ast.Attribute))
    return {inner.attr for inner in nodes if isinstance(inner.ctx, ast.Store)}


def attributes_before(walk: Walk, cls: LocalClass, scope: Scope) -> None:
    """What `self` has of what a constructor binds, before it does: from the class, or from one that it comes from."""
    for name in stored_in(cls.node, True):
        found, value = cls.find(name)
        bases = cls.torch_bases()
        if name in cls.names or any(isinstance(one, LocalClass) and one.own(name)[0] for one in cls.order()[1:]):
            scope.names[f"{scope.instance}.{name}"] = value if found and not isinstance(value, Function) else None
        elif bases is None or any(walk.uses.history.find(f"{base}.{name}") is not None for base in bases):
            scope.names[f"{scope.instance}.{name}"] = None


def parameters_of(walk: Walk, one: Deferred) -> Scope:
    """The names of a function before its first statement."""
    scope = Scope(outer_of(one.scope))
    scope.node = one.node
    arguments = one.node.args
    every = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
    for argument in every:
        scope.names[argument.arg] = walk.annotated(argument.annotation, one.scope)
    flags(walk, one, scope)
    if arguments.vararg is not None:
        scope.names[arguments.vararg.arg] = None
    if arguments.kwarg is not None:
        scope.names[arguments.kwarg.arg] = Mapping((), True)
    if one.cls is not None and every and not decorators.is_static(one.node):
        scope.names[every[0].arg] = one.cls if decorators.is_class_method(one.node) else LocalInstance(one.cls)
        scope.cls = one.cls
        if one.constructs() and one.node.name != "__new__":
            scope.instance = every[0].arg
            attributes_before(walk, one.cls, scope)
    return scope


def flags(walk: Walk, one: Deferred, scope: Scope) -> None:
    """Parameters that are flags of the version by default, `new=HAS_NEW`, where no call passes another."""
    for at, argument, default in defaults(one.node.args):
        if isinstance(default, (ast.Name, ast.Attribute)):
            value = walk.quietly(default, one.scope)
            if telling.is_flag(value) and not walk.callers.pass_(one.node, one.cls, at, argument.arg):
                scope.names[argument.arg] = value


def inline(walk: Walk, function: Function, arguments: Sequence[Value], keywords: dict[Any, Value]) -> Value:
    """What a function of the project gives, where that may depend on the version: `torch_ge("2.0")`."""
    node = function.node
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)) or walk.state.depth >= INLINE_DEPTH:
        return None
    given = any(isinstance(one, PerMinor) for one in arguments) and telling.is_short(function)
    if not given and not telling.may_test_version(function):
        return None
    scope = Scope(outer_of(function.scope))
    scope.node = node
    bind_arguments(walk, scope, function, arguments, keywords)
    returns: list[tuple[int, Value]] = []
    deeper = walk.state.depth + 1
    with walk.state.at(scope=scope, reach=ALL, returns=returns, frames=[], ended=0, depth=deeper, quiet=True) as state:
        if isinstance(node, ast.Lambda):
            returns.append((ALL, walk.evaluate(node.body)))
        else:
            walk.block(node.body)
            returns.append((state.reach, Const(None)))
    ended = 0
    for mask, _ in returns:
        ended |= mask
    if ended and decorators.runs_at_call(node):
        walk.state.refuse(ended)
    return choice([(mask, value) for mask, value in returns if mask])


def bind_arguments(
    walk: Walk, scope: Scope, function: Function, arguments: Sequence[Value], keywords: dict[Any, Value]
) -> None:
    """Bind the parameters of a function that is read in the place of its call."""
    parameters: ast.arguments = function.node.args  # type: ignore[attr-defined]
    names = [one.arg for one in [*getattr(parameters, "posonlyargs", []), *parameters.args]]
    only = [one.arg for one in parameters.kwonlyargs]
    for name, default in zip(names[len(names) - len(parameters.defaults) :], parameters.defaults):
        scope.names[name] = walk.quietly(default, function.scope)
    for name, one in zip(only, parameters.kw_defaults):
        scope.names[name] = walk.quietly(one, function.scope) if one is not None else None
    more = next((at for at, each in enumerate(arguments) if isinstance(each, Rest)), None)
    given = list(arguments) if more is None else [*arguments[:more], *[None] * max(0, len(names) - more)]
    if None in keywords:
        scope.names.update((name, None) for name in (*names[len(given) :], *only))
    scope.names.update(zip(names, given))
    if parameters.vararg is not None:
        scope.names[parameters.vararg.arg] = versions.combined(arguments[len(names) :]) if more is None else None
    if parameters.kwarg is not None:
        scope.names[parameters.kwarg.arg] = Mapping((), True)
    scope.names.update((name, value) for name, value in keywords.items() if name in names or name in only)
    for name in (*names, *only):
        scope.names.setdefault(name, None)


def outer_of(scope: Scope) -> Scope:
    """Where the names of a function are looked up: not in the class whose method it is."""
    return scope.outer if scope.cls is not None and scope.is_class and scope.outer is not None else scope
