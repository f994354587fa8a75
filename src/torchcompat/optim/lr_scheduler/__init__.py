"""``torch.optim.lr_scheduler``: schedules with the constructors and values of torch 2.15.

What each of them does is in the private module of its base class.
"""

from __future__ import annotations

from typing import Any

from ..._lazy import attach as _attach
from ..._shim import Limit
from ..._torch import find
from . import (
    _combine,
    _cosine,
    _cycle,
    _decay,
    _plateau,
)
from ._base import TORCHS, Scheduler, scheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

_SINCE = "2.10"
_LINK = "https://github.com/pytorch/pytorch/pull/163120"
_RATES = Limit(
    "rates",
    "sets the first groups before it sees that get_lr returned too few; may not say so at all",
    "native",
    _SINCE,
)
_MUTATES = Limit("mutates", "load_state_dict takes a key out of the dict that it is given", "native", _SINCE)

# Of a learning rate that is a tensor. Up to 2.3 some also replace it, or share it with the initial one.
_TENSOR_RATE = "`get_last_lr()` gives the very tensor that is the learning rate, not a copy"
_REPLACED = "replaces a learning rate that is a tensor, where its value is to change"
_NO_LAST = _TENSOR_RATE + "; up to 1.3 there is no `get_last_lr()`"


@scheduler(since=_SINCE, link=_LINK, limits=[_RATES], reason=_TENSOR_RATE)
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


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class LambdaLR(_decay.LambdaLRBase):
    """Multiply the initial learning rate by a function of the epoch.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        lr_lambda: takes the epoch, from 0, and returns the factor; or a list of such functions, one for each group.

    Raises:
        ValueError: the list has another length.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_TENSOR_RATE)
class MultiplicativeLR(_decay.MultiplicativeLRBase):
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


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class StepLR(_decay.StepLRBase):
    """Multiply the learning rate by *gamma* every *step_size* epochs.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        step_size: epochs between two changes.
        gamma: the factor.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class MultiStepLR(_decay.MultiStepLRBase):
    """Multiply the learning rate by *gamma* at each of the *milestones*.

    In torch since 2.10. Fallback: the same formula; it also reads the states of torch 1.2 and 1.3.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        milestones: epochs, in any order; one that comes twice counts twice.
        gamma: the factor.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_TENSOR_RATE)
class ConstantLR(_decay.ConstantLRBase):
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


@scheduler(since=_SINCE, link=_LINK, reason=_TENSOR_RATE)
class LinearLR(_decay.LinearLRBase):
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


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class ExponentialLR(_decay.ExponentialLRBase):
    """Multiply the learning rate by *gamma* at each step but the first.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        gamma: the factor.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_TENSOR_RATE)
