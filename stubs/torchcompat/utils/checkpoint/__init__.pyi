# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from contextlib import contextmanager
from torchcompat._types import TwoContexts
from typing import Any
from typing import Callable
from typing import Iterator
from typing import Sequence
import torch.utils.checkpoint
from torchcompat._own.utils.checkpoint import CheckpointError as CheckpointError
from torchcompat._own.utils.checkpoint import DefaultDeviceType as DefaultDeviceType
from torchcompat._overloads import checkpoint as checkpoint

__all__ = ['CheckpointError', 'DefaultDeviceType', 'checkpoint', 'checkpoint_sequential', 'noop_context_fn', 'set_checkpoint_debug_enabled', 'set_checkpoint_early_stop']
def checkpoint_sequential(functions: torch.nn.Sequential | Sequence[Callable[..., Any]], segments: int, input: Any, use_reentrant: bool | None=None, **kwargs: Any) -> Any: ...
def noop_context_fn() -> TwoContexts: ...
@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]: ...
@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]: ...
__all__ = ['CheckpointError', 'DefaultDeviceType', 'checkpoint', 'checkpoint_sequential', 'noop_context_fn', 'set_checkpoint_debug_enabled', 'set_checkpoint_early_stop']
