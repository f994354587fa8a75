"""The schedulers made of schedulers."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from typing import Any, Sequence

from ._base import Scheduler, put, torchs, values_of
from ._plateau import Plateau


def _check(schedulers: Sequence[Any], optimizer: Any) -> Any:
    """The one optimizer of all *schedulers*."""
    if len(schedulers) < 1:
        raise ValueError("schedulers must have at least one scheduler, got none")
    for index, each in enumerate(schedulers):
        if not hasattr(each, "optimizer"):
            raise TypeError(f"schedulers[{index}] must be a scheduler with an optimizer, got {type(each).__name__}")
        if isinstance(each, Plateau):
            raise ValueError(f"schedulers[{index}] is a ReduceLROnPlateau, whose step() needs a metric: step it apart")
        optimizer = optimizer or each.optimizer
        if each.optimizer is not optimizer:
            raise ValueError(f"schedulers[{index}] must have the same optimizer as the others")
    return optimizer


class _Group(Scheduler):
    """A scheduler that steps others. It has no initial learning rates of its own."""

    _schedulers: Sequence[Any]

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; of each scheduler its own state dict."""
        return dict(super().state_dict(), _schedulers=[each.state_dict() for each in self._schedulers])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, here or on another torch, into the schedulers given here."""
        state_dict = self._upgraded(state_dict)
        states = state_dict.pop("_schedulers")
        self.__dict__.update(state_dict)
        for each, state in zip(self._schedulers, states):
            each.load_state_dict(state)


# An older torch's schedulers have no method for the two: they start by a plain step, and go to an epoch with a warning.


def _start(each: Any) -> None:
    if hasattr(each, "_initial_step"):
        each._initial_step()
    else:
        each._step_count = 0
        each.step()


def _restart(each: Any) -> None:
    if hasattr(each, "_update_lr"):
        each._update_lr(0)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # which torch 1.4 calls it
        each.step(0)


def _undo_first_step(each: Any) -> None:
    """Take back the step that a scheduler does when it is made."""
    for inner in getattr(each, "_schedulers", ()):
        _undo_first_step(inner)
    if not hasattr(each, "_schedulers") and hasattr(each, "last_epoch"):
        each.last_epoch -= 1


class SequentialLRBase(_Group, torchs("SequentialLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.SequentialLR` does."""

    def __init__(self, optimizer: Any, schedulers: list[Any], milestones: list[int], last_epoch: int = -1) -> None:
        self.optimizer = _check(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"milestones must be one fewer than the {len(schedulers)} schedulers, got {len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            put(group, "lr", group["initial_lr"])
        _undo_first_step(self)
        _start(schedulers[bisect_right(milestones, 0)])
        self._last_lr = values_of(optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Go to the next epoch."""
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        current = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            _restart(current)
        else:
            current.step()
        self._last_lr = values_of(self.optimizer, "lr")


class ChainedSchedulerBase(_Group, torchs("ChainedScheduler")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.ChainedScheduler` does."""

    def __init__(self, schedulers: Sequence[Any], optimizer: Any = None) -> None:
        self.optimizer = _check(schedulers, optimizer)
        self._schedulers = schedulers
        self._last_lr = values_of(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Go to the next epoch."""
        for each in self._schedulers:
            each.step()
        self._last_lr = values_of(self.optimizer, "lr")
