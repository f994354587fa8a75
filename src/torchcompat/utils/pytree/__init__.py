"""Nested containers of tensors (pytrees): one set of functions on every torch.

torch keeps its own in ``torch.utils._pytree``, which is private and has no public name in any release; it starts at
torch 1.8, and its functions changed in most releases since. The names and rules here are those of torch 2.15.

A node is a tuple, list, dict, OrderedDict, defaultdict, deque, named tuple, ``torch.Size``, what an operation with
several results returns, an immutable list or dict of ``torch.fx``, or an object of a type that was registered here or
with torch. All else is a leaf, None too. The leaves of a dict come in the order of its items. A ``torch.Size`` is built
again as a plain tuple.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any, Callable, Iterable, Iterator, Sequence, Tuple, Union

from ..._shim import at_home, facade
from ..._torch import at_least
from ...func import _pytree
from ...func._pytree import TreeSpec
from . import _walk
from ._walk import GetAttrKey, IsLeaf, MappingKey, Path, SequenceKey, columns, walk

__all__ = [
    "GetAttrKey",
    "MappingKey",
    "SequenceKey",
    "TreeSpec",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "tree_all",
    "tree_any",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_is_leaf",
    "tree_iter",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_map_with_path",
    "tree_structure",
    "tree_unflatten",
]

TypeOrTypes = Union[type, Tuple[type, ...], Callable[[Any], bool]]
for _class in (GetAttrKey, MappingKey, SequenceKey, TreeSpec):
    at_home(_class, __name__)


@facade("utils.pytree.keystr")
def keystr(kp: Path) -> str:
    """A path as Python would write it: ``"['a'][0].name"``.

    Not in torch under a public name.

    Args:
        kp: a path, as from :func:`tree_flatten_with_path`.
    """
    return _walk.keystr(kp)


@facade("utils.pytree.tree_flatten")
def tree_flatten(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of *tree*, in order, and its structure.

    Not in torch under a public name.

    Args:
        tree: nested containers.
        is_leaf: asked of every part, from the top down; what it says is a leaf is not taken apart.

    Returns:
        A list of the leaves, and a structure for :func:`tree_unflatten`, which can be compared.
    """
    return _pytree.flatten(tree, is_leaf)


@facade("utils.pytree.tree_unflatten")
def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree with this structure and these leaves.

    Not in torch under a public name.

    Args:
        leaves: as many as the structure has.
        treespec: as from :func:`tree_flatten`.

    Raises:
        ValueError: there are more or fewer leaves.
        TypeError: *treespec* is no structure of this module.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"treespec must be a TreeSpec, as from tree_flatten; got {type(treespec).__name__}")
    given = list(leaves)
    if len(given) != treespec.count:
        raise ValueError(f"treespec has {treespec.count} leaves, but {len(given)} leaves are given: {treespec!r}")
    return _pytree.unflatten(given, treespec)


@facade("utils.pytree.tree_iter")
def tree_iter(tree: Any, is_leaf: IsLeaf | None = None) -> Iterator[Any]:
    """The leaves of *tree*, one after another.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    parts = None if is_leaf is not None and is_leaf(tree) else _pytree.take_apart(tree)
    if parts is None:
        yield tree
    else:
        for child in parts[0]:
            yield from tree_iter(child, is_leaf)


@facade("utils.pytree.tree_leaves")
def tree_leaves(tree: Any, is_leaf: IsLeaf | None = None) -> list[Any]:
    """A list of the leaves of *tree*.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return _pytree.flatten(tree, is_leaf)[0]


@facade("utils.pytree.tree_structure")
def tree_structure(tree: Any, is_leaf: IsLeaf | None = None) -> TreeSpec:
    """The structure of *tree*, without its leaves.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return _pytree.flatten(tree, is_leaf)[1]


@facade("utils.pytree.tree_is_leaf")
def tree_is_leaf(tree: Any, is_leaf: IsLeaf | None = None) -> bool:
    """Whether *tree* is a leaf: of no type that is taken apart, or one that *is_leaf* says is a leaf.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return (is_leaf is not None and is_leaf(tree)) or _pytree.take_apart(tree) is None


