"""``torch.distributed.fsdp`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.fsdp import BackwardPrefetch as BackwardPrefetch
    from torch.distributed.fsdp import CPUOffload as CPUOffload
    from torch.distributed.fsdp import CPUOffloadPolicy as CPUOffloadPolicy
    from torch.distributed.fsdp import FSDPModule as FSDPModule
    from torch.distributed.fsdp import FullOptimStateDictConfig as FullOptimStateDictConfig
    from torch.distributed.fsdp import FullStateDictConfig as FullStateDictConfig
    from torch.distributed.fsdp import FullyShardedDataParallel as FullyShardedDataParallel
    from torch.distributed.fsdp import LocalOptimStateDictConfig as LocalOptimStateDictConfig
    from torch.distributed.fsdp import LocalStateDictConfig as LocalStateDictConfig
    from torch.distributed.fsdp import MixedPrecision as MixedPrecision
    from torch.distributed.fsdp import MixedPrecisionPolicy as MixedPrecisionPolicy
    from torch.distributed.fsdp import OffloadPolicy as OffloadPolicy
    from torch.distributed.fsdp import OptimStateDictConfig as OptimStateDictConfig
    from torch.distributed.fsdp import OptimStateKeyType as OptimStateKeyType
    from torch.distributed.fsdp import ShardedOptimStateDictConfig as ShardedOptimStateDictConfig
    from torch.distributed.fsdp import ShardedStateDictConfig as ShardedStateDictConfig
    from torch.distributed.fsdp import ShardingStrategy as ShardingStrategy
    from torch.distributed.fsdp import StateDictConfig as StateDictConfig
    from torch.distributed.fsdp import StateDictSettings as StateDictSettings
    from torch.distributed.fsdp import StateDictType as StateDictType
    from torch.distributed.fsdp import UnshardHandle as UnshardHandle
    from torch.distributed.fsdp import fully_shard as fully_shard
    from torch.distributed.fsdp import register_fsdp_forward_method as register_fsdp_forward_method
    from torch.distributed.fsdp import share_comm_ctx as share_comm_ctx

    from . import sharded_grad_scaler as sharded_grad_scaler
    from . import wrap as wrap

_names = Names(globals(), "torch.distributed.fsdp", "torch/distributed/fsdp/__init__.py")
_names.types("CPUOffload FullyShardedDataParallel", "1.11")
_names.types(
    "FullStateDictConfig LocalStateDictConfig MixedPrecision",
    "1.12",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
)
_names.types(
    "ShardedStateDictConfig",
    "1.12",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
    file="torch/distributed/fsdp/fully_sharded_data_parallel.py",
)
_names.types(
    "FullOptimStateDictConfig OptimStateDictConfig",
    "2.0",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
    file="torch/distributed/fsdp/fully_sharded_data_parallel.py",
)
_names.types("LocalOptimStateDictConfig ShardedOptimStateDictConfig StateDictConfig StateDictSettings", "2.1")
_names.types(
    "MixedPrecisionPolicy",
    "2.3",
    was="torch.distributed._composable.fsdp",
    file="torch/distributed/_composable/fsdp/__init__.py",
)
_names.types(
    "CPUOffloadPolicy FSDPModule OffloadPolicy",
    "2.4",
    was="torch.distributed._composable.fsdp",
    file="torch/distributed/_composable/fsdp/__init__.py",
)
_names.types("UnshardHandle", "2.6")
_names.functions(
    "fully_shard",
    "2.3",
    was="torch.distributed._composable.fsdp",
    file="torch/distributed/_composable/fsdp/__init__.py",
)
_names.functions(
    "register_fsdp_forward_method",
    "2.4",
    was="torch.distributed._composable.fsdp",
    file="torch/distributed/_composable/fsdp/__init__.py",
)
_names.functions("share_comm_ctx", "2.10")
_names.enumeration(
    "BackwardPrefetch",
    "BACKWARD_PRE BACKWARD_POST",
    "1.11",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
    file="torch/distributed/fsdp/fully_sharded_data_parallel.py",
)
_names.enumeration(
    "OptimStateKeyType", "PARAM_NAME PARAM_ID", "1.12", was="torch.distributed.fsdp.fully_sharded_data_parallel"
)
_names.enumeration(
    "ShardingStrategy",
    "FULL_SHARD SHARD_GRAD_OP NO_SHARD",
    "1.12",
    newer="HYBRID_SHARD _HYBRID_SHARD_ZERO2",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
)
_names.enumeration(
    "StateDictType",
    "FULL_STATE_DICT LOCAL_STATE_DICT SHARDED_STATE_DICT",
    "1.12",
    was="torch.distributed.fsdp.fully_sharded_data_parallel",
)
_names.attach("sharded_grad_scaler wrap")
