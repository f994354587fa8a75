"""Autograd around the two fast ways to compute attention; their second derivatives are those of the plain formula."""

from __future__ import annotations

from typing import Any, Sequence

import torch

from ...._torch import at_least, compiling, find
from . import _blocks
from ._autocast import without_autocast
from ._call import Options
from ._formula import MINUS_INF, formula, repeat_heads

_transforms: Any = find("torch._C._functorch.are_transforms_active")  # 1.13
_interpreters: Any = find("torch._C._functorch.peek_interpreter_stack")  # since 2.0
_forward_mode: Any = find("torch.autograd.forward_ad")
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def _in_transform() -> bool:
    """Whether a transform of torch.func, or a backward pass that it batches, is at work."""
    if _interpreters is not None:
        return _interpreters() is not None
    return _transforms is not None and bool(_transforms())


_BATCHED = [find(f"torch._C._functorch.is_{kind}batchedtensor") for kind in ("", "legacy_")]


def is_batched(grad: Any) -> bool:
    """Whether vmap batches this backward pass: then it lets no ordinary tensor be added to in place."""
    if all(_BATCHED):
        return any(asks(grad) for asks in _BATCHED)
    try:
        torch.zeros((), dtype=grad.dtype, device=grad.device).add_(grad.detach()[(0,) * grad.dim()])
    except RuntimeError:
        return True
    return False


def plain_call(tensors: Sequence[Any]) -> bool:
    """Whether nothing looks into this call but autograd: no compiler, tracer, transform, forward mode or subclass."""
    if compiling() or any(type(tensor) not in _PLAIN for tensor in tensors):
        return False
    if getattr(_forward_mode, "_current_level", -1) >= 0 or _in_transform():
        return False
    return torch._C._get_tracing_state() is None


def needs_grad(tensors: Sequence[Any]) -> bool:
    """Whether autograd records a call with these tensors, some of which may be None."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _by_formula(
    saved: Sequence[Any], needed: Sequence[bool], grad: Any, options: Options, dropout_mask: Any = None
) -> list[Any]:
    """The gradients of the formula by query, key, value and mask, with a graph of their own."""
    query, key, value, mask = saved
    with torch.enable_grad():
        if query.dim() == 4:
            key, value = repeat_heads(key, query.size(1)), repeat_heads(value, query.size(1))
        out = formula(query, key, value, mask, options, dropout_mask)
        wanted = [tensor for tensor, need in zip(saved, needed) if need]
        found = iter(torch.autograd.grad(out, wanted, grad, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needed]


class _Blockwise(torch.autograd.Function):  # type: ignore[misc]
    """Attention in blocks (:mod:`_blocks`): what is saved is linear in the lengths."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, mask: Any, options: Any) -> Any:
        out, logsumexp = _blocks.forward(query, key, value, mask, options)
        ctx.save_for_backward(query, key, value, mask, out, logsumexp)
        ctx.mark_non_differentiable(logsumexp)
        ctx.options = options
        return out, logsumexp

    @staticmethod
    def backward(ctx: Any, grad: Any, _: Any) -> Any:
        *saved, out, logsumexp = ctx.saved_tensors
        needed, options = ctx.needs_input_grad[:4], ctx.options
        with without_autocast(grad.device.type):
            if torch.is_grad_enabled() or is_batched(grad):
                query, key, _, mask = saved
                dropout_mask = _blocks.dropout_mask(query, key, mask, options) if options.dropout_p else None
                return (*_by_formula(saved, needed, grad, options, dropout_mask), None)
            return (*_blocks.backward(saved, out, logsumexp, grad, options, needed), None)


def in_blocks(query: Any, key: Any, value: Any, mask: Any, options: Options) -> Any:
    """Attention of 4-D tensors, as :mod:`_blocks` takes them."""
    # Drawn where dropout draws its numbers from, so that torch.manual_seed makes it repeat.
    if options.dropout_p:
        options = options._replace(seed=int(torch.randint(2**31, ()).item()))
    if not needs_grad((query, key, value, mask)):
        return _blocks.forward(query, key, value, mask, options)[0]
    return _Blockwise.apply(query, key, value, mask, options)[0]


class _TorchFused(torch.autograd.Function):  # type: ignore[misc]
    """Torch's own kernel, which keeps its graph to itself: it has a first derivative only."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, mask: Any, options: Any, kernel: Any) -> Any:
        inputs = (query, key, value, mask)
        leaves = [None if x is None else x.detach().requires_grad_(x.requires_grad) for x in inputs]
        with torch.enable_grad():
            out = kernel(*leaves)
        ctx.save_for_backward(*inputs)
        ctx.leaves, ctx.out, ctx.options = leaves, out, options
        return out.detach()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        needed, options = ctx.needs_input_grad[:4], ctx.options
        if torch.is_grad_enabled() or is_batched(grad):
            if options.dropout_p:
                raise RuntimeError("dropout_p must be 0 for a second derivative: this torch's fused kernels have none")
            with without_autocast(grad.device.type):
                return (*_by_formula(ctx.saved_tensors, needed, grad, options), None, None)
        wanted = [leaf for leaf, need in zip(ctx.leaves, needed) if need]
        found = iter(torch.autograd.grad(ctx.out, wanted, grad, retain_graph=True))
        return (*(next(found) if need else None for need in needed), None, None)


# The kernel of torch 2.4 for the CPU, and its derivative. It takes masks of floats only.
_kernel_of_cpu: Any = find("torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default")
_its_derivative: Any = find("torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default")
HAS_KERNEL = at_least(2, 4) and not at_least(2, 5) and None not in (_kernel_of_cpu, _its_derivative)


class _TorchKernel(torch.autograd.Function):  # type: ignore[misc]
    """The same for the CPU's kernel, which is called without the function around it: no graph within the graph."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, mask: Any, options: Any) -> Any:
        is_causal = options.causal_offset is not None
        out, logsumexp = _kernel_of_cpu(query, key, value, 0.0, is_causal, attn_mask=mask, scale=options.scale)
        out = out.contiguous() if query.is_contiguous() else out
        ctx.save_for_backward(query, key, value, mask, out, logsumexp)
        ctx.options = options
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        *inputs, out, logsumexp = ctx.saved_tensors
        query, key, value, mask = inputs
        options = ctx.options
        if torch.is_grad_enabled() or is_batched(grad):
            with without_autocast("cpu"):
                return (*_by_formula(inputs, ctx.needs_input_grad[:4], grad, options), None)
        is_causal = options.causal_offset is not None
        saved = query, key, value, out, logsumexp, 0.0, is_causal
        return (*_its_derivative(grad, *saved, attn_mask=mask, scale=options.scale), None, None)


def by_kernel(query: Any, key: Any, value: Any, mask: Any, options: Options) -> Any:
    """Attention with gradients by the CPU's kernel, of 4-D tensors whose numbers lie side by side; no dropout."""
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, MINUS_INF)
    return _TorchKernel.apply(query, key, value, mask, options)


def by_torch(kernel: Any, query: Any, key: Any, value: Any, mask: Any, options: Options) -> Any:
    """Attention by *kernel*, torch's own function of query, key, value and mask."""
    if not needs_grad((query, key, value, mask)):
        return kernel(query, key, value, mask)
    return _TorchFused.apply(query, key, value, mask, options, kernel)
