"""``torch.optim.Adam``, ``AdamW``, ``Adamax`` and ``SparseAdam`` with today's signatures."""

from __future__ import annotations

import math
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
    kept,
    lerp_,
    move_ratio_,
    next_step,
    over_,
    plus_,
    sparse_like,
    value_of,
)
from ._states import scalar


class AdamBase(Engine, twin("Adam")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Adam` does."""

    _name = "Adam"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            betas: how much of each average is kept in a step: two floats, or two tensors of one element.
            eps: added to the denominator.
            weight_decay: factor of the L2 penalty, or of the decay of the weights.
            amsgrad: divide by the largest average of squares so far.
            foreach: changes speed only.
            maximize: go up instead of down.
            capturable: changes speed only; needs parameters on an accelerator.
            differentiable: let autograd go back through the step; parameters need not be leaves then.
            fused: changes speed only.
            decoupled_weight_decay: shrink the weights themselves, as AdamW does.

        Raises:
            ValueError: a number is out of its range; *betas* are of two kinds, or no floats; a tensor with *foreach*.
            RuntimeError: *fused* together with *foreach* or *differentiable*; a sparse gradient.
        """
        _checks.not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        _checks.decay_rates(betas)
        if not any(all(isinstance(beta, kind) for beta in betas) for kind in (float, torch.Tensor)):
            raise ValueError(f"betas must be two floats or two tensors, got {betas!r}")
        _checks.no_tensor_with_foreach(foreach, capturable, lr=lr, betas=betas[0])
        _checks.fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(beta.reshape(()) if isinstance(beta, torch.Tensor) else beta for beta in betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        beta1, beta2 = map(value_of, group["betas"])
        step = next_step(state)
        grad = decay(group, param, grad)
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        lerp_(mean, grad, 1 - beta1)
        add_square_(square, grad, beta2)
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            square = torch.max(kept(largest), square)
            largest.copy_(square)
        root = (1 - beta2**step) ** 0.5
        move_ratio_(
            param, mean, plus_(over_(square.sqrt(), root), group["eps"]), -(value_of(group["lr"]) / (1 - beta1**step))
        )


class AdamWBase(AdamBase, twin("AdamW")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.AdamW` does."""

    _name = "AdamW"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            betas: how much of each average is kept in a step: two floats, or two tensors of one element.
            eps: added to the denominator.
            weight_decay: times *lr*, the part of each weight that is taken off in a step.
            amsgrad: divide by the largest average of squares so far.
            maximize: go up instead of down.
            foreach: changes speed only.
            capturable: changes speed only; needs parameters on an accelerator.
            differentiable: let autograd go back through the step; parameters need not be leaves then.
            fused: changes speed only.

        Raises:
            ValueError, RuntimeError: as :class:`torchcompat.optim.Adam`.
        """
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class AdamaxBase(Engine, twin("Adamax")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Adamax` does."""

    _name = "Adamax"

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            betas: how much of the average and of the largest gradient is kept in a step.
            eps: added to the size of the gradient.
            weight_decay: factor of the L2 penalty.
            foreach: changes speed only.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.
            capturable: changes speed only; needs parameters on an accelerator.

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
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_inf"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        step = next_step(state)
        grad = decay(group, param, grad)
        mean, largest = state["exp_avg"], state["exp_inf"]
        lerp_(mean, grad, 1 - beta1)
        largest.copy_(torch.max(largest * beta2, grad.abs().add_(group["eps"])))
        denominator = largest.clone() if largest.requires_grad else largest
        move_ratio_(param, mean, denominator, -(value_of(group["lr"]) / (1 - beta1**step)))


class SparseAdamBase(Engine, twin("SparseAdam")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.SparseAdam` does."""

    _name = "SparseAdam"
    _checks_all = True
    _scalars = ()
    _takes_sparse = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of dense real tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate above 0, a number or a tensor of one element.
            betas: how much of each average is kept in a step.
            eps: above 0; added to the denominator.
            maximize: go up instead of down.

        Raises:
            ValueError: a number is out of its range; a parameter is sparse or complex.
            RuntimeError: a dense gradient.
        """
        _checks.positive(lr=lr, eps=eps)
        _checks.decay_rates(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for number, group in enumerate(self.param_groups):
            for index, param in enumerate(group["params"]):
                if param.is_sparse or is_complex(param):
                    kind = "sparse" if param.is_sparse else "complex"
                    raise ValueError(f"parameters must be dense and real; number {index} of group {number} is {kind}")

    def _check(self, group: dict[str, Any], param: Any) -> None:
        if not param.grad.is_sparse:
            raise RuntimeError("SparseAdam does not take dense gradients; use Adam")

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = 0  # torch keeps a number here, to this day
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] += 1
        step = state["step"]
        grad = grad.coalesce()
        values = grad._values()
        if values.numel() == 0:
            return
        beta1, beta2 = group["betas"]
        mean = _averaged(state["exp_avg"], grad, values, 1 - beta1)
        square = _averaged(state["exp_avg_sq"], grad, values * values, 1 - beta2)
        size = value_of(group["lr"]) * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        param.add_(sparse_like(grad, -size * mean / square.sqrt_().add_(group["eps"])))


def _averaged(average: Any, grad: Any, values: Any, weight: float) -> Any:
    """The entries of *average* that *grad* names, moved towards *values*, there and as returned."""
    old = average.sparse_mask(grad)._values()
    change = (values - old).mul_(weight)
    average.add_(sparse_like(grad, change))
    return old + change


_moved.attach(globals())
