"""Attention in blocks of queries and keys: the scores are never all there at once, in forward or in backward.

The algorithm and the words for its parts are those of :mod:`_online_softmax`. Here a tile has all the heads.

Shapes: query (B, H, L, E), key (B, K, S, E), value (B, K, S, F) with H a multiple of K (heads in groups share a key);
mask (B or 1, H or 1, L or 1, S or 1), bool with True for what is seen, or float to add. All of one floating dtype.
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

import torch

from ._call import Options
from ._formula import causal
from ._online_softmax import MINUS_INF, OnlineSoftmax, subtrahend

# Elements of one tile of scores. On CPU a few tiles fit the cache (measured by benchmarks/attention.py); elsewhere a
# tile must be large enough to pay for the launch of a kernel.
CPU_BLOCK = 2**19
DEVICE_BLOCK = 2**23
MIN_ROWS, MIN_COLUMNS = 32, 64


class Tile(NamedTuple):
    """Batch elements, query rows and key columns, each as the first one and their number."""

    batch: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


def _power_of_two(number: float) -> int:
    return 1 << max(int(number).bit_length() - 1, 0)


def _sizes(query: Any, key: Any) -> tuple[int, int, int]:
    """Of a tile: batch elements, rows, columns."""
    batch, heads, length, _ = query.size()
    keys = key.size(2)
    limit = CPU_BLOCK if query.device.type == "cpu" else DEVICE_BLOCK
    if heads * length * keys <= limit:
        return min(batch, limit // (heads * length * keys)), length, keys
    budget = max(limit // heads, 1)
    rows = min(length, max(MIN_ROWS, _power_of_two(budget**0.5 / 2)))
    return 1, rows, min(keys, max(MIN_COLUMNS, budget // rows))


def _spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, size):
        yield start, min(size, total - start)


def _of_batch(tensor: Any, span: tuple[int, int]) -> Any:
    return tensor if tensor.size(0) == 1 else tensor.narrow(0, *span)


class _Tiling:
    """How the scores of one call are cut, and what is in each tile."""

    def __init__(self, query: Any, key: Any, value: Any, mask: Any, options: Options) -> None:
        self.query, self.key, self.value, self.mask, self.options = query, key, value, mask, options
        self.batch, self.heads, self.length, _ = query.size()
        self.key_heads, self.keys = key.size(1), key.size(2)
        self.sizes = _sizes(query, key)
        self.generator = torch.Generator(query.device).manual_seed(options.seed) if options.dropout_p else None

    def strips(self) -> Iterator[Tile]:
        """Each strip, as the tile that has all of its columns."""
        for batch in _spans(self.batch, self.sizes[0]):
            for rows in _spans(self.length, self.sizes[1]):
                yield Tile(batch, rows, (0, self.keys))

    def tiles(self, strip: Tile) -> Iterator[tuple[Tile, Any]]:
        """The tiles of a strip that are not wholly masked, each with its part of the mask (None: all is seen)."""
        offset = self.options.causal_offset
        seen = self.keys if offset is None else min(self.keys, sum(strip.rows) + offset)
        for columns in _spans(seen, self.sizes[2]):
            tile = Tile(strip.batch, strip.rows, columns)
            mask = self._mask(tile)
            if mask is None or mask.dtype != torch.bool or mask.device.type != "cpu":
                yield tile, mask
            elif bool(mask.any()):
                yield tile, None if bool(mask.all()) else mask

    def _mask(self, tile: Tile) -> Any:
        offset, mask = self.options.causal_offset, self.mask
        if offset is not None:
            offset -= tile.columns[0]
            if tile.columns[1] - 1 <= tile.rows[0] + offset:
                return None
            return causal(tile.rows[0], tile.rows[1], tile.columns[1], offset, self.query.device)
        if mask is None:
            return None
        mask = _of_batch(mask, tile.batch)
        if mask.size(2) != 1:
            mask = mask.narrow(2, *tile.rows)
        return mask if mask.size(3) == 1 else mask.narrow(3, *tile.columns)

    def rows(self, tensor: Any, tile: Tile) -> Any:
        """The part of (B, H, L, n) that belongs to the tile."""
        return tensor.narrow(0, *tile.batch).narrow(2, *tile.rows)

    def folded(self, tensor: Any, tile: Tile) -> Any:
        """That part as (batch * K, H / K * rows, n): the rows that share a key side by side."""
        return self.rows(tensor, tile).reshape(tile.batch[1] * self.key_heads, -1, tensor.size(3))

    def unfolded(self, tensor: Any, tile: Tile) -> Any:
        """The inverse of :meth:`folded`: (batch, H, rows, n)."""
        return tensor.view(tile.batch[1], self.heads, tile.rows[1], tensor.size(2))

    def scaled(self, tile: Tile) -> Any:
        """The folded query rows, scaled."""
        rows = self.rows(self.query, tile) * self.options.scale
        return rows.reshape(tile.batch[1] * self.key_heads, -1, self.query.size(3))

    def batched(self, tensor: Any, tile: Tile) -> Any:
        """The tile's columns of (B, K, S, n) as (batch * K, columns, n)."""
        columns = tensor.narrow(0, *tile.batch).narrow(2, *tile.columns)
        return columns.reshape(tile.batch[1] * self.key_heads, tile.columns[1], tensor.size(3))

    def scores(self, rows: Any, tile: Tile, mask: Any) -> Any:
        """The scores of scaled *rows*: (batch * K, H / K * rows, columns)."""
        scores = torch.bmm(rows, self.batched(self.key, tile).transpose(1, 2))
        if mask is not None:
            unfolded = self.unfolded(scores, tile)
            if mask.dtype == torch.bool:
                unfolded.masked_fill_(~mask, MINUS_INF)
            else:
                unfolded.add_(mask)
        return scores

    def dropout_mask(self, scores: Any) -> Any:
        """The dropout mask of the next tile: 0 for a dropped weight, else 1 / (1 - dropout_p)."""
        return self.drawn(tuple(scores.size()), scores)

    def drawn(self, shape: tuple[int, ...], like: Any) -> Any:
        kept = 1.0 - self.options.dropout_p
        drawn = torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(kept, generator=self.generator)
        return drawn.div_(kept) if kept else drawn


