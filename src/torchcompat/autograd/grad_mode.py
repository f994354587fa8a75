"""``no_grad``, ``enable_grad``, ``set_grad_enabled`` and ``inference_mode``: contexts and decorators on every torch."""

from __future__ import annotations

import inspect
import threading
import warnings
from typing import TYPE_CHECKING, Any, List, overload

import torch

from .. import _scope
from .._lazy import attach as _attach
from .._shim import Limit, lacks, polyfill
from .._torch import find

if TYPE_CHECKING:
    from .._types import F, S

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]

_PARENTHESES = "the decorator needs its parentheses"
_BARE = "https://github.com/pytorch/pytorch/pull/107086"
_switch: Any = find("torch._C._set_grad_enabled") or find("torch._C.set_grad_enabled")
_native_inference: Any = find("torch.inference_mode")
_native_is_inference: Any = find("torch.is_inference_mode_enabled")
# Up to torch 1.8, which has no inference mode to ask: whether the innermost open `inference_mode` of this thread is on.
_here = threading.local()


class _Scope:
    """The base of the contexts, which cover no coroutines, as torch's own.

    They keep what they found in the object, as torch's own do; so a compiler can trace them.
    """

    def __call__(self, orig_func: F) -> F:
        covered: F
        if not inspect.isclass(orig_func):
            covered = _scope.cover_as_torch(self.clone, orig_func)
            return covered
        message = f"only the construction of {orig_func.__name__} is covered: decorate its methods instead"
        warnings.warn(message, FutureWarning, stacklevel=2)
        covered = _scope.cover_as_torch(self.clone, lambda *args, **kwargs: orig_func(*args, **kwargs))
        return covered

    def clone(self) -> Any:
        """Another context with the same settings."""
        return type(self)()


class _Fixed(_Scope):
    """What :class:`no_grad` and :class:`enable_grad` share: they need no parentheses."""

    @overload
    def __new__(cls: type[S]) -> S: ...
    @overload
    def __new__(cls, orig_func: F) -> F: ...  # type: ignore[misc]
    def __new__(cls, orig_func: Any = None) -> Any:
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


@polyfill(
    "torch.no_grad",
    since="2.1",
    link=_BARE,
    limits=[lacks("isinstance", last="2.0"), lacks("fullgraph", "2.0", "2.6")],
    reason=_PARENTHESES,
)
class no_grad(_Fixed):
    """Record no gradients in a block or a function: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    In torch since 2.1. Fallback: a context and decorator of our own around ``torch._C._set_grad_enabled``. Torch's own,
    up to 1.7.0, leaves the body of a generator function uncovered when it decorates one, and up to 1.6 a recursive call
    leaves the mode wrong.
    https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html

    A generator function is covered while its body runs, and not while it waits. An ``async def`` function is not
    covered, as in torch: use the context inside it.

    Warns:
        FutureWarning: for a decorated class, of which only the construction is covered.
    """

    # torch.jit.script compiles what stands in this class itself, from torch 1.7 on.
    def __init__(self) -> None:
        self._before: List[bool] = []  # noqa: UP006

    def __enter__(self) -> None:
        self._before.append(torch.is_grad_enabled())
        torch.set_grad_enabled(False)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        torch.set_grad_enabled(self._before.pop())


@polyfill(
    "torch.enable_grad",
    since="2.1",
    link=_BARE,
    limits=[lacks("isinstance", last="2.0"), lacks("fullgraph", "2.0", "2.6")],
    reason=_PARENTHESES,
)
class enable_grad(_Fixed):
    """Record gradients in a block or a function: ``with enable_grad():``, ``@enable_grad()`` or ``@enable_grad``.

    In torch since 2.1. Fallback: as that of :class:`no_grad`.
    https://docs.pytorch.org/docs/stable/generated/torch.enable_grad.html

    Warns:
        FutureWarning: for a decorated class, of which only the construction is covered.
    """

    # torch.jit.script compiles what stands in this class itself, from torch 1.7 on.
    def __init__(self) -> None:
        self._before: List[bool] = []  # noqa: UP006

    def __enter__(self) -> None:
        self._before.append(torch.is_grad_enabled())
        torch.set_grad_enabled(True)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        torch.set_grad_enabled(self._before.pop())


