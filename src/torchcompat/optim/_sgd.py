"""``torch.optim.SGD``, ``ASGD`` and ``Rprop`` with today's signatures."""

from __future__ import annotations

from typing import Any

import torch

from .. import _moved
from . import _checks
from ._base import twin
from ._engine import FOREACH, Engine, Pairs, decay, is_complex, move_, moved, next_step, value_of
from ._states import scalar

_CPU = torch.device("cpu")


class SGDBase(Engine, twin("SGD")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.SGD` does."""

    _name = "SGD"
    _scalars = ()
    _takes_sparse = True
    _complex_as_real = False
    _foreach_differentiates = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        # Torch's own lets NaN pass here, and in no other optimiser.
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate, a number or a tensor of one element.
            momentum: how much of the last direction is kept.
            dampening: how much of the gradient is left out of the direction.
            weight_decay: factor of the L2 penalty.
            nesterov: look ahead along the direction; needs *momentum*, and no *dampening*.
            maximize: go up instead of down.
            foreach: changes speed only.
            differentiable: let autograd go back through the step; parameters need not be leaves then.
            fused: changes speed only.

        Raises:
            ValueError: a number is out of its range, or *nesterov* lacks momentum.
            RuntimeError: *fused* together with *foreach* or *differentiable*.
        """
        _checks.not_below_zero(lr=lr, momentum=momentum, weight_decay=weight_decay)
        _checks.fused(fused, foreach, differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(f"nesterov needs momentum above 0 and dampening 0, got {momentum} and {dampening}")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _stateless(self, group: dict[str, Any]) -> bool:
        return not group["momentum"]

    def _advance_all(self, group: dict[str, Any], pairs: Pairs) -> None:
        # A step that is nothing but an addition is one call for all parameters, which adds one after the other.
        lr, decays = group["lr"], group["weight_decay"]
        bare = self._stateless(group) and type(lr) is float and type(decays) in (int, float) and decays == 0
        if not (bare and FOREACH and pairs) or torch.is_grad_enabled():
            return super()._advance_all(group, pairs)
        if any(grad.is_sparse or param.device != _CPU for param, grad in pairs):
            return super()._advance_all(group, pairs)
        params, grads = zip(*pairs)
        torch._foreach_add_(params, grads, alpha=lr if group["maximize"] else -lr)
        return None

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        grad = decay(group, param, grad)
        momentum = group["momentum"]
        if momentum:
            # Some torch wrote None for a buffer that was not there.
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = grad.detach().clone()
            else:
                buffer.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = moved(grad, buffer, momentum) if group["nesterov"] else buffer
        move_(param, grad, -value_of(group["lr"]))


class ASGDBase(Engine, twin("ASGD")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.ASGD` does."""

    _name = "ASGD"
    # Before, foreach=True is off by 1e-5.
    _torch_steps_from = (2, 4)
    _scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: learning rate of the first step, a number or a tensor of one element.
            lambd: how fast it falls, and how much the parameters shrink.
            alpha: the power with which it falls.
            t0: the step from which on the average is taken.
            weight_decay: factor of the L2 penalty.
            foreach: changes speed only.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.
            capturable: changes speed only; needs parameters on an accelerator.

        Raises:
            ValueError: a number is negative.
        """
        _checks.not_negative(lr=lr, lambd=lambd, alpha=alpha, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        state["step"] = scalar(0, group, param)
        state["eta"] = scalar(group["lr"], group, param)
        state["mu"] = scalar(1, group, param)
        state["ax"] = torch.zeros_like(param)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        step = next_step(state)
        grad = decay(group, param, grad)
        eta, mu, average = state["eta"].item(), state["mu"].item(), state["ax"]
        param.mul_(1 - group["lambd"] * eta)
        param.add_(grad, alpha=-eta)
        if mu == 1:
            average.copy_(param)
        else:
            average.add_(param.sub(average).mul_(mu))
        lr = value_of(group["lr"])
        state["eta"].copy_(torch.as_tensor(lr / (1 + group["lambd"] * lr * step) ** group["alpha"]))
        state["mu"].fill_(1 / max(1, step - group["t0"]))


class RpropBase(Engine, twin("Rprop")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.Rprop` does."""

    _name = "Rprop"
    _only_counts = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors, of (name, tensor) pairs, or of dicts that describe groups.
            lr: size of the first step, a number or a tensor of one element.
            etas: factors of the step size where the sign has changed, and where not: below 1 and above 1.
            step_sizes: the smallest and the largest step size.
            capturable: changes speed only; needs parameters on an accelerator.
            foreach: changes speed only.
            maximize: go up instead of down.
            differentiable: let autograd go back through the step.

        Raises:
            ValueError: *lr* is negative, or *etas* are not on the two sides of 1.
        """
        _checks.not_negative(lr=lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"etas must be a number between 0 and 1 and one above 1, got {etas!r}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        lr = float(group["lr"])
        state["step"] = scalar(0, group, param)
        state["prev"] = torch.zeros_like(param)
        # Real and imaginary parts have step sizes of their own.
        state["step_size"] = torch.full_like(grad.detach(), complex(lr, lr) if is_complex(param) else lr)

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        down, up = group["etas"]
        turned = grad * state["prev"]
        factor = torch.ones_like(turned)
        factor[turned > 0] = up
        factor[turned < 0] = down
        state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        # Where the sign has changed the parameter waits for one step.
        grad = grad.masked_fill(turned < 0, 0)
        param.addcmul_(grad.sign(), state["step_size"], value=-1)
        state["prev"].copy_(grad)


_moved.attach(globals())
