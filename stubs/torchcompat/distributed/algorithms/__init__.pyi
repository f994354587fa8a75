# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.distributed.algorithms import _checkpoint as _checkpoint

__all__ = ['_checkpoint']
