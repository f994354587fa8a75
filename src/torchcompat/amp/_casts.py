"""What autocast casts: to which dtypes on which device, and which values."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import torch

from .._torch import UnsupportedError, at_least, find
from ._state import ADDED, backend_name, switch_of

_HALVES = [torch.bfloat16, torch.float16]


def no_cuda() -> bool:
    """Whether CUDA's autocast cannot do anything: there is no GPU, and no torch_xla, which uses it too."""
    return not torch.cuda.is_available() and find_spec("torch_xla") is None


def _refuse(what: str, since: str) -> None:
    raise UnsupportedError(
        f"{what} needs torch {since} or newer, and this is {torch.__version__}. "
        "Pass enabled=False to compute in the tensors' own precision."
    )


def _supported(kind: str) -> Any:
    name = backend_name()
    if kind in ("privateuseone", name):
        return find(f"torch.{name}").get_amp_supported_dtype()
    return _HALVES


def _effective_on_cuda(dtype: Any) -> bool:
    if no_cuda():
        warnings.warn("autocast does nothing: there is no CUDA device, nor torch_xla", stacklevel=4)
        return False
    if switch_of("cuda") is None:
        _refuse("autocast on CUDA", ADDED["cuda"])
    if not at_least(1, 10) and dtype != torch.float16:
        _refuse(f"autocast to {dtype} on CUDA", "1.10")
    if dtype == torch.bfloat16 and not torch.cuda.is_bf16_supported():  # torchcompat: needs torch >= 1.10
        raise RuntimeError("this CUDA device has no bfloat16: pass dtype=torch.float16")
    return True


def effective(kind: str, dtype: Any) -> bool:
    """Whether autocast to *dtype* has an effect on this type of device.

    Where torch 2.15 would refuse it too, a UserWarning says so. Where only the installed torch is too old, that is
    an error.
    """
    if kind == "cuda":
        return _effective_on_cuda(dtype)
    if switch_of(kind) is None:
        _refuse(f"autocast on {kind!r}", ADDED.get(kind, "2.4"))
    supported = _supported(kind)
    if dtype not in supported:
        names = ", ".join(map(str, supported))
        warnings.warn(f"autocast does nothing: on {kind!r} dtype must be one of {names}; got {dtype}", stacklevel=3)
        return False
    if kind == "cpu" and dtype == torch.float16 and not at_least(2, 2):
        # https://github.com/pytorch/pytorch/pull/112484
        _refuse("autocast to float16 on the CPU", "2.2")
    return True


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def cast(value: Any, device_type: str, dtype: Any) -> Any:
    """*value* with the floating-point tensors in it that are on the device, other than float64, in *dtype*."""
    if isinstance(value, torch.Tensor):
        fits = value.is_floating_point() and value.device.type == device_type and value.dtype != torch.float64
        return value.to(dtype) if fits else value
    if isinstance(value, (str, bytes)) or _is_array(value):
        return value
    if isinstance(value, Mapping):
        return {cast(key, device_type, dtype): cast(item, device_type, dtype) for key, item in value.items()}
    if isinstance(value, Iterable):
        items = (cast(item, device_type, dtype) for item in value)
        return type(value)(items) if isinstance(value, (list, tuple)) else items
    return value
