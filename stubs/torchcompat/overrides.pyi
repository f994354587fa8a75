# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.overrides import TorchFunctionMode as TorchFunctionMode

__all__ = ['TorchFunctionMode']
