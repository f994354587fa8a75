"""Autocast, as attention has to heed it: what it asks for, and how to keep it out."""

from __future__ import annotations

from typing import Any

import torch

from ...._scope import Nothing
from ...._torch import at_least, compiling
from ....amp._state import ADDED, switch_of

# Devices for which the installed torch has no autocast: asked to keep it out there, torch.autocast raises.
_WITHOUT = frozenset(["meta", *(kind for kind in ADDED if switch_of(kind) is None)])


_ASKS_BY_KIND = at_least(2, 4)


def autocast_dtype(device: str) -> Any:
    """The dtype that autocast asks for on this kind of device, or None."""
    if _ASKS_BY_KIND:
        # Not asked under torch.compile, which cannot trace the question.
        if not compiling() and not torch.amp.is_autocast_available(device):
            return None
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == "cuda" and at_least(1, 6) and torch.is_autocast_enabled():
        return torch.get_autocast_gpu_dtype() if at_least(1, 10) else torch.float16
    if device == "cpu" and at_least(1, 10) and torch.is_autocast_cpu_enabled():
        return torch.get_autocast_cpu_dtype()
    return None


def without_autocast(device: str) -> Any:
    """A block in which autocast casts nothing."""
    if device in _WITHOUT or not at_least(1, 6):
        return Nothing()
    return torch.autocast(device, enabled=False) if at_least(1, 10) else torch.cuda.amp.autocast(enabled=False)


def lowered(tensor: Any, dtype: Any) -> Any:
    """*tensor* as autocast hands it to an operator that it runs in *dtype*."""
    if tensor is None or not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(dtype)
