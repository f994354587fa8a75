"""How many NVIDIA GPUs this process can use, found out without starting CUDA.

Counting through the CUDA runtime starts the driver. A forked child then cannot use CUDA, and a later change of
``CUDA_VISIBLE_DEVICES`` is ignored (https://github.com/pytorch/pytorch/issues/83973). NVML, the library behind
``nvidia-smi``, counts without that, but knows neither ``CUDA_VISIBLE_DEVICES`` nor what this torch can drive.
"""

from __future__ import annotations

import ctypes
import re
from functools import lru_cache
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

Version = Tuple[int, int]
Visible = Optional[List[Union[int, str]]]


class Gpu(NamedTuple):
    """A GPU as NVML sees it; *partitioned* is multi-instance mode (MIG)."""

    uuid: str
    capability: Version
    partitioned: bool


class Driver(NamedTuple):
    """The newest CUDA that the driver runs (None where it does not tell), and its GPUs."""

    cuda: Version | None
    gpus: tuple[Gpu, ...]


def visible_devices(value: str | None) -> Visible:
    """``CUDA_VISIBLE_DEVICES`` as ordinals or UUIDs, in order; None if unset, empty if it hides every device.

    The driver's own rules: an entry it cannot read ends the list, a repeated one empties it, and trailing letters of
    an ordinal are ignored (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables).
    """
    if value is None:
        return None
    prefix = value[:4] if value[:4] in ("GPU-", "MIG-") else ""
    entries: list[int | str] = []
    for text in value.split(","):
        entry: int | str = text
        if not prefix:
            ordinal = re.match(r"[+-]?\d+", text.strip())
            if not ordinal or int(ordinal.group()) < 0:
                break
            entry = int(ordinal.group())
        elif not text.startswith(prefix):
            break
        if entry in entries:
            return []
        entries.append(entry)
    return entries


def _ordinal(entry: int | str, gpus: Sequence[Gpu]) -> int | None:
    if isinstance(entry, int):
        return entry if entry < len(gpus) else None
    matching = [index for index, gpu in enumerate(gpus) if gpu.uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def _chosen(gpus: Sequence[Gpu], visible: Visible) -> list[Gpu]:
    if visible is None:
        return list(gpus)
    ordinals: list[int] = []
    for entry in visible:
        ordinal = _ordinal(entry, gpus)
        if ordinal is None:
            break
        if ordinal in ordinals:
            return []
        ordinals.append(ordinal)
    return [gpus[ordinal] for ordinal in ordinals]


def _too_old(driver: Version, built_for: Version) -> bool:
    # From CUDA 11 on, a driver runs every minor of its major version
    # (https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
    return driver[0] < built_for[0] if built_for[0] >= 11 else driver < built_for


def _drives(architectures: Sequence[str], capability: Version) -> bool:
    """Whether code for one of *architectures* ("sm_86", "compute_70") runs on a GPU of this *capability*."""
    for name in architectures:
        parts = re.match(r"(sm|compute)_(\d+)(\d)", name)
        if parts is None:
            return True  # a spelling from the future: not a reason to refuse the GPU
        code = (int(parts.group(2)), int(parts.group(3)))
        if code <= capability and (parts.group(1) == "compute" or code[0] == capability[0]):
            return True
    return not architectures


def usable(
    driver: Driver, visible: Visible, built_for: Version, architectures: Sequence[str]
) -> tuple[int | None, str]:
    """How many GPUs a torch built for this CUDA and these architectures can use, and, if none, why.

    None in place of the count where NVML cannot tell: how CUDA counts partitioned GPUs is the driver's affair
    (https://docs.nvidia.com/datacenter/tesla/mig-user-guide/).
    """
    if visible and isinstance(visible[0], str) and visible[0].startswith("MIG-"):
        return None, ""
    gpus = _chosen(driver.gpus, visible)
    if not gpus:
        return (
            0,
            "the NVIDIA driver sees no GPU" if visible is None else "CUDA_VISIBLE_DEVICES names no GPU of this machine",
        )
    if any(gpu.partitioned for gpu in gpus):
        return None, ""
    if driver.cuda is not None and _too_old(driver.cuda, built_for):
        return 0, "the NVIDIA driver runs CUDA {}.{}, this torch needs {}.{}".format(*driver.cuda, *built_for)
    # NVML and CUDA may number GPUs differently, so that in a machine of unlike GPUs only "none of them" is certain.
    if not any(_drives(architectures, gpu.capability) for gpu in driver.gpus):
        capability = "{}.{}".format(*gpus[0].capability)
        return (
            0,
            f"this torch has no code for a GPU of compute capability {capability}, only for {' '.join(architectures)}",
        )
    return len(gpus), ""


def _call(library: Any, name: str, *arguments: Any) -> None:
    status = getattr(library, name)(*arguments)
    if status:
        raise OSError(f"{name} returned {status}")


def _driver_cuda(library: Any) -> Version | None:
    version = ctypes.c_int()
    try:
        _call(library, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(version))
    except (AttributeError, OSError):
        return None
    return version.value // 1000, version.value % 1000 // 10


def _is_partitioned(library: Any, handle: Any) -> bool:
    now, pending = ctypes.c_uint(), ctypes.c_uint()
    try:
        _call(library, "nvmlDeviceGetMigMode", handle, ctypes.byref(now), ctypes.byref(pending))
    except (AttributeError, OSError):  # an older driver, or a GPU that cannot be partitioned
        return False
    return now.value == 1


def _gpu(library: Any, index: int) -> Gpu:
    handle = ctypes.c_void_p()
    _call(library, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    uuid = ctypes.create_string_buffer(96)
    _call(library, "nvmlDeviceGetUUID", handle, uuid, ctypes.c_uint(96))
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call(library, "nvmlDeviceGetCudaComputeCapability", handle, ctypes.byref(major), ctypes.byref(minor))
    return Gpu(uuid.value.decode(), (major.value, minor.value), _is_partitioned(library, handle))


@lru_cache(maxsize=1)  # a machine's GPUs do not change; which of them are visible is read at every call
def read_driver() -> Driver:
    """What NVML says. Raises OSError or AttributeError where there is no NVML, an unknown one, or a failing one."""
    library = ctypes.CDLL("libnvidia-ml.so.1")
    _call(library, "nvmlInit_v2")
    try:
        count = ctypes.c_uint()
        _call(library, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        return Driver(_driver_cuda(library), tuple(_gpu(library, index) for index in range(count.value)))
    finally:
        library.nvmlShutdown()


def is_installed() -> bool:
    """Whether the driver's library loads. Loading it starts nothing."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
