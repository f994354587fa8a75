"""What TorchScript got after torch 1.2: questions, decorators and freezing, on every torch.

What is not here, such as ``torch.jit.script`` and ``torch.jit.export``, is the same on every torch.
"""

from __future__ import annotations

import warnings
from functools import wraps
from typing import Any, Callable

import torch

from .. import _torchscript
from .._lazy import attach as _attach
from .._shim import SHIMS, Limit, polyfill
from .._torch import find
from ._typechecks import is_of

__all__ = [
    "freeze",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "optimize_for_inference",
    "script_if_tracing",
    "unused",
]

_IS_SCRIPTING = "https://github.com/pytorch/pytorch/blob/v1.3.1/torch/jit/__init__.py#L1854"
_IS_TRACING = "https://github.com/pytorch/pytorch/blob/v1.6.0/torch/jit/__init__.py#L2299"
_UNUSED = "https://github.com/pytorch/pytorch/blob/v1.3.1/torch/_jit_internal.py#L224"
_IGNORE = "https://github.com/pytorch/pytorch/blob/v1.3.1/torch/_jit_internal.py#L264"
_SCRIPT_IF_TRACING = "https://github.com/pytorch/pytorch/blob/v1.8.1/torch/jit/__init__.py#L75"
_ISINSTANCE = "https://github.com/pytorch/pytorch/blob/v1.8.1/torch/jit/__init__.py#L97"
_FREEZE = "https://github.com/pytorch/pytorch/blob/v1.8.1/torch/jit/_freeze.py#L13"
_OPTIMIZE = "https://github.com/pytorch/pytorch/blob/v1.11.0/torch/jit/_freeze.py#L135"

_BOTH = "scripted code compiles the branch that it never takes, too, so that this must be TorchScript as well"


@polyfill(
    "torch.jit.is_scripting",
    since="1.3",
    link=_IS_SCRIPTING,
    limits=[
        Limit("both branches", _BOTH, on="native", first="1.3", last="1.4"),
        Limit("both branches", _BOTH, on="fallback", last="1.4"),
    ],
)
def is_scripting() -> bool:
    """Whether this code was compiled by ``torch.jit.script``.

    In torch since 1.3. Fallback: False in Python, and a function that returns True in scripted code.
    https://docs.pytorch.org/docs/stable/jit_language_reference.html

    Returns:
        True in scripted code, False in Python.
    """
    return False


_torchscript.answer(SHIMS["jit.is_scripting"].fallback, "aten::is_scripting", True)


