"""``torch.distributed.checkpoint`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.checkpoint import BytesStorageMetadata as BytesStorageMetadata
    from torch.distributed.checkpoint import CheckpointException as CheckpointException
    from torch.distributed.checkpoint import ChunkStorageMetadata as ChunkStorageMetadata
    from torch.distributed.checkpoint import DefaultLoadPlanner as DefaultLoadPlanner
    from torch.distributed.checkpoint import DefaultSavePlanner as DefaultSavePlanner
    from torch.distributed.checkpoint import FileSystemReader as FileSystemReader
    from torch.distributed.checkpoint import FileSystemWriter as FileSystemWriter
    from torch.distributed.checkpoint import HuggingFaceStorageReader as HuggingFaceStorageReader
    from torch.distributed.checkpoint import HuggingFaceStorageWriter as HuggingFaceStorageWriter
    from torch.distributed.checkpoint import LoadPlan as LoadPlan
    from torch.distributed.checkpoint import LoadPlanner as LoadPlanner
    from torch.distributed.checkpoint import Metadata as Metadata
    from torch.distributed.checkpoint import ReadItem as ReadItem
    from torch.distributed.checkpoint import SavePlan as SavePlan
    from torch.distributed.checkpoint import SavePlanner as SavePlanner
    from torch.distributed.checkpoint import StorageReader as StorageReader
    from torch.distributed.checkpoint import StorageWriter as StorageWriter
    from torch.distributed.checkpoint import TensorStorageMetadata as TensorStorageMetadata
    from torch.distributed.checkpoint import WriteItem as WriteItem
    from torch.distributed.checkpoint import async_save as async_save
    from torch.distributed.checkpoint import load as load
    from torch.distributed.checkpoint import save as save

    from . import state_dict as state_dict

_names = Names(globals(), "torch.distributed.checkpoint", "torch/distributed/checkpoint/__init__.py")
_names.types(
    "BytesStorageMetadata CheckpointException ChunkStorageMetadata DefaultLoadPlanner "
    "DefaultSavePlanner FileSystemReader FileSystemWriter LoadPlan LoadPlanner Metadata ReadItem "
    "SavePlan SavePlanner StorageReader StorageWriter TensorStorageMetadata WriteItem",
    "2.0",
)
_names.types("HuggingFaceStorageReader HuggingFaceStorageWriter", "2.8")
_names.functions("load save", "2.3", reason="no `checkpoint_id`")
_names.functions("async_save", "2.3")
_names.attach("state_dict")
