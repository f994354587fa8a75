"""``torch.overrides`` on torch without it: a name to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._absent import Names

if TYPE_CHECKING:
    from torch.overrides import TorchFunctionMode as TorchFunctionMode

_names = Names(globals(), "torch.overrides", "torch/overrides.py")
_names.types("TorchFunctionMode", "1.13", reason="another constructor, and no nesting")
_names.attach()
