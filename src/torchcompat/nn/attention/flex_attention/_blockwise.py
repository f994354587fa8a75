"""The fallback of flex_attention: tiles of scores with an online softmax, made again in the backward pass."""

from __future__ import annotations

from typing import Any

import torch

from ...functional._sdpa._autocast import without_autocast
from ...functional._sdpa._fused import is_batched, needs_grad, plain_call
from ...functional._sdpa._online_softmax import MINUS_INF, OnlineSoftmax, subtrahend
from ._mods import Tile, captured
from ._tiles import Plan, Strip, strips, tile_sizes

# A call with at most this many scores takes the plain formula where a gradient is wanted: its derivatives are of
# every order, and it holds the scores.
PLAIN = 2**20

# ---------------------------------------------------------------------------------------------------------------------
# The plain formula


def plain(plan: Plan, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """Output, logsumexp and maximum by operations that torch derives."""
    tile = plan.whole()
    batches, heads, key_heads, length, keys = plan.sizes
    rows = heads // key_heads * length
    folded = (batches, key_heads, rows, query.size(-1))
    scores = torch.matmul((query * plan.scale).reshape(folded), key.transpose(-2, -1)).reshape(tile.shape)
    mask = None if plan.layout is None else plan.layout.allowed(tile, query.device)
    scores = plan.modified(scores, tile, mask)
    maximum = scores.new_full((*tile.shape[:3], 1), MINUS_INF)
    if scores.numel():
        maximum = scores.detach().max(-1, keepdim=True)[0]
    weights = torch.exp(scores - subtrahend(maximum))
    total = weights.sum(-1, keepdim=True)
    empty = total <= 0.0
    total = total.masked_fill(empty, 1.0)
    out = torch.matmul((weights / total).reshape(batches, key_heads, rows, keys), value)
    lse = (maximum + torch.log(total)).masked_fill(empty, MINUS_INF)
    return out.reshape(batches, heads, length, value.size(-1)), lse.squeeze(-1), maximum.squeeze(-1)


def _scores(plan: Plan, strip: Strip, query: Any, key: Any, tile: Tile) -> Any:
    return torch.bmm(query, strip.batched(key, tile).transpose(1, 2)).view(tile.shape)


def forward(plan: Plan, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """Output, logsumexp and maximum, of the dtype that *query* has; no graph."""
    out = query.new_zeros(*query.size()[:3], value.size(-1))
    lse = query.new_full(query.size()[:3], MINUS_INF)
    maximum = lse.clone()
    columns = tile_sizes(plan, query.device)[1]
    careful = plan.score_mod is not None or plan.layout is not None
    for strip in strips(plan, query.device):
        rows = strip.folded(query) * plan.scale
        # What a score modifier gives need not be a tensor of its own.
        softmax = OnlineSoftmax(careful, in_place=plan.score_mod is None)
        for tile, mask in strip.tiles(columns, query.device):
            scores = plan.modified(_scores(plan, strip, rows, key, tile), tile, mask)
            softmax.add(strip.flat(scores), strip.batched(value, tile))
        if softmax.output is not None:
            for whole, found in zip((out, lse, maximum), softmax.result()):
                part = strip.rows(whole)
                part.copy_(found.view(part.size()))
    return out, lse, maximum


def _through_modifier(plan: Plan, scores: Any, tile: Tile, mask: Any) -> tuple[Any, Any]:
    """The modified scores, and their derivatives: a function of a gradient, or None for the identity."""
    if plan.score_mod is None:
        return plan.modified(scores, tile, mask), None
    with torch.enable_grad():
        scores = scores.detach().requires_grad_()
        changed = plan.modified(scores, tile, mask)

    def pulled(gradient: Any) -> Any:
        if not changed.requires_grad:
            return (None,) * (1 + len(plan.used))
        return torch.autograd.grad(changed, [scores, *plan.used], gradient, allow_unused=True, retain_graph=True)

    return changed.detach(), pulled


def backward(plan: Plan, saved: Any, grad_out: Any, grad_lse: Any) -> list[Any]:
    """The gradients of query, key, value and the captured tensors."""
    query, key, value, out, lse = saved
    grads = [torch.zeros_like(tensor) for tensor in (query, key, value)]
    more: list[Any] = [None] * len(plan.used)
    lse = subtrahend(lse).unsqueeze(-1)
    # d score = weight * (d weight - delta), where what logsumexp's gradient adds is in the delta.
    delta = (grad_out * out).sum(-1, keepdim=True) - grad_lse.unsqueeze(-1)
    columns = tile_sizes(plan, query.device)[1]
    for strip in strips(plan, query.device):
        rows = strip.folded(query) * plan.scale
        above, delta_rows, normal = strip.folded(grad_out), strip.rows(delta), strip.rows(lse)
        grad_rows = torch.zeros_like(rows)
        for tile, mask in strip.tiles(columns, query.device):
            scores, pulled = _through_modifier(plan, _scores(plan, strip, rows, key, tile), tile, mask)
            weights = torch.exp(scores - normal)
            _add(strip.columns(grads[2], tile), torch.bmm(strip.flat(weights).transpose(1, 2), above))
            grad = torch.bmm(above, strip.batched(value, tile).transpose(1, 2)).view(tile.shape)
            grad = grad.sub_(delta_rows).mul_(weights)
            if pulled is not None:
                grad, *extra = pulled(grad)
                more = [_sum(old, new) for old, new in zip(more, extra)]
            if grad is not None:
                flat = strip.flat(grad)
                grad_rows += torch.bmm(flat, strip.batched(key, tile))
                _add(strip.columns(grads[1], tile), torch.bmm(flat.transpose(1, 2), rows))
        part = strip.rows(grads[0])
        part.copy_(grad_rows.mul_(plan.scale).view_as(part))
    return grads + more


def _add(target: Any, part: Any) -> None:
    target += part.view_as(target)


def _sum(old: Any, new: Any) -> Any:
    return new if old is None else old if new is None else old + new


class _Attention(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, plan: Plan, query: Any, key: Any, value: Any, *used: Any) -> Any:
        out, lse, maximum = forward(plan, query, key, value)
        ctx.plan = plan
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.mark_non_differentiable(maximum)
        return out, lse, maximum

    @staticmethod
    def backward(ctx: Any, grad_out: Any, grad_lse: Any, _: Any) -> Any:
        plan = ctx.plan
        with without_autocast(grad_out.device.type):
            if not torch.is_grad_enabled() and not is_batched(grad_out):
                return (None, *backward(plan, ctx.saved_tensors, grad_out, grad_lse))
            return (None, *_derivable_backward(plan, ctx.saved_tensors, grad_out, grad_lse))


def _derivable_backward(plan: Plan, saved: Any, grad_out: Any, grad_lse: Any) -> Any:
    """The same by the plain formula, for ``create_graph=True``."""
    if plan.used:
        raise RuntimeError(
            "flex_attention of this many scores has no second derivative (create_graph=True) where its score_mod "
            f"captures a tensor that needs a gradient; up to {PLAIN} scores it has"
        )
    with torch.enable_grad():  # a batched backward pass has it off
        # Views, since query, key and value may be one tensor.
        inputs = [tensor.view_as(tensor) for tensor in saved[:3]]
        out, lse, _ = plain(plan, *inputs)
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        found = iter(torch.autograd.grad([out, lse], wanted, [grad_out, grad_lse], create_graph=True))
    return [next(found) if tensor.requires_grad else None for tensor in inputs]


# ---------------------------------------------------------------------------------------------------------------------


def attend(plan: Plan, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """Output, logsumexp and maximum, of the dtype that *query* has."""
    scores = plan.sizes[0] * plan.sizes[1] * plan.sizes[3] * plan.sizes[4]
    if scores == 0 or not plain_call((query, key, value)):
        return plain(plan, query, key, value)
    used: list[Any] | None = []
    if plan.score_mod is not None:
        used = captured(lambda: _sample(plan, query), plan.score_mod)
    if not used and used is not None and not needs_grad((query, key, value)):
        return forward(plan, query, key, value)
    if used is None or scores <= PLAIN:
        return plain(plan, query, key, value)
    plan.used = used
    out: tuple[Any, Any, Any] = _Attention.apply(plan, query, key, value, *used)
    return out


def _sample(plan: Plan, query: Any) -> Any:
    """The score modifier's answer for one score that needs no gradient."""
    tile = Tile((0, 1), (0, 1), (0, 1), (0, 1))
    return plan.modified(query.detach().new_zeros(1, 1, 1, 1), tile, None)
