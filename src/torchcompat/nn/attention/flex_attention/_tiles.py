"""One call of flex_attention, cut into tiles of query rows x key columns (the words: ``_sdpa/_online_softmax``)."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

import torch

from ...functional._sdpa._online_softmax import MINUS_INF
from ._masks import ceil_div, grid
from ._mods import Tile, evaluate, prepared

# Measured on CPU at L = 4096, head width 64: see tile_sizes.
ROWS, COLUMNS, ELEMENTS = 256, 256, 2**18
# On other devices tiles are larger, since every operation has to be launched.
DEVICE_ROWS, DEVICE_COLUMNS, DEVICE_ELEMENTS = 1024, 4096, 2**26


class Layout:
    """What a BlockMask says, of this torch's class or ours.

    Attributes:
        block: queries and keys of a block.
        some: which blocks are let through, bool (1 or B, 1 or H, rows, columns); None: all, as far as *mod* goes.
        full: which of those whole, whatever the modifier says, or None.
        mod: the mask modifier, or None if it lets everything through.
    """

    def __init__(self, mask: Any, sizes: Sequence[int], noops: tuple[Any, ...]) -> None:
        self.block = tuple(mask.BLOCK_SIZE)
        self.mod = None
        if mask.mask_mod not in noops:
            self.mod = prepared("mask_mod", mask.mask_mod, (), sizes, mask.kv_indices.device)
        columns = max(ceil_div(sizes[3], self.block[1]), mask.kv_indices.size(-1))
        some = grid(mask.kv_num_blocks, mask.kv_indices, columns)
        self.full = None
        if mask.full_kv_num_blocks is not None:
            full = grid(mask.full_kv_num_blocks, mask.full_kv_indices, columns)
            some = some | full
            self.full = self._four(full)
        self.some = self._four(some)

    @staticmethod
    def _four(dense: Any) -> Any:
        while dense.dim() < 4:
            dense = dense.unsqueeze(0)
        return dense != 0

    def spread(self, dense: Any, tile: Tile) -> Any:
        """The part of a grid of blocks under the tile, an element for each of the tile's, or to be broadcast."""
        for place, (start, end) in enumerate(tile.spans):
            if place < 2:
                dense = dense if dense.size(place) == 1 else dense.narrow(place, start, end - start)
            else:
                size = self.block[place - 2]
                first = start // size
                dense = dense.narrow(place, first, ceil_div(end, size) - first)
                dense = _repeated(dense, place, size, start - first * size, end - start)
        return dense

    def allowed(self, tile: Tile, device: Any) -> Any:
        """bool, broadcastable to the tile: where its queries may look."""
        mask = self.spread(self.some, tile)
        if self.mod is not None:
            inside = evaluate("mask_mod", self.mod, (), tile, device)
            mask = mask & (inside if self.full is None else inside | self.spread(self.full, tile))
        return mask


def _repeated(dense: Any, dim: int, size: int, skipped: int, count: int) -> Any:
    """Each element along *dim* *size* times, but for the first *skipped*; *count* in all."""
    if dense.size(dim) == 1:
        shape = list(dense.size())
        shape[dim] = count
        return dense.expand(shape)
    places = torch.arange(dense.size(dim), device=dense.device).repeat_interleave(size)
    return dense.index_select(dim, places.narrow(0, skipped, count))


class Plan:
    """One call: what does not change from tile to tile.

    Attributes:
        score_mod: the score modifier, or None.
        layout: what the BlockMask says, or None.
        sizes: batches, heads, key heads, queries and keys.
        scale: of the scores.
        used: the tensors captured by the score modifier that need a gradient.
    """

    def __init__(self, score_mod: Any, layout: Layout | None, query: Any, key: Any, scale: float) -> None:
        self.score_mod, self.layout, self.scale = score_mod, layout, scale
        self.sizes = (query.size(0), query.size(1), key.size(1), query.size(2), key.size(2))
        self.used: list[Any] = []

    def modified(self, scores: Any, tile: Tile, mask: Any) -> Any:
        """The scores of a tile after the score modifier and the mask."""
        if self.score_mod is not None:
            changed = evaluate("score_mod", self.score_mod, (scores,), tile, scores.device)
            scores = changed.to(scores.dtype).expand(tile.shape)
        return scores if mask is None else scores.masked_fill(~mask, MINUS_INF)

    def whole(self) -> Tile:
        batches, heads, _, length, keys = self.sizes
        return Tile((0, batches), (0, heads), (0, length), (0, keys))


# ---------------------------------------------------------------------------------------------------------------------
# Tiles


