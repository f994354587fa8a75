"""Attention in blocks of queries and keys: the scores are never all there at once, in forward or in backward.

Forward keeps a running maximum and a running sum for every query, https://arxiv.org/abs/1805.02867 ; backward computes
the weights again from their logarithmic sums, https://arxiv.org/abs/2205.14135 .

Shapes: query (B, H, L, E), key (B, K, S, E), value (B, K, S, F) with H a multiple of K (heads in groups share a key);
mask (B or 1, H or 1, L or 1, S or 1), bool with True for what is seen, or float to add. All of one floating dtype.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple

import torch

from ...._torch import find
from ._call import Options
from ._formula import causal

MINUS_INF = float("-inf")

# Elements of one block of scores. On CPU a few blocks fit the cache (measured by benchmarks/attention.py); elsewhere a
# block must be large enough to pay for the launch of a kernel.
CPU_BLOCK = 2**19
DEVICE_BLOCK = 2**23
MIN_ROWS, MIN_KEYS = 32, 64

_amax: Any = find("torch.amax")  # since 1.7


class Part(NamedTuple):
    """One block: batch elements, query rows and keys, each as the first one and their number."""

    batch: tuple[int, int]
    rows: tuple[int, int]
    keys: tuple[int, int]


def _power_of_two(number: float) -> int:
    return 1 << max(int(number).bit_length() - 1, 0)


def _sizes(query: Any, key: Any) -> tuple[int, int, int]:
    """Of a block: batch elements, rows, keys."""
    batch, heads, length, _ = query.size()
    keys = key.size(2)
    limit = CPU_BLOCK if query.device.type == "cpu" else DEVICE_BLOCK
    if heads * length * keys <= limit:
        return min(batch, limit // (heads * length * keys)), length, keys
    budget = max(limit // heads, 1)
    rows = min(length, max(MIN_ROWS, _power_of_two(budget**0.5 / 2)))
    return 1, rows, min(keys, max(MIN_KEYS, budget // rows))


def _spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, size):
        yield start, min(size, total - start)


def _of_batch(tensor: Any, span: tuple[int, int]) -> Any:
    return tensor if tensor.size(0) == 1 else tensor.narrow(0, *span)


class _Blocks:
    """How the scores of one call are cut, and what is in each block."""

    def __init__(self, query: Any, key: Any, value: Any, mask: Any, options: Options) -> None:
        self.query, self.key, self.value, self.mask, self.options = query, key, value, mask, options
        self.batch, self.heads, self.length, _ = query.size()
        self.sources, self.keys = key.size(1), key.size(2)
        self.sizes = _sizes(query, key)
        self.generator = _generator(query.device, options) if options.dropout_p else None

    def row_blocks(self) -> Iterator[Part]:
        for batch in _spans(self.batch, self.sizes[0]):
            for rows in _spans(self.length, self.sizes[1]):
                yield Part(batch, rows, (0, self.keys))

    def key_blocks(self, part: Part) -> Iterator[tuple[Part, Any]]:
        """The blocks of some rows that are not wholly masked, each with its part of the mask (None: all is seen)."""
        offset = self.options.causal_offset
        seen = self.keys if offset is None else min(self.keys, sum(part.rows) + offset)
        for keys in _spans(seen, self.sizes[2]):
            block = Part(part.batch, part.rows, keys)
            mask = self._mask(block)
            if mask is None or mask.dtype != torch.bool or mask.device.type != "cpu":
                yield block, mask
            elif bool(mask.any()):
                yield block, None if bool(mask.all()) else mask

    def _mask(self, part: Part) -> Any:
        offset, mask = self.options.causal_offset, self.mask
        if offset is not None:
            offset -= part.keys[0]
            if part.keys[1] - 1 <= part.rows[0] + offset:
                return None
            return causal(part.rows[0], part.rows[1], part.keys[1], offset, self.query.device)
        if mask is None:
            return None
        mask = _of_batch(mask, part.batch)
        if mask.size(2) != 1:
            mask = mask.narrow(2, *part.rows)
        return mask if mask.size(3) == 1 else mask.narrow(3, *part.keys)

    def by_source(self, tensor: Any, part: Part) -> Any:
        """Rows of (B, H, L, n) as (batch * K, H / K * rows, n): those that share a key side by side."""
        rows = tensor.narrow(0, *part.batch).narrow(2, *part.rows)
        return rows.reshape(part.batch[1] * self.sources, -1, tensor.size(3))

    def scaled(self, part: Part) -> Any:
        rows = self.query.narrow(0, *part.batch).narrow(2, *part.rows) * self.options.scale
        return rows.reshape(part.batch[1] * self.sources, -1, self.query.size(3))

    def of_keys(self, tensor: Any, part: Part) -> Any:
        """Keys of (B, K, S, n) as (batch * K, keys, n)."""
        source = tensor.narrow(0, *part.batch).narrow(2, *part.keys)
        return source.reshape(part.batch[1] * self.sources, part.keys[1], tensor.size(3))

    def by_head(self, tensor: Any, part: Part) -> Any:
        """The inverse of :meth:`by_source`: (batch, H, rows, n)."""
        return tensor.view(part.batch[1], self.heads, part.rows[1], tensor.size(2))

    def scores(self, rows: Any, part: Part, mask: Any) -> Any:
        """Scores of scaled *rows*: (batch * K, H / K * rows, keys)."""
        scores = torch.bmm(rows, self.of_keys(self.key, part).transpose(1, 2))
        if mask is not None:
            by_head = self.by_head(scores, part)
            if mask.dtype == torch.bool:
                by_head.masked_fill_(~mask, MINUS_INF)
            else:
                by_head.add_(mask)
        return scores

    def kept(self, scores: Any) -> Any:
        """The dropout mask of the next block: 0 where a weight is dropped, else the factor that makes up for those."""
        return _kept(tuple(scores.size()), scores, self.options.dropout_p, self.generator)


def _generator(device: Any, options: Options) -> Any:
    return torch.Generator(device).manual_seed(options.seed)


def _kept(shape: tuple[int, ...], like: Any, dropout_p: float, generator: Any) -> Any:
    kept = torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(1.0 - dropout_p, generator=generator)
    return kept.div_(1.0 - dropout_p) if dropout_p < 1.0 else kept


def _largest(scores: Any) -> Any:
    return _amax(scores, -1, True) if _amax is not None else scores.max(-1, keepdim=True)[0]


class _Running:
    """The sums over the keys that some rows have seen so far, relative to the largest score among them."""

    def __init__(self) -> None:
        self.largest: Any = None
        self.total: Any = None
        self.output: Any = None

    def add(self, scores: Any, values: Any, kept: Callable[[Any], Any] | None, careful: bool) -> None:
        largest = _largest(scores)
        if self.largest is not None:
            largest = torch.max(largest, self.largest)
        if careful:
            # Where nothing was seen yet: -inf - -inf would be NaN.
            largest = largest.clamp(min=-torch.finfo(scores.dtype).max)
        weights = scores.sub_(largest).exp_()
        total = weights.sum(-1, keepdim=True)
        if kept is not None:
            weights = weights.mul_(kept(weights))
        if self.output is None:
            self.total, self.output = total, torch.bmm(weights, values)
        else:
            shrink = (self.largest - largest).exp_()
            self.total = self.total.mul_(shrink).add_(total)
            self.output = self.output.mul_(shrink).add_(torch.bmm(weights, values))
        self.largest = largest

    def result(self) -> tuple[Any, Any]:
        """The attention, and the logarithms of the weights' sums: inf, so that weights are 0, where nothing is seen."""
        empty = self.total == 0
        sums = self.largest + self.total.log()
        return self.output.div_(self.total.masked_fill_(empty, 1.0)), sums.masked_fill_(empty, -MINUS_INF)


