"""The memory of the accelerator (torch.accelerator.memory)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .._shim import polyfill, positional_only
from .._torch import find
from ..device import _accelerator as this

if TYPE_CHECKING:
    from .._types import Device

__all__ = [
    "empty_cache",
    "empty_host_cache",
    "get_memory_info",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
]

_MEMORY = "https://github.com/pytorch/pytorch/pull/152932"
_RESETS = "https://github.com/pytorch/pytorch/pull/186269"


@polyfill("torch.accelerator.empty_cache", since="2.9", link=_MEMORY)
def empty_cache() -> None:
    """Give unused memory back to the device. Where none was used it does nothing.

    In torch since 2.9. Fallback: calls the module of the accelerator; nothing on MPS before torch 2.0.
    """
    found = this.started()
    if found is not None:
        found.empty_cache()


@polyfill("torch.accelerator.empty_host_cache", since="2.12", link="https://github.com/pytorch/pytorch/pull/171270")
def empty_host_cache() -> None:
    """Give unused pinned memory of the CPU back.

    In torch since 2.12. Fallback: does it for CUDA from torch 2.5 on; before, that memory stays with torch.
    """
    found = this.started()
    empty = find("torch._C._host_emptyCache")
    if found is not None and found.type == "cuda" and empty is not None:
        empty()


@polyfill("torch.accelerator.memory_stats", since="2.9", link=_MEMORY)
@positional_only
def memory_stats(__device_index: Device = None) -> OrderedDict[str, Any]:
    """What the allocator of a device has counted, by names such as "allocated_bytes.all.peak".

    In torch since 2.9. Fallback: what the module of the accelerator counts; on CUDA before torch 1.4, on MPS and on
    other backends without such a function only the bytes allocated and reserved.

    Args:
        device_index: None for the current one, an int, or a device of the accelerator's type.

    Returns:
        Sorted by name; bytes and numbers of events. Empty where nothing was allocated yet.
    """
    found = this.started()
    if found is None:
        return OrderedDict()
    return found.memory_stats(this.index_of(__device_index, "device_index"))


def _bytes(name: str, device: Any) -> int:
    found = this.started()
    return 0 if found is None else int(getattr(found, name)(this.index_of(device, "device_index")))


@polyfill("torch.accelerator.memory_allocated", since="2.9", link=_MEMORY)
@positional_only
def memory_allocated(__device_index: Device = None) -> int:
    """Bytes that tensors take on a device; 0 where it was never used.

    In torch since 2.9. Fallback: asks the module of the accelerator.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    return _bytes("memory_allocated", __device_index)


@polyfill("torch.accelerator.max_memory_allocated", since="2.9", link=_MEMORY)
@positional_only
def max_memory_allocated(__device_index: Device = None) -> int:
    """The most bytes that tensors have taken on a device since the start or :func:`reset_peak_memory_stats`.

    In torch since 2.9. Fallback: asks the module of the accelerator; UnsupportedError on MPS, which keeps no peak.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    return _bytes("max_memory_allocated", __device_index)


@polyfill("torch.accelerator.memory_reserved", since="2.9", link=_MEMORY)
@positional_only
def memory_reserved(__device_index: Device = None) -> int:
    """Bytes that torch holds on a device, in use or not; 0 where it was never used.

    In torch since 2.9. Fallback: asks the module of the accelerator.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    return _bytes("memory_reserved", __device_index)


@polyfill("torch.accelerator.max_memory_reserved", since="2.9", link=_MEMORY)
@positional_only
def max_memory_reserved(__device_index: Device = None) -> int:
    """The most bytes that torch has held on a device since the start or :func:`reset_peak_memory_stats`.

    In torch since 2.9. Fallback: asks the module of the accelerator; UnsupportedError on MPS, which keeps no peak.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    return _bytes("max_memory_reserved", __device_index)


@polyfill(
    "torch.accelerator.reset_peak_memory_stats",
    since="2.13",
    link=_RESETS,
    reason="raises where there is no device, where nothing is to be reset",
)
@positional_only
def reset_peak_memory_stats(__device_index: Device = None) -> None:
    """Let the peaks of a device start again from what is taken now. Where it was never used it does nothing.

    In torch since 2.13. Fallback: calls the module of the accelerator; torch 2.9 to 2.12 raise without a device.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    found = this.started()
    if found is not None:
        found.reset_peak_memory_stats(this.index_of(__device_index, "device_index"))


@polyfill(
    "torch.accelerator.reset_accumulated_memory_stats",
    since="2.13",
    link=_RESETS,
    reason="raises where there is no device, where nothing is to be reset",
)
@positional_only
def reset_accumulated_memory_stats(__device_index: Device = None) -> None:
    """Let the sums over time of a device start again from 0. Where it was never used it does nothing.

    In torch since 2.13. Fallback: calls the module of the accelerator, where that has such sums.

    Args:
        device_index: as in :func:`memory_stats`.
    """
    found = this.started()
    if found is not None:
        found.reset_accumulated_memory_stats(this.index_of(__device_index, "device_index"))


@polyfill("torch.accelerator.get_memory_info", since="2.10", link="https://github.com/pytorch/pytorch/pull/156812")
@positional_only
def get_memory_info(__device_index: Device = None) -> tuple[int, int]:
    """The free and the total bytes of a device.

    In torch since 2.10. Fallback: asks the module of the accelerator: CUDA from torch 1.10, XPU from 2.6, MPS from
    2.5 on; before, UnsupportedError.

    Args:
        device_index: as in :func:`memory_stats`.

    Raises:
        ValueError: the device is of another type.
        RuntimeError: there is no such device.
    """
    index = this.index_of(__device_index, "device_index")
    return this.present().mem_get_info(index)
