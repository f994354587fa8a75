"""Calling a module with other tensors: what is passed, and how it is swapped in and out exactly."""

from __future__ import annotations

from collections import abc, deque
from functools import partial
from itertools import chain
from operator import getitem, is_, setitem
from typing import Any, Callable, Iterator, Sequence, TypeVar

import torch

from .. import _torch
from .._shim import SHIMS
from .._torch import at_least, hide_from_compiler
from ._exclusive import exclusive
from ._module_tree import (
    MISSING,
    UNINITIALIZED,
    Tree,
    WatchedTree,
    attribute,
    check_strict,
    read,
    recomputed,
    values,
    walk,
    write,
)

F = TypeVar("F", bound=Callable[..., Any])
State = Any  # a dict of tensors by name, or a list or tuple of such dicts

ACCEPTED = frozenset([torch.Tensor, torch.nn.Parameter, type(None)])
SCRIPTED = tuple(kind for kind in map(_torch.find, ("torch.jit.ScriptModule", "torch.jit.ScriptFunction")) if kind)


def _run(iterator: Iterator[Any]) -> None:
    """Exhaust *iterator* without a Python loop: a signal cannot stop it half way."""
    deque(iterator, maxlen=0)


def merge(state: State) -> tuple[tuple[str, ...], list[Any]]:
    """The names and the tensors of *state*, checked.

    Raises:
        ValueError: if it is neither a dict nor a list or tuple of dicts, or if two dicts have a key in common.
        TypeError: if a value is neither a tensor nor None.
    """
    if isinstance(state, dict):
        names, tensors = tuple(state), list(state.values())
    elif isinstance(state, abc.Sequence) and all(isinstance(part, dict) for part in state):
        names = tuple(chain.from_iterable(state))
        tensors = list(chain.from_iterable(map(values, state)))
        if len(set(names)) < len(names):
            repeated = sorted({repr(name) for name in names if names.count(name) > 1})
            raise ValueError("these names are in more than one of the dicts: " + ", ".join(repeated))
    else:
        got = type(state).__name__
        if isinstance(state, (list, tuple)):
            got += " of " + ", ".join(sorted({type(part).__name__ for part in state}))
        raise ValueError("parameters and buffers must be a dict, or a list or tuple of dicts; got " + got)
    if not ACCEPTED.issuperset(map(type, tensors)):
        for name, tensor in zip(names, tensors):
            if not (tensor is None or isinstance(tensor, torch.Tensor)):
                raise TypeError(f"the value of {name!r} must be a tensor or None, got {type(tensor).__name__}")
    return names, tensors


def _owner(state: State, name: str) -> dict[str, Any]:
    """The dict of *state* that *name* came from."""
    return state if isinstance(state, dict) else next((part for part in state if name in part), {})


def check_module(module: Any) -> None:
    """Refuse what torch refuses.

    Raises:
        RuntimeError: for a scripted or traced module, under ``torch.jit.trace``, and for a ``DataParallel``, whose
            replicas would see the module's own tensors (https://github.com/pytorch/pytorch/issues/77576).
        TypeError: *module* is not a ``torch.nn.Module``.
    """
    if isinstance(module, SCRIPTED):
        raise RuntimeError("a scripted or traced module cannot be called with other parameters; call the eager module")
    if isinstance(module, torch.nn.DataParallel):
        raise RuntimeError("a DataParallel cannot be called with other parameters; call its .module")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")


NATIVE = _torch.find("torch.func.functional_call")


def _never() -> bool:
    return False


# From 2.5 the compiler traces torch's own functional call, and looks again at every parameter that it has seen.
is_compiling: Callable[[], bool] = torch.compiler.is_compiling if at_least(2, 5) else _never
# The compiler of torch 2.0 to 2.4 takes the tensors that it sees first in a module for constants, silently:
# https://github.com/pytorch/pytorch/issues/127173.
_hidden_up_to_2_4: Callable[[F], F] = (lambda function: function) if at_least(2, 5) else hide_from_compiler


def call_native(module: Any, state: State, args: Any, kwargs: Any, tie_weights: bool, strict: bool) -> Any:
    """Torch's own functional call, which its compiler knows how to trace."""
    return NATIVE(module, state, args, kwargs, tie_weights=tie_weights, strict=strict)


def check_not_tracing() -> None:
    """Raise RuntimeError under ``torch.jit.trace``, which would keep the tensors passed in as constants."""
    if torch._C._get_tracing_state() is not None:
        raise RuntimeError("a functional call cannot be traced by torch.jit.trace")


def _share_memory(first: Any, second: Any) -> bool:
    """Whether both are views of the same memory, with the same layout, and have no gradient."""
    try:
        return bool(
            first.data_ptr() == second.data_ptr() != 0
            and (first.shape, first.stride(), first.dtype) == (second.shape, second.stride(), second.dtype)
            and not (first.requires_grad or second.requires_grad)
        )
    except (AttributeError, RuntimeError, NotImplementedError):  # None, or a tensor without memory of its own
        return False


