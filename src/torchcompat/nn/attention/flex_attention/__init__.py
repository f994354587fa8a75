"""``torch.nn.attention.flex_attention``: attention with modifiers of the scores and block masks.

The module is loaded when it is first asked for, and imports torch's module where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from ...._shim import Limit, polyfill
from . import _block_mask, _call, _masks

if TYPE_CHECKING:
    from ...._types import Device, MaskMod, ScoreMod

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

# The first torch whose BlockMask, and what makes and takes one, meet the contract: the family is replaced as one, since
# torch's flex_attention reads a BlockMask of its own.
FAMILY = "2.14"
LINK = "https://github.com/pytorch/pytorch/pull/"


@polyfill("torch.nn.attention.flex_attention.AuxRequest", since="2.9", link=LINK + "161667")
class AuxRequest(NamedTuple):
    """What :func:`flex_attention` is to return beside its output.

    In torch since 2.9. Fallback: the same named tuple.

    Attributes:
        lse: the logarithm of the sum of the exponentials of each query's scores.
        max_scores: the greatest of each query's scores.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """

    lse: bool = False
    max_scores: bool = False


@polyfill("torch.nn.attention.flex_attention.AuxOutput", since="2.9", link=LINK + "161667")
class AuxOutput(NamedTuple):
    """What :func:`flex_attention` returns beside its output.

    In torch since 2.9. Fallback: the same named tuple.

    Attributes:
        lse: ``(B, H, L)`` if it was requested, else None; ``-inf`` for a query that may look nowhere.
        max_scores: likewise.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """

    lse: Optional[torch.Tensor] = None  # noqa: UP045
    max_scores: Optional[torch.Tensor] = None  # noqa: UP045


noop_mask = polyfill("torch.nn.attention.flex_attention.noop_mask", since="2.5", link=LINK + "130107")(
    _block_mask.noop_mask
)


def _check_mods(mask_mods: tuple[Any, ...]) -> None:
    for place, mod in enumerate(mask_mods):
        if not callable(mod):
            raise RuntimeError(f"mask_mods must all be callable, got {type(mod).__name__} in place {place}")


@polyfill("torch.nn.attention.flex_attention.or_masks", since="2.5", link=LINK + "130107")
def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """The mask modifier that lets through what any of *mask_mods* does.

    In torch since 2.5. Fallback: calls the modifiers and joins their results with ``|``.

    Args:
        *mask_mods: functions of ``(b, h, q_idx, kv_idx)`` to bool tensors.

    Returns:
        Such a function; that of no modifiers lets nothing through.

    Raises:
        RuntimeError: one is not callable.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    _check_mods(mask_mods)

    def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = torch.zeros((), dtype=torch.bool, device=b.device)
        for mod in mask_mods:
            result = result | mod(b, h, q_idx, kv_idx)
        return result

    return or_mask


@polyfill("torch.nn.attention.flex_attention.and_masks", since="2.5", link=LINK + "130107")
def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """The mask modifier that lets through what all of *mask_mods* do.

    In torch since 2.5. Fallback: calls the modifiers and joins their results with ``&``.

    Args:
        *mask_mods: functions of ``(b, h, q_idx, kv_idx)`` to bool tensors.

    Returns:
        Such a function; that of no modifiers lets everything through.

    Raises:
        RuntimeError: one is not callable.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    _check_mods(mask_mods)

    def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = torch.ones((), dtype=torch.bool, device=b.device)
        for mod in mask_mods:
            result = result & mod(b, h, q_idx, kv_idx)
        return result

    return and_mask


