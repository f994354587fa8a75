"""Functions for the accelerator that this torch has, whichever it is (torch.accelerator).

docs/accelerator.md tells what holds on which torch.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from .._shim import Limit, lacks, polyfill, positional_only
from .._torch import UnsupportedError, find, is_version
from ..device import _accelerator as this
from ..device._module import missing
from . import memory as memory
from . import random as random
from .memory import (
    empty_cache,
    empty_host_cache,
    get_memory_info,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_accumulated_memory_stats,
    reset_peak_memory_stats,
)

if TYPE_CHECKING:
    from .._types import Device

__all__ = [
    "Graph",
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "empty_host_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]

_ADDED = "https://github.com/pytorch/pytorch/pull/132204"
_BUILD_TIME = "https://github.com/pytorch/pytorch/pull/146443"


@polyfill(
    "torch.accelerator.current_accelerator",
    since="2.7",
    link=_BUILD_TIME,
    limits=[lacks("fullgraph", "2.0")],
    reason="no `check_available`; raises where there is no device",
)
def current_accelerator(check_available: bool = False) -> torch.device | None:
    """The accelerator that this torch was built for, or that a plug-in brought.

    In torch since 2.7. Fallback: reads how torch was built; torch 2.6 raises where there is no device.
    https://docs.pytorch.org/docs/stable/generated/torch.accelerator.current_accelerator.html

    Without *check_available* it is no evidence that there is a device: torch for Linux is built for CUDA by default,
    and answers "cuda" on machines without a GPU. To choose a device use :func:`torchcompat.best_device`.

    Args:
        check_available: answer None where this process can use no device of it. CUDA is not started to find out.

    Returns:
        A device without an index, or None.
    """
    found = this.functions()
    if found is None or (check_available and not found.is_available()):
        return None
    return torch.device(found.type)


@polyfill("torch.accelerator.is_available", since="2.6", link=_ADDED, limits=[lacks("fullgraph", "2.0")])
def is_available() -> bool:
    """Whether this process can use an accelerator.

    In torch since 2.6. Fallback: asks as :func:`torchcompat.best_device` does, which does not start CUDA.
    """
    found = this.functions()
    return found is not None and found.is_available()


# Torch 2.7 raises where there is no driver.
_RAISES = "https://github.com/pytorch/pytorch/pull/149924" if is_version(2, 7) else None


@polyfill(
    "torch.accelerator.device_count",
    since="2.6",
    link=_ADDED,
    limits=[Limit("no driver", "raises where there is no driver", "native", "2.7", "2.7")],
    wrong=_RAISES,
)
def device_count() -> int:
    """The number of devices of the accelerator that this process can use.

    In torch since 2.6. Fallback: asks as :func:`torchcompat.best_device` does, which does not start CUDA; torch 2.7
    raises where there is no driver.
    """
    found = this.functions()
    return 0 if found is None else found.device_count()


@polyfill("torch.accelerator.current_device_index", since="2.6", link=_ADDED)
def current_device_index() -> int:
    """The number of the current device.

    In torch since 2.6. Fallback: asks the module of the accelerator.

    Raises:
        RuntimeError: there is no device.
    """
    return int(this.present().current_device())


_RENAMED = "https://github.com/pytorch/pytorch/pull/143186"


@polyfill("torch.accelerator.current_device_idx", since="2.6", link=_RENAMED)
def current_device_idx() -> int:
    """The older name of :func:`current_device_index`; it gives a FutureWarning.

    In torch since 2.6. Fallback: a FutureWarning, and the answer of our :func:`current_device_index`.
    """
    warnings.warn("use current_device_index, not current_device_idx", FutureWarning, stacklevel=2)
    return int(this.present().current_device())


def _select(device: Any) -> None:
    index = this.index_given(device, "device")
    if index >= 0:
        this.present().set_device(index)


@polyfill(
    "torch.accelerator.set_device_index",
    since="2.7",
    link=_BUILD_TIME,
    reason="raises where there is no device, for a negative index too",
)
@positional_only
def set_device_index(__device: Device) -> None:
    """Make a device the current one.

    In torch since 2.7. Fallback: calls the module of the accelerator.

    Args:
        device: an int, or a device with an index of the accelerator's type. A negative int changes nothing.

    Raises:
        ValueError: *device* is of another type, or has no index.
        RuntimeError: there is no such device.
    """
    _select(__device)


@polyfill(
    "torch.accelerator.set_device_idx",
    since="2.7",
    link=_BUILD_TIME,
    reason="raises where there is no device, for a negative index too",
)
@positional_only
def set_device_idx(__device: Device) -> None:
    """The older name of :func:`set_device_index`; it gives a FutureWarning.

    In torch since 2.7. Fallback: a FutureWarning, and the same call as in our :func:`set_device_index`.

    Args:
        device: as in :func:`set_device_index`.
    """
    warnings.warn("use set_device_index, not set_device_idx", FutureWarning, stacklevel=2)
    _select(__device)


@polyfill("torch.accelerator.device_index", since="2.8", link="https://github.com/pytorch/pytorch/pull/148864")
class device_index:
    """Make a device the current one for a block.

    In torch since 2.8. Fallback: sets the device, and afterwards the one that was current before.

    Args:
        device: an int, or None to change nothing.

    Raises:
        TypeError: on entry, *device* is something else.
        RuntimeError: on entry, there is no such device.
    """

    @positional_only
    def __init__(self, __device: int | None) -> None:
        self.idx = __device
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx is None:
            return
        if not isinstance(self.idx, int):
            raise TypeError(f"device must be an int or None, got {self.idx!r}")
        self.prev_idx = int(this.present().current_device())
        _select(self.idx)

    def __exit__(self, *exc_info: object) -> None:
        if self.idx is not None:
            _select(self.prev_idx)


@polyfill(
    "torch.accelerator.current_stream",
    since="2.7",
    link=_BUILD_TIME,
    reason="where there is no device, a device of another type is a RuntimeError, not a ValueError",
)
@positional_only
def current_stream(__device: Device = None) -> torch.Stream:
    """The selected stream of a device.

    In torch since 2.7. Fallback: a stream of the accelerator's own class, such as ``torch.cuda.Stream``.

    Args:
        device: None for the current one, an int, or a device of the accelerator's type.

    Raises:
        ValueError: *device* is of another type.
        RuntimeError: there is no such device.
    """
    index = this.index_of(__device, "device")
    return this.present().current_stream(index)


@polyfill("torch.accelerator.set_stream", since="2.6", link=_ADDED)
def set_stream(stream: torch.Stream) -> None:
    """Select a stream, and make its device the current one.

    In torch since 2.6. Fallback: calls the module of the accelerator.

    Args:
        stream: a stream of the accelerator.

    Raises:
        TypeError: *stream* is no stream.
        RuntimeError: there is no device.
    """
    kinds = tuple(kind for kind in (find("torch.Stream"), find("torch.cuda.Stream"), find("torch.xpu.Stream")) if kind)
    if not isinstance(stream, kinds):
        raise TypeError(f"stream must be a stream of the accelerator, got {stream!r}")
    this.present().set_stream(stream)


@polyfill(
    "torch.accelerator.synchronize",
    since="2.7",
    link=_BUILD_TIME,
    reason="raises where there is no device, for an index too",
)
@positional_only
def synchronize(__device: Device = None) -> None:
    """Wait until everything that was started on a device has ended. Where it was never used that is at once.

    In torch since 2.7. Fallback: calls the module of the accelerator.

    Args:
        device: None for the current one, an int, or a device of the accelerator's type.

    Raises:
        ValueError: *device* is of another type.
        RuntimeError: *device* is None and there is no device.
    """
    index = this.index_of(__device, "device")
    if index is None:
        this.present()
    found = this.started()
    if found is not None:
        found.synchronize(index)


@polyfill(
    "torch.accelerator.get_device_capability", since="2.10", link="https://github.com/pytorch/pytorch/pull/165631"
)
@positional_only
def get_device_capability(__device: Device = None) -> dict[str, Any]:
    """What a device can do: ``{"supported_dtypes": {...}}``.

    In torch since 2.10. Fallback: UnsupportedError where there is a device, since older torch keeps no such list.

    Args:
        device: None for the current one, an int, or a device of the accelerator's type.

    Raises:
        ValueError: *device* is of another type.
        RuntimeError: there is no such device.
    """
    this.index_of(__device, "device")
    raise missing(this.present().type, "get_device_capability")


@polyfill("torch.accelerator.Graph", since="2.12", link="https://github.com/pytorch/pytorch/pull/171285")
class Graph:
    """A recorded sequence of operations that can be run again at little cost.

    In torch since 2.12. Fallback: UnsupportedError; for CUDA there is ``torch.cuda.CUDAGraph`` from torch 1.10 on.

    Args:
        keep_graph: keep the recorded graph beside what is run.
        pool: the memory pool of another graph, to share it.
        capture_error_mode: what is forbidden while recording.

    Raises:
        RuntimeError: there is no device that can record.
    """

    def __init__(self, keep_graph: bool = False, *, pool: Any = None, capture_error_mode: str = "default") -> None:
        raise UnsupportedError(
            f"torch {torch.__version__} has no accelerator.Graph; torch 2.12 has. For CUDA use torch.cuda.CUDAGraph"
        )
