# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.nn.parameter import UninitializedBuffer as UninitializedBuffer
from torch.nn.parameter import UninitializedParameter as UninitializedParameter
from torch.nn.parameter import UninitializedTensorMixin as UninitializedTensorMixin

__all__ = ['UninitializedBuffer', 'UninitializedParameter', 'UninitializedTensorMixin']
