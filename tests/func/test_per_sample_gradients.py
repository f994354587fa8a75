"""Gradients for each sample, vmap(grad(loss)), through modules: equal to those of a loop of torch.autograd.

The oracle is the loop: each sample alone, with plain torch. Everything is in float64.
"""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from derivative_laws import native_warnings, normal, on_a_graph, same, transforms

from torchcompat import has
from torchcompat.func import functional_call

pytestmark = [pytest.mark.shim("func.grad"), *native_warnings]

BATCH = 4


@pytest.fixture
def t(impl, shim):
    """All transforms, native or fallback."""
    return transforms(impl, shim)


# --- modules


class Attention(nn.Module):
    """A transformer's encoder layer, spelled out."""

    def __init__(self, width=4, heads=2):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / (width // self.heads) ** 0.5
        mixed = torch.einsum("bhqk,bkhd->bqhd", torch.softmax(scores, -1), v).reshape(batch, length, width)
        x = x + self.out(mixed)
        return x + self.down(torch.relu(self.up(self.norm2(x))))


class Cell(nn.Module):
    """An LSTM, spelled out."""

    def __init__(self, inputs=3, hidden=4):
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Linear(inputs + hidden, 4 * hidden)

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], self.hidden, dtype=x.dtype)
        for step in x.unbind(1):
            i, f, g, o = self.gates(torch.cat([step, h], 1)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


class Bag(nn.Module):
    """Embedding, mean, linear."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.embedding(tokens).mean(1))


class Tied(nn.Module):
    """One matrix in two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def mlp():
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, stride=2, groups=2),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def conv1d():
    return nn.Sequential(nn.Conv1d(2, 4, 3, dilation=2), nn.Tanh(), nn.Conv1d(4, 3, 2), nn.AdaptiveAvgPool1d(1))


CASES = {
    "mlp": (mlp, lambda: normal(BATCH, 5)),
    "cnn": (cnn, lambda: normal(BATCH, 2, 6, 6)),
    "conv1d": (conv1d, lambda: normal(BATCH, 2, 9)),
    "attention": (Attention, lambda: normal(BATCH, 3, 4)),
    "lstm": (Cell, lambda: normal(BATCH, 3, 3)),
    "embedding": (Bag, lambda: torch.randint(7, (BATCH, 5))),
    "tied": (Tied, lambda: normal(BATCH, 3)),
}


def build(name):
    """The module, its parameters as a dict, a batch of inputs, and the module's output's shape."""
    make, batch = CASES[name]
    module = make().double()
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    x = batch()
    return module, params, x, normal(*module(x).shape)


def square_loss(module):
    def loss(params, x, y):
        output = functional_call(module, params, (x.unsqueeze(0),))
        return ((output - y.unsqueeze(0)) ** 2).sum()

    return loss


def looped(module, x, y, names):
    """The oracle: plain autograd, one sample after the other."""
    params = dict(module.named_parameters())
    rows = []
    for one, target in zip(x, y):
        loss = ((module(one.unsqueeze(0)) - target.unsqueeze(0)) ** 2).sum()
        rows.append(torch.autograd.grad(loss, [params[name] for name in names]))
    return {name: torch.stack(column) for name, column in zip(names, zip(*rows))}


# --- every module


@pytest.mark.parametrize("name", sorted(CASES))
def test_equal_the_loop(t, name):
    module, params, x, y = build(name)
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)
    assert not any(on_a_graph(found))


@pytest.mark.parametrize("name", sorted(CASES))
def test_add_up_to_the_gradient_of_the_batch(t, name):
    module, params, x, y = build(name)
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    whole = t.grad(lambda p: ((functional_call(module, p, (x,)) - y) ** 2).sum())(params)
    same({key: value.sum(0) for key, value in found.items()}, whole, tolerance=1e-8)


@pytest.mark.parametrize("name", ["mlp", "cnn", "attention"])
def test_with_the_losses(t, name):
    module, params, x, y = build(name)
    found, losses = t.vmap(t.grad_and_value(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)
    same(losses, ((module(x) - y) ** 2).reshape(BATCH, -1).sum(1).detach(), tolerance=1e-8)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_in_chunks(t, name):
    module, params, x, y = build(name)
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0), chunk_size=3)(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)


# --- variations on the perceptron


def test_with_the_outputs_as_aux(t):
    module, params, x, y = build("mlp")

    def loss(params, x, y):
        output = functional_call(module, params, (x,))
        return ((output - y) ** 2).sum(), {"output": output}

    found, aux = t.vmap(t.grad(loss, has_aux=True), in_dims=(None, 0, 0))(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)
    same(aux, {"output": module(x).detach()}, tolerance=1e-8)


def test_of_a_cross_entropy(t):
    module, params, x, _ = build("mlp")
    labels = torch.randint(3, (BATCH,))

    def loss(params, x, label):
        return F.cross_entropy(functional_call(module, params, (x.unsqueeze(0),)), label.unsqueeze(0))

    found = t.vmap(t.grad(loss), in_dims=(None, 0, 0))(params, x, labels)
    rows = [
        torch.autograd.grad(F.cross_entropy(module(one.unsqueeze(0)), label.unsqueeze(0)), list(module.parameters()))
        for one, label in zip(x, labels)
    ]
    same(found, {name: torch.stack(column) for name, column in zip(params, zip(*rows))}, tolerance=1e-8)


