"""Networks of torch's own modules under the transforms, against a loop of torch.autograd over samples; in float64."""

import pytest
import torch
import torch.nn as nn
from derivative_laws import native_warnings, normal, on_a_graph, same, transforms

from torchcompat import UnsupportedError, at_least, at_most
from torchcompat.func import functional_call

pytestmark = [pytest.mark.shim("func.grad"), *native_warnings]

BATCH = 4


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.recurrent = kind(3, 2)

    def forward(self, x):
        return self.recurrent(x)[0]


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(7, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.words((x * 3).abs().long().clamp(max=6)).mean(0))


def chain(*modules):
    return nn.Sequential(*modules)


# By name: the network, and the shape of one sample.
NETWORKS = {
    "mlp": (lambda: chain(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (3,)),
    "mlp on rows": (lambda: chain(nn.Linear(3, 4), nn.ELU(), nn.Linear(4, 2), nn.Softmax(-1)), (2, 3)),
    "cnn": (
        lambda: chain(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 3, groups=2, stride=2, bias=False),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        (1, 2, 6, 6),
    ),
    "pools": (lambda: chain(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2), nn.Sigmoid(), nn.AdaptiveAvgPool2d(2)), (2, 1, 6, 6)),
    "conv1d": (
        lambda: chain(nn.Conv1d(2, 3, 3, dilation=2), nn.Tanh(), nn.ConvTranspose1d(3, 2, 2, stride=2)),
        (2, 2, 7),
    ),
    "conv3d": (lambda: chain(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.AvgPool3d(2)), (1, 1, 4, 4, 4)),
    "upsampling": (lambda: chain(nn.Conv2d(1, 2, 2), nn.PReLU(), nn.Upsample(scale_factor=2)), (1, 1, 4, 4)),
    "layer norm": (lambda: chain(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2)), (2, 3)),
    "group norm": (lambda: chain(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Tanh()), (2, 2, 5, 5)),
    "batch norm": (
        lambda: chain(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Tanh()),
        (3, 2, 5, 5),
    ),
    "instance norm": (lambda: chain(nn.Conv2d(1, 2, 2), nn.InstanceNorm2d(2, affine=True), nn.Tanh()), (1, 1, 5, 5)),
    "embedding": (Words, (5,)),
    "multi-head attention": (Attention, (5, 1, 4)),
    "lstm": (lambda: Recurrent(nn.LSTM), (4, 1, 3)),
    "gru": (lambda: Recurrent(nn.GRU), (4, 1, 3)),
}
NORMS = ("layer norm", "batch norm", "instance norm")
# torch's own vmap has no rules for these with weights of their own for each sample, or for a loss of a loss.
UNRULED = ("lstm", "gru")


def oracle(compute):
    """What plain torch computes; the test is skipped where this torch cannot."""
    try:
        return compute()
    except RuntimeError as error:
        if at_least(2, 0):
            raise
        pytest.skip(f"plain torch cannot do this here: {error}")


@pytest.fixture(params=sorted(NETWORKS))
def network(request, impl, shim):
    if request.param in UNRULED and impl is shim.native:
        pytest.skip("torch's own vmap has no rule for recurrent layers")
    build, shape = NETWORKS[request.param]
    module = build().double()
    params = {name: p.detach().clone() for name, p in module.named_parameters()}
    return request.param, module, params, normal(BATCH, *shape)


def loss_of(module):
    return lambda params, x: (functional_call(module, params, (x,)) ** 2).sum()


def gradients(loss, params, x, create_graph=False):
    return torch.autograd.grad(loss(params, x), list(params.values()), create_graph=create_graph)


def leaves(params):
    return {name: p.clone().requires_grad_() for name, p in params.items()}


def stacked(columns, names):
    return dict(zip(names, map(torch.stack, zip(*columns))))


@pytest.fixture
def t(impl, shim):
    return transforms(impl, shim)


def test_gradients_of_each_sample(t, network):
    _, module, params, x = network
    loss = loss_of(module)
    expected = oracle(lambda: stacked([gradients(loss, leaves(params), sample) for sample in x], params))
    found = t.vmap(t.grad(loss), in_dims=(None, 0))(params, x)
    same(found, expected)
    assert not any(on_a_graph(found))


def test_gradients_by_the_input(t, network):
    name, module, params, x = network
    if name == "embedding":
        pytest.skip("words have no gradient")
    leaf = x.clone().requires_grad_()
    loss = loss_of(module)
    (expected,) = oracle(lambda: torch.autograd.grad(sum(loss(params, sample) for sample in leaf), leaf))
    same(t.vmap(t.grad(loss, argnums=1), in_dims=(None, 0))(params, x), expected)


def test_an_ensemble_of_its_own_samples(t, network):
    _, module, params, x = network
    loss = loss_of(module)
    members = [{name: p * scale for name, p in params.items()} for scale in (1.0, 1.1, 0.9)]
    expected = oracle(
        lambda: stacked([gradients(loss, leaves(member), sample) for member, sample in zip(members, x)], params)
    )
    weights = {name: torch.stack([member[name] for member in members]) for name in params}
    same(t.vmap(t.grad(loss))(weights, x[:3]), expected)


def penalty_by_loop(loss, params, x):
    variables = leaves(params)
    total = sum(
        (g * g).sum() for sample in x for g in gradients(loss, variables, sample, create_graph=True) if g is not None
    )
    found = torch.autograd.grad(total, list(variables.values()), allow_unused=True)
    return {name: torch.zeros_like(params[name]) if g is None else g for (name, g) in zip(params, found)}


def penalty(t, loss, params, x):
    per_sample = t.vmap(t.grad(loss), in_dims=(None, 0))
    found = t.grad(lambda params: sum((g * g).sum() for g in per_sample(params, x).values()))(params)
    assert not any(on_a_graph(found))
    return found


@pytest.fixture
def smooth(network):
    name, module, params, x = network
    if name in NORMS:
        pytest.skip("see the test of normalised networks")
    loss = loss_of(module)
    return loss, params, x, oracle(lambda: penalty_by_loop(loss, params, x))


def test_the_gradient_of_the_norms_of_the_gradients(t, smooth):
    loss, params, x, expected = smooth
    same(penalty(t, loss, params, x), expected, tolerance=1e-8)


@pytest.mark.limit("norm_penalty")
@pytest.mark.parametrize("name", NORMS)
def test_the_gradient_of_the_norms_of_the_gradients_of_normalised_networks(t, name):
    build, shape = NETWORKS[name]
    module, x = build().double(), normal(BATCH, *shape)
    params = {key: p.detach().clone() for key, p in module.named_parameters()}
    loss = loss_of(module)
    if name == "layer norm" and at_most(1, 6):
        with pytest.raises(UnsupportedError, match=r"layer_norm.*torch 1\.7"):  # torch's own is wrong, see test_twice
            penalty(t, loss, params, x)
        return
    expected = oracle(lambda: penalty_by_loop(loss, params, x))
    same(penalty(t, loss, params, x), expected, tolerance=1e-8)
