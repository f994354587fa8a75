"""``torch.utils._python_dispatch`` on torch without it: a name to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._absent import Names

if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode

_names = Names(globals(), "torch.utils._python_dispatch", "torch/utils/_python_dispatch.py")
_names.types("TorchDispatchMode", "1.13", reason="another constructor, and no nesting")
_names.attach()