@facade("utils.pytree.tree_map")
def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """A tree of the structure of *tree* with what *func* makes of each leaf.

    Not in torch under a public name.

    Args:
        func: takes a leaf of *tree*, and what each of *rests* has in its place.
        tree, is_leaf: as in :func:`tree_flatten`.
        rests: trees that have at least the structure of *tree*. A dict may have its keys in another order.

    Raises:
        ValueError: one of *rests* differs; the message says where.
    """
    leaves, spec = _pytree.flatten(tree, is_leaf)
    return _pytree.unflatten([func(*column) for column in columns(leaves, spec, rests)], spec)


@facade("utils.pytree.tree_map_")
def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """Call *func* on each leaf, for what it does in place, and return *tree* itself.

    Not in torch under a public name.

    Args:
        func, tree, rests, is_leaf: as in :func:`tree_map`.
    """
    leaves, spec = _pytree.flatten(tree, is_leaf)
    for column in columns(leaves, spec, rests):
        func(*column)
    return tree


def _test(type_or_types_or_pred: TypeOrTypes) -> Callable[[Any], bool]:
    if isinstance(type_or_types_or_pred, (type, tuple)) or not callable(type_or_types_or_pred):
        types: Any = type_or_types_or_pred
        isinstance(None, types)  # a TypeError for what is no type, before anything is mapped
        return lambda leaf: isinstance(leaf, types)
    return type_or_types_or_pred


@facade("utils.pytree.tree_map_only")
def tree_map_only(
    type_or_types_or_pred: TypeOrTypes, func: Callable[[Any], Any], tree: Any, is_leaf: IsLeaf | None = None
) -> Any:
    """A tree like *tree*, with what *func* makes of some of its leaves; the others stay.

    Not in torch under a public name.

    Args:
        type_or_types_or_pred: a type or a tuple of types, such as ``torch.Tensor``, or a function of a leaf.
        func: takes a leaf.
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    chosen = _test(type_or_types_or_pred)
    return tree_map(lambda leaf: func(leaf) if chosen(leaf) else leaf, tree, is_leaf=is_leaf)


@facade("utils.pytree.tree_all")
def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf | None = None) -> bool:
    """Whether *pred* holds for every leaf; it is not asked further than it has to be.

    Not in torch under a public name.

    Args:
        pred: takes a leaf.
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return all(map(pred, tree_iter(tree, is_leaf)))


@facade("utils.pytree.tree_any")
def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf | None = None) -> bool:
    """Whether *pred* holds for some leaf; it is not asked further than it has to be.

    Not in torch under a public name.

    Args:
        pred: takes a leaf.
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return any(map(pred, tree_iter(tree, is_leaf)))


@facade("utils.pytree.tree_leaves_with_path")
def tree_leaves_with_path(tree: Any, is_leaf: IsLeaf | None = None) -> list[tuple[Path, Any]]:
    """The leaves of *tree*, each with the path that leads to it.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.

    Returns:
        Pairs of a path, which is a tuple of keys for :func:`keystr`, and a leaf.
    """
    return list(walk(tree, is_leaf, ()))


@facade("utils.pytree.tree_flatten_with_path")
def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[tuple[Path, Any]], TreeSpec]:
    """The leaves of *tree*, each with the path that leads to it, and its structure.

    Not in torch under a public name.

    Args:
        tree, is_leaf: as in :func:`tree_flatten`.
    """
    return list(walk(tree, is_leaf, ())), tree_structure(tree, is_leaf)


@facade("utils.pytree.tree_map_with_path")
def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """As :func:`tree_map`, for a function that takes the path of the leaf before it.

    Not in torch under a public name.

    Args:
        func: takes a path, a leaf of *tree*, and what each of *rests* has in its place.
        tree, rests, is_leaf: as in :func:`tree_map`.
    """
    paths = [path for path, _ in walk(tree, is_leaf, ())]
    leaves, spec = _pytree.flatten(tree, is_leaf)
    mapped = [func(path, *column) for path, column in zip(paths, columns(leaves, spec, rests))]
    return _pytree.unflatten(mapped, spec)


def _tell_torch(cls: type, node: _pytree.Node, names: dict[str, Any]) -> None:
    """Register the type with torch's own pytrees too, which vmap and export use, unless they know it."""
    if not at_least(1, 8):
        return
    theirs: Any = import_module("torch.utils._pytree")
    if cls in theirs.SUPPORTED_NODES:
        return
    if not at_least(2, 2):
        theirs._register_pytree_node(cls, node.flatten_fn, node.unflatten_fn)
    elif not at_least(2, 3):
        theirs.register_pytree_node(cls, node.flatten_fn, node.unflatten_fn, **names)
    else:
        with_keys = node.flatten_with_keys_fn
        theirs.register_pytree_node(cls, node.flatten_fn, node.unflatten_fn, flatten_with_keys_fn=with_keys, **names)