def forward(query: Any, key: Any, value: Any, mask: Any, options: Options) -> tuple[Any, Any]:
    """Attention (B, H, L, F) and logsumexp (B, H, L, 1)."""
    tiling = _Tiling(query, key, value, mask, options)
    output = query.new_zeros(query.size(0), query.size(1), query.size(2), value.size(3))
    logsumexp = query.new_full((query.size(0), query.size(1), query.size(2), 1), MINUS_INF)
    dropout_mask = tiling.dropout_mask if options.dropout_p else None
    careful = mask is not None or (options.causal_offset is not None and options.causal_offset < 0)
    for strip in tiling.strips():
        rows, softmax = tiling.scaled(strip), OnlineSoftmax(careful, in_place=True)
        for tile, seen in tiling.tiles(strip):
            softmax.add(tiling.scores(rows, tile, seen), tiling.batched(value, tile), dropout_mask)
        if softmax.output is not None:
            attended, logarithms, _ = softmax.result()
            tiling.rows(output, strip).copy_(tiling.unfolded(attended, strip))
            tiling.rows(logsumexp, strip).copy_(tiling.unfolded(logarithms, strip))
    return output, logsumexp


class _Gradients:
    """The gradients by query, key, value and mask, summed tile by tile; None for what needs none."""

    def __init__(self, tiling: _Tiling, needed: Any) -> None:
        self.tiling = tiling
        tensors = (tiling.query, tiling.key, tiling.value, tiling.mask)
        zeros = [
            torch.zeros(x.shape, dtype=x.dtype, device=x.device) if need else None for x, need in zip(tensors, needed)
        ]
        self.query, self.key, self.value, self.mask = zeros
        self.of_scores = any(needed[n] for n in (0, 1, 3))

    def add_to_columns(self, target: Any, tile: Tile, addend: Any) -> None:
        shape = (tile.batch[1], self.tiling.key_heads, tile.columns[1], addend.size(2))
        target.narrow(0, *tile.batch).narrow(2, *tile.columns).add_(addend.view(shape))

    def add(self, tile: Tile, rows: Any, grad: Any, weights: Any, delta: Any, dropout_mask: Any) -> None:
        """Add what one tile contributes. *rows*: the scaled query; *delta*: the sum of grad * output for each row."""
        tiling = self.tiling
        if self.value is not None:
            dropped = weights if dropout_mask is None else weights * dropout_mask
            self.add_to_columns(self.value, tile, torch.bmm(dropped.transpose(1, 2), grad))
        if not self.of_scores:
            return
        by_weight = torch.bmm(grad, tiling.batched(tiling.value, tile).transpose(1, 2))
        if dropout_mask is not None:
            by_weight.mul_(dropout_mask)
        by_score = by_weight.sub_(delta).mul_(weights)
        if self.key is not None:
            self.add_to_columns(self.key, tile, torch.bmm(by_score.transpose(1, 2), rows))
        if self.query is not None:
            by_row = tiling.unfolded(torch.bmm(by_score, tiling.batched(tiling.key, tile)), tile)
            tiling.rows(self.query, tile).add_(by_row)
        if self.mask is not None:
            self._add_to_mask(tile, tiling.unfolded(by_score, tile))

    def _add_to_mask(self, tile: Tile, by_score: Any) -> None:
        target = _of_batch(self.mask, tile.batch)
        target = target if target.size(2) == 1 else target.narrow(2, *tile.rows)
        target = target if target.size(3) == 1 else target.narrow(3, *tile.columns)
        dims = [dim for dim in range(4) if target.size(dim) == 1]
        target.add_(by_score.sum(dims, keepdim=True) if dims else by_score)


