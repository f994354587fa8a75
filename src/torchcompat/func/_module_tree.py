"""Where the tensors of a module sit, under which names, and which of them are one tensor."""

from __future__ import annotations

from itertools import chain
from operator import getitem, is_, methodcaller
from typing import Any, List, Sequence, Tuple

import torch

from .. import _torch
from .._torch import UnsupportedError, at_least

Walk = List[Tuple[str, Any]]

MISSING: Any = object()
UNINITIALIZED = frozenset(
    kind
    for kind in map(
        _torch.find, ("torch.nn.parameter.UninitializedParameter", "torch.nn.parameter.UninitializedBuffer")
    )
    if kind is not None
)

values = methodcaller("values")


def walk(root: Any) -> tuple[Walk, set[int]]:
    """Every module of the tree, once, with the prefix of its tensors' names; and the ``id`` of each.

    Aliases and cycles are met once.
    """
    found: Walk = [("", root)]
    seen = {id(root)}
    pending = [("", root._modules)]
    while pending:
        prefix, children = pending.pop()
        for name, child in children.items():
            if child is None or id(child) in seen:
                continue
            seen.add(id(child))
            below = prefix + name + "."
            found.append((below, child))
            if len(child._modules):
                pending.append((below, child._modules))
    return found, seen


def every_name(module: Any) -> dict[str, int]:
    """The ``id`` of each tensor under each of its names, an aliased module's included; a cycle is followed once."""
    names: dict[str, int] = {}

    def visit(prefix: str, current: Any, above: frozenset[int]) -> None:
        for container in (current._parameters, current._buffers):
            names.update((prefix + name, id(tensor)) for name, tensor in container.items() if tensor is not None)
        for name, child in current._modules.items():
            if child is not None and id(child) not in above:
                visit(prefix + name + ".", child, above | {id(child)})

    visit("", module, frozenset([id(module)]))
    return names


def _module_at(root: Any, path: str, key: str) -> tuple[Any, bool]:
    """The module at *path*, and whether it is registered there (and not merely found as an attribute)."""
    module, registered = root, True
    for name in path.split(".") if path else ():
        child = getattr(module, name, MISSING)
        if child is MISSING:
            raise AttributeError(f"{key!r}: {type(module).__name__} has no submodule {name!r}")
        if not isinstance(child, torch.nn.Module):
            raise TypeError(f"{key!r}: {name!r} is a {type(child).__name__}, not a module")
        registered = registered and name in module._modules
        module = child
    return module, registered


