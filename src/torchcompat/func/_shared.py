"""Linear layers and convolutions whose weight is one for all samples, but whose gradient is one for each sample.

Per-sample gradients hand a layer its weight as ``weight.expand(B, ...)``. Multiplying each sample by a matrix of its
own would be slow: forward, and for the gradient of the input, one kernel takes all samples as one batch. Only the
gradient of the weight is computed for each sample.

When the backward pass is itself differentiated, both gradients are plain operations of the expanded weight, so that the
second derivatives are per sample too. ``torch.autograd.Function`` objects are not applied in it: torch 2.x refuses that
in its batched backward pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import torch
import torch.nn.functional as F

from .._torch import at_least

Ints = Tuple[int, ...]

# aten::convolution_backward: https://github.com/pytorch/pytorch/pull/62661
HAS_CONVOLUTION_BACKWARD = at_least(1, 11)
# Measured on two CPU cores: the batched matrix products of torch 1.x take three times as long as those of 2.x, and as
# a convolution with groups; see _fast_weight_gradient.
SLOW_BMM = not at_least(2, 0)


def is_shared(weight: Any) -> bool:
    """Whether a weight with a leading batch dimension is one for all samples, and of a dtype that is handled here."""
    return bool(weight.shape[0] and (weight.shape[0] == 1 or weight.stride(0) == 0) and weight.is_floating_point())


class SharedLinear(torch.autograd.Function):  # type: ignore[misc]
    """``x @ w[b].t()`` of ``x[B, M, in]`` and ``w[B, out, in]``, for which :func:`is_shared` holds."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:  # type: ignore[override]
        ctx.save_for_backward(x, w)
        return torch.matmul(x, w[0].t())

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:  # type: ignore[override]
        x, w = ctx.saved_tensors
        g = _as(g, x)
        grad_x = grad_w = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.matmul(g, w if torch.is_grad_enabled() else w[0])
        if ctx.needs_input_grad[1]:
            rows = g.transpose(1, 2)
            grad_w = rows * x if x.shape[1] == 1 else torch.bmm(rows, x)  # one row: a fourth of the time
        return grad_x, grad_w


def _as(g: Any, x: Any) -> Any:
    """The gradient in the dtype of the input, which differs from the output's under autocast."""
    return g if g.dtype == x.dtype else g.to(x.dtype)


