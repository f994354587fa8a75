"""``functional_call`` of torch's own modules, under transforms and the compiler, and beside the native."""

import copy
import sys
import weakref

import numpy as np
import pytest
import torch
from functional_call_tools import X, assert_untouched, quiet, scalar, slots
from torch import nn

from torchcompat import SHIMS, at_least

pytestmark = pytest.mark.shim("func.functional_call")


SHIM = SHIMS["func.functional_call"]


needs_native = pytest.mark.skipif(SHIM.native is None, reason="torch has no functional_call here to compare with")


# torch 2.0 came out before its compiler knew Python 3.11.
needs_compile = pytest.mark.skipif(
    not at_least(2, 1) and (not at_least(2, 0) or sys.version_info >= (3, 11)),
    reason="torch.compile does not work here",
)


needs_parametrize = pytest.mark.skipif(not at_least(1, 9), reason="torch has parametrizations since 1.9")


# Modules that keep a second copy of their tensors

RECURRENT = [(nn.RNN, {}), (nn.GRU, {"num_layers": 2}), (nn.LSTM, {"bidirectional": True})]


if at_least(1, 8):
    RECURRENT.append((nn.LSTM, {"proj_size": 1}))


@pytest.mark.parametrize(("kind", "options"), RECURRENT)
def test_recurrent(impl, kind, options):
    module = kind(2, 3, **options)
    twin = kind(2, 3, **options)
    x = torch.randn(4, 1, 2)
    expected = quiet(twin, x)[0]  # oneDNN warns about projections
    own = module(x)[0]
    state = {name: tensor.detach().clone().requires_grad_() for name, tensor in twin.named_parameters()}
    out = impl(module, state, (x,))[0]
    assert torch.equal(out, expected)
    names, tensors = zip(*twin.named_parameters())
    wanted = torch.autograd.grad(expected.sum(), tensors)
    for grad, want in zip(torch.autograd.grad(out.sum(), [state[name] for name in names]), wanted):
        assert torch.allclose(grad, want)
    assert torch.equal(module(x)[0], own)


@pytest.mark.limit("flat_weights")
def test_recurrent_is_restored(impl):
    module = nn.LSTM(2, 3)
    x = torch.randn(4, 1, 2)
    before = slots(module)
    state = {name: torch.randn_like(tensor) for name, tensor in module.named_parameters()}
    watch = [weakref.ref(tensor) for tensor in state.values()]
    with torch.no_grad():
        impl(module, state, (x,))
    del state
    assert [ref for ref in watch if ref() is not None] == []
    assert_untouched(module, before)


@pytest.mark.limit("weight_norm")
def test_weight_norm(impl):
    module = nn.Sequential(quiet(nn.utils.weight_norm, nn.Linear(2, 1, bias=False)))
    x = torch.tensor([[3.0, 4.0]])
    module(x)
    before = slots(module)
    v, g = torch.tensor([[3.0, 4.0]]), torch.tensor([[10.0]], requires_grad=True)
    out = impl(module, {"0.weight_v": v, "0.weight_g": g}, (x,))
    assert out.item() == pytest.approx(10 * 5)
    assert torch.autograd.grad(out, g)[0].item() == pytest.approx(5)
    assert_untouched(module, before)
    direction = module[0].weight_v / module[0].weight_v.norm()
    assert torch.allclose(module[0].weight, module[0].weight_g * direction)


def test_weight_norm_recomputes_a_weight_that_is_passed(impl):
    module = quiet(nn.utils.weight_norm, nn.Linear(2, 1, bias=False))
    own = module(torch.ones(1, 2)).item()
    assert impl(module, {"weight": torch.zeros(1, 2)}, (torch.ones(1, 2),)).item() == own


def test_spectral_norm(impl):
    module = quiet(nn.utils.spectral_norm, nn.Linear(2, 2, bias=False)).eval()
    names = set(module._parameters) | set(module._buffers)
    state = {
        name: tensor.clone()
        for name, tensor in list(module._parameters.items()) + list(module._buffers.items())
        if tensor is not None
    }
    module(torch.eye(2))
    before = slots(module)
    out = impl(
        module,
        {name: 7 * tensor if name == "weight_orig" else tensor for name, tensor in state.items()},
        (torch.eye(2),),
    )
    assert torch.allclose(out, module(torch.eye(2)), atol=1e-6)
    assert names == set(module._parameters) | set(module._buffers)
    assert_untouched(module, before, but=("weight",))


