"""``torch.nn.functional``: the functions that came or changed after torch 1.2."""

from __future__ import annotations

import torch

from ..._lazy import attach as _attach
from ..._shim import SHIMS, Limit, polyfill
from ..._torchscript import compile_instead
from .._scripting import scaled_dot_product_attention as _scripted
from ._sdpa._kernels import attention

__all__ = ["scaled_dot_product_attention"]


@polyfill(
    "torch.nn.functional.scaled_dot_product_attention",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/132689",  # enable_gqa; masked rows: pull/133882
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
        Limit("double-backward-gqa", "with enable_gqa the fused kernels have no second derivative", "native", "2.9"),
        Limit("forward-mode", "the fused kernels have no forward-mode derivative", "native", "2.5"),
        Limit("nested", "no nested tensors", "fallback"),
        Limit("script", "torch.jit.script cannot compile it", "fallback", last="1.4"),
        Limit("autocast-fullgraph", "inside autocast torch.compile breaks the graph", "fallback", "2.1", "2.3"),
        Limit("causal-scale", "on CPU is_causal=True with a scale of 0 or less gives NaN", "native", "2.5"),
        Limit("zero-width", "on CPU query and key of width 0 give 0, not the mean of value", "native", "2.12", "2.12"),
        Limit("zero-heads", "on CPU a query without heads ends the process", "native", "2.9", "2.11"),
        Limit("zero-key-heads", "on CPU enable_gqa with a key without heads ends the process", "native", "2.5", "2.11"),
        Limit(
            "dropout-double-backward",
            "on devices other than the CPU there is no second derivative with dropout",
            "fallback",
            "2.0",
            "2.4",
        ),
        Limit("zero-key-heads", "enable_gqa refuses a key without heads, where torch gives zeros", "fallback"),
    ],
    reason="no `enable_gqa`; a query that may see no key gives NaN",
)
def scaled_dot_product_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention: ``softmax(query @ key^T * scale + attn_mask) @ value``.

    In torch since 2.5. Fallback: the formula, computed in float32 for half and bfloat16; where the scores are many in
    blocks of queries and keys, whose memory is linear in L and S, forward and backward; and by torch 2.0 to 2.4's own
    function where that is right and faster.

    Second derivatives, forward mode, ``torch.func`` and a compiler take the formula, with all the scores at once.
    Torch has the name since 2.0, without *scale* before 2.1 and without *enable_gqa* before 2.5; and before 2.5 a
    fully masked row makes NaN of its output and of every gradient.

    A module that calls it can be scripted (``torch.jit.script``, from 1.5 on): compiled is the formula, or torch 2.0 to
    2.4's own function with fully masked rows put right. The compiled one has no *attn_mask* of class ``CausalBias``.

    Unlike torch's fused kernels the fallback has derivatives of every order, and it names the argument it refuses.
    The memory layout of the output is not part of the contract: use ``reshape``, not ``view``. Nor is what becomes of
    NaN at a key that is masked out.

    Args:
        query: ``(..., heads, L, E)``, floating point; ``(L, E)`` and any number of leading dimensions will do.
        key: ``(..., heads, S, E)`` of query's dtype and device; leading dimensions broadcast.
        value: ``(..., heads, S, Ev)`` likewise.
        attn_mask: broadcasts to the scores, ``(..., heads, L, S)``. bool: True where a query may look (the opposite of
            ``MultiheadAttention``'s masks). Of query's dtype or float32: added to the scores. A row that may look
            nowhere (all False or all ``-inf``) gives zeros and finite gradients.
        dropout_p: the share of the weights to drop, in [0, 1]; applied whether or not anything is in training mode.
        is_causal: query ``i`` looks at keys ``0 ... i``, whatever L and S; *attn_mask* must then be None.
        scale: what the scores are multiplied by; ``1 / sqrt(E)`` if None.
        enable_gqa: let key and value have fewer heads (dimension -3) than query; their numbers must divide query's.

    Returns:
        ``(..., heads, L, Ev)`` of query's dtype, or of autocast's where autocast is on. Zeros where S is 0.

    Raises:
        TypeError: an argument is of the wrong type.
        RuntimeError: shapes do not fit, dtypes or devices differ, *dropout_p* is out of range, the numbers of heads do
            not divide, or *attn_mask* is given together with ``is_causal=True``.
        IndexError: a mask of fewer than two dimensions for a 4-D query; *enable_gqa* without a dimension of heads.
        UnsupportedError: nested tensors, where only torch's own could take them.

    Formula: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    Fully masked rows: https://github.com/pytorch/pytorch/pull/133882
    """
    return attention(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


compile_instead(SHIMS["nn.functional.scaled_dot_product_attention"].fallback, _scripted)

_attach(globals())
