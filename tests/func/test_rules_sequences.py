"""vmap of attention, recurrent networks, modules and functions with a backward of their own."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import SHIMS, at_least
from torchcompat.func import _batched

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    # What the first backward pass of torch 1.7 says where there is no driver.
    pytest.mark.filterwarnings("ignore:CUDA initialization"),
]


class Square(torch.autograd.Function):
    """Its forward is right for a batch, and its backward would be."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


class Same(Reverse):
    @staticmethod
    def forward(ctx, x):
        return x


FUNCTIONS = [Square, Reverse, Same]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("after", [lambda y: y, lambda y: y * 2, lambda y: [y.sum()][0], lambda y: torch.stack([y, y])])
def test_a_function_of_ones_own_never_has_wrong_gradients(impl, function, after):
    x = torch.randn(3, 4, requires_grad=True)
    try:
        result = impl(lambda x: after(function.apply(x)))(x)
    except RuntimeError:  # UnsupportedError is one
        assert at_least(1, 7)
        return
    (actual,) = torch.autograd.grad(result.sum(), x)
    (expected,) = torch.autograd.grad(torch.stack([after(function.apply(row)) for row in x]).sum(), x)
    assert torch.allclose(actual, expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_of_a_function_of_ones_own_within_vmap(function):
    grad = SHIMS["func.grad"].fallback
    if not at_least(1, 7):
        pytest.skip("below 1.7 each sample is differentiated by itself")
    with pytest.raises(RuntimeError):
        SHIMS["func.vmap"].fallback(grad(lambda x: function.apply(x).sum()))(torch.randn(3, 4))


def test_what_no_grad_has_made_is_a_constant(impl):
    def function(x):
        with torch.no_grad():
            scale = x * 2
        return x * scale

    check(impl, function, torch.randn(3, 4, dtype=torch.float64), nested=True)