def forward(query: Any, key: Any, value: Any, mask: Any, options: Options) -> tuple[Any, Any]:
    """Attention (B, H, L, F) and the logarithms of the weights' sums (B, H, L, 1)."""
    blocks = _Blocks(query, key, value, mask, options)
    output = query.new_zeros(query.size(0), query.size(1), query.size(2), value.size(3))
    sums = query.new_full((query.size(0), query.size(1), query.size(2), 1), -MINUS_INF)
    kept = blocks.kept if options.dropout_p else None
    # Rows that see nothing need care, which costs time.
    careful = mask is not None or (options.causal_offset is not None and options.causal_offset < 0)
    for part in blocks.row_blocks():
        rows, running = blocks.scaled(part), _Running()
        for block, seen in blocks.key_blocks(part):
            scores = blocks.scores(rows, block, seen)
            running.add(scores, blocks.of_keys(value, block), kept, careful)
        if running.output is not None:
            attended, logarithms = running.result()
            output.narrow(0, *part.batch).narrow(2, *part.rows).copy_(blocks.by_head(attended, part))
            sums.narrow(0, *part.batch).narrow(2, *part.rows).copy_(blocks.by_head(logarithms, part))
    return output, sums


class _Gradients:
    """The gradients by query, key, value and mask, summed block by block; None for what needs none."""

    def __init__(self, blocks: _Blocks, needed: Any) -> None:
        self.blocks = blocks
        tensors = (blocks.query, blocks.key, blocks.value, blocks.mask)
        zeros = [
            torch.zeros(x.shape, dtype=x.dtype, device=x.device) if need else None for x, need in zip(tensors, needed)
        ]
        self.query, self.key, self.value, self.mask = zeros
        self.of_scores = any(needed[n] for n in (0, 1, 3))

    def add_to_keys(self, target: Any, part: Part, addend: Any) -> None:
        shape = (part.batch[1], self.blocks.sources, part.keys[1], addend.size(2))
        target.narrow(0, *part.batch).narrow(2, *part.keys).add_(addend.view(shape))

    def add(self, block: Part, rows: Any, grad: Any, weights: Any, shift: Any, kept: Any) -> None:
        """Add what one block contributes. *rows*: the scaled query; *shift*: the sum of grad * output for each row."""
        blocks = self.blocks
        if self.value is not None:
            dropped = weights if kept is None else weights * kept
            self.add_to_keys(self.value, block, torch.bmm(dropped.transpose(1, 2), grad))
        if not self.of_scores:
            return
        by_weight = torch.bmm(grad, blocks.of_keys(blocks.value, block).transpose(1, 2))
        if kept is not None:
            by_weight.mul_(kept)
        by_score = by_weight.sub_(shift).mul_(weights)
        if self.key is not None:
            self.add_to_keys(self.key, block, torch.bmm(by_score.transpose(1, 2), rows))
        if self.query is not None:
            by_row = blocks.by_head(torch.bmm(by_score, blocks.of_keys(blocks.key, block)), block)
            self.query.narrow(0, *block.batch).narrow(2, *block.rows).add_(by_row)
        if self.mask is not None:
            self._add_to_mask(block, blocks.by_head(by_score, block))

    def _add_to_mask(self, block: Part, by_score: Any) -> None:
        target = _of_batch(self.mask, block.batch)
        target = target if target.size(2) == 1 else target.narrow(2, *block.rows)
        target = target if target.size(3) == 1 else target.narrow(3, *block.keys)
        dims = [dim for dim in range(4) if target.size(dim) == 1]
        target.add_(by_score.sum(dims, keepdim=True) if dims else by_score)


