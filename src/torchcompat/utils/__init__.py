"""``torch.utils``: what it offers is in its submodules, such as :mod:`torchcompat.utils.checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import _foreach_utils as _foreach_utils
    from . import _python_dispatch as _python_dispatch
    from . import checkpoint as checkpoint
    from . import pytree as pytree

__all__ = ["_foreach_utils", "_python_dispatch", "checkpoint", "pytree"]

_attach(globals(), {"": "_foreach_utils _python_dispatch checkpoint pytree"}, later=["checkpoint"])