def tile_sizes(plan: Plan, device: Any) -> tuple[int, int, int]:
    """The rows, columns and key heads of a tile."""
    _, heads, key_heads, _, _ = plan.sizes
    rows, columns, elements = ROWS, COLUMNS, ELEMENTS
    if device.type != "cpu":
        rows, columns, elements = DEVICE_ROWS, DEVICE_COLUMNS, DEVICE_ELEMENTS
    layout = plan.layout
    if layout is not None and layout.some.size(1) > 1:
        return rows, columns, 1
    return rows, columns, max(1, elements // (rows * columns * (heads // key_heads)))


def _groups(plan: Plan, device: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Ranges of batches and of key heads whose tiles are made together."""
    batches, _, key_heads, _, _ = plan.sizes
    step = tile_sizes(plan, device)[2]
    together = step // key_heads if plan.layout is None or plan.layout.some.size(0) == 1 else 1
    for batch in range(0, batches, max(1, together)):
        for head in range(0, key_heads, step):
            yield (batch, min(batches, batch + max(1, together))), (head, min(key_heads, head + step))


class Strip:
    """Some query rows of a group of batches and heads, and the tiles that they look at."""

    def __init__(self, plan: Plan, batches: tuple[int, int], key_heads: tuple[int, int], span: tuple[int, int]):
        self.plan, self.span, self.key_heads = plan, span, key_heads
        groups = plan.sizes[1] // plan.sizes[2]
        self.batches, self.heads = batches, (key_heads[0] * groups, key_heads[1] * groups)
        self.count = (batches[1] - batches[0]) * (key_heads[1] - key_heads[0])

    def rows(self, tensor: Any) -> Any:
        """The part of ``(B, H, L, ...)`` that belongs to the strip."""
        (b, c), (h, i), (q, r) = self.batches, self.heads, self.span
        return tensor[b:c, h:i, q:r]

    def folded(self, tensor: Any) -> Any:
        """The part of ``(B, H, L, E)`` that belongs to the strip, the heads of a group one below the other."""
        return self.rows(tensor).reshape(self.count, -1, tensor.size(-1))

    def columns(self, tensor: Any, tile: Tile) -> Any:
        """The part of ``(B, key heads, S, E)`` that belongs to a tile."""
        (b, c), (h, i), (k, s) = self.batches, self.key_heads, tile.columns
        return tensor[b:c, h:i, k:s]

    def batched(self, tensor: Any, tile: Tile) -> Any:
        """The same as ``(batches * key heads, columns, E)``."""
        return self.columns(tensor, tile).reshape(self.count, -1, tensor.size(-1))

    def flat(self, scores: Any) -> Any:
        """What has the shape of a tile as ``(batches * key heads, folded rows, columns)``."""
        return scores.reshape(self.count, -1, scores.size(-1))

    def tile(self, columns: tuple[int, int]) -> Tile:
        return Tile(self.batches, self.heads, self.span, columns)

    def tiles(self, columns: int, device: Any) -> Iterator[tuple[Tile, Any]]:
        """Each tile that is not masked out, with its mask."""
        keys, layout = self.plan.sizes[4], self.plan.layout
        if layout is None:
            for start in range(0, keys, columns):
                yield self.tile((start, min(keys, start + columns))), None
            return
        some, whole = self._seen(layout)
        size = layout.block[1]
        for start, end in _runs(some, max(1, columns // size)):
            for first in range(start * size, min(keys, end * size), columns):
                tile = self.tile((first, min(keys, end * size, first + columns)))
                open_ = all(whole[first // size : ceil_div(tile.columns[1], size)])
                yield tile, None if open_ else layout.allowed(tile, device)

    def _seen(self, layout: Layout) -> tuple[list[bool], list[bool]]:
        """For each column of blocks whether the strip looks at some of it, and whether at all of it."""
        parts = []
        full = layout.some if layout.mod is None else layout.full
        for dense in (layout.some, full):
            if dense is None:
                parts.append([False] * layout.some.size(3))
                continue
            first, last = self.span[0] // layout.block[0], ceil_div(self.span[1], layout.block[0])
            for place, (start, end) in ((0, self.batches), (1, self.heads)):
                dense = dense if dense.size(place) == 1 else dense.narrow(place, start, end - start)
            dense = dense.narrow(2, first, last - first).reshape(-1, dense.size(3))
            parts.append((dense.any(0) if not parts else dense.all(0)).tolist())
        return parts[0], parts[1]


def _runs(some: list[bool], longest: int) -> Iterator[tuple[int, int]]:
    """Ranges of columns that are seen, none longer than *longest*."""
    start = None
    for at, seen in enumerate([*some, False]):
        if start is not None and (not seen or at - start == longest):
            yield start, at
            start = None
        if seen and start is None:
            start = at


def strips(plan: Plan, device: Any) -> Iterator[Strip]:
    rows = tile_sizes(plan, device)[0]
    length = plan.sizes[3]
    for batches, key_heads in _groups(plan, device):
        for start in range(0, length, rows):
            yield Strip(plan, batches, key_heads, (start, min(length, start + rows)))
