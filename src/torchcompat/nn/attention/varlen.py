"""``torch.nn.attention.varlen``: attention within packed sequences.

The module is loaded when it is first asked for, and imports torch's module where there is one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..._shim import Limit, polyfill
from ..._torch import has
from . import _varlen

__all__ = ["AuxRequest", "varlen_attn", "varlen_attn_out"]

_LINK = "https://github.com/pytorch/pytorch/pull/"
_CPU = Limit(
    "cpu", "has no CPU kernel, and of dtypes only float16 and bfloat16: on CPU every call is an error", "native"
)
has("torch.nn.attention.varlen.varlen_attn")  # Imports torch's module, so that its objects are found below.


@polyfill("torch.nn.attention.varlen.AuxRequest", since="2.10", link=_LINK + "164502")
class AuxRequest(NamedTuple):
    """What :func:`varlen_attn` is to return beside its output.

    In torch since 2.10. Fallback: the same named tuple.

    Attributes:
        lse: the logarithm of the sum of the exponentials of each query's scores.

    https://docs.pytorch.org/docs/stable/nn.attention.varlen.html
    """

    lse: bool = False


@polyfill(
    "torch.nn.attention.varlen.varlen_attn",
    since="2.12",
    link=_LINK + "179468",
    limits=[Limit(_CPU.key, _CPU.text, "native", "2.12")],
    reason="no `enable_gqa`, `seqused_k`, `block_table` and `num_splits`",
)
def varlen_attn(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor | None,
    max_q: int,
    max_k: int,
    *,
    return_aux: AuxRequest | None = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    seqused_k: torch.Tensor | None = None,
    block_table: torch.Tensor | None = None,
    num_splits: int | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Attention in which the sequences of a batch lie one behind the other, without padding.

    In torch since 2.12. Fallback: one sequence after the other, by ``scaled_dot_product_attention`` or in tiles of
    queries x keys; on any device, for any floating point dtype. Torch has the name since 2.10, without *enable_gqa*,
    *block_table* and *num_splits* before 2.12. It runs on CUDA only, in float16 and bfloat16; where it is torch's and
    there is no GPU, ``TORCHCOMPAT_FALLBACK=nn.attention.varlen.varlen_attn`` gives the fallback.

    Args:
        query: ``(tokens, heads, E)``, floating point.
        key: ``(key tokens, key heads, E)``; with *block_table* ``(pages, page size, key heads, E)``.
        value: as *key*.
        cu_seq_q: int32 ``(N + 1,)``: sequence i of queries is ``query[cu_seq_q[i]:cu_seq_q[i + 1]]``.
        cu_seq_k: int32 ``(N + 1,)``, the same for keys; None with *block_table*.
        max_q: the length of the longest sequence of queries, or more.
        max_k: of keys.
        return_aux: an :class:`AuxRequest`.
        scale: what the scores are multiplied by, more than 0; ``1 / sqrt(E)`` if None.
        window_size: how many keys a query sees to the left and to the right of its own place, -1 for all; the last
            query's place is at the last key. ``(-1, 0)`` is causal attention.
        enable_gqa: let key and value have fewer heads than query; their number must divide query's.
        seqused_k: int32 ``(N,)``: how many keys of each sequence there are, the rest being room; no gradient then.
        block_table: int32 ``(N, pages of a sequence)``: the pages of *key* and *value* that are each sequence's, in
            order; *seqused_k* is needed with it.
        num_splits: for torch's kernel; in the fallback a sequence's result never depends on the others.

    Returns:
        ``(tokens, heads, E)`` of query's dtype; with ``AuxRequest(lse=True)`` a pair with float32 ``(heads, tokens)``,
        which has no gradient. A query that may look nowhere gives zeros, and ``-inf``.

    Raises:
        ValueError: heads or shapes do not fit, *scale* is not more than 0, *window_size* is not a pair, a sequence is
            longer than *max_q* or *max_k*.
        RuntimeError: a dtype is wrong, or a gradient is wanted together with *seqused_k*.

    https://docs.pytorch.org/docs/stable/nn.attention.varlen.html
    """
    out, lse = _varlen.attention(
        query, key, value, (cu_seq_q, cu_seq_k), (max_q, max_k), return_aux, scale, window_size, enable_gqa, seqused_k,
        block_table,
    )  # fmt: skip
    return out if lse is None else (out, lse)


@polyfill(
    "torch.nn.attention.varlen.varlen_attn_out",
    since="2.12",
    link=_LINK + "179468",
    limits=[Limit(_CPU.key, _CPU.text, "native", "2.12")],
)
def varlen_attn_out(
    out: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor | None,
    max_q: int,
    max_k: int,
    *,
    return_aux: AuxRequest | None = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    seqused_k: torch.Tensor | None = None,
    block_table: torch.Tensor | None = None,
    num_splits: int | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Do what :func:`varlen_attn` does, with the output written into *out*; no gradient.

    In torch since 2.12. Fallback: as that of :func:`varlen_attn`, copied into *out*.

    Args:
        out: ``(tokens, heads, E)`` of query's dtype.
        query: as the other arguments, :func:`varlen_attn`'s.

    Returns:
        *out*, or a pair with the logsumexp.

    Raises:
        ValueError, RuntimeError: as :func:`varlen_attn`; ValueError also if *out* has another shape or dtype.

    https://docs.pytorch.org/docs/stable/nn.attention.varlen.html
    """
    made, lse = _varlen.attention(
        query.detach(), key.detach(), value.detach(), (cu_seq_q, cu_seq_k), (max_q, max_k), return_aux, scale,
        window_size, enable_gqa, seqused_k, block_table,
    )  # fmt: skip
    _varlen.write(out, made)
    return out if lse is None else (out, lse)
