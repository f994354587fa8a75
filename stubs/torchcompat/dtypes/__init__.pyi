# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._types import Support
from torchcompat.dtypes._facts import finfo as finfo
from torchcompat.dtypes._facts import is_signed as is_signed
from torchcompat.dtypes._facts import itemsize as itemsize
from torchcompat.dtypes._facts import to_complex as to_complex
from torchcompat.dtypes._facts import to_real as to_real
import torch

__all__ = ['dtype_support', 'finfo', 'is_dtype_supported', 'is_signed', 'itemsize', 'to_complex', 'to_real']
def dtype_support(dtype: torch.dtype | str, device: str | torch.device | None=None) -> Support: ...
def is_dtype_supported(dtype: torch.dtype | str, device: str | torch.device | None=None, *, including_emulation: bool=False) -> bool: ...
__all__ = ['dtype_support', 'finfo', 'is_dtype_supported', 'is_signed', 'itemsize', 'to_complex', 'to_real']