class _Descriptor:
    """Dict-like access to an attribute that the class of *module* defines: a property or a slot."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.module, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self.module, name)


class _Given(torch.nn.Module):  # type: ignore[misc]
    """Stands in for the parametrizations of a tensor that was passed under its plain name, and bypasses them."""

    def __init__(self, tensor: Any) -> None:
        super().__init__()
        self.__dict__["tensor"] = tensor

    def forward(self) -> Any:
        return self.tensor


def read(namespace: Any, name: str) -> Any:
    try:
        return namespace[name]
    except KeyError:
        return MISSING


def write(namespace: Any, name: str, value: Any) -> None:
    if value is not MISSING:
        namespace[name] = value
    elif read(namespace, name) is not MISSING:
        del namespace[name]


def attribute(root: Any, key: str, tensor: Any) -> tuple[Any, str, Any]:
    """Where the tensor that is passed as *key* goes when no parameter or buffer has that name: namespace, name, value.

    Raises:
        KeyError: for an empty name.
        AttributeError: for a path that does not lead to a module, or an attribute that cannot be set.
        TypeError: for an attribute that is no tensor.
    """
    path, _, name = key.rpartition(".")
    module, _ = _module_at(root, path, key)
    if not name:
        raise KeyError(f"{key!r}: the name of a tensor cannot be empty")
    for container in (module._parameters, module._buffers):
        if name in container:
            return container, name, tensor
    if "parametrizations" in module._modules and name in module._modules["parametrizations"]._modules:
        return module._modules["parametrizations"]._modules, name, _Given(tensor)
    definition = getattr(type(module), name, MISSING)
    if isinstance(definition, property) and definition.fset is None:
        raise AttributeError(f"{key!r}: the property {name!r} has no setter")
    namespace = _Descriptor(module) if hasattr(definition, "__set__") else module.__dict__
    own = read(namespace, name)
    current = getattr(module, name, MISSING) if own is MISSING else own
    if not (current is MISSING or current is None or isinstance(current, torch.Tensor)):
        raise TypeError(f"{key!r}: the attribute {name!r} is a {type(current).__name__}, not a tensor")
    if own is MISSING and current is not MISSING and definition is MISSING:
        raise AttributeError(
            f"{key!r}: {type(module).__name__} only forwards {name!r} to another module; pass the tensor under that "
            "module's name"
        )
    return namespace, name, tensor


def recomputed(module: Any) -> list[tuple[Any, str]]:
    """The plain attributes of *module* that its forward, or a hook before it, computes from its parameters.

    ``weight_norm`` and ``spectral_norm`` of torch.nn.utils (their hooks have a ``name``) and pruning (a
    ``_tensor_name``) keep the tensor that they computed last; a recurrent network keeps a list of its parameters.
    """
    attributes = vars(module)
    names = [
        getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        for hook in module._forward_pre_hooks.values()
    ]
    kept: list[tuple[Any, str]] = [
        (attributes, str(name)) for name in names if isinstance(attributes.get(name), torch.Tensor)
    ]
    if isinstance(attributes.get("_flat_weights"), list):
        kept += [(attributes, name) for name in ("_flat_weights", "_flat_weight_refs") if name in attributes]
    return kept


def _refuse_compiled(walked: Walk) -> None:
    for _, module in walked:
        if type(module).__name__ == "OptimizedModule" or module.__dict__.get("_compiled_call_impl") is not None:
            raise UnsupportedError(
                "before torch 2.4 a compiled module goes on with the tensors that it saw first, whatever it is called "
                "with; call the module that was compiled (its _orig_mod), or use torch 2.4"
            )


class Tree:
    """Where every parameter and buffer of *root* sits, and which of them are one tensor.

    A *place* is the index of one slot of one ``_parameters`` or ``_buffers`` dict. An aliased module has its
    places once.

    Args:
        root: the module.
        walked: what :func:`walk` gives for it.
    """

    def __init__(self, root: Any, walked: Walk) -> None:
        self.root = root
        if at_least(2, 0) and not at_least(2, 4):
            _refuse_compiled(walked)
        containers = [
            (prefix, container)
            for prefix, module in walked
            for container in (module._parameters, module._buffers)
            if len(container)
        ]
        slots = [
            (prefix + name, container, name, tensor)
            for prefix, container in containers
            for name, tensor in container.items()
        ]
        columns: Sequence[Any] = list(zip(*slots)) or ((), (), (), ())
        full_names, self.dicts, self.names, self.tensors = columns
        self.place = dict(zip(full_names, range(len(slots))))
        self.recomputing = [
            module for _, module in walked if module._forward_pre_hooks or "_flat_weights" in module.__dict__
        ]
        self.ties = self._find_ties()
        self.has_lazy = not UNINITIALIZED.isdisjoint(map(type, self.tensors))
        self._alias: dict[tuple[int, str], int] = {}

    def _find_ties(self) -> dict[int, list[int]]:
        """By the ``id`` of each tensor that has several places: these."""
        identities = list(map(id, self.tensors))
        if len(set(identities)) == len(identities) - max(identities.count(id(None)) - 1, 0):
            return {}
        places: dict[int, list[int]] = {}
        for place, identity in enumerate(identities):
            places.setdefault(identity, []).append(place)
        return {identity: tied for identity, tied in places.items() if len(tied) > 1 and identity != id(None)}

    def find(self, key: str) -> tuple[int | None, bool]:
        """The place of *key*, which may be an alias, and whether that can change only with the registered structure.

        The place is None where *key* names no parameter or buffer of the tree.
        """
        place = self.place.get(key)
        if place is not None:
            return place, True
        if not self._alias:
            self._alias = {(id(container), name): n for n, (container, name) in enumerate(zip(self.dicts, self.names))}
        path, _, name = key.rpartition(".")
        module, registered = _module_at(self.root, path, key)
        for container in (module._parameters, module._buffers):
            if name in container:
                return self._alias.get((id(container), name)), registered
        return None, registered

    def tied(self, place: int) -> Sequence[int]:
        """Every place of the tensor at *place*."""
        return self.ties.get(id(self.tensors[place]), (place,))


class WatchedTree(Tree):
    """A tree that can tell, at a small part of the cost of a new one, whether it still describes its module.

    Attributes:
        modules: the ``id`` of every module of the tree.
        at_rest: whether every parameter is a ``Parameter``: else some other functional call may be under way.
    """

    def __init__(self, root: Any) -> None:
        walked, self.modules = walk(root)
        super().__init__(root, walked)
        parameters = [tensor for _, module in walked for tensor in module._parameters.values()]
        self.at_rest = all(tensor is None or isinstance(tensor, torch.nn.Parameter) for tensor in parameters)
        children = [module._modules for _, module in walked]
        containers = children + [
            container for _, module in walked for container in (module._parameters, module._buffers)
        ]
        self._empty = [container for container in containers if not len(container)]
        self._filled = [container for container in containers if len(container)]
        self._sizes = list(map(len, self._filled))
        self._parents = [container for container in children for _ in range(len(container))]
        self._child_names = list(chain.from_iterable(container.keys() for container in children))
        self._children = list(map(getitem, self._parents, self._child_names))

    def still_holds(self, tensors: bool) -> bool:
        """Whether the module has the submodules and the names that it had, and, if asked, also the same tensors."""
        try:
            there = map(getitem, self.dicts, self.names)
            return (
                not any(self._empty)
                and list(map(len, self._filled)) == self._sizes
                and all(map(is_, map(getitem, self._parents, self._child_names), self._children))
                and (all(map(is_, there, self.tensors)) if tensors else len(list(there)) == len(self.tensors))
            )
        except KeyError:
            return False


def check_strict(tree: Tree, keys: Sequence[str], tie_weights: bool) -> None:
    """Raise RuntimeError, with both lists, unless *keys* are the names of all parameters and buffers.

    With *tie_weights*, one name of a tied tensor stands for all of them.
    """
    names = every_name(tree.root)
    given = set(keys)
    if tie_weights:
        tensors = {names[key] for key in given if key in names}
        given.update(name for name, tensor in names.items() if tensor in tensors)
    messages = [
        "{} key(s): {}.".format(label, ", ".join(map(repr, sorted(wrong))))
        for label, wrong in (("Unexpected", given - set(names)), ("Missing", set(names) - given))
        if wrong
    ]
    if messages:
        raise RuntimeError("strict call of {}:\n\t{}".format(type(tree.root).__name__, "\n\t".join(messages)))
