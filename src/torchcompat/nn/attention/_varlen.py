"""The fallback of varlen_attn: attention within packed sequences, one after the other."""

from __future__ import annotations

import math
from typing import Any, Sequence

import torch

from ..functional._sdpa._online_softmax import MINUS_INF
from .flex_attention import _blockwise, _tiles
from .flex_attention._masks import ceil_div

BLOCK = 128


def _check_tensors(query: Any, key: Any, value: Any, paged: bool) -> None:
    shape = "(pages, page size, heads, width)" if paged else "(tokens, heads, width)"
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(tensor).__name__}")
        if tensor.dim() != (3 if name == "query" or not paged else 4):
            wanted = "(tokens, heads, width)" if name == "query" else shape
            raise ValueError(f"{name} must have the dimensions {wanted}, got {tuple(tensor.size())}")
        if not tensor.is_floating_point() or tensor.dtype != query.dtype:
            raise RuntimeError(f"query, key and value must have one floating point dtype, got {name} {tensor.dtype}")
        if tensor.device != query.device:
            raise RuntimeError(f"{name} must be on query's device {query.device}, got {tensor.device}")
    if key.size(-1) != query.size(-1):
        raise ValueError(f"key must have query's width {query.size(-1)}, got {key.size(-1)}")
    if value.size()[:-1] != key.size()[:-1]:
        raise ValueError(
            f"value must have key's shape but for the width, {tuple(key.size())}, got {tuple(value.size())}"
        )


def _check_heads(heads: int, key_heads: int, enable_gqa: bool) -> None:
    if not enable_gqa and heads != key_heads:
        raise ValueError(f"key must have query's {heads} heads, got {key_heads}; with enable_gqa=True fewer will do")
    if key_heads == 0 or heads % key_heads:
        raise ValueError(f"key's number of heads must divide query's {heads}, got {key_heads}")


def _numbers(name: str, tensor: Any, dim: int = 1) -> list[Any]:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a Tensor, got {type(tensor).__name__}")
    if tensor.dtype != torch.int32 or tensor.dim() != dim:
        raise RuntimeError(f"{name} must be an int32 tensor of {dim} dimensions, got {tensor.dtype}, {tensor.dim()}")
    numbers: list[Any] = tensor.tolist()
    return numbers


def _bounds(name: str, tensor: Any, tokens: int, longest: Any) -> list[tuple[int, int]]:
    """The start and the end of every sequence."""
    numbers = _numbers(name, tensor)
    spans = list(zip(numbers, numbers[1:]))
    if not numbers or numbers[0] != 0 or numbers[-1] > tokens or any(start > end for start, end in spans):
        raise ValueError(f"{name} must rise from 0 to at most the {tokens} tokens that there are, got {numbers}")
    _check_longest(name.replace("cu_seq", "max"), spans, longest)
    return spans


def _check_longest(name: str, spans: Sequence[tuple[int, int]], longest: Any) -> None:
    length = max((end - start for start, end in spans), default=0)
    if length > longest:
        raise ValueError(f"{name} must be at least the length of the longest sequence, {length}, got {longest}")


def _sources(
    key: Any, value: Any, cu_seq_k: Any, max_k: Any, seqused_k: Any, block_table: Any, count: int
) -> list[tuple[Any, Any]]:
    """Each sequence's keys and values."""
    used = None if seqused_k is None else _numbers("seqused_k", seqused_k)
    if block_table is None:
        if cu_seq_k is None:
            raise ValueError("cu_seq_k must be a Tensor unless block_table is given")
        spans = _bounds("cu_seq_k", cu_seq_k, key.size(0), max_k)
        lengths = [end - start for start, end in spans] if used is None else used
        found = [(key[start : start + n], value[start : start + n]) for (start, _), n in zip(spans, lengths)]
    else:
        if used is None:
            raise ValueError("block_table must come with seqused_k")
        pages = [page.long() for page in block_table]
        held = [(key[at].flatten(0, 1), value[at].flatten(0, 1)) for at in pages]
        found = [(keys[:n], values[:n]) for (keys, values), n in zip(held, used)]
        _check_longest("max_k", [(0, len(keys)) for keys, _ in found], max_k)
    if len(found) != count or (used is not None and len(used) != count):
        raise ValueError(f"queries and keys must be as many sequences, got {count} and {len(found)}")
    return found


