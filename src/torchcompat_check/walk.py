"""Reads one file: statement by statement, on the minors on which each of them runs."""

from __future__ import annotations

import ast
from typing import Any, Callable, Sequence

from . import decorators, dictionaries, expressions, implicit, memberships, modules, statements, versions
from ._minors import ALL
from .callers import Callers, defaults
from .finding import Finding
from .history import History, is_torch
from .project import Project
from .scope import Scope, join
from .uses import Frame, Uses
from .values import (
    CONSTRUCTORS,
    Const,
    Function,
    Instance,
    LocalClass,
    LocalInstance,
    Mapping,
    PerMinor,
    Ref,
    Rest,
    Truth,
    Value,
    choice,
    plain,
    truth,
)

INLINE_DEPTH = 4
# Where one of these is mentioned, `torch.stack(x)` may give an object of another class that takes part in torch's
# functions by its own rules, and no tensor.
OTHERS = ("__torch_function__", "tensordict", "TensorDict", "linear_operator", "LinearOperator")


def check_source(source: str, path: str, project: Project | None = None) -> list[Finding]:
    """The uses of torch in a file that some torch from 1.2 to 2.15 does not have, in the order of the file.

    Raises SyntaxError where this Python cannot read the file.
    """
    project = project or Project()
    walk = project.walk(path, source)
    walk.functions()
    # Another file that imports this one may have had it read already, under the path that it found.
    findings = [finding._replace(path=path) for finding in walk.uses.findings.values()]
    findings = modules.settled(source, walk.uses.named, findings, walk.uses.history)
    return sorted(findings, key=lambda one: (one.line, one.column, one.name, one.parameter))


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


