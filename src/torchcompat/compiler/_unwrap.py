"""Models without the wrappers that ``torch.compile`` puts around modules, and state dicts without their names."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import torch

from .._torch import UnsupportedError
from ._compile import COMPILES

_NAME = "_orig_mod"


def _wrapper_class() -> Any:
    """The class of compiled modules, or None where there can be no such module: the compiler is not imported."""
    return getattr(sys.modules.get("torch._dynamo.eval_frame"), "OptimizedModule", None)


class OfWrappers(type):
    """The type of a class whose instances and subclasses are those of torch's class of compiled modules."""

    def __instancecheck__(cls, instance: Any) -> bool:
        theirs = _wrapper_class()
        return theirs is not None and isinstance(instance, theirs)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        theirs = _wrapper_class()
        return subclass is cls or (theirs is not None and issubclass(subclass, theirs))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # torchcompat: needs torch >= 2.0
        if not COMPILES:
            raise UnsupportedError(f"{cls.__name__} needs a torch that compiles, this is torch {torch.__version__}")
        return import_module("torch._dynamo.eval_frame").OptimizedModule(*args, **kwargs)


def _bare(module: Any, wrapper: Any, parallel: bool) -> Any:
    containers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if wrapper is not None and isinstance(module, wrapper):
            module = module._orig_mod
        elif parallel and isinstance(module, containers):
            module = module.module
        else:
            return module


def unwrap(module: Any, parallel: bool, done: dict[int, Any]) -> Any:
    """*module* without wrappers at any depth; itself if there are none below it."""
    bare = _bare(module, _wrapper_class(), parallel)
    if id(bare) in done:
        return done[id(bare)]
    children = {
        # Not by truth: that of a compiled module asks the module for its length.
        name: None if child is None else unwrap(child, parallel, done)
        for name, child in bare._modules.items()
    }
    if any(child is not bare._modules[name] for name, child in children.items()):
        copied = bare.__class__.__new__(bare.__class__)
        copied.__dict__.update(bare.__dict__)
        copied.__dict__["_modules"] = type(bare._modules)(children)
        done[id(bare)] = copied
    return done.setdefault(id(bare), bare)


def _clean(key: str, keep_last: bool) -> str:
    parts = key.split(".")
    last = parts[-1:] if keep_last else []
    first = parts[:-1] if keep_last else parts
    return ".".join([part for part in first if part != _NAME] + last)


def clean(state_dict: Any) -> Any:
    """*state_dict* with clean keys."""
    came_from: dict[Any, Any] = {}
    result = state_dict.__class__()
    for key, value in state_dict.items():
        new = _clean(key, keep_last=True) if isinstance(key, str) else key
        if new in came_from:
            raise ValueError(f"the keys {came_from[new]!r} and {key!r} would both become {new!r}")
        came_from[new] = key
        result[new] = value
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        cleaned = metadata.__class__()
        for key, value in metadata.items():
            # A wrapper's own entry is the less telling one: that of the module below it has its version.
            if key.split(".")[-1] != _NAME:
                cleaned.setdefault(_clean(key, keep_last=False), value)
        for key, value in metadata.items():
            if key.split(".")[-1] == _NAME:
                cleaned[_clean(key, keep_last=False)] = value
        result._metadata = cleaned
    return result