class Convolution(NamedTuple):
    """The geometry of a convolution, or if *transposed* of a transposed one. Tuples have an item per dimension."""

    transposed: bool
    stride: Ints
    padding: Ints
    dilation: Ints
    output_padding: Ints
    groups: int

    def plain(self, x: Any, w: Any) -> Any:
        """The convolution itself, of ``x[N, C, *spatial]``."""
        return self._of(self.transposed, x, w, self.output_padding, self.groups)

    def each(self, x: Any, w: Any) -> Any:
        """The convolution of ``x[B, N, C, *spatial]`` by ``w[B, ...]``: B times as many groups."""
        return self._each(self.transposed, x, w, self.output_padding)

    def adjoint(self, g: Any, w: Any, x_shape: Any) -> Any:
        """The gradient of the input of :meth:`each`, differentiable."""
        output_padding = self.output_padding
        if not self.transposed:
            output_padding = tuple(
                size - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
                for size, out, kernel, stride, padding, dilation in zip(
                    x_shape[3:], g.shape[3:], w.shape[3:], self.stride, self.padding, self.dilation
                )
            )
        return _cut(self._each(not self.transposed, g, w, output_padding), x_shape[3:])

    def _each(self, transposed: bool, x: Any, w: Any, output_padding: Ints) -> Any:
        batch, n = x.shape[:2]
        merged = x.transpose(0, 1).reshape((n, batch * x.shape[2]) + x.shape[3:])
        y = self._of(transposed, merged, w.reshape((-1,) + w.shape[2:]), output_padding, batch * self.groups)
        return y.reshape((n, batch, y.shape[1] // batch) + y.shape[2:]).transpose(0, 1)

    def _of(self, transposed: bool, x: Any, w: Any, output_padding: Ints, groups: int) -> Any:
        dims = len(self.stride)
        if transposed:
            function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
            return function(x, w, None, self.stride, self.padding, output_padding, groups, self.dilation)
        return (F.conv1d, F.conv2d, F.conv3d)[dims - 1](x, w, None, self.stride, self.padding, self.dilation, groups)


def _cut(x: Any, sizes: Any) -> Any:
    """The first *sizes* entries in the last dimensions; there are more where an output_padding exceeds the stride."""
    first = x.dim() - len(sizes)
    for number, size in enumerate(sizes):
        if x.shape[first + number] != size:
            x = x.narrow(first + number, 0, size)
    return x


def _together(x: Any) -> Any:
    """``[B, N, ...]`` as ``[B * N, ...]``."""
    return x.reshape((x.shape[0] * x.shape[1],) + x.shape[2:])


def _apart(y: Any, batch: int) -> Any:
    return y.reshape((batch, y.shape[0] // batch) + y.shape[1:])


def _patches(x: Any, kernel: Ints, out: Ints, conv: Convolution) -> Any:
    """What the kernel sees of ``x[N, C, *spatial]`` at each of the *out* positions: ``[N, C, *out, *kernel]``."""
    if any(conv.padding):
        x = F.pad(x, [padding for padding in reversed(conv.padding) for _ in range(2)])
    for number, size in enumerate(kernel):
        dilation = conv.dilation[number]
        x = x.unfold(2 + number, dilation * (size - 1) + 1, conv.stride[number]).narrow(2 + number, 0, out[number])
        if dilation > 1:
            x = x[..., ::dilation]
    return x


def _weight_gradient(wide: Any, narrow: Any, kernel: Ints, conv: Convolution) -> Any:
    """The gradient of each sample's weight, differentiable.

    *wide* is the input of a convolution, or the output's gradient of a transposed one; *narrow* the other of the two.
    Both are ``[B, N, channels, *spatial]``.
    """
    batch, n, channels = wide.shape[:3]
    groups, dims, out = conv.groups, len(kernel), narrow.shape[3:]
    patches = _patches(_together(wide), kernel, out, conv)
    patches = patches.reshape((batch, n, groups, channels // groups) + out + kernel)
    order = [0, 2, 3] + list(range(4 + dims, 4 + 2 * dims)) + [1] + list(range(4, 4 + dims))
    positions = n * torch.Size(out).numel()
    columns = channels // groups * torch.Size(kernel).numel()
    patches = patches.permute(order).reshape(batch * groups, columns, positions)
    rows = narrow.transpose(1, 2).reshape(batch * groups, narrow.shape[2] // groups, positions)
    return torch.bmm(rows, patches.transpose(1, 2)).reshape((batch, narrow.shape[2], channels // groups) + kernel)


def _convolution_backward(g: Any, x: Any, w: Any, conv: Convolution, groups: int, mask: list[bool]) -> Any:
    return torch.ops.aten.convolution_backward(
        g, x, w, None, conv.stride, conv.padding, conv.dilation, False, conv.output_padding, groups, mask
    )


def _fast_weight_gradient(g: Any, x: Any, w: Any, conv: Convolution) -> Any:
    kernel = tuple(w.shape[3:])
    if conv.transposed:
        return _weight_gradient(g, x, kernel, conv)
    if not (HAS_CONVOLUTION_BACKWARD and SLOW_BMM and x.device.type == "cpu"):
        return _weight_gradient(x, g, kernel, conv)
    batch, n = x.shape[:2]
    weight = w[0].new_empty((batch * w.shape[1],) + w.shape[2:])  # only its shape counts
    x, g = (t.transpose(0, 1).reshape((n, batch * t.shape[2]) + t.shape[3:]) for t in (x, g))
    found = _convolution_backward(g, x, weight, conv, batch * conv.groups, [False, True, False])[1]
    return found.reshape(w.shape)


def _fast_input_gradient(g: Any, x: Any, w: Any, conv: Convolution) -> Any:
    """The gradient of the input ``x[N, ...]`` of a convolution with one weight."""
    if HAS_CONVOLUTION_BACKWARD and not conv.transposed:
        return _convolution_backward(g, x, w, conv, conv.groups, [True, False, False])[0]
    with torch.enable_grad():  # a third of the time of conv_transpose on torch 1.8
        x = x.detach().requires_grad_()
        y = conv.plain(x, w.detach())
    return torch.autograd.grad(y, x, g)[0]


class SharedConvolution(torch.autograd.Function):  # type: ignore[misc]
    """:meth:`Convolution.each` for a weight for which :func:`is_shared` holds."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, conv: Convolution) -> Any:  # type: ignore[override]
        ctx.save_for_backward(x, w)
        ctx.conv = conv
        return _apart(conv.plain(_together(x), w[0]), x.shape[0])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:  # type: ignore[override]
        x, w = ctx.saved_tensors
        g = _as(g, x)
        conv: Convolution = ctx.conv
        grad_x = grad_w = None
        if torch.is_grad_enabled():
            grad_x = conv.adjoint(g, w, x.shape) if ctx.needs_input_grad[0] else None
            if ctx.needs_input_grad[1]:
                wide, narrow = (g, x) if conv.transposed else (x, g)
                grad_w = _weight_gradient(wide, narrow, tuple(w.shape[3:]), conv)
            return grad_x, grad_w, None
        if ctx.needs_input_grad[0]:
            grad_x = _apart(_fast_input_gradient(_together(g), _together(x), w[0], conv), x.shape[0])
        if ctx.needs_input_grad[1]:
            grad_w = _fast_weight_gradient(g, x, w, conv)
        return grad_x, grad_w, None


def convolve(x: Any, w: Any, conv: Convolution) -> Any:
    """The convolution of ``x[B, N, C, *spatial]``, sample by sample, by ``w[B, ...]``."""
    if is_shared(w):
        return SharedConvolution.apply(x, w, conv)
    return conv.each(x, w)
