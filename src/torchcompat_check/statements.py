"""What each kind of statement binds, and where the statements in it run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable

from . import binding, dictionaries, implicit, skips, versions
from ._minors import ALL
from .history import is_torch
from .nodes import walk_tree
from .scope import Scope
from .state import join
from .uses import Frame, Guard
from .values import (
    UNKNOWN,
    Const,
    Function,
    Imported,
    Instance,
    LocalClass,
    LocalInstance,
    Ref,
    Value,
    options,
    plain,
    truth,
)

if TYPE_CHECKING:
    from .walk import Walk

Handler = Callable[["Walk", Any], None]
HANDLERS: dict[type[ast.AST], Handler] = {}

# What a handler catches of the ways in which a name of torch can be missing: a module, a name in an import, an
# attribute, an argument; a function that is there but has been removed, which raises RuntimeError; and an object that
# is not a context manager, of which Python up to 3.10 says AttributeError, and TypeError from 3.11 on.
CAUGHT: dict[str, set[str]] = {
    "ModuleNotFoundError": {"module"},
    "ImportError": {"module", "import"},
    "AttributeError": {"attribute", "context"},
    "TypeError": {"type", "context"},
    "RuntimeError": {"runtime"},
    "Exception": {"module", "import", "attribute", "type", "runtime", "context"},
    "BaseException": {"module", "import", "attribute", "type", "runtime", "context"},
}


def handles(*types: str) -> Callable[[Handler], Handler]:
    """Register what reads statements of these types, of which this Python may not have all."""

    def register(function: Handler) -> Handler:
        for one in types:
            if hasattr(ast, one):
                HANDLERS[getattr(ast, one)] = function
        return function

    return register


@handles("Import")
def import_(walk: Walk, node: ast.Import) -> None:
    for alias in node.names:
        if is_torch(alias.name):
            walk.uses.name(place(alias, node), alias.name, ALL, "module", direct=True)
        value = walk.project.module(walk.path, alias.name, 0)
        if alias.asname:
            walk.state.scope.bind(alias.asname, value or Ref(alias.name))
        else:
            top = alias.name.partition(".")[0]
            walk.state.scope.bind(top, walk.project.module(walk.path, top, 0) or Ref(top))


@handles("ImportFrom")
def import_from(walk: Walk, node: ast.ImportFrom) -> None:
    module = node.module or ""
    local = walk.project.module(walk.path, module, node.level)
    for alias in node.names:
        name = alias.asname or alias.name
        if alias.name == "*":
            star(walk, module, local, node)
        elif local is not None:
            walk.state.scope.bind(name, Imported(local.file, alias.name))
        elif node.level:
            walk.state.scope.bind(name, None)
        else:
            if is_torch(module):
                walk.uses.imported(place(alias, node), module, alias.name)
            path = f"{module}.{alias.name}"
            walk.state.scope.bind(name, versions.KNOWN.get(path) or Ref(path))


def star(walk: Walk, module: str, local: Any, node: ast.ImportFrom) -> None:
    """`from module import *`."""
    if local is not None and not walk.state.reach:
        return  # behind TYPE_CHECKING, where a package may import all of itself
    if local is not None:
        for name, value in walk.project.names(local).items():
            if not name.startswith("_"):
                walk.state.scope.bind(name, dictionaries.unsure(value))
    elif not node.level and is_torch(module):
        walk.uses.name(node, module, ALL, "module")
        walk.state.scope.module().stars.append(module)


def place(alias: ast.alias, node: ast.stmt) -> ast.AST:
    """An imported name has a place of its own from Python 3.10 on."""
    return alias if hasattr(alias, "lineno") else node


@handles("Assign")
def assign(walk: Walk, node: ast.Assign) -> None:
    value = walk.evaluate(node.value)
    note_sure(walk, value)
    if len(node.targets) > 1:
        value = dictionaries.unsure(value)
    for target in node.targets:
        binding.bind(walk, target, value)


def note_sure(walk: Walk, value: Value) -> None:
    """A statement whose effect is not known may be the one that fails in its `try`."""
    if walk.state.frames and walk.state.reach and not is_sure(value):
        walk.state.frames[-1].sure = False


def is_sure(value: Value) -> bool:
    """Whether nothing but the minor decides what a value is: plain ones, and names of torch."""
    return all(plain(one) is not None or (isinstance(one, Ref) and is_torch(one.path)) for _, one in options(value))


@handles("AnnAssign")
def annotated_assign(walk: Walk, node: ast.AnnAssign) -> None:
    if not walk.state.in_function and not walk.lazy_annotations:
        walk.evaluate(node.annotation)
    value = walk.evaluate(node.value) if node.value is not None else None
    binding.bind(walk, node.target, value or walk.annotated(node.annotation, walk.state.scope))


@handles("AugAssign")
def augmented(walk: Walk, node: ast.AugAssign) -> None:
    walk.entries.note(node, walk.state.reach)
    right = walk.evaluate(node.value)
    if isinstance(node.target, ast.Name):
        value = walk.evaluate(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
        implicit.binary(walk, node, node.op, value, right, in_place=True)
        binding.bind(walk, node.target, value if not isinstance(value, Const) else None)
        return
    if isinstance(node.target, ast.Attribute):
        with walk.state.at(quiet=True):
            value = walk.evaluate(
                ast.copy_location(ast.Attribute(node.target.value, node.target.attr, ast.Load()), node)
            )
        implicit.binary(walk, node, node.op, value, right, in_place=True)
    binding.bind(walk, node.target, None)


@handles("If")
def if_(walk: Walk, node: ast.If) -> None:
    if is_type_checking(node.test):
        with walk.state.at(reach=0):
            walk.block(node.body)
        walk.block(node.orelse)
        return
    value = walk.condition(node.test)
    note_sure(walk, value)
    condition = truth(value)
    guard = Guard(node)
    outer = walk.state.guards
    with walk.state.at(guards=outer if condition == UNKNOWN else [*outer, guard]):
        walk.branches(condition, lambda: walk.block(node.body), lambda: walk.block(node.orelse))
    walk.uses.close(guard)


def is_type_checking(node: ast.AST) -> bool:
    """`TYPE_CHECKING` and `typing.TYPE_CHECKING`."""
    return getattr(node, "id", getattr(node, "attr", "")) == "TYPE_CHECKING"


@handles("While")
def while_(walk: Walk, node: ast.While) -> None:
    condition = truth(walk.condition(node.test))
    loop(walk, node, condition.true)


@handles("For", "AsyncFor")
def for_(walk: Walk, node: Any) -> None:
    value = walk.evaluate(node.iter)
    implicit.asked(walk, node.iter, value, implicit.ITERATED if isinstance(node, ast.For) else ("__aiter__",))
    values = versions.elements(value)
    binding.bind(walk, node.target, None)
    loop(walk, node, 0 if values == [] else ALL)


def loop(walk: Walk, node: Any, mask: int) -> None:
    """The body may run or not, so that it ends nothing; or again, with what it bound, or be left in its midst."""
    forget(walk, node)
    reach, names = walk.state.reach, dict(walk.state.scope.names)
    walk.state.reach &= mask
    walk.block(node.body)
    walk.state.scope.names = join(walk.state.scope.names, walk.state.reach, names, reach)
    walk.state.reach = reach
    walk.block(node.orelse)


def forget(walk: Walk, node: Any) -> None:
    """What a loop binds is not what it was before; a value of torch's or the project's classes stays one, mostly."""
    names = walk.state.scope.names
    stored = [one for one in walk_tree(node) if isinstance(getattr(one, "ctx", None), ast.Store)]
    bound = {one.id for one in stored if isinstance(one, ast.Name)}
    if walk.state.scope.instance:
        bound |= {f"{walk.state.scope.instance}.{one.attr}" for one in stored if isinstance(one, ast.Attribute)}
    for name in bound.intersection(names):
        if not isinstance(names[name], (Instance, LocalInstance)):
            names[name] = None


@handles("Try", "TryStar")
def try_(walk: Walk, node: Any) -> None:
    """On a torch that lacks a name of the body, the handlers run. A use that a handler catches is no finding."""
    reach, names = walk.state.reach, walk.state.scope.names
    kinds = set().union(*[caught(handler.type) for handler in node.handlers]) if node.handlers else set()
    frame = Frame(node, kinds)
    walk.state.scope.names = dict(names)
    with walk.state.at(frames=[*walk.state.frames, frame]):
        walk.block(node.body)
    walk.block(node.orelse)
    ended, after = walk.state.reach, walk.state.scope.names
    failed = frame.failed & reach or (0 if frame.sure else reach)
    for handler in node.handlers:
        walk.state.reach, walk.state.scope.names = failed if frame.sure else reach, dict(names)
        except_clause(walk, handler.type, frame)
        walk.state.reach = failed if catches(handler, frame) else reach
        if handler.name:
            walk.state.scope.bind(handler.name, None)
        walk.block(handler.body)
        after = join(after, ended, walk.state.scope.names, walk.state.reach)
        ended |= walk.state.reach
    walk.state.reach, walk.state.scope.names = ended, after
    walk.block(node.finalbody)
    walk.uses.close(frame)


def except_clause(walk: Walk, node: ast.AST | None, frame: Frame) -> None:
    """`except torch.cuda.OutOfMemoryError:` is looked up when something was raised, not at every import."""
    with walk.state.at(in_function=walk.state.in_function or not frame.sure):
        walk.evaluate(node)


def catches(handler: ast.ExceptHandler, frame: Frame) -> bool:
    """Whether this handler is one for a missing name."""
    return bool(caught(handler.type) & frame.kinds)


def caught(node: Any) -> set[str]:
    """The kinds of a missing name that an `except` clause catches."""
    if node is None:
        return CAUGHT["BaseException"]
    if isinstance(node, ast.Tuple):
        return set().union(*[caught(element) for element in node.elts]) if node.elts else set()
    return CAUGHT.get(getattr(node, "id", getattr(node, "attr", "")), set())


@handles("With", "AsyncWith")
def with_(walk: Walk, node: Any) -> None:
    reach, frames = walk.state.reach, walk.state.frames
    with walk.state.at(frames=list(frames)) as state:
        for item in node.items:
            value = walk.evaluate(item.context_expr)
            implicit.entered(walk, item.context_expr, value, isinstance(node, ast.AsyncWith))
            if item.optional_vars is not None:
                binding.bind(walk, item.optional_vars, value)
            suppressed = kinds_suppressed(item.context_expr)
            if suppressed:
                state.frames.append(Frame(node, suppressed))
        suppresses = len(state.frames) > len(frames)
        walk.block(node.body)
    if suppresses:
        walk.state.reach = reach


def kinds_suppressed(node: ast.AST) -> set[str]:
    """What `contextlib.suppress(ImportError)` and `pytest.raises` catch."""
    if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in (
        "suppress",
        "raises",
    ):
        return set()
    return set().union(*[caught(argument) for argument in node.args]) if node.args else set()


@handles("FunctionDef", "AsyncFunctionDef")
def function(walk: Walk, node: Any) -> None:
    for decorator in node.decorator_list:
        implicit.decorated(walk, decorator, walk.evaluate(decorator))
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if default is not None:
            walk.evaluate(default)
    if not walk.lazy_annotations:
        read_annotations(walk, node)
    made = Function(node, walk.state.scope)
    with walk.state.at(reach=skips.reach(walk, node)):
        walk.bodies.add(node, made)
    walk.state.scope.bind(node.name, made)


def read_annotations(walk: Walk, node: Any) -> None:
    """The annotations of a signature run with its `def`."""
    arguments = node.args
    every = [
        *getattr(arguments, "posonlyargs", []),
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    for argument in every:
        if argument is not None and argument.annotation is not None:
            walk.evaluate(argument.annotation)
    if node.returns is not None:
        walk.evaluate(node.returns)


@handles("ClassDef")
def class_(walk: Walk, node: ast.ClassDef) -> None:
    for decorator in node.decorator_list:
        implicit.decorated(walk, decorator, walk.evaluate(decorator))
    bases = [walk.evaluate(base) for base in node.bases]
    cls = LocalClass(node, bases, walk.state.scope.outer is None and node.name.startswith("_"))
    for keyword in node.keywords:
        walk.evaluate(keyword.value)
    scope = Scope(walk.state.scope)
    scope.cls, scope.is_class = cls, True
    with walk.state.at(scope=scope), walk.state.at(reach=skips.reach(walk, node)):
        walk.block(node.body)
    cls.names.update(scope.names)
    walk.state.scope.bind(node.name, cls)


@handles("Return")
def return_(walk: Walk, node: ast.Return) -> None:
    value = walk.evaluate(node.value)
    note_sure(walk, value)
    if walk.state.returns is not None:
        walk.state.returns.append((walk.state.reach, value))
    walk.state.ended |= walk.state.reach
    walk.state.reach = 0


@handles("Raise")
def raise_(walk: Walk, node: ast.Raise) -> None:
    walk.evaluate(node.exc)
    walk.evaluate(node.cause)
    walk.state.reach = 0


@handles("Continue", "Break")
def leave(walk: Walk, node: ast.stmt) -> None:
    walk.state.reach = 0


@handles("Assert")
def assert_(walk: Walk, node: ast.Assert) -> None:
    condition = truth(walk.condition(node.test))
    walk.evaluate(node.msg)
    walk.state.reach &= condition.true


@handles("Global")
def global_(walk: Walk, node: ast.Global) -> None:
    walk.state.scope.globals.extend(node.names)


@handles("Delete")
def delete(walk: Walk, node: ast.Delete) -> None:
    for target in node.targets:
        if not isinstance(target, ast.Name):
            walk.evaluate(target)


@handles("Match")
def match(walk: Walk, node: Any) -> None:
    """Any of the cases may run, or none."""
    walk.evaluate(node.subject)
    reach, names = walk.state.reach, walk.state.scope.names
    ended, after = reach, names
    for case in node.cases:
        walk.state.reach, walk.state.scope.names = reach, dict(names)
        implicit.matched(walk, case.pattern)
        walk.state.reach &= truth(walk.condition(case.guard)).true if case.guard is not None else ALL
        walk.block(case.body)
        after = join(after, ended, walk.state.scope.names, walk.state.reach)
        ended |= walk.state.reach
    walk.state.reach, walk.state.scope.names = ended, after


@handles("Expr")
def expression(walk: Walk, node: ast.Expr) -> None:
    walk.evaluate(node.value)
