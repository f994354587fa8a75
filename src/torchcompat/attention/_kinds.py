"""Which of torch's attention modules a module is, and what a call of it is given."""

from __future__ import annotations

import inspect
from typing import Any, Sequence

import torch

from .._shim import SHIMS

KINDS = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "TransformerEncoder",
    "TransformerDecoderLayer",
    "TransformerDecoder",
    "Transformer",
)
_NEEDED = ("src", "tgt", "memory", "query", "key", "value")


def fallback_kind(module: Any) -> str | None:
    """The name of torchcompat's own class that *module* is of; None if it is not."""
    for kind in KINDS:
        shim = SHIMS.get("nn." + kind)
        if shim is not None and isinstance(module, shim.fallback):
            return kind
    return None


def bind(kind: str, module: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The inputs by the names that forward has for them."""
    ours = fallback_kind(module)
    owner = SHIMS["nn." + ours].fallback if ours else getattr(torch.nn, kind)
    try:
        given = inspect.signature(owner.forward).bind(module, *inputs, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"inputs do not fit the forward of {kind} on torch {torch.__version__}: {error}") from None
    for name, value in given.items():
        if name in _NEEDED and not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
        if name.endswith("mask") and not isinstance(value, (torch.Tensor, type(None))):
            raise TypeError(f"{name} must be a tensor or None, got {type(value).__name__}")
    return given


def kind_of(module: Any, accepted: Sequence[str]) -> str:
    """Which of torch's classes *module* is of."""
    for kind in accepted:
        if isinstance(module, getattr(torch.nn, kind)):
            return kind
    names = " or ".join("torch.nn." + kind for kind in accepted)
    names += " or scaled_dot_product_attention" if accepted is KINDS else ""
    raise TypeError(f"module must be a {names}, got {type(module).__name__}")
