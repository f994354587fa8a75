"""The table of backends, and what each says of itself. Nothing here starts CUDA where that can be avoided."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Callable, NamedTuple

import torch

from .._torch import at_least, find
from ._choice import Device, Found, spell


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _quietly(probe: Callable[[], Found]) -> Found:
    """What *probe* finds; nothing, with the reason, if it raises. A failing driver or plug-in also likes to warn."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return probe()
    except Exception as error:
        return Found(0, _first_line(error))


def _cuda_runtime() -> Found:
    # Not device_count() for CUDA: 1.13 to 2.3 remember its first answer, whatever the environment was then.
    if find("torch.version.hip"):
        number = torch.cuda.device_count()
    else:
        number = torch._C._cuda_getDeviceCount() if torch.cuda.is_available() else 0
    return Found(number, "" if number else "the driver finds no device")


def _in_bad_fork(name: str) -> bool:
    spoilt = find(f"torch.{name}._is_in_bad_fork")  # a function; torch.cuda's was a plain flag up to 1.3
    return bool(spoilt() if spoilt else find(f"torch.{name}._in_bad_fork"))


_FORKED = "this process was forked from one in which {} had been started"


def _nvidia_gpus() -> Found:
    from . import _nvidia  # for those who ask

    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = _nvidia.visible_devices(variable)
    if visible == []:
        return Found(0, f"CUDA_VISIBLE_DEVICES={variable!r} hides every device")
    if not sys.platform.startswith("linux"):
        return _cuda_runtime()
    if not _nvidia.is_installed():
        return Found(0, "there is no NVIDIA driver (libcuda.so.1 does not load)")
    if _in_bad_fork("cuda"):
        return Found(0, _FORKED.format("CUDA"))
    try:
        driver = _nvidia.read_driver()
    except (OSError, AttributeError):
        return _cuda_runtime()
    major, minor = f"{find('torch.version.cuda')}.0".split(".")[:2]
    number, why = _nvidia.usable(driver, visible, (int(major), int(minor)))
    return _cuda_runtime() if number is None else Found(number, why)


def cuda(_: str) -> Found:
    """CUDA, and ROCm under the same name."""
    if find("torch.version.hip"):
        return _cuda_runtime()
    if not find("torch.version.cuda"):
        return Found(0, "this torch is built without CUDA")
    started = find("torch.cuda._initialized") and not _in_bad_fork("cuda")
    return _cuda_runtime() if started else _nvidia_gpus()


def module(name: str) -> Found:
    """A backend with a module of its own in torch, which torch or a plug-in put there."""
    is_available = find(f"torch.{name}.is_available")
    if is_available is None:
        return Found(0, f"no torch.{name} is loaded")
    if _in_bad_fork(name):
        return Found(0, _FORKED.format(name))
    if not is_available():
        return Found(0, f"torch.{name}.is_available() is False")
    device_count = find(f"torch.{name}.device_count")
    number = int(device_count()) if device_count else 1
    return Found(max(number, 0), "" if number > 0 else f"torch.{name}.device_count() is {number}")


def mps(_: str) -> Found:
    """Apple's GPU. It has one device, of no number."""
    is_available = find("torch.backends.mps.is_available")
    if is_available is None or not torch.backends.mps.is_built():
        return Found(0, "this torch is built without MPS", indexed=False)
    here = bool(is_available())
    return Found(int(here), "" if here else "torch.backends.mps.is_available() is False", indexed=False)


def cpu(_: str) -> Found:
    """The last resort."""
    return Found(1, indexed=False)


class Row(NamedTuple):
    """One backend: its type, its probe, and whether the probe's word is enough.

    Attributes:
        type: as in ``torch.device(type)``.
        probe: takes the type.
        must_run: the probe says yes where nothing runs, so that only running something on the device is evidence.
        any_dtype: it takes every dtype.
    """

    type: str
    probe: Callable[[str], Found]
    must_run: bool = False
    any_dtype: bool = False


# In the order of preference. MPS must run: GitHub's macOS machines have it, without a byte of memory
# (https://github.com/actions/runner-images/issues/9918).
ROWS = (
    Row("cuda", cuda, any_dtype=True),
    Row("xpu", module),
    Row("mtia", module),
    Row("hpu", module),
    Row("npu", module),
    Row("mlu", module),
    Row("musa", module),
    Row("privateuseone", module),
    Row("mps", mps, must_run=True),
    Row("cpu", cpu, any_dtype=True),
)


def _torch_type(name: str) -> str | None:
    # Also resolves "privateuseone" to the name that torch.utils.rename_privateuse1_backend gave it.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "mkldnn" from 2.6 on
            return str(torch.device(name).type)
    except RuntimeError:
        return None


def known_types() -> list[str]:
    """The types in the table, the registered backend under its own name, in the order of preference."""
    # Up to 1.11 there is no such type, and to be told so by torch takes 30 ms (measured).
    own_name = _torch_type("privateuseone") if at_least(1, 12) else None
    return list(dict.fromkeys(own_name or row.type if row.type == "privateuseone" else row.type for row in ROWS))


def type_of(name: str) -> str | None:
    """The type called *name*, which a plug-in that is not loaded has too; None if there is no such type."""
    return _torch_type(name) or (name if name in known_types() else None)


def _row(name: str) -> Row:
    return next((row for row in ROWS if row.type == name), Row(name, module))


def look(name: str) -> Found:
    """How many devices of the type this process can use, and, if none, why."""
    return _quietly(lambda: _row(name).probe(name))


def _run(device: Device, dtype: Any) -> Found:
    torch.ones(1, dtype=dtype or torch.float32, device=spell(device)).cpu()
    return Found(1)


def fault(device: Device, dtype: Any, verify: bool) -> str:
    """Why the *device* is not usable although it was found, or an empty string.

    Something is run on it if *verify* asks for that or the probe's word is not enough. The CPU is always taken.
    """
    row = _row(device[0])
    if row.type == "cpu" or not (verify or row.must_run or (dtype is not None and not row.any_dtype)):
        return ""
    ran = _quietly(lambda: _run(device, dtype))
    return "" if ran.number else f"a tensor of one element fails on it: {ran.why}"
