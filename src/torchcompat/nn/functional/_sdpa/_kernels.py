"""The fallback of :func:`torchcompat.nn.functional.scaled_dot_product_attention`: the call is made, planned and run."""

from __future__ import annotations

import math
from typing import Any, Sequence

import torch

from ...._torch import UnsupportedError, at_least, compiling
from ...attention._bias import causal_offset_of, is_bias
from ._arguments import Arguments, check_tensors, is_nested
from ._autocast import autocast_dtype, lowered, without_autocast
from ._call import Call, Options, call_of
from ._formula import MINUS_INF, close, formula, masked_rows, open_masked_rows, repeat_heads
from ._fused import HAS_KERNEL, by_kernel, by_torch, in_blocks, needs_grad
from ._plan import (
    BLOCKS,
    HAS_NO_KERNEL,
    NATIVE,
    NONE,
    has_dense_rows,
    is_plain_mask,
    is_plain_self_attention,
    native,
    plan,
)

# ---------------------------------------------------------------------------------------------------------------------
# The formula and the blocks


def _four_dims(tensor: Any, lead: Sequence[int], heads: int) -> Any:
    """(..., n, m) as (batch, heads, n, m), broadcast to the leading dimensions *lead* but for the heads."""
    rest = tensor.shape[-2:]
    if len(lead) < 2:
        return tensor.expand(*lead, *rest).reshape(-1, 1, *rest)
    return tensor.expand(*lead[:-1], heads, *rest).reshape(-1, heads, *rest)


def _four_dim_mask(mask: Any, lead: Sequence[int]) -> Any:
    """The mask as (batch or 1, heads or 1, L or 1, S or 1), copied only where it must be."""
    mask = mask.reshape((1,) * (len(lead) + 2 - mask.dim()) + tuple(mask.size()))
    if len(lead) < 2:
        return mask.reshape(-1, 1, *mask.shape[-2:])
    if all(size == 1 for size in mask.shape[:-3]):
        return mask.reshape(1, *mask.shape[-3:])
    return mask.expand(*lead[:-1], *mask.shape[-3:]).reshape(-1, *mask.shape[-3:])


def _key_heads(call: Call, lead: Sequence[int]) -> int:
    """How many heads of key and value serve the query's; where theirs differ, or there is no batch, as many."""
    if len(lead) < 2:
        return lead[0] if lead else 1
    heads = {tensor.size(-3) if tensor.dim() > 2 else 1 for tensor in (call.key, call.value)}
    return heads.pop() if len(heads) == 1 else lead[-1]


def _for_query_heads(tensor: Any, heads: int) -> Any:
    """Key or value with as many heads as the query, or with one that is broadcast."""
    return repeat_heads(tensor, heads) if tensor.dim() > 2 and tensor.size(-3) > 1 else tensor


def _by_blocks(call: Call) -> Any:
    lead = call.scores[:-2]
    heads, key_heads = lead[-1] if lead else 1, _key_heads(call, lead)
    query = _four_dims(call.query, lead, heads)
    key, value = (_four_dims(_for_query_heads(x, key_heads), lead, key_heads) for x in (call.key, call.value))
    mask = None if call.mask is None else _four_dim_mask(call.mask, lead)
    out = in_blocks(query, key, value, mask, call.options)
    return out.reshape(*lead, *out.shape[-2:])


def _by_formula(call: Call) -> Any:
    key, value = call.key, call.value
    if len(call.scores) > 2:
        key, value = _for_query_heads(key, call.scores[-3]), _for_query_heads(value, call.scores[-3])
    return formula(call.query, key, value, call.mask, call.options)


def _widened(call: Call) -> Call:
    """The call in the dtype that it is computed in; a mask of floats likewise."""
    query, key, value, mask = call.query, call.key, call.value, call.mask
    if query.dtype in (torch.float16, torch.bfloat16):
        # Torch keeps the intermediates of these in float32; CPUs had no half matmul before 2.2.
        query, key, value = query.float(), key.float(), value.float()
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    return Call(query, key, value, mask, call.options, call.scores)


# ---------------------------------------------------------------------------------------------------------------------
# Torch's own function of 2.0 to 2.4


