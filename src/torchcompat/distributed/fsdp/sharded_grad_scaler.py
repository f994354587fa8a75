"""``torch.distributed.fsdp.sharded_grad_scaler`` on torch without it: a name to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler as ShardedGradScaler

_names = Names(globals(), "torch.distributed.fsdp.sharded_grad_scaler", "torch/distributed/fsdp/sharded_grad_scaler.py")
_names.types("ShardedGradScaler", "1.12")
_names.attach()
