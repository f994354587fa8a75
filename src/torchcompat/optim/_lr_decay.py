"""The schedulers that multiply the learning rate, epoch by epoch, and the base class itself."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any, Callable, Iterable, List, Union

from .._shim import Limit
from .._torch import find
from ._lr_base import TORCHS, Factors, Lrs, Scheduler, check_optimizer, scheduler, torchs, values_of
from ._states import function_state

_SINCE = "2.10"
_LINK = "https://github.com/pytorch/pytorch/pull/163120"
_Lambdas = Union[Callable[[int], float], List[Callable[[int], float]]]
_RATES = Limit(
    "rates",
    "sets the first groups before it sees that get_lr returned too few; may not say so at all",
    "native",
    _SINCE,
)


@scheduler(since=_SINCE, link=_LINK, limits=[_RATES])
class LRScheduler(Scheduler):
    """The base class of all learning rate schedulers, torch's and yours: isinstance knows them on every torch.

    In torch since 2.10. Fallback: torch's base class under either of its names (``_LRScheduler`` up to 1.13) is a
    kind of it, and so is ``ReduceLROnPlateau``, which stands alone up to torch 2.1. What you derive from it is derived
    from torch's base class. https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LRScheduler.html

    A subclass defines ``get_lr(self)``, which returns the learning rate of each parameter group for
    ``self.last_epoch``; ``self.base_lrs`` are the initial ones. A method ``_get_closed_form_lr(self)`` is used instead
    by ``step(epoch)``.

    Args:
        optimizer: a ``torch.optim.Optimizer``. A learning rate that is a tensor is changed in place.
        last_epoch: the last epoch seen, when training goes on; the groups then need their ``"initial_lr"``.

    Raises:
        TypeError: *optimizer* is none.
        KeyError: there is no ``"initial_lr"`` although *last_epoch* is not -1.
    """

    _kin = tuple(
        filter(None, map(find, (TORCHS + "LRScheduler", TORCHS + "_LRScheduler", TORCHS + "ReduceLROnPlateau")))
    )

    def __init__(self, optimizer: Any, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)


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


@scheduler(since=_SINCE, link=_LINK)
class LambdaLR(_PerGroup, torchs("LambdaLR")):  # type: ignore[misc]
    """Multiply the initial learning rate by a function of the epoch.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        lr_lambda: takes the epoch, from 0, and returns the factor; or a list of such functions, one for each group.

    Raises:
        ValueError: the list has another length.
    """

    def __init__(self, optimizer: Any, lr_lambda: _Lambdas, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        return self._multiples(self.base_lrs)


@scheduler(since=_SINCE, link=_LINK)
class MultiplicativeLR(_PerGroup, torchs("MultiplicativeLR")):  # type: ignore[misc]
    """Multiply the learning rate, at each step but the first, by a function of the epoch.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiplicativeLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        lr_lambda: takes the epoch, from 1, and returns the factor; or a list of such functions, one for each group.

    Raises:
        ValueError: the list has another length.
        TypeError: what should be a function cannot be called.
    """

    def __init__(self, optimizer: Any, lr_lambda: _Lambdas, last_epoch: int = -1) -> None:
        for function in lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda]:
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function or a list of functions, got {type(function).__name__}")
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        lrs = values_of(self.optimizer, "lr")
        return lrs if self._is_initial else self._multiples(lrs)


@scheduler(since=_SINCE, link=_LINK)
class StepLR(Factors, torchs("StepLR")):  # type: ignore[misc]
    """Multiply the learning rate by *gamma* every *step_size* epochs.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        step_size: epochs between two changes.
        gamma: the factor.
    """

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma

    def _closed_factor(self) -> float:
        return float(self.gamma ** (self.last_epoch // self.step_size))


@scheduler(since=_SINCE, link=_LINK)
class MultiStepLR(Factors, torchs("MultiStepLR")):  # type: ignore[misc]
    """Multiply the learning rate by *gamma* at each of the *milestones*.

    In torch since 2.10. Fallback: the same formula; it also reads the states of torch 1.2 and 1.3.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        milestones: epochs, in any order; one that comes twice counts twice.
        gamma: the factor.
    """

    def __init__(self, optimizer: Any, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        times = self.milestones.get(self.last_epoch)
        return None if times is None else float(self.gamma**times)

    def _closed_factor(self) -> float:
        return float(self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch))


@scheduler(since=_SINCE, link=_LINK)
class ConstantLR(Factors, torchs("ConstantLR")):  # type: ignore[misc]
    """Multiply the learning rate by *factor* until epoch *total_iters*, and then give it back.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        factor: from 0 to 1; with 0 nothing can be given back, and epoch *total_iters* raises ZeroDivisionError.
        total_iters: epochs.

    Raises:
        ValueError: *factor* is out of range.
    """

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


@scheduler(since=_SINCE, link=_LINK)
class LinearLR(Factors, torchs("LinearLR")):  # type: ignore[misc]
    """Change the factor of the learning rate linearly, from *start_factor* to *end_factor* at epoch *total_iters*.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        start_factor: at epoch 0; above 0, at most 1.
        end_factor: from 0 to 1.
        total_iters: epochs.

    Raises:
        ValueError: a factor is out of range.
    """

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


@scheduler(since=_SINCE, link=_LINK)
class ExponentialLR(Factors, torchs("ExponentialLR")):  # type: ignore[misc]
    """Multiply the learning rate by *gamma* at each step but the first.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        gamma: the factor.
    """

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float | None:
        return None if self._is_initial else self.gamma

    def _closed_factor(self) -> float:
        return float(self.gamma**self.last_epoch)


@scheduler(since=_SINCE, link=_LINK)
class PolynomialLR(Factors, torchs("PolynomialLR")):  # type: ignore[misc]
    """Let the learning rate fall to 0 at epoch *total_iters*, as ``(1 - epoch / total_iters) ** power``.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        total_iters: epochs.
        power: of the polynomial; 1 is a straight line.
    """

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
