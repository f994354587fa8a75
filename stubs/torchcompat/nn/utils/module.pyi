# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._types import BackwardHook
from torchcompat._types import BackwardPreHook
import torch

__all__ = ['register_full_backward_hook', 'register_full_backward_pre_hook']
def register_full_backward_hook(self: torch.nn.Module, hook: BackwardHook, prepend: bool=False) -> torch.utils.hooks.RemovableHandle: ...
def register_full_backward_pre_hook(self: torch.nn.Module, hook: BackwardPreHook, prepend: bool=False) -> torch.utils.hooks.RemovableHandle: ...
__all__ = ['register_full_backward_hook', 'register_full_backward_pre_hook']