class Route:
    """How tensors that are passed under *keys* reach their places in *tree*.

    Args:
        tree: where the module's tensors sit.
        keys: the names, in the order in which the tensors will come.
        tie_weights: whether a tensor goes to all places of the one that it replaces.
        strict: whether *keys* must name every parameter and buffer, and nothing else.
        memory_counts: whether tied names may get two tensors that share their memory and need no gradient.
    """

    def __init__(
        self, tree: Tree, keys: tuple[str, ...], tie_weights: bool, strict: bool, memory_counts: bool = False
    ) -> None:
        self.tree = tree
        self.memory_counts = memory_counts
        self.keys = keys
        if strict:
            check_strict(tree, keys, tie_weights)
        self.same: list[tuple[int, int]] = []  # pairs of values that must be one object, since they are tied
        self.lasting = True  # until the structure of the tree changes
        self.attributes: list[int] = []  # values that go to no parameter or buffer of the tree
        self.own: list[tuple[int, int]] = []  # value, and its index among the swapped places
        self.pick: list[int] | None = None  # by swapped place: which value goes there, if not each to its own
        places = self._direct() or self._resolved(tie_weights)
        self.dicts = list(map(tree.dicts.__getitem__, places))
        self.names = list(map(tree.names.__getitem__, places))
        self.old = list(map(tree.tensors.__getitem__, places))
        touched = self._touched() if tree.recomputing else []
        self.kept = [kept for module in touched for kept in recomputed(module)]
        self.recurrent = [module for module in touched if isinstance(vars(module).get("_flat_weights"), list)]

    def _touched(self) -> list[Any]:
        """The modules that compute something from a tensor that is replaced."""
        touched = set(map(id, self.dicts))
        return [
            module
            for module in self.tree.recomputing
            if id(module._parameters) in touched or id(module._buffers) in touched
        ]

    def _direct(self) -> list[int] | None:
        """The plain case, without a Python loop: every key is a place's first name, and nothing is tied."""
        if self.tree.ties:
            return None
        places: list[Any] = list(map(self.tree.place.get, self.keys))
        return None if None in places else places

    def _resolved(self, tie_weights: bool) -> list[int]:
        source: dict[int, int] = {}  # by place: the value that goes there
        own: list[tuple[int, int]] = []
        for index, key in enumerate(self.keys):
            if not isinstance(key, str):
                raise TypeError(f"the names of parameters and buffers must be strings, got {key!r}")
            place, registered = self.tree.find(key)
            self.lasting = self.lasting and registered
            if place is None:
                self.attributes.append(index)
                continue
            own.append((index, place))
            if tie_weights and place in source:
                self.same.append((source[place], index))
            source.update((tied, index) for tied in (self.tree.tied(place) if tie_weights else (place,)))
        order = {place: n for n, place in enumerate(source)}
        self.own = [(index, order[place]) for index, place in own]
        self.pick = list(source.values())
        return list(source)

    def _check(self, tensors: list[Any], replaced: list[Any]) -> None:
        for first, second in self.same:
            one, other = tensors[first], tensors[second]
            if one is not other and not (self.memory_counts and _share_memory(one, other)):
                raise ValueError(
                    f"{self.keys[first]!r} and {self.keys[second]!r} are one tensor in the module (tied), but got "
                    "different tensors; pass one of them, the same object for both, or tie_weights=False"
                )
        if self.tree.has_lazy and any(type(tensor) in UNINITIALIZED for tensor in replaced):
            raise RuntimeError(
                f"{type(self.tree.root).__name__} has a lazy module whose parameters are not initialized, and would be "
                "left half initialized; call it once in the ordinary way first"
            )

    def call(self, state: State, tensors: list[Any], args: Sequence[Any], kwargs: dict[str, Any], nested: bool) -> Any:
        """Swap *tensors* in, call the module, and put the very objects that were there back.

        Unless *nested* in another call, those are the tensors of the tree.
        """
        dicts, names = self.dicts, self.names
        new: Sequence[Any] = tensors if self.pick is None else [tensors[index] for index in self.pick]
        old = list(map(getitem, dicts, names)) if nested else self.old
        if self.same or self.tree.has_lazy:
            self._check(tensors, old)
        attributes = [attribute(self.tree.root, self.keys[index], tensors[index]) for index in self.attributes]
        saved = [(namespace, name, read(namespace, name)) for namespace, name, _ in attributes]
        saved += [(namespace, name, read(namespace, name)) for namespace, name in self.kept]
        try:
            _run(map(setitem, dicts, names, new))
            for namespace, name, value in attributes:
                write(namespace, name, value)
            self._refresh_recurrent()
            return self.tree.root(*args, **kwargs)
        finally:
            try:
                changed = self._reassigned(new, attributes)
            finally:
                _run(map(setitem, dicts, names, old))
                for namespace, name, value in reversed(saved):
                    write(namespace, name, value)
            for index, tensor in changed:
                _owner(state, self.keys[index])[self.keys[index]] = tensor

    def _reassigned(self, new: Sequence[Any], attributes: Sequence[Any]) -> list[tuple[int, Any]]:
        """What the forward put in place of what it was given: the index among the tensors passed, and the new one."""
        changed: list[tuple[int, Any]] = []
        try:
            untouched = all(map(is_, map(getitem, self.dicts, self.names), new))
        except KeyError:
            untouched = False
        if not untouched:
            there = list(map(read, self.dicts, self.names))
            own = enumerate(range(len(new))) if self.pick is None else self.own
            changed += [(index, there[n]) for index, n in own if there[n] is not new[n]]
        for index, (namespace, name, value) in zip(self.attributes, attributes):
            changed.append((index, read(namespace, name)))
            if changed[-1][1] is value:
                changed.pop()
        return [(index, tensor) for index, tensor in changed if tensor is not MISSING]

    def _refresh_recurrent(self) -> None:
        # From 1.4 a recurrent network runs on this list, which only its __setattr__ keeps up to date; from 2.0 it looks
        # whether the list is stale, https://github.com/pytorch/pytorch/pull/91111.
        for module in self.recurrent:
            vars(module)["_flat_weights"] = [getattr(module, name, None) for name in module._flat_weights_names]


