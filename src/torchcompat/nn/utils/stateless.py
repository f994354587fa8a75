"""``torch.nn.utils.stateless``: a deprecated name of :func:`torchcompat.func.functional_call`."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from ... import func
from ..._shim import Limit, polyfill

__all__ = ["functional_call"]


@polyfill(
    "torch.nn.utils.stateless.functional_call",
    since="2.4",
    link="https://github.com/pytorch/pytorch/pull/127689",
    limits=[Limit("args", "args is required: without it a call is a TypeError", "native", "2.4", "2.5")],
    reason="its deprecation is no FutureWarning; no `tie_weights` up to 1.13",
)
def functional_call(
    module: torch.nn.Module,
    parameters_and_buffers: dict[str, torch.Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call *module* with other parameters and buffers: deprecated, use :func:`torchcompat.func.functional_call`.

    In torch since 2.4. Fallback: a FutureWarning, and torchcompat.func.functional_call. Torch has the name since 1.12;
    it knew no *tie_weights* and no *strict* up to 1.13, and gave a UserWarning, or none, up to 2.3.

    Args:
        module: what to call.
        parameters_and_buffers: by name. What the module assigns to one of these is found here afterwards.
        args: one argument, or a tuple of arguments.
        kwargs: keyword arguments.
        tie_weights: let a tensor stand for all that are tied to the one that it replaces.
        strict: every parameter and buffer must be named, and nothing else.

    Returns:
        What *module* returns.

    Raises:
        RuntimeError: *module* is scripted, or a DataParallel; or *strict* and the names do not match.
        ValueError: tied names have different values.
        TypeError: *parameters_and_buffers* is no dict.

    https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
    """
    warnings.warn(
        "torch.nn.utils.stateless.functional_call is deprecated; use torch.func.functional_call, "
        "or torchcompat.func.functional_call on any torch",
        FutureWarning,
        stacklevel=2,
    )
    if not isinstance(parameters_and_buffers, dict):
        raise TypeError(f"parameters_and_buffers must be a dict, got {type(parameters_and_buffers).__name__}")
    # Torch's own took None for an argument up to 2.2.
    args = () if args is None else args
    return func.functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
