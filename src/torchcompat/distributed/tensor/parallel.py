"""``torch.distributed.tensor.parallel`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.tensor.parallel import ColwiseParallel as ColwiseParallel
    from torch.distributed.tensor.parallel import ParallelStyle as ParallelStyle
    from torch.distributed.tensor.parallel import PrepareModuleInput as PrepareModuleInput
    from torch.distributed.tensor.parallel import PrepareModuleInputOutput as PrepareModuleInputOutput
    from torch.distributed.tensor.parallel import PrepareModuleOutput as PrepareModuleOutput
    from torch.distributed.tensor.parallel import RowwiseParallel as RowwiseParallel
    from torch.distributed.tensor.parallel import SequenceParallel as SequenceParallel
    from torch.distributed.tensor.parallel import loss_parallel as loss_parallel
    from torch.distributed.tensor.parallel import parallelize_module as parallelize_module

_names = Names(globals(), "torch.distributed.tensor.parallel", "torch/distributed/tensor/parallel/__init__.py")
_names.types("ColwiseParallel ParallelStyle RowwiseParallel", "2.0", was="torch.distributed.tensor.parallel.style")
_names.types("PrepareModuleInput PrepareModuleOutput", "2.2")
_names.types("SequenceParallel", "2.3", reason="another style of that name on 2.1")
_names.types("PrepareModuleInputOutput", "2.8")
_names.functions("parallelize_module", "2.0")
_names.functions("loss_parallel", "2.3")
_names.attach()
