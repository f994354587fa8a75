"""Attention and recurrent networks: the batch becomes part of the batch that the operation has itself.

Left to the loop: recurrent networks with weights that are batched (they would need a step of each layer in Python),
packed sequences, multi-head attention with bias_k, bias_v or static keys, or with separate projections of each sample's
own, and dropout inside of one of these under nested vmaps of different randomness.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from .. import _draws
from .._batched import Levels, active_levels, each, fold, levels_of, rank, rule, shape, wrap


def _may_draw(func: Any, p: float, levels: Levels) -> bool:
    """Whether one call for the whole batch drops as it should, numbers of dropout's included."""
    if not p:
        return True
    for level in active_levels():
        if level.randomness == "error":
            _draws.refuse(func.__name__)
    return levels == active_levels() and all(level.randomness == "different" for level in levels)


def _drawing(func: Any, p: float) -> Any:
    return _draws.drawing(func.__name__, active_levels() if p else ())


def _joined(tensor: Any, dim: int, levels: Levels) -> Any:
    """The physical tensor with the batch as part of the dimension *dim* of the sample, in front of what that has."""
    folded = fold(tensor, levels)
    order = list(range(1, dim + 1)) + [0] + list(range(dim + 1, folded.dim()))
    moved = folded.permute(order)
    sizes = list(moved.shape)
    return moved.reshape(sizes[:dim] + [sizes[dim] * sizes[dim + 1]] + sizes[dim + 2 :])


def _parted(tensor: Any, dim: int, size: int, levels: Levels) -> Any:
    """The inverse: logical, of a sample with *size* elements along *dim*."""
    sizes = list(tensor.shape)
    split = tensor.reshape(sizes[:dim] + [level.size for level in levels] + [size] + sizes[dim + 1 :])
    k = len(levels)
    order = list(range(dim, dim + k)) + list(range(dim)) + list(range(dim + k, split.dim()))
    return wrap(split.permute(order), levels)


@rule("scaled_dot_product_attention")
def attention(
    func: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    *args: Any,
    **kwargs: Any,
) -> Any:
    levels = levels_of(query, key, value, attn_mask)
    outer = list(shape(query)[:-2])
    ndim = len(outer) + 2
    # Heads of another number than the query's are left as they are: enable_gqa.
    if any(rank(tensor) != ndim or list(shape(tensor)[:-2])[:1] != outer[:1] for tensor in (key, value) if ndim > 3):
        return NotImplemented
    if any(rank(tensor) != ndim for tensor in (key, value)) or ndim < 2 or not _may_draw(func, dropout_p, levels):
        return NotImplemented
    mask = attn_mask
    if mask is not None and (levels_of(mask) or rank(mask) > 2):
        mask = fold(mask.expand(outer + list(shape(mask)[-2:])), levels)
        mask = _merged(mask, ndim)
    parts = [_merged(fold(tensor, levels), ndim) for tensor in (query, key, value)]
    with _drawing(func, dropout_p):
        result = func(*parts, mask, dropout_p, *args, **kwargs)
    sizes = [level.size for level in levels] + outer
    return wrap(result.reshape(sizes + list(result.shape[-2:])), levels)


def _merged(folded: Any, ndim: int) -> Any:
    """With the batch and the first dimension of the sample as one, if that leaves the sample's heads."""
    if ndim < 4:
        return folded
    return folded.reshape([folded.shape[0] * folded.shape[1]] + list(folded.shape[2:]))


STATES = {"lstm": 2, "gru": 1, "rnn_tanh": 1, "rnn_relu": 1}