def _opened(mask: Any) -> tuple[Any, Any]:
    """:func:`open_masked_rows`, which most masks do not need: to look is cheaper, where that waits for no device.

    Its new mask is dense, which torch's fused kernel wants: a mask that is not is always rewritten.
    """
    if mask is not None and mask.device.type == "cpu" and mask.stride(-1) == 1 and not compiling():
        first = mask[..., 0]  # nearly all masks let every query see the first key
        if bool((first if mask.dtype == torch.bool else first > MINUS_INF).all()):
            return mask, None
        masked = masked_rows(mask)
        return open_masked_rows(mask, masked) if bool(masked.any()) else (mask, None)
    return open_masked_rows(mask)


def for_native(call: Call) -> tuple[Any, Any, Any, Any]:
    """Key, value and mask as torch's function takes them, and the rows of its result that are to be zeros."""
    key, value, scores = call.key, call.value, call.scores
    if len(scores) > 2:
        key = repeat_heads(key, scores[-3]) if key.dim() > 2 else key
        value = repeat_heads(value, scores[-3]) if value.dim() > 2 else value
    mask, masked = _opened(call.mask)
    if mask is not None and mask.size(-1) != key.size(-2):
        # The kernel of 2.3 and 2.4 reads beyond a mask whose last dimension is to be broadcast.
        mask = mask.expand(*mask.shape[:-1], key.size(-2)).contiguous()
    return key, value, mask, masked


def _by_native(call: Call) -> Any:
    query, options = call.query, call.options
    key, value, mask, masked = for_native(call)
    is_causal = options.causal_offset is not None

    def kernel(query: Any, key: Any, value: Any, mask: Any) -> Any:
        if at_least(2, 1):
            return native(query, key, value, mask, options.dropout_p, is_causal, scale=options.scale)
        query = query * (options.scale * math.sqrt(query.size(-1)))
        return native(query, key, value, mask, options.dropout_p, is_causal)

    out = by_torch(kernel, query, key, value, mask, options)
    return close(out.contiguous() if query.is_contiguous() else out, masked)


def _by_native_nested(given: Arguments) -> Any:
    if native is None or given.enable_gqa or not (given.scale is None or at_least(2, 1)):
        raise UnsupportedError(
            "query, key or value is a nested tensor: only torch's own scaled_dot_product_attention takes those "
            "(torch 2.0; scale since 2.1, enable_gqa since 2.5). Pad the sequences and pass attn_mask instead."
        )
    keywords = {} if given.scale is None else {"scale": given.scale}
    return native(given.query, given.key, given.value, given.attn_mask, given.dropout_p, given.is_causal, **keywords)


# ---------------------------------------------------------------------------------------------------------------------


def _run(call: Call) -> Any:
    way = plan(call)
    if way == NONE:
        raise RuntimeError(
            "no viable backend: scaled_dot_product_attention runs within a sdpa_kernel that excludes every backend of "
            f"this device ({call.query.device.type}); allow SDPBackend.MATH"
        )
    if way == NATIVE:
        return _by_native(call)
    wide = _widened(call)
    return (_by_blocks(wide) if way == BLOCKS else _by_formula(wide)).to(call.query.dtype)


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    dropout_p: Any,
    is_causal: bool,
    scale: Any,
    enable_gqa: bool,
) -> Any:
    """``scaled_dot_product_attention``: the arguments are checked, and cast for autocast."""
    defaults = dropout_p == 0.0 and scale is None and enable_gqa is False and type(is_causal) is bool
    if defaults and is_plain_self_attention(query, key, value):
        if not is_causal and is_bias(attn_mask) and causal_offset_of(attn_mask, False, query, key) == 0:
            attn_mask, is_causal = None, True
        if attn_mask is None or (is_causal is False and is_plain_mask(attn_mask, query)):
            if HAS_NO_KERNEL or not needs_grad((query, key, value)):
                out = native(query, key, value, attn_mask, 0.0, is_causal)
                return out.contiguous() if query.is_contiguous() else out
            if HAS_KERNEL and has_dense_rows(query, key, value):
                options = Options(1.0 / math.sqrt(query.size(-1)), 0 if is_causal else None, 0.0)
                return by_kernel(query, key, value, attn_mask, options)
    check_tensors(query, key, value, None if is_bias(attn_mask) else attn_mask)
    given = Arguments(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    if is_nested(query, key, value):
        return _by_native_nested(given)
    device = query.device.type
    dtype = autocast_dtype(device)
    if dtype is None:
        return _run(call_of(given))
    call = call_of(given, lambda tensor: lowered(tensor, dtype))
    with without_autocast(device):
        return _run(call)
