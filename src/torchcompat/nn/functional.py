"""``torch.nn.functional``: the functions that came or changed after torch 1.2."""

from __future__ import annotations

from typing import Any

from .._shim import polyfill
from ._attention import attention


@polyfill(
    "torch.nn.functional.scaled_dot_product_attention",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/132689",
)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``softmax(query @ key^T * scale + attn_mask) @ value``.

    In torch since 2.5. Fallback: the formula in float32 or float64, in blocks of query rows where the scores are many.
    """
    return attention(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
