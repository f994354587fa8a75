"""``torch.distributed.tensor`` on torch without it: types to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor as DTensor
    from torch.distributed.tensor import Partial as Partial
    from torch.distributed.tensor import Placement as Placement
    from torch.distributed.tensor import Replicate as Replicate
    from torch.distributed.tensor import Shard as Shard
    from torch.distributed.tensor import distribute_module as distribute_module
    from torch.distributed.tensor import distribute_tensor as distribute_tensor
    from torch.distributed.tensor import empty as empty
    from torch.distributed.tensor import full as full
    from torch.distributed.tensor import ones as ones
    from torch.distributed.tensor import rand as rand
    from torch.distributed.tensor import randn as randn
    from torch.distributed.tensor import zeros as zeros

    from . import parallel as parallel

_names = Names(globals(), "torch.distributed.tensor", "torch/distributed/_tensor/__init__.py")
_names.types("DTensor Placement Replicate Shard", "2.0", was="torch.distributed._tensor")
_names.types("Partial", "2.4", was="torch.distributed._tensor")
_names.functions("distribute_module distribute_tensor", "2.0", was="torch.distributed._tensor")
_names.functions("empty full ones rand zeros", "2.1", was="torch.distributed._tensor")
_names.functions("randn", "2.2", was="torch.distributed._tensor")
_names.attach("parallel")
