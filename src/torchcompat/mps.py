"""Apple's GPU, by the functions that training loops call (torch.mps).

As in torch, what needs the device raises RuntimeError where there is none, ``synchronize`` and ``empty_cache`` too.
``torchcompat.device.device_module("mps")`` does nothing where there is nothing to do.
"""

from __future__ import annotations

from typing import Any

import torch

from ._shim import lacks, polyfill
from .device import _module

__all__ = [
    "Event",
    "current_allocated_memory",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "get_rng_state",
    "is_available",
    "manual_seed",
    "recommended_max_memory",
    "set_rng_state",
    "synchronize",
]

# The module came with 2.0, but up to 2.0 it has to be imported by its name; this change made it a part of torch.
_LOADED = "https://github.com/pytorch/pytorch/pull/98837"
_IMPORTED = "`torch.mps` is there only after an import of its own"
_DEVICE_MODULE = "https://github.com/pytorch/pytorch/pull/124676"

_NOT_COMPILED = [lacks("script"), lacks("fullgraph", "2.0")]

_mps = _module.of("mps")


def _present() -> _module.DeviceModule:
    """What MPS can do; RuntimeError where there is no device."""
    _mps.require()
    return _mps


@polyfill(
    "torch.mps.is_available",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/132426",
    limits=[lacks("fullgraph", "2.0")],
)
def is_available() -> bool:
    """Whether this process can use the device.

    In torch since 2.5. Fallback: asks ``torch.backends.mps`` from torch 1.12 on; before, False.
    """
    return _mps.is_available()


@polyfill("torch.mps.device_count", since="2.4", link=_DEVICE_MODULE)
def device_count() -> int:
    """The number of devices: 1 or 0.

    In torch since 2.4. Fallback: as :func:`is_available`.
    """
    return _mps.device_count()


@polyfill("torch.mps.synchronize", since="2.1", link=_LOADED, reason=_IMPORTED)
def synchronize() -> None:
    """Wait until everything that was started on the device has ended.

    In torch since 2.1. Fallback: torch 2.0 has it too; on 1.12 and 1.13 a copy to the CPU, which waits as well.

    Raises:
        RuntimeError: there is no device.
    """
    _present().synchronize()


@polyfill("torch.mps.empty_cache", since="2.1", link=_LOADED, reason=_IMPORTED)
def empty_cache() -> None:
    """Give unused memory back to the system.

    In torch since 2.1. Fallback: torch 2.0 has it too; on 1.12 and 1.13 nothing.

    Raises:
        RuntimeError: there is no device.
    """
    _present().empty_cache()


@polyfill("torch.mps.current_allocated_memory", since="2.1", link=_LOADED, reason=_IMPORTED)
def current_allocated_memory() -> int:
    """Bytes that tensors take.

    In torch since 2.1. Fallback: torch 2.0 has it too; on 1.12 and 1.13 UnsupportedError.

    Raises:
        RuntimeError: there is no device.
    """
    return _present().memory_allocated()


@polyfill("torch.mps.driver_allocated_memory", since="2.1", link=_LOADED, reason=_IMPORTED)
def driver_allocated_memory() -> int:
    """Bytes that this process holds on the device, in use or not.

    In torch since 2.1. Fallback: torch 2.0 has it too; on 1.12 and 1.13 UnsupportedError.

    Raises:
        RuntimeError: there is no device.
    """
    return _present().memory_reserved()


@polyfill("torch.mps.recommended_max_memory", since="2.5", link="https://github.com/pytorch/pytorch/pull/128289")
def recommended_max_memory() -> int:
    """Bytes that the device can hold without becoming slower.

    In torch since 2.5. Fallback: UnsupportedError before.

    Raises:
        RuntimeError: there is no device.
    """
    return _present().mem_get_info()[1]


@polyfill("torch.mps.manual_seed", since="2.1", link=_LOADED, limits=_NOT_COMPILED, reason=_IMPORTED)
def manual_seed(seed: int) -> None:
    """Seed the device; nothing where there is none.

    In torch since 2.1. Fallback: torch 2.0 has it too; on 1.12 and 1.13 UnsupportedError where there is a device.
    """
    _mps.manual_seed(seed)


@polyfill("torch.mps.get_rng_state", since="2.4", link=_DEVICE_MODULE, reason="no `device`")
def get_rng_state(device: int | str | torch.device = "mps") -> torch.Tensor:
    """The state of the device's random number generator, as a tensor of bytes on the CPU.

    In torch since 2.4. Fallback: torch 2.0 to 2.3 take no device; on 1.12 and 1.13 UnsupportedError.

    Args:
        device: there is only one.

    Raises:
        RuntimeError: there is no device.
    """
    return _present().get_rng_state()


@polyfill("torch.mps.set_rng_state", since="2.4", link=_DEVICE_MODULE, reason="no `device`")
def set_rng_state(new_state: torch.Tensor, device: int | str | torch.device = "mps") -> None:
    """Set the state of the device's random number generator.

    In torch since 2.4. Fallback: torch 2.0 to 2.3 take no device; on 1.12 and 1.13 UnsupportedError.

    Args:
        new_state: from :func:`get_rng_state`.
        device: there is only one.

    Raises:
        RuntimeError: there is no device.
    """
    _present().set_rng_state(new_state)


@polyfill("torch.mps.Event", since="2.1", link="https://github.com/pytorch/pytorch/pull/102121")
class Event:
    """A mark in what the device does, to wait for and to measure time between.

    In torch since 2.1. Fallback: UnsupportedError before; made where torch has it, it is torch's own.

    Args:
        enable_timing: whether time can be measured.

    Raises:
        RuntimeError: there is no device.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _present().Event(*args, **kwargs)

    def __init__(self, enable_timing: bool = False) -> None:  # for its signature: what __new__ makes is torch's own
        raise AssertionError
