"""Which floating-point formats a device computes in, told apart from those that are only emulated or only stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .._shim import facade
from .._suggest import did_you_mean
from .._torch import at_least, find
from ..device import _probe as probe
from ..device import best_device, parse
from ..device._choice import spell
from ._facts import finfo as finfo
from ._facts import is_signed as is_signed
from ._facts import itemsize as itemsize
from ._facts import to_complex as to_complex
from ._facts import to_real as to_real
from ._hardware import in_hardware, runs

if TYPE_CHECKING:
    from .._types import Support

__all__ = [
    "dtype_support",
    "finfo",
    "is_dtype_supported",
    "is_signed",
    "itemsize",
    "to_complex",
    "to_real",
]


# The floating-point dtypes of the newest torch. Older ones lack some, and a newer one may have more.
NAMES = (
    *("float16", "float32", "float64", "bfloat16", "half", "float", "double"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"),
)
# What people write for them.
_SHORT = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp64": "float64", "fp8": "float8_e4m3fn"}


def _dtype(value: Any) -> torch.dtype | None:
    """The dtype, or None for a name that the installed torch does not have."""
    found = value
    if isinstance(value, str):
        name = value[len("torch.") :] if value.startswith("torch.") else value
        found = find(f"torch.{name}")
        if found is None and name in NAMES:
            return None
        if not isinstance(found, torch.dtype):
            meant = f"; did you mean {_SHORT[name.lower()]!r}?" if name.lower() in _SHORT else did_you_mean(name, NAMES)
            raise ValueError(f"dtype {value!r} names no dtype{meant} Accepted: a dtype, or one of {', '.join(NAMES)}")
    # torch 1.3 and 1.4 call the complex dtypes floating-point, too: https://github.com/pytorch/pytorch/issues/30238
    if not isinstance(found, torch.dtype) or not found.is_floating_point or "complex" in str(found):
        raise TypeError(f"dtype must be a floating-point dtype or its name, such as 'bfloat16'; got {value!r}")
    return found


def _device(value: Any) -> torch.device | None:
    """The device, or None for one that is not here."""
    if value is None:
        return best_device()
    if not isinstance(value, (str, torch.device)):
        raise TypeError(f"device must be None, a string or a torch.device; got {value!r}")
    kind, index = parse(str(value), f"device {str(value)!r}")
    found = probe.look(kind).number
    return torch.device(spell((kind, index))) if (index or 0) < found or kind == "cpu" else None


@facade("dtypes.dtype_support")
def dtype_support(dtype: torch.dtype | str, device: str | torch.device | None = None) -> Support:
    """How far a device supports a floating-point dtype.

    Not in torch: ``torch.cuda.is_bf16_supported`` (1.10) is for one dtype and one kind of device, by default True of
    emulation from 2.3 on, and raises without a driver up to 2.4; that a dtype is there says nothing of the device.

    The hardware is asked where it can be: CUDA and ROCm by the GPU's generation, XPU and others by their modules, the
    CPU by Linux's list of its features. What torch runs is tried out on a tensor of one element, once in a process,
    unless the hardware's word is enough. A CUDA device is started by asking for it; one that is not there, is not.

    Args:
        dtype: a dtype, or its name: a name of the newest torch that this torch does not have yet (``"float8_e4m3fn"``
            before 2.1) is no error.
        device: a device. None: :func:`torchcompat.best_device`.

    Returns:
        "native": the hardware computes in it, and torch uses it. For float8 that means scaled matrix products, all
        that any torch computes in it. "emulated": torch computes in it, through a wider format, or nothing tells
        whether it does. "storage": tensors can be kept in it and cast. "none": not even that, or the device is not
        there.

    Raises:
        TypeError: *dtype* or *device* is something else.
        ValueError: *dtype* or *device* is a string that names none.
    """
    found, place = _dtype(dtype), _device(device)
    if found is None or place is None:
        return "none"
    native = in_hardware(found, place)
    if native and place.type == "cuda" and _is_told(found):
        return "native"
    state = runs(found, place)
    if state == "computes":
        return "native" if native else "emulated"
    return "storage" if state == "holds" else "none"


def _is_told(dtype: torch.dtype) -> bool:
    """Whether all torch versions that have *dtype* can use CUDA hardware that has it, so that nothing need be tried."""
    if str(dtype).startswith("torch.float8"):
        return find("torch._scaled_mm") is not None
    return dtype != torch.bfloat16 or at_least(1, 10)


@facade("dtypes.is_dtype_supported")
def is_dtype_supported(
    dtype: torch.dtype | str,
    device: str | torch.device | None = None,
    *,
    including_emulation: bool = False,
) -> bool:
    """Whether a device computes in a floating-point dtype, by default in hardware.

    Not in torch; the short form of :func:`dtype_support`.

    Args:
        dtype, device: as for :func:`dtype_support`.
        including_emulation: count what is computed through a wider format too: the results are the same, at the speed
            of that format or below. ``torch.cuda.is_bf16_supported`` counts it by default, from 2.3 on.

    Raises:
        TypeError, ValueError: as :func:`dtype_support`.
    """
    return dtype_support(dtype, device) in (("native", "emulated") if including_emulation else ("native",))
