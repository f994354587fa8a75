"""Switching torch's fused encoder path off and on, for a block of code."""

from __future__ import annotations

from typing import Any

import torch

from .. import _scope
from .._shim import facade
from .._torch import at_least, find

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


def _write(value: Any) -> None:  # torchcompat: needs torch >= 1.12
    """Switch on or off, or put back the modes that were found."""
    if isinstance(value, bool):
        value = _without_slow(_modes()) if value else _with_slow(_modes())
    _put_modes(value)


_BY_MODE = _scope.Switch(_modes, _write, of_thread=True)


def _switch() -> _scope.Switch | None:
    # In torch since 2.3: https://github.com/pytorch/pytorch/pull/112212
    get, put = find("torch.backends.mha.get_fastpath_enabled"), find("torch.backends.mha.set_fastpath_enabled")
    if get is not None and put is not None:
        return _scope.Switch(get, put)
    return _BY_MODE if at_least(1, 12) else None


_SWITCH = _switch()


def slow_path() -> _scope.Step:  # torchcompat: needs torch >= 1.12
    """A block in which the path is off, in this thread alone, whatever the global switch says."""
    return _scope.Step({_BY_MODE: False})


@facade("attention.fastpath")
class fastpath(_scope.Context):
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
        super().__init__()
        self._enabled = enabled

    def _settings(self) -> _scope.Settings:
        return {} if _SWITCH is None else {_SWITCH: self._enabled}
