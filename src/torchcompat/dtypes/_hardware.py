"""What a device's hardware computes in, as far as it can be asked, and what torch runs on it, as seen by trying."""

from __future__ import annotations

import platform
import re
import sys
from functools import lru_cache
from typing import Any, Callable

import torch

from .._torch import at_least, find, has
from ..amp import autocast
from ..amp._state import switch_of

# The least compute capability of NVIDIA's GPUs that has arithmetic in a format, for float8 matrix products. float16:
# https://github.com/llvm/llvm-project/commit/64dc9be7b48e3e3ec1f7dec270bf433d2084915a; the others:
# https://www.technolynx.com/post/cuda-compute-capability-explained
CAPABILITIES = {"float16": (5, 3), "bfloat16": (8, 0), "float8_e4m3fn": (8, 9), "float8_e5m2": (8, 9)}

# The same for AMD's. https://rocm.docs.amd.com/en/latest/reference/precision-support.html; float8 of gfx94 is another
# format than that of gfx12 and the later gfx9: https://github.com/llvm/llvm-project/pull/106160
ARCHITECTURES = {
    "float16": r"gfx(9|1[012])",
    "bfloat16": r"gfx(908|90a|94|95|11|12)",
    "float8_e4m3fnuz": r"gfx94",
    "float8_e5m2fnuz": r"gfx94",
    "float8_e4m3fn": r"gfx(95|12)",
    "float8_e5m2": r"gfx(95|12)",
}

# What Linux calls it on x86 and on Arm.
CPU_FLAGS = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16", "svebf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str] | None:
    """The names of the processor's features, or None where the system has no list of them."""
    try:
        with open("/proc/cpuinfo") as lines:
            found = re.search(r"^(?:flags|Features)\s*:(.*)$", lines.read(), re.M)
    except OSError:
        return None
    return frozenset(found.group(1).split()) if found else None


def _cpu(name: str, _: torch.device) -> bool | None:
    flags = cpu_flags()
    if flags is not None:
        return bool(CPU_FLAGS.get(name, set()) & flags)
    if sys.platform == "darwin" and platform.machine() == "arm64" and name == "float16":
        return True
    return None


def _cuda(name: str, device: torch.device) -> bool | None:
    if find("torch.version.hip"):
        architecture = getattr(torch.cuda.get_device_properties(device), "gcnArchName", "")
        return bool(re.match(ARCHITECTURES.get(name, "$"), architecture)) if architecture else None
    least = CAPABILITIES.get(name)
    if name.startswith("float8") and not at_least(2, 4):
        least = (9, 0)  # what torch's scaled matrix product asks for up to 2.3
    return least is not None and torch.cuda.get_device_capability(device) >= least


def _mps(name: str, _: torch.device) -> bool | None:
    return True if name == "float16" else None


def _module(name: str, device: torch.device) -> bool | None:
    if name == "float16":
        properties = find(f"torch.{device.type}.get_device_properties")
        has_fp16 = getattr(properties(device), "has_fp16", None) if properties else None
        return None if has_fp16 is None else bool(has_fp16)
    ask = find(f"torch.{device.type}.is_bf16_supported") if name == "bfloat16" else None
    if ask is None:
        return None
    if has(f"torch.{device.type}.is_bf16_supported", param="including_emulation"):
        return bool(ask(including_emulation=False))
    return None if ask() else False


_ASK: dict[str, Callable[[str, torch.device], bool | None]] = {"cpu": _cpu, "cuda": _cuda, "mps": _mps}


def in_hardware(dtype: torch.dtype, device: torch.device) -> bool | None:
    """Whether the device's hardware computes in *dtype*; None if nothing tells."""
    name = str(dtype).partition(".")[2]
    if name == "float32" or (name == "float64" and device.type in ("cpu", "cuda")):
        return True
    return _ASK.get(device.type, _module)(name, device)


def _succeeds(action: Callable[[], Any]) -> bool:
    try:
        action()
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return True


def _try(dtype: torch.dtype, device: torch.device) -> str:
    def tensor() -> torch.Tensor:
        return torch.ones(1, 1, device=device).to(dtype)

    def compute() -> Any:
        return (torch.mm(tensor(), tensor()) * tensor() + tensor()).float().cpu()

    with torch.no_grad():
        holds, computes = _succeeds(lambda: tensor().float().cpu()), _succeeds(compute)
    return "computes" if computes else "holds" if holds else "nothing"


@lru_cache(maxsize=None)
def runs(dtype: torch.dtype, device: torch.device) -> str:
    """What torch does in *dtype* on the device: "computes" sums and matrix products, "holds" tensors, or "nothing"."""
    if switch_of(device.type) is None:
        return _try(dtype, device)
    with autocast(device.type, enabled=False):
        return _try(dtype, device)
