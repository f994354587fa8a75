"""``torch.nn.parameter`` on torch without lazy modules: types to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._absent import Names

if TYPE_CHECKING:
    from torch.nn.parameter import UninitializedBuffer as UninitializedBuffer
    from torch.nn.parameter import UninitializedParameter as UninitializedParameter
    from torch.nn.parameter import UninitializedTensorMixin as UninitializedTensorMixin

_names = Names(globals(), "torch.nn.parameter", "torch/nn/parameter.py")
_names.types("UninitializedParameter", "1.8")
_names.types("UninitializedBuffer UninitializedTensorMixin", "1.9")
_names.attach()
