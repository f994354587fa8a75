"""Mixed precision under torch 2.15's names: ``autocast`` and ``GradScaler`` for any device, on any torch.

docs/amp.md tells what each torch can do. A cast that the installed torch does not have is an error, and never quietly
float32.
"""

from __future__ import annotations

import copy
import functools
from typing import Any, Callable

import torch

from .._lazy import attach as _attach
from .._shim import Limit, lacks, polyfill
from .._torch import at_least
from . import _grad_scaler
from ._casts import cast, effective
from ._state import castable, dtype_now, is_on, kind_of, switch_of

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


@polyfill("torch.amp.is_autocast_available", since="2.4", link="https://github.com/pytorch/pytorch/pull/124938")
def is_autocast_available(device_type: str) -> bool:
    """Whether the installed torch has autocast for a type of device.

    In torch since 2.4. Fallback: ``"cuda"`` from 1.6, ``"cpu"`` from 1.10, others if torch or a vendor's module has it.
    https://docs.pytorch.org/docs/stable/amp.html

    Args:
        device_type: a device's type. That such a device is there is not asked: True for ``"cuda"`` on any machine.

    Raises:
        RuntimeError: torch 2.15 knows no such device.
        TypeError: *device_type* is not a string.
    """
    return switch_of(kind_of(device_type)) is not None


def _text(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"device_type must be a string such as 'cuda', got {device_type!r}")
    return device_type


