# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode

__all__ = ['TorchDispatchMode']
