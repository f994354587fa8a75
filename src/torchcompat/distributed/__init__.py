"""``torch.distributed`` on torch without it, or without a part of it: names to import and to test with.

Nothing here starts or joins a group of processes. The submodules look for torch's own when a name is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import algorithms as algorithms
    from . import checkpoint as checkpoint
    from . import device_mesh as device_mesh
    from . import fsdp as fsdp
    from . import tensor as tensor
    from .device_mesh import DeviceMesh as DeviceMesh
    from .device_mesh import init_device_mesh as init_device_mesh

_attach(
    globals(),
    {
        "": "algorithms checkpoint device_mesh fsdp tensor",
        "device_mesh": "DeviceMesh init_device_mesh",
    },
    later=["DeviceMesh", "init_device_mesh"],
)
