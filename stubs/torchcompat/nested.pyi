# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.nested import as_nested_tensor as as_nested_tensor
from torch.nested import masked_select as masked_select
from torch.nested import narrow as narrow
from torch.nested import nested_tensor as nested_tensor
from torch.nested import nested_tensor_from_jagged as nested_tensor_from_jagged
from torch.nested import to_padded_tensor as to_padded_tensor

__all__ = ['as_nested_tensor', 'masked_select', 'narrow', 'nested_tensor', 'nested_tensor_from_jagged', 'to_padded_tensor']
