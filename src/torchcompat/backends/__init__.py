"""``torch.backends``: what it offers is in its submodules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import mps as mps

__all__ = ["mps"]

_attach(globals(), {"": "mps"})
