"""Dictionaries of keywords, as in `f(**kw)`: which keys they surely have when they are handed over.

A key is sure where the dictionary is written down, or filled, in the code that is read, and nothing else in reach of
its name could take the key away: no `del`, no `pop`, no other name for it, no call that is given the whole.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Sequence

from ._minors import ALL
from .nodes import walk_tree
from .values import Choice, Const, Mapping, Value, choice, options

if TYPE_CHECKING:
    from .scope import Scope
    from .walk import Walk

# Longer ones are tables of data, and not what a version test or a call is made of.
LONGEST = 16
# Methods that take no key away, and what else only reads a dictionary.
KEEPING = ("get", "keys", "values", "items", "update", "copy", "setdefault")
READING = ("dict", "len", "bool", "list", "tuple", "set", "sorted", "print", "repr", "str", "iter", "isinstance")


class Handed(ast.keyword):
    """A keyword that a `**mapping` stands for, *where* the mapping has it."""

    where = ALL


class Handling:
    """What the code of one function, or of a module, does with its names: *wild*, what may lose keys; *grown*."""

    def __init__(self, tree: ast.AST) -> None:
        self.wild: set[str] = set()
        self.grown: set[str] = set()
        self.stored: dict[str, int] = {}
        tame: set[ast.AST] = set()
        names: list[ast.Name] = []
        # A node is met before those in it.
        for node in walk_tree(tree):
            if isinstance(node, ast.Name):
                names.append(node)
            else:
                self._look(node, tame)
        for one in names:
            if isinstance(one.ctx, ast.Store):
                self.stored[one.id] = self.stored.get(one.id, 0) + 1
            elif one not in tame:
                self.wild.add(one.id)

    def _look(self, node: ast.AST, tame: set[ast.AST]) -> None:
        """Note the names in *node* that only read, or fill, what they stand for."""
        if isinstance(node, ast.Call):
            tame.add(node.func)
            tame.update(keyword.value for keyword in node.keywords if keyword.arg is None)
            if isinstance(node.func, ast.Name) and node.func.id in READING:
                tame.update(node.args)
        elif isinstance(node, ast.Attribute) and node.attr in KEEPING:
            tame.add(node.value)
            self._grows(node.value, node.attr in ("update", "setdefault"))
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Del):
            tame.add(node.value)
            self._grows(node.value, isinstance(node.ctx, ast.Store))
        elif isinstance(node, ast.Compare):
            tame.update(one for one, how in zip(node.comparators, node.ops) if isinstance(how, (ast.In, ast.NotIn)))
        elif isinstance(node, ast.Dict):
            tame.update(value for key, value in zip(node.keys, node.values) if key is None)
        elif isinstance(node, (ast.For, ast.comprehension)):
            tame.add(node.iter)
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            tame.add(node.test)
        elif isinstance(node, ast.UnaryOp):
            tame.add(node.operand)

    def _grows(self, node: ast.AST, grows: bool) -> None:
        if grows and isinstance(node, ast.Name):
            self.grown.add(node.id)

    def is_tame(self, name: str, is_own: bool) -> bool:
        """Whether what *name* stands for only grows; and seen from a function inside, with not *is_own*, is fixed."""
        if name in self.wild:
            return False
        return is_own or (self.stored.get(name, 0) == 1 and name not in self.grown)


def literal(pairs: Sequence[tuple[Value, Value]]) -> Value:
    """What `{key: value}` is; a key of None stands for `**value`."""
    items: dict[Any, Value] = {}
    is_whole = True
    for key, value in pairs:
        if isinstance(key, Const) and is_hashable(key.value):
            items[key.value] = value
        elif key is None and isinstance(value, Mapping) and value.sure:
            items.update(value.items)
        elif key is None:
            items = dict.fromkeys(items)  # any of these may be another now
        else:
            is_whole = False
    return Mapping(tuple(items.items()), True) if is_whole and len(items) <= LONGEST else None


def made(node: ast.Call, arguments: Sequence[Value], keywords: dict[Any, Value]) -> Value:
    """What `dict(mapping, key=value)` is."""
    if len(arguments) > 1 or (arguments and not isinstance(arguments[0], Mapping)):
        return None
    pairs: list[tuple[Value, Value]] = [(None, one) for one in arguments]
    for keyword in node.keywords:
        if keyword.arg is not None:
            if getattr(keyword, "where", ALL) == ALL:
                pairs.append((Const(keyword.arg), keywords[keyword.arg]))
        elif not any(isinstance(one, Handed) for one in node.keywords):
            pairs.append((None, keywords[None]))  # else what it surely has stands behind
    return literal(pairs)


def grow(walk: Walk, node: ast.Call, arguments: Sequence[Value], keywords: dict[Any, Value]) -> None:
    """`kw.update(key=value)` and `kw.setdefault("key", value)`."""
    target: Any = node.func
    if target.attr not in ("update", "setdefault") or not isinstance(target.value, ast.Name):
        return
    value = walk.state.scope.names.get(target.value.id)
    if not isinstance(value, Mapping) or not value.sure:
        return
    if target.attr == "update":
        more = made(node, arguments, keywords)
        pairs: list[tuple[Value, Value]] = [(None, value), (None, more)]
    elif arguments and isinstance(arguments[0], Const) and arguments[0].value in dict(value.items):
        return
    else:
        pairs = [(None, value), (arguments[0] if arguments else None, arguments[1] if len(arguments) == 2 else None)]
    walk.state.scope.names[target.value.id] = literal(pairs)


def is_hashable(value: Any) -> bool:
    """Whether a literal can be a key."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def filled(value: Mapping, key: Value, one: Value) -> Value:
    """*value* after `value[key] = one`."""
    if not value.sure or not isinstance(key, Const) or not is_hashable(key.value):
        return None
    return Mapping(tuple({**dict(value.items), key.value: one}.items()), True)


