"""How many NVIDIA GPUs this process can use, found out without starting CUDA.

Counting through the CUDA runtime starts the driver. A forked child then cannot use CUDA, and a later change of
``CUDA_VISIBLE_DEVICES`` is ignored (https://github.com/pytorch/pytorch/issues/83973). NVML, the library behind
``nvidia-smi``, counts without that, but knows neither ``CUDA_VISIBLE_DEVICES`` nor which CUDA this torch needs.
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
    partitioned: bool


class Driver(NamedTuple):
    """The newest CUDA that the driver runs (None where it does not tell), and its GPUs."""

    cuda: Version | None
    gpus: tuple[Gpu, ...]


def visible_devices(value: str | None) -> Visible:
    """``CUDA_VISIBLE_DEVICES`` as ordinals or UUIDs, in order; None if unset, empty if it hides every device.

    The driver's own rules: an entry it cannot read ends the list, a repeated one empties it, and trailing letters of
    an ordinal are ignored (https://github.com/pytorch/pytorch/pull/92315).
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
    # From CUDA 11 on, a driver runs every minor of its major version: https://docs.nvidia.com/deploy/cuda-compatibility/
    return driver[0] < built_for[0] if built_for[0] >= 11 else driver < built_for


def usable(driver: Driver, visible: Visible, built_for: Version) -> tuple[int | None, str]:
    """How many GPUs a torch built for this CUDA can use, and, if none, why.

    None in place of the number where NVML cannot tell: of partitioned GPUs, CUDA shows one, or what the driver decides
    (https://github.com/pytorch/pytorch/pull/92315). Whether this torch has code for a GPU is not told either: asking it
    (``torch.cuda.get_arch_list``) forbids CUDA to forked children (measured on 1.6 to 2.15).
    """
    if visible and str(visible[0]).startswith("MIG-"):
        return None, ""
    gpus = _chosen(driver.gpus, visible)
    if any(gpu.partitioned for gpu in gpus):
        return None, ""
    if not gpus:
        return 0, "CUDA_VISIBLE_DEVICES names no GPU that is here" if visible else "the NVIDIA driver sees no GPU"
    if driver.cuda is not None and _too_old(driver.cuda, built_for):
        return 0, "the NVIDIA driver runs CUDA {}.{}, this torch needs {}.{}".format(*driver.cuda, *built_for)
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
    return Gpu(uuid.value.decode(), _is_partitioned(library, handle))


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
