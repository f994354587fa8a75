# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch import Tensor
from typing import Dict
from typing import List
from typing import Optional
from typing import Tuple
import torch

__all__ = ['Indices', 'TensorListList', '_device_has_foreach_support', '_foreach_supported_types', '_get_foreach_kernels_supported_devices', '_get_fused_kernels_supported_devices', '_group_tensors_by_device_and_dtype', '_has_foreach_support']
Indices = List[int]
TensorListList = List[List[Optional[Tensor]]]
def _device_has_foreach_support(device: torch.device) -> bool: ...
_foreach_supported_types: list[type]
def _get_foreach_kernels_supported_devices() -> list[str]: ...
def _get_fused_kernels_supported_devices() -> list[str]: ...
def _group_tensors_by_device_and_dtype(tensorlistlist: TensorListList, with_indices: bool=False) -> Dict[Tuple[torch.device, torch.dtype], Tuple[TensorListList, Indices]]: ...
def _has_foreach_support(tensors: list[Tensor], device: torch.device) -> bool: ...
__all__ = ['Indices', 'TensorListList', '_device_has_foreach_support', '_foreach_supported_types', '_get_foreach_kernels_supported_devices', '_get_fused_kernels_supported_devices', '_group_tensors_by_device_and_dtype', '_has_foreach_support']
