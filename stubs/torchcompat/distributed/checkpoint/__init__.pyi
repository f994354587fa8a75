# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
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
from torchcompat.distributed.checkpoint import state_dict as state_dict

__all__ = ['BytesStorageMetadata', 'CheckpointException', 'ChunkStorageMetadata', 'DefaultLoadPlanner', 'DefaultSavePlanner', 'FileSystemReader', 'FileSystemWriter', 'HuggingFaceStorageReader', 'HuggingFaceStorageWriter', 'LoadPlan', 'LoadPlanner', 'Metadata', 'ReadItem', 'SavePlan', 'SavePlanner', 'StorageReader', 'StorageWriter', 'TensorStorageMetadata', 'WriteItem', 'async_save', 'load', 'save', 'state_dict']
