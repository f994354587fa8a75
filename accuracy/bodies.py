"""What the bodies of functions use of torch, looked up in the imported module: which names are not there, which
arguments are not taken, which special methods are not had?

Whether a line would be reached is not asked: what a condition or a `try` guards is listed as well. That something is
listed and not reported by the checker is to be explained by its guard.
"""

import ast
import builtins
import importlib
import inspect
import re
import sys
import types

import lookups
from lookups import REFUSED, TAKEN, UNKNOWN

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
BLOCKS = (*FUNCTIONS, ast.ClassDef)
NOTHING = object()


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


class Place:
    """Where a node stands: the names bound around it, the class, the name of the instance, whether in a function."""

    def __init__(self, bound=frozenset(), inside=False, cls=None, me="", names=()):
        self.bound, self.inside, self.cls, self.me, self.names = bound, inside, cls, me, names

    def within(self, function):
        """The place of the body of a function."""
        bound = bound_by(function)
        first = function.args.args[0].arg if function.args.args else ""
        is_method = self.cls is not None and not self.inside
        wrapped = {getattr(each, "id", "") for each in getattr(function, "decorator_list", ())}
        me = first if is_method and not wrapped & {"staticmethod", "classmethod"} else self.me
        if not is_method and me in bound:
            me = ""
        return Place(self.bound | bound, True, self.cls, me, self.names)


