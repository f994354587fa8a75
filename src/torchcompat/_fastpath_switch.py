"""Switching torch's fused encoder path off and on, for a block of code."""

from __future__ import annotations

import contextlib
import sys
import threading
from functools import partial
from typing import Any, Callable, Iterator, TypeVar

import torch

from . import _blocks, _scope
from ._shim import facade
from ._switches import SWITCHES, Switch
from ._torch import at_least, find, torch_version

F = TypeVar("F", bound=Callable[..., Any])

# In torch since 2.3: https://github.com/pytorch/pytorch/pull/112212
_get, _set = find("torch.backends.mha.get_fastpath_enabled"), find("torch.backends.mha.set_fastpath_enabled")
if _get is not None and _set is not None:
    SWITCHES["fastpath"] = Switch(_get, _set)

_Mode: Any = find("torch.overrides.TorchFunctionMode") or object


class _Slow(_Mode):  # type: ignore[misc]
    """A torch-function mode that does nothing. Every torch asks for the like before it takes the fused path."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


# The modes of a thread: a list from 1.13 on, before that a chain: https://github.com/pytorch/pytorch/pull/82608


def _modes() -> Any:  # torchcompat: needs torch >= 1.12
    if at_least(1, 13):
        return list(torch.overrides._get_current_function_mode_stack())
    return torch.overrides._get_torch_function_mode()


def _put_modes(modes: Any) -> None:  # torchcompat: needs torch >= 1.12
    if not at_least(1, 13):
        torch.overrides._set_torch_function_mode(modes)
        return
    for _ in range(len(_modes())):
        torch.overrides._pop_mode()
    for mode in modes:
        torch.overrides._push_mode(mode)


def _without_slow(modes: Any) -> Any:
    if at_least(1, 13):
        return [mode for mode in modes if not isinstance(mode, _Slow)]
    while isinstance(modes, _Slow):
        modes = modes.inner
    return None if type(modes) is torch.overrides.BaseTorchFunctionMode else modes


def _with_slow(modes: Any) -> Any:  # torchcompat: needs torch >= 1.12
    if at_least(1, 13):
        return modes + [_Slow()]
    inner = torch.overrides.BaseTorchFunctionMode(inner=None) if modes is None else modes
    return _Slow(inner=inner)


@contextlib.contextmanager
def slow_path() -> Iterator[None]:
    """Off, in this thread alone, whatever the global switch says."""
    modes = _modes()
    _put_modes(_with_slow(modes))
    try:
        yield
    finally:
        _put_modes(modes)


def _enter(enabled: bool) -> Any:
    """Switch; what :func:`_leave` needs to undo it."""
    if "fastpath" in SWITCHES:
        return _blocks.enter({"fastpath": enabled})
    if torch_version < (1, 12):
        return None
    modes = _modes()
    _put_modes(_without_slow(modes) if enabled else _with_slow(modes))
    return modes


def _leave(found: Any) -> None:
    if isinstance(found, _blocks.Block):
        _blocks.leave(found)
    elif torch_version >= (1, 12):
        _put_modes(found)


def _open(enabled: bool) -> tuple[int, Any]:
    return threading.get_ident(), _enter(enabled)


def _close(blocks: list[tuple[int, Any]]) -> None:
    """Close the last of the open *blocks* that is of this thread."""
    here = threading.get_ident()
    index = max((i for i, (thread, _) in enumerate(blocks) if thread == here), default=None)
    if index is None:
        raise RuntimeError("this fastpath() block is not open in this thread")
    _leave(blocks.pop(index)[1])


def _unseen_by_compile(function: Any) -> Any:
    # torch.compile of 2.1 would enter a mode while it traces, and never leave it.
    dynamo = sys.modules.get("torch._dynamo")
    return function if dynamo is None else dynamo.disable(function)


@facade("attention.fastpath")
class fastpath:
    """Switch torch's fused encoder and attention path on or off, within a ``with`` block or a decorated function.

    Not in torch, whose switch (``torch.backends.mha.set_fastpath_enabled``, since 2.3) has no context manager, and
    which has none before: on 1.12 to 2.2 a torch-function mode that does nothing keeps torch from the path. It covers
    ``nn.MultiheadAttention``, ``nn.TransformerEncoderLayer``, what contains them, and the packing of
    ``nn.TransformerEncoder``. Before 1.12 torch has no such path, and nothing is switched.

    "On" allows the path where torch's conditions hold (:func:`why_not_fastpath`); it does not force it. Blocks may be
    nested, the innermost decides, and each puts back what it found, exceptions included.

    From 2.3 on the switch belongs to the process, and other threads see it; of blocks that overlap in threads the one
    opened last decides. On 1.12 to 2.2 a block holds for its own thread alone, and scripted modules
    (``torch.jit.script``) do not see it.

    >>> layer = torch.nn.TransformerEncoderLayer(4, 2).eval()
    >>> with fastpath(False):
    ...     out = layer(torch.randn(3, 1, 4))

    Args:
        enabled: whether torch may take the path.

    Raises:
        TypeError: if *enabled* is not a bool; when it decorates anything but a function.
    """

    def __init__(self, enabled: bool) -> None:
        if not isinstance(enabled, bool):
            raise TypeError(f"enabled must be True or False, got {enabled!r}")
        self._enabled = enabled
        self._open: list[tuple[int, Any]] = []

    def __enter__(self) -> None:
        self._open.append(_unseen_by_compile(_open)(self._enabled))

    def __exit__(self, *exc_info: Any) -> None:
        _unseen_by_compile(_close)(self._open)

    def __call__(self, function: F) -> F:
        covered: F = _scope.cover("fastpath", function, lambda: partial(fastpath, self._enabled))
        return covered
