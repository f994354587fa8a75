"""Layers with one weight for all samples and a gradient for each: the loop over the samples is the oracle."""

import pytest
import torch
import torch.nn.functional as F

from torchcompat import at_least
from torchcompat.func import _shared

B, N = 3, 2

# (dims, transposed, stride, padding, dilation, output_padding, groups)
GEOMETRIES = [
    (1, False, (1,), (0,), (1,), (0,), 1),
    (1, False, (2,), (1,), (2,), (0,), 2),
    (2, False, (1, 1), (0, 0), (1, 1), (0, 0), 1),
    (2, False, (2, 1), (1, 2), (1, 1), (0, 0), 1),
    (2, False, (3, 2), (1, 0), (1, 2), (0, 0), 2),
    (3, False, (1, 2, 1), (0, 1, 1), (1, 1, 2), (0, 0, 0), 2),
    (1, True, (2,), (1,), (1,), (1,), 1),
    (1, True, (1,), (0,), (3,), (2,), 2),
    (2, True, (1, 1), (0, 0), (1, 1), (0, 0), 1),
    (2, True, (2, 3), (1, 0), (2, 1), (1, 2), 2),
    (3, True, (1, 2, 1), (0, 1, 0), (1, 1, 2), (0, 1, 0), 1),
]


def convolution(geometry):
    dims, transposed, stride, padding, dilation, output_padding, groups = geometry
    conv = _shared.Convolution(transposed, stride, padding, dilation, output_padding, groups)
    kernel = (2, 3, 2)[:dims]
    x = torch.randn((B, N, 4) + (7, 6, 5)[:dims], dtype=torch.float64)
    return (
        conv,
        x,
        torch.randn((4, 6 // groups) + kernel if transposed else (6, 4 // groups) + kernel, dtype=torch.float64),
    )


def by_torch(conv, x, w):
    """One sample's convolution, called with torch's own arguments."""
    dims = len(conv.stride)
    if conv.transposed:
        function = getattr(F, f"conv_transpose{dims}d")
        return function(x, w, None, conv.stride, conv.padding, conv.output_padding, conv.groups, conv.dilation)
    return getattr(F, f"conv{dims}d")(x, w, None, conv.stride, conv.padding, conv.dilation, conv.groups)


def expanded(w):
    return w.expand((B,) + w.shape).detach().requires_grad_()


def copies(w):
    return w.expand((B,) + w.shape).clone().requires_grad_()


def assert_near(actual, expected):
    for one, other in zip(actual, expected):
        assert one.shape == other.shape
        assert (one - other).abs().max() < 1e-9 * (1 + other.abs().max())


def first_and_second(function, x, w):
    """The value, gradients by x and w, and the gradients of a function of those."""
    y = function(x, w)
    weights = torch.arange(1.0, y.numel() + 1, dtype=y.dtype).reshape(y.shape).sin()
    loss = (y.tanh() * weights).sum()
    plain = torch.autograd.grad(loss, (x, w), retain_graph=True)
    once = torch.autograd.grad(loss, (x, w), create_graph=True)
    twice = torch.autograd.grad(sum((g * g.cos()).sum() for g in once), (x, w))
    return [y, *plain, *once, *twice]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_shared_convolution_is_the_loop(geometry):
    conv, x, w = convolution(geometry)
    x = x.requires_grad_()
    assert _shared.is_shared(expanded(w))
    ours = first_and_second(lambda x, w: _shared.SharedConvolution.apply(x, w, conv), x, expanded(w))
    loop = first_and_second(lambda x, w: torch.stack([by_torch(conv, x[b], w[b]) for b in range(B)]), x, copies(w))
    assert_near(ours, loop)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_convolution_by_a_weight_for_each_sample_is_the_loop(geometry):
    conv, x, w = convolution(geometry)
    x = x.requires_grad_()
    own = torch.stack([w, 2 * w, w.cos()]).requires_grad_()
    assert not _shared.is_shared(own)
    ours = first_and_second(lambda x, w: _shared.convolve(x, w, conv), x, own)
    loop = first_and_second(lambda x, w: torch.stack([by_torch(conv, x[b], w[b]) for b in range(B)]), x, own)
    assert_near(ours, loop)


def test_a_shared_linear_layer_is_the_loop():
    x = torch.randn(B, N, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(5, 4, dtype=torch.float64)
    ours = first_and_second(_shared.SharedLinear.apply, x, expanded(w))
    loop = first_and_second(lambda x, w: torch.stack([x[b] @ w[b].t() for b in range(B)]), x, copies(w))
    assert_near(ours, loop)


@pytest.mark.parametrize("wanted", ["x", "w"])
def test_only_the_gradient_that_is_needed_is_computed(wanted):
    x = torch.randn(B, N, 4, 7, 6, dtype=torch.float64, requires_grad=wanted == "x")
    w = torch.randn(6, 4, 2, 3, dtype=torch.float64)
    w = w.expand((B,) + w.shape).detach().requires_grad_(wanted == "w")
    conv = _shared.Convolution(False, (1, 1), (0, 0), (1, 1), (0, 0), 1)
    y = _shared.SharedConvolution.apply(x, w, conv)
    grads = y.grad_fn.apply(torch.ones_like(y))
    assert [grad is not None for grad in grads] == [wanted == "x", wanted == "w", False]


@pytest.mark.parametrize("layer", ["linear", "conv", "conv_transpose"])
def test_the_backward_pass_of_torch_can_batch_it(layer):
    # is_grads_batched works with one tensor from 1.12 on
    if not at_least(1, 12):
        pytest.skip("torch has no batched backward pass")
    if layer == "linear":
        x, w, function = torch.randn(B, N, 4), torch.randn(5, 4), _shared.SharedLinear.apply
    else:
        geometry = GEOMETRIES[9 if layer == "conv_transpose" else 4]
        conv, x, w = convolution(geometry)
        function = lambda x, w: _shared.SharedConvolution.apply(x, w, conv)  # noqa: E731
    x, w = x.double().requires_grad_(), expanded(w.double())
    y = function(x, w)
    cotangents = torch.randn((4,) + y.shape, dtype=y.dtype)
    for create_graph in (False, True):
        ours = torch.autograd.grad(
            y, (x, w), cotangents, retain_graph=True, create_graph=create_graph, is_grads_batched=True
        )
        rows = [torch.autograd.grad(y, (x, w), row, retain_graph=True) for row in cotangents]
        assert_near([grad.detach() for grad in ours], [torch.stack(column) for column in zip(*rows)])


def test_no_reference_cycle_keeps_the_tensors():
    import gc
    import weakref

    x = torch.randn(B, N, 4, 7, 6, requires_grad=True)
    conv = _shared.Convolution(False, (1, 1), (0, 0), (1, 1), (0, 0), 1)
    gc.disable()
    try:
        y = _shared.SharedConvolution.apply(x, expanded(torch.randn(6, 4, 2, 3)), conv)
        y.sum().backward()
        seen = weakref.ref(x)
        del x, y
        assert seen() is None
    finally:
        gc.enable()
