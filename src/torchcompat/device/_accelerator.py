"""Which accelerator the installed torch has, and the rules of torch.accelerator's arguments."""

from __future__ import annotations

from typing import Any

import torch

from .._torch import find
from . import _module
from . import _probe as probe

# Plug-ins come first, as in torch: who loads one means it. MPS, CUDA, XPU and MTIA exclude each other in a build.
_PLUGINS = ("privateuseone", "hpu", "npu", "mlu", "musa")


def is_built(type: str) -> bool:
    """Whether this torch is built for *type*, or has a module of a plug-in for it."""
    if type == "cuda":
        return bool(find("torch.version.cuda") or find("torch.version.hip"))
    if type == "mps":
        return bool(find("torch.backends.mps") and torch.backends.mps.is_built())
    if type == "xpu":
        compiled = find("torch.xpu._is_compiled")  # none: the module of a plug-in, on torch before 2.3
        return bool(compiled()) if compiled else find("torch.xpu") is not None
    if type == "mtia":
        return bool(find("torch.mtia") and torch.mtia.is_available())  # type: ignore[attr-defined,unused-ignore]
    return find(f"torch.{type}.is_available") is not None


def _ranked() -> list[str]:
    known = [type for type in probe.known_types() if type != "cpu"]
    own_name = [type for type in known if type not in {row.type for row in probe.ROWS}]
    first = [*own_name, *_PLUGINS]
    return first + [type for type in known if type not in first]


def accelerator() -> str | None:
    """The accelerator that this torch is built for or a plug-in brought, there or not; None if there is none."""
    return next((type for type in _ranked() if is_built(type)), None)


def functions() -> _module.DeviceModule | None:
    """What the accelerator can do, or None where torch has no accelerator."""
    type = accelerator()
    return None if type is None else _module.of(type)


def present() -> _module.DeviceModule:
    """What the accelerator can do; RuntimeError where this process can use none."""
    found = functions()
    if found is None:
        raise RuntimeError("no accelerator: this torch is built for the CPU only")
    found.require()
    return found


def started() -> _module.DeviceModule | None:
    """What the accelerator can do, or None where it has not been used yet."""
    found = functions()
    return found if found is not None and found.is_initialized() else None


def index_of(device: Any, argument: str) -> int | None:
    """The number that *device* has, or None for the current one.

    Raises:
        ValueError: *device* is of another type than the accelerator, or is no device.
        RuntimeError: there is no accelerator, or no such type of device.
    """
    if device is None:
        return None
    if isinstance(device, int):
        return device
    if not isinstance(device, (str, torch.device)):
        raise ValueError(f"{argument} must be None, an int, a string or a torch.device, got {device!r}")
    found, type = torch.device(device), accelerator()
    if type is None:
        raise RuntimeError(f"{argument}={str(found)!r}, but this torch has no accelerator")
    if found.type != type:
        raise ValueError(f"{argument} must be of the accelerator's type, {type}; got {str(found)!r}")
    number: int | None = found.index
    return number


def index_given(device: Any, argument: str) -> int:
    """The number that *device* has; ValueError where it has none."""
    index = index_of(device, argument)
    if index is None:
        raise ValueError(f"{argument} must be an int, or a device with an index; got {device!r}")
    return index
