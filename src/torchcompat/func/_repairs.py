"""Operations whose gradient torch gets wrong when it is differentiated again, and our own formulas for those gradients.

A transform that records its backward pass, because that pass will be differentiated, first hangs a hook on each node of
such an operation. The hook replaces the gradients that torch computed by the same numbers from plain operations. Where
the values that a formula needs cannot be had (torch shows what a node has saved from 1.10 on), or where torch's own
second pass writes beyond its memory, the gradients stay, and differentiating them raises UnsupportedError.

What is wrong where was measured by finite differences of each operation's gradient, on torch 1.2 to 2.15; the table of
operations in tests/func/test_twice.py measures it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, Sequence

import torch

from .._torch import UnsupportedError, at_least, at_most

Gradients = Sequence[Any]
Formula = Callable[[Any, Gradients, Gradients], Gradients]

_SHOWS_SAVED = at_least(1, 10)
CANNOT = "cannot be differentiated twice on torch"


def edges(tensors: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """Every edge of the graphs that *tensors* have, as the node it leads to and which of the node's results it is."""
    pending = [(tensor.grad_fn, tensor.output_nr) for tensor in tensors if tensor.grad_fn is not None]
    seen = set(pending)
    while pending:
        edge = pending.pop()
        yield edge
        for following in edge[0].next_functions:
            if following[0] is not None and following not in seen:
                seen.add(following)
                pending.append(following)


class _Refused(torch.autograd.Function):  # type: ignore[misc]
    """A gradient that must not be differentiated; *inputs* are what it may depend on."""

    @staticmethod
    def forward(ctx: Any, gradient: Any, what: str, *inputs: Any) -> Any:  # type: ignore[override]
        ctx.what = what
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # type: ignore[override]
        raise UnsupportedError(ctx.what)


def _refused(what: str, since: str) -> Formula:
    text = (
        f"{what} {CANNOT} {torch.__version__}, where torch itself computes wrong numbers "
        f"or corrupts memory. jvp, linearize, jacfwd and hessian differentiate twice, too. Use torch {since} or later, "
        "or write the operation out in simpler ones."
    )

    def refuse(node: Any, found: Gradients, given: Gradients) -> Gradients:
        inputs = [gradient for gradient in given if gradient is not None]
        return [None if gradient is None else _Refused.apply(gradient, text, *inputs) for gradient in found]

    return refuse


def _like(gradient: Any, found: Any) -> Any:
    """*gradient* in the dtype of the one *found* by torch, or None where that is not asked for."""
    if found is None:
        return None
    return gradient if gradient.dtype == found.dtype else gradient.to(found.dtype)


def _wide(tensor: Any) -> Any:
    """*tensor* in float32 if it is of half precision, as torch computes its norms."""
    return tensor.float() if tensor is not None and tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _sum_to(gradient: Any, shape: Any, dims: Sequence[int]) -> Any:
    return (gradient.sum(tuple(dims)) if dims else gradient).reshape(shape)


def _through_statistics(by_normal: Any, normal: Any, scale: Any, dims: Sequence[int]) -> Any:
    """The gradient of x for that of ``normal = (x - mean) * scale``, whose statistics are those of x along *dims*."""
    along = (by_normal * normal).mean(tuple(dims), True)
    return (by_normal - by_normal.mean(tuple(dims), True) - normal * along) * scale


