"""``torch.compiler`` on every torch: questions that never import the compiler, its settings, and marks for it.

docs/compile.md tells what holds on which torch, and what is not here.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Callable, Mapping

import torch

from .. import _torch
from .._shim import Limit, facade, polyfill
from .._torch import UnsupportedError, at_least, find
from . import _compile, _unwrap
from ._marks import graph_break as graph_break
from ._marks import mark_dynamic as mark_dynamic
from ._marks import mark_static as mark_static
from ._marks import mark_static_address as mark_static_address
from ._marks import mark_unbacked as mark_unbacked
from ._marks import maybe_mark_dynamic as maybe_mark_dynamic
from ._settings import Settings

if TYPE_CHECKING:
    from .._types import Backend, F, P, R, Stance, Switch

__all__ = [
    "COMPILES",
    "OptimizedModule",
    "allow_in_graph",
    "assume_constant_result",
    "clean_state_dict",
    "compile",
    "config",
    "cudagraph_mark_step_begin",
    "disable",
    "graph_break",
    "inductor_config",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "mark_static_address",
    "mark_unbacked",
    "maybe_mark_dynamic",
    "reset",
    "set_stance",
    "substitute_in_graph",
    "unwrap_compiled",
]

#: Whether the installed torch can compile on this Python and platform.
COMPILES = _compile.COMPILES

_NAMESPACE = "https://github.com/pytorch/pytorch/pull/102182"
_STANCES = (
    "default",
    "force_eager",
    "eager_on_recompile",
    "fail_on_recompile",
    "eager_then_compile",
    "aot_eager_then_compile",
)
# torch's own, where it can be used.
_usable: Callable[[str], Any] = lambda name: find("torch.compiler." + name) if COMPILES else None  # noqa: E731
_allow_in_graph, _assume_constant_result = _usable("allow_in_graph"), _usable("assume_constant_result")
_disable, _list_backends, _set_stance = _usable("disable"), _usable("list_backends"), _usable("set_stance")
_substitute_in_graph = _usable("substitute_in_graph")
_is_dynamo_compiling: Any = find("torch.compiler.is_dynamo_compiling") or _torch.compiling


def _callable(function: Any) -> Any:
    if not callable(function):
        raise TypeError(f"fn must be a function or a module, got {type(function).__name__}")
    return function


@polyfill(
    "torch.compiler.compile",
    since="2.14",
    link="https://github.com/pytorch/pytorch/pull/187010",
    reason="no `dynamic_shapes`",
)
def compile(*args: Any, **kwargs: Any) -> Any:
    """The same as :func:`torchcompat.compile`.

    In torch since 2.14. Fallback: calls :func:`torchcompat.compile`.
    """
    return _compile.compile(*args, **kwargs)


@polyfill("torch.compiler.is_compiling", since="2.3", link="https://github.com/pytorch/pytorch/pull/119602")
def is_compiling() -> bool:
    """Whether this code is being traced by ``torch.compile`` or ``torch.export``.

    In torch since 2.3. Fallback: asks torch under the name that it has; False before torch 2.1.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.is_compiling.html

    Imports nothing, and can be compiled itself.
    """
    return _torch.compiling()


@polyfill("torch.compiler.is_dynamo_compiling", since="2.3", link="https://github.com/pytorch/pytorch/pull/119602")
def is_dynamo_compiling() -> bool:
    """Whether this code is being traced by the compiler's front end.

    In torch since 2.3. Fallback: whether anything compiles, which before 2.3 is the same; False before torch 2.1.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.is_dynamo_compiling.html
    """
    return bool(_is_dynamo_compiling())


@polyfill(
    "torch.compiler.is_exporting",
    since="2.12",
    link="https://github.com/pytorch/pytorch/pull/176499",
    limits=[Limit("export", "is False under torch.export too", "fallback", "2.1", "2.6")],
    reason="is True under `torch.compile` as well",
)
def is_exporting() -> bool:
    """Whether this code is being traced by ``torch.export``.

    In torch since 2.12. Fallback: reads torch's flag, since its function from 2.7 to 2.11 says True under
    ``torch.compile`` as well (https://github.com/pytorch/pytorch/issues/176347); there is no flag before 2.7.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.is_exporting.html
    """
    if at_least(2, 7):
        anything: Any = torch
        return bool(anything.compiler._is_exporting_flag)
    return False


@polyfill("torch.compiler.reset", since="2.1", link=_NAMESPACE)
def reset() -> None:
    """Forget everything that was compiled in this process.

    In torch since 2.1. Fallback: nothing to do before the compiler is imported.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.reset.html
    """
    compiler: Any = sys.modules.get("torch._dynamo")
    if compiler is not None:
        compiler.reset()


@polyfill(
    "torch.compiler.disable", since="2.8", link="https://github.com/pytorch/pytorch/pull/150341", reason="no `reason`"
)
def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Keep a function out of compiled graphs: ``@disable``, ``@disable()``, ``disable(function)``.

    In torch since 2.8. Fallback: torch's own from 2.1, less *reason*; before, the function itself.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.disable.html

    Args:
        fn: the function or module; left out, a decorator is returned.
        recursive: whether what it calls is kept out too.
        reason: what torch 2.8 and newer say when they come to it.

    Raises:
        TypeError: *fn* cannot be called.
    """
    if fn is None:
        return lambda function: disable(_callable(function), recursive, reason=reason)
    _callable(fn)
    if _disable is None:
        return fn
    return _disable(fn, recursive, reason=reason) if at_least(2, 8) else _disable(fn, recursive)


@polyfill("torch.compiler.allow_in_graph", since="2.1", link=_NAMESPACE)
def allow_in_graph(fn: Any) -> Any:
    """Put calls of a function into compiled graphs as they are, without a look inside.

    In torch since 2.1. Fallback: the function itself.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.allow_in_graph.html

    Args:
        fn: a function, or a list or tuple of functions, for which a list is returned.

    Raises:
        TypeError: *fn* cannot be called.
    """
    for function in fn if isinstance(fn, (list, tuple)) else [fn]:
        _callable(function)
    if _allow_in_graph is not None:
        return _allow_in_graph(fn)
    return list(fn) if isinstance(fn, (list, tuple)) else fn


@polyfill("torch.compiler.assume_constant_result", since="2.1", link=_NAMESPACE)
def assume_constant_result(fn: F) -> F:
    """Tell the compiler that a function always returns the same.

    In torch since 2.1. Fallback: the function itself.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.assume_constant_result.html
    """
    _callable(fn)
    return fn if _assume_constant_result is None else _assume_constant_result(fn)


@polyfill("torch.compiler.list_backends", since="2.1", link=_NAMESPACE)
def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names that ``torch.compile(backend=...)`` takes, sorted.

    In torch since 2.1. Fallback: none where nothing compiles.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.list_backends.html

    Args:
        exclude_tags: leave out backends with one of these tags.
    """
    return [] if _list_backends is None else list(_list_backends(exclude_tags))


@polyfill(
    "torch.compiler.cudagraph_mark_step_begin", since="2.2", link="https://github.com/pytorch/pytorch/pull/111722"
)
def cudagraph_mark_step_begin() -> None:
    """Tell CUDA graphs that a new step begins, so that the tensors of the last one may be overwritten.

    In torch since 2.2. Fallback: nothing to tell before the compiler has made CUDA graphs.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.cudagraph_mark_step_begin.html
    """
    graphs: Any = sys.modules.get("torch._inductor.cudagraph_trees")
    if graphs is not None:
        graphs.mark_step_begin()


class _Stance:
    """What `set_stance` returns where there is nothing to set."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass

    def __call__(self, function: Any) -> Any:
        return _callable(function)


@polyfill(
    "torch.compiler.set_stance",
    since="2.6",
    link="https://github.com/pytorch/pytorch/pull/137504",
    limits=[Limit("stance", "takes only the default stance", "fallback", "2.1", "2.5")],
)
def set_stance(
    stance: Stance = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Backend | None = None
) -> Switch:
    """Say whether compiled functions run compiled: for good, for a ``with`` block, or for a decorated function.

    In torch since 2.6. Fallback: without effect where nothing compiles; torch takes an unknown stance without a word.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.set_stance.html

    Args:
        stance: "default", "force_eager", "eager_on_recompile", "fail_on_recompile", "eager_then_compile" (torch 2.7) or
            "aot_eager_then_compile" (torch 2.8).
        skip_guard_eval_unsafe: check only the guards that differ.
        force_backend: a backend for everything, with "default" only.

    Raises:
        ValueError: an unknown stance.
        RuntimeError: *force_backend* with another stance than the default.
        UnsupportedError: the installed torch compiles and has no such stance.
    """
    if stance not in _STANCES:
        raise ValueError(f"stance must be one of {', '.join(map(repr, _STANCES))}; got {stance!r}")
    if stance != "default" and force_backend is not None:
        raise RuntimeError("non-default stance cannot have force_backend set")
    if not COMPILES:
        return _Stance()
    if _set_stance is not None:
        extra = {"skip_guard_eval_unsafe": True} if skip_guard_eval_unsafe else {}
        switch: Switch = _set_stance(stance, force_backend=force_backend, **extra)
        return switch
    if stance != "default" or force_backend is not None:
        raise UnsupportedError("set_stance needs torch 2.6 or newer; compile with disable=True instead")
    return _Stance()


@polyfill("torch.compiler.substitute_in_graph", since="2.5", link="https://github.com/pytorch/pytorch/pull/133712")
def substitute_in_graph(
    original_fn: Callable[P, R], *, can_constant_fold_through: bool = False, skip_signature_check: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give the compiler Python code for a function that it cannot look into: a decorator of that code.

    What the decorator returns calls *original_fn*; the code is for compiled graphs only.

    In torch since 2.5. Fallback: the same outside of graphs; a compiler that cannot be told breaks the graph there.
    https://docs.pytorch.org/docs/stable/generated/torch.compiler.substitute_in_graph.html

    Raises:
        TypeError: one of both cannot be called.
    """
    _callable(original_fn)
    if _substitute_in_graph is None:
        return lambda code: functools.wraps(_callable(code))(lambda *args, **kwargs: original_fn(*args, **kwargs))
    told: Callable[[Callable[P, R]], Callable[P, R]] = _substitute_in_graph(
        original_fn,
        can_constant_fold_through=can_constant_fold_through,
        skip_signature_check=skip_signature_check,
    )
    return told


@facade("compiler.unwrap_compiled")
def unwrap_compiled(module: torch.nn.Module, *, parallel: bool = False) -> torch.nn.Module:
    """The model without the wrappers that ``torch.compile`` put around it and around modules inside it.

    Not in torch. ``getattr(model, "_orig_mod", model)`` misses the modules inside.

    Args:
        module: any module.
        parallel: also take off ``DataParallel`` and ``DistributedDataParallel``.

    Returns:
        *module* itself where nothing is wrapped; the module that was compiled; or, where a module inside is wrapped, a
        copy of those that contain it, which shares every parameter, buffer and other module. *module* is not changed.
        What ``Module.compile`` compiled in place has no wrapper and stays as it is.

    Raises:
        TypeError: *module* is no module.
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    unwrapped: torch.nn.Module = _unwrap.unwrap(module, parallel, {})
    return unwrapped


@facade("compiler.clean_state_dict")
def clean_state_dict(state_dict: Mapping[str, Any]) -> Any:
    """A state dict without the ``_orig_mod.`` that compiled modules put into its keys, at any depth.

    Not in torch. It loads into the model as it was before it was compiled, whole or in parts.

    Args:
        state_dict: a dict of str to anything; it is not changed.

    Returns:
        A dict of the same class with the same values, and with the module versions that torch notes beside the keys.

    Raises:
        TypeError: *state_dict* is no dict.
        ValueError: two keys would become one.
    """
    if not isinstance(state_dict, dict):
        raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
    return _unwrap.clean(state_dict)


@facade("compiler.config")
class config(metaclass=Settings, paths=("torch._dynamo.config", "torch.compiler.config")):
    """The settings of the compiler: ``config.recompile_limit = 16``, ``with config.patch(suppress_errors=True): ...``.

    Not in torch as one name: torch._dynamo.config, and torch.compiler.config for what only that one has. The first
    setting that is read or written imports the compiler, as torch's own name does, and an unknown one is refused as
    torch refuses it. A patch imports it when its block begins. Settings that torch 2.6 renamed have both names.

    Where nothing compiles, any setting may be written, patched and read back; one that nobody has written has torch
    2.15's value, or, if it is not among the known ones, raises AttributeError.
    """


@facade("compiler.inductor_config")
class inductor_config(metaclass=Settings, paths=("torch._inductor.config",)):
    """The settings of the backend Inductor: ``inductor_config.triton.cudagraphs = True``.

    Not in torch's public names: torch._inductor.config. All else is as for :obj:`torchcompat.compiler.config`.
    """


@facade("compiler.OptimizedModule")
class OptimizedModule(metaclass=_unwrap.OfWrappers):
    """The class of what ``torch.compile`` makes of a module, to test with: ``isinstance(model, OptimizedModule)``.

    Not in torch's public names: torch._dynamo.OptimizedModule. The compiler is not imported: before it is, no object
    is of this class. A call makes an object of torch's own, or raises UnsupportedError where nothing compiles.
    """