@polyfill(
    "torch.amp.autocast",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/99272",
    limits=[
        Limit("mtia", "raises RuntimeError for 'mtia'", "native", "2.5", "2.6"),
        Limit("maia", "raises RuntimeError for 'maia'", "native", "2.5", "2.7"),
        Limit("as", "`with autocast(...) as x` gives None", "native", "2.5", "2.8"),
        Limit("callable", "what cannot be called is decorated all the same", "native", "2.5", "2.11"),
        Limit("again", "an object that is entered again inside itself leaves autocast on", "native", "2.5"),
        lacks("script"),
        lacks("isinstance", last="2.4"),
        Limit("fullgraph", "torch.compile breaks the graph at it", "fallback", "2.0", "2.11"),
    ],
    reason='raises for "mps", even when it is not enabled',
)
class autocast:
    """Run operations in a lower precision, each as is best for it, in a ``with`` block or a decorated function.

    In torch since 2.5. Fallback: sets the state of the installed torch's autocast, from 1.6 for CUDA and from 1.10 for
    the CPU. Up to 1.9 weights are always cached. `torch.autocast` itself takes its arguments in another order in 1.10,
    raises for ``"mps"`` up to 2.4 even when not enabled, and for float16 on the CPU only warns up to 2.1.
    https://docs.pytorch.org/docs/stable/amp.html

    Args:
        device_type: ``"cuda"``, ``"cpu"`` or another, such as ``tensor.device.type``.
        dtype: what to cast to. None: :func:`torchcompat.get_autocast_dtype`. If the device cannot cast to it, a
            UserWarning says so and nothing is cast.
        enabled: False: nothing is cast in the block, also inside another that casts. This works on every torch.
        cache_enabled: whether casts of weights are kept until the block ends. None: as around the block.

    Raises:
        UnsupportedError: it is enabled, and the installed torch is too old for it.
        RuntimeError: torch 2.15 has no such device or no autocast for it, or the GPU has no bfloat16.
        ValueError: *device_type* is not a string.
    """

    def __init__(
        self,
        device_type: str,
        dtype: torch.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        kind = castable(_text(device_type))
        self.device = device_type
        self.fast_dtype = dtype_now(device_type) if dtype is None else dtype
        self._kind = kind
        self._enabled = enabled and effective(kind, self.fast_dtype)
        self._cache_enabled = cache_enabled
        self._before: list[tuple[bool, Any, Any]] = []

    def __enter__(self) -> autocast:
        switch = switch_of(self._kind)
        if switch is not None:  # torchcompat: needs torch >= 1.6
            cache = torch.is_autocast_cache_enabled() if at_least(1, 10) else None
            self._before.append((switch.enabled(), switch.dtype(), cache))
            switch.set_enabled(self._enabled)
            switch.set_dtype(self.fast_dtype)
            torch.autocast_increment_nesting()
            if cache is not None and self._cache_enabled is not None:
                torch.set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        switch = switch_of(self._kind)
        if switch is not None:  # torchcompat: needs torch >= 1.6
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()
            enabled, dtype, cache = self._before.pop()
            switch.set_enabled(enabled)
            switch.set_dtype(dtype)
            if cache is not None:  # torchcompat: needs torch >= 1.10
                torch.set_autocast_cache_enabled(cache)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError(f"autocast(...) decorates functions, got {func!r}; for a block write `with autocast(...):`")

        @functools.wraps(func)
        def casting(*args: Any, **kwargs: Any) -> Any:
            block = copy.copy(self)  # of this call: another thread may be in one too
            block._before = []
            with block:
                return func(*args, **kwargs)

        return casting


_CUSTOM = "https://github.com/pytorch/pytorch/pull/126531"


@polyfill("torch.amp.custom_fwd", since="2.4", link=_CUSTOM)
def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: torch.dtype | None = None,
) -> Any:
    """Decorate the ``forward`` of an ``autograd.Function`` so that its ``backward`` can run as it did.

    In torch since 2.4. Fallback: the same for any device, on the installed torch's autocast; where there is none, a
    function is always outside of it. ``torch.cuda.amp.custom_fwd`` (1.6) is for CUDA only, and warns from 2.4.
    https://docs.pytorch.org/docs/stable/notes/amp_examples.html#autocast-and-custom-autograd-functions

    Args:
        fwd: the method, whose first argument is the context. None: a decorator is returned.
        device_type: as for :class:`autocast`.
        cast_inputs: where autocast is on, cast the floating-point inputs on this device, but float64, to this dtype,
            also those in lists, tuples and dicts, and run without autocast. Elsewhere it does nothing.

    Raises:
        ValueError: *device_type* is not a string.
    """
    _text(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    function = fwd

    @functools.wraps(function)
    def forward(*args: Any, **kwargs: Any) -> Any:
        on = is_on(device_type)
        args[0]._dtype = dtype_now(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if not on or cast_inputs is None:
            return function(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return function(*cast(args, device_type, cast_inputs), **cast(kwargs, device_type, cast_inputs))

    return forward


@polyfill("torch.amp.custom_bwd", since="2.4", link=_CUSTOM)
def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorate the ``backward`` of an ``autograd.Function`` so that it runs under the autocast of its ``forward``.

    In torch since 2.4. Fallback: as for :func:`custom_fwd`, which must decorate ``forward``.
    https://docs.pytorch.org/docs/stable/notes/amp_examples.html#autocast-and-custom-autograd-functions

    Args:
        bwd: the method, whose first argument is the context. None: a decorator is returned.
        device_type: as for :class:`autocast`.

    Raises:
        ValueError: *device_type* is not a string.
    """
    _text(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    function = bwd

    @functools.wraps(function)
    def backward(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, dtype=args[0]._dtype, enabled=args[0]._fwd_used_autocast):
            return function(*args, **kwargs)

    return backward


@polyfill(
    "torch.amp.GradScaler",
    since="2.3",
    link="https://github.com/pytorch/pytorch/pull/109993",
    limits=[
        Limit("grad_scale", "replaces a `grad_scale` that an optimizer has, and deletes it", "native", "2.3", "2.4"),
    ],
)
class GradScaler(_grad_scaler.GradScalerBase):
    """Scale the loss so that small gradients survive float16, and skip a step whose gradients are not finite.

    In torch since 2.3. Fallback: the same in torch's public operations, on tensors of any device, with the same state
    dict. It is no instance of ``torch.cuda.amp.GradScaler``.
    https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler

    ``scale(loss).backward()``, ``step(optimizer)`` for every optimizer, ``update()``; with clipping in between,
    ``unscale_(optimizer)`` comes before it.

    Args:
        device: the type of the device that the gradients are on. ``"cuda"`` without CUDA is disabled, with a
            UserWarning; any other really scales.
        init_scale: the factor to start with.
        growth_factor: what the scale is multiplied with after *growth_interval* steps in a row that were not skipped.
        backoff_factor: what it is multiplied with after a step that was.
        growth_interval: see *growth_factor*.
        enabled: False: every method does nothing, but ``step``, which steps.

    Raises:
        AssertionError: *growth_factor* is not above 1, or *backoff_factor* not below.
    """


_attach(globals())
