"""Which random generators a function may draw from: what it is called with, and what it captures, holds or names.

Torch passes a draw from a generator of the caller's by everybody who could see it, up to 1.12: ``torch.randn(2,
generator=g)``. Its state shows it, if the generator is known.
"""

from __future__ import annotations

import types
from functools import partial
from typing import Any, Iterable, Iterator

import torch

_MOST = 2000  # objects to look at, so that a function of a large model costs no more than a millisecond or two
_PLAIN = {int, bool, float, complex, str, bytes, type(None), torch.Tensor, torch.nn.Parameter, torch.dtype, torch.Size}
_LIBRARY = ("torch", "torchcompat")


def reachable(*roots: Any) -> list[Any]:
    """The generators that *roots*, functions and their arguments, lead to."""
    found: list[Any] = []
    seen: set[int] = set()
    pending = [iter(roots)]
    while pending and len(seen) < _MOST:
        value = next(pending[-1], pending)
        if value is pending:
            pending.pop()
        elif type(value) is torch.Generator:
            if not any(value is one for one in found):
                found.append(value)
        elif type(value) not in _PLAIN and id(value) not in seen:
            seen.add(id(value))
            pending.append(iter(list(_parts(value))))
    return found


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, torch.nn.Module):
        return _of_layer(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, types.MethodType):
        return (value.__func__, value.__self__)
    if isinstance(value, types.FunctionType):
        return _of_function(value)
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return ()
    return _of_object(value)


def _is_library(module: Any) -> bool:
    return str(module or "").split(".")[0] in _LIBRARY


def _of_function(function: Any) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            pass
    yield function.__defaults__
    yield function.__kwdefaults__
    yield vars(function)
    if _is_library(function.__module__):
        return
    names = set(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType) and not _is_library(value.__name__):
            for attribute in names:
                yield vars(value).get(attribute)
        else:
            yield value


def _names(code: Any) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _of_layer(layer: Any) -> Iterator[Any]:
    """Without what every layer has: parameters, buffers, hooks."""
    for name, attribute in list(vars(layer).items()):
        if name == "_modules" or not name.startswith("_"):
            yield attribute
    yield from _of_classes(type(layer))


def _of_object(value: Any) -> Iterator[Any]:
    yield from list(getattr(value, "__dict__", {}).values())
    yield from _of_classes(type(value))


def _of_classes(kind: Any) -> Iterator[Any]:
    for cls in kind.__mro__:
        if cls.__module__ != "builtins" and not _is_library(cls.__module__):
            for attribute in list(vars(cls).values()):
                if isinstance(attribute, (types.FunctionType, torch.Generator)):
                    yield attribute
