"""Nested dicts, lists and tuples of tensors (pytrees), on every torch; ``torchcompat.utils.pytree`` makes them public.

``torch.utils._pytree`` exists from 1.8 on and knew named tuples only later. Types that were registered with it count
here too.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict, deque
from typing import Any, Callable, Iterator, NamedTuple, Tuple

import torch

Children = Tuple[Any, ...]


class Node(NamedTuple):
    """How a registered type is taken apart and built; the names are those of torch's own entries."""

    flatten_fn: Callable[[Any], Any]
    unflatten_fn: Callable[[Any, Any], Any]
    flatten_with_keys_fn: Callable[[Any], Any] | None = None


# The types registered with torchcompat. torch has no registry before 1.8.
REGISTERED: dict[type, Any] = {}


class TreeSpec:
    """The structure of a pytree without its leaves.

    Two structures are equal if the types, the keys in their order, and the lengths are.

    Attributes:
        kind: the type of the node; None for a leaf.
        context: what beside the children makes the node, such as the keys of a dict.
        children: their structures, in order.
        count: the number of leaves.
    """

    __slots__ = ("children", "context", "count", "kind")

    def __init__(self, kind: Any, context: Any, children: tuple[TreeSpec, ...]) -> None:
        self.kind: Any = kind
        self.context: Any = context
        self.children: tuple[Spec, ...] = children
        self.count: int = sum(child.count for child in children) if kind is not None else 1

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and self.kind is other.kind
            and bool(self.context == other.context)
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.count, len(self.children)))

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inner = ", ".join(map(repr, self.children))
        return (
            f"{self.kind.__name__}({inner})"
            if self.context is None
            else f"{self.kind.__name__}({self.context!r}: {inner})"
        )


# Pickles of earlier releases name it.
Spec = TreeSpec
LEAF = TreeSpec(None, None, ())


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _is_return_type(kind: type) -> bool:
    """Whether this is what an operation with several results returns, such as ``torch.return_types.max``."""
    return issubclass(kind, tuple) and kind.__module__ == "torch.return_types"


def is_immutable(kind: type) -> bool:
    """Whether this is one of torch.fx's lists or dicts, which torch registers from 1.12 on.

    https://github.com/pytorch/pytorch/pull/73766
    """
    return kind.__module__ == "torch.fx.immutable_collections" and issubclass(kind, (list, dict))


def _is_sequence(kind: type) -> bool:
    # torch.Size is a node from 2.0 on, and comes back as a plain tuple: the children need not be numbers.
    # https://github.com/pytorch/pytorch/pull/86098
    return kind in (tuple, list, torch.Size) or _is_return_type(kind)


def is_built_in(kind: type) -> bool:
    """Whether the type is a node without having been registered."""
    others = (dict, OrderedDict, defaultdict, deque)
    return kind in others or _is_sequence(kind) or _is_namedtuple(kind) or is_immutable(kind)


def registered(kind: type) -> Any:
    """How the type is taken apart, if it was registered with torchcompat or with torch."""
    own = REGISTERED.get(kind)
    if own is not None:
        return own
    module = sys.modules.get("torch.utils._pytree")
    return getattr(module, "SUPPORTED_NODES", {}).get(kind)


def take_apart(tree: Any) -> tuple[Children, Any] | None:
    """The children of a node and what else is needed to build it again, or None for a leaf."""
    kind = type(tree)
    if _is_sequence(kind) or _is_namedtuple(kind) or (is_immutable(kind) and issubclass(kind, list)):
        return tuple(tree), None
    if kind is dict or kind is OrderedDict or is_immutable(kind):
        return tuple(tree.values()), tuple(tree)
    if kind is defaultdict:
        return tuple(tree.values()), (tree.default_factory, tuple(tree))
    if kind is deque:
        return tuple(tree), tree.maxlen
    node = registered(kind)
    if node is None:
        return None
    children, context = node.flatten_fn(tree)
    return tuple(children), context


def build(kind: Any, context: Any, children: list[Any]) -> Any:
    if _is_sequence(kind) or (is_immutable(kind) and issubclass(kind, list)):
        return tuple(children) if kind is torch.Size else kind(children)
    if _is_namedtuple(kind):
        return kind(*children)
    if kind is dict or kind is OrderedDict or is_immutable(kind):
        return kind(zip(context, children))
    if kind is defaultdict:
        return defaultdict(context[0], zip(context[1], children))
    if kind is deque:
        return deque(children, context)
    return registered(kind).unflatten_fn(children, context)


IsLeaf = Callable[[Any], bool]


def _flatten_into(tree: Any, leaves: list[Any], is_leaf: IsLeaf | None) -> TreeSpec:
    parts = None if is_leaf is not None and is_leaf(tree) else take_apart(tree)
    if parts is None:
        leaves.append(tree)
        return LEAF
    children, context = parts
    return TreeSpec(type(tree), context, tuple([_flatten_into(child, leaves, is_leaf) for child in children]))


def flatten(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of *tree*, in order, and its structure. None is a leaf, and so is what *is_leaf* says is one."""
    leaves: list[Any] = []
    return leaves, _flatten_into(tree, leaves, is_leaf)


def unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The pytree of structure *spec* with these *leaves*."""
    return _unflatten_from(iter(leaves), spec)


def _unflatten_from(leaves: Iterator[Any], spec: TreeSpec) -> Any:
    if spec.kind is None:
        return next(leaves)
    return build(spec.kind, spec.context, [_unflatten_from(leaves, child) for child in spec.children])


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """*tree* with *function* applied to each of its leaves."""
    leaves, spec = flatten(tree)
    return unflatten([function(leaf) for leaf in leaves], spec)


def broadcast(prefix: Any, spec: TreeSpec) -> list[Any] | None:
    """One value of *prefix* for each leaf of *spec*, or None where *prefix* is not the upper part of that structure.

    A leaf of *prefix* (an int or None) stands for all leaves below it.
    """
    parts = take_apart(prefix)
    if parts is None:
        return [prefix] * spec.count
    children, context = parts
    if type(prefix) is not spec.kind or len(children) != len(spec.children) or context != spec.context:
        return None
    values: list[Any] = []
    for child, child_spec in zip(children, spec.children):
        below = broadcast(child, child_spec)
        if below is None:
            return None
        values += below
    return values
