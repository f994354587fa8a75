"""The arguments of the flex_attention family: checked, cast for autocast, and handed to torch's kernel or to ours."""

from __future__ import annotations

import math
from typing import Any, Sequence

import torch

from ...._shim import is_forced
from ...._torch import at_least, compiling, find, parameters
from ...functional._sdpa._autocast import autocast_dtype, lowered, without_autocast
from ...functional._sdpa._online_softmax import MINUS_INF
from . import _blockwise, _masks, _tiles
from ._block_mask import NOOPS, TENSORS, is_sliced
from ._mods import Tile, evaluate, positional_parameters, prepared

NAME = "nn.attention.flex_attention.flex_attention"
_has_nested = hasattr(torch.Tensor, "is_nested")

# ---------------------------------------------------------------------------------------------------------------------
# Masks


def _is_score_mod(mod: Any) -> bool:
    count = positional_parameters(mod)
    if count not in (4, 5):
        raise AssertionError(f"a mask modifier takes 4 arguments and a score modifier 5, got one that takes {count}")
    return count == 5


def _device(device: Any) -> Any:
    return _masks.default_device() if device is None else torch.device(device)


def mask_of(mod: Any, batches: Any, heads: Any, length: int, keys: int, device: Any) -> Any:
    """``create_mask``."""
    device = _device(device)
    tile = Tile(*((0, 1 if size is None else size) for size in (batches, heads, length, keys)))
    score = (torch.zeros((), device=device),) if _is_score_mod(mod) else ()
    mod = prepared("mod_fn", mod, score, tile.shape, device)
    if not score:
        return evaluate("mask_mod", mod, (), tile, device).expand(tile.shape).contiguous()
    scores = evaluate("score_mod", mod, (torch.zeros(tile.shape, device=device),), tile, device)
    return (scores != MINUS_INF).expand(tile.shape).contiguous()


def lists_of(
    mod: Any, sizes: Sequence[Any], device: Any, block: Sequence[int], separate: bool, dq_kv_order: Any
) -> tuple[Any, ...]:
    """The lists by rows of the blocks that *mod* lets through in part and whole."""
    if _is_score_mod(mod):
        raise AssertionError(f"mask_mod must take (b, h, q_idx, kv_idx), got a score modifier: {mod}")
    if not isinstance(dq_kv_order, bool):
        raise ValueError(f"dq_kv_order must be a bool, got {type(dq_kv_order).__name__}")
    whole = [1 if size is None else size for size in sizes]
    device = _device(device)
    counts = _masks.block_counts(prepared("mask_mod", mod, (), whole, device), whole, block, device)
    if not separate:
        return (*_masks.listed(counts > 0), None, None)
    full = counts == block[0] * block[1]
    return (*_masks.listed((counts > 0) & ~full), *_masks.listed(full))


# ---------------------------------------------------------------------------------------------------------------------
# Attention


def _check_tensors(query: Any, key: Any, value: Any) -> None:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(tensor).__name__}")
        if _has_nested and tensor.is_nested:
            raise NotImplementedError(f"{name} must not be nested: pad the sequences and mask the padding")
        if tensor.device != query.device:
            raise ValueError(f"{name} must be on query's device {query.device}, got {tensor.device}")
        if tensor.dim() != 4:
            raise NotImplementedError(
                f"{name} must have 4 dimensions (batch, heads, length, width), got {tuple(tensor.size())}"
            )
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be floating point, got {tensor.dtype}")


def _check_shapes(query: Any, key: Any, value: Any, block_mask: Any, enable_gqa: bool) -> None:
    if key.size(3) != query.size(3):
        raise ValueError(f"key must have query's width {query.size(3)}, got {key.size(3)}")
    if value.size(2) != key.size(2):
        raise ValueError(f"value must have key's length {key.size(2)}, got {value.size(2)}")
    if value.size(1) != key.size(1):
        raise ValueError(f"value must have key's number of heads {key.size(1)}, got {value.size(1)}")
    heads, key_heads = query.size(1), key.size(1)
    if not enable_gqa and heads != key_heads:
        raise ValueError(f"key must have query's {heads} heads, got {key_heads}; with enable_gqa=True fewer will do")
    if key_heads == 0 or heads % key_heads:
        raise ValueError(f"key's number of heads must divide query's {heads}, got {key_heads}")
    for name, tensor in (("key", key), ("value", value)):
        if tensor.size(0) == query.size(0):
            continue
        masked = block_mask is not None and block_mask.kv_num_blocks.size(0) == query.size(0)
        if tensor.size(0) != 1 or not masked:
            raise ValueError(
                f"{name} must have query's batch size {query.size(0)}, or 1 with a block_mask of query's; "
                f"got {tensor.size(0)}"
            )