class Plus(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1, 1))

    def forward(self, x):
        return x + self.one


@needs_parametrize
def test_parametrized(impl):
    from torch.nn.utils import parametrize

    module = parametrize.register_parametrization(nn.Linear(1, 1, bias=False), "weight", Plus())
    before = slots(module)
    new = (5 * X).requires_grad_()
    out = impl(module, {"parametrizations.weight.original": new}, (X,))
    assert out == 6
    assert torch.autograd.grad(out, new)[0] == 1
    assert impl(module, {"parametrizations.weight.original": 5 * X, "parametrizations.weight.0.one": 2 * X}, (X,)) == 7
    assert_untouched(module, before)


@needs_parametrize
@pytest.mark.limit("parametrized")
def test_parametrized_by_its_plain_name(impl):
    from torch.nn.utils import parametrize

    module = parametrize.register_parametrization(nn.Linear(1, 1, bias=False), "weight", Plus())
    before = slots(module)
    new = (5 * X).requires_grad_()
    out = impl(module, {"weight": new}, (X,))
    assert out == 5
    assert torch.autograd.grad(out, new)[0] == 1
    assert_untouched(module, before)


@pytest.mark.skipif(not at_least(1, 4), reason="torch has pruning since 1.4")
def test_pruned(impl):
    from torch.nn.utils import prune

    module = prune.custom_from_mask(nn.Linear(2, 1, bias=False), "weight", torch.tensor([[1.0, 0.0]]))
    assert impl(module, {"weight_orig": torch.tensor([[3.0, 4.0]])}, (torch.ones(1, 2),)) == 3
    out = impl(module, {"weight_mask": torch.tensor([[0.0, 0.0]])}, (torch.ones(1, 2),))
    assert out == 0
    assert module(torch.ones(1, 2)).item() == module.weight_orig[0, 0].item()


# Transforms


def test_a_maml_step_has_second_order_gradients(impl):
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x, y = torch.randn(5, 2).double(), torch.randn(5, 1).double()
    names = [name for name, _ in module.named_parameters()]
    start = [tensor.detach().clone().requires_grad_() for tensor in module.parameters()]

    def loss(tensors, x, y):
        return ((impl(module, dict(zip(names, tensors)), (x,)) - y) ** 2).mean()

    def after_a_step(tensors):
        grads = torch.autograd.grad(loss(tensors, x, y), tensors, create_graph=True)
        return loss([tensor - 0.1 * grad for tensor, grad in zip(tensors, grads)], x.flip(0), y)

    gradient = torch.autograd.grad(after_a_step(start), start)
    directions = [torch.randn_like(tensor) for tensor in start]
    step = 1e-5
    ahead, back = (
        after_a_step(
            [(tensor + sign * step * d).detach().requires_grad_() for tensor, d in zip(start, directions)]
        ).item()
        for sign in (1, -1)
    )
    along = sum((grad * direction).sum() for grad, direction in zip(gradient, directions)).item()
    assert along == pytest.approx((ahead - back) / (2 * step), rel=1e-6)


def transforms():
    if at_least(2, 0):
        return torch.func
    return pytest.importorskip("functorch", reason="torch has vmap over autograd since 1.13")


@pytest.mark.skipif(not at_least(1, 13), reason="torch has vmap over autograd since 1.13")
def test_per_sample_gradients(impl):
    func = transforms()
    module = nn.Linear(3, 1, bias=False)
    before = slots(module)
    weight, x, y = torch.randn(1, 3), torch.randn(6, 3), torch.randn(6)

    def loss(state, x, y):
        return ((impl(module, state, (x.unsqueeze(0),)).squeeze() - y) ** 2).sum()

    grads = func.vmap(func.grad(loss), in_dims=(None, 0, 0))({"weight": weight}, x, y)["weight"]
    w, x, y = weight.numpy()[0], x.numpy(), y.numpy()
    np.testing.assert_allclose(grads.numpy()[:, 0], (2 * (x @ w - y))[:, None] * x, rtol=1e-4, atol=1e-5)
    assert_untouched(module, before)


