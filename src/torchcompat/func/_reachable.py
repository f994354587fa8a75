"""What a function may use beside its arguments: the tensors and random generators that it captures, holds or names."""

from __future__ import annotations

import types
from collections import deque
from functools import lru_cache, partial
from typing import Any, Iterable, Iterator

import torch

_MOST = 2000  # objects to look at, so that a function of a large model costs no more than a millisecond or two
_TENSORS = {torch.Tensor, torch.nn.Parameter}
_PLAIN = {int, bool, float, complex, str, bytes, type(None), torch.dtype, torch.Size}
_LIBRARY = ("torch", "torchcompat")


def generators(*roots: Any) -> list[Any]:
    """The generators that *roots*, functions and their arguments, lead to.

    Torch passes a draw from a generator of the caller's by everybody who could see it, up to 1.12:
    ``torch.randn(2, generator=g)``. Its state shows it, if the generator is known.
    """
    return _found({torch.Generator}, roots)


def tensors(kinds: set[Any], *roots: Any) -> list[Any]:
    """The tensors, of these *kinds* beside torch's own two, that *roots* lead to; not those of subclasses."""
    return _found(_TENSORS | kinds, roots)


def _found(kinds: set[Any], roots: Any) -> list[Any]:
    found: dict[int, Any] = {}
    seen: set[int] = set()
    passed = _PLAIN | (_TENSORS - kinds)
    pending = deque(roots)  # what is near comes first
    while pending and len(seen) < _MOST:
        value = pending.popleft()
        kind = type(value)
        if kind in kinds:
            found[id(value)] = value
        elif kind not in passed and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, torch.nn.Module):
                _add_layer(value, pending)
            else:
                pending += _parts(value)
    return list(found.values())


def _add_layer(layer: Any, pending: deque[Any]) -> None:
    """Its attributes, without what no layer uses: hooks and flags. Most of what a function leads to is in layers."""
    own = layer.__dict__
    for name in _HELD:
        held = own.get(name)
        if held:
            pending += held.values()
    for name in own.keys() - _OF_EVERY_LAYER:
        if type(own[name]) not in _PLAIN:
            pending.append(own[name])
    if not _is_library(type(layer).__module__):
        pending += _of_classes(type(layer))


_HELD = ("_parameters", "_buffers", "_modules")
_OF_EVERY_LAYER = {*vars(torch.nn.Module()), "_flat_weights", "_flat_weights_names", "_all_weights"}


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, types.MethodType):
        return (value.__func__, value.__self__)
    if isinstance(value, types.FunctionType):
        return _of_function(value)
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return ()
    return [*getattr(value, "__dict__", {}).values(), *_of_classes(type(value))]


@lru_cache(maxsize=None)
def _is_library(module: str | None) -> bool:
    return (module or "").split(".")[0] in _LIBRARY


def _of_function(function: Any) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            pass
    yield function.__defaults__
    yield function.__kwdefaults__
    yield from vars(function).values()
    if _is_library(function.__module__):
        return
    names = _names(function.__code__)
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType) and not _is_library(value.__name__):
            for attribute in names & vars(value).keys():
                yield vars(value)[attribute]
        else:
            yield value


@lru_cache(maxsize=4096)
def _names(code: Any) -> set[str]:
    """The names of globals and attributes in a piece of code and those within it."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


@lru_cache(maxsize=1024)
def _classes(kind: Any) -> list[Any]:
    """A class and those that it is derived from, without those of libraries."""
    return [cls for cls in kind.__mro__ if cls.__module__ != "builtins" and not _is_library(cls.__module__)]


def _of_classes(kind: Any) -> list[Any]:
    return [part for cls in _classes(kind) for part in list(vars(cls).values()) if isinstance(part, _ON_CLASSES)]


_ON_CLASSES = (types.FunctionType, torch.Generator, torch.Tensor)
