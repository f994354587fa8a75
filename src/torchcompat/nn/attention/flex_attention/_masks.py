"""Block masks: lists of blocks to and from grids of blocks."""

from __future__ import annotations

from typing import Any, Sequence

import torch

from ._mods import Tile, evaluate

# A strip of query blocks whose mask is made at once has about this many elements.
STRIP = 2**22


def ceil_div(number: int, by: int) -> int:
    return -(-number // by)


def grid(counts: Any, indices: Any, columns: int) -> Any:
    """Which blocks are listed: int32 ``(..., rows, columns)`` of 0 and 1.

    Args:
        counts: ``(..., rows)``: how many entries of a row count.
        indices: ``(..., rows, entries)``: the columns of a row's blocks.
        columns: how many there are.
    """
    place = torch.arange(indices.size(-1), device=indices.device)
    valid = place < counts.unsqueeze(-1).long()
    # What does not count is written into one column too many.
    at = torch.where(valid, indices.long(), torch.full_like(indices.long(), columns))
    dense = torch.zeros(*indices.size()[:-1], columns + 1, dtype=torch.int32, device=indices.device)
    if at.numel():  # torch 1.2 scatters no empty tensor
        dense.scatter_(-1, at, 1)
    return dense[..., :columns].contiguous()


def listed(dense: Any) -> tuple[Any, Any]:
    """How many blocks each row of a grid has, and their columns in ascending order, those of the others after them."""
    columns = dense.size(-1)
    # No sort is stable before torch 1.9, so the keys are made distinct.
    keys = (1 - dense.long()) * columns + torch.arange(columns, device=dense.device)
    order = keys.argsort(-1) if keys.numel() else keys
    return dense.sum(-1).to(torch.int32), order.to(torch.int32)


def transposed(counts: Any, indices: Any, columns: int) -> tuple[Any, Any]:
    """The same blocks, listed by column."""
    return listed(grid(counts, indices, columns).transpose(-2, -1))


def write_order(mask: Any, descending: bool) -> tuple[Any, Any]:
    """For each entry of ``q_indices`` and ``full_q_indices``, its turn to add to the gradient of its query block."""
    columns = mask.q_indices.size(-2)
    dense = grid(mask.kv_num_blocks, mask.kv_indices, columns)
    if mask.full_kv_indices is not None:
        dense = dense | grid(mask.full_kv_num_blocks, mask.full_kv_indices, columns)
    dense = dense.long()
    total = dense.cumsum(-1)
    turn = total - dense
    if descending:
        turn = total[..., -1:] - 1 - turn
    by_column = turn.transpose(-2, -1)
    orders = [
        None if indices is None else by_column.gather(-1, indices.long()).to(torch.int32)
        for indices in (mask.q_indices, mask.full_q_indices)
    ]
    return orders[0], orders[1]


def _counts(mask: Any, rows: int, columns: int) -> Any:
    """How many elements of each block of *rows* x *columns* are True."""
    batches, heads, length, keys = mask.size()
    mask = torch.nn.functional.pad(mask.to(torch.uint8), (0, -keys % columns, 0, -length % rows))
    by_row = mask.view(batches, heads, -1, ceil_div(keys, columns), columns).sum(-1, dtype=torch.int64)
    return by_row.view(batches, heads, ceil_div(length, rows), rows, -1).sum(3)


def block_counts(mod: Any, sizes: Sequence[int], block: Sequence[int], device: Any) -> Any:
    """How many elements of each block *mod* lets through, made a strip of blocks at a time.

    Args:
        mod: the mask modifier.
        sizes: batches, heads, queries and keys.
        block: queries and keys of a block.
        device: where *mod* is evaluated.

    Returns:
        int64 ``(batches, heads, block rows, block columns)``.
    """
    batches, heads, length, keys = sizes
    if 0 in sizes:
        return torch.zeros(batches, heads, *map(ceil_div, sizes[2:], block), dtype=torch.int64, device=device)
    rows = max(1, STRIP // (batches * heads * keys * block[0])) * block[0]
    strips = []
    for start in range(0, length, rows):
        tile = Tile((0, batches), (0, heads), (start, min(length, start + rows)), (0, keys))
        mask = evaluate("mask_mod", mod, (), tile, device)
        if mask.dtype != torch.bool:
            raise AssertionError(f"mask_mod must return a bool tensor, got {mask.dtype}")
        strips.append(_counts(mask.expand(tile.shape), *block))
    return torch.cat(strips, 2)


def default_device() -> Any:
    """The accelerator that can be used, or the CPU."""
    from ....device import available_devices

    return torch.device(available_devices()[0].type)
