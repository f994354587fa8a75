"""The fallback of :func:`torchcompat.nn.functional.scaled_dot_product_attention`: which way a call goes."""

from __future__ import annotations

import math
from typing import Any, Sequence

import torch

from ...._shim import is_forced
from ...._torch import UnsupportedError, at_least, compiling, find
from ....amp._state import switch_of
from ...attention._backends import allowed
from ...attention._bias import diagonal_of, is_bias
from ._arguments import check_dtypes, check_flags, check_shapes, check_tensors, mask_for, number, shape_of
from ._autocast import autocast_dtype, lowered, without_autocast
from ._formula import close, formula, masked_rows, open_masked_rows, repeat_heads
from ._fused import by_torch, in_blocks, needs_grad, plain_call

NAME = "nn.functional.scaled_dot_product_attention"

# From so many scores on they are made in blocks, which is faster there, and keeps memory linear in the lengths: on CPU
# as measured (docs/attention.md); on other devices, where a block costs more launches of kernels, not measured.
MANY_SCORES = 2**22
MANY_ON_DEVICE = 2**26
# Of causal attention blocks leave out half: they pay from so many scores of one batch element on.
MANY_CAUSAL = 2**20

# Torch 2.0 to 2.4 have a function that falls short of the contract, yet is right and faster for some calls.
_native: Any = find("torch." + NAME) if not at_least(2, 5) and not is_forced(NAME) else None
_has_nested = hasattr(torch.Tensor, "is_nested")

# Below, *diagonal* is the k for which query i sees the keys 0 ... i + k, in place of a mask; None where it may see all.

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


def _sources(key: Any, value: Any, lead: Sequence[int]) -> int:
    """How many heads of key and value serve the query's; where theirs differ, or there is no batch, as many."""
    if len(lead) < 2:
        return lead[0] if lead else 1
    heads = {tensor.size(-3) if tensor.dim() > 2 else 1 for tensor in (key, value)}
    return heads.pop() if len(heads) == 1 else lead[-1]


def _by_blocks(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    dropout_p: float,
    diagonal: int | None,
    scale: float,
    scores: Sequence[int],
) -> Any:
    lead = scores[:-2]
    heads, sources = lead[-1] if lead else 1, _sources(key, value, lead)
    query = _four_dims(query, lead, heads)
    key, value = (_four_dims(_for_query_heads(x, sources), lead, sources) for x in (key, value))
    mask = None if mask is None else _four_dim_mask(mask, lead)
    out = in_blocks(query, key, value, mask, scale, diagonal, dropout_p)
    return out.reshape(*lead, *out.shape[-2:])


def _ours(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    dropout_p: float,
    diagonal: int | None,
    scale: float,
    scores: Sequence[int],
) -> Any:
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        # Torch keeps the intermediates of these in float32; CPUs had no half matmul before 2.2.
        query, key, value = query.float(), key.float(), value.float()
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    if _wants_blocks(query, key, value, mask, diagonal, scores):
        out = _by_blocks(query, key, value, mask, dropout_p, diagonal, scale, scores)
    else:
        if len(scores) > 2:
            key, value = _for_query_heads(key, scores[-3]), _for_query_heads(value, scores[-3])
        out = formula(query, key, value, mask, scale, diagonal, dropout_p)
    return out.to(dtype)


def _for_query_heads(tensor: Any, heads: int) -> Any:
    """Key or value with as many heads as the query, or with one that is broadcast."""
    return repeat_heads(tensor, heads) if tensor.dim() > 2 and tensor.size(-3) > 1 else tensor


def _many(scores: Sequence[int], diagonal: int | None, device: Any) -> bool:
    of_element, total = 1, 1
    for size in scores[-3:]:
        of_element *= size
    for size in scores:
        total *= size
    if device.type != "cpu":
        return total >= MANY_ON_DEVICE
    return total >= MANY_SCORES or (diagonal is not None and of_element >= MANY_CAUSAL)


def _check_backends(device: str) -> None:
    if not any(allowed(device)):
        raise RuntimeError(
            "no viable backend: scaled_dot_product_attention runs within a sdpa_kernel that excludes every backend of "
            f"this device ({device}); allow SDPBackend.MATH"
        )


def _wants_blocks(query: Any, key: Any, value: Any, mask: Any, diagonal: int | None, scores: Sequence[int]) -> bool:
    math_allowed, fused_allowed = allowed(query.device.type)
    if not fused_allowed or 0 in scores or (math_allowed and not _many(scores, diagonal, query.device)):
        return False
    return plain_call([query, key, value] if mask is None else [query, key, value, mask])


# ---------------------------------------------------------------------------------------------------------------------
# Torch's own function of 2.0 to 2.4


def _native_may(tensors: Sequence[Any]) -> bool:
    """Whether nothing is asked of a kernel that has a first derivative only, and no vmap."""
    return not needs_grad(tensors) if compiling() else plain_call(tensors)


def _native_serves(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, diagonal: int | None, scale: float
) -> bool:
    """Whether torch's own function is there, right and faster for this call."""
    if _native is None or 0 in (query.numel(), key.numel(), value.numel()):
        return False
    if not _native_may([query, key, value] if mask is None else [query, key, value, mask]):
        return False
    if query.device.type != "cpu":
        return mask is None and diagonal in (None, 0)
    # The CPU has a fused kernel since 2.1, which takes masks since 2.3. In 2.3 and 2.4 half overflows, and the causal
    # triangle is made before the scale is applied.
    shape = shape_of(query)
    return (
        at_least(2, 1)
        and dropout_p == 0.0
        and query.dtype != torch.float16
        and (diagonal is None or (diagonal == 0 and scale > 0.0))
        and len(shape) == 4
        and shape_of(key) == shape_of(value) == (*shape[:2], key.size(-2), shape[-1])
        and (mask is None or (at_least(2, 3) and mask.dtype in (torch.bool, query.dtype)))
    )