def backward(tensors: Any, output: Any, logsumexp: Any, grad: Any, options: Options, needed: Any) -> list[Any]:
    """The gradients by query, key, value and mask."""
    query, key, value, mask = tensors
    tiling = _Tiling(query, key, value, mask, options)
    found = _Gradients(tiling, needed)
    deltas, normal = (grad * output).sum(-1, keepdim=True), subtrahend(logsumexp)
    for strip in tiling.strips():
        rows, grad_rows = tiling.scaled(strip), tiling.folded(grad, strip)
        delta, normal_rows = tiling.folded(deltas, strip), tiling.folded(normal, strip)
        for tile, seen in tiling.tiles(strip):
            weights = tiling.scores(rows, tile, seen).sub_(normal_rows).exp_()
            dropout_mask = tiling.dropout_mask(weights) if options.dropout_p else None
            found.add(tile, rows, grad_rows, weights, delta, dropout_mask)
    if found.query is not None:
        found.query.mul_(options.scale)
    return [found.query, found.key, found.value, found.mask]


def dropout_mask(query: Any, key: Any, mask: Any, options: Options) -> Any:
    """What :func:`forward` multiplied all the weights with: (B, H, L, S); zeros where no tile was computed."""
    tiling = _Tiling(query, key, key, mask, options)
    whole = query.new_zeros(query.size(0), query.size(1), query.size(2), key.size(2))
    for strip in tiling.strips():
        for tile, _ in tiling.tiles(strip):
            rows = tiling.heads // tiling.key_heads * tile.rows[1]
            drawn = tiling.drawn((tile.batch[1] * tiling.key_heads, rows, tile.columns[1]), query)
            tiling.rows(whole, tile).narrow(3, *tile.columns).copy_(tiling.unfolded(drawn, tile))
    return whole
