"""Intel's GPUs, by the functions that training loops call (torch.xpu).

As in torch, what needs a device raises where there is none: AssertionError where torch is built without XPU, else
RuntimeError. ``torchcompat.device.device_module("xpu")`` does nothing where there is nothing to do.

Before torch 2.3, ``torch.xpu`` is that of Intel's extension, if it was imported.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ContextManager, cast

import torch

from ._shim import Limit, lacks, polyfill
from ._torch import at_least, find
from .device import _accelerator, _module

if TYPE_CHECKING:
    from ._types import Device

__all__ = [
    "Event",
    "Stream",
    "current_device",
    "current_stream",
    "device_count",
    "empty_cache",
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device",
    "set_rng_state",
    "set_stream",
    "stream",
    "synchronize",
]

_PULL = "https://github.com/pytorch/pytorch/pull/"
_DEVICE, _STREAM, _GENERATOR, _MEMORY = _PULL + "116850", _PULL + "117619", _PULL + "118613", _PULL + "129919"
_RESET = Limit("no device", "AttributeError where torch is built without XPU", "native", "2.5")

_xpu = _module.of("xpu")


def _present() -> _module.DeviceModule:
    """What XPU can do; AssertionError where torch is built without it, RuntimeError where there is no device."""
    if not _accelerator.is_built("xpu"):
        raise AssertionError("this torch is built without XPU")
    _xpu.require()
    return _xpu


@polyfill("torch.xpu.is_available", since="2.3", link=_DEVICE, limits=[lacks("script"), lacks("fullgraph", "2.0")])
def is_available() -> bool:
    """Whether this process can use a device.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.
    """
    return _xpu.is_available()


@polyfill("torch.xpu.device_count", since="2.3", link=_DEVICE, limits=[lacks("script")])
def device_count() -> int:
    """The number of devices that this process can use.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.
    """
    return _xpu.device_count()


@polyfill("torch.xpu.is_initialized", since="2.3", link=_DEVICE, limits=[lacks("fullgraph", "2.8", "2.8")])
def is_initialized() -> bool:
    """Whether XPU has been started, so that something may be running on it.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.
    """
    return _xpu.is_initialized()


@polyfill("torch.xpu.current_device", since="2.3", link=_DEVICE)
def current_device() -> int:
    """The number of the current device.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    return int(_present().current_device())


@polyfill("torch.xpu.set_device", since="2.3", link=_DEVICE)
def set_device(device: Device) -> None:
    """Make *device* the current one. A negative number changes nothing.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.

    Args:
        device: None for the current one, a number, or a device of this type.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    _present().set_device(device)


@polyfill("torch.xpu.synchronize", since="2.3", link=_STREAM)
def synchronize(device: Device = None) -> None:
    """Wait until everything that was started on *device* has ended.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.

    Args:
        device: None for the current one, a number, or a device of this type.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    _present().synchronize(device)


@polyfill("torch.xpu.current_stream", since="2.3", link=_STREAM)
def current_stream(device: Device = None) -> Stream:
    """The selected stream of *device*.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.

    Args:
        device: None for the current one, a number, or a device of this type.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    return cast("Stream", _present().current_stream(device))


@polyfill("torch.xpu.set_stream", since="2.3", link=_STREAM, limits=[lacks("fullgraph", "2.8", "2.8")])
def set_stream(stream: Stream) -> None:
    """Select *stream*, and make its device the current one. None changes nothing.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.

    Args:
        stream: a :class:`Stream`, or None.
    """
    _xpu.set_stream(stream)


@polyfill("torch.xpu.stream", since="2.3", link=_STREAM)
def stream(stream: Stream | None) -> ContextManager[Any]:
    """A context that selects *stream*. None selects nothing.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.

    Args:
        stream: a :class:`Stream`, or None.
    """
    return _xpu.stream(stream)


@polyfill("torch.xpu.empty_cache", since="2.3", link=_PULL + "118091", limits=[lacks("fullgraph", "2.8", "2.8")])
def empty_cache() -> None:
    """Give unused memory back to the device; nothing where none was used.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.
    """
    _xpu.empty_cache()


@polyfill("torch.xpu.memory_allocated", since="2.5", link=_MEMORY)
def memory_allocated(device: Device = None) -> int:
    """Bytes that tensors take on *device*; 0 where it was never used.

    In torch since 2.5. Fallback: asks Intel's extension; UnsupportedError on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    return _xpu.memory_allocated(device)


@polyfill("torch.xpu.max_memory_allocated", since="2.5", link=_MEMORY)
def max_memory_allocated(device: Device = None) -> int:
    """The most bytes that tensors have taken on *device* since the start or :func:`reset_peak_memory_stats`.

    In torch since 2.5. Fallback: asks Intel's extension; UnsupportedError on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    return _xpu.max_memory_allocated(device)


@polyfill("torch.xpu.memory_reserved", since="2.5", link=_MEMORY)
def memory_reserved(device: Device = None) -> int:
    """Bytes that torch holds on *device*, in use or not; 0 where it was never used.

    In torch since 2.5. Fallback: asks Intel's extension; UnsupportedError on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    return _xpu.memory_reserved(device)


