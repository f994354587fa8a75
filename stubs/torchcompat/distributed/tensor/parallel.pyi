# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.distributed.tensor.parallel import ColwiseParallel as ColwiseParallel
from torch.distributed.tensor.parallel import ParallelStyle as ParallelStyle
from torch.distributed.tensor.parallel import PrepareModuleInput as PrepareModuleInput
from torch.distributed.tensor.parallel import PrepareModuleInputOutput as PrepareModuleInputOutput
from torch.distributed.tensor.parallel import PrepareModuleOutput as PrepareModuleOutput
from torch.distributed.tensor.parallel import RowwiseParallel as RowwiseParallel
from torch.distributed.tensor.parallel import SequenceParallel as SequenceParallel
from torch.distributed.tensor.parallel import loss_parallel as loss_parallel
from torch.distributed.tensor.parallel import parallelize_module as parallelize_module

__all__ = ['ColwiseParallel', 'ParallelStyle', 'PrepareModuleInput', 'PrepareModuleInputOutput', 'PrepareModuleOutput', 'RowwiseParallel', 'SequenceParallel', 'loss_parallel', 'parallelize_module']
