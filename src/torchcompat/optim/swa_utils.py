"""``torch.optim.swa_utils``: averages of a model's weights over the training, even (SWA) or exponential (EMA)."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

import torch

from .._shim import Limit, polyfill
from .._torch import find
from ._swa_average import as_numbers, average_all, back, blend_all, by_kind
from .lr_scheduler._base import Lrs, Scheduler, check_optimizer, per_group, values_of

if TYPE_CHECKING:
    from .._types import AverageAll, AverageOne

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Tensors = Any
_MULTI = "https://github.com/pytorch/pytorch/pull/94820"
# https://github.com/pytorch/pytorch/pull/133773
_DECAY = Limit("decay", "a decay below 0 or above 1 is no error", "native", "2.1", "2.5")


def _checked(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay: it must be from 0 to 1, got {decay}")
    return decay


@polyfill("torch.optim.swa_utils.get_ema_avg_fn", since="2.1", link=_MULTI, limits=[_DECAY])
def get_ema_avg_fn(decay: float = 0.999) -> AverageOne:
    """The function for an exponential moving average: what it takes and returns is one tensor.

    In torch since 2.1. Fallback: the same formula, on half precision in float32.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.get_ema_avg_fn.html

    Args:
        decay: how much of the old average stays, from 0 to 1.

    Returns:
        A function of the average, the current value and the number of values so far.

    Raises:
        ValueError: *decay* is out of range.
    """
    _checked(decay)

    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with torch.no_grad():
            mixed = decay * as_numbers(ema_param) + (1 - decay) * as_numbers(current_param)
            return back(mixed, ema_param)

    return ema_update


@polyfill("torch.optim.swa_utils.get_swa_avg_fn", since="2.1", link=_MULTI)
def get_swa_avg_fn() -> AverageOne:
    """The function for an even average: what it takes and returns is one tensor.

    In torch since 2.1. Fallback: the same formula, on half precision in float32.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.get_swa_avg_fn.html

    Returns:
        A function of the average, the current value and the number of values so far, an int or a tensor.
    """

    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with torch.no_grad():
            average = as_numbers(averaged_param)
            step = (as_numbers(current_param) - average) / as_numbers(num_averaged + 1)
            return back(average + step, averaged_param)

    return swa_update


@polyfill("torch.optim.swa_utils.get_ema_multi_avg_fn", since="2.1", link=_MULTI, limits=[_DECAY])
def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """The function for an exponential moving average that changes a list of tensors in place.

    In torch since 2.1. Fallback: the same formula; one kernel for all tensors only where torch has it, on CUDA.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.get_ema_multi_avg_fn.html

    Args:
        decay: how much of the old average stays, from 0 to 1.

    Returns:
        A function of the averages, the current values, both lists of tensors of one dtype and device, and a number
        that does not matter. Whole numbers are rounded towards 0.

    Raises:
        ValueError: *decay* is out of range.
    """
    _checked(decay)

    def ema_update(ema_param_list: Tensors, current_param_list: Tensors, _: Any) -> None:
        blend_all(ema_param_list, current_param_list, 1 - decay)

    return ema_update


@polyfill(
    "torch.optim.swa_utils.get_swa_multi_avg_fn",
    since="2.1",
    link=_MULTI,
    limits=[Limit("integers", "refuses tensors of whole numbers", "native", "2.1")],
)
def get_swa_multi_avg_fn() -> AverageAll:
    """The function for an even average that changes a list of tensors in place.

    In torch since 2.1. Fallback: the same formula; one kernel for all tensors only where torch has it, on CUDA.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.get_swa_multi_avg_fn.html

    Returns:
        A function of the averages, the current values, both lists of tensors of one dtype and device, and the number
        of values so far, an int or a tensor.
    """

    return average_all


def _tensors(module: Any, use_buffers: bool) -> Iterator[Any]:
    yield from module.parameters()
    if use_buffers:
        yield from module.buffers()


@polyfill("torch.optim.swa_utils.AveragedModel", since="2.1", link=_MULTI, reason="no `multi_avg_fn`")
class AveragedModel(find("torch.optim.swa_utils.AveragedModel") or torch.nn.Module):  # type: ignore[misc]
    """A copy of a model whose parameters become the average of those it is updated with.

    In torch since 2.1. Fallback: a deep copy of the model, averaged tensor by tensor, with the same names in its state
    dict: ``n_averaged`` and ``module.*``.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html

    Args:
        model: what is averaged; it is copied, and left alone.
        device: where the average is; with the model where None.
        avg_fn: takes an average, a current value and the number of values so far, a tensor, and returns the new
            average. An even average where neither this nor *multi_avg_fn* is given.
        multi_avg_fn: takes lists of averages and of current values, of one dtype and device, and the number of values
            so far, and changes the averages in place.
        use_buffers: average the buffers too; otherwise they are copied from the model. Those of whole numbers are
            rounded towards 0.

    Raises:
        AssertionError: *avg_fn* and *multi_avg_fn* are both given.
    """

    def __init__(
        self,
        model: Any,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        torch.nn.Module.__init__(self)
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged copy."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Any) -> None:
        """Take *model* as it is now into the average; the first time, copy it."""
        averages = [each.detach() for each in _tensors(self.module, self.use_buffers)]
        news = (each.detach() for each in _tensors(model, self.use_buffers))
        currents = [new.to(average.device) for average, new in zip(averages, news)]
        if self.n_averaged == 0:
            for average, current in zip(averages, currents):
                average.copy_(current)
        elif self.avg_fn is not None:
            for average, current in zip(averages, currents):
                average.copy_(self.avg_fn(average, current, self.n_averaged.to(average.device)))
        else:
            multi_avg_fn = self.multi_avg_fn or average_all
            for some, new in by_kind(averages, currents):
                multi_avg_fn(some, new, self.n_averaged.to(some[0].device))
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers()):
                mine.detach().copy_(theirs.detach())
        self.n_averaged += 1


def _forward_all(loader: Iterable[Any], model: Any, device: Any) -> None:
    for batch in loader:
        data = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(data if device is None else data.to(device))


@polyfill(
    "torch.optim.swa_utils.update_bn",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/35032",
    limits=[Limit("error", "an error in the loader or the model leaves momentum and mode changed", "native", "2.1")],
    reason="replaces the running statistics by new tensors, where they are to be reset in place",
)
def update_bn(loader: Iterable[Any], model: torch.nn.Module, device: int | torch.device | None = None) -> None:
    """Compute the statistics of the batch normalisations of *model* anew, as even averages over the batches.

    In torch since 2.1. Fallback: forward passes in training mode with a momentum of None; everything but the statistics
    is put back after an error too.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.update_bn.html

    Args:
        loader: gives batches: tensors, or lists or tuples that start with one.
        model: called with each batch, in training mode and without gradients. Nothing is done if it has no batch
            normalisation.
        device: where batches are moved to; nowhere where None.
    """
    momenta = {}
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    try:
        with torch.no_grad():
            _forward_all(loader, model, device)
    finally:
        for module, momentum in momenta.items():
            module.momentum = momentum
        model.train(was_training)


_SWALR = find("torch.optim.swa_utils.SWALR")


@polyfill(
    "torch.optim.swa_utils.SWALR",
    since="2.10",
    link="https://github.com/pytorch/pytorch/pull/163122",
    reason="`get_last_lr()` gives the very tensor that is the learning rate, not a copy",
)
class SWALR(Scheduler, _SWALR or object):  # type: ignore[misc]
    """Bring the learning rate to *swa_lr* within some epochs, and leave it there.

    In torch since 2.10. Fallback: the same formula.
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.SWALR.html

    Args:
        optimizer: a ``torch.optim.Optimizer``.
        swa_lr: the learning rate; a float, or a list with one for each group.
        anneal_epochs: how long it takes; with 0 the first learning rate is *swa_lr*.
        anneal_strategy: "cos" or "linear".
        last_epoch: the last epoch seen.

    Raises:
        ValueError: *anneal_strategy* or *anneal_epochs* is out of range, or a list has another length.
        TypeError: *optimizer* is none.
    """

    _kin = (_SWALR,) if _SWALR else ()

    def __init__(
        self,
        optimizer: Any,
        swa_lr: float,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be an int of at least 0, got {anneal_epochs!r}")
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way is done at *step*, from 0 to 1."""
        done = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return done if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * done)) / 2

    def get_lr(self) -> Lrs:
        self._warn_if_outside()
        step = max(self._step_count - 1, 0 if self.anneal_epochs else 1)
        before, now = self._share(step - 1), self._share(step)
        swa_lrs = values_of(self.optimizer, "swa_lr")
        if before == 1:
            return swa_lrs
        # From what the learning rate is, back to where it came from, and from there to what it is to be.
        starts = [(lr - before * swa) / (1 - before) for lr, swa in zip(values_of(self.optimizer, "lr"), swa_lrs)]
        return [swa * now + start * (1 - now) for start, swa in zip(starts, swa_lrs)]
