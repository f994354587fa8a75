"""What all learning rate schedulers share, with the semantics of torch 2.15 on any torch.

Our classes define every method themselves. They name torch's base class only so that `isinstance` holds.
"""

from __future__ import annotations

import warnings
import weakref
from abc import ABCMeta
from functools import wraps
from typing import Any, Callable, List, Sequence, TypeVar

import torch

from ..._shim import Limit, polyfill
from ..._torch import at_most, find
from .._states import of_scheduler

TORCHS = "torch.optim.lr_scheduler."
C = TypeVar("C", bound=Callable[..., Any])
Lrs = List[Any]
_NUMBERS = frozenset({float, int})

# The schedulers of torch before 2.4 count the calls of optimizer.step() under this name.
_TORCH_COUNTS = at_most(2, 3)
_WRAPPED = ("_wrapped_by_lr_sched", "_with_counter")

# How these messages start is what people filter them by.
_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. The optimizer goes first: otherwise the first "
    "learning rate of the schedule is never used. https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization, so that nobody "
    "knows whether it was called. The optimizer must step before the scheduler does. "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)
EPOCH_MESSAGE = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Call "
    "`scheduler.step()` without it. With it, the learning rate comes from the closed form, where there is one."
)
_OUTSIDE = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."


def torchs(name: str) -> Any:
    """The class of that name that the installed torch has, to be a base of ours; object where it has none."""
    return find(TORCHS + name) or object


def scheduler(
    since: str, link: str, limits: Sequence[Limit] = (), wrong: str | None = None, reason: str = ""
) -> Callable[[C], C]:
    """As polyfill, for a class of ``torch.optim.lr_scheduler``, of which torch's own class is a kind.

    What one torch pickled is read as torch's own class on another, since a pickle names the class by its public name.
    """

    def declare(fallback: C) -> C:
        name = fallback.__name__
        native = find(TORCHS + name)
        if native and "_kin" not in vars(fallback):
            fallback._kin = (native,)  # type: ignore[attr-defined]
        return polyfill(TORCHS + name, since=since, link=link, limits=limits, wrong=wrong, reason=reason)(fallback)

    return declare


class Kind(ABCMeta):
    """The class of scheduler classes: torch's own schedulers are instances of ours of the same name."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        return super().__subclasscheck__(subclass) or issubclass(subclass, vars(cls).get("_kin", ()))

    def __instancecheck__(cls, instance: Any) -> bool:
        # ABCMeta's own looks into a cache that knows nothing of the kin.
        return issubclass(instance.__class__, cls)


def check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}")


def positive_int(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive int, got {value!r}")
    return value


def per_group(name: str, optimizer: Any, value: Any) -> list[Any]:
    """*value* for each parameter group: one for all, or a list or tuple with one for each."""
    groups = optimizer.param_groups
    values = value if isinstance(value, (list, tuple)) else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"{name} must be one value, or one for each of {len(groups)} groups; got {len(values)} values")
    return [_copied(each) for each in values]


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def values_of(optimizer: Any, key: str) -> Lrs:
    """``group[key]`` of every parameter group; tensors are copied, so that nobody else changes them."""
    values = [group[key] for group in optimizer.param_groups]
    # Plain numbers, which nearly all are, are seen to be that by one call for all groups.
    return values if _NUMBERS.issuperset(map(type, values)) else [_copied(value) for value in values]


def put(group: Any, key: str, value: Any) -> None:
    """Set ``group[key]``: in place if it is a tensor, since captured graphs and compiled code read that very one."""
    if isinstance(group[key], torch.Tensor):
        group[key].fill_(value.squeeze() if isinstance(value, torch.Tensor) else value)
    else:
        group[key] = _copied(value)


def _forgetful(step: Callable[..., Any]) -> Callable[..., Any]:
    """*step*, which is no method, as one that takes an optimizer."""
    return wraps(step)(lambda optimizer, *args, **kwargs: step(*args, **kwargs))


def _watch(optimizer: Any) -> None:
    """Make *optimizer* note its steps, as torch's own schedulers do, in the way that those of this torch look for."""
    step = optimizer.step
    if any(hasattr(step, mark) for mark in _WRAPPED):
        return
    # Nothing here may hold the optimizer, which holds this: it would outlive its last user until garbage is collected.
    reference = weakref.ref(optimizer)
    call = getattr(step, "__func__", None) or _forgetful(step)

    @wraps(call)
    def watched(*args: Any, **kwargs: Any) -> Any:
        owner: Any = reference()
        owner._opt_called = True
        if _TORCH_COUNTS:
            owner._step_count = getattr(owner, "_step_count", 0) + 1
        return call(owner, *args, **kwargs)

    for mark in _WRAPPED if _TORCH_COUNTS else _WRAPPED[:1]:
        setattr(watched, mark, True)
    optimizer.step = watched