class PolynomialLR(_decay.PolynomialLRBase):
    """Let the learning rate fall to 0 at epoch *total_iters*, as ``(1 - epoch / total_iters) ** power``.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        total_iters: epochs.
        power: of the polynomial; 1 is a straight line.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class CosineAnnealingLR(_cosine.CosineAnnealingLRBase):
    """Let the learning rate fall to *eta_min* along half a cosine wave of *T_max* epochs, and rise again, and so on.

    In torch since 2.10. Fallback: the same formula, which from step to step scales what the learning rate is above
    *eta_min*, so that other schedulers can act on it too.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        T_max: epochs from the highest learning rate to the lowest.
        eta_min: the lowest learning rate.
    """


@scheduler(
    since=_SINCE,
    link=_LINK,
    limits=[
        Limit(
            "restart",
            "step(epoch) at the start of a wave may give eta_min: T_0=1, T_mult=3, epoch 121",
            "native",
            _SINCE,
        )
    ],
    reason=_REPLACED,
)
class CosineAnnealingWarmRestarts(_cosine.CosineAnnealingWarmRestartsBase):
    """Let the learning rate fall towards *eta_min* along half a cosine wave, start again at the top, and so on.

    In torch since 2.10. Fallback: the same formula; ``step(epoch)`` finds its wave by whole numbers.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        T_0: epochs of the first wave.
        T_mult: each wave has this many times the epochs of the one before.
        eta_min: the learning rate at the end of a wave.

    Raises:
        ValueError: *T_0* or *T_mult* is no positive int, or *eta_min* no number.
    """


@scheduler(since=_SINCE, link=_LINK, limits=[_MUTATES], reason=_NO_LAST)
class CyclicLR(_cycle.CyclicLRBase):
    """Move the learning rate up and down between two bounds, in straight lines, batch by batch.

    In torch since 2.10. Fallback: the same formula. It can be pickled, also on torch up to 2.0, where torch's own
    cannot. https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        base_lr, max_lr: the bounds; a float, or a list with one for each group.
        step_size_up, step_size_down: steps from bound to bound; down as up where None.
        mode: "triangular": all cycles are alike. "triangular2": each is half as high as the one before.
            "exp_range": ``gamma ** step`` times as high.
        gamma: for "exp_range".
        scale_fn: gives the height instead of *mode*; takes the cycle, from 1, or the step, from 0.
        scale_mode: which of these *scale_fn* takes: "cycle" or "iterations".
        cycle_momentum: move the momentum, or the first of the betas, the other way.
        base_momentum, max_momentum: its bounds; a float, or a list with one for each group.

    Raises:
        ValueError: *mode* is unknown; a list has another length; the optimizer has neither momentum nor betas.
    """


@scheduler(since=_SINCE, link=_LINK, reason=_NO_LAST)
class OneCycleLR(_cycle.OneCycleLRBase):
    """Let the learning rate rise to *max_lr* and fall far below where it began, once, batch by batch.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html

    Args:
        optimizer, last_epoch: as in :class:`LRScheduler`.
        max_lr: the top; a float, or a list with one for each group.
        total_steps: steps in all; where None, *epochs* times *steps_per_epoch*.
        pct_start: which part of the steps rises; a float from 0 to 1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: move the momentum, or the first of the betas, the other way.
        base_momentum, max_momentum: its bounds; a float, or a list with one for each group.
        div_factor: it begins at ``max_lr / div_factor``.
        final_div_factor: it ends at ``max_lr / div_factor / final_div_factor``.
        three_phase: fall to the beginning as steeply as it rose, then to the end.

    Raises:
        ValueError: an argument is out of range, a list has another length, the optimizer has neither momentum nor
            betas; or, from ``step``, it is past *total_steps*.
    """


@scheduler(since="2.10", link="https://github.com/pytorch/pytorch/pull/163098", reason=_REPLACED)
class ReduceLROnPlateau(_plateau.ReduceLROnPlateauBase):
    """Multiply the learning rate by *factor* when a metric has not improved for more than *patience* epochs.

    In torch since 2.10. Fallback: compares each metric with the best one, as torch's own does.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html

    Args:
        optimizer: as in :class:`LRScheduler`.
        mode: "min": lower is better; "max": higher is.
        factor: below 1.
        patience: epochs without improvement that are allowed.
        threshold: what counts as an improvement: by more than this part of the best ("rel"), or than this ("abs").
        threshold_mode: "rel" or "abs".
        cooldown: epochs after a change in which nothing counts.
        min_lr: no learning rate gets lower; a float, or a list with one for each group.
        eps: a smaller change of a learning rate is not made.

    Raises:
        ValueError: an argument is out of range, or a list has another length.
        TypeError: *optimizer* is none.
        RuntimeError: from ``step``, where *min_lr* was a list and the optimizer has other groups by now.
    """


@scheduler(
    since="2.13",
    link="https://github.com/pytorch/pytorch/pull/185986",
    reason="a milestone at 0 starts with the scheduler that it leaves out",
)
class SequentialLR(_combine.SequentialLRBase):
    """Use one scheduler after the other, each from its own epoch 0.

    In torch since 2.13. Fallback: steps the scheduler whose turn it is; torch's own schedulers can be among them, on
    any torch.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html

    Args:
        optimizer: of all the schedulers.
        schedulers: schedulers of that optimizer, not ``ReduceLROnPlateau``; one made of others only as the first.
        milestones: the epochs at which the second, third, ... scheduler takes over.
        last_epoch: the last epoch seen.

    Raises:
        ValueError: no scheduler, one of another optimizer, a ``ReduceLROnPlateau``, or a wrong number of milestones.
        TypeError: what is no scheduler.
    """


@scheduler(since="2.10", link="https://github.com/pytorch/pytorch/pull/163120", reason=_TENSOR_RATE)
class ChainedScheduler(_combine.ChainedSchedulerBase):
    """Step several schedulers at once, each acting on what the one before has made of the learning rate.

    In torch since 2.10. Fallback: steps one scheduler after the other; torch's own schedulers can be among them, but
    those of torch 1.2 and 1.3 do not look at what others did.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html

    Args:
        schedulers: schedulers of one optimizer, not ``ReduceLROnPlateau``.
        optimizer: theirs; the first one's where None.

    Raises:
        ValueError: no scheduler, one of another optimizer, or a ``ReduceLROnPlateau``.
        TypeError: what is no scheduler.
    """


_attach(globals())