@pytest.mark.skipif(not at_least(1, 13), reason="torch has vmap over autograd since 1.13")
def test_an_ensemble_and_a_jacobian(impl):
    func = transforms()
    module = nn.Linear(2, 2, bias=False)
    stack, x = torch.randn(4, 2, 2), torch.randn(2)
    out = func.vmap(lambda weight: impl(module, {"weight": weight}, (x,)))(stack)
    np.testing.assert_allclose(out.numpy(), stack.numpy() @ x.numpy(), rtol=1e-5, atol=1e-6)
    jacobian = func.jacrev(lambda weight: impl(module, {"weight": weight}, (x,)))(stack[0])
    np.testing.assert_allclose(jacobian.numpy(), np.einsum("ij,k->ijk", np.eye(2), x.numpy()), atol=1e-6)
    # Not func.hessian: its forward mode compiles for 20 s on first use.
    hessian = func.jacrev(func.jacrev(lambda weight: impl(module, {"weight": weight}, (x,)).pow(2).sum()))(stack[0])
    want = np.einsum("ij,k,l->ikjl", 2 * np.eye(2), x.numpy(), x.numpy())
    np.testing.assert_allclose(hessian.numpy(), want, rtol=1e-4, atol=1e-5)


# The compiler


class Direct(nn.Module):
    """Uses its parameter directly, and one through a submodule: compilers treat the two differently."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(scalar(1))
        self.inner = nn.Linear(1, 1, bias=False)

    def forward(self, x):
        return self.inner(x) * self.w


def compiled(function, fullgraph=False):
    torch._dynamo.reset()
    return torch.compile(function, backend="eager", fullgraph=fullgraph)


def squares(call):
    return [call({"w": scalar(n), "inner.weight": n * X}, X).item() for n in (2, 3, 5)]


@needs_compile
@pytest.mark.limit("compile")
def test_in_compiled_code(impl):
    module = Direct()
    before = slots(module)
    assert squares(compiled(lambda state, x: impl(module, state, (x,)))) == [4, 9, 25]
    assert_untouched(module, before)


@needs_compile
@pytest.mark.limit("fullgraph")
def test_in_one_graph(impl):
    module = Direct()
    before = slots(module)
    assert squares(compiled(lambda state, x: impl(module, state, (x,)), fullgraph=True)) == [4, 9, 25]
    assert_untouched(module, before)


@needs_compile
@pytest.mark.limit("compile")
def test_a_compiled_module_is_right_or_refused(impl):
    module = compiled(Direct())

    def call(state, x):
        return impl(module, {"_orig_mod." + name: tensor for name, tensor in state.items()}, (x,))

    try:
        results = squares(call)
    except RuntimeError:
        assert not at_least(2, 4)
    else:
        assert results == [4, 9, 25]


# Fallback against native


def mlp():
    return nn.Sequential(nn.Linear(3, 4), nn.GELU() if at_least(1, 4) else nn.ReLU(), nn.Linear(4, 2)), torch.randn(
        5, 3
    )


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)), torch.randn(
        5, 3, 4, 4
    )


def transformer():
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), torch.randn(3, 2, 8)


@needs_native
@pytest.mark.parametrize("make", [mlp, convolutional, transformer])
def test_the_same_as_torch(impl, make):
    module, x = make()
    state = {name: torch.randn_like(tensor) for name, tensor in module.named_parameters()}
    buffers = {name: tensor.clone() for name, tensor in module.named_buffers()}
    results = []
    for call in (impl, SHIM.native):
        tensors = {name: tensor.clone().requires_grad_() for name, tensor in state.items()}
        moved = copy.deepcopy(buffers)
        out = call(module, (tensors, moved), (x,))
        results.append((out, torch.autograd.grad(out.pow(2).sum(), list(tensors.values())), list(moved.values())))
    (out, grads, moved), (out_native, grads_native, moved_native) = results
    assert out.dtype == out_native.dtype
    assert torch.equal(out, out_native)
    assert all(map(torch.equal, grads, grads_native))
    assert all(map(torch.equal, moved, moved_native))
