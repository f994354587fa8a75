"""``torch.nn.functional``: the functions that came or changed after torch 1.2."""

from __future__ import annotations

from typing import Any

from .._shim import Limit, polyfill
from ._attention import attention


@polyfill(
    "torch.nn.functional.scaled_dot_product_attention",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/132689",
    limits=[
        Limit("mask-and-causal", "on CPU attn_mask and is_causal=True together are accepted", "native", "2.5", "2.13"),
        Limit(
            "mask-4d-for-3d", "a 3-D query takes no 4-D attn_mask whose first dimension is 1", "native", "2.5", "2.13"
        ),
        Limit("value-length", "on CPU a value that is longer or shorter than key is accepted", "native", "2.5"),
        Limit(
            "double-backward",
            "the fused kernels have no second derivative (they are not used if attn_mask needs a gradient)",
            "native",
            "2.5",
        ),
        Limit("forward-mode", "the fused kernels have no forward-mode derivative", "native", "2.5"),
        Limit("nested", "no nested tensors", "fallback"),
        Limit("script", "torch.jit.script cannot compile it", "fallback"),
        Limit("autocast-fullgraph", "inside autocast torch.compile breaks the graph", "fallback", "2.1", "2.3"),
        Limit("causal-scale", "on CPU is_causal=True with a scale of 0 or less gives NaN", "native", "2.5"),
        Limit("zero-width", "on CPU query and key of width 0 give 0, not the mean of value", "native", "2.12", "2.12"),
        Limit("zero-heads", "on CPU a query without heads ends the process", "native", "2.9", "2.11"),
        Limit("zero-key-heads", "on CPU enable_gqa with a key without heads ends the process", "native", "2.5", "2.11"),
        Limit("zero-key-heads", "enable_gqa refuses a key without heads, where torch gives zeros", "fallback"),
    ],
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