class FunctionalModule:
    """What :func:`torchcompat.func.functional_module` returns; see there."""

    _MOST_ROUTES = 16

    def __init__(self, module: Any, tie_weights: bool = True, strict: bool = False) -> None:
        check_module(module)
        self.module = module
        self._tie_weights = tie_weights
        self._strict = strict
        self._routes: dict[tuple[str, ...], Route] = {}
        with exclusive(walk(module)[1]):
            self._tree = WatchedTree(module)

    def __call__(self, params_and_buffers: State, *args: Any, **kwargs: Any) -> Any:
        if is_compiling():
            return call_native(self.module, params_and_buffers, args, kwargs, self._tie_weights, self._strict)
        return self._call(params_and_buffers, args, kwargs)

    @_hidden_up_to_2_4
    def _call(self, params_and_buffers: State, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        names, tensors = merge(params_and_buffers)
        check_not_tracing()
        claimed = self._tree.modules
        while True:
            with exclusive(claimed) as nested:
                tree = self._current_tree(nested)
                if tree.modules is claimed or tree.modules <= claimed:
                    return self._route(tree, names).call(params_and_buffers, tensors, args, kwargs, nested)
            claimed = claimed | tree.modules

    def _current_tree(self, nested: bool) -> WatchedTree:
        # Inside another call of this module its tensors are swapped: what is tied now says nothing about the module.
        if self._tree.still_holds(tensors=not nested):
            return self._tree
        tree = WatchedTree(self.module)
        if tree.at_rest and not nested:
            self._tree, self._routes = tree, {}
        return tree

    def _route(self, tree: WatchedTree, names: tuple[str, ...]) -> Route:
        route = self._routes.get(names) if tree is self._tree else None
        if route is None:
            route = Route(tree, names, self._tie_weights, self._strict, memory_counts=True)
            if route.lasting and tree is self._tree:
                if len(self._routes) == self._MOST_ROUTES:
                    self._routes.clear()
                self._routes[names] = route
        return route

    def __reduce__(self) -> tuple[Any, ...]:
        # By the public name of what makes one: this module may be moved.
        make = SHIMS["func.functional_module"].fallback
        return partial(make, tie_weights=self._tie_weights, strict=self._strict), (self.module,)

    def __repr__(self) -> str:
        return f"functional_module({self.module!r}, tie_weights={self._tie_weights}, strict={self._strict})"


def call_once(
    module: Any, state: State, args: Any, kwargs: dict[str, Any] | None, tie_weights: bool, strict: bool
) -> Any:
    """One functional call of *module*; see :func:`torchcompat.func.functional_call`."""
    if is_compiling():
        return call_native(module, state, args, kwargs, tie_weights, strict)
    return _call_once(module, state, args, kwargs, tie_weights, strict)


@_hidden_up_to_2_4
def _call_once(module: Any, state: State, args: Any, kwargs: Any, tie_weights: bool, strict: bool) -> Any:
    names, tensors = merge(state)
    check_module(module)
    check_not_tracing()
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    walked, modules = walk(module)
    with exclusive(modules):
        route = Route(Tree(module, walked), names, tie_weights, strict)
        return route.call(state, tensors, positional, kwargs or {}, nested=False)