class Walk:
    """The state of reading one file. `uses.reach` is where the present statement runs; 0 after one that never ends."""

    def __init__(self, path: str, source: str, history: History, project: Project) -> None:
        self.path = path
        self.project = project
        self.uses = Uses(path, source, history)
        self.scope = Scope()
        self.deferred: list[Deferred] = []
        self._private: dict[Function, Deferred] = {}
        self._methods: dict[LocalClass, list[Deferred]] = {}  # of private classes
        self.ended = 0  # the minors on which the function that is read has returned
        self.returns: list[tuple[int, Value]] | None = None
        self.depth = 0
        self.lazy_annotations = False
        self.rebound: set[str] = set()  # names that a function may bind anew at any time
        self.callers = Callers()
        self._handling: dict[ast.AST, dictionaries.Handling] = {}
        self.callee: ast.AST | None = None  # what is called, while it is read
        self.has_others = any(word in source for word in OTHERS)

    def module(self, tree: ast.Module) -> None:
        """Read the statements of the module; the bodies of functions wait."""
        self.lazy_annotations = any(
            isinstance(one, ast.ImportFrom)
            and one.module == "__future__"
            and any(a.name == "annotations" for a in one.names)
            for one in tree.body
        )
        self.callers = Callers(tree)
        self.scope.node = tree
        if "global " in self.uses.source or "nonlocal " in self.uses.source:
            self.rebound = rebound(tree)
        self.block(tree.body)

    def functions(self) -> None:
        """Read the bodies of the functions: outer ones first, private ones where something reaches them."""
        self._drain()
        for function, deferred in list(self._private.items()):
            if not function.reached:
                self.deferred.append(deferred)
        self._private.clear()
        for cls, methods in list(self._methods.items()):
            if not cls.reached:
                self.deferred += methods
        self._methods.clear()
        self._drain()

    def _drain(self) -> None:
        while self.deferred:
            waiting, self.deferred = self.deferred, []
            # What a constructor refuses, the other methods do not meet.
            for one in sorted(waiting, key=lambda one: not one.constructs()):
                self._function(one)

    def reached(self, function: Function, is_called: bool) -> None:
        """A private function of the module is mentioned on the present minors: its body runs on these alone.

        Where it is called in a `try`, that catches what is missing in its body, too.
        """
        one = self._private.get(function)
        if one is None or self.uses.quiet:
            return
        kinds = frozenset().union(*[frame.kinds for frame in self.uses.frames]) if is_called else frozenset()
        new = self.uses.reach & ~function.reached.get(kinds, 0) & ~function.reached.get(frozenset(), 0)
        if not new:
            return
        function.reached[kinds] = function.reached.get(kinds, 0) | new
        if one.reach & new:
            self.deferred.append(Deferred(one.node, one.scope, one.reach & new, one.cls, kinds))

    def reached_class(self, cls: LocalClass) -> None:
        """A private class of the module is mentioned on the present minors: its methods run on these alone."""
        new = self.uses.reach & ~cls.reached
        if self.uses.quiet or not new or cls not in self._methods:
            return
        cls.reached |= new
        for one in self._methods[cls]:
            if one.reach & new:
                self.deferred.append(Deferred(one.node, one.scope, one.reach & new, one.cls))

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order."""
        for statement in body:
            if self.uses.has_comments:
                self._commented(statement)
            else:
                self._statement(statement)

    def _commented(self, statement: ast.stmt) -> None:
        """A statement that may have a comment on what it needs: on other minors it does not run."""
        reach = self.uses.reach
        mask = decorators.said(self.uses, statement)
        self.uses.reach &= mask
        self._statement(statement)
        self.uses.reach |= reach & ~mask

    def _statement(self, statement: ast.stmt) -> None:
        if not isinstance(statement, (ast.Assign, ast.Return, ast.If)):  # these tell by themselves
            statements.note_sure(self, None)
        handler = statements.HANDLERS.get(type(statement))
        if handler is not None:
            handler(self, statement)
            return
        for child in ast.iter_child_nodes(statement):
            self.evaluate(child)

    def evaluate(self, node: ast.AST | None) -> Value:
        """The value of an expression."""
        return expressions.evaluate(self, node)

    def defer(self, node: Any, function: Function | None = None) -> None:
        """Read the body of a function later."""
        if self.returns is not None:
            return
        is_method = self.scope.is_class and not isinstance(node, ast.Lambda)
        one = Deferred(node, self.scope, self.uses.reach, self.scope.cls if is_method else None)
        if function is not None and function.is_private:
            self._private[function] = one
        elif one.cls is not None and one.cls.is_private:
            self._methods.setdefault(one.cls, []).append(one)
        else:
            self.deferred.append(one)

    def _function(self, one: Deferred) -> None:
        scope = Scope(outer_of(one.scope))
        scope.node = one.node
        arguments = one.node.args
        every = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
        for argument in every:
            scope.names[argument.arg] = self.annotated(argument.annotation, one.scope)
        self._flags(one, scope)
        if arguments.vararg is not None:
            scope.names[arguments.vararg.arg] = None
        if arguments.kwarg is not None:
            scope.names[arguments.kwarg.arg] = Mapping((), True)
        if one.cls is not None and every and not decorators.is_static(one.node):
            scope.names[every[0].arg] = one.cls if decorators.is_class_method(one.node) else LocalInstance(one.cls)
            scope.cls = one.cls
        before = self.scope, self.uses.reach, self.uses.in_function
        self.scope, self.uses.reach, self.uses.in_function = scope, one.reach & one.instances(), True
        self.ended = 0
        frames, self.uses.frames = self.uses.frames, [Frame(one.node, set(one.kinds))] if one.kinds else []
        if isinstance(one.node, ast.Lambda):
            self.evaluate(one.node.body)
        else:
            self.block(one.node.body)
            if one.cls is not None and one.constructs():
                made = self.ended | self.uses.reach
                one.cls.made &= made | ~one.reach if made else ALL  # one that never ends is there to be overridden
        self.uses.frames = frames
        self.scope, self.uses.reach, self.uses.in_function = before

    def _flags(self, one: Deferred, scope: Scope) -> None:
        """Parameters that are flags of the version by default, `new=HAS_NEW`, where no call passes another."""
        for at, argument, default in defaults(one.node.args):
            if isinstance(default, (ast.Name, ast.Attribute)):
                value = self.quietly(default, one.scope)
                if decorators.is_flag(value) and not self.callers.pass_(one.node, one.cls, at, argument.arg):
                    scope.names[argument.arg] = value

    def quietly(self, node: ast.AST, scope: Scope) -> Value:
        """The value of an expression in another scope, without the uses in it."""
        before, self.scope = self.scope, scope
        self.uses.quiet += 1
        frames, self.uses.frames = self.uses.frames, []
        value = self.evaluate(node)
        self.uses.frames = frames
        self.uses.quiet -= 1
        self.scope = before
        return value

    def annotated(self, node: ast.AST | None, scope: Scope) -> Value:
        """What an annotation says of a value, without a use of it: a class of torch."""
        text = getattr(node, "value", getattr(node, "s", None))
        if isinstance(text, str) and not isinstance(node, ast.Attribute):
            try:
                node = ast.parse(text, mode="eval").body
            except (SyntaxError, ValueError):
                return None
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        value = self.quietly(node, scope)
        if isinstance(value, Ref) and is_torch(value.path):
            entry = self.uses.history.find(value.path)
            return Instance(entry.home) if entry is not None and entry.kind == "class" else None
        return LocalInstance(value) if isinstance(value, LocalClass) else None

    def branches(self, condition: Truth, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Two branches, each on the minors of the condition, and what is known after both."""
        reach, names = self.uses.reach, self.scope.names
        self.uses.reach, self.scope.names = reach & condition.true, dict(names)
        first()
        ended, after = self.uses.reach, self.scope.names
        self.uses.reach, self.scope.names = reach & condition.false, dict(names)
        second()
        self.scope.names = join(after, ended, self.scope.names, self.uses.reach)
        self.uses.reach |= ended

    def comprehension(self, node: Any, elements: Sequence[ast.AST]) -> Value:
        """A comprehension; its value where it runs over the parts of a version."""
        scope, reach = self.scope, self.uses.reach
        inner = Scope(scope)
        inner.cls = scope.cls
        known: list[Value] | None = None
        for generator in node.generators:
            value = self.evaluate(generator.iter)
            implicit.asked(self, generator.iter, value, ("__aiter__",) if generator.is_async else implicit.ITERATED)
            values = versions.elements(value)
            self.scope = inner
            self.bind(generator.target, None)
            known = values if len(node.generators) == 1 else None
            for condition in generator.ifs:
                self.uses.reach &= truth(self.condition(condition)).true
        for element in elements:
            self.evaluate(element)
        names = value
        value = self._each(node, known) if known and len(elements) == 1 else None
        if isinstance(names, memberships.SEVERAL):
            value = memberships.comprehended(self, node, names)
        self.scope, self.uses.reach = scope, reach
        return value

    def _each(self, node: Any, known: list[Value]) -> Value:
        """The tuple that a comprehension over known values gives."""
        generator, found = node.generators[0], []
        if not isinstance(generator.target, ast.Name):
            return None
        for one in known:
            self.scope.names[generator.target.id] = one
            conditions = [truth(self.evaluate(condition)) for condition in generator.ifs]
            if all(condition.false == 0 for condition in conditions):
                found.append(self.evaluate(node.elt))
            elif not any(condition.true == 0 for condition in conditions):
                return None
        return versions.combined(found)

    def condition(self, node: ast.AST) -> Value:
        """The value of an expression that is only asked whether it is true, which no method of torch's is asked."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            return self.evaluate(node)
        if not isinstance(self.scope.find(node.value.id)[1], LocalInstance):
            return self.evaluate(node)
        value = self.quietly(node, self.scope)
        return None if isinstance(value, Ref) and value.bound else self.evaluate(node)

    def inline(self, function: Function, arguments: Sequence[Value], keywords: dict[Any, Value]) -> Value:
        """What a function of the project gives, where that may depend on the version: `torch_ge("2.0")`."""
        node = function.node
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)) or self.depth >= INLINE_DEPTH:
            return None
        given = any(isinstance(one, PerMinor) for one in arguments) and decorators.is_short(function)
        if not given and not decorators.may_test_version(function):
            return None
        scope = Scope(outer_of(function.scope))
        scope.node = node
        bind_arguments(self, scope, function, arguments, keywords)
        before = self.scope, self.uses.reach, self.returns, self.uses.frames, self.ended
        self.scope, self.uses.reach, self.returns, self.uses.frames = scope, ALL, [], []
        self.depth += 1
        self.uses.quiet += 1
        if isinstance(node, ast.Lambda):
            self.returns.append((ALL, self.evaluate(node.body)))
        else:
            self.block(node.body)
            self.returns.append((self.uses.reach, Const(None)))
        found = choice([(mask, value) for mask, value in self.returns if mask])
        ended = 0
        for mask, _ in self.returns:
            ended |= mask
        self.uses.quiet -= 1
        self.depth -= 1
        self.scope, self.uses.reach, self.returns, self.uses.frames, self.ended = before
        if ended and decorators.runs_at_call(node):
            self.refused(ended)
        return found

    def refused(self, ended: int) -> None:
        """What was called raises an error but on the minors *ended*: there alone the code goes on."""
        if not self.uses.reach & ~ended:
            return
        self.uses.reach &= ended
        for frame in self.uses.frames:
            frame.sure = False

    def bind(self, target: ast.AST, value: Value) -> None:
        """An assignment to *target*."""
        if isinstance(target, ast.Name):
            self.scope.bind(target.id, None if target.id in self.rebound and is_constant(value) else value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = versions.elements(value) or []
            for index, element in enumerate(target.elts):
                self.bind(element, parts[index] if len(parts) == len(target.elts) else None)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, None)
        elif isinstance(target, ast.Attribute):
            self._bind_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, value)
        else:
            for child in ast.iter_child_nodes(target):
                self.evaluate(child)

    def _bind_item(self, target: ast.Subscript, value: Value) -> None:
        """`kw["x"] = value`."""
        key, owner = expressions.subscripted(self, target)
        if isinstance(target.value, ast.Name) and isinstance(owner, Mapping):
            name = target.value.id
            new = dictionaries.filled(owner, key, value) if name in self.scope.names else None
            self.scope.settle(name, new)

    def handling(self, node: ast.AST) -> dictionaries.Handling:
        """What the code of a function or module does with its names."""
        if node not in self._handling:
            self._handling[node] = dictionaries.Handling(node)
        return self._handling[node]

    def _bind_attribute(self, target: ast.Attribute, value: Value) -> None:
        """`self.x = value`; `torch.x = value`, which provides a name of torch's."""
        owner = self.evaluate(target.value)
        if isinstance(owner, LocalInstance):
            owner.cls.bind(target.attr, dictionaries.unsure(value))
        elif isinstance(owner, Ref) and is_torch(owner.path):
            path = f"{owner.path}.{target.attr}"
            self.uses.provided[path] = self.uses.provided.get(path, 0) | self.uses.reach


def rebound(tree: ast.AST) -> set[str]:
    """The names that functions of a file declare `global` or `nonlocal`."""
    declared = (node for node in ast.walk(tree) if isinstance(node, (ast.Global, ast.Nonlocal)))
    return {name for node in declared for name in node.names}


def is_constant(value: Value) -> bool:
    """Whether a value is the same on every minor, as a flag is that is set by hand."""
    values = plain(value)
    return values is not None and all(one == values[0] for one in values)


def outer_of(scope: Scope) -> Scope:
    """Where the names of a function are looked up: not in the class whose method it is."""
    return scope.outer if scope.cls is not None and scope.is_class and scope.outer is not None else scope


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
