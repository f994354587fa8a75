"""Attention by the plain formula: every score at once, and derivatives of every order by autograd."""

from __future__ import annotations

from typing import Any

import torch

MINUS_INF = float("-inf")


def repeat_heads(tensor: Any, heads: int) -> Any:
    """Key or value with *heads* heads (dimension -3), each repeated for its group of query heads."""
    if tensor.size(-3) == heads:
        return tensor
    lead, rest, groups = tensor.shape[:-2], tensor.shape[-2:], heads // tensor.size(-3)
    return tensor.unsqueeze(-3).expand(*lead, groups, *rest).reshape(*lead[:-1], heads, *rest)


def open_masked_rows(mask: Any) -> tuple[Any, Any]:
    """The mask with its fully masked rows opened, and where they were: softmax would make NaN of them."""
    if mask is None:
        return None, None
    if mask.dtype == torch.bool:
        masked = ~mask.any(-1, keepdim=True)
        return mask | masked, masked
    masked = (mask == MINUS_INF).all(-1, keepdim=True)
    return mask.masked_fill(masked, 0.0), masked


def close(out: Any, masked: Any) -> Any:
    """*out* with zeros in the rows that the mask closed."""
    return out if masked is None else out.masked_fill(masked, 0.0)


def _hide(scores: Any, mask: Any, is_causal: bool) -> Any:
    if is_causal:
        rows = torch.arange(scores.size(-2), device=scores.device)
        keys = torch.arange(scores.size(-1), device=scores.device)
        return scores.masked_fill(keys > rows.unsqueeze(-1), MINUS_INF)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, MINUS_INF) if mask.dtype == torch.bool else scores + mask


def formula(
    query: Any, key: Any, value: Any, mask: Any, scale: float, is_causal: bool, dropout_p: float, kept: Any = None
) -> Any:
    """Attention of float32 or float64 tensors whose leading dimensions broadcast.

    *kept* is what the weights are to be multiplied with; None to draw it from *dropout_p*.
    """
    mask, masked = open_masked_rows(mask)
    scores = torch.matmul(query * scale, key.transpose(-2, -1))
    weights = torch.softmax(_hide(scores, mask, is_causal), -1)
    if kept is not None:
        weights = weights * kept
    elif dropout_p > 0.0:
        weights = torch.nn.functional.dropout(weights, dropout_p, True)
    return close(torch.matmul(weights, value), masked)
