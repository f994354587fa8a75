"""The arguments of :func:`torchcompat.nn.functional.scaled_dot_product_attention`: what is accepted, and the errors."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple, Sequence

import torch

_has_nested = hasattr(torch.Tensor, "is_nested")


class Arguments(NamedTuple):
    """The arguments of a call by their names, as they were given."""

    query: Any
    key: Any
    value: Any
    attn_mask: Any = None
    dropout_p: Any = 0.0
    is_causal: Any = False
    scale: Any = None
    enable_gqa: Any = False


def is_nested(query: Any, key: Any, value: Any) -> bool:
    return _has_nested and bool(query.is_nested or key.is_nested or value.is_nested)


def shape_of(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.size())


def check_tensors(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    named = [("query", query), ("key", key), ("value", value)]
    if attn_mask is not None:
        named.append(("attn_mask", attn_mask))
    for name, tensor in named:
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(tensor).__name__}")
        if tensor.device != query.device:
            raise RuntimeError(f"{name} must be on query's device {query.device}, got {tensor.device}")
    for name, tensor in named[:3]:
        if tensor.dim() < 2:
            raise RuntimeError(f"{name} must have at least 2 dimensions (..., length, width), got {shape_of(tensor)}")


def check_flags(is_causal: Any, enable_gqa: Any, attn_mask: Any) -> None:
    for name, flag in (("is_causal", is_causal), ("enable_gqa", enable_gqa)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be a bool, got {type(flag).__name__}")
    if is_causal and attn_mask is not None:
        raise RuntimeError("attn_mask must be None when is_causal=True: combine the two in attn_mask")


def number(name: str, value: Any) -> float:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, torch.Tensor) and value.dim() == 0 and not value.requires_grad:
        return float(value.item())
    raise TypeError(f"{name} must be a float, got {type(value).__name__}")


def check_dtypes(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(
            f"query, key and value must have one dtype, got {query.dtype}, {key.dtype} and {value.dtype}"
        )
    if query.dtype in (torch.complex64, torch.complex128):
        raise NotImplementedError(f"query, key and value must be floating point, got {query.dtype}")
    if not query.is_floating_point():
        raise RuntimeError(f"query, key and value must be floating point, got {query.dtype}")
    if attn_mask is not None and attn_mask.dtype not in (torch.bool, torch.float32, query.dtype):
        raise RuntimeError(f"attn_mask must be of dtype bool, float32 or query's {query.dtype}, got {attn_mask.dtype}")


def broadcast(name: str, shape: Sequence[int], other: Sequence[int]) -> list[int]:
    """The shape that *shape* and *other* (query's, in messages) broadcast to."""
    rank = max(len(shape), len(other))
    left, right = [1] * (rank - len(shape)) + list(shape), [1] * (rank - len(other)) + list(other)
    for mine, theirs in zip(left, right):
        if mine != theirs and 1 not in (mine, theirs):
            raise RuntimeError(
                f"{name} has leading dimensions {tuple(shape)}, which do not broadcast with query's {tuple(other)}"
            )
    return [theirs if mine == 1 else mine for mine, theirs in zip(left, right)]


def _lead(name: str, tensor: Any, query: Any, enable_gqa: bool) -> tuple[int, ...]:
    """The leading dimensions of key or value, with each head counted once for every query head of its group."""
    lead = shape_of(tensor)[:-2]
    if not enable_gqa:
        return lead
    if tensor.dim() < 3 or query.dim() < 3:
        raise IndexError(f"{name} and query must have a dimension of heads (-3) with enable_gqa=True")
    heads, wanted = tensor.size(-3), query.size(-3)
    if heads != wanted and (heads == 0 or wanted % heads):
        raise RuntimeError(f"{name}'s number of heads must divide query's {wanted}, got {heads}")
    return (*lead[:-1], wanted)


def check_shapes(query: Any, key: Any, value: Any, enable_gqa: bool) -> list[int]:
    """The shape of the scores."""
    key_lead = _lead("key", key, query, enable_gqa)
    value_lead = _lead("value", value, query, enable_gqa)
    if key.size(-1) != query.size(-1):
        raise RuntimeError(f"key must have query's width {query.size(-1)}, got {key.size(-1)}")
    if value.size(-2) != key.size(-2):
        raise RuntimeError(f"value must have key's length {key.size(-2)}, got {value.size(-2)}")
    lead = broadcast("value", value_lead, broadcast("key", key_lead, shape_of(query)[:-2]))
    return [*lead, query.size(-2), key.size(-2)]


def mask_for(attn_mask: Any, scores: Sequence[int]) -> Any:
    """The mask with at least two dimensions, checked to broadcast to the scores."""
    shape = shape_of(attn_mask)
    if len(scores) == 4 and len(shape) < 2:
        raise IndexError(f"attn_mask must have at least 2 dimensions for a 4-D query, got {shape}")
    if len(scores) == 3 and len(shape) == 4 and shape[0] == 1:
        attn_mask = attn_mask[0]
    while attn_mask.dim() < 2:
        attn_mask = attn_mask.unsqueeze(0)
    target = list(scores)[-attn_mask.dim() :]
    fits = all(mine in (1, theirs) for mine, theirs in zip(shape_of(attn_mask), target))
    if not fits or attn_mask.dim() > len(scores):
        raise RuntimeError(f"attn_mask must broadcast to the scores' shape {tuple(scores)}, got {shape}")
    return attn_mask