def test_of_samples_that_are_batches_themselves(t):
    module, params, _, _ = build("mlp")
    x, y = normal(3, 2, 5), normal(3, 2, 3)
    loss = lambda p, x, y: ((functional_call(module, p, (x,)) - y) ** 2).sum()  # noqa: E731
    found = t.vmap(t.grad(loss), in_dims=(None, 0, 0))(params, x, y)
    rows = [torch.autograd.grad(((module(a) - b) ** 2).sum(), list(module.parameters())) for a, b in zip(x, y)]
    same(found, {name: torch.stack(column) for name, column in zip(params, zip(*rows))}, tolerance=1e-8)


def test_of_one_input_and_many_targets(t):
    module, params, x, y = build("mlp")
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, None, 0))(params, x[0], y)
    same(found, looped(module, x[:1].expand(BATCH, 5), y, list(params)), tolerance=1e-8)


def test_of_an_expanded_batch(t):
    module, params, x, y = build("mlp")
    expanded = x[:1].expand(BATCH, 5)
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, expanded, y)
    same(found, looped(module, expanded, y, list(params)), tolerance=1e-8)


def test_by_the_inputs(t):
    module, params, x, y = build("cnn")
    found = t.vmap(t.grad(square_loss(module), argnums=1), in_dims=(None, 0, 0))(params, x, y)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(((module(leaf) - y) ** 2).sum(), leaf)
    same(found, expected, tolerance=1e-8)


def test_by_parameters_and_inputs_together(t):
    module, params, x, y = build("mlp")
    by_params, by_x = t.vmap(t.grad(square_loss(module), argnums=(0, 1)), in_dims=(None, 0, 0))(params, x, y)
    same(by_params, looped(module, x, y, list(params)), tolerance=1e-8)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(((module(leaf) - y) ** 2).sum(), leaf)
    same(by_x, expected, tolerance=1e-8)


def test_of_the_module_s_own_parameters_leave_the_module_alone(t):
    module, _, x, y = build("mlp")
    params = dict(module.named_parameters())
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    same({key: value.detach() for key, value in found.items()}, looped(module, x, y, list(params)), tolerance=1e-8)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert dict(module.named_parameters()) == params


def test_frozen_parameters_have_none(t):
    module, params, x, y = build("mlp")
    last = {key: value for key, value in params.items() if key.startswith("4.")}
    loss = lambda last, x, y: square_loss(module)({**params, **last}, x, y)  # noqa: E731
    found = t.vmap(t.grad(loss), in_dims=(None, 0, 0))(last, x, y)
    same(found, looped(module, x, y, ["4.weight", "4.bias"]), tolerance=1e-8)


# --- beyond first order


def test_a_gradient_penalty(t):
    # The gradient of the sum of the squared norms of the gradients by the inputs.
    module, params, x, _ = build("mlp")
    module[3] = nn.Tanh()  # torch 1.2 has no second derivative of some others

    def penalty(params):
        score = lambda x: functional_call(module, params, (x,)).sum()  # noqa: E731
        slopes = t.vmap(t.grad(score))(x)
        return (slopes * slopes).sum()

    found = t.grad(penalty)(params)
    leaf = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(module(leaf).sum(), leaf, create_graph=True)
    expected = torch.autograd.grad((slopes * slopes).sum(), list(module.parameters()), allow_unused=True)
    expected = [torch.zeros_like(p) if g is None else g for g, p in zip(expected, module.parameters())]
    same(found, dict(zip(params, expected)), tolerance=1e-8)


def test_a_gradient_penalty_for_each_sample(t):
    module, params, x, _ = build("tied")

    def penalty(params, x):
        slope = t.grad(lambda x: functional_call(module, params, (x,)).sum())(x)
        return (slope * slope).sum()

    found = t.vmap(t.grad(penalty), in_dims=(None, 0))(params, x)
    rows = []
    for one in x:
        leaf = one.clone().requires_grad_()
        (slope,) = torch.autograd.grad(module(leaf).sum(), leaf, create_graph=True)
        rows.append(torch.autograd.grad((slope * slope).sum(), list(module.parameters()), allow_unused=True))
    expected = {}
    for name, column, parameter in zip(params, zip(*rows), module.parameters()):
        expected[name] = torch.stack([torch.zeros_like(parameter) if g is None else g for g in column])
    same(found, expected, tolerance=1e-8)


def test_the_norms_of_the_gradients_differentiated_by_autograd(t):
    module, _, x, y = build("tied")
    params = dict(module.named_parameters())
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    total = sum((gradient * gradient).sum() for gradient in found.values())
    second = torch.autograd.grad(total, list(params.values()))
    expected = [torch.zeros_like(p) for p in params.values()]
    for one, target in zip(x, y):
        loss = ((module(one.unsqueeze(0)) - target.unsqueeze(0)) ** 2).sum()
        gradients = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        norm = sum((gradient * gradient).sum() for gradient in gradients)
        rows = torch.autograd.grad(norm, list(params.values()))
        expected = [sofar + row for sofar, row in zip(expected, rows)]
    same(list(second), expected, tolerance=1e-8)


