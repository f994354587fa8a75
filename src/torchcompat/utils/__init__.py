"""``torch.utils``: what it offers is in its submodules, such as :mod:`torchcompat.utils.checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import checkpoint as checkpoint
    from . import pytree as pytree

__all__ = ["checkpoint", "pytree"]

_attach(globals(), {"": "checkpoint pytree"}, later=["checkpoint"])
