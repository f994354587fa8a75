"""``torch.distributed.algorithms``: what is below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import attach as _attach

if TYPE_CHECKING:
    from . import _checkpoint as _checkpoint

_attach(globals(), {"": "_checkpoint"})
