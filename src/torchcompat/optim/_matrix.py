"""``torch.optim.Adafactor`` and ``Muon``, which treat a parameter as a matrix."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _moved
from .._torch import at_least
from . import _checks
from ._base import twin
from ._engine import Engine, is_complex, lerp_, next_step, value_of
from ._states import scalar


class AdafactorBase(Engine, twin("Adafactor")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Adafactor` does."""

    _name = "Adafactor"
    _checks_all = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of real tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: largest relative step size, and factor of the weight decay: a number or a tensor of one element.
            beta2_decay: the power of the step number with which an average takes up the newest square; 0 or below.
            eps: the least denominator, or None for the machine epsilon, and the least scale of a parameter.
            d: what the root of the mean square of an update is clipped to, 1 or above.
            weight_decay: times *lr*, the part of each weight that is taken off in a step.
            foreach: changes speed only.
            maximize: go up instead of down.

        Raises:
            ValueError: a number is out of its range.
            RuntimeError: a complex parameter, or a sparse gradient.
        """
        _checks.not_negative(lr=lr, weight_decay=weight_decay)
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay must be at most 0, got {beta2_decay!r}")
        if not (eps[0] is None or eps[0] >= 0) or not eps[1] >= 0:
            raise ValueError(f"eps must be two numbers of at least 0, the first of which may be None; got {eps!r}")
        if not d >= 1:
            raise ValueError(f"d must be at least 1, got {d!r}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _check(self, group: dict[str, Any], param: Any) -> None:
        super()._check(group, param)
        if is_complex(param):
            raise RuntimeError("Adafactor does not take complex parameters")

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        if grad.dim() > 1:
            shape = list(grad.shape)
            state["row_var"] = grad.new_zeros(shape[:-1] + [1])
            state["col_var"] = grad.new_zeros(shape[:-2] + [1] + shape[-1:])
        else:
            state["variance"] = torch.zeros_like(grad)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        step = next_step(state)
        lr = value_of(group["lr"])
        least, least_scale = group["eps"]
        least = torch.finfo(param.dtype).eps if least is None else least
        size = max(least_scale, _root_mean_square(param)) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            param.mul_(1 - lr * group["weight_decay"])

        weight = step ** group["beta2_decay"]
        if grad.dim() > 1:
            rows, columns = state["row_var"], state["col_var"]
            lerp_(rows, _mean_square(grad, -1), weight)
            lerp_(columns, _mean_square(grad, -2), weight)
            variance = rows * columns
            variance.div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))
        else:
            lerp_(state["variance"], grad * grad, weight)
            variance = state["variance"].clone()
        update = variance.clamp_(min=least * least).rsqrt_().mul_(grad)
        param.add_(update, alpha=-size / max(1.0, _root_mean_square(update) / group["d"]))


def _root_mean_square(tensor: Any) -> float:
    return float(tensor.norm(2).item() / tensor.numel() ** 0.5)


def _mean_square(tensor: Any, dim: int) -> Any:
    return torch.norm(tensor, p=2, dim=dim, keepdim=True).pow_(2).div_(tensor.size(dim))


class MuonBase(Engine, twin("Muon")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Muon` does."""

    _name = "Muon"
    _checks_all = True
    _scalars = ()

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of real matrices, of (name, matrix) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            weight_decay: times *lr*, the part of each weight that is taken off in a step.
            momentum: how much of the average of gradients is kept in a step.
            nesterov: look ahead along the average.
            ns_coefficients: of the first, third and fifth power in the Newton-Schulz iteration.
            eps: the least norm of a step before it is made orthogonal.
            ns_steps: number of iterations, below 100.
            adjust_lr_fn: how *lr* depends on the shape (rows, columns): None or ``"original"``, the root of
                rows / columns but at least 1; ``"match_rms_adamw"``, 0.2 times the root of the larger;
                ``"spectral_unclamped"``, the root of rows / columns.

        Raises:
            ValueError: a number is out of its range; *adjust_lr_fn* is another string; a parameter is no matrix.
            RuntimeError: a complex parameter, or a sparse gradient.
        """
        _checks.not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in _RATIOS:
            raise ValueError(f"adjust_lr_fn must be one of {list(_RATIOS)}, got {adjust_lr_fn!r}")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for param in group["params"]:
                if param.dim() != 2:
                    raise ValueError(f"parameters must be matrices, got one of shape {tuple(param.shape)}")

    def _check(self, group: dict[str, Any], param: Any) -> None:
        super()._check(group, param)
        if is_complex(param):
            raise RuntimeError("Muon does not take complex parameters")
        if group["ns_steps"] >= 100:
            raise ValueError(f"ns_steps must be below 100, got {group['ns_steps']!r}")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(f"ns_coefficients must be three numbers, got {group['ns_coefficients']!r}")

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["momentum_buffer"] = torch.zeros_like(grad)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        average, momentum, lr = state["momentum_buffer"], group["momentum"], value_of(group["lr"])
        lerp_(average, grad, 1 - momentum)
        direction = average
        if group["nesterov"]:
            direction = grad.clone()
            lerp_(direction, average, momentum)
        step = _orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        param.mul_(1 - lr * group["weight_decay"])
        param.add_(step.to(param.dtype), alpha=-lr * _RATIOS[group["adjust_lr_fn"]](*param.shape))


_RATIOS: dict[str | None, Any] = {
    None: lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
    "spectral_unclamped": lambda rows, columns: math.sqrt(rows / columns),
}

_MULTIPLIES_BFLOAT16 = at_least(1, 10)


def _orthogonal(matrix: Any, coefficients: Any, steps: int, eps: float) -> Any:
    """The matrix with the same singular vectors and singular values near 1, in bfloat16's precision."""
    first, third, fifth = coefficients
    tall = matrix.size(0) > matrix.size(1)
    rounded = _round if matrix.device.type == "cpu" and not _MULTIPLIES_BFLOAT16 else _bfloat16
    now = rounded(matrix.t() if tall else matrix)
    now = rounded(now / rounded(now.norm()).clamp(min=eps))
    for _ in range(steps):
        gram = rounded(now @ now.t())
        inner = rounded(torch.addmm(gram, gram, gram, beta=third, alpha=fifth))
        now = rounded(torch.addmm(now, inner, now, beta=first))
    return now.t() if tall else now


def _bfloat16(tensor: Any) -> Any:
    return tensor.to(torch.bfloat16)


def _round(tensor: Any) -> Any:
    return tensor.float().to(torch.bfloat16).float()


_moved.attach(globals())
