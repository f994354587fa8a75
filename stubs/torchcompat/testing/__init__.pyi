# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import Any
from typing import Callable
import torch

__all__ = ['assert_close', 'make_tensor']
def assert_close(actual: Any, expected: Any, *, allow_subclasses: bool=True, rtol: float | None=None, atol: float | None=None, equal_nan: bool=False, check_device: bool=True, check_dtype: bool=True, check_layout: bool=True, check_stride: bool=False, msg: str | Callable[[str], str] | None=None) -> None: ...
def make_tensor(*shape: Any, dtype: torch.dtype, device: str | torch.device, low: float | None=None, high: float | None=None, requires_grad: bool=False, noncontiguous: bool=False, exclude_zero: bool=False, memory_format: torch.memory_format | None=None) -> torch.Tensor: ...
__all__ = ['assert_close', 'make_tensor']
