# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.distributed.algorithms._checkpoint import checkpoint_wrapper as checkpoint_wrapper

__all__ = ['checkpoint_wrapper']