def _opened(mask: Any) -> tuple[Any, Any]:
    """:func:`open_masked_rows`, which most masks do not need: to look is cheaper, where that waits for no device.

    Its new mask is dense, which torch's fused kernel wants: a mask that is not is always rewritten.
    """
    if mask is not None and mask.device.type == "cpu" and mask.stride(-1) == 1 and not compiling():
        masked = masked_rows(mask)
        return open_masked_rows(mask, masked) if bool(masked.any()) else (mask, None)
    return open_masked_rows(mask)


def _by_native(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, diagonal: int | None, scale: float
) -> Any:
    is_causal = diagonal is not None
    mask, masked = _opened(mask)
    if mask is not None and mask.size(-1) != key.size(-2):
        # The kernel of 2.3 and 2.4 reads beyond a mask whose last dimension is to be broadcast.
        mask = mask.expand(*mask.shape[:-1], key.size(-2)).contiguous()

    def kernel(query: Any, key: Any, value: Any, mask: Any) -> Any:
        if at_least(2, 1):
            return _native(query, key, value, mask, dropout_p, is_causal, scale=scale)
        return _native(query * (scale * math.sqrt(query.size(-1))), key, value, mask, dropout_p, is_causal)

    out = by_torch(kernel, query, key, value, mask, scale, diagonal, dropout_p)
    return close(out.contiguous() if query.is_contiguous() else out, masked)


def _by_native_nested(
    query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: Any, is_causal: Any, scale: Any, enable_gqa: Any
) -> Any:
    if _native is None or enable_gqa or not (scale is None or at_least(2, 1)):
        raise UnsupportedError(
            "query, key or value is a nested tensor: only torch's own scaled_dot_product_attention takes those "
            "(torch 2.0; scale since 2.1, enable_gqa since 2.5). Pad the sequences and pass attn_mask instead."
        )
    keywords = {} if scale is None else {"scale": scale}
    return _native(query, key, value, attn_mask, dropout_p, is_causal, **keywords)


_self_attention = at_least(2, 1) and _native is not None
_cpu_autocast: Any = switch_of("cpu")


def _is_plain_self_attention(query: Any, key: Any, value: Any) -> bool:
    """Whether this is inference on the CPU with tensors that torch's own kernel takes: asked first, as it is cheap."""
    if not (type(query) is type(key) is type(value) is torch.Tensor) or compiling():
        return False
    if query.is_nested or key.is_nested or value.is_nested or query.dim() != 4:
        return False
    dtype, shape = query.dtype, query.shape
    return (
        (dtype is torch.float32 or dtype is torch.float64)
        and shape == key.shape == value.shape
        and dtype is key.dtype is value.dtype
        and query.is_cpu
        and key.is_cpu
        and value.is_cpu
        and not (torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad))
        and 0 not in shape
        and not _cpu_autocast.enabled()
        and all(allowed("cpu"))
        and plain_call((query,))
    )


# ---------------------------------------------------------------------------------------------------------------------


def _attend(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    dropout_p: float,
    diagonal: int | None,
    scale: Any,
    enable_gqa: bool,
) -> Any:
    check_dtypes(query, key, value, attn_mask)
    scores = check_shapes(query, key, value, enable_gqa)
    mask = None if attn_mask is None else mask_for(attn_mask, scores)
    if 0 not in scores:
        _check_backends(query.device.type)
    if scale is None:
        scale = 1.0 / math.sqrt(max(query.size(-1), 1))
    if _native_serves(query, key, value, mask, dropout_p, diagonal, scale):
        if enable_gqa:
            key, value = repeat_heads(key, scores[-3]), repeat_heads(value, scores[-3])
        return _by_native(query, key, value, mask, dropout_p, diagonal, scale)
    return _ours(query, key, value, mask, dropout_p, diagonal, scale, scores)


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
    defaults = attn_mask is None and dropout_p == 0.0 and scale is None and enable_gqa is False
    if _self_attention and defaults and type(is_causal) is bool and _is_plain_self_attention(query, key, value):
        out = _native(query, key, value, None, 0.0, is_causal)
        return out.contiguous() if query.is_contiguous() else out
    diagonal = None
    if is_bias(attn_mask):
        diagonal, attn_mask = diagonal_of(attn_mask, is_causal, query, key), None
    check_tensors(query, key, value, attn_mask)
    if _has_nested and (query.is_nested or key.is_nested or value.is_nested):
        return _by_native_nested(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    check_flags(is_causal, enable_gqa, attn_mask)
    if is_causal:
        diagonal = 0
    dropout_p = number("dropout_p", dropout_p)
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"dropout_p must be between 0 and 1, got {dropout_p}")
    if scale is not None:
        scale = number("scale", scale)
    device = query.device.type
    dtype = autocast_dtype(device)
    if dtype is None:
        return _attend(query, key, value, attn_mask, dropout_p, diagonal, scale, enable_gqa)
    query, key, value, attn_mask = (lowered(tensor, dtype) for tensor in (query, key, value, attn_mask))
    with without_autocast(device):
        return _attend(query, key, value, attn_mask, dropout_p, diagonal, scale, enable_gqa)