def _has_stepped(optimizer: Any) -> bool:
    return getattr(optimizer, "_opt_called", False) or getattr(optimizer, "_step_count", 0) > 0


def _prepare_groups(optimizer: Any, last_epoch: int) -> None:
    for index, group in enumerate(optimizer.param_groups):
        if last_epoch == -1:
            group.setdefault("initial_lr", _copied(group["lr"]))
        elif "initial_lr" not in group:
            raise KeyError(
                f"param_groups[{index}] of the optimizer has no 'initial_lr', which last_epoch={last_epoch} needs: "
                "load the state of the optimizer that was trained so far first, or start anew with last_epoch=-1"
            )


_BASE = find(TORCHS + "LRScheduler") or find(TORCHS + "_LRScheduler")  # the name was private up to torch 1.13


class Scheduler(_BASE, metaclass=Kind):  # type: ignore[misc, valid-type]
    """The base of our schedulers."""

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Any, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        _prepare_groups(optimizer, last_epoch)
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, here or on another torch."""
        self.__dict__.update(self._upgraded(state_dict))

    def _upgraded(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """A copy of *state_dict* in the form of torch 2.15, whichever torch it is of."""
        return of_scheduler(self, state_dict)

    def get_last_lr(self) -> Lrs:
        """The learning rate of each parameter group after the last step: floats, or tensors that are copies."""
        return self._last_lr

    def get_lr(self) -> Lrs:
        """Compute the learning rate of each parameter group for ``self.last_epoch``; a subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr()")

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch; or to *epoch*, which is deprecated and gives a UserWarning."""
        if self._step_count == 1:
            self._warn_if_early()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_MESSAGE, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _warn_if_early(self) -> None:
        if not any(hasattr(self.optimizer.step, mark) for mark in _WRAPPED):
            warnings.warn(_OVERRIDDEN, UserWarning, stacklevel=3)
        elif not _has_stepped(self.optimizer):
            warnings.warn(_EARLY, UserWarning, stacklevel=3)

    def _warn_if_outside(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(_OUTSIDE, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self._set_lrs(closed)

    def _set_lrs(self, compute: Callable[[], Lrs] | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            lrs = (compute or self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        groups = self.optimizer.param_groups
        if len(lrs) != len(groups):
            raise ValueError(f"the scheduler has {len(lrs)} learning rates for the optimizer's {len(groups)} groups")
        for group, lr in zip(groups, lrs):
            if type(lr) is float and type(group["lr"]) is float:
                group["lr"] = lr
            else:
                put(group, "lr", lr)
        self._last_lr = values_of(self.optimizer, "lr")


class Factors(Scheduler):
    """A scheduler that multiplies: what the learning rate is now by one number, and in closed form the initial one."""

    def _factor(self) -> float | None:
        """From the last epoch to this one; None for none, which is no arithmetic at all."""
        raise NotImplementedError

    def _closed_factor(self) -> float:
        """From the initial learning rate to this epoch's."""
        raise NotImplementedError

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        lrs = values_of(self.optimizer, "lr")
        factor = self._factor()
        return lrs if factor is None else [lr * factor for lr in lrs]

    def _get_closed_form_lr(self) -> Lrs:
        factor = self._closed_factor()
        return [base * factor for base in self.base_lrs]
