# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.backends import mps as mps

__all__ = ['mps']
__all__ = ['mps']
