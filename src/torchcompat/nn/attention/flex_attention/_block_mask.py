"""The class BlockMask of the fallback, and the mask modifier that lets everything through."""

from __future__ import annotations

import itertools
from typing import Any, Sequence

import torch

from ...._torch import find, has
from ._masks import ceil_div, grid, transposed, write_order


def noop_mask(batch: torch.Tensor, head: torch.Tensor, token_q: torch.Tensor, token_kv: torch.Tensor) -> torch.Tensor:
    """The mask modifier that lets everything through.

    In torch since 2.5. Fallback: makes a new tensor for each call.

    Args:
        batch: an index; any integer tensor.
        head: likewise.
        token_q: likewise.
        token_kv: likewise.

    Returns:
        A bool tensor of no dimensions: True.

    https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """
    return torch.ones((), dtype=torch.bool, device=batch.device)


# What torch's BlockMask has by default is the default of ours too.
has("torch.nn.attention.flex_attention.noop_mask")  # Imports torch's module, so that its objects are found.
_default_mod: Any = find("torch.nn.attention.flex_attention.noop_mask") or noop_mask
NOOPS = (noop_mask, _default_mod)


def sliced(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    """The mask modifier of a sliced BlockMask: its indices would be those of the slice."""
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask: the indices that it was written for are those of the whole. "
        "Set the slice's mask_mod to one that adds the slice's offset and calls that of the whole BlockMask."
    )


def is_sliced(mod: Any) -> bool:
    """Whether *mod* is the modifier of a sliced BlockMask, ours or torch's."""
    return mod is sliced or getattr(mod, "__name__", "") == "_sliced_mask_mod_error"


# ---------------------------------------------------------------------------------------------------------------------
# BlockMask's methods

# In the order of as_tuple().
TENSORS = (
    "kv_num_blocks",
    "kv_indices",
    "full_kv_num_blocks",
    "full_kv_indices",
    "q_num_blocks",
    "q_indices",
    "full_q_num_blocks",
    "full_q_indices",
    "dq_write_order",
    "dq_write_order_full",
    "dq_kv_order",
)


def _check_pair(name: str, tensor: Any, other_name: str, other: Any) -> None:
    if (tensor is None) != (other is None):
        raise AssertionError(f"{name} and {other_name} must both be given, or neither")


def _check_lists(kv_indices: Any, full_kv_num_blocks: Any, full_kv_indices: Any) -> None:
    if kv_indices.dim() < 2:
        raise RuntimeError(f"kv_indices must have at least 2 dimensions, got {tuple(kv_indices.size())}")
    _check_pair("full_kv_num_blocks", full_kv_num_blocks, "full_kv_indices", full_kv_indices)


def _from_lists(
    cls: Any, lists: Sequence[Any], block: Any, mod: Any, lengths: Any, by_columns: bool, orders: Sequence[Any]
) -> Any:
    """A BlockMask from its lists by rows."""
    counts, indices, full_counts, full_indices = lists
    _check_lists(indices, full_counts, full_indices)
    if lengths is None:
        lengths = (indices.size(-2) * block[0], indices.size(-1) * block[1])
    write, write_full, order = orders
    if order is not None and not isinstance(order, (bool, torch.Tensor)):
        raise ValueError(f"dq_kv_order must be a bool, a Tensor or None, got {type(order).__name__}")
    transposes: list[Any] = [None] * 4
    if by_columns:
        columns = ceil_div(lengths[1], block[1])
        transposes[:2] = transposed(counts, indices, columns)
        if full_counts is not None:
            transposes[2:] = transposed(full_counts, full_indices, columns)
    return cls(
        lengths,
        *lists,
        *transposes,
        BLOCK_SIZE=block,
        mask_mod=mod,
        dq_write_order=write,
        dq_write_order_full=write_full,
        dq_kv_order=order if isinstance(order, torch.Tensor) else None,
        dq_kv_order_spt=order if isinstance(order, bool) else None,
    )


def _dense_of(mask: Any) -> Any:
    dense = grid(mask.kv_num_blocks, mask.kv_indices, mask.kv_indices.size(-1))
    if mask.full_kv_num_blocks is not None:
        dense = dense | grid(mask.full_kv_num_blocks, mask.full_kv_indices, mask.full_kv_indices.size(-1))
    return dense


