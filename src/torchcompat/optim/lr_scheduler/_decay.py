"""The schedulers that multiply the learning rate, epoch by epoch, and the base class itself."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any, Callable, Iterable, List, Union

from .._states import function_state
from ._base import Factors, Lrs, Scheduler, check_optimizer, torchs, values_of

_Lambdas = Union[Callable[[int], float], List[Callable[[int], float]]]


class _PerGroup(Scheduler):
    """One function of the epoch for each parameter group."""

    def __init__(self, optimizer: Any, lr_lambda: _Lambdas, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"lr_lambda must be one function, or one for each of {groups} groups; got {len(self.lr_lambdas)}"
            )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; of the functions only the attributes of those that are objects."""
        return dict(super().state_dict(), lr_lambdas=[function_state(each) for each in self.lr_lambdas])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, into the functions that this scheduler was made with."""
        state_dict = self._upgraded(state_dict)
        functions = state_dict.pop("lr_lambdas")
        self.__dict__.update(state_dict)
        for function, state in zip(self.lr_lambdas, functions):
            if state:
                vars(function).update(state)

    def _multiples(self, lrs: Lrs) -> Lrs:
        return [lr * function(self.last_epoch) for lr, function in zip(lrs, self.lr_lambdas)]


class LambdaLRBase(_PerGroup, torchs("LambdaLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.LambdaLR` does."""

    def __init__(self, optimizer: Any, lr_lambda: _Lambdas, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        return self._multiples(self.base_lrs)


class MultiplicativeLRBase(_PerGroup, torchs("MultiplicativeLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.MultiplicativeLR` does."""

    def __init__(self, optimizer: Any, lr_lambda: _Lambdas, last_epoch: int = -1) -> None:
        for function in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function or a list of functions, got {type(function).__name__}")
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        lrs = values_of(self.optimizer, "lr")
        return lrs if self._is_initial else self._multiples(lrs)


class StepLRBase(Factors, torchs("StepLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.StepLR` does."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma

    def _closed_factor(self) -> float:
        return float(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLRBase(Factors, torchs("MultiStepLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.MultiStepLR` does."""

    def __init__(self, optimizer: Any, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        times = self.milestones.get(self.last_epoch)
        return None if times is None else float(self.gamma**times)

    def _closed_factor(self) -> float:
        return float(self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch))


class ConstantLRBase(Factors, torchs("ConstantLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.ConstantLR` does."""

    def __init__(self, optimizer: Any, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"factor must be between 0 and 1, got {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else None

    def _closed_factor(self) -> float:
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLRBase(Factors, torchs("LinearLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.LinearLR` does."""

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must be above 0 and at most 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor must be between 0 and 1, got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        slope = self.end_factor - self.start_factor
        return 1.0 + slope / (self.total_iters * self.start_factor + (self.last_epoch - 1) * slope)

    def _closed_factor(self) -> float:
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ExponentialLRBase(Factors, torchs("ExponentialLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.ExponentialLR` does."""

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self._is_initial else self.gamma

    def _closed_factor(self) -> float:
        return float(self.gamma**self.last_epoch)


class PolynomialLRBase(Factors, torchs("PolynomialLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.PolynomialLR` does."""

    def __init__(self, optimizer: Any, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _left(self, epoch: int) -> float:
        return 1.0 - min(self.total_iters, epoch) / self.total_iters

    def _factor(self) -> float | None:
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        return float((self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power)

    def _closed_factor(self) -> float:
        return float(self._left(self.last_epoch) ** self.power)