def backward(tensors: Any, output: Any, sums: Any, grad: Any, options: Options, needed: Any) -> list[Any]:
    """The gradients by query, key, value and mask."""
    query, key, value, mask = tensors
    blocks = _Blocks(query, key, value, mask, options)
    found = _Gradients(blocks, needed)
    shifts = (grad * output).sum(-1, keepdim=True)
    for part in blocks.row_blocks():
        rows, grad_rows = blocks.scaled(part), blocks.by_source(grad, part)
        shift, sum_rows = blocks.by_source(shifts, part), blocks.by_source(sums, part)
        for block, seen in blocks.key_blocks(part):
            weights = blocks.scores(rows, block, seen).sub_(sum_rows).exp_()
            kept = blocks.kept(weights) if options.dropout_p else None
            found.add(block, rows, grad_rows, weights, shift, kept)
    if found.query is not None:
        found.query.mul_(options.scale)
    return [found.query, found.key, found.value, found.mask]


def dropout_mask(query: Any, key: Any, mask: Any, options: Options) -> Any:
    """What :func:`forward` multiplied all the weights with: (B, H, L, S); zeros where no block was computed."""
    blocks = _Blocks(query, key, key, mask, options)
    kept = query.new_zeros(query.size(0), query.size(1), query.size(2), key.size(2))
    for part in blocks.row_blocks():
        for block, _ in blocks.key_blocks(part):
            shape = (block.batch[1] * blocks.sources, blocks.heads // blocks.sources * block.rows[1], block.keys[1])
            drawn = blocks.by_head(_kept(shape, query, options.dropout_p, blocks.generator), block)
            kept.narrow(0, *block.batch).narrow(2, *block.rows).narrow(3, *block.keys).copy_(drawn)
    return kept
