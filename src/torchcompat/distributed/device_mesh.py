"""``torch.distributed.device_mesh`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._absent import Names

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh as DeviceMesh
    from torch.distributed.device_mesh import init_device_mesh as init_device_mesh

_names = Names(globals(), "torch.distributed.device_mesh", "torch/distributed/device_mesh.py")
_names.types("DeviceMesh", "2.0", was="torch.distributed._tensor", file="torch/distributed/_tensor/device_mesh.py")
_names.functions("init_device_mesh", "2.2")
_names.attach()
