"""Deterministic algorithms for good, by the functions that torch has for it today."""

from __future__ import annotations

import torch

from .._shim import Limit, polyfill
from .._torch import at_least
from ._switches import SWITCHES

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_deterministic_debug_mode",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode",
    "use_deterministic_algorithms",
]

_LINK = "https://github.com/pytorch/pytorch/pull/66233"
_DEBUG_MODE = "https://github.com/pytorch/pytorch/pull/67778"
_ALGORITHMS = SWITCHES["algorithms"]
_MODES = {"default": 0, "warn": 1, "error": 2}
# Up to 1.6 torch has a switch for cuDNN alone: it is on while determinism is asked for, and put back afterwards.
_cudnn_before: list[bool] = []


def _switch_cudnn(mode: bool) -> None:
    if at_least(1, 7):
        return
    if mode and not _cudnn_before:
        _cudnn_before.append(bool(torch._C._get_cudnn_deterministic()))
        torch._C._set_cudnn_deterministic(True)
    elif not mode and _cudnn_before:
        torch._C._set_cudnn_deterministic(_cudnn_before.pop())


@polyfill(
    "torch.use_deterministic_algorithms",
    since="1.11",
    link=_LINK,
    limits=[
        Limit(
            "no-error",
            "an operation without a deterministic algorithm is not refused (torch 1.7 and 1.8 refuse some on CUDA)",
            on="fallback",
            last="1.8",
        ),
    ],
    reason="no `warn_only`",
)
def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Choose deterministic algorithms for good, and refuse operations that have none.

    In torch since 1.11. Fallback: the older names of torch 1.7 to 1.10, which cannot warn: with *warn_only* no other
    algorithm is chosen there. Up to 1.6 cuDNN alone is made deterministic.
    :class:`torchcompat.determinism.deterministic` does more, for a block.
    https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html

    Args:
        mode: whether.
        warn_only: warn of an operation without a deterministic algorithm, instead of raising RuntimeError.
    """
    _switch_cudnn(bool(mode))
    _ALGORITHMS.write((bool(mode), bool(mode) and bool(warn_only)))


@polyfill(
    "torch.are_deterministic_algorithms_enabled", since="1.11", link=_LINK, reason="False when it is to warn alone"
)
def are_deterministic_algorithms_enabled() -> bool:
    """Whether deterministic algorithms were asked for, as errors or as warnings.

    In torch since 1.11. Fallback: what torch says, or what :func:`use_deterministic_algorithms` was told.
    """
    return bool(_ALGORITHMS.read()[0])


@polyfill("torch.is_deterministic_algorithms_warn_only_enabled", since="1.11", link=_LINK)
def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether an operation without a deterministic algorithm is to warn, not to raise.

    In torch since 1.11. Fallback: what :func:`use_deterministic_algorithms` was told.
    """
    return bool(_ALGORITHMS.read()[1])


@polyfill("torch.set_deterministic_debug_mode", since="1.11", link=_DEBUG_MODE)
def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Choose deterministic algorithms for good, by one word.

    In torch since 1.11. Fallback: :func:`use_deterministic_algorithms` with what the word means.

    Args:
        debug_mode: "default" or 0: off. "warn" or 1: on, with warnings. "error" or 2: on, with errors.

    Raises:
        TypeError: *debug_mode* is no int and no string.
        RuntimeError: it is another int or string.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be an int or a string, got {type(debug_mode)}")
    mode = _MODES.get(debug_mode, -1) if isinstance(debug_mode, str) else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError(f"debug_mode must be one of {', '.join(_MODES)}, or 0, 1 or 2; got {debug_mode!r}")
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


@polyfill("torch.get_deterministic_debug_mode", since="1.11", link=_DEBUG_MODE)
def get_deterministic_debug_mode() -> int:
    """What :func:`set_deterministic_debug_mode` means, as a number.

    In torch since 1.11. Fallback: from what :func:`use_deterministic_algorithms` was told.

    Returns:
        0 for off, 1 for warnings, 2 for errors.
    """
    on, warns = _ALGORITHMS.read()
    return (1 if warns else 2) if on else 0
