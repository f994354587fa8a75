# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import Any
import torch

__all__ = ['functional_call']
def functional_call(module: torch.nn.Module, parameters_and_buffers: dict[str, torch.Tensor], args: Any=None, kwargs: dict[str, Any] | None=None, *, tie_weights: bool=True, strict: bool=False) -> Any: ...
__all__ = ['functional_call']
