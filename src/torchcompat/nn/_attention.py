"""The fallback of :func:`torchcompat.nn.functional.scaled_dot_product_attention`."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Sequence

import torch

from .._shim import is_forced
from .._torch import UnsupportedError, at_least, find

NAME = "nn.functional.scaled_dot_product_attention"
MINUS_INF = float("-inf")

# On CPU scores are made in blocks of query rows of about this many elements (fewer than MIN_ROWS rows do not pay).
# Measured by benchmarks/attention.py: faster than the whole score matrix, and forward's memory does not grow with it.
BLOCK = 2**20
MIN_ROWS = 32

# Torch 2.0 to 2.4 have a function that falls short of the contract, yet is right and faster for some calls.
_native: Any = find("torch." + NAME) if not at_least(2, 5) and not is_forced(NAME) else None
_has_nested = hasattr(torch.Tensor, "is_nested")
compiling = find("torch.compiler.is_compiling") or find("torch._utils.is_compiling") or (lambda: False)

# ---------------------------------------------------------------------------------------------------------------------
# Arguments


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.size())


def _check_tensors(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
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
            raise RuntimeError(f"{name} must have at least 2 dimensions (..., length, width), got {_shape(tensor)}")


def _check_flags(is_causal: Any, enable_gqa: Any, attn_mask: Any) -> None:
    for name, flag in (("is_causal", is_causal), ("enable_gqa", enable_gqa)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be a bool, got {type(flag).__name__}")
    if is_causal and attn_mask is not None:
        raise RuntimeError("attn_mask must be None when is_causal=True: combine the two in attn_mask")


def _number(name: str, value: Any) -> float:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, torch.Tensor) and value.dim() == 0 and not value.requires_grad:
        return float(value.item())
    raise TypeError(f"{name} must be a float, got {type(value).__name__}")


def _check_dtypes(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
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


def _broadcast(name: str, shape: Sequence[int], other: Sequence[int]) -> list[int]:
    """The shape that *shape* and *other* (query's, in messages) broadcast to."""
    rank = max(len(shape), len(other))
    left, right = [1] * (rank - len(shape)) + list(shape), [1] * (rank - len(other)) + list(other)
    for mine, theirs in zip(left, right):
        if mine != theirs and 1 not in (mine, theirs):
            raise RuntimeError(
                f"{name} has leading dimensions {tuple(shape)}, which do not broadcast with query's {tuple(other)}"
            )
    return [theirs if mine == 1 else mine for mine, theirs in zip(left, right)]


def _check_shapes(query: Any, key: Any, value: Any) -> list[int]:
    """The shape of the scores."""
    if key.size(-1) != query.size(-1):
        raise RuntimeError(f"key must have query's width {query.size(-1)}, got {key.size(-1)}")
    if value.size(-2) != key.size(-2):
        raise RuntimeError(f"value must have key's length {key.size(-2)}, got {value.size(-2)}")
    lead = _broadcast("key", _shape(key)[:-2], _shape(query)[:-2])
    _broadcast("value", _shape(value)[:-2], lead)
    return [*lead, query.size(-2), key.size(-2)]


def _mask_for(attn_mask: Any, scores: Sequence[int]) -> Any:
    """The mask with at least two dimensions, checked to broadcast to the scores."""
    shape = _shape(attn_mask)
    if len(scores) == 4 and len(shape) < 2:
        raise IndexError(f"attn_mask must have at least 2 dimensions for a 4-D query, got {shape}")
    if len(scores) == 3 and len(shape) == 4 and shape[0] == 1:
        attn_mask = attn_mask[0]
    while attn_mask.dim() < 2:
        attn_mask = attn_mask.unsqueeze(0)
    target = list(scores)[-attn_mask.dim() :]
    fits = all(mine in (1, theirs) for mine, theirs in zip(_shape(attn_mask), target))
    if not fits or attn_mask.dim() > len(scores):
        raise RuntimeError(f"attn_mask must broadcast to the scores' shape {tuple(scores)}, got {shape}")
    return attn_mask


def _repeat_heads(name: str, tensor: Any, query: Any) -> Any:
    """*tensor* with as many heads as *query*, each repeated for its group of query heads."""
    if tensor.dim() < 3 or query.dim() < 3:
        raise IndexError(f"{name} and query must have a dimension of heads (-3) with enable_gqa=True")
    heads, wanted = tensor.size(-3), query.size(-3)
    if heads == wanted:
        return tensor
    if heads == 0 or wanted % heads:
        raise RuntimeError(f"{name}'s number of heads must divide query's {wanted}, got {heads}")
    lead, rest, groups = _shape(tensor)[:-2], _shape(tensor)[-2:], wanted // heads
    return tensor.unsqueeze(-3).expand(*lead, groups, *rest).reshape(*lead[:-1], wanted, *rest)


# ---------------------------------------------------------------------------------------------------------------------
# The formula


def _open_masked_rows(mask: Any) -> tuple[Any, Any]:
    """The mask with its fully masked rows opened, and where they were: softmax would make NaN of them."""
    if mask is None:
        return None, None
    if mask.dtype == torch.bool:
        masked = ~mask.any(-1, keepdim=True)
        return mask | masked, masked
    masked = (mask == MINUS_INF).all(-1, keepdim=True)
    return mask.masked_fill(masked, 0.0), masked


def _closed(out: Any, masked: Any) -> Any:
    """*out* with zeros in the rows that the mask closed."""
    return out if masked is None else out.masked_fill(masked, 0.0)


def _block(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, first_row: int | None) -> Any:
    """Attention of some rows of a scaled query. *first_row*: the number of the first, if the attention is causal."""
    scores = torch.matmul(query, key.transpose(-2, -1))
    if first_row is not None:
        rows = torch.arange(first_row, first_row + scores.size(-2), device=scores.device)
        columns = torch.arange(scores.size(-1), device=scores.device)
        scores = scores.masked_fill(columns > rows.unsqueeze(-1), MINUS_INF)
    elif mask is not None:
        scores = scores.masked_fill(~mask, MINUS_INF) if mask.dtype == torch.bool else scores + mask
    weights = torch.softmax(scores, -1)
    if dropout_p > 0.0:
        weights = torch.nn.functional.dropout(weights, dropout_p, True)
    return torch.matmul(weights, value)


def _rows_per_block(scores: Sequence[int], device: Any) -> int:
    rows = scores[-2]
    if device.type != "cpu" or compiling():
        return rows
    per_row = 1
    for size in (*scores[:-2], scores[-1]):
        per_row *= size
    if rows * per_row <= BLOCK:
        return rows
    return max(MIN_ROWS, BLOCK // per_row)


def _by_formula(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    dropout_p: float,
    is_causal: bool,
    scale: float,
    scores: Sequence[int],
) -> Any:
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        # Torch keeps the intermediates of these in float32; CPUs had no half matmul before 2.2.
        query, key, value = query.float(), key.float(), value.float()
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    mask, masked = _open_masked_rows(mask)
    query = query * scale
    rows = _rows_per_block(scores, query.device)
    if rows >= query.size(-2):
        out = _block(query, key, value, mask, dropout_p, 0 if is_causal else None)
    else:
        out = _in_blocks(query, key, value, mask, dropout_p, is_causal, rows)
    return _closed(out, masked).to(dtype)


def _in_blocks(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, rows: int) -> Any:
    """Attention of a scaled query in blocks of *rows* query rows."""
    length, keys = query.size(-2), key.size(-2)
    blocks = []
    for start in range(0, length, rows):
        count = min(rows, length - start)
        part = mask
        if mask is not None and mask.size(-2) != 1:
            part = mask.narrow(-2, start, count)
        # A causal block sees no key beyond its last row.
        seen = min(keys, start + count) if is_causal else keys
        blocks.append(
            _block(
                query.narrow(-2, start, count),
                key.narrow(-2, 0, seen),
                value.narrow(-2, 0, seen),
                part,
                dropout_p,
                start if is_causal else None,
            )
        )
    return torch.cat(blocks, -2)


# ---------------------------------------------------------------------------------------------------------------------
# Torch's own function of 2.0 to 2.4


def _plain_call(tensors: Sequence[Any]) -> bool:
    """Whether no derivative is taken and no transform is active: fused kernels have neither all of them nor vmap."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    if torch.autograd.forward_ad._current_level >= 0:
        return False
    return bool(compiling() or torch._C._functorch.peek_interpreter_stack() is None)


def _native_serves(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float
) -> bool:
    """Whether torch's own function is there, right and faster for this call."""
    if _native is None or 0 in (query.numel(), key.numel(), value.numel()):
        return False
    if not _plain_call([query, key, value] if mask is None else [query, key, value, mask]):
        return False
    if query.device.type != "cpu":
        return mask is None
    # The CPU has a fused kernel since 2.1, which takes masks since 2.3. In 2.3 and 2.4 half overflows, and the causal
    # triangle is made before the scale is applied.
    shape = _shape(query)
    return (
        at_least(2, 1)
        and dropout_p == 0.0
        and query.dtype != torch.float16
        and (scale > 0.0 or not is_causal)
        and len(shape) == 4
        and _shape(key) == _shape(value) == (*shape[:2], key.size(-2), shape[-1])
        and (mask is None or (at_least(2, 3) and mask.dtype in (torch.bool, query.dtype)))
    )


def _by_native(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float) -> Any:
    mask, masked = _open_masked_rows(mask)
    if mask is not None and mask.size(-1) != key.size(-2):
        # The kernel of 2.3 and 2.4 reads beyond a mask whose last dimension is to be broadcast.
        mask = mask.expand(*mask.shape[:-1], key.size(-2)).contiguous()
    if at_least(2, 1):
        out = _native(query, key, value, mask, dropout_p, is_causal, scale=scale)
    else:
        out = _native(query * (scale * math.sqrt(query.size(-1))), key, value, mask, dropout_p, is_causal)
    return _closed(out.contiguous() if query.is_contiguous() else out, masked)


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


# ---------------------------------------------------------------------------------------------------------------------
# Autocast


def autocast_dtype(device: str) -> Any:
    """The dtype that autocast asks for on this kind of device, or None."""
    if at_least(2, 4):
        # Not asked under torch.compile, which cannot trace the question.
        if not compiling() and not torch.amp.is_autocast_available(device):
            return None
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == "cuda" and at_least(1, 6) and torch.is_autocast_enabled():
        return torch.get_autocast_gpu_dtype() if at_least(1, 10) else torch.float16
    if device == "cpu" and at_least(1, 10) and torch.is_autocast_cpu_enabled():
        return torch.get_autocast_cpu_dtype()
    return None


def _without_autocast(device: str) -> Any:
    return torch.autocast(device, enabled=False) if at_least(1, 10) else torch.cuda.amp.autocast(enabled=False)


def _lowered(tensor: Any, dtype: Any) -> Any:
    """*tensor* as autocast hands it to an operator that it runs in *dtype*."""
    if tensor is None or not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(dtype)


# ---------------------------------------------------------------------------------------------------------------------


def _attend(
    query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: float, is_causal: bool, scale: Any, enable_gqa: bool
) -> Any:
    _check_dtypes(query, key, value, attn_mask)
    if enable_gqa:
        key, value = _repeat_heads("key", key, query), _repeat_heads("value", value, query)
    scores = _check_shapes(query, key, value)
    mask = None if attn_mask is None else _mask_for(attn_mask, scores)
    if scale is None:
        scale = 1.0 / math.sqrt(max(query.size(-1), 1))
    if _native_serves(query, key, value, mask, dropout_p, is_causal, scale):
        return _by_native(query, key, value, mask, dropout_p, is_causal, scale)
    return _by_formula(query, key, value, mask, dropout_p, is_causal, scale, scores)


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
    """``scaled_dot_product_attention``: the arguments are checked and cast for autocast, then the formula runs."""
    _check_tensors(query, key, value, attn_mask)
    if _has_nested and (query.is_nested or key.is_nested or value.is_nested):
        return _by_native_nested(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    _check_flags(is_causal, enable_gqa, attn_mask)
    dropout_p = _number("dropout_p", dropout_p)
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"dropout_p must be between 0 and 1, got {dropout_p}")
    if scale is not None:
        scale = _number("scale", scale)
    device = query.device.type
    dtype = autocast_dtype(device)
    if dtype is None:
        return _attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    query, key, value, attn_mask = (_lowered(tensor, dtype) for tensor in (query, key, value, attn_mask))
    with _without_autocast(device):
        return _attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