@polyfill(
    "torch.nn.attention.flex_attention.BlockMask",
    since=FAMILY,
    link=LINK + "187886",
    reason="the shape of a selection of query blocks is that of the whole; on 2.5 all shapes are of whole blocks",
)
class BlockMask(_block_mask.BlockMaskBase):
    """Which blocks of queries x keys attention computes, and a modifier for those that are not whole.

    In torch since 2.14. Fallback: the same tensors and methods; no registration as a pytree. Torch has the name since
    2.5; up to 2.13 the shape of a selection of query blocks is that of the whole.

    Made by :func:`create_block_mask` or :meth:`from_kv_blocks`. For every row of blocks there is a list of the columns
    whose blocks are let through in part (``kv_indices``, of which the first ``kv_num_blocks`` count) and one of those
    that are let through whole, for which the modifier is not asked (``full_kv_indices``); the same by columns in
    ``q_indices`` and ``full_q_indices``. A block in neither is not computed.

    Args:
        seq_lengths: numbers of queries and of keys.
        kv_num_blocks: int32 ``(B, H, rows)``; B and H may be 1 for all, and both may be left out.
        kv_indices: int32 ``(B, H, rows, columns)``.
        full_kv_num_blocks: as *kv_num_blocks*, or None.
        full_kv_indices: as *kv_indices*, or None.
        q_num_blocks: int32 ``(B, H, columns)``, or None.
        q_indices: int32 ``(B, H, columns, rows)``, or None.
        full_q_num_blocks: as *q_num_blocks*, or None.
        full_q_indices: as *q_indices*, or None.
        BLOCK_SIZE: queries and keys of a block.
        mask_mod: the modifier.
        dq_write_order: for a deterministic gradient in torch's FLASH kernel; kept, and of no use elsewhere.
        dq_write_order_full: likewise.
        dq_kv_order: likewise.
        dq_kv_order_spt: likewise.

    Raises:
        RuntimeError: *kv_indices* has less than two dimensions.
        AssertionError: only one of two tensors that belong together is given.
        ValueError: *dq_write_order_full* without *dq_write_order*.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """


@polyfill(
    "torch.nn.attention.flex_attention.create_mask",
    since="2.10",
    link=LINK + "163996",
    reason='the default device is "cuda"',
)
def create_mask(
    mod_fn: ScoreMod | MaskMod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Device = None
) -> torch.Tensor:
    """The whole mask of a modifier.

    In torch since 2.10. Fallback: the modifier evaluated on index tensors that broadcast. Torch has the name since 2.5,
    whose device was ``"cuda"`` unless told otherwise.

    Args:
        mod_fn: a function of ``(b, h, q_idx, kv_idx)``, whose result is the mask, or of ``(score, b, h, q_idx,
            kv_idx)``, whose mask is True where it does not make ``-inf`` of a score of 0.
        B: how many batches; None for 1.
        H: how many heads; None for 1.
        Q_LEN: how many queries.
        KV_LEN: how many keys.
        device: None for the accelerator that can be used, or the CPU.

    Returns:
        ``(B, H, Q_LEN, KV_LEN)``, bool.

    Raises:
        AssertionError: *mod_fn* takes neither four nor five arguments.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    return _call.mask_of(mod_fn, B, H, Q_LEN, KV_LEN, device)


@polyfill(
    "torch.nn.attention.flex_attention.create_block_mask",
    since=FAMILY,
    link=LINK + "187886",
    reason="makes a `BlockMask` that gets its own shape or that of a selection wrong",
)
def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Device = None,
    BLOCK_SIZE: int | tuple[int, int] = 128,
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """The BlockMask of a mask modifier.

    In torch since 2.14. Fallback: the modifier evaluated on index tensors that broadcast, some rows of blocks at a
    time, so that the whole mask is never held. Torch has the name since 2.5; see :class:`BlockMask`.

    Args:
        mask_mod: a function of ``(b, h, q_idx, kv_idx)`` to a bool tensor: whether a query may look at a key.
        B: how many batches; None for a mask that is the same for all.
        H: how many heads of queries; None for a mask that is the same for all.
        Q_LEN: how many queries.
        KV_LEN: how many keys.
        device: None for the accelerator that can be used, or the CPU.
        BLOCK_SIZE: queries and keys of a block: a number, or one for each.
        _compile: torch's; of no effect in the fallback.
        separate_full_blocks: list the blocks that are let through whole by themselves; the modifier is not asked there.
        compute_dq_write_order: make ``dq_write_order``, with which torch's FLASH kernel gives deterministic gradients.
        dq_kv_order: for that, the order in which the keys' blocks add: False for ascending.

    Returns:
        A :class:`BlockMask`.

    Raises:
        AssertionError: *mask_mod* takes other than four arguments, or does not return bool.
        ValueError: *dq_kv_order* is not a bool.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    block = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    sizes = (B, H, Q_LEN, KV_LEN)
    counts, indices, full_counts, full_indices = _call.lists_of(
        mask_mod, sizes, device, block, separate_full_blocks, dq_kv_order
    )
    made: BlockMask = BlockMask.from_kv_blocks(
        counts,
        indices,
        full_counts,
        full_indices,
        BLOCK_SIZE=block,
        mask_mod=mask_mod,
        seq_lengths=(Q_LEN, KV_LEN),
    )
    if compute_dq_write_order:
        made.dq_write_order, made.dq_write_order_full = _masks.write_order(made, dq_kv_order)
        made.dq_kv_order_spt = dq_kv_order
    return made