@rule(*STATES)
def recurrent(
    func: Any, input: Any, hx: Any, weights: Any, biased: Any = None, layers: Any = None, p: Any = 0.0, *rest: Any
) -> Any:
    """``(input, states, weights, has_biases, num_layers, dropout, train, bidirectional, batch_first)``."""
    if not isinstance(hx, (list, tuple, torch.Tensor)) or not isinstance(weights, (list, tuple)) or levels_of(weights):
        return NotImplemented
    if len(rest) != 3 or rank(input) != 3:
        return NotImplemented
    levels = levels_of(input, hx)
    training, _, batch_first = rest
    drops = p if training and layers > 1 else 0.0
    if not _may_draw(func, drops, levels):
        return NotImplemented
    at = 0 if batch_first else 1
    size = shape(input)[at]
    states = each(hx, lambda state: _joined(state, 1, levels))
    with _drawing(func, drops):
        output, *final = func(_joined(input, at, levels), states, list(weights), biased, layers, p, *rest)
    return (_parted(output, at, size, levels), *[_parted(state, 1, size, levels) for state in final])


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(func: Any, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step, in terms of the linear layer, whose rule knows what to do with weights for each sample."""
    state = hx[0] if func.__name__ == "lstm_cell" else hx
    ours, theirs = F.linear(input, w_ih, b_ih), F.linear(state, w_hh, b_hh)
    if func.__name__ == "gru_cell":
        r, z, n = ours.chunk(3, -1)
        r_state, z_state, n_state = theirs.chunk(3, -1)
        new = torch.tanh(n + torch.sigmoid(r + r_state) * n_state)
        kept = torch.sigmoid(z + z_state)
        return new + kept * (state - new)
    gates = ours + theirs
    if func.__name__ != "lstm_cell":
        return torch.tanh(gates) if func.__name__ == "rnn_tanh_cell" else torch.relu(gates)
    i, f, g, o = gates.chunk(4, -1)
    memory = torch.sigmoid(f) * hx[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def _simple(named: dict[str, Any]) -> bool:
    """Whether multi-head attention has none of the extras that :func:`multi_head` leaves to the loop."""
    return all(named.get(name) is None for name in ("bias_k", "bias_v", "static_k", "static_v"))


def _additive(mask: Any, like: Any) -> Any:
    """What a mask adds to the scores; True masks, and so does a number that is not 0 in uint8."""
    if mask.dtype.is_floating_point:
        return mask
    zeros = torch.zeros(mask.shape, dtype=like.dtype, device=like.device)
    return zeros.masked_fill(mask != 0, float("-inf"))


def _spelled_out(query: Any, key: Any, value: Any, named: dict[str, Any], padding: Any, mask: Any) -> Any:
    """Multi-head attention of weights that are batched, in terms of operations that have rules for that."""
    heads, (length, size, width) = named["num_heads"], shape(query)
    weights = named["in_proj_weight"].chunk(3, 0)
    biases = (None,) * 3 if named.get("in_proj_bias") is None else named["in_proj_bias"].chunk(3, 0)
    q, k, v = (
        F.linear(x, weight, bias).reshape(shape(x)[0], size * heads, width // heads).transpose(0, 1)
        for x, weight, bias in zip((query, key, value), weights, biases)
    )
    scores = torch.matmul(q / (width // heads) ** 0.5, k.transpose(1, 2))
    if mask is not None:
        scores = scores + _additive(mask, scores)
    scores = scores.reshape(size, heads, length, shape(key)[0])
    if padding is not None:
        scores = scores + _additive(padding, scores).reshape(size, 1, 1, shape(key)[0])
    probabilities = F.dropout(F.softmax(scores, -1), named["dropout_p"], named.get("training", True))
    mixed = torch.matmul(probabilities.reshape(size * heads, length, shape(key)[0]), v)
    mixed = mixed.transpose(0, 1).reshape(length, size, width)
    output = F.linear(mixed, named["out_proj_weight"], named["out_proj_bias"])
    if not named.get("need_weights", True):
        return output, None
    return output, probabilities.mean(1) if named.get("average_attn_weights", True) else probabilities


def _can_be_spelled_out(named: dict[str, Any]) -> bool:
    return not (named.get("add_zero_attn") or named.get("use_separate_proj_weight"))


@rule("multi_head_attention_forward")
def multi_head(func: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    names = "embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p"
    names += " out_proj_weight out_proj_bias training key_padding_mask need_weights attn_mask"
    given = dict(zip(names.split(), args), **kwargs)
    padding, mask = given.pop("key_padding_mask", None), given.pop("attn_mask", None)
    levels = levels_of(query, key, value, padding, mask)
    drops = given["dropout_p"] if given.get("training", True) else 0.0
    if len(args) > len(names.split()) or not _simple(given) or any(rank(x) != 3 for x in (query, key, value)):
        return NotImplemented
    if levels_of(given):
        return _spelled_out(query, key, value, given, padding, mask) if _can_be_spelled_out(given) else NotImplemented
    if not _may_draw(func, drops, levels):
        return NotImplemented
    size = shape(query)[1]
    if levels_of(mask) or (mask is not None and rank(mask) > 2):
        heads = size * given["num_heads"]
        mask = mask.expand([heads] + list(shape(mask)[-2:]))
        mask = _joined(mask, 0, levels)
    if padding is not None:
        padding = _joined(padding, 0, levels)
    # What is one object must stay one: self-attention is told by identity.
    joined = {id(x): _joined(x, 1, levels) for x in (query, key, value)}
    with _drawing(func, drops):
        output, weights = func(
            *[joined[id(x)] for x in (query, key, value)], **given, key_padding_mask=padding, attn_mask=mask
        )
    return _parted(output, 1, size, levels), None if weights is None else _parted(weights, 0, size, levels)
