"""``torch.amp.GradScaler`` for any device: torch's own up to 2.2 is for CUDA, and 1.2 to 1.4 have none."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from typing import Any

import torch

from .. import _moved
from ._casts import no_cuda
from ._scaling import Progress, Stage, grads_of, inverse, next_scale, unscale


class GradScalerBase:
    """What :class:`torchcompat.amp.GradScaler` does."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and no_cuda():
            warnings.warn("GradScaler is disabled: there is no CUDA device, nor torch_xla", stacklevel=2)
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError(f"growth_factor must be above 1, got {growth_factor}")
        if backoff_factor >= 1.0:
            raise AssertionError(f"backoff_factor must be below 1, got {backoff_factor}")
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_scale = init_scale
        self._init_growth_tracker = 0
        # Tensors on the device of the loss, from the first call of scale() on: reading them would wait for the device.
        self._scale: Any = None
        self._growth_tracker: Any = None
        self._progress: dict[int, Progress] = {}

    def _start(self, device: torch.device) -> None:
        self._scale = torch.full((), self._init_scale, dtype=torch.float32, device=device)
        self._growth_tracker = torch.full((), self._init_growth_tracker, dtype=torch.int32, device=device)

    def _check_started(self, method: str) -> None:
        if self._scale is None:
            raise AssertionError(f"{method}() was called before scale(): the loss must go through scale() first")

    def _progress_of(self, optimizer: Any) -> Progress:
        return self._progress.setdefault(id(optimizer), Progress())

    def scale(self, outputs: Any) -> Any:
        """*outputs*, a tensor or a nested iterable of tensors, times the scale.

        Lists and tuples stay what they are, other iterables become iterators.

        Raises:
            ValueError: there is something else in it.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, torch.Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(device=outputs.device, non_blocking=True)
        if not isinstance(outputs, Iterable):
            raise ValueError(f"outputs must be a tensor or an iterable of tensors, got {outputs!r}")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled  # type: ignore[call-arg]

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, in place, and note if one is not finite.

        ``step`` does it if this was not called. Sparse float16 gradients may be replaced.

        Raises:
            RuntimeError: it was called before since the last ``update``, or ``step`` was.
            ValueError: a gradient is float16.
            AssertionError: nothing was scaled.
        """
        if not self._enabled:
            return
        self._check_started("unscale_")
        progress = self._progress_of(optimizer)
        if progress.stage is not Stage.READY:
            before = "unscale_()" if progress.stage is Stage.UNSCALED else "step()"
            raise RuntimeError(f"unscale_() after {before} of this optimizer: update() must come between them")
        progress.found_inf = unscale(grads_of(optimizer, float16=False), inverse(self._scale))
        progress.stage = Stage.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscale the gradients, if that was not done, and step if all are finite.

        Args:
            optimizer: what to step. One that says ``_step_supports_amp_scaling`` (torch's fused ones) always steps,
                and is told the scale and whether gradients were not finite.
            args, kwargs: for its ``step``. A closure is refused.

        Returns:
            What its ``step`` returns, or None if it was skipped.

        Raises:
            RuntimeError: there is a closure, or it was called before since the last ``update``.
            AssertionError: nothing was scaled, or the optimizer has no gradients.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("step() takes no closure while the scaler is enabled: it would see scaled gradients")
        self._check_started("step")
        progress = self._progress_of(optimizer)
        if progress.stage is Stage.STEPPED:
            raise RuntimeError("step() after step() of this optimizer: update() must come between them")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            result = self._step_that_unscales(optimizer, progress, args, kwargs)
        else:
            if progress.stage is Stage.READY:
                self.unscale_(optimizer)
            if not progress.found_inf:
                raise AssertionError("the optimizer has no gradients: was backward() called?")
            result = None if progress.any_inf() else optimizer.step(*args, **kwargs)
        progress.stage = Stage.STEPPED
        return result

    def _step_that_unscales(self, optimizer: Any, progress: Progress, args: Any, kwargs: dict[str, Any]) -> Any:
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            if not type(optimizer).__module__.startswith("torch."):  # those of torch 1.13 have it still
                message = "step(grad_scaler=...) is outdated: the optimizer's grad_scale and found_inf are set for it"
                warnings.warn(message, FutureWarning, stacklevel=3)
            return optimizer.step(*args, grad_scaler=self, **kwargs)
        own = getattr(optimizer, "grad_scale", None)
        if progress.stage is Stage.UNSCALED:
            optimizer.grad_scale = own
        else:
            self._check_inf_per_device(optimizer)
            optimizer.grad_scale = self._scale if own is None else self._scale * own
        optimizer.found_inf = progress.total(self._scale.device)
        result = optimizer.step(*args, **kwargs)
        del optimizer.grad_scale, optimizer.found_inf
        return result

    def update(self, new_scale: Any = None) -> None:
        """Make the scale smaller if a step was skipped, larger if none was for long. Call it after all steps.

        Args:
            new_scale: a float, or a tensor with one element on the scaler's device: the new scale.

        Raises:
            AssertionError: no step was taken, nothing was scaled, or *new_scale* is another tensor.
        """
        if not self._enabled:
            return
        self._check_started("update")
        if isinstance(new_scale, float):
            self._scale.fill_(new_scale)
        elif new_scale is not None:
            if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
                raise AssertionError(
                    f"new_scale must be a float or a tensor with one element on {self._device!r} that requires no grad"
                )
            self._scale.copy_(new_scale)
        else:
            self._adapt()
        self._progress = {}

    def _adapt(self) -> None:
        found = [progress.total(self._scale.device) for progress in self._progress.values() if progress.found_inf]
        if not found:
            raise AssertionError("update() without step(): no gradients were looked at in this iteration")
        factors = self._growth_factor, self._backoff_factor
        scale, tracker = next_scale(self._scale, self._growth_tracker, sum(found), factors, self._growth_interval)
        self._scale.copy_(scale)
        self._growth_tracker.copy_(tracker)

    def get_scale(self) -> float:
        """The scale, or 1.0 if the scaler is disabled. Waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        """The growth factor."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the growth factor, which is not checked."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """The backoff factor."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the backoff factor, which is not checked."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The growth interval."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the growth interval."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether the scaler scales."""
        return self._enabled

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def state_dict(self) -> dict[str, Any]:
        """The state, in the keys that torch uses in every version; empty if the scaler is disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, also one of torch's own scalers. A disabled scaler takes none.

        Raises:
            RuntimeError: it is empty, as that of a disabled scaler is.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("state_dict is empty: the scaler that it came from was disabled")
        values = [state_dict[key] for key in ("scale", "growth_factor", "backoff_factor", "growth_interval")]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        self._init_scale, self._growth_factor, self._backoff_factor, self._growth_interval = values
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._progress:
                raise AssertionError("a scaler can be copied or pickled between iterations only, after update()")
            # No tensors, which would tie the copy to a device.
            state.update(_init_scale=self.get_scale(), _init_growth_tracker=self._get_growth_tracker())
            state.update(_scale=None, _growth_tracker=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # What torch's fused optimizers, and some others, ask of a scaler.

    def _get_scale_async(self) -> Any:
        return self._scale

    def _check_inf_per_device(self, optimizer: Any) -> dict[torch.device, Any]:
        self._check_started("_check_inf_per_device")
        progress = self._progress_of(optimizer)
        progress.found_inf = unscale(grads_of(optimizer, float16=True), None)
        return progress.found_inf

    def _found_inf_per_device(self, optimizer: Any) -> dict[torch.device, Any]:
        return self._progress_of(optimizer).found_inf


_moved.attach(globals())
