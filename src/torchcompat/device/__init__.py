"""Which device to run on: a GPU or another accelerator if one is there and usable, else the CPU."""

from __future__ import annotations

import os
import re
from typing import Any, Iterable

import torch

from .._shim import at_home, facade
from .._suggest import did_you_mean
from . import _choice as choice
from . import _probe as probe
from ._default import default_device as default_device
from ._default import device_module as device_module
from ._module import DeviceModule as DeviceModule

__all__ = ["DeviceModule", "available_devices", "best_device", "default_device", "device_module"]

at_home(DeviceModule, __name__)
VARIABLE = "TORCHCOMPAT_DEVICE"
_ACCEPTED = "a type ({}), or one with an index, as in 'cuda:1'"


def _accepted() -> str:
    return _ACCEPTED.format(", ".join(probe.known_types()))


def _type(name: str) -> str | None:
    # A backend that registered itself may have capitals in its name.
    return probe.type_of(name) or probe.type_of(name.lower())


def parse(text: str, source: str) -> choice.Device:
    """The device that a user wrote as *text*, in capitals or not; *source* begins the error for what is none."""
    # Not by torch.device: up to the newest torch it reads "cuda:300" as "cuda:44", and 1.2 "cuda:1:1" as "cuda:1".
    parts = re.fullmatch(r"([A-Za-z]\w*)(?::(0|[1-9][0-9]*))?", text.strip())
    name = _type(parts.group(1)) if parts else None
    if parts is None or name is None:
        meant = did_you_mean(text.partition(":")[0], probe.known_types())
        raise ValueError(f"{source} is no device{meant} Accepted: {_accepted()}")
    if name == "meta":
        raise ValueError(f"{source} runs nothing. Accepted: {_accepted()}")
    return name, int(parts.group(2)) if parts.group(2) else None


def _asked_for(device: Any) -> tuple[choice.Device, str] | None:
    """What the caller or the environment asks for, and who asks, in the words of an error message."""
    if device is None:
        value = os.environ.get(VARIABLE, "")
        source = f"{VARIABLE}={value!r}"
        return (parse(value, source), source) if value.strip() else None
    if not isinstance(device, (str, torch.device)):
        # A number would be a CUDA device up to torch 2.4, and one of the current accelerator's since.
        raise TypeError(f"device must be None, a string or a torch.device, got {device!r}. Accepted: {_accepted()}")
    source = f"device {str(device)!r}"
    return parse(str(device), source), source


def _types(argument: str, value: Any) -> tuple[str, ...]:
    known = probe.known_types()
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument} must be a device type or a list of them, got {value!r}. Known: {', '.join(known)}")
    for name in names:
        if ":" in name or _type(name.strip()) in (None, "meta"):
            meant = did_you_mean(name, known)
            raise ValueError(f"{argument} must name device types, got {name!r}{meant} Known: {', '.join(known)}")
    return tuple(str(_type(name.strip())) for name in names)


def _rank(local_rank: Any) -> int | None:
    if local_rank is not None:
        if isinstance(local_rank, bool) or not isinstance(local_rank, int):
            raise TypeError(f"local_rank must be None or an int, got {local_rank!r}")
        if local_rank < 0:
            raise ValueError(f"local_rank must not be negative, got {local_rank}")
        return int(local_rank)
    value = os.environ.get("LOCAL_RANK", "").strip()
    if value in ("", "-1"):  # some launchers' word for "not distributed"
        return None
    if not re.fullmatch(r"[0-9]+", value):
        raise ValueError(f"LOCAL_RANK={value!r} is not a number of a process, as a launcher sets it: 0, 1, ...")
    return int(value)


def _facts(dtype: Any, verify: bool) -> choice.Facts:
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be None or a torch.dtype, got {dtype!r}")
    return choice.Facts(probe.look, lambda device: probe.fault(device, dtype, verify))


