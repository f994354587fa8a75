"""Which keys a dictionary, or elements a list, may have: `if "mesh" in self.options:`, where only `__init__` adds it.

The keys that are asked about are literals. All places of a file that write such a literal into a dictionary, a list or
a set are known, and on which minors they run. So what they are all kept from on some minor is not there on that minor,
if the container was made in the file, and nothing adds keys to it that are not literals.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Iterator

from ._minors import ALL
from .nodes import walk_tree
from .values import Const, Value, choice, options, truth

if TYPE_CHECKING:
    from .walk import Walk

# Methods that add to what they are called on, and which of their arguments, by place, is what is added.
FILLING = {"append": 0, "add": 0, "insert": 1, "setdefault": 0, "update": 0, "extend": 0, "appendleft": 0}
WHOLE = ("update", "extend")  # these take a container of what is added
ASKING = ("get", "pop")
MAKING = ("dict", "list", "set", "OrderedDict", "defaultdict", "deque")
DISPLAYS = (ast.List, ast.Set, ast.Tuple)


def text_of(node: ast.AST | None) -> str | None:
    """The string that a literal is; Python 3.7 has another class for it."""
    value = getattr(node, "value", getattr(node, "s", None)) if type(node).__name__ in ("Constant", "Str") else None
    return value if isinstance(value, str) else None


def container_of(node: ast.AST) -> str:
    """What names a container: `NAME`, or `.attribute` of whatever object; "" where it has no name."""
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def added_by(node: ast.AST) -> tuple[ast.AST | None, list[str], bool]:
    """(the container that a node adds to, the literals that it adds, whether these are all); no container: none."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        key = text_of(getattr(node.slice, "value", node.slice) if type(node.slice).__name__ == "Index" else node.slice)
        return node.value, [] if key is None else [key], key is not None
    if isinstance(node, ast.AugAssign):
        keys, is_whole = literals(node.value)
        return node.target, keys, is_whole
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FILLING:
        at, own = FILLING[node.func.attr], node.args
        if node.func.attr not in WHOLE:
            key = text_of(own[at]) if len(own) > at else None
            return node.func.value, [] if key is None else [key], key is not None
        parts = [literals(one) for one in own]
        names = [keyword.arg for keyword in node.keywords]
        found = [key for keys, _ in parts for key in keys] + [name for name in names if name is not None]
        return node.func.value, found, all(whole for _, whole in parts) and None not in names
    return None, [], True


def literals(node: ast.AST) -> tuple[list[str], bool]:
    """(the strings that a display of a dictionary, list or set has as keys or elements, whether these are all)."""
    elements: list[Any] = []
    if isinstance(node, ast.Dict):
        elements = list(node.keys)
    elif isinstance(node, DISPLAYS):
        elements = list(node.elts)
    else:
        return [], False
    found = [text_of(one) for one in elements]
    return [key for key in found if key is not None], None not in found


