"""``torch.nested`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._absent import Names

if TYPE_CHECKING:
    from torch.nested import as_nested_tensor as as_nested_tensor
    from torch.nested import masked_select as masked_select
    from torch.nested import narrow as narrow
    from torch.nested import nested_tensor as nested_tensor
    from torch.nested import nested_tensor_from_jagged as nested_tensor_from_jagged
    from torch.nested import to_padded_tensor as to_padded_tensor

_names = Names(globals(), "torch.nested", "torch/nested/__init__.py")
_names.functions("as_nested_tensor nested_tensor to_padded_tensor", "1.13")
_names.functions("narrow", "2.2")
_names.functions("nested_tensor_from_jagged", "2.4")
_names.functions("masked_select", "2.5")
_names.attach()
