"""The schedulers that move the learning rate and, if asked to, the momentum the other way."""

from __future__ import annotations

import math
from typing import Any, Callable, List, Union

from .._states import function_state
from ._base import Lrs, Scheduler, check_optimizer, per_group, positive_int, put, torchs

_Floats = Union[float, List[float]]


def _uses_betas(optimizer: Any) -> bool:
    """Whether what counts as momentum is the first of the betas."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("cycle_momentum=True needs an optimizer with a momentum or betas; this one has neither")
    return "betas" in optimizer.defaults


def _put_momentum(group: Any, momentum: Any, in_betas: bool) -> None:
    if in_betas:
        group["betas"] = (momentum,) + tuple(group["betas"][1:])
    else:
        group["momentum"] = momentum


def _start_momentum(optimizer: Any, highest: list[Any], lowest: list[Any], in_betas: bool) -> None:
    for group, high, low in zip(optimizer.param_groups, highest, lowest):
        _put_momentum(group, high, in_betas)
        group["max_momentum"] = high
        group["base_momentum"] = low


_SCALES: dict[str, Callable[[float, float], float]] = {
    "triangular": lambda gamma, cycle: 1.0,
    "triangular2": lambda gamma, cycle: 1 / 2.0 ** (cycle - 1),
    "exp_range": lambda gamma, epoch: gamma**epoch,
}


class CyclicLRBase(Scheduler, torchs("CyclicLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.CyclicLR` does."""

    def __init__(
        self,
        optimizer: Any,
        base_lr: _Floats,
        max_lr: _Floats,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if mode not in _SCALES and scale_fn is None:
            raise ValueError(f"mode must be one of {', '.join(_SCALES)} where there is no scale_fn; got {mode!r}")
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = _uses_betas(optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs):
                put(group, "lr", lr)
            if cycle_momentum:
                _start_momentum(optimizer, self.max_momentums, self.base_momentums, self.use_beta1)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """How high a cycle is, for its number or for the number of steps."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _SCALES[self.mode](self.gamma, x)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        done = 1.0 + self.last_epoch / self.total_size - cycle
        rising = done <= self.step_ratio
        height = done / self.step_ratio if rising else (done - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            self._move_momentum(height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs)]

    def _move_momentum(self, height: float) -> None:
        for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
            _put_momentum(group, high - (high - low) * height, self.use_beta1)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; of *scale_fn* only the attributes, if it is an object."""
        custom = self._scale_fn_custom
        return dict(super().state_dict(), _scale_fn_custom=None if custom is None else function_state(custom))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, here or on another torch, into the *scale_fn* given here."""
        state_dict = self._upgraded(state_dict)
        attributes = state_dict.pop("_scale_fn_custom")
        self.__dict__.update(state_dict)
        if isinstance(attributes, dict) and self._scale_fn_custom is not None:
            vars(self._scale_fn_custom).update(attributes)


def _phase(end: float, lr: tuple[str, str], momentum: tuple[str, str]) -> dict[str, Any]:
    return {
        "end_step": end,
        "start_lr": lr[0],
        "end_lr": lr[1],
        "start_momentum": momentum[0],
        "end_momentum": momentum[1],
    }


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Which of a group's values lead to which others, until which step; under the keys that torch has in its states."""
    top = float(pct_start * total_steps) - 1
    down, up = ("max_momentum", "base_momentum"), ("base_momentum", "max_momentum")
    rise = _phase(top, ("initial_lr", "max_lr"), down)
    if not three_phase:
        return [rise, _phase(total_steps - 1, ("max_lr", "min_lr"), up)]
    fall = _phase(float(2 * pct_start * total_steps) - 2, ("max_lr", "initial_lr"), up)
    return [rise, fall, _phase(total_steps - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum"))]


def _all_steps(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    if total_steps is not None:
        return positive_int("total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("total_steps is needed, or both epochs and steps_per_epoch")
    return positive_int("epochs", epochs) * positive_int("steps_per_epoch", steps_per_epoch)


class OneCycleLRBase(Scheduler, torchs("OneCycleLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.OneCycleLR` does."""

    def __init__(
        self,
        optimizer: Any,
        max_lr: _Floats,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: _Floats = 0.85,
        max_momentum: _Floats = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.total_steps = _all_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start must be a float between 0 and 1, got {pct_start!r}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        tops = per_group("max_lr", optimizer, max_lr)
        if cycle_momentum:
            self.use_beta1 = _uses_betas(optimizer)
            highest = per_group("max_momentum", optimizer, max_momentum)
            lowest = per_group("base_momentum", optimizer, base_momentum)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, tops):
                initial = top / div_factor
                group.update(initial_lr=initial, max_lr=top, min_lr=initial / final_div_factor)
            if cycle_momentum:
                _start_momentum(optimizer, highest, lowest, self.use_beta1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        if self.last_epoch > self.total_steps:
            raise ValueError(f"this is step {self.last_epoch}, past the {self.total_steps} steps of the schedule")
        phase, done = self._where()
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], done)
                _put_momentum(group, momentum, self.use_beta1)
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], done) for group in groups]

    def _where(self) -> tuple[dict[str, Any], float]:
        """The phase of this step, and how much of it is done, from 0 to 1."""
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if self.last_epoch <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        return phase, (self.last_epoch - start) / (phase["end_step"] - start)

    def _between(self, start: Any, end: Any, done: float) -> Any:
        if self._anneal_func_type == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
