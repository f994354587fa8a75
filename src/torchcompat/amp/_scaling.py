"""The arithmetic of GradScaler. Its answers stay on the device, which nothing waits for until a step needs them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch

from .._torch import at_least

_HALVES = (torch.float16, torch.bfloat16)


class Stage(Enum):
    """How far an optimizer has come since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class Progress:
    """How far an optimizer has come, and what was found in its gradients: for each device a tensor, 0 if all finite."""

    def __init__(self) -> None:
        self.stage = Stage.READY
        self.found_inf: dict[torch.device, Any] = {}

    def total(self, device: torch.device) -> Any:
        """Above 0 if something was not finite on any device, as a tensor on *device*."""
        return sum(found.to(device=device, non_blocking=True) for found in self.found_inf.values())

    def any_inf(self) -> bool:
        """Whether something was not finite. Waits for the devices."""
        return any(found.item() for found in self.found_inf.values())


def grads_of(optimizer: Any, float16: bool) -> list[torch.Tensor]:
    """The dense tensors that hold the gradients of the optimizer's parameters.

    Raises:
        ValueError: one is float16, where *float16* is False: it has no range left for what is to be unscaled.
    """
    grads = []
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is None:
                continue
            if param.grad.dtype == torch.float16:
                if not float16:
                    raise ValueError("a gradient is float16: keep parameters in float32, and leave casts to autocast")
                if param.grad.is_sparse:  # the sum of entries that are there twice may overflow
                    param.grad = param.grad.coalesce()
            grads.append(param.grad._values() if param.grad.is_sparse else param.grad)
    return grads


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.device.type == "mps" else tensor.double()  # MPS has no float64


def inverse(scale: torch.Tensor) -> torch.Tensor:
    """1 / *scale* in float32, rounded once."""
    return _wide(scale).reciprocal().float()


def _has_kernel(device: torch.device) -> bool:
    # One launch for all tensors. For the CPU it came with https://github.com/pytorch/pytorch/pull/109281.
    return at_least(1, 8) if device.type == "cuda" else device.type == "cpu" and at_least(2, 3)


def _unscale_one(grad: torch.Tensor, found_inf: torch.Tensor, inv_scale: torch.Tensor | None) -> None:
    if not grad.numel():
        return
    # On old CPUs there is no arithmetic on 16 bits, and the scale would be rounded to them.
    values = grad.float() if grad.dtype in _HALVES else grad
    finite = torch.isfinite(values).all()
    found_inf.copy_(torch.max(found_inf, 1 - finite.to(torch.float32)))
    if inv_scale is not None:
        grad.copy_(values * inv_scale.to(values.dtype))


def _unscale_on(grads: list[torch.Tensor], found_inf: torch.Tensor, inv_scale: torch.Tensor | None) -> None:
    if not _has_kernel(found_inf.device):
        for grad in grads:
            _unscale_one(grad, found_inf, inv_scale)
        return
    one = torch.ones_like(found_inf) if inv_scale is None else inv_scale
    for dtype in {grad.dtype for grad in grads}:
        same = [grad for grad in grads if grad.dtype == dtype]
        torch._amp_foreach_non_finite_check_and_unscale_(same, found_inf, one)


def unscale(grads: list[torch.Tensor], inv_scale: torch.Tensor | None) -> dict[torch.device, torch.Tensor]:
    """Multiply the tensors with *inv_scale* in place, if there is one.

    Returns:
        For each device a float32 tensor without dimensions: 1 if an element there was not finite before, else 0.
    """
    found: dict[torch.device, torch.Tensor] = {}
    with torch.no_grad():
        for device in {grad.device for grad in grads}:
            found[device] = torch.zeros((), dtype=torch.float32, device=device)
            there = None if inv_scale is None else inv_scale.to(device=device, non_blocking=True)
            _unscale_on([grad for grad in grads if grad.device == device], found[device], there)
    return found


def next_scale(
    scale: torch.Tensor, tracker: torch.Tensor, found_inf: Any, factors: tuple[float, float], interval: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scale and the number of good steps in a row, after a step. A scale never grows beyond float32."""
    growth, backoff = factors
    bad = found_inf > 0
    good_steps = torch.where(bad, torch.zeros_like(tracker), tracker + 1)
    due = good_steps == interval
    grown = (_wide(scale) * growth).float()
    kept = torch.where(due & torch.isfinite(grown), grown, scale)
    scale = torch.where(bad, (_wide(scale) * backoff).float(), kept)
    return scale, torch.where(due, torch.zeros_like(tracker), good_steps)
