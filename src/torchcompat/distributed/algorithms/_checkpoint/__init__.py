"""``torch.distributed.algorithms._checkpoint``: what is below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._lazy import attach as _attach

if TYPE_CHECKING:
    from . import checkpoint_wrapper as checkpoint_wrapper

_attach(globals(), {"": "checkpoint_wrapper"})