class Band:
    """The blocks of a window: what a tile needs to know of a mask."""

    block = (BLOCK, BLOCK)

    def __init__(self, length: int, keys: int, window: Sequence[int], device: Any) -> None:
        # The last query's place is that of the last key.
        offset = keys - length
        self.low = -length - keys if window[0] < 0 else offset - window[0]
        self.high = length + keys if window[1] < 0 else offset + window[1]
        rows = torch.arange(ceil_div(length, BLOCK), device=device).unsqueeze(-1) * BLOCK
        columns = torch.arange(ceil_div(keys, BLOCK), device=device) * BLOCK
        least, most = columns - rows - BLOCK + 1, columns - rows + BLOCK - 1
        self.some = ((most >= self.low) & (least <= self.high)).view(1, 1, *least.size())
        self.full = ((least >= self.low) & (most <= self.high)).view(1, 1, *least.size())
        self.mod = self

    def allowed(self, tile: Any, device: Any) -> Any:
        """bool, broadcastable to the tile: where its queries may look."""
        _, _, query, key = tile.indices(device)
        distance = key - query
        return (distance >= self.low) & (distance <= self.high)


def _attend(query: Any, key: Any, value: Any, scale: float, window: Sequence[int], with_lse: bool) -> tuple[Any, Any]:
    """Attention of one sequence, ``(heads, length, width)`` each; the logsumexp only if asked for."""
    # Loaded by then, but not when this module is.
    from ..functional import scaled_dot_product_attention

    query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
    length, keys = query.size(2), key.size(2)
    open_ = [size < 0 or size >= length + keys for size in window]
    causal = open_[0] and window[1] == 0 and length == keys
    if not with_lse and (all(open_) or causal) and keys:
        groups = bool(query.size(1) != key.size(1))  # a tensor in a trace
        out = scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scale, enable_gqa=groups)
        return out.squeeze(0), None
    working = torch.float64 if query.dtype == torch.float64 else torch.float32
    band: Any = None if all(open_) else Band(length, keys, window, query.device)
    plan = _tiles.Plan(None, band, query, key, scale)
    out, lse, _ = _blockwise.attend(plan, query.to(working), key.to(working), value.to(working))
    return out.squeeze(0).to(query.dtype), lse.squeeze(0).detach().float()


def attention(
    query: Any,
    key: Any,
    value: Any,
    bounds: tuple[Any, Any],
    longest: tuple[int, int],
    return_aux: Any,
    scale: Any,
    window: Any,
    enable_gqa: bool,
    seqused_k: Any,
    block_table: Any,
) -> tuple[Any, Any]:
    """Output and, if it is wanted, logsumexp of ``varlen_attn``."""
    _check_tensors(query, key, value, block_table is not None)
    _check_heads(query.size(1), key.size(-2), enable_gqa)
    if scale is not None and not scale > 0:
        raise ValueError(f"scale must be more than 0, got {scale}")
    if len(window) != 2:
        raise ValueError(f"window_size must be a pair (left, right), got {window}")
    if scale is None:
        scale = 1.0 / math.sqrt(max(query.size(2), 1))
    for name, tensor in (("seqused_k", seqused_k), ("block_table", block_table)):
        wants = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
        if tensor is not None and wants:
            raise RuntimeError(f"{name} is for inference: query, key and value must not need a gradient with it")
    spans = _bounds("cu_seq_q", bounds[0], query.size(0), longest[0])
    sources = _sources(key, value, bounds[1], longest[1], seqused_k, block_table, len(spans))
    with_lse = return_aux is not None and bool(return_aux.lse)
    like = {"dtype": query.dtype, "device": query.device}  # not new_zeros, which torch 1.4 cannot export to ONNX
    outs = [torch.zeros(0, query.size(1), value.size(-1), **like)]
    logsumexps = [query.new_zeros(query.size(1), 0).float()]
    for (start, end), (keys, values) in zip(spans, sources):
        if start < end:
            parts = [tensor.transpose(0, 1) for tensor in (query[start:end], keys, values)]
            out, lse = _attend(parts[0], parts[1], parts[2], scale, window, with_lse)
            outs.append(out.transpose(0, 1))
            logsumexps.append(lse)
    rest = query.size(0) - spans[-1][1] if spans else query.size(0)
    outs.append(torch.zeros(rest, query.size(1), value.size(-1), **like))
    if not with_lse:
        return torch.cat(outs), None
    logsumexps.append(query.new_full((query.size(1), rest), MINUS_INF).float())
    return torch.cat(outs), torch.cat(logsumexps, 1)


def write(out: Any, made: Any) -> None:
    """*made* into *out*, which must be like it."""
    if out.size() != made.size() or out.dtype != made.dtype:
        raise ValueError(f"out must be {made.dtype} {tuple(made.size())}, got {out.dtype} {tuple(out.size())}")
    with torch.no_grad():
        out.copy_(made)
