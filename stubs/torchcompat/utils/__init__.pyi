# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.utils import checkpoint as checkpoint
from torchcompat.utils import pytree as pytree

__all__ = ['checkpoint', 'pytree']
__all__ = ['checkpoint', 'pytree']