class Index:
    """Every place of a file where literals get into containers, and what the containers are made of."""

    def __init__(self, tree: ast.AST) -> None:
        self.writers: dict[str, list[tuple[ast.AST, list[ast.AST]]]] = {}  # with the tests around each
        self.elsewhere: set[str] = set()  # literals in displays that may become part of any container
        self.open: set[str] = set()  # containers to which something is added that is not a literal
        self.made: dict[str, list[tuple[ast.AST | None, Any]]] = {}  # what is assigned, in which function
        self._read: set[ast.AST] = set()
        self._visit(tree, [], None)

    def _visit(self, node: ast.AST, tests: list[ast.AST], function: Any) -> None:
        self._note(node, tests, function)
        inner = node if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) else function
        for child in ast.iter_child_nodes(node):
            is_body = isinstance(node, ast.If) and child in node.body
            self._visit(child, [*tests, node.test] if is_body and isinstance(node, ast.If) else tests, inner)

    def _note(self, node: ast.AST, tests: list[ast.AST], function: Any) -> None:
        container, keys, is_whole = added_by(node)
        if container is not None:
            self._read.update(getattr(node, "args", ()), [getattr(node, "value", node)])
            for key in keys:
                self.writers.setdefault(key, []).append((node, tests))
            if not is_whole:
                self.open.add(container_of(container))
        if isinstance(node, ast.Compare):
            self._read.update(node.comparators)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and any(name for name, _ in bound_by(node)):
            self._read.update([node.value] if node.value is not None else [])  # `is_closed` looks at it
        elif isinstance(node, (ast.Dict, *DISPLAYS)) and node not in self._read:
            self.elsewhere.update(literals(node)[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKING:
            self.elsewhere.update(keyword.arg for keyword in node.keywords if keyword.arg)
        for name, value in bound_by(node):
            self.made.setdefault(name, []).append((value, function))

    def is_closed(self, container: str, key: str) -> bool:
        """Whether a container has no key of that name but by `writers`."""
        made = self.made.get(container)
        if not made or container in self.open or key in self.elsewhere:
            return False
        return all(value is not None and is_closed(value, function, key) for value, function in made)


def bound_by(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """(container, what it becomes) of what a node binds; None: not to be told."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if container_of(target):
                yield container_of(target), node.value
    elif isinstance(node, ast.arg):
        yield node.arg, None
    elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Store):
        yield from ((container_of(one), None) for one in node.elts)
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield container_of(node.target), None
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield container_of(node.optional_vars), None


def is_closed(node: ast.AST, function: Any, key: str) -> bool:
    """Whether an expression makes a container without a key: a display, or of `**kwargs` of which it is no part."""
    if text_of(node) is None and getattr(node, "value", node) is None:
        return True  # None, for a container that is made later
    if isinstance(node, (ast.Dict, *DISPLAYS)):
        keys, is_whole = literals(node)
        if is_whole:
            return key not in keys
    if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKING:
        is_default = getattr(node.func, "id", getattr(node.func, "attr", "")) == "defaultdict"
        if len(node.args) <= is_default and all(keyword.arg for keyword in node.keywords):
            return True
    arguments = getattr(function, "args", None)
    if arguments is None or arguments.kwarg is None:
        return False
    named = {one.arg for one in (*getattr(arguments, "posonlyargs", ()), *arguments.args, *arguments.kwonlyargs)}
    mentioned = {one.id for one in walk_tree(node) if isinstance(one, ast.Name)}
    return key in named and arguments.kwarg.arg in mentioned


class Entries:
    """What is known of one file: *written*, the minors on which each place was reached that adds a literal."""

    def __init__(self, tree: ast.AST) -> None:
        self._tree = tree
        self.written: dict[str, dict[ast.AST, int]] = {}
        self._index: Index | None = None
        self._assumed: dict[str, int] = {}

    def note(self, node: ast.AST, reach: int) -> None:
        """A node that may add literals to a container is read."""
        for key in added_by(node)[1]:
            masks = self.written.setdefault(key, {})
            masks[node] = masks.get(node, 0) | reach

    def present(self, walk: Walk, container: ast.AST, key: str) -> int | None:
        """The minors on which *container* may have *key*; None where that cannot be said."""
        if key in self._assumed:
            return self._assumed[key]
        masks = self.written.get(key, {})
        found = 0
        for mask in masks.values():
            found |= mask
        if not masks or found == ALL or not container_of(container):
            return None
        if self._index is None:
            self._index = Index(self._tree)
        if not self._index.is_closed(container_of(container), key):
            return None
        self._assumed[key] = found
        try:
            unread = [tests for node, tests in self._index.writers.get(key, ()) if node not in masks]
            return found if all(keeps(walk, tests, found) for tests in unread) else None
        finally:
            del self._assumed[key]


def keeps(walk: Walk, tests: list[ast.AST], mask: int) -> bool:
    """Whether one of the tests around a place that is not read yet keeps it from all minors but those of *mask*."""
    return any(not truth(walk.quietly(test, walk.state.scope)).true & ~mask for test in tests)


def contained(walk: Walk, container: ast.AST, key: Value) -> int | None:
    """The minors on which a container of the file may have a key, as in `key in container`."""
    if not isinstance(key, Const) or not isinstance(key.value, str):
        return None
    return walk.entries.present(walk, container, key.value)


def got(walk: Walk, node: ast.Call, arguments: list[Value], value: Value) -> Value:
    """What `container.get("key")` gives, of which *value* is known otherwise."""
    target = node.func
    if not isinstance(target, ast.Attribute) or target.attr not in ASKING or not arguments:
        return value
    if all(one is not None for _, one in options(value)):
        return value
    mask = contained(walk, target.value, arguments[0])
    if mask is None:
        return value
    default = arguments[1] if len(arguments) > 1 else Const(None)
    return choice([(mask, value), (ALL & ~mask, default)])
