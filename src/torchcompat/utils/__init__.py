"""``torch.utils``: what it offers is in its submodules, such as :mod:`torchcompat.utils.checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from . import checkpoint as checkpoint
    from . import pytree as pytree

__all__ = ["checkpoint", "pytree"]

__getattr__, __dir__ = attach(__name__, {"": "checkpoint pytree"})
