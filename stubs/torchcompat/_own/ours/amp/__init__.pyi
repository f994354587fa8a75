# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.amp import _grad_scaler
from typing import Any
from typing import Callable
import torch

class GradScaler(_grad_scaler.GradScalerBase): ...
class autocast:
    device: Any
    fast_dtype: Any

    def __init__(self, device_type: str, dtype: torch.dtype | None=None, enabled: bool=True, cache_enabled: bool | None=None) -> None: ...

    def __enter__(self) -> autocast: ...

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None: ...

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]: ...
