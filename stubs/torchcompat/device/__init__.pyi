# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.device._default import default_device as default_device
from torchcompat.device._default import device_module as device_module
from torchcompat.device._module import DeviceModule as DeviceModule
from typing import Iterable
import torch

__all__ = ['DeviceModule', 'available_devices', 'best_device', 'default_device', 'device_module']
def available_devices(*, prefer: str | Iterable[str]=(), exclude: str | Iterable[str]=(), dtype: torch.dtype | None=None, verify: bool=False) -> list[torch.device]: ...
def best_device(device: str | torch.device | None=None, *, prefer: str | Iterable[str]=(), exclude: str | Iterable[str]=(), dtype: torch.dtype | None=None, local_rank: int | None=None, verify: bool=False) -> torch.device: ...
__all__ = ['DeviceModule', 'available_devices', 'best_device', 'default_device', 'device_module']
