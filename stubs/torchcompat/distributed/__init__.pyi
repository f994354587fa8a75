# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.distributed import algorithms as algorithms
from torchcompat.distributed import checkpoint as checkpoint
from torchcompat.distributed import device_mesh as device_mesh
from torchcompat.distributed import fsdp as fsdp
from torchcompat.distributed import tensor as tensor
from torchcompat.distributed.device_mesh import DeviceMesh as DeviceMesh
from torchcompat.distributed.device_mesh import init_device_mesh as init_device_mesh

__all__ = ['DeviceMesh', 'algorithms', 'checkpoint', 'device_mesh', 'fsdp', 'init_device_mesh', 'tensor']
