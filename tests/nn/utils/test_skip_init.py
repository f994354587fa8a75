"""Modules that are not initialised, and the deprecated functional call."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from torchcompat import SHIMS, at_least

about_skip = pytest.mark.shim("nn.utils.skip_init")
about_call = pytest.mark.shim("nn.utils.stateless.functional_call")
needs_devices = pytest.mark.skipif(not at_least(1, 9), reason="layers take a device since torch 1.9")


def shapes(module):
    return {
        name: (tuple(tensor.shape), tensor.dtype, tensor.device.type) for name, tensor in module.state_dict().items()
    }


@about_skip
@pytest.mark.parametrize(
    ("kind", "args", "options"),
    [
        (nn.Linear, (2, 3), {}),
        (nn.Linear, (2,), {"out_features": 3, "bias": False}),
        (nn.Conv2d, (2, 3, 3), {"padding": 1}),
        (nn.ConvTranspose1d, (2, 3, 3), {}),
        (nn.BatchNorm2d, (3,), {}),
        (nn.LayerNorm, (3,), {}),
        (nn.Embedding, (4, 2), {"padding_idx": 1}),
        (nn.EmbeddingBag, (4, 2), {}),
        (nn.GRUCell, (2, 3), {}),
        (nn.Bilinear, (2, 2, 2), {}),
        (nn.PReLU, (), {}),
        (nn.MultiheadAttention, (4, 2), {}),
        (nn.TransformerEncoderLayer, (4, 2, 8), {}),
    ],
)
def test_makes_the_module_and_draws_no_number(impl, kind, args, options):
    before = torch.get_rng_state()
    module = impl(kind, *args, **options)
    np.testing.assert_array_equal(torch.get_rng_state().numpy(), before.numpy())
    assert type(module) is kind
    made = kind(*args, **options)
    assert shapes(module) == shapes(made)
    assert repr(module) == repr(made)
    assert all(p.requires_grad and p.is_leaf and isinstance(p, nn.Parameter) for p in module.parameters())
    module.load_state_dict(made.state_dict())


@about_skip
def test_dtype_and_device(impl):
    module = impl(nn.BatchNorm1d, 3, device="cpu", dtype=torch.float64)
    assert shapes(module) == shapes(nn.BatchNorm1d(3).double())
    module.reset_parameters()
    module(torch.ones(2, 3, dtype=torch.float64)).sum().backward()


@about_skip
@pytest.mark.parametrize("kind", [int, nn.ReLU, nn.CrossEntropyLoss])
def test_what_it_cannot_make(impl, kind):
    with pytest.raises(RuntimeError):
        impl(kind)


@about_skip
def test_what_takes_no_device(impl):
    class Own(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(size))

    with pytest.raises(RuntimeError, match="device"):
        impl(Own, 3)
    with pytest.raises(RuntimeError, match="device"):
        impl(nn.LSTM, 2, 3)
    with pytest.raises(RuntimeError, match="device"):
        impl(nn.Sequential, nn.Linear(1, 1))
    with pytest.raises(RuntimeError, match="device"):
        impl(nn.TransformerEncoder, nn.TransformerEncoderLayer(4, 2, 8), 1)
    with pytest.raises(TypeError):
        impl(3)


@about_skip
@needs_devices
def test_a_class_of_ones_own(impl):
    class Own(nn.Module):
        def __init__(self, size, device=None):
            super().__init__()
            self.places = [device]
            self.linear = nn.Linear(size, size, device=device)

    module = impl(Own, 3)
    assert (module.places, module.linear.weight.device.type) == (["meta"], "cpu")


def call(impl, *args, **kwargs):
    with pytest.warns(FutureWarning, match="func.functional_call"):
        return impl(*args, **kwargs)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.tied = self.weight
        self.register_buffer("count", torch.tensor(0.0))

    def forward(self, x, shift=0.0):
        self.count = self.count + 1
        return x * self.weight * self.tied + shift


@about_call
def test_calls_with_other_tensors(impl):
    module = Counter()
    weight = torch.tensor(3.0, requires_grad=True)
    state = {"weight": weight, "count": torch.tensor(5.0)}
    out = call(impl, module, state, torch.tensor(2.0), {"shift": 1.0})
    assert out.item() == 19.0
    out.backward()
    assert weight.grad.item() == 12.0
    assert (module.weight.item(), module.tied is module.weight, module.count.item()) == (2.0, True, 0.0)
    assert (state["count"].item(), state["weight"] is weight) == (6.0, True)


@about_call
def test_arguments(impl):
    module = Counter()
    assert call(impl, module, {}, (torch.tensor(2.0), 1.0)).item() == 9.0
    three = {"weight": torch.tensor(3.0)}
    assert call(impl, module, three, torch.tensor(1.0), tie_weights=False).item() == 6.0
    with pytest.raises(RuntimeError, match="count"):
        call(impl, module, three, torch.tensor(1.0), strict=True)
    with pytest.raises(ValueError, match="tied"):
        call(impl, module, dict(three, tied=torch.tensor(4.0)), torch.tensor(1.0))


@about_call
@pytest.mark.limit("args")
def test_keyword_arguments_alone(impl):
    assert call(impl, Counter(), {}, kwargs={"x": torch.tensor(2.0)}).item() == 8.0


@about_call
def test_the_warning_is_the_callers(impl):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        impl(nn.Linear(1, 1), {}, torch.ones(1))
    assert [(w.category, w.filename) for w in caught] == [(FutureWarning, __file__)]


def test_our_own_refuses_what_is_no_dict():
    with pytest.raises(TypeError, match="dict"):
        call(SHIMS["nn.utils.stateless.functional_call"].fallback, Counter(), [{}], torch.ones(1))
