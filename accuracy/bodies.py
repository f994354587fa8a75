"""The names of torch in the bodies of functions, looked up in the imported module: which are not there?

Whether a line would be reached is not asked: what a condition or a `try` guards is listed as well. That a name is
listed and not reported by the checker is to be explained by its guard.
"""

import ast
import builtins
import importlib
import sys
import types

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
BLOCKS = (*FUNCTIONS, ast.ClassDef)


def bound_by(function):
    """The names that a function binds, its parameters with them; not those of functions within it."""
    arguments = function.args
    every = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
    names = {each.arg for each in [*every, arguments.vararg, arguments.kwarg] if each is not None}
    pending = list(function.body) if isinstance(function.body, list) else [function.body]
    while pending:
        node = pending.pop()
        names |= binds(node)
        if not isinstance(node, BLOCKS):
            pending += ast.iter_child_nodes(node)
    return names


def binds(node):
    """The names that one node binds."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        return names - {"torch"}  # the same module, whoever imports it
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        return {node.name}
    return set()


class Bodies:
    """Looks up what the functions of one module use."""

    def __init__(self, module, is_torch, named):
        self.module, self.is_torch, self.named = module, is_torch, named
        self.found = []

    def read(self, nodes, bound, inside):
        """Nodes and everything below; *bound* are the names of the functions around them."""
        for child in nodes:
            if isinstance(child, FUNCTIONS):
                self.function(child, bound, inside)
            elif inside and isinstance(child, ast.Attribute):
                self.chain(child, bound, inside)
            else:
                if inside and isinstance(child, (ast.Import, ast.ImportFrom)):
                    self.imports(child)
                skipped = child.annotation if inside and isinstance(child, ast.AnnAssign) else None  # never run
                self.read([each for each in ast.iter_child_nodes(child) if each is not skipped], bound, inside)

    def function(self, function, bound, inside):
        """A function: its defaults and decorators run outside of it."""
        body = function.body if isinstance(function.body, list) else [function.body]
        self.read([each for each in ast.iter_child_nodes(function) if each not in body], bound, inside)
        self.read(body, bound | bound_by(function), True)

    def chain(self, node, bound, inside):
        """`torch.linalg.norm`: the first part that is not there."""
        parts, base = [node], node.value
        while isinstance(base, ast.Attribute):
            parts.append(base)
            base = base.value
        if not isinstance(base, ast.Name):
            self.read([base], bound, inside)
            return
        if not isinstance(node.ctx, ast.Load):
            self.read([node.value], bound, inside)
            return
        known = sys.modules if base.id == "torch" else vars(self.module)
        value = known.get(base.id, vars(builtins).get(base.id))
        if base.id in bound or value is None:
            return
        for part in reversed(parts):
            known = isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType))
            if not known or not self.is_torch(self.named(value)):
                return
            if value.__name__ == "torch.ops":
                return
            owner, value = value, getattr(value, part.attr, self)
            if value is self:
                self.note(part, self.named(owner) + "." + part.attr)
                return

    def imports(self, node):
        """An import in a function."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if self.is_torch(alias.name) and load(alias.name) is None:
                    self.note(node, alias.name)
        elif not node.level and self.is_torch(node.module or ""):
            module = load(node.module)
            if module is None:
                self.note(node, node.module)
                return
            for alias in node.names:
                name = node.module + "." + alias.name
                if alias.name != "*" and not hasattr(module, alias.name) and load(name) is None:
                    self.note(node, name)

    def note(self, node, name):
        """A name that is not there."""
        self.found.append({"line": node.lineno, "name": name})


def load(name):
    """A module of torch, or None."""
    try:
        return importlib.import_module(name)
    except Exception:  # some modules of torch fail on a Python that came after them
        return None


def missing(module, tree, is_torch, named):
    """[{line, name}] of the names of torch that the functions of a module use and this torch does not have."""
    bodies = Bodies(module, is_torch, named)
    bodies.read([tree], frozenset(), False)
    return bodies.found
