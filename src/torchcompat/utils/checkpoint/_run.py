"""One checkpointed call, by what the installed torch offers: hooks on what autograd saves, or else its graph."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch

from ..._torch import at_least, at_most, exporting
from . import _graph, _hooks
from ._state import Surroundings

Contexts = Callable[[], Any]


class Overrides:
    """What the contexts ``set_checkpoint_*`` have set for the process, each None where nothing is."""

    early_stop: bool | None = None
    debug: bool | None = None

    @contextmanager
    def set(self, name: str, value: bool | None) -> Iterator[None]:
        before = getattr(self, name)
        setattr(self, name, value)
        try:
            yield
        finally:
            setattr(self, name, before)


overrides = Overrides()


def _metadata(tensor: torch.Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


_DETERMINISM: dict[str, Callable[[torch.Tensor], Any]] = {"default": _metadata, "none": lambda tensor: None}


def _describing(determinism_check: str) -> Callable[[torch.Tensor], Any]:
    """What is compared of a tensor."""
    if determinism_check not in _DETERMINISM:
        raise ValueError(f"determinism_check should be one of {list(_DETERMINISM)}, but got {determinism_check}")
    return _DETERMINISM[determinism_check]


_HIDES_FROM_TRACE = at_least(2, 2) and at_most(2, 2)
_EXPORT_FAILS = at_most(1, 12)


def is_untraceable() -> bool:
    """Whether torch's own is being traced and cannot be: a trace keeps what it saved, so the function alone will do.

    So it is in ``torch.onnx.export`` up to torch 1.12, and in ``torch.jit.trace`` on 2.2, where it is hidden from the
    compiler by what refuses to be traced.
    """
    if _HIDES_FROM_TRACE:
        return bool(torch.jit.is_tracing())
    return _EXPORT_FAILS and exporting()


def run(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    preserve_rng_state: bool,
    context_fn: Contexts,
    determinism_check: str,
    early_stop: bool,
    error: Callable[[str], RuntimeError],
    hooked: bool = at_least(1, 11),
) -> Any:
    """Checkpoint without reentrant autograd. *hooked*: by hooks, else by the graph.

    torch 1.10 has hooks too, but one pair at a time: none inside another, and so no checkpoint inside another.
    """
    describe = _describing(determinism_check)
    forward_context, recompute_context = context_fn()
    if not torch.is_grad_enabled():
        return function(*args, **kwargs)
    surroundings = Surroundings((args, kwargs), preserve_rng_state)

    def again(*args: Any, **kwargs: Any) -> Any:
        with surroundings.again(), recompute_context:
            return function(*args, **kwargs)

    if hooked:
        frame = _hooks.Frame(lambda *args: again(*args, **kwargs), args, describe, early_stop, error)
        return _hooks.run(function, args, kwargs, frame, forward_context)

    def first(*args: Any, **kwargs: Any) -> Any:
        with forward_context:
            return function(*args, **kwargs)

    return _graph.run(first, again, args, kwargs, describe, error)