def _device(chosen: choice.Device) -> torch.device:
    return torch.device(choice.spell(chosen))


@facade("device.best_device")
def best_device(
    device: str | torch.device | None = None,
    *,
    prefer: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    dtype: torch.dtype | None = None,
    local_rank: int | None = None,
    verify: bool = False,
) -> torch.device:
    """The device to run on: an accelerator that this process can use, else the CPU.

    Not in torch: on every version, takes CUDA (or ROCm), XPU, MTIA, HPU, NPU, MLU, MUSA, a registered backend, MPS or
    the CPU, the first that can run something, and leaves CUDA unstarted, so that a fork afterwards works.

    The request comes from *device*, else from the environment variable ``TORCHCOMPAT_DEVICE``; where both are silent,
    the first available type is taken, in the order above. A request is met or an error, never replaced. Under a
    launcher that sets ``LOCAL_RANK`` the answer bears that index; otherwise it bears none, and is the process's
    current device of the type. The environment is read at every call and never set.

    Args:
        device: what the user asked for, such as a command line's ``--device``: a type, a type with an index, or a
            ``torch.device``. None: decide. A number is refused, since torch versions read it differently.
        prefer: device types to try first, in this order. What comes after ``"cpu"`` is never reached.
        exclude: device types not to return, such as ``"mps"`` where an operation is missing there.
        dtype: a dtype that the device must take: ``torch.float64`` rules out MPS. Only CUDA and the CPU take every
            dtype; on others, one element of it is allocated to find out.
        local_rank: the number of this process on this machine, for a launcher that does not set ``LOCAL_RANK``
            (``int(os.environ["SLURM_LOCALID"])``). None: ``LOCAL_RANK``, if it is set. The CPU and MPS have no index.
        verify: run an operation on the device before returning it, and pass over one that fails. This starts CUDA: a
            child forked afterwards cannot use it. MPS is always verified, since its own word is not to be relied on.

    Returns:
        A ``torch.device``, never ``meta``.

    Raises:
        ValueError: if *device* or ``TORCHCOMPAT_DEVICE`` is no device or an excluded one, *prefer* or *exclude* names
            no device type, or the rank is not a number of a process.
        TypeError: if an argument is of another type than is listed here.
        RuntimeError: if what was asked for is not available, the rank has no device, or everything is excluded; the
            message says what is there, or why nothing is.
    """
    asked = _asked_for(device)
    excluded, rank, facts = _types("exclude", exclude), _rank(local_rank), _facts(dtype, verify)
    types = choice.order(probe.known_types(), _types("prefer", prefer), excluded)
    if asked is None:
        return _device(choice.best(facts, types, rank))
    wanted, source = asked
    if wanted[0] in excluded:
        raise ValueError(f"{source} is excluded: exclude={excluded!r}")
    return _device(choice.requested(facts, wanted, source, types, rank))


@facade("device.available_devices")
def available_devices(
    *,
    prefer: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    dtype: torch.dtype | None = None,
    verify: bool = False,
) -> list[torch.device]:
    """Every device that this process can use, the best first and the CPU last.

    Not in torch: lists the devices of every backend, by the same rules as ``best_device``.

    What ``TORCHCOMPAT_DEVICE`` and ``LOCAL_RANK`` ask for does not matter here: this is what there is.

    Args:
        prefer: device types to list first, in this order.
        exclude: device types to leave out.
        dtype: a dtype that the devices must take.
        verify: run an operation on each, and leave out what fails. This starts CUDA.

    Returns:
        Each device with its index; the CPU and MPS, which have one device each, without.

    Raises:
        ValueError: if *prefer* or *exclude* names no device type.
        TypeError: if an argument is of another type than is listed here.
    """
    types = choice.order(probe.known_types(), _types("prefer", prefer), _types("exclude", exclude))
    return [_device(chosen) for chosen in choice.every(_facts(dtype, verify), types)]