@polyfill("torch.xpu.max_memory_reserved", since="2.5", link=_MEMORY)
def max_memory_reserved(device: Device = None) -> int:
    """The most bytes that torch has held on *device* since the start or :func:`reset_peak_memory_stats`.

    In torch since 2.5. Fallback: asks Intel's extension; UnsupportedError on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    return _xpu.max_memory_reserved(device)


@polyfill("torch.xpu.memory_stats", since="2.5", link=_MEMORY)
def memory_stats(device: Device = None) -> OrderedDict[str, Any]:
    """What the allocator of *device* has counted, by names such as "allocated_bytes.all.peak", sorted.

    In torch since 2.5. Fallback: asks Intel's extension; nothing on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    return _xpu.memory_stats(device)


@polyfill("torch.xpu.reset_peak_memory_stats", since="2.5", link=_MEMORY, limits=[_RESET])
def reset_peak_memory_stats(device: Device = None) -> None:
    """Let the peaks of *device* start again from what is taken now; nothing where it was never used.

    In torch since 2.5. Fallback: calls Intel's extension; nothing on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    _xpu.reset_peak_memory_stats(device)


@polyfill("torch.xpu.reset_accumulated_memory_stats", since="2.5", link=_MEMORY, limits=[_RESET])
def reset_accumulated_memory_stats(device: Device = None) -> None:
    """Let the sums over time of *device* start again from 0; nothing where it was never used.

    In torch since 2.5. Fallback: calls Intel's extension; nothing on torch 2.3 and 2.4.

    Args:
        device: None for the current one, a number, or a device of this type.
    """
    _xpu.reset_accumulated_memory_stats(device)


@polyfill("torch.xpu.mem_get_info", since="2.10", link=_PULL + "141230", reason="AttributeError in builds without XPU")
def mem_get_info(device: Device = None) -> tuple[int, int]:
    """Free and total bytes of *device*.

    In torch since 2.10. Fallback: asks torch or Intel's extension; where neither has it, UnsupportedError if there is
    a device.

    Args:
        device: None for the current one, a number, or a device of this type.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    return _present().mem_get_info(device)


@polyfill("torch.xpu.manual_seed", since="2.3", link=_GENERATOR)
def manual_seed(seed: int) -> None:
    """Seed the current device; nothing where there is none.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.
    """
    _xpu.manual_seed(seed)


@polyfill("torch.xpu.manual_seed_all", since="2.3", link=_GENERATOR)
def manual_seed_all(seed: int) -> None:
    """Seed every device; nothing where there is none.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.
    """
    _xpu.manual_seed_all(seed)


@polyfill("torch.xpu.initial_seed", since="2.3", link=_GENERATOR)
def initial_seed() -> int:
    """The seed from which the random numbers of the current device started.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    return _present().initial_seed()


@polyfill("torch.xpu.get_rng_state", since="2.3", link=_GENERATOR)
def get_rng_state(device: int | str | torch.device = "xpu") -> torch.Tensor:
    """The state of the random number generator of *device*, as a tensor of bytes on the CPU.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.

    Args:
        device: a number, or a device of this type.

    Raises:
        AssertionError, RuntimeError: there is no device.
    """
    return _present().get_rng_state(device)


@polyfill("torch.xpu.get_rng_state_all", since="2.3", link=_GENERATOR)
def get_rng_state_all() -> list[torch.Tensor]:
    """The states of all devices' generators; an empty list where there is no device.

    In torch since 2.3. Fallback: asks Intel's extension, if it is loaded.
    """
    return [_xpu.get_rng_state(index) for index in range(_xpu.device_count())]


@polyfill("torch.xpu.set_rng_state", since="2.3", link=_GENERATOR)
def set_rng_state(new_state: torch.Tensor, device: int | str | torch.device = "xpu") -> None:
    """Set the state of the random number generator of *device*; nothing where there is none.

    In torch since 2.3. Fallback: calls Intel's extension, if it is loaded.

    Args:
        new_state: from :func:`get_rng_state`.
        device: a number, or a device of this type.
    """
    if _xpu.is_available():
        _xpu.set_rng_state(new_state, device)


# Torch's own classes, where it has any, so that isinstance holds on all torch versions.
_Stream: Any = find("torch.xpu.Stream") or object
_Event: Any = find("torch.xpu.Event") or object


@polyfill("torch.xpu.Stream", since="2.3", link=_STREAM)
class Stream(_Stream):  # type: ignore[misc]
    """A queue of work for a device.

    In torch since 2.3. Fallback: that of Intel's extension, if it is loaded.

    Args:
        device: None for the current one, a number, or a device of this type.
        priority: the lower, the sooner.

    Raises:
        RuntimeError: there is no device.
    """

    def __new__(cls, device: Any = None, priority: int = 0, **kwargs: Any) -> Any:
        _xpu.require()
        return super().__new__(cls, device, priority, **kwargs)


@polyfill("torch.xpu.Event", since="2.15", link=_PULL + "192495", reason="no `blocking` and `interprocess`")
class Event(_Event):  # type: ignore[misc]
    """A mark in a stream, to wait for and to measure time between.

    In torch since 2.15. Fallback: that of torch 2.3 to 2.14, or of Intel's extension, which is for one process:
    *interprocess* raises UnsupportedError, and *blocking*, which only saves time of the CPU, is not looked at.

    Args:
        enable_timing: whether time can be measured.
        blocking: let the CPU sleep while it waits.
        interprocess: whether another process can wait for it.

    Raises:
        RuntimeError: there is no device.
    """

    def __new__(cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> Any:
        _xpu.require()
        if at_least(2, 15):
            return super().__new__(cls, enable_timing, blocking, interprocess)
        if interprocess:
            raise _module.missing("xpu", "Event for several processes")
        return super().__new__(cls, enable_timing)