def _sparsity(mask: Any) -> float:
    blocks = 1
    for size in list(mask.kv_num_blocks.size())[:-1]:
        blocks *= size
    for length, size in zip(mask.seq_lengths, mask.BLOCK_SIZE):
        blocks *= ceil_div(length, size)
    computed = mask.kv_num_blocks.sum().item()
    if mask.full_kv_num_blocks is not None:
        computed += mask.full_kv_num_blocks.sum().item()
    return float(100 * (1 - computed / blocks))


def _described(mask: Any) -> str:
    lines = []
    for name in TENSORS[:8]:
        tensor = getattr(mask, name)
        lines.append(f"{name}={None if tensor is None else tensor.size()}")
    lines += [f"BLOCK_SIZE={mask.BLOCK_SIZE}", f"shape={mask.shape}", f"sparsity={mask.sparsity():.2f}%"]
    lines.append(f"mask_mod={getattr(mask.mask_mod, '__name__', mask.mask_mod)}")
    return "BlockMask(\n    " + ",\n    ".join(lines) + "\n)"


def _on(mask: Any, device: Any) -> Any:
    tensors = {name: getattr(mask, name) for name in TENSORS}
    there = {name: None if tensor is None else tensor.to(device) for name, tensor in tensors.items()}
    return type(mask)(
        mask.seq_lengths,
        BLOCK_SIZE=mask.BLOCK_SIZE,
        mask_mod=mask.mask_mod,
        dq_kv_order_spt=mask.dq_kv_order_spt,
        **there,
    )


def _ranges(index: Any, sizes: Sequence[int]) -> tuple[Any, ...]:
    """Three indices that keep all dimensions."""
    index = index if isinstance(index, tuple) else (index,)
    if len(index) > 3:
        raise IndexError(f"a BlockMask has three indices: batch, head and row of blocks; got {len(index)}")
    index = (*index, *[slice(None)] * (3 - len(index)))
    kept = []
    for at, size in zip(index, sizes):
        if isinstance(at, int):
            start = at + size if -size <= at < 0 else at
            at = slice(start, start + 1)
        kept.append(at)
    return tuple(kept)


def _selected(mask: Any, index: Any) -> Any:
    if mask.dq_kv_order is not None:
        raise NotImplementedError("a BlockMask with dq_kv_order cannot be sliced: make one for the selection")
    index = _ranges(index, mask.kv_num_blocks.size())
    lists: list[Any] = [
        None if tensor is None else tensor[index] for tensor in (getattr(mask, name) for name in TENSORS[:4])
    ]
    length, keys = mask.seq_lengths
    block = mask.BLOCK_SIZE[0]
    queries = lists[1].size(-2) * block
    if isinstance(index[2], slice):
        rows = range(mask.kv_num_blocks.size(-1))[index[2]]
        queries = sum(max(0, min(block, length - row * block)) for row in rows)
    made = _from_lists(
        type(mask), lists, mask.BLOCK_SIZE, sliced, (queries, keys), mask.q_indices is not None, (None, None, None)
    )
    made.dq_kv_order_spt = mask.dq_kv_order_spt
    if mask.dq_write_order is not None:
        made.dq_write_order, made.dq_write_order_full = write_order(made, bool(mask.dq_kv_order_spt))
    return made


def _picture(dense: Any, grid_size: Any, limit: int) -> str:
    """A drawing of each batch and head: full, partly full and empty cells of at most *grid_size* rows and columns."""
    lead, (rows, columns) = list(dense.size())[:-2], list(dense.size())[-2:]
    if grid_size == -1:
        grid_size = (rows, columns)
    elif isinstance(grid_size, int):
        grid_size = (grid_size, grid_size)
    steps = max(1, ceil_div(rows, grid_size[0])), max(1, ceil_div(columns, grid_size[1]))
    drawn: list[str] = []
    for place in itertools.product(*map(range, lead)):
        if len(drawn) == limit:
            more = "To print out more, set BlockMask.to_string(limit=N)"
            index = "You can also index (BlockMask[batch, head]) to choose a specific batch or head"
            return "\n".join([*drawn, "...", more, index])
        cells = dense[place] if place else dense
        lines = [f"{place}"]
        for row in range(0, rows, steps[0]):
            shares = (cells[row : row + steps[0], at : at + steps[1]] for at in range(0, columns, steps[1]))
            lines.append("".join(_shade(share.float().mean().item()) * 2 for share in shares))
        drawn.append("\n".join(lines) + "\n")
    return "\n".join(drawn)


def _shade(share: float) -> str:
    return " " if share == 0.0 else "█" if share == 1.0 else "░"


# ---------------------------------------------------------------------------------------------------------------------


