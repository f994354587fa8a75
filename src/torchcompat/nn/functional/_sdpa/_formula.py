"""Attention by the plain formula: every score at once, and derivatives of every order by autograd."""

from __future__ import annotations

from typing import Any

import torch

from ...._torch import at_most, exporting
from ._call import Options

MINUS_INF = float("-inf")


def repeat_heads(tensor: Any, heads: int) -> Any:
    """Key or value with *heads* heads (dimension -3), each repeated for its group of query heads."""
    if tensor.size(-3) == heads:
        return tensor
    lead, rest, groups = tensor.shape[:-2], tensor.shape[-2:], heads // tensor.size(-3)
    return tensor.unsqueeze(-3).expand(*lead, groups, *rest).reshape(*lead[:-1], heads, *rest)


# Exporters to ONNX have no `all` and no `any` of one dimension up to 1.10, and no `~` on 1.3 and 1.4.
_LACKS_ALL = at_most(1, 10)


def masked_rows(mask: Any) -> Any:
    """Where a query may see no key: (..., 1)."""
    if mask.dtype == torch.bool:
        return ~mask.any(-1, keepdim=True)
    return (mask == MINUS_INF).all(-1, keepdim=True)


def open_masked_rows(mask: Any, masked: Any = None) -> tuple[Any, Any]:
    """The mask with its fully masked rows opened, and where they were: softmax would make NaN of them.

    *masked* is what :func:`masked_rows` found, where it was asked already.
    """
    if mask is None:
        return None, None
    masked = masked_rows(mask) if masked is None else masked
    return (mask | masked if mask.dtype == torch.bool else mask.masked_fill(masked, 0.0)), masked


def close(out: Any, masked: Any) -> Any:
    """*out* with zeros in the rows that the mask closed."""
    return out if masked is None else out.masked_fill(masked, 0.0)


def causal(first: int, rows: int, keys: int, causal_offset: int, device: Any) -> Any:
    """The bool mask (rows, keys) of query rows from *first* on that see the keys up to their own + *causal_offset*."""
    last = torch.arange(first + causal_offset, first + causal_offset + rows, device=device)
    return torch.arange(keys, device=device) <= last.unsqueeze(-1)


def _masked_for_onnx(scores: Any, mask: Any, may_mask_rows: bool) -> tuple[Any, Any]:
    """The masked scores, and where no key may be seen. What softmax makes NaN there has no gradient in a model."""
    minus_inf = torch.tensor(MINUS_INF, dtype=scores.dtype, device=scores.device)
    if mask.dtype == torch.bool:
        masked = mask.float().sum(-1, keepdim=True) < 0.5 if may_mask_rows else None
        return torch.where(mask, scores, minus_inf.expand_as(scores)), masked
    masked = mask.max(-1, keepdim=True)[0] < torch.finfo(mask.dtype).min if may_mask_rows else None
    return scores + mask, masked


def formula(query: Any, key: Any, value: Any, mask: Any, options: Options, dropout_mask: Any = None) -> Any:
    """Attention of float32 or float64 tensors whose leading dimensions broadcast.

    The weights are multiplied by *dropout_mask*; where it is None, one is drawn.
    """
    causal_offset, dropout_p = options.causal_offset, options.dropout_p
    if causal_offset is not None:
        mask = causal(0, query.size(-2), key.size(-2), causal_offset, query.device)
    scores = torch.matmul(query * options.scale, key.transpose(-2, -1))
    may_mask_rows = causal_offset is None or causal_offset < 0
    if _LACKS_ALL and mask is not None and not dropout_p and exporting():
        scores, masked = _masked_for_onnx(scores, mask, may_mask_rows)
        return close(torch.matmul(torch.softmax(scores, -1), value), masked)
    mask, masked = open_masked_rows(mask) if may_mask_rows else (mask, None)
    if mask is not None:
        scores = scores.masked_fill(~mask, MINUS_INF) if mask.dtype == torch.bool else scores + mask
    weights = torch.softmax(scores, -1)
    if dropout_mask is not None:
        weights = weights * dropout_mask
    elif dropout_p > 0.0:
        weights = torch.nn.functional.dropout(weights, dropout_p, True)
    return close(torch.matmul(weights, value), masked)