@facade("utils.pytree.register_pytree_node")
def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Sequence[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable[[Any], Any] | None = None,
    from_dumpable_context: Callable[[Any], Any] | None = None,
    flatten_with_keys_fn: Callable[[Any], tuple[Sequence[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Let objects of a class be nodes, here and in ``torchcompat.func``, and in torch's own pytrees from 1.8 on.

    Not in torch under a public name. A class that is registered already, here or with torch, keeps what was registered
    first: torch's raises then, so that a module could not be loaded twice.

    Args:
        cls: the class; its subclasses are not meant.
        flatten_fn: takes an object; gives a list of its children, and what else is needed to build it again, which
            should have ``==``.
        unflatten_fn: takes children and that, and builds the object.
        serialized_type_name, to_dumpable_context, from_dumpable_context: for torch's own serialisation of structures
            (``torch.export``), from torch 2.2 on; they matter nowhere else.
        flatten_with_keys_fn: as *flatten_fn*, with pairs of a key and a child; without it the keys are numbers.

    Raises:
        TypeError: *cls* is no class, or a function cannot be called.
        ValueError: *cls* is a built-in node or a named tuple, which always is one.
    """
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a class, got {cls!r}")
    for name, function in (("flatten_fn", flatten_fn), ("unflatten_fn", unflatten_fn)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    if _pytree.is_built_in(cls):
        raise ValueError(f"cls must not be {cls.__name__}, which is a node already")
    if _pytree.registered(cls) is not None:
        return
    node = _pytree.Node(flatten_fn, unflatten_fn, flatten_with_keys_fn)
    names = {
        "serialized_type_name": serialized_type_name,
        "to_dumpable_context": to_dumpable_context,
        "from_dumpable_context": from_dumpable_context,
    }
    _tell_torch(cls, node, names)
    _pytree.REGISTERED[cls] = node


@facade("utils.pytree.register_dataclass")
def register_dataclass(
    cls: type,
    *,
    field_names: Sequence[str] | None = None,
    drop_field_names: Sequence[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Let objects of a dataclass, or of a class like one, be nodes: its fields are the children.

    Not in torch under a public name. A field that is None is no leaf, but part of the structure.

    Args:
        cls: a class that is built by its fields as keywords.
        field_names: the fields; None for those of ``cls.__init__``, if it is a dataclass.
        drop_field_names: fields that are left out, and come back as their defaults.
        serialized_type_name: as in :func:`register_pytree_node`.

    Raises:
        ValueError: *field_names* is missing for a class that is no dataclass, or does not name all fields but the
            dropped ones.
    """
    dropped = list(drop_field_names or ())
    if dataclasses.is_dataclass(cls):
        own = [field.name for field in dataclasses.fields(cls) if field.init and field.name not in dropped]
        if field_names is not None and set(own) != set(field_names):
            raise ValueError(
                f"field_names must be all fields of {cls.__name__} that are not in drop_field_names, {own}; "
                f"got {list(field_names)}"
            )
    elif field_names is None:
        raise ValueError(f"field_names must be given for {cls!r}, which is no dataclass")
    names = list(own if field_names is None else field_names)

    def with_keys(tree: Any) -> tuple[list[tuple[Any, Any]], Any]:
        fields = [(GetAttrKey(name), getattr(tree, name)) for name in names]
        present = [(key, value) for key, value in fields if value is not None]
        return present, [[key.name for key, _ in present], [key.name for key, value in fields if value is None]]

    def take_apart(tree: Any) -> tuple[list[Any], Any]:
        pairs, context = with_keys(tree)
        return [value for _, value in pairs], context

    def build(children: Iterable[Any], context: Any) -> Any:
        present, absent = context
        return cls(**dict(zip(present, children)), **dict.fromkeys(absent))

    register_pytree_node(
        cls, take_apart, build, serialized_type_name=serialized_type_name, flatten_with_keys_fn=with_keys
    )