# --- models mapped as well


def test_an_ensemble_is_each_model_alone(t):
    modules = [mlp().double() for _ in range(3)]
    stacked = {
        name: torch.stack([dict(module.named_parameters())[name].detach() for module in modules])
        for name, _ in modules[0].named_parameters()
    }
    x, y = normal(BATCH, 5), normal(BATCH, 3)
    loss = lambda p, x, y: ((functional_call(modules[0], p, (x,)) - y) ** 2).sum()  # noqa: E731
    found = t.vmap(t.grad(loss), in_dims=(0, None, None))(stacked, x, y)
    rows = [torch.autograd.grad(((module(x) - y) ** 2).sum(), list(module.parameters())) for module in modules]
    same(found, {name: torch.stack(column) for name, column in zip(stacked, zip(*rows))}, tolerance=1e-8)


def test_an_ensemble_with_gradients_for_each_sample(t):
    modules = [mlp().double() for _ in range(2)]
    names = [name for name, _ in modules[0].named_parameters()]
    stacked = {name: torch.stack([dict(m.named_parameters())[name].detach() for m in modules]) for name in names}
    x, y = normal(BATCH, 5), normal(BATCH, 3)
    per_sample = t.vmap(t.grad(square_loss(modules[0])), in_dims=(None, 0, 0))
    found = t.vmap(per_sample, in_dims=(0, None, None))(stacked, x, y)
    each = [looped(module, x, y, names) for module in modules]
    same(found, {name: torch.stack([one[name] for one in each]) for name in names}, tolerance=1e-8)


def test_meta_learning(t):
    """The gradient of the loss after one step of descent on a task, for each of several tasks."""
    module = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    x, y, x_new, y_new = (normal(3, 5, size) for size in (2, 1, 2, 1))
    rate = 0.1

    def loss(params, x, y):
        return ((functional_call(module, params, (x,)) - y) ** 2).mean()

    def after_a_step(params, x, y, x_new, y_new):
        gradient = t.grad(loss)(params, x, y)
        return loss({key: params[key] - rate * gradient[key] for key in params}, x_new, y_new)

    found, losses = t.vmap(t.grad_and_value(after_a_step), in_dims=(None, 0, 0, 0, 0))(params, x, y, x_new, y_new)

    leaves = {key: value.clone().requires_grad_() for key, value in params.items()}

    def plain(params, x):
        hidden = torch.tanh(x @ params["0.weight"].t() + params["0.bias"])
        return hidden @ params["2.weight"].t() + params["2.bias"]

    rows, expected_losses = [], []
    for task in range(3):
        first = ((plain(leaves, x[task]) - y[task]) ** 2).mean()
        gradients = torch.autograd.grad(first, list(leaves.values()), create_graph=True)
        moved = {key: leaves[key] - rate * gradient for key, gradient in zip(leaves, gradients)}
        second = ((plain(moved, x_new[task]) - y_new[task]) ** 2).mean()
        rows.append(torch.autograd.grad(second, list(leaves.values())))
        expected_losses.append(second.detach())
    same(losses, torch.stack(expected_losses), tolerance=1e-8)
    same(found, {key: torch.stack(column) for key, column in zip(leaves, zip(*rows))}, tolerance=1e-8)


def test_tied_weights_collect_both_gradients(t):
    module, params, x, y = build("tied")
    assert "second.weight" not in params
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    weight, b1, b2 = params["first.weight"], params["first.bias"], params["second.bias"]
    hidden = torch.tanh(x @ weight.t() + b1)
    outer = 2 * (hidden @ weight.t() + b2 - y)
    inner = (outer @ weight) * (1 - hidden * hidden)
    expected = outer.unsqueeze(2) * hidden.unsqueeze(1) + inner.unsqueeze(2) * x.unsqueeze(1)
    same(found["first.weight"], expected, tolerance=1e-8)


def test_dropout_in_evaluation_changes_nothing(t):
    module, params, x, y = build("mlp")
    longer = nn.Sequential(*module, nn.Dropout(0.5)).eval()
    found = t.vmap(t.grad(square_loss(longer)), in_dims=(None, 0, 0))(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)


@pytest.mark.shim("func.vmap")
@pytest.mark.limit("flash")
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch loops over its attention kernel, and says so
def test_an_encoder_layer_of_torch(t):
    if not has("torch.nn.TransformerEncoderLayer", param="batch_first"):
        pytest.skip("TransformerEncoderLayer has no batch_first here")
    module = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    x, y = normal(BATCH, 3, 4), normal(BATCH, 3, 4)
    found = t.vmap(t.grad(square_loss(module)), in_dims=(None, 0, 0))(params, x, y)
    same(found, looped(module, x, y, list(params)), tolerance=1e-8)
