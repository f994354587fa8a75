"""What torch.cuda was asked later than torch 1.2."""

from __future__ import annotations

import torch

from ._lazy import attach as _attach
from ._shim import Limit, polyfill
from ._torch import find

__all__ = ["is_bf16_supported"]


@polyfill(
    "torch.cuda.is_bf16_supported",
    since="2.4",
    link="https://github.com/pytorch/pytorch/blob/v2.4.1/torch/cuda/__init__.py#L131",
    limits=[Limit("no device", "raises where there is no device", on="native", first="2.4", last="2.4")],
    reason="no `including_emulation`",
)
def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current CUDA or ROCm device computes in bfloat16.

    In torch since 2.4. Fallback: asks the generation of the GPU, and for emulation makes a tensor.
    :func:`torchcompat.dtypes.dtype_support` answers for other devices and dtypes.

    Args:
        including_emulation: also True for a GPU whose hardware has no bfloat16.

    Returns:
        False where there is no device. True on ROCm, whatever the device.
    """
    if find("torch.version.hip"):
        return True
    if not torch.cuda.is_available():
        return False
    device = torch.cuda.current_device()
    if torch.cuda.get_device_properties(device).major >= 8:
        return True
    return including_emulation and _holds_bfloat16(device)


def _holds_bfloat16(device: int) -> bool:
    try:
        torch.zeros(1, dtype=torch.bfloat16, device=torch.device("cuda", device))
    except (RuntimeError, TypeError):
        return False
    return True


_attach(globals())
