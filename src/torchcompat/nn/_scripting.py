"""What ``torch.jit.script`` compiles in place of the attention function and of attention's forward.

TorchScript knows neither keyword-only arguments nor most of Python, so that these are the same computations once more,
in its language: every argument annotated, no generators, no keyword expansion. They call torch's own kernel where this
torch has one, and mend what that gets wrong.
"""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, linear, pad

from .._torch import at_least, find

# Torch 1.2 lacks it. The compiler of the others knows this function by its identity, under any name.
is_scripting: Any = find("torch.jit.is_scripting") or (lambda: False)


# The attention function


def _causal(length: int, keys: int, query: Tensor) -> Tensor:
    return torch.arange(keys, device=query.device).unsqueeze(0) <= torch.arange(length, device=query.device).unsqueeze(
        1
    )


def _by_formula(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Optional[Tensor],
    dropout_p: float,
    is_causal: bool,
    scale: float,
) -> Tensor:
    scores = torch.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        mask = _causal(query.size(-2), key.size(-2), query)
    if mask is not None:
        if mask.dtype == torch.bool:
            scores = scores.masked_fill(mask.logical_not(), -math.inf)
        else:
            scores = scores + mask
    weights = torch.softmax(scores, -1)
    return torch.matmul(dropout(weights, dropout_p, dropout_p > 0.0), value)


def _by_torch_2_0(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Optional[Tensor],
    dropout_p: float,
    is_causal: bool,
    scale: float,
) -> Tensor:
    query = query * (scale * math.sqrt(float(query.size(-1))))
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, dropout_p, is_causal)


def _by_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Optional[Tensor],
    dropout_p: float,
    is_causal: bool,
    scale: float,
) -> Tensor:
    # As in _sdpa._plan: torch 2.3 and 2.4 make the triangle before they scale, and read beyond a mask of one key.
    if is_causal and scale <= 0.0:
        return _by_formula(query, key, value, mask, dropout_p, is_causal, scale)
    if mask is not None:
        if mask.size(-1) != key.size(-2):
            mask = mask.expand(mask.shape[:-1] + [key.size(-2)]).contiguous()
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, dropout_p, is_causal, scale=scale)


if at_least(2, 1):
    _kernel = _by_torch
elif at_least(2, 0):
    _kernel = _by_torch_2_0
else:
    _kernel = _by_formula


def _for_heads(tensor: Tensor, heads: int) -> Tensor:
    groups = heads // tensor.size(-3)
    if groups * tensor.size(-3) != heads:
        raise RuntimeError("key's and value's number of heads must divide query's")
    shape = tensor.shape
    wanted = shape[:-3] + [heads] + shape[-2:]
    return tensor.unsqueeze(-3).expand(shape[:-2] + [groups] + shape[-2:]).reshape(wanted)


def scaled_dot_product_attention(  # torchcompat: needs torch >= 1.5
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Optional[Tensor] = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Optional[float] = None,
    enable_gqa: bool = False,
) -> Tensor:
    dtype = query.dtype
    if is_causal and attn_mask is not None:
        raise RuntimeError("attn_mask must be None when is_causal=True: combine the two in attn_mask")
    factor = 1.0 / math.sqrt(float(max(query.size(-1), 1)))
    if scale is not None:
        factor = scale
    if enable_gqa:
        key, value = _for_heads(key, query.size(-3)), _for_heads(value, query.size(-3))
    if dtype == torch.float16 or dtype == torch.bfloat16:
        if query.device.type == "cpu":
            query, key, value = query.float(), key.float(), value.float()
    masked: Optional[Tensor] = None
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            closed = attn_mask.any(-1, keepdim=True).logical_not()
            attn_mask = torch.logical_or(attn_mask, closed)
        else:
            closed = (attn_mask == -math.inf).all(-1, keepdim=True)
            attn_mask = attn_mask.to(query.dtype).masked_fill(closed, 0.0)
        masked = closed
    out = _kernel(query, key, value, attn_mask, dropout_p, is_causal, factor)
    if masked is not None:
        out = out.masked_fill(masked, 0.0)
    # Autocast, which lowers what the kernel gets, decides about the rest.
    return out if out.dtype != torch.float32 else out.to(dtype)


# MultiheadAttention


def _additive(mask: Optional[Tensor], dtype: torch.dtype) -> Optional[Tensor]:
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -math.inf)
    if not mask.is_floating_point():
        raise AssertionError("a mask must be bool or floating point")
    return mask


def _merged(
    padding: Optional[Tensor], mask: Optional[Tensor], batch: int, heads: int, extra_keys: int
) -> Optional[Tensor]:
    """The sum of both masks, which broadcasts to (batch, heads, length, source length)."""
    merged = mask
    if mask is not None:
        if mask.dim() == 3:
            merged = mask.reshape(batch, heads, mask.size(-2), mask.size(-1))
    if padding is not None:
        rows = padding.reshape(batch, 1, 1, padding.size(-1))
        merged = rows if merged is None else merged + rows
    if merged is not None and extra_keys > 0:
        merged = pad(merged, [0, extra_keys])
    return merged