class BlockMaskBase:
    """What :class:`torchcompat.nn.attention.flex_attention.BlockMask` does."""

    def __init__(
        self,
        seq_lengths: Any,
        kv_num_blocks: Any,
        kv_indices: Any,
        full_kv_num_blocks: Any,
        full_kv_indices: Any,
        q_num_blocks: Any,
        q_indices: Any,
        full_q_num_blocks: Any,
        full_q_indices: Any,
        BLOCK_SIZE: Any = (128, 128),
        mask_mod: Any = _default_mod,
        *,
        dq_write_order: Any = None,
        dq_write_order_full: Any = None,
        dq_kv_order: Any = None,
        dq_kv_order_spt: Any = None,
    ) -> None:
        _check_lists(kv_indices, full_kv_num_blocks, full_kv_indices)
        _check_pair("full_q_num_blocks", full_q_num_blocks, "full_q_indices", full_q_indices)
        if dq_write_order_full is not None and dq_write_order is None:
            raise ValueError("dq_write_order_full requires dq_write_order")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.dq_write_order, self.dq_write_order_full = dq_write_order, dq_write_order_full
        self.dq_kv_order, self.dq_kv_order_spt = dq_kv_order, dq_kv_order_spt
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Any,
        kv_indices: Any,
        full_kv_num_blocks: Any = None,
        full_kv_indices: Any = None,
        BLOCK_SIZE: Any = 128,
        mask_mod: Any = None,
        seq_lengths: Any = None,
        compute_q_blocks: bool = True,
        *,
        dq_write_order: Any = None,
        dq_write_order_full: Any = None,
        dq_kv_order: Any = None,
    ) -> Any:
        """A BlockMask from the lists by rows; arguments as the class's.

        Args:
            kv_num_blocks: int32 ``(B, H, rows)``.
            kv_indices: int32 ``(B, H, rows, columns)``.
            full_kv_num_blocks: as *kv_num_blocks*, or None.
            full_kv_indices: as *kv_indices*, or None.
            BLOCK_SIZE: one number, or those of queries and of keys.
            mask_mod: the modifier of the blocks let through in part; None: they are let through whole.
            seq_lengths: numbers of queries and of keys; None: what the blocks come to.
            compute_q_blocks: make the lists by columns, which only torch's kernels need.
            dq_write_order: kept.
            dq_write_order_full: kept.
            dq_kv_order: kept; a bool or a tensor.
        """
        return _from_lists(
            cls,
            (kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices),
            (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE,
            _default_mod if mask_mod is None else mask_mod,
            seq_lengths,
            compute_q_blocks,
            (dq_write_order, dq_write_order_full, dq_kv_order),
        )

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Its attributes in the order of the constructor; lengths and block sizes one by one if *flatten*."""
        tensors = (getattr(self, name) for name in TENSORS)
        lengths, block = (self.seq_lengths, self.BLOCK_SIZE) if flatten else ((self.seq_lengths,), (self.BLOCK_SIZE,))
        return (*lengths, *tensors, self.dq_kv_order_spt, *block, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(B, H, L, S)``."""
        return (*list(self.kv_indices.size())[:-2], *self.seq_lengths)

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{self.to_string().strip()}\n)"

    def __repr__(self) -> str:
        return _described(self)

    def __getitem__(self, index: Any) -> Any:
        """A selection by batch, head and row of blocks, each a number, a slice or a tensor; all dimensions are kept.

        The modifier is left out, since its indices would no longer be those it was written for: set that of the result.

        Raises:
            IndexError: there are more than three indices.
            NotImplementedError: ``dq_kv_order`` is set.
        """
        return _selected(self, index)

    def numel(self) -> int:
        """How many elements the mask has, computed or not."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def sparsity(self) -> float:
        """What share of the blocks is not computed, in percent."""
        return _sparsity(self)

    def to_dense(self) -> Any:
        """Which blocks are computed: int32 ``(B, H, rows, columns)`` of 0 and 1."""
        return _dense_of(self)

    def to_string(self, grid_size: Any = (20, 20), limit: int = 4) -> str:
        """A drawing of the blocks, of at most *limit* batches and heads.

        Args:
            grid_size: rows and columns of the drawing at most, or one number for both; -1: a cell for each block.
            limit: how many are drawn.
        """
        return _picture(self.to_dense(), grid_size, limit)

    def to(self, device: Any) -> Any:
        """A BlockMask whose tensors are on *device*; those that the modifier captures are not moved."""
        return _on(self, device)