@polyfill(
    "torch.set_grad_enabled",
    since="2.2",
    link="https://github.com/pytorch/pytorch/issues/113298",
    limits=[lacks("isinstance", last="2.1"), lacks("fullgraph", "2.0", "2.0"), lacks("fullgraph", "2.3", "2.4")],
    reason="decorating a function switches the mode of the code that follows; up to 1.10 it is no decorator",
)
class set_grad_enabled(_Scope):
    """Switch the recording of gradients on or off: for good, for a block, or for a function.

    In torch since 2.2. Fallback: as that of :class:`no_grad`, which switches when it is made and again when it
    decorates.
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_grad_enabled.html

    The call itself switches at once. At the end of a ``with`` block the mode is what it was before the call, and so it
    is after the call has decorated a function.

    Args:
        mode: a bool.

    Raises:
        TypeError: *mode* is no bool; nothing has changed.
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"mode must be a bool, got {type(mode).__name__}")
        self.prev = torch.is_grad_enabled()
        self.mode = mode
        _switch(mode)

    def __call__(self, orig_func: F) -> F:
        _switch(self.prev)
        return super().__call__(orig_func)

    def __enter__(self) -> None:
        _switch(self.mode)

    def __exit__(self, *error: Any) -> None:
        _switch(self.prev)

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}(mode={self.mode})"

    def clone(self) -> set_grad_enabled:
        return type(self)(self.mode)


@polyfill(
    "torch.inference_mode",
    since="2.1",
    link=_BARE,
    limits=[
        Limit("inference tensors", "makes ordinary tensors, as no_grad does", "fallback", "1.2", "1.8"),
        Limit("grad wins", "enable_grad inside it records gradients", "fallback", "1.2", "1.8"),
        lacks("isinstance", last="2.0"),
        lacks("fullgraph", "2.0"),
    ],
    reason=_PARENTHESES,
)
class inference_mode(_Scope):
    """Run a block or a function without autograd, as a context or as a decorator with or without parentheses.

    In torch since 2.1. Fallback: torch's own from 1.9, where the decorator needs its parentheses; up to 1.8, which have
    no inference mode, gradients are switched off as by ``no_grad``.
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html

    ``inference_mode(False)`` leaves inference mode and switches gradients on, also inside ``no_grad``. Tensors made in
    inference mode can take no part in autograd later. On torch 2.0 call compiled modules under ``no_grad``: there they
    fail in inference mode (https://github.com/pytorch/pytorch/pull/109274).

    Args:
        mode: a bool, or the function to decorate.

    Raises:
        TypeError: *mode* is neither a bool nor a function.
    """

    @overload
    def __new__(cls: type[S], mode: bool = True) -> S: ...
    @overload
    def __new__(cls, mode: F) -> F: ...  # type: ignore[misc]
    def __new__(cls, mode: Any = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        if not callable(mode):
            raise TypeError(f"mode must be a bool or the function to decorate, got {type(mode).__name__}")
        return cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode
        self._open: list[Any] = []

    def __enter__(self) -> None:
        scope = _native_inference(self.mode) if _native_inference else _Ungraded(self.mode)
        scope.__enter__()
        self._open.append(scope)

    def __exit__(self, *error: Any) -> None:
        self._open.pop().__exit__(*error)

    def clone(self) -> inference_mode:
        return type(self)(self.mode)


class _Ungraded:
    """What torch up to 1.8 can do of an inference mode: no gradients, and the answer whether it is on."""

    def __init__(self, mode: bool) -> None:
        self._mode = mode

    def __enter__(self) -> None:
        self._before = torch.is_grad_enabled(), getattr(_here, "inference", False)
        _switch(not self._mode)
        _here.inference = self._mode

    def __exit__(self, *error: Any) -> None:
        grad, _here.inference = self._before
        _switch(grad)


@polyfill("torch.is_inference_mode_enabled", since="1.9", link="https://github.com/pytorch/pytorch/pull/58045")
def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode.

    In torch since 1.9. Fallback: whether it is inside an open :class:`inference_mode` of torchcompat.
    https://docs.pytorch.org/docs/stable/generated/torch.is_inference_mode_enabled.html
    """
    if _native_is_inference:
        return bool(_native_is_inference())
    return bool(getattr(_here, "inference", False))


_attach(globals())