def _batch_norm(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of x, weight and bias. Torch's own forgets the bias if there is no weight; its third derivatives are wrong."""
    g = given[0]
    dims = [dim for dim in range(g.dim()) if dim != 1]
    bias = None if found[2] is None else _like(_sum_to(g, found[2].shape, dims), found[2])
    if not _SHOWS_SAVED:
        return [found[0], found[1], bias]
    g, x, weight = _wide(g), _wide(node._saved_input), _wide(node._saved_weight)
    sizes = [1, -1] + [1] * (g.dim() - 2)
    if node._saved_training:
        mean = x.mean(tuple(dims), True)
        var = ((x - mean) ** 2).mean(tuple(dims), True)
    else:
        mean, var = (t.reshape(sizes) for t in (node._saved_running_mean, node._saved_running_var))
    scale = (var + (node._saved_eps if hasattr(node, "_saved_eps") else node._saved_epsilon)).rsqrt()
    normal = (x - mean) * scale
    by_normal = g if weight is None else g * weight.reshape(sizes)
    by_x = _through_statistics(by_normal, normal, scale, dims) if node._saved_training else by_normal * scale
    return [_like(by_x, found[0]), _like((g * normal).sum(tuple(dims)), found[1]), bias]


def _layer_norm(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of x, weight and bias. Torch's own forgets the bias if there is no weight; its third derivatives are wrong."""
    g = given[0]
    bias = found[2] if len(found) > 2 else None
    if bias is not None:
        bias = _like(_sum_to(g, bias.shape, range(g.dim() - bias.dim())), bias)
    if at_most(1, 6):
        return [*_REFUSE_LAYER_NORM(node, found[:2], given), bias]
    if not _SHOWS_SAVED:
        return [found[0], found[1], bias]
    g, x, weight = _wide(g), _wide(node._saved_input), _wide(node._saved_weight)
    shape = tuple(node._saved_normalized_shape)
    dims = range(x.dim() - len(shape), x.dim())
    mean = x.mean(tuple(dims), True)
    var = ((x - mean) ** 2).mean(tuple(dims), True)
    eps = (_wide(node._saved_result2).detach().reshape(var.shape) ** -2 - var).detach()  # not saved by itself
    scale = (var + eps).rsqrt()
    normal = (x - mean) * scale
    by_x = _through_statistics(g if weight is None else g * weight, normal, scale, dims)
    by_weight = None if found[1] is None else _sum_to(g * normal, shape, range(x.dim() - len(shape)))
    return [_like(by_x, found[0]), _like(by_weight, found[1]), bias]


def _weight_norm(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of the direction and the magnitude. The derivative of torch's own by the direction is wrong."""
    v, g, w = node._saved_v, node._saved_g, given[0]
    dim = node._saved_dim % v.dim()
    dims = [n for n in range(v.dim()) if n != dim]
    norm = (v * v).sum(tuple(dims), True).sqrt()
    along = (w * v).sum(tuple(dims), True)
    return [_like(g / norm * (w - v * along / (norm * norm)), found[0]), _like(along / norm, found[1])]


def _prod(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of all elements. Torch's own, where two of them are 0, is a constant 0."""
    if hasattr(node, "_saved_dim"):
        return found
    x = node._saved_self
    flat = x.reshape(-1)
    one = torch.ones(1, dtype=flat.dtype, device=flat.device)
    before = torch.cat([one, flat[:-1]]).cumprod(0)
    after = torch.cat([one, flat.flip(0)[:-1]]).cumprod(0).flip(0)
    return [_like(given[0] * (before * after).reshape(x.shape), found[0])]


def _slope(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of a function that is made of straight lines, element by element. Torch's own cannot be differentiated again."""
    with torch.no_grad():
        slope = node(torch.ones_like(given[0]))
    return [given[0] * (slope[0] if isinstance(slope, tuple) else slope)]


def _embedding(node: Any, found: Gradients, given: Gradients) -> Gradients:
    """Of the table, with the row *padding_idx*, which has no gradient and yet has an influence."""
    index = node._saved_indices.reshape(-1)
    g = given[0].reshape(index.shape[0], given[0].shape[-1])
    rows = torch.zeros(found[0].shape, dtype=g.dtype, device=g.device)
    return [_like(rows.index_add(0, index, g), found[0])]


_REFUSE_LAYER_NORM = _refused("layer_norm", "1.7")
_refuse_kl_div = _refused("kl_div by its target", "1.13")


def _kl_div(node: Any, found: Gradients, given: Gradients) -> Gradients:
    return found if len(found) < 2 or found[1] is None else _refuse_kl_div(node, found, given)


_FORMULAS: dict[str, Formula] = {
    "NativeBatchNormBackward": _batch_norm,
    "CudnnBatchNormBackward": _batch_norm,
    "MiopenBatchNormBackward": _batch_norm,
    "NativeLayerNormBackward": _layer_norm,
    "HardsigmoidBackward": _slope,
}
if at_most(1, 12):
    _FORMULAS["KlDivBackward"] = _kl_div
if _SHOWS_SAVED:
    _FORMULAS["WeightNormInterfaceBackward"] = _weight_norm
if _SHOWS_SAVED and at_most(2, 1):
    # The gradient of two zeros has no graph on 1.13, 2.0 and 2.1, and has one on 2.2 (measured).
    _FORMULAS["ProdBackward"] = _prod
# Only where the gradient stands for a derivative forward.
_FORWARD_FORMULAS: dict[str, Formula] = {"EmbeddingBackward": _embedding} if _SHOWS_SAVED else {}


def _formula(node: Any, forward: bool) -> Formula | None:
    name = type(node).__name__.rstrip("0123456789")
    return _FORMULAS.get(name) or (_FORWARD_FORMULAS.get(name) if forward else None)


def _hook(node: Any, formula: Formula) -> Callable[[Gradients, Gradients], Any]:
    """What replaces the gradients that *node* computed, but not when a formula asks the node itself."""
    asking: list[bool] = []

    def replace(found: Gradients, given: Gradients) -> Any:  # torch 1.5 wants a hook that has a __name__
        if asking or given[0] is None:
            return None
        asking.append(True)
        try:
            return tuple(formula(node, found, given))
        finally:
            asking.pop()

    return replace


@contextmanager
def repaired(outputs: Sequence[Any], forward: bool = False) -> Iterator[None]:
    """A context in which a backward pass from *outputs* can be differentiated again, or says that it cannot.

    With *forward*, the pass is to be differentiated by its cotangents, for a derivative forward.
    """
    nodes = {node for node, _ in edges(outputs)}
    found = [(node, _formula(node, forward)) for node in nodes]
    handles = [node.register_hook(_hook(node, formula)) for node, formula in found if formula is not None]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
