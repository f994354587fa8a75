# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointImpl as CheckpointImpl
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper as CheckpointWrapper
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing as apply_activation_checkpointing
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper as checkpoint_wrapper
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import offload_wrapper as offload_wrapper

__all__ = ['CheckpointImpl', 'CheckpointWrapper', 'apply_activation_checkpointing', 'checkpoint_wrapper', 'offload_wrapper']
