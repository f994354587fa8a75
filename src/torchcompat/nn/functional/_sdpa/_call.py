"""One call of scaled_dot_product_attention as one value: made once, then read by the plan and by what runs."""

from __future__ import annotations

import math
from typing import Any, Callable, NamedTuple

from ...attention._bias import causal_offset_of, is_bias
from ._arguments import Arguments, check_dtypes, check_flags, check_shapes, mask_for, number


class Options(NamedTuple):
    """What a call says besides its tensors.

    Attributes:
        scale: what the scores are multiplied by.
        causal_offset: query i sees the keys 0 ... i + causal_offset, and there is no mask; None where all are seen.
        dropout_p: the share of the weights to drop.
        seed: of the dropout mask; only attention in blocks, which draws it twice, has one.
    """

    scale: float
    causal_offset: int | None
    dropout_p: float
    seed: int = 0


class Call(NamedTuple):
    """A call whose arguments are checked.

    Attributes:
        query, key, value: of one dtype. The leading dimensions broadcast, but for heads that share a key.
        mask: of at least two dimensions, which broadcast to the scores; None where there is none.
        options: the numbers.
        scores: the shape of the scores, with a head for each of the query's.
    """

    query: Any
    key: Any
    value: Any
    mask: Any
    options: Options
    scores: list[int]


def tensors_of(call: Call) -> list[Any]:
    # No method: the compiler of torch 2.0 to 2.2 knows only the fields of a named tuple.
    tensors = [call.query, call.key, call.value]
    return tensors if call.mask is None else [*tensors, call.mask]


def _dropout(given: Any) -> float:
    dropout_p = number("dropout_p", given)
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"dropout_p must be between 0 and 1, got {dropout_p}")
    return dropout_p


def call_of(given: Arguments, lower: Callable[[Any], Any] | None = None) -> Call:
    """The call that *given* asks for; raises what the function raises. *lower* does to a tensor what autocast does."""
    query, key, value, attn_mask = given.query, given.key, given.value, given.attn_mask
    causal_offset = None
    if is_bias(attn_mask):
        causal_offset, attn_mask = causal_offset_of(attn_mask, given.is_causal, query, key), None
    check_flags(given.is_causal, given.enable_gqa, attn_mask)
    if given.is_causal:
        causal_offset = 0
    dropout_p = _dropout(given.dropout_p)
    scale = 1.0 / math.sqrt(max(query.size(-1), 1)) if given.scale is None else number("scale", given.scale)
    if lower is not None:
        query, key, value = lower(query), lower(key), lower(value)
        attn_mask = None if attn_mask is None else lower(attn_mask)
    check_dtypes(query, key, value, attn_mask)
    scores = check_shapes(query, key, value, given.enable_gqa)
    mask = None if attn_mask is None else mask_for(attn_mask, scores)
    return Call(query, key, value, mask, Options(scale, causal_offset, dropout_p), scores)
