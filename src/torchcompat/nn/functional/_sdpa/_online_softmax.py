"""The softmax of attention over keys that come a tile at a time: the one that both kinds of blockwise attention run.

For each query row a running maximum of the scores and a running sum of the weights are kept, relative to that maximum:
the online softmax of https://arxiv.org/abs/1805.02867 . The backward pass computes the weights again from the logsumexp
of each row, https://arxiv.org/abs/2205.14135 .

Words: a *tile* is a range of query rows and of key columns whose scores are made at once, a *strip* the tiles of the
same query rows. *key heads* are the heads of key and value, each of which serves a group of the query's heads. Query
rows are *folded*: ``(batch * key heads, group * rows, E)``, so that those that share a key lie side by side; key
columns are *batched* to fit: ``(batch * key heads, columns, E)``. *logsumexp* is -inf for a row that sees no key.
"""

from __future__ import annotations

from typing import Any, Callable

import torch

from ...._torch import find

MINUS_INF = float("-inf")

_amax: Any = find("torch.amax")  # since 1.7


def _maximum_of(scores: Any) -> Any:
    return _amax(scores, -1, True) if _amax is not None else scores.max(-1, keepdim=True)[0]


class OnlineSoftmax:
    """Attention of the query rows of a strip to the key columns that they have seen so far.

    Args:
        careful: whether there may be rows that see nothing, which costs a little time.
        in_place: whether the scores may be overwritten.

    Attributes:
        maximum, total: of each row the largest score, and the sum of the weights relative to it.
        output: the sum of the weighted values; None before the first tile.
    """

    def __init__(self, careful: bool, in_place: bool) -> None:
        self.careful, self.in_place = careful, in_place
        self.maximum: Any = None
        self.total: Any = None
        self.output: Any = None

    def add(self, scores: Any, values: Any, dropout_mask: Callable[[Any], Any] | None = None) -> None:
        """Add a tile, (batch, rows, columns), and its values. *dropout_mask* makes that of the weights it gets."""
        maximum = _maximum_of(scores)
        if self.maximum is not None:
            maximum = torch.max(maximum, self.maximum)
        if self.careful:
            # Where nothing was seen yet: -inf - -inf would be NaN.
            maximum = maximum.clamp(min=-torch.finfo(scores.dtype).max)
        weights = (scores.sub_(maximum) if self.in_place else scores - maximum).exp_()
        total = weights.sum(-1, keepdim=True)
        if dropout_mask is not None:
            weights = weights.mul_(dropout_mask(weights))
        if self.output is None:
            self.total, self.output = total, torch.bmm(weights, values)
        else:
            shrink = (self.maximum - maximum).exp_()
            self.total = self.total.mul_(shrink).add_(total)
            self.output = self.output.mul_(shrink).add_(torch.bmm(weights, values))
        self.maximum = maximum

    def result(self) -> tuple[Any, Any, Any]:
        """The attention, and each row's logsumexp and largest score."""
        logsumexp = self.maximum + self.total.log()
        if not self.careful:
            return self.output.div_(self.total), logsumexp, self.maximum
        empty = self.total == 0
        self.output.div_(self.total.masked_fill_(empty, 1.0))
        return self.output, logsumexp, self.maximum.masked_fill_(empty, MINUS_INF)


def subtrahend(logsumexp: Any) -> Any:
    """What is taken from the scores to have the weights by ``exp``: logsumexp, so that rows that see nothing get 0."""
    # Exporters to ONNX have no `==` of floats up to torch 1.3.
    return logsumexp.masked_fill(logsumexp < torch.finfo(logsumexp.dtype).min, 0.0)
