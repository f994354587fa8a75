# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.autograd import grad_mode as grad_mode

__all__ = ['grad_mode']
__all__ = ['grad_mode']
