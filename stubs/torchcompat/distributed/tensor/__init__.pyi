# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.distributed.tensor import DTensor as DTensor
from torch.distributed.tensor import Partial as Partial
from torch.distributed.tensor import Placement as Placement
from torch.distributed.tensor import Replicate as Replicate
from torch.distributed.tensor import Shard as Shard
from torch.distributed.tensor import distribute_module as distribute_module
from torch.distributed.tensor import distribute_tensor as distribute_tensor
from torch.distributed.tensor import empty as empty
from torch.distributed.tensor import full as full
from torch.distributed.tensor import ones as ones
from torch.distributed.tensor import rand as rand
from torch.distributed.tensor import randn as randn
from torch.distributed.tensor import zeros as zeros
from torchcompat.distributed.tensor import parallel as parallel

__all__ = ['DTensor', 'Partial', 'Placement', 'Replicate', 'Shard', 'distribute_module', 'distribute_tensor', 'empty', 'full', 'ones', 'parallel', 'rand', 'randn', 'zeros']
