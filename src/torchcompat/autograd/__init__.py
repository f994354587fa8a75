"""``torch.autograd``: what it offers is in its submodules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import grad_mode as grad_mode

__all__ = ["grad_mode"]

_attach(globals(), {"": "grad_mode"})
