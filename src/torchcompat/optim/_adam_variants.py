"""``torch.optim.NAdam`` and ``RAdam`` with today's signatures."""

from __future__ import annotations

from typing import Any

import torch

from .. import _moved
from . import _checks
from ._base import twin
from ._engine import Engine, add_square_, decay, lerp_, move_, move_ratio_, next_step, plus_, times_, value_of
from ._states import scalar


class NAdamBase(Engine, twin("NAdam")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.NAdam` does."""

    _name = "NAdam"
    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            betas: how much of each average is kept in a step.
            eps: added to the denominator.
            weight_decay: factor of the L2 penalty, or of the decay of the weights.
            momentum_decay: how fast the momentum comes near the first of *betas*.
            decoupled_weight_decay: shrink the weights themselves, as AdamW does.
            foreach: changes speed only.
            maximize: go up instead of down.
            capturable: changes speed only; needs parameters on an accelerator.
            differentiable: let autograd go back through the step.

        Raises:
            ValueError: a number is out of its range.
            RuntimeError: a sparse gradient.
        """
        _checks.not_negative(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        _checks.decay_rates(betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["mu_product"] = scalar(1, group, param)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr = value_of(group["lr"])
        step = next_step(state)
        grad = decay(group, param, grad)
        now, then = (beta1 * (1 - 0.5 * 0.96 ** (count * group["momentum_decay"])) for count in (step, step + 1))
        state["mu_product"].mul_(now)
        product = value_of(state["mu_product"])
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        lerp_(mean, grad, 1 - beta1)
        add_square_(square, grad, beta2)
        denominator = plus_(square.div(1 - beta2**step).sqrt(), group["eps"])
        move_ratio_(param, grad, denominator, -lr * (1 - now) / (1 - product))
        move_ratio_(param, mean, denominator, -lr * then / (1 - product * then))


class RAdamBase(Engine, twin("RAdam")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.RAdam` does."""

    _name = "RAdam"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            betas: how much of each average is kept in a step.
            eps: added to the denominator.
            weight_decay: factor of the L2 penalty, or of the decay of the weights.
            decoupled_weight_decay: shrink the weights themselves, as AdamW does.
            foreach: changes speed only.
            maximize: go up instead of down.
            capturable: changes speed only; needs parameters on an accelerator.
            differentiable: let autograd go back through the step.

        Raises:
            ValueError: a number is out of its range.
            RuntimeError: a sparse gradient.
        """
        _checks.not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        _checks.decay_rates(betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        step = next_step(state)
        grad = decay(group, param, grad)
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        lerp_(mean, grad, 1 - beta1)
        add_square_(square, grad, beta2)
        left2 = 1 - beta2**step
        direction = times_(mean / (1 - beta1**step), value_of(group["lr"]))
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / left2
        if length > 5:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            direction = times_(direction, left2**0.5 / plus_(square.sqrt(), group["eps"]))
            direction = times_(direction, rectified**0.5)
        move_(param, direction, -1)


_moved.attach(globals())
