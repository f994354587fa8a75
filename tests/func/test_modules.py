"""stack_module_state and replace_all_batch_norm_modules_: ensembles, and batch norms without running statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from torchcompat import SHIMS, at_least
from torchcompat.func import functional_call

stack = pytest.mark.shim("func.stack_module_state")
replace = pytest.mark.shim("func.replace_all_batch_norm_modules_")
needs_lazy = pytest.mark.skipif(not at_least(1, 9), reason="torch has lazy batch norms since 1.9")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        self.register_buffer("scale", torch.randn(()))

    def forward(self, x):
        return self.inner(self.norm(x)) * self.scale


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = self.b = nn.Linear(2, 2, bias=False)
        self.c = nn.Linear(2, 2)
        self.c.weight = self.a.weight
        self.register_buffer("nothing", None)


def same_kind(impl, request, name):
    """The native or the fallback object of another shim, as *impl* is."""
    return getattr(SHIMS[name], request.node.callspec.params["impl"])


# --- stack_module_state


@stack
@pytest.mark.parametrize("kind", [list, tuple, nn.ModuleList, lambda models: nn.Sequential(*models)])
def test_state_is_stacked_by_name(impl, kind):
    models = [Net() for _ in range(4)]
    params, buffers = impl(kind(models))
    assert type(params) is type(buffers) is dict
    assert list(params) == [name for name, _ in models[0].named_parameters()]
    assert list(buffers) == [name for name, _ in models[0].named_buffers()]
    for state, named in ((params, "named_parameters"), (buffers, "named_buffers")):
        for index, model in enumerate(models):
            for name, tensor in getattr(model, named)():
                assert torch.equal(state[name][index], tensor)
                assert state[name].dtype == tensor.dtype
                assert len(state[name]) == 4


@stack
def test_parameters_are_fresh_trainable_leaves(impl):
    models = [nn.Linear(2, 3) for _ in range(2)]
    params, _ = impl(models)
    for tensor in params.values():
        assert tensor.is_leaf
        assert tensor.requires_grad
        assert type(tensor) is torch.Tensor
    with torch.no_grad():
        params["weight"].zero_()
    assert all(model.weight.abs().min() > 0 for model in models)
    torch.optim.SGD(list(params.values()), lr=1.0)
    params["weight"].sum().backward()
    assert torch.equal(params["weight"].grad, torch.ones(2, 3, 2))
    assert all(model.weight.grad is None for model in models)


@stack
def test_trainable_or_not_as_the_models(impl):
    models = [nn.BatchNorm1d(2) for _ in range(2)]
    for model in models:
        model.weight.requires_grad_(False)
        model.running_mean.requires_grad_()
    params, buffers = impl(models)
    state = dict(params, **buffers)
    assert {name: tensor.requires_grad for name, tensor in state.items()} == {
        "weight": False,
        "bias": True,
        "running_mean": True,
        "running_var": False,
        "num_batches_tracked": False,
    }
    assert all(tensor.is_leaf for tensor in state.values())
    with torch.no_grad():
        assert impl(models)[0]["bias"].requires_grad


@stack
def test_one_model_and_the_same_model_twice(impl):
    model = nn.Linear(2, 3)
    assert torch.equal(impl([model])[0]["weight"], model.weight.detach().reshape(1, 3, 2))
    assert impl([model, model])[0]["bias"].shape == (2, 3)


@stack
def test_models_without_state(impl):
    assert impl([nn.Tanh(), nn.Tanh()]) == ({}, {})


@stack
def test_tied_tensors_are_there_once(impl):
    params, buffers = impl([Tied(), Tied()])
    assert list(params) == ["a.weight", "c.bias"]
    assert buffers == {}


@stack
@pytest.mark.parametrize("training", [True, False])
def test_each_row_is_one_of_the_models(impl, training):
    models = [Net().train(training) for _ in range(3)]
    params, buffers = impl(models)
    x = torch.randn(5, 2)
    for index, model in enumerate(models):
        row = tuple({name: tensor[index].clone() for name, tensor in state.items()} for state in (params, buffers))
        np.testing.assert_allclose(
            functional_call(models[0], row, (x,)).detach().numpy(), model(x).detach().numpy(), rtol=1e-5, atol=1e-6
        )


@stack
def test_an_ensemble_under_vmap(impl, request):
    vmap = same_kind(impl, request, "func.vmap")
    models = [Net().eval() for _ in range(3)]
    x = torch.randn(5, 2)
    state = impl(models)
    out = vmap(lambda params, buffers: functional_call(models[0], (params, buffers), (x,)))(*state)
    expected = torch.stack([model(x) for model in models])
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    out.pow(2).sum().backward()
    expected.pow(2).sum().backward()
    for name, tensor in state[0].items():
        rows = torch.stack([dict(model.named_parameters())[name].grad for model in models])
        np.testing.assert_allclose(tensor.grad.numpy(), rows.numpy(), rtol=1e-4, atol=1e-5)


def other_training():
    return [nn.Linear(2, 2), nn.Linear(2, 2).eval()]


def other_class():
    return [nn.Linear(2, 2), nn.Tanh()]


def subclass():
    return [nn.Linear(2, 2), type("Mine", (nn.Linear,), {})(2, 2)]


def other_shape():
    return [nn.Linear(2, 2), nn.Linear(2, 3)]


def other_requires_grad():
    models = [nn.Linear(2, 2), nn.Linear(2, 2)]
    models[1].bias.requires_grad_(False)
    return models


@stack
@pytest.mark.parametrize(
    "models", [list, nn.ModuleList, other_training, other_class, subclass, other_shape, other_requires_grad]
)
def test_models_that_differ(impl, models):
    with pytest.raises(RuntimeError):
        impl(models())


@stack
def test_a_name_that_is_missing(impl):
    with pytest.raises(KeyError, match="bias"):
        impl([nn.Linear(2, 2), nn.Linear(2, 2, bias=False)])


@stack
@pytest.mark.parametrize("models", [None, 3, iter([nn.Tanh()])])
def test_what_is_no_sequence(impl, models):
    with pytest.raises(TypeError):
        impl(models)


@stack
def test_what_is_no_module(impl):
    with pytest.raises(AttributeError):
        impl([3, 4])


# --- replace_all_batch_norm_modules_


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def batch_norms():
    makers = [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm]
    modules = [maker(3) for maker in makers]
    if at_least(1, 9):
        modules.append(nn.LazyBatchNorm1d())
    return modules


def assert_replaced(module):
    assert not module.track_running_stats
    for name in STATISTICS:
        assert getattr(module, name) is None
    assert sorted(module.state_dict()) == ["bias", "weight"]


@replace
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("index", range(5 if at_least(1, 9) else 4))
def test_every_kind_of_batch_norm(impl, index):
    alone, within = batch_norms()[index], batch_norms()[index]
    assert impl(alone) is alone
    assert_replaced(alone)
    assert sorted(alone._buffers) == sorted(STATISTICS)
    root = nn.Sequential(nn.Sequential(within), nn.Tanh())
    assert impl(root) is root
    assert root[0][0] is within
    assert_replaced(within)


@replace
def test_a_root_with_batch_norms_inside(impl):
    class Outer(nn.BatchNorm1d):
        def __init__(self):
            super().__init__(2)
            self.inner = nn.BatchNorm1d(2)

    root = Outer()
    impl(root)
    assert root.running_mean is None
    assert_replaced(root.inner)


@replace
def test_weights_and_modes_stay(impl):
    module = nn.BatchNorm1d(3, eps=0.5, momentum=0.25).eval()
    weight, bias = module.weight, module.bias
    impl(nn.Sequential(module, nn.Tanh()))
    assert module.weight is weight
    assert module.bias is bias
    assert (module.training, module.eps, module.momentum) == (False, 0.5, 0.25)


@replace
@pytest.mark.parametrize("training", [True, False])
def test_it_normalises_by_the_batch(impl, training):
    module = nn.BatchNorm1d(3).train(training)
    module.running_mean.fill_(100.0)
    x = np.random.RandomState(0).randn(6, 3)
    out = impl(module)(torch.from_numpy(x).float()).detach().numpy()
    np.testing.assert_allclose(out, (x - x.mean(0)) / np.sqrt(x.var(0) + module.eps), rtol=1e-4, atol=1e-5)


@replace
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_other_modules_are_left_alone(impl):
    kept = [nn.InstanceNorm1d(3, track_running_stats=True), nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.Linear(3, 3)]
    if at_least(1, 10):
        kept.append(nn.LazyInstanceNorm1d(track_running_stats=True))
    root = nn.Sequential(*kept)
    before = [dict(module._buffers) for module in kept]
    impl(root)
    assert [list(module._buffers) for module in kept] == [list(buffers) for buffers in before]
    assert all(module._buffers[name] is buffers[name] for module, buffers in zip(kept, before) for name in buffers)
    assert kept[0].track_running_stats


@replace
def test_a_second_time_and_without_statistics(impl):
    module = nn.BatchNorm1d(3, track_running_stats=False)
    impl(impl(module))
    assert_replaced(module)


@replace
@needs_lazy
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_one_finds_its_size(impl):
    module = impl(nn.LazyBatchNorm1d())
    out = module(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
    assert type(module) is nn.BatchNorm1d
    np.testing.assert_allclose(out.detach().numpy(), [[-1, -1], [1, 1]], atol=1e-4)
    assert module.running_mean is None


@replace
def test_under_vmap(impl, request):
    vmap = same_kind(impl, request, "func.vmap")
    module = impl(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)))
    x = torch.randn(4, 5, 3)
    expected = torch.stack([module(sample) for sample in x])
    np.testing.assert_allclose(vmap(module)(x).detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)


@replace
@pytest.mark.parametrize("root", [None, 3, [nn.BatchNorm1d(3)]])
def test_a_root_that_is_no_module(impl, root):
    with pytest.raises(AttributeError):
        impl(root)