@polyfill(
    "torch.nn.attention.flex_attention.flex_attention",
    since=FAMILY,
    link=LINK + "187886",
    limits=[
        Limit("backward", "on CPU query, key and value may not need a gradient", "native", FAMILY),
        Limit("max-scores", "on CPU AuxRequest(max_scores=True) is refused", "native", FAMILY),
        Limit("no-keys", "no keys at all are refused", "native", FAMILY),
        Limit("blocks", "unless compiled it ignores the lists of blocks: only mask_mod counts", "native", FAMILY),
        Limit("fullgraph", "torch.compile breaks the graph", "fallback", "2.0", "2.2"),
        Limit("memory", "unless compiled it holds all scores", "native", FAMILY),
        Limit(
            "mapped-index",
            "a modifier that has to be mapped cannot index a tensor that it captures (see func.vmap)",
            "fallback",
            "1.7",
            "1.7",
        ),
        Limit(
            "captured-double",
            "no second derivative where score_mod captures a tensor that needs a gradient and "
            "there are more than 2**20 scores",
            "fallback",
        ),
    ],
    reason="no `return_aux` up to 2.8; later it refuses a selection of query blocks, whose shape is wrong",
)
def flex_attention(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Any = None,
    block_mask: Any = None,
    scale: Any = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: Any = None,
    *,
    return_aux: Any = None,
) -> Any:
    """Attention whose scores a function modifies: ``softmax(score_mod(query @ key^T * scale)) @ value``.

    In torch since 2.14. Fallback: in tiles of queries x keys with a running softmax, and again in the backward pass, so
    that memory is linear in the lengths; tiles that *block_mask* lets nothing through are left out. Torch has the name
    since 2.5; see :class:`BlockMask`.

    Torch maps the modifiers over scalars; the fallback hands them index tensors of shapes ``(B, 1, 1, 1)``,
    ``(1, H, 1, 1)``, ``(1, 1, L, 1)`` and ``(1, 1, 1, S)`` of a part of the scores, for which elementwise operations
    and indexing of captured tensors give the same. A modifier that gives something else at the corners of the scores,
    or other than four dimensions, is mapped as by ``torchcompat.func.vmap``. It must be a function of its arguments and
    of what it captures: no random numbers, and no ``if`` on an index. Tensors that *score_mod* captures get their
    gradient.

    Where a gradient is wanted, a call takes the plain formula, which holds all scores: up to 2**20 of them, under a
    function transform or ``torch.compile``, and where a captured tensor was computed from another or is not to be found
    in the closure, the defaults, the globals or the attributes of *score_mod*. Compiled on torch 2.7 to 2.13, the
    fallback runs torch's kernel.

    Args:
        query: ``(B, H, L, E)``, floating point.
        key: ``(B, H, S, E)`` on query's device; B may be 1 with a *block_mask* of query's B.
        value: ``(B, H, S, Ev)`` likewise.
        score_mod: a function of ``(score, b, h, q_idx, kv_idx)``; the score is float32, or float64 for a float64 query.
        block_mask: a :class:`BlockMask` for L queries and S keys, by which a query looks at some keys only.
        scale: what the scores are multiplied by; ``1 / sqrt(E)`` if None.
        enable_gqa: let key and value have fewer heads than query; their number must divide query's.
        return_lse: also return the logsumexp. Deprecated in torch in favour of *return_aux*.
        kernel_options: for torch's kernels; of no effect in the fallback.
        return_aux: an :class:`AuxRequest`: also return an :class:`AuxOutput`.

    Returns:
        ``(B, H, L, Ev)`` of query's dtype, or of autocast's where autocast is on; zeros for a query that may look
        nowhere. With *return_lse* a pair with ``(B, H, L)``; with *return_aux* a pair with an :class:`AuxOutput`.

    Raises:
        ValueError: shapes, devices or numbers of heads do not fit, or *return_lse* and *return_aux* are both given.
        NotImplementedError: an input has other than four dimensions, or is nested.
        RuntimeError: *block_mask* is for other lengths or on another device, or is a selection without a modifier.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    if return_lse and return_aux is not None:
        raise ValueError("return_lse and return_aux cannot be given together: use return_aux=AuxRequest(lse=True)")
    wanted = return_aux if return_aux is not None else AuxRequest(lse=return_lse)
    out, lse, top = _call.attention(query, key, value, score_mod, block_mask, scale, enable_gqa, kernel_options, wanted)
    if return_aux is not None:
        return out, AuxOutput(lse=lse if wanted.lse else None, max_scores=top if wanted.max_scores else None)
    return (out, lse) if return_lse else out