def _with_weights(
    query: Tensor, key: Tensor, value: Tensor, mask: Optional[Tensor], dropout_p: float
) -> Tuple[Tensor, Tensor]:
    scores = torch.matmul(query * (float(query.size(-1)) ** -0.5), key.transpose(-2, -1))
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    weights = dropout(torch.softmax(scores, -1), dropout_p, dropout_p > 0.0)
    return torch.matmul(weights, value), weights


def _extended(source: Tensor, extra: Optional[Tensor], add_zero: bool) -> Tensor:
    if extra is not None:
        source = torch.cat([source, extra.to(source.dtype).expand(source.size(0), 1, source.size(2))], 1)
    if add_zero:
        zeros = torch.zeros(source.size(0), 1, source.size(2), dtype=source.dtype, device=source.device)
        source = torch.cat([source, zeros], 1)
    return source


def _part(bias: Optional[Tensor], index: int) -> Optional[Tensor]:
    return None if bias is None else bias.chunk(3)[index]


def _heads(projected: Tensor, heads: int) -> Tensor:
    return projected.reshape(projected.size(0), projected.size(1), heads, -1).transpose(1, 2)


def multihead(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    batch_first: bool,
    packed: Optional[Tensor],
    weights: Tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor]],
    bias: Optional[Tensor],
    extra: Tuple[Optional[Tensor], Optional[Tensor], bool],
    out_weight: Tensor,
    out_bias: Optional[Tensor],
    dropout_p: float,
    key_padding_mask: Optional[Tensor],
    need_weights: bool,
    attn_mask: Optional[Tensor],
    average_attn_weights: bool,
    is_causal: bool,
) -> Tuple[Tensor, Optional[Tensor]]:
    unbatched = query.dim() == 2
    if query.dim() != 2 and query.dim() != 3:
        raise AssertionError("query must be 3-D, or 2-D without a batch")
    if is_causal and attn_mask is None:
        raise RuntimeError("attn_mask must be given with is_causal=True, which only says that it is causal")
    if packed is not None:
        three = packed.chunk(3)
        q = linear(query, three[0], _part(bias, 0))
        k = linear(key, three[1], _part(bias, 1))
        v = linear(value, three[2], _part(bias, 2))
    else:
        first, second, third = weights
        assert first is not None and second is not None and third is not None
        q = linear(query, first, _part(bias, 0))
        k = linear(key, second, _part(bias, 1))
        v = linear(value, third, _part(bias, 2))
    if unbatched:
        q, k, v = q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0)
    elif not batch_first:
        q, k, v = q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)

    bias_k, bias_v, add_zero = extra
    extra_keys = int(bias_k is not None) + int(add_zero)
    hinted = is_causal and key_padding_mask is None and not need_weights and extra_keys == 0
    padding, mask = _additive(key_padding_mask, query.dtype), _additive(attn_mask, query.dtype)
    merged = _merged(padding, None if hinted else mask, q.size(0), heads, extra_keys)
    q = _heads(q, heads)
    k, v = _heads(_extended(k, bias_k, add_zero), heads), _heads(_extended(v, bias_v, add_zero), heads)
    attention_weights: Optional[Tensor] = None
    if need_weights:
        out, found = _with_weights(q, k, v, merged, dropout_p)
        if average_attn_weights:
            found = found.mean(1)
        attention_weights = found.squeeze(0) if unbatched else found
    else:
        out = scaled_dot_product_attention(q, k, v, merged, dropout_p, hinted)
    if unbatched or batch_first:
        out = out.transpose(1, 2).flatten(2)
    else:
        out = out.permute(2, 0, 1, 3).flatten(2)
    out = linear(out, out_weight, out_bias)
    return (out.squeeze(0) if unbatched else out), attention_weights


# The stacks


def causal_hint(mask: Optional[Tensor], is_causal: Optional[bool], length: int) -> bool:
    if is_causal is not None:
        return is_causal
    if mask is None:
        return False
    if mask.dim() != 2 or mask.size(0) != length or mask.size(1) != length:
        return False
    later = torch.ones(length, length, device=mask.device).triu(1) > 0
    if mask.dtype == torch.bool:
        return bool((mask == later).all().item())
    return bool((mask == torch.zeros_like(mask).masked_fill(later, -math.inf)).all().item())


def clear_padding(output: Tensor, padding: Tensor, mask_check: bool) -> Tensor:  # torchcompat: needs torch >= 1.5
    """*output* with zeros at padded positions, where torch 2.15 would pack the batch."""
    left_out = padding if padding.dtype == torch.bool else padding == -math.inf
    if padding.dtype != torch.bool:
        if not bool((left_out.logical_or(padding == 0)).all().item()):
            return output
    if mask_check:
        kept = left_out.logical_not()
        if bool((kept[:, 1:].logical_and(left_out[:, :-1])).any().item()):
            return output
    return output.masked_fill(left_out.unsqueeze(-1), 0.0)