def _check_mask(block_mask: Any, query: Any, key: Any) -> None:
    for name in ("kv_num_blocks", "kv_indices", "BLOCK_SIZE", "mask_mod", "shape"):
        if not hasattr(block_mask, name):
            raise TypeError(f"block_mask must be a BlockMask, got {type(block_mask).__name__}")
    if is_sliced(block_mask.mask_mod):
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask: set the slice's mask_mod before it is used")
    lengths = tuple(getattr(block_mask, "seq_lengths", block_mask.shape[-2:]))
    if lengths != (query.size(2), key.size(2)) and getattr(block_mask, "seq_lengths", None) is not None:
        smaller = "smaller" if query.size(2) > lengths[0] or key.size(2) > lengths[1] else "larger"
        raise RuntimeError(
            f"block_mask was created for a {smaller} length: for {lengths[0]} queries and {lengths[1]} keys, "
            f"and query has length {query.size(2)}, key {key.size(2)}; create one for these"
        )
    if block_mask.kv_num_blocks.device != query.device:
        raise RuntimeError(
            f"block_mask must be on query's device {query.device}, got {block_mask.kv_num_blocks.device}"
        )
    lead = list(block_mask.kv_indices.size())[:-2]
    for place, size in zip((0, 1), lead if len(lead) == 2 else []):
        if size not in (1, query.size(place)):
            raise ValueError(
                f"block_mask must be for 1 or query's {('batch size', 'number of heads')[place]} "
                f"{query.size(place)}, got {size}"
            )


def attention(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Any,
    block_mask: Any,
    scale: Any,
    enable_gqa: bool,
    kernel_options: Any,
    wanted: Any,
) -> tuple[Any, Any, Any]:
    """Output, logsumexp and maximum of ``flex_attention``."""
    _check_tensors(query, key, value)
    _check_shapes(query, key, value, block_mask, enable_gqa)
    if block_mask is not None:
        _check_mask(block_mask, query, key)
    if scale is None:
        scale = 1.0 / math.sqrt(max(query.size(3), 1))
    if compiling() and _native_serves(query, key, value, wanted):
        return _by_native(query, key, value, score_mod, block_mask, scale, enable_gqa, kernel_options, wanted)
    device = query.device.type
    dtype = autocast_dtype(device)
    if dtype is None:
        return _attend(query, key, value, score_mod, block_mask, scale)
    query, key, value = (lowered(tensor, dtype) for tensor in (query, key, value))
    with without_autocast(device):
        return _attend(query, key, value, score_mod, block_mask, scale)


def _attend(query: Any, key: Any, value: Any, score_mod: Any, block_mask: Any, scale: float) -> tuple[Any, Any, Any]:
    dtype = query.dtype
    working = torch.float64 if dtype == torch.float64 else torch.float32
    query, key, value = query.to(working), key.to(working), value.to(working)
    key, value = (tensor.expand(query.size(0), *list(tensor.size())[1:]) for tensor in (key, value))
    sizes = (query.size(0), query.size(1), query.size(2), key.size(2))
    layout = None if block_mask is None else _tiles.Layout(block_mask, sizes, NOOPS)
    if score_mod is not None:
        score_mod = prepared("score_mod", score_mod, (query.new_full((), 0.5),), sizes, query.device)
    plan = _tiles.Plan(score_mod, layout, query, key, scale)
    out, lse, top = _blockwise.attend(plan, query, key, value)
    return out.to(dtype), lse, top


# ---------------------------------------------------------------------------------------------------------------------
# Torch's kernel, under torch.compile

# That of 2.6 is not compiled in one graph when it is called from here.
_native: Any = find("torch." + NAME) if at_least(2, 7) and not is_forced(NAME) else None
_native_mask: Any = find("torch.nn.attention.flex_attention.BlockMask")


def _native_serves(query: Any, key: Any, value: Any, wanted: Any) -> bool:
    if _native is None or wanted.max_scores or not query.dtype == key.dtype == value.dtype:
        return False
    needs_graph = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    return query.device.type != "cpu" or not (needs_graph or wanted.lse)


def _by_native(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Any,
    block_mask: Any,
    scale: Any,
    enable_gqa: bool,
    kernel_options: Any,
    wanted: Any,
) -> tuple[Any, Any, Any]:
    if block_mask is not None and not isinstance(block_mask, _native_mask):
        taken = [name for name in _MASK_ATTRIBUTES if name in _mask_parameters]
        block_mask = _native_mask(**{name: getattr(block_mask, name) for name in taken})
    options = {"return_lse": True} if wanted.lse else {}
    out = _native(query, key, value, score_mod, block_mask, scale, enable_gqa, kernel_options=kernel_options, **options)
    return (*out, None) if wanted.lse else (out, None, None)


_MASK_ATTRIBUTES = ("seq_lengths", *TENSORS, "BLOCK_SIZE", "mask_mod", "dq_kv_order_spt")
_mask_parameters = parameters(_native_mask.__init__) if _native_mask is not None else set()
