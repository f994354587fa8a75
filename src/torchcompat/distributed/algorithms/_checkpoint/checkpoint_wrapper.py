"""The wrapper of modules that are to be checkpointed, on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._absent import Names

if TYPE_CHECKING:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointImpl as CheckpointImpl
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper as CheckpointWrapper
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
        apply_activation_checkpointing as apply_activation_checkpointing,
    )
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper as checkpoint_wrapper
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import offload_wrapper as offload_wrapper

_names = Names(
    globals(),
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper",
    "torch/distributed/algorithms/_checkpoint/checkpoint_wrapper.py",
)
_names.types("CheckpointWrapper", "1.12")
_names.functions("checkpoint_wrapper", "1.12")
_names.functions("apply_activation_checkpointing", "1.13")
_names.functions("offload_wrapper", "2.0")
_names.enumeration("CheckpointImpl", "REENTRANT NO_REENTRANT", "1.12")
_names.attach()
