# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler as ShardedGradScaler

__all__ = ['ShardedGradScaler']