class Bodies:
    """Looks up what the functions of one module use."""

    def __init__(self, module, tree, is_torch, named):
        self.module, self.is_torch, self.named = module, is_torch, named
        self.imported = imports_of(tree)
        self.found, self.there, self.arguments = [], [], []

    def read(self, nodes, place):
        """Nodes and everything below."""
        for child in nodes:
            if isinstance(child, FUNCTIONS):
                self.function(child, place)
            elif isinstance(child, ast.ClassDef):
                self.cls(child, place)
            elif place.inside and isinstance(child, ast.Attribute):
                self.chain(child, place)
            else:
                if place.inside:
                    self.inside(child, place)
                skipped = child.annotation if place.inside and isinstance(child, ast.AnnAssign) else None  # never run
                self.read([each for each in ast.iter_child_nodes(child) if each is not skipped], place)

    def inside(self, node, place):
        """A node in a function that is more than its parts."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports(node)
        elif isinstance(node, ast.Call):
            self.call(node, place)
        elif isinstance(node, ast.Subscript):
            self.special(node, node.value, place, "__class_getitem__")
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            name = "__enter__" if isinstance(node, ast.With) else "__aenter__"
            for item in node.items:
                if isinstance(item.context_expr, ast.Call):
                    self.special(item.context_expr, item.context_expr.func, place, name)

    def function(self, function, place):
        """A function: its defaults and decorators run outside of it."""
        body = function.body if isinstance(function.body, list) else [function.body]
        for each in getattr(function, "decorator_list", ()) if place.inside else ():
            value, path = self.value(each, place)
            if path and isinstance(value, type) and lookups.bare(value) != UNKNOWN:
                self.argument(each, path, "orig_func", lookups.bare(value))
        self.read([each for each in ast.iter_child_nodes(function) if each not in body], place)
        self.read(body, place.within(function))

    def cls(self, node, place):
        """A class: what the module made of it, if that can be found there."""
        names = (*place.names, node.name)
        found = None
        if not place.inside:
            found = self.module
            for name in names:
                found = vars(found).get(name) if hasattr(found, "__dict__") else None
        if not isinstance(found, type) or found.__module__ != self.module.__name__:
            found = None
        inner = Place(place.bound, place.inside, None if place.inside else found, "", names)
        self.read([each for each in ast.iter_child_nodes(node) if each not in node.body], place)
        self.read(node.body, inner)

    # Names.

    def chain(self, node, place):
        """`torch.linalg.norm`: the first part that is not there."""
        parts, base = [node], node.value
        while isinstance(base, ast.Attribute):
            parts.append(base)
            base = base.value
        if not isinstance(base, ast.Name):
            self.read([base], place)
            return
        if not isinstance(node.ctx, ast.Load):
            self.read([node.value], place)
            return
        if base.id == place.me and place.me:
            self.own(parts[-1], place.cls)
            return
        value = self.root(base, place)
        for part in reversed(parts):
            known = isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType))
            if not known or not self.is_torch(self.named(value)) or value.__name__ == "torch.ops":
                return
            owner, value = value, get(value, part.attr)
            self.note(part, self.named(owner) + "." + part.attr, value is not NOTHING)
            if value is NOTHING:
                return

    def root(self, name, place):
        """What a plain name means here, or None."""
        known = sys.modules if name.id == "torch" else vars(self.module)
        return None if name.id in place.bound else known.get(name.id, vars(builtins).get(name.id))

    def own(self, node, cls):
        """`self.name` in a class that comes from one of torch's: not there if nobody sets it."""
        base = next((each for each in cls.__mro__ if lookups.is_torch(each.__module__)), None)
        if base is None or not isinstance(node.ctx, ast.Load):
            return
        name = f"{base.__module__}.{base.__qualname__}.{node.attr}"
        owner = next((each for each in cls.__mro__ if node.attr in vars(each)), None)
        if owner is not None:
            if lookups.is_torch(owner.__module__):
                self.note(node, f"{owner.__module__}.{owner.__qualname__}.{node.attr}", True)
        elif not any(sets(each, node.attr) for each in cls.__mro__):
            self.note(node, name, False)

    def imports(self, node):
        """An import in a function."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if self.is_torch(alias.name):
                    self.note(node, alias.name, load(alias.name) is not None)
        elif not node.level and self.is_torch(node.module or ""):
            module = load(node.module)
            if module is None:
                self.note(node, node.module, False)
                return
            for alias in node.names:
                name = node.module + "." + alias.name
                if alias.name != "*":
                    self.note(node, name, hasattr(module, alias.name) or load(name) is not None)

    def note(self, node, name, there):
        """A name that is there, or not."""
        if there:
            self.there.append([node.lineno, name])
        else:
            self.found.append({"line": node.lineno, "name": name})

    # Calls.

    def value(self, node, place):
        """(the object of a chain, torch's name for it), or (None, "")."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if is_super(node):
            return self.behind(parts, place)
        if not isinstance(node, ast.Name):
            return None, ""
        if node.id == place.me and place.me and len(parts) == 1:
            return member(place.cls.__mro__, parts[0])
        value = self.root(node, place)
        path = self.imported.get(node.id, node.id)
        for part in parts:
            if not isinstance(value, (type, types.ModuleType)):
                return None, ""
            path = getattr(value, "__name__" if isinstance(value, types.ModuleType) else "__qualname__", path)
            if isinstance(value, type):
                path = value.__module__ + "." + path
            path, value = path + "." + part, get(value, part)
        if not lookups.is_callable(value) or not lookups.of_torch(value):
            return None, ""
        if isinstance(value, type):
            owner = lookups.maker(value) or value
            path = path if lookups.is_torch(path) else owner.__module__ + "." + owner.__qualname__
        elif not lookups.is_torch(path):
            path = self.named(value)
        return value, path if lookups.is_torch(path) else ""

    def behind(self, parts, place):
        """`super().name`: what comes after the class."""
        if place.cls is None or len(parts) != 1:
            return None, ""
        return member(place.cls.__mro__[1:], parts[0])

    def call(self, node, place):
        """The arguments of a call."""
        value, path = self.value(node.func, place)
        if not path:
            return
        path = path[: -len(".__init__")] if path.endswith(".__init__") else path
        skip = int(passes_instance(node.func, value, place))
        for keyword in node.keywords:
            if keyword.arg is not None:
                where = keyword if hasattr(keyword, "lineno") else keyword.value
                self.argument(where, path, keyword.arg, lookups.takes(value, path, keyword.arg))
        for count, argument in enumerate(node.args, 1):
            if isinstance(argument, ast.Starred):
                break
            at = lookups.place(value, count, skip)
            if at is not None:
                self.argument(argument, path, "#" + at, TAKEN if at else REFUSED)

    def special(self, node, function, place, name):
        """A special method that Python asks a class or its instances for."""
        value, path = self.value(function, place)
        if path and lookups.special(value, name) != UNKNOWN and lookups.is_torch(value.__module__):
            self.argument(node, path, name, lookups.special(value, name))

    def argument(self, node, path, name, state):
        """An argument, or a special method, and what torch says of it."""
        self.arguments.append([node.lineno, path, name, state])


def get(value, name):
    """An attribute, or NOTHING; whatever is raised by what a package puts in the place of what it cannot import."""
    try:
        return getattr(value, name, NOTHING)
    except Exception:
        return NOTHING


def imports_of(tree):
    """{bound name: what a `from` import takes}, of the whole module."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def is_super(node):
    """`super()`, `super(Name, self)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def member(order, name):
    """(the function of that name in the first class that has it, torch's name for it) if that class is torch's."""
    for each in order:
        if name in vars(each):
            value = vars(each)[name]
            if lookups.is_torch(each.__module__) and isinstance(value, types.FunctionType):
                path = f"{each.__module__}.{each.__qualname__}"
                return value, path if name == "__init__" else path + "." + name
            return None, ""
    return None, ""


def passes_instance(function, value, place):
    """Whether the signature has a parameter for an instance that the call does not write: `self.f(x)`."""
    if not isinstance(function, ast.Attribute) or not isinstance(value, types.FunctionType):
        return False
    return is_super(function.value) or (isinstance(function.value, ast.Name) and function.value.id == place.me)


SOURCES = {}


def sets(cls, name):
    """Whether the file of a class sets or registers an attribute of that name; also if there is no source."""
    if cls is object:
        return False
    if cls.__module__ not in SOURCES:
        try:
            SOURCES[cls.__module__] = inspect.getsource(sys.modules[cls.__module__])
        except (KeyError, OSError, TypeError):
            SOURCES[cls.__module__] = None
    text = SOURCES[cls.__module__]
    if text is None or (re.search("setattr|__dict__|__getattr__", text) and not lookups.is_torch(cls.__module__)):
        return True  # any name may be set
    return bool(re.search(r"\bself\.{0}\b\s*(?:[=:,)\]]|[-+*/|&]=)|['\"]{0}['\"]".format(re.escape(name)), text))


def load(name):
    """A module of torch, or None."""
    try:
        return importlib.import_module(name)
    except Exception:  # some modules of torch fail on a Python that came after them
        return None


def looked_up(module, tree, is_torch, named):
    """What the functions of a module use of torch: names that are not there, those that are, arguments."""
    bodies = Bodies(module, tree, is_torch, named)
    bodies.read([tree], Place())
    return {"missing": bodies.found, "there": bodies.there, "arguments": bodies.arguments}
