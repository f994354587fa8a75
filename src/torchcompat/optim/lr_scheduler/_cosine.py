"""The schedulers that follow half a cosine wave."""

from __future__ import annotations

import math
from typing import Any

from ._base import Lrs, Scheduler, positive_int, torchs, values_of


def _wave(done: float) -> float:
    """From 1 to 0 while *done* goes from 0 to 1."""
    return (1 + math.cos(math.pi * done)) / 2


class CosineAnnealingLRBase(Scheduler, torchs("CosineAnnealingLR")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.CosineAnnealingLR` does."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        lrs = values_of(self.optimizer, "lr")
        if self._is_initial:
            return lrs
        if self._step_count == 1 and self.last_epoch > 0:
            return self._get_closed_form_lr()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            # The last epoch was at eta_min: no factor leads away from it.
            return [lr + (base - self.eta_min) * _wave(1 - 1 / self.T_max) for base, lr in zip(self.base_lrs, lrs)]
        factor = _wave(self.last_epoch / self.T_max) / _wave((self.last_epoch - 1) / self.T_max)
        return [factor * (lr - self.eta_min) + self.eta_min for lr in lrs]

    def _get_closed_form_lr(self) -> Lrs:
        height = _wave(self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestartsBase(Scheduler, torchs("CosineAnnealingWarmRestarts")):  # type: ignore[misc]
    """What :class:`torchcompat.optim.lr_scheduler.CosineAnnealingWarmRestarts` does."""

    def __init__(self, optimizer: Any, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        positive_int("T_0", T_0)
        positive_int("T_mult", T_mult)
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"eta_min must be a float or an int, got {eta_min!r}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        height = _wave(self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch; or to *epoch*, which may be a fraction, as in ``step(epoch + batch / batches)``.

        Raises:
            ValueError: *epoch* is negative.
        """
        if epoch is not None and epoch < 0:
            raise ValueError(f"epoch must not be negative, got {epoch}")
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch += 1
            self._advance()
        else:
            self._find(epoch or 0)
            self.last_epoch = math.floor(epoch or 0)
        self._set_lrs()

    def _advance(self) -> None:
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur %= self.T_i
            self.T_i *= self.T_mult

    def _find(self, epoch: float) -> None:
        self.T_i = self.T_0
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
            return
        self.T_cur = epoch
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
