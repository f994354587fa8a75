"""``torch.optim.Adadelta``, ``Adagrad`` and ``RMSprop`` with today's signatures."""

from __future__ import annotations

from typing import Any

import torch

from .. import _moved
from . import _checks
from ._base import twin
from ._engine import (
    Engine,
    add_square_,
    decay,
    is_complex,
    lerp_,
    move_,
    move_ratio_,
    next_step,
    plus_,
    sparse_like,
    value_of,
)
from ._states import scalar


class AdadeltaBase(Engine, twin("Adadelta")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Adadelta` does."""

    _name = "Adadelta"
    _only_counts = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: factor of the step, a number or a tensor of one element.
            rho: how much of both averages of squares is kept in a step, from 0 to 1.
            eps: added to both averages.
            weight_decay: factor of the L2 penalty.
            foreach: changes speed only.
            capturable: changes speed only; needs parameters on an accelerator.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.

        Raises:
            ValueError: a number is out of its range.
            RuntimeError: a sparse gradient.
        """
        _checks.not_negative(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)
        if rho > 1:
            raise ValueError(f"rho must be at most 1, got {rho!r}")
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["square_avg"] = torch.zeros_like(param)
        state["acc_delta"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        rho, eps = group["rho"], group["eps"]
        grad = decay(group, param, grad)
        add_square_(state["square_avg"], grad, rho)
        delta = state["acc_delta"].add(eps).sqrt_() / state["square_avg"].add(eps).sqrt_() * grad
        add_square_(state["acc_delta"], delta, rho)
        move_(param, delta, -value_of(group["lr"]))


class AdagradBase(Engine, twin("Adagrad")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Adagrad` does."""

    _name = "Adagrad"
    # In 2.0 foreach=True rounds the learning rate to float32.
    _torch_steps_from = (2, 1)
    _takes_sparse = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            lr_decay: how fast it falls.
            weight_decay: factor of the L2 penalty; not with sparse gradients.
            initial_accumulator_value: what the sums start from.
            eps: added to the denominator.
            foreach: changes speed only.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.
            fused: changes speed only.

        Raises:
            ValueError: a number is negative.
            RuntimeError: *fused* together with *foreach* or *differentiable*; *weight_decay* with a sparse gradient.
        """
        _checks.not_negative(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        _checks.not_negative(initial_accumulator_value=initial_accumulator_value)
        _checks.fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As for all optimisers; the sums start here, since :meth:`share_memory` may be called before a step."""
        super().add_param_group(param_group)
        for param in param_group["params"]:
            self._start(param_group, param, None, self.state[param])

    def share_memory(self) -> None:
        """Move the sums to shared memory, for other processes to see."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def _check(self, group: dict[str, Any], param: Any) -> None:
        super()._check(group, param)
        if param.grad.is_sparse and group["weight_decay"] != 0:
            raise RuntimeError("weight_decay does not go with sparse gradients")

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        start = self.defaults["initial_accumulator_value"]
        state["step"] = scalar(0, group, param)
        state["sum"] = torch.full_like(param.detach(), complex(start, start) if is_complex(param) else start)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        step = next_step(state)
        grad = decay(group, param, grad)
        size = -(value_of(group["lr"]) / (1 + (step - 1) * group["lr_decay"]))
        total = state["sum"]
        if not grad.is_sparse:
            total.addcmul_(grad, grad, value=1)
            move_ratio_(param, grad, plus_(total.sqrt(), group["eps"]), size)
            return
        grad = grad.coalesce()
        values = grad._values()
        total.add_(sparse_like(grad, values.pow(2)))
        roots = total.sparse_mask(grad)._values().sqrt_().add_(group["eps"])
        move_(param, sparse_like(grad, values / roots), size)


class RMSpropBase(Engine, twin("RMSprop")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.RMSprop` does."""

    _name = "RMSprop"
    _only_counts = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            alpha: how much of the averages is kept in a step.
            eps: added to the denominator.
            weight_decay: factor of the L2 penalty.
            momentum: how much of the last direction is kept.
            centered: scale by the variance, for which the gradient is averaged too.
            capturable: changes speed only; needs parameters on an accelerator.
            foreach: changes speed only.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.

        Raises:
            ValueError: a number is negative.
            RuntimeError: a sparse gradient.
        """
        _checks.not_negative(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["square_avg"] = torch.zeros_like(param)
        if group["momentum"] > 0:
            state["momentum_buffer"] = torch.zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        grad = decay(group, param, grad)
        alpha, size = group["alpha"], -value_of(group["lr"])
        square = state["square_avg"]
        add_square_(square, grad, alpha)
        if group["centered"]:
            mean = state["grad_avg"]
            lerp_(mean, grad, 1 - alpha)
            square = square.addcmul(mean, mean, value=-1)
        root = plus_(square.sqrt(), group["eps"])
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(grad, root)
            move_(param, buffer, size)
        else:
            move_ratio_(param, grad, root, size)


_moved.attach(globals())
