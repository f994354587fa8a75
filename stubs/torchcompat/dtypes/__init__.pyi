# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._types import Support
import torch

__all__ = ['dtype_support', 'is_dtype_supported']
def dtype_support(dtype: torch.dtype | str, device: str | torch.device | None=None) -> Support: ...
def is_dtype_supported(dtype: torch.dtype | str, device: str | torch.device | None=None, *, including_emulation: bool=False) -> bool: ...
__all__ = ['dtype_support', 'is_dtype_supported']