@polyfill(
    "torch.jit.is_tracing",
    since="1.7",
    link=_IS_TRACING,
    limits=[Limit("scripted", "scripted code cannot call it: RuntimeError", on="native", first="1.7", last="1.8")],
    reason="returns a function, which is true",
)
def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` is recording this code.

    In torch since 1.7. Fallback: asks for the state of the tracer, which every torch has. False in scripted code.
    https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html

    Returns:
        True while a trace is recorded, by ``torch.jit.trace`` or by the ONNX exporter of TorchScript; else False.
    """
    return torch._C._get_tracing_state() is not None


_torchscript.answer(SHIMS["jit.is_tracing"].fallback, None, False)


@polyfill(
    "torch.jit.unused",
    since="1.3",
    link=_UNUSED,
    limits=[
        Limit("called", "scripted code that has not been saved calls the function", on="fallback", last="1.2"),
        Limit("property", "a property is refused: AttributeError", on="native", first="1.3", last="1.6"),
    ],
)
def unused(fn: Any) -> Any:
    """Have ``torch.jit.script`` leave a function or method alone, and raise where scripted code calls it.

    In torch since 1.3. Fallback: torch 1.2 has it as ``ignore(drop_on_export=True)``, which raises once it is saved.
    https://docs.pytorch.org/docs/stable/generated/torch.jit.unused.html

    Args:
        fn: a function or a method, which need not be TorchScript; or a property.

    Returns:
        *fn* itself, marked.
    """
    for function in (fn.fget, fn.fset) if type(fn) is property else (fn,):
        if function is not None:
            _torchscript.mark(function, _torchscript.UNUSED)
    return fn


@polyfill("torch.jit.ignore", since="1.3", link=_IGNORE, reason="no `drop`")
def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Have ``torch.jit.script`` leave a function or method in Python, which scripted code then calls.

    In torch since 1.3. Fallback: marks the function as torch 1.2's own does, which has another keyword.
    https://docs.pytorch.org/docs/stable/generated/torch.jit.ignore.html

    Args:
        drop: the function; or True for what :func:`unused` does, with a FutureWarning; or False. For these two the
            result is a decorator.
        kwargs: ``drop_on_export``, the name of *drop* up to torch 1.2.

    Raises:
        RuntimeError: *drop* is something else.
    """
    if callable(drop):
        return _torchscript.mark(drop, _torchscript.IGNORE)
    if type(drop) is not bool:
        raise RuntimeError(f"drop must be a bool, or the function that is decorated, got {drop!r}")
    drop = drop or bool(kwargs.pop("drop_on_export", None))
    if drop:
        warnings.warn("ignore(drop=True) is deprecated: write unused", FutureWarning, stacklevel=2)
    return lambda fn: _torchscript.mark(fn, _torchscript.UNUSED if drop else _torchscript.IGNORE)


@polyfill("torch.jit.script_if_tracing", since="1.8", link=_SCRIPT_IF_TRACING)
def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Have a function be compiled by ``torch.jit.script`` when it is called while a trace is recorded.

    In torch since 1.8. Fallback: the same from ``torch.jit.script`` and :func:`is_tracing`; scripted code compiles the
    function itself. https://docs.pytorch.org/docs/stable/generated/torch.jit.script_if_tracing.html

    Args:
        fn: a function that is TorchScript. Its branches and loops are then a part of the trace.

    Returns:
        A function that calls *fn* as it stands, or compiled.
    """

    @wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not is_tracing():
            return fn(*args, **kwargs)
        return _torchscript.script(fn)(*args, **kwargs)

    marked: Any = wrapper
    # What the compiler of newer torch versions looks for, under torch's names for it.
    setattr(marked, "__original_fn", fn)
    setattr(marked, "__script_if_tracing_wrapper", True)
    _torchscript.compile_instead(wrapper, fn)
    return wrapper


@polyfill(
    "torch.jit.isinstance",
    since="1.8",
    link=_ISINSTANCE,
    limits=[
        Limit("scripted", "scripted code cannot call it: RuntimeError", on="fallback"),
        Limit("union", "False for a Union that is met", on="native", first="1.8", last="1.9"),
        Limit("tuple", "a tuple of types with containers in it is a TypeError", on="native", first="1.8", last="1.9"),
        Limit("empty", "no warning of an empty container", on="native", first="1.8", last="1.9"),
    ],
)
def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, the types of what a list, tuple or dict holds included.

    In torch since 1.8. Fallback: looks at each member of the container; a compiler that refines a type by it, no older
    torch has. https://docs.pytorch.org/docs/stable/generated/torch.jit.isinstance.html

    Args:
        obj: anything.
        target_type: a class; ``List[...]``, ``Dict[..., ...]``, ``Tuple[...]``, ``Optional[...]`` or ``Union[...]``; or
            a tuple of these.

    Raises:
        RuntimeError: a container type without the types of what it holds, or another collection of types.

    Warns:
        UserWarning: the container is empty, so that nothing tells what it would hold.
    """
    return is_of(obj, target_type)


def _checked(mod: Any, what: str) -> None:
    if not _torchscript.is_script_module(mod):
        raise RuntimeError(f"{what} needs a scripted module, from torch.jit.script or trace; got {type(mod).__name__}")


@polyfill(
    "torch.jit.freeze",
    since="1.8",
    link=_FREEZE,
    limits=[
        Limit("not frozen", "returns the module as it is: that torch cannot freeze", on="fallback", last="1.5"),
        Limit("traced", "refuses a traced module, whatever its mode", on="fallback", first="1.4", last="1.7"),
    ],
    reason="no `optimize_numerics`",
)
def freeze(mod: Any, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> Any:
    """A scripted module whose parameters and attributes are constants of its graph.

    In torch since 1.8. Fallback: torch 1.6 and 1.7 freeze without the later optimisations; older torch cannot, and the
    module itself is returned, which computes the same.
    https://docs.pytorch.org/docs/stable/generated/torch.jit.freeze.html

    Args:
        mod: a scripted module in evaluation mode.
        preserved_attrs: names of attributes and methods that are kept beside ``forward``.
        optimize_numerics: whether the numbers may change in their last bits.

    Raises:
        RuntimeError: *mod* is not scripted, or is in training mode.
    """
    _checked(mod, "freeze")
    if mod.training:
        raise RuntimeError("freeze needs a module in evaluation mode: call eval() on it first")
    frozen = find("torch.jit.freeze")
    return frozen(mod, preserved_attrs) if frozen else mod


@polyfill("torch.jit.optimize_for_inference", since="1.11", link=_OPTIMIZE, reason="no `other_methods`")
def optimize_for_inference(mod: Any, other_methods: list[str] | None = None) -> Any:
    """A scripted module that is frozen and optimised for this machine. It cannot be saved.

    In torch since 1.11. Fallback: :func:`freeze`, which computes the same; torch 1.9 and 1.10 optimise ``forward``
    alone. https://docs.pytorch.org/docs/stable/generated/torch.jit.optimize_for_inference.html

    Args:
        mod: a scripted module; one that is not frozen is put into evaluation mode.
        other_methods: names of methods that are optimised beside ``forward``.

    Raises:
        RuntimeError: *mod* is not scripted.
    """
    _checked(mod, "optimize_for_inference")
    return freeze(mod.eval(), other_methods) if hasattr(mod, "training") else mod


_attach(globals())
