# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._subclasses import fake_tensor as fake_tensor
from torchcompat._subclasses.fake_tensor import FakeTensor as FakeTensor
from torchcompat._subclasses.fake_tensor import FakeTensorMode as FakeTensorMode

__all__ = ['FakeTensor', 'FakeTensorMode', 'fake_tensor']
