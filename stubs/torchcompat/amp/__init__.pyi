# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._own.amp import GradScaler as GradScaler
from torchcompat._own.amp import autocast as autocast
from torchcompat._overloads import custom_bwd as custom_bwd
from torchcompat._overloads import custom_fwd as custom_fwd

__all__ = ['GradScaler', 'autocast', 'custom_bwd', 'custom_fwd', 'is_autocast_available']
def is_autocast_available(device_type: str) -> bool: ...
__all__ = ['GradScaler', 'autocast', 'custom_bwd', 'custom_fwd', 'is_autocast_available']
