"""Reads one file: statement by statement, on the minors on which each of them runs."""

from __future__ import annotations

import ast
from typing import Callable, Sequence

from . import binding, comments, dictionaries, entries, expressions, modules, statements
from .bodies import Bodies
from .callers import Callers
from .finding import Finding
from .history import History, is_torch
from .project import Project
from .scope import Scope
from .state import State, join
from .uses import Uses
from .values import Instance, LocalClass, LocalInstance, Ref, Truth, Value

# Where one of these is mentioned, `torch.stack(x)` may give an object of another class that takes part in torch's
# functions by its own rules, and no tensor.
OTHERS = ("__torch_function__", "tensordict", "TensorDict", "linear_operator", "LinearOperator")


def check_source(source: str, path: str, project: Project | None = None) -> list[Finding]:
    """The uses of torch in a file that some torch from 1.2 to 2.15 does not have, in the order of the file.

    Raises SyntaxError where this Python cannot read the file.
    """
    project = project or Project(Walk)
    walk = project.walk(path, source)
    walk.bodies.read()
    # Another file that imports this one may have had it read already, under the path that it found.
    findings = [finding._replace(path=path) for finding in walk.uses.findings.values()]
    findings = modules.settled(source, walk.uses.named, findings, walk.uses.history)
    return sorted(findings, key=lambda one: (one.line, one.column, one.name, one.parameter))


class Walk:
    """The reading of one file."""

    def __init__(self, path: str, source: str, history: History, project: Project) -> None:
        self.path = path
        self.project = project
        self.state = State()
        self.uses = Uses(path, source, history, self.state)
        self.bodies = Bodies(self)
        self.lazy_annotations = False
        self.rebound: set[str] = set()  # names that a function may bind anew at any time
        self.callers = Callers()
        self.entries = entries.Entries(ast.Tuple([], ast.Load()))
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
        self.entries = entries.Entries(tree)
        self.state.scope.node = tree
        if "global " in self.uses.source or "nonlocal " in self.uses.source:
            self.rebound = binding.rebound(tree)
        self.block(tree.body)

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order."""
        for statement in body:
            if self.uses.has_comments:
                self._commented(statement)
            else:
                self._statement(statement)

    def _commented(self, statement: ast.stmt) -> None:
        """A statement that may have a comment on what it needs: on other minors it does not run."""
        reach = self.state.reach
        mask = comments.said(self.uses, statement)
        self.state.reach &= mask
        self._statement(statement)
        self.state.reach |= reach & ~mask

    def _statement(self, statement: ast.stmt) -> None:
        if not isinstance(statement, (ast.Assign, ast.Return, ast.If)):  # their own handlers call note_sure
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

    def quietly(self, node: ast.AST, scope: Scope) -> Value:
        """The value of an expression in another scope, without the uses in it."""
        with self.state.at(scope=scope, quiet=True, frames=[]):
            return self.evaluate(node)

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
        reach, names = self.state.reach, self.state.scope.names
        self.state.reach, self.state.scope.names = reach & condition.true, dict(names)
        first()
        ended, after = self.state.reach, self.state.scope.names
        self.state.reach, self.state.scope.names = reach & condition.false, dict(names)
        second()
        self.state.scope.names = join(after, ended, self.state.scope.names, self.state.reach)
        self.state.reach |= ended

    def condition(self, node: ast.AST) -> Value:
        """The value of an expression that is only asked whether it is true, which no method of torch's is asked."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            return self.evaluate(node)
        if not isinstance(self.state.scope.find(node.value.id)[1], LocalInstance):
            return self.evaluate(node)
        value = self.quietly(node, self.state.scope)
        return None if isinstance(value, Ref) and value.bound else self.evaluate(node)

    def handling(self, node: ast.AST) -> dictionaries.Handling:
        """What the code of a function or module does with its names."""
        if node not in self._handling:
            self._handling[node] = dictionaries.Handling(node)
        return self._handling[node]
