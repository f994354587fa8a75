"""Operators that are defined by a schema, and their kernels, by torch's own ``Library``, which is there from 1.12."""

from __future__ import annotations

import re
from typing import Any, Callable, Sequence

import torch

from .._shim import Limit, polyfill
from .._torch import UnsupportedError, at_least, find

_LINK = "https://github.com/pytorch/pytorch/blob/v2.2.0/torch/library.py"
_TORCHS: Any = find("torch.library.Library")
Base: Any = _TORCHS or object
_alive: list[Any] = []
# Up to 2.3 torch does not say the key of a device type.
_KEYS = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU", "xla": "XLA", "meta": "Meta"}


def _refuse(what: str) -> None:
    if _TORCHS is None:
        raise UnsupportedError(
            f"{what} needs torch 1.12 or newer, this is torch {torch.__version__}: use custom_op, whose operators are "
            "called as functions"
        )


def start(library: Any, ns: str, kind: str, dispatch_key: str) -> None:
    """The constructor of `Library`."""
    _refuse("Library")
    if kind not in ("IMPL", "DEF", "FRAGMENT"):
        raise ValueError(f"Unsupported kind: {kind}")
    if ns == "prim" and kind != "IMPL":
        raise ValueError(f"{ns} is a reserved namespace. Please try creating a library with another name.")
    if at_least(2, 1):
        _TORCHS.__init__(library, ns, kind, dispatch_key)
        return
    # torch's own constructor knows no fragments there.
    library.m = torch._C._dispatch_library(kind, ns, dispatch_key, __file__, 1)
    library.ns, library.kind, library.dispatch_key, library._op_impls = ns, kind, dispatch_key, set()


def define_in(library: Any, schema: str, alias_analysis: str, tags: Any) -> str:
    """``Library.define``."""
    several = () if tags is None else tags if isinstance(tags, (list, tuple)) else (tags,)
    if several and not at_least(2, 2):
        raise UnsupportedError("Library.define(tags=...) needs torch 2.2 or newer")
    more = {"tags": several} if several else {}
    plain = schema if at_least(2, 1) else re.sub(r"\bSymInt\b", "int", schema)
    name: str = _TORCHS.define(library, plain, alias_analysis, **more)
    return name


def impl_in(library: Any, op_name: Any, fn: Any, dispatch_key: str, with_keyset: bool, allow_override: bool) -> None:
    """``Library.impl``."""
    if not callable(fn):
        raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
    if with_keyset and not at_least(2, 4):
        raise UnsupportedError("Library.impl(with_keyset=True) needs torch 2.4 or newer")
    more: dict[str, Any] = {"with_keyset": True} if with_keyset else {}
    if at_least(2, 8):
        more["allow_override"] = allow_override
    if isinstance(op_name, str) and "::" in op_name and not at_least(2, 1):
        op_name = op_name.partition("::")[2]
    key = dispatch_key or library.dispatch_key or ("" if at_least(2, 0) else "CompositeImplicitAutograd")
    _TORCHS.impl(library, op_name, fn, key, **more)


def _parsed(qualname: str) -> tuple[str, str]:
    parts = qualname.split("::")
    if len(parts) != 2:
        raise ValueError(f'Expected `qualname` to be of the form "namespace::name", but got {qualname}.')
    return parts[0], parts[1]


def _library(namespace: str, lib: Any) -> Any:
    from . import Library

    if lib is None:
        lib = Library(namespace, "FRAGMENT")
        _alive.append(lib)
    return lib


@polyfill("torch.library.define", since="2.2", link=_LINK, reason="takes a `Library`, no name")
def define(qualname: Any, schema: str, *, lib: Any = None, tags: Any = ()) -> Any:
    """Define an operator by its schema: ``define("mylib::sin", "(Tensor x) -> Tensor")``. `impl` gives it kernels.

    In torch since 2.2. Fallback: by a `Library`; UnsupportedError below 1.12.
    https://docs.pytorch.org/docs/stable/library.html

    Args:
        qualname: "namespace::name".
        schema: what it takes and returns.
        lib: a `Library` with which the operator ends; None lets it live for ever.
        tags: one of torch.Tag, or several, from 2.2 on.

    Raises:
        ValueError: *qualname* or *schema* is something else.
        UnsupportedError: this torch lets Python define no operator.
    """
    if _TORCHS is not None and isinstance(qualname, _TORCHS):

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:  # as torch's first form of it
            qualname.impl(qualname.define(schema), function)
            return function

        return decorate
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    namespace, name = _parsed(qualname)
    if not re.fullmatch(r"\(.*\) -> .*", schema):
        raise ValueError(
            'define(qualname, schema, ...): expected schema to look like e.g. "(Tensor x) -> Tensor" but got '
            f'"{schema}"'
        )
    _refuse("define")
    _library(namespace, lib).define(name + schema, "", tags=tags)
    return None


def _key(kind: str) -> str:
    if kind == "default":
        return "CompositeExplicitAutograd"
    if kind in _KEYS:
        return _KEYS[kind]
    to_key = find("torch._C._dispatch_key_for_device")
    return kind if to_key is None or kind[:1].isupper() else str(to_key(kind))


@polyfill(
    "torch.library.impl",
    since="2.2",
    link=_LINK,
    limits=[
        Limit("override", "a second kernel for the same device type raises an error", "native", "2.2", "2.12"),
        Limit("override", "a second kernel for the same device type raises an error", "fallback", "1.12", "2.7"),
    ],
    reason="takes a `Library`, no name",
)
def impl(qualname: Any, types: str | Sequence[str], func: Callable[..., Any] | None = None, *, lib: Any = None) -> Any:
    """Register a kernel of an operator that `define` has defined: ``impl("mylib::sin", "cpu", function)``.

    In torch since 2.2. Fallback: by a `Library`; UnsupportedError below 1.12.
    https://docs.pytorch.org/docs/stable/library.html

    Args:
        qualname: "namespace::name".
        types: "cpu", "cuda", ..., or several; "default" is all of them. A dispatch key is taken as well.
        func: the kernel; left out, a decorator is returned.
        lib: a `Library` with which the kernel ends.

    Raises:
        UnsupportedError: this torch lets Python define no operator.
    """
    if _TORCHS is not None and isinstance(qualname, _TORCHS):

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:  # as torch's first form of it
            qualname.impl(types, function, func or "")
            return function

        return decorate
    _refuse("impl")
    namespace, name = _parsed(qualname)

    def register(function: Callable[..., Any]) -> None:
        library = _library(namespace, lib)
        for kind in [types] if isinstance(types, str) else types:
            library.impl(name, function, _key(kind))

    return register if func is None else register(func)