def known(walk: Walk, node: ast.AST, value: Value) -> Value:
    """What a dictionary in the place of *node* is, where it is only read; elsewhere a name is an alias of it.

    The keys of one that has a name are sure only as long as nobody can have taken one away.
    """
    if not isinstance(node, ast.Name):
        return value
    scope: Scope | None = walk.state.scope
    while scope is not None and node.id not in scope.names:
        scope = scope.outer
    found = None if scope is None else scope.names[node.id]
    if scope is None or scope.node is None or node.id in walk.rebound or not has_sure(found):
        return value
    return found if walk.handling(scope.node).is_tame(node.id, scope is walk.state.scope) else value


def has_sure(value: Value) -> bool:
    """Whether a value may be a dictionary with a key that is sure."""
    return any(isinstance(one, Mapping) and one.sure and bool(one.items) for _, one in options(value))


def unsure(value: Value) -> Value:
    """The same, of which somebody else may take keys away."""
    if isinstance(value, Choice) and any(isinstance(one, Mapping) for _, one in value.options):
        return choice([(mask, unsure(one)) for mask, one in value.options])
    return value._replace(sure=False) if isinstance(value, Mapping) else value


def spread(keyword: ast.keyword, value: Value) -> list[tuple[Handed, Value]]:
    """The keywords that `**value` surely hands over, each with what is known of it."""
    found: dict[str, Value] = {}
    lacking: dict[str, int] = {}
    sure = [(mask, dict(one.items)) for mask, one in options(value) if isinstance(one, Mapping) and one.sure]
    names = [name for _, items in sure for name in items if isinstance(name, str)]
    covered = 0
    for mask, one in options(value):
        covered |= mask
        items = dict(one.items) if isinstance(one, Mapping) and one.sure else {}
        for name in names:
            if name in items:
                found[name] = items[name]
            else:
                lacking[name] = lacking.get(name, 0) | mask
    made = []
    for name, one in found.items():
        handed = ast.copy_location(Handed(arg=name, value=keyword.value), keyword)
        handed.where = covered & ~lacking.get(name, 0)
        made.append((handed, one if len(options(value)) == 1 else None))
    return [(one, known) for one, known in made if one.where]
