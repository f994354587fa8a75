"""The places in a pytree, and several trees walked side by side."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from typing import Any, Callable, Iterator, NamedTuple, Sequence, Tuple

from ...func import _pytree
from ...func._pytree import TreeSpec

IsLeaf = Callable[[Any], bool]
_DICTS = (dict, OrderedDict, defaultdict)


class SequenceKey(NamedTuple):
    """A place in a list, tuple or deque: ``[0]``."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        """What is there in *sequence*."""
        return sequence[self.idx]


class MappingKey(NamedTuple):
    """A place in a dict: ``['a']``."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        """What is there in *mapping*."""
        return mapping[self.key]


class GetAttrKey(NamedTuple):
    """A place in a named tuple or a dataclass: ``.name``."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """What is there in *obj*."""
        return getattr(obj, self.name)


Path = Tuple[Any, ...]


def _keys(tree: Any, number: int) -> list[Any]:
    """A key for each of the *number* children of the node *tree*."""
    kind = type(tree)
    if kind in _DICTS or (isinstance(tree, dict) and _pytree.is_immutable(kind)):
        return [MappingKey(key) for key in tree]
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return [GetAttrKey(name) for name in kind._fields]
    entry = None if isinstance(tree, (tuple, list, deque)) else _pytree.registered(kind)
    with_keys = getattr(entry, "flatten_with_keys_fn", None)
    if with_keys is None:
        return [SequenceKey(position) for position in range(number)]
    return [key for key, _ in with_keys(tree)[0]]


def walk(tree: Any, is_leaf: IsLeaf | None, path: Path) -> Iterator[tuple[Path, Any]]:
    parts = None if is_leaf is not None and is_leaf(tree) else _pytree.take_apart(tree)
    if parts is None:
        yield path, tree
        return
    children = parts[0]
    for key, child in zip(_keys(tree, len(children)), children):
        yield from walk(child, is_leaf, (*path, key))


def keystr(path: Path) -> str:
    """A path as Python would write it."""
    return "".join(map(str, path))


def _differ(path: Path, position: int, what: str) -> ValueError:
    where = f"at {keystr(path)}" if path else "at the top"
    return ValueError(f"tree {position} does not fit the first one {where}: {what}")


def _children_like(spec: TreeSpec, node: Any, path: Path, position: int) -> Sequence[Any]:
    """The children of *node*, in the order of *spec*; ValueError where it is another kind of node."""
    parts = None if type(node) is not spec.kind and type(node) not in _DICTS else _pytree.take_apart(node)
    if parts is None or (type(node) in _DICTS) != (spec.kind in _DICTS):
        raise _differ(path, position, f"expected {spec.kind.__name__}, got {type(node).__name__}")
    children, context = parts
    if spec.kind in _DICTS:
        keys = spec.context[1] if spec.kind is defaultdict else spec.context
        if set(node) != set(keys):
            raise _differ(path, position, f"expected the keys {list(keys)}, got {list(node)}")
        return [node[key] for key in keys]
    if len(children) != len(spec.children):
        raise _differ(path, position, f"expected {len(spec.children)} children, got {len(children)}")
    if spec.kind is not deque and context != spec.context:
        raise _differ(path, position, f"expected {spec.context!r} beside the children, got {context!r}")
    return children


def _up_to(spec: TreeSpec, tree: Any, path: Path, position: int) -> Iterator[Any]:
    """What *tree* has in the places of the leaves of *spec*."""
    if spec.kind is None:
        yield tree
        return
    children = _children_like(spec, tree, path, position)
    keys = _keys(tree, len(children))
    if spec.kind in _DICTS:
        keys = [MappingKey(key) for key in (spec.context[1] if spec.kind is defaultdict else spec.context)]
    for below, child, key in zip(spec.children, children, keys):
        yield from _up_to(below, child, (*path, key), position)


def columns(leaves: list[Any], spec: TreeSpec, rests: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    others = [list(_up_to(spec, tree, (), position)) for position, tree in enumerate(rests, 2)]
    return zip(leaves, *others)
