"""``torch.optim.LBFGS`` with today's signature."""

from __future__ import annotations

from typing import Any

import torch

from .. import _moved
from . import _checks
from ._base import Base
from ._engine import _real, bare, is_complex, value_of


class LBFGSBase(Base, torch.optim.LBFGS):  # type: ignore[misc]
    """What :class:`torchcompat.optim.LBFGS` does."""

    _scalars = ()

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        """Make one for *params*.

        Args:
            params: an iterable of tensors or of (name, tensor) pairs; one group.
            lr: factor of the step, a number or a tensor of one element.
            max_iter: iterations in a step.
            max_eval: calls of the closure in a step; None for 1.25 times *max_iter*.
            tolerance_grad: stop when no gradient is larger.
            tolerance_change: stop when neither the loss nor a parameter changes by more.
            history_size: how many changes are remembered.
            line_search_fn: ``"strong_wolfe"`` or None.
            maximize: go up instead of down.

        Raises:
            ValueError: *lr* is negative, or there are several groups.
            RuntimeError: *line_search_fn* is another string; raised by the first step.
        """
        _checks.not_negative(lr=lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
                "maximize": maximize,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS takes one parameter group, got {len(self.param_groups)}")

    def step(self, closure: Any) -> Any:
        """Iterate.

        Args:
            closure: computes the loss and the gradients anew, and returns the loss. Called with gradients enabled.

        Returns:
            What *closure* returned the first time.
        """
        group = self.param_groups[0]
        first: list[Any] = []

        def loss() -> Any:
            with torch.enable_grad():
                value = closure()
            first.append(value) if not first else None
            number = value.item() if isinstance(value, torch.Tensor) else float(value)
            return -number if group["maximize"] else number

        if not group["params"]:
            loss()
            return first[0]
        lr = group["lr"]
        try:
            group["lr"] = value_of(lr)
            with torch.no_grad():
                bare(torch.optim.LBFGS.step)(self, loss)
        finally:
            group["lr"] = lr
        return first[0]

    # What torch's own step calls.

    @property
    def _params(self) -> Any:
        return self.param_groups[0]["params"]

    def _numel(self) -> int:
        return sum(param.numel() * (2 if is_complex(param) else 1) for param in self._params)

    def _gather_flat_grad(self) -> Any:
        parts = []
        for param in self._params:
            grad = torch.zeros_like(param) if param.grad is None else param.grad
            grad = grad.to_dense() if grad.is_sparse else grad
            parts.append(_real(grad.detach()).reshape(-1))
        flat = torch.cat(parts)
        return flat.neg_() if self.param_groups[0]["maximize"] else flat

    def _add_grad(self, step_size: Any, direction: Any) -> None:
        start = 0
        for param in self._params:
            flat = _real(param.detach())
            flat.add_(direction[start : start + flat.numel()].view(flat.shape), alpha=float(step_size))
            start += flat.numel()

    def _clone_param(self) -> list[Any]:
        return [param.detach().clone() for param in self._params]

    def _set_param(self, values: list[Any]) -> None:
        for param, value in zip(self._params, values):
            param.detach().copy_(value)

    def _directional_evaluate(self, closure: Any, x: list[Any], t: Any, d: Any) -> tuple[float, Any]:
        self._add_grad(t, d)
        loss = float(closure())
        flat = self._gather_flat_grad()
        self._set_param(x)
        return loss, flat


_moved.attach(globals())
