# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch._subclasses.fake_tensor import FakeTensor as FakeTensor
from torch._subclasses.fake_tensor import FakeTensorMode as FakeTensorMode

__all__ = ['FakeTensor', 'FakeTensorMode']
