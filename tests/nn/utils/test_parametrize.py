"""Parametrizations: values, gradients, identities, state dicts, copies, the cache and what is refused."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from parametrize_tools import AddOne, Double, Sum, about, linear, of, values
from torch import nn

from torchcompat import at_least
from torchcompat.func import functional_call


class NotInvertible(AddOne):
    def right_inverse(self, x):
        raise NotImplementedError("not invertible")


class Constant(nn.Module):
    """Whatever it is made with, forwards and backwards."""

    def __init__(self, forwards=None, backwards=None):
        super().__init__()
        self.forwards, self.backwards = forwards, backwards

    def forward(self, *x):
        return x[0] if self.forwards is None else self.forwards(x[0])

    def right_inverse(self, x):
        return x if self.backwards is None else self.backwards(x)


@about("register_parametrization")
def test_the_tensor_is_computed_from_the_parameter_that_it_was(impl):
    module = nn.Linear(2, 2)
    weight, before = module.weight, values(module.weight)
    assert impl(module, "weight", Double()) is module
    assert type(module).__name__ == "ParametrizedLinear"
    assert isinstance(module, nn.Linear)
    assert module.parametrizations.weight.original is weight
    np.testing.assert_allclose(values(weight), before / 2)
    np.testing.assert_allclose(values(module.weight), before)
    assert not isinstance(module.weight, nn.Parameter)
    module(torch.ones(1, 2)).sum().backward()
    np.testing.assert_allclose(weight.grad.numpy(), np.full((2, 2), 2.0))
    assert [name for name, _ in module.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert "ParametrizationList" in repr(module)


@about("register_parametrization")
def test_without_an_inverse_the_original_stays(impl):
    for kind in (AddOne, NotInvertible):
        module = nn.Linear(2, 2)
        before = values(module.weight)
        impl(module, "weight", kind())
        np.testing.assert_allclose(values(module.weight), before + 1)
        np.testing.assert_array_equal(values(module.parametrizations.weight.original), before)


@about("register_parametrization")
def test_several_originals(impl):
    module = nn.Linear(2, 2)
    before = values(module.weight)
    impl(module, "weight", Sum())
    chain = module.parametrizations.weight
    assert (chain.is_tensor, chain.ntensors) == (False, 2)
    assert sorted(name for name, _ in chain.named_parameters()) == ["original0", "original1"]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad and p.is_leaf for p in chain.parameters())
    np.testing.assert_allclose(values(module.weight), before, rtol=1e-6)
    module.weight = torch.full((2, 2), 8.0)
    assert (chain.original0[0, 0].item(), chain.original1[0, 0].item()) == (2.0, 6.0)


@about("register_parametrization")
def test_a_sequence_of_one_is_a_sequence(impl):
    module = linear(impl, Constant(backwards=lambda x: [x.clone()]))
    assert list(module.state_dict()) == ["bias", "parametrizations.weight.original0"]


@about("register_parametrization")
def test_a_chain_is_applied_in_order_and_inverted_in_reverse(impl):
    module = nn.Linear(2, 2)
    before = values(module.weight)
    impl(module, "weight", Double())
    impl(module, "weight", AddOne())
    np.testing.assert_allclose(values(module.weight), before + 1, rtol=1e-6)
    assert len(module.parametrizations.weight) == 2
    with pytest.raises(RuntimeError, match="right_inverse"):
        module.weight = torch.ones(2, 2)
    other = linear(impl, Double(), Constant(lambda x: x + 1, lambda x: x - 1))
    other.weight = torch.full((2, 2), 5.0)
    np.testing.assert_allclose(values(other.parametrizations.weight.original), np.full((2, 2), 2.0))
    np.testing.assert_allclose(values(other.weight), np.full((2, 2), 5.0))


@about("register_parametrization")
def test_assigning_keeps_the_original(impl):
    module = linear(impl, Double())
    original = module.parametrizations.weight.original
    new = torch.ones(2, 2, requires_grad=True)
    module.weight = new
    assert module.parametrizations.weight.original is original
    assert (original.requires_grad, original.is_leaf) == (True, True)
    np.testing.assert_allclose(values(original), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match="dtype"):
        module.weight = new.double()
    with pytest.raises(KeyError):
        module.weight = nn.Parameter(new.detach())
    with pytest.raises(AttributeError):
        del module.weight
    np.testing.assert_allclose(values(module.weight), np.ones((2, 2)))


@about("register_parametrization")
def test_an_inverse_that_changes_its_mind(impl):
    answers = [lambda x: (x, x), lambda x: (x, x, x), lambda x: x, lambda x: (x, 1), lambda x: (x, x.double())]
    chosen = []
    module = linear(impl, Constant(backwards=lambda x: answers[len(chosen)](x)))
    chosen.append(1)
    for _ in answers[1:]:
        with pytest.raises(ValueError, match="right_inverse"):
            module.weight = torch.ones(2, 2)
        chosen.append(1)


@about("register_parametrization")
def test_a_buffer(impl):
    module = nn.BatchNorm1d(2)
    impl(module, "running_mean", AddOne())
    assert "parametrizations.running_mean.original" in module.state_dict()
    assert not list(module.parametrizations.parameters())
    assert module.running_mean.tolist() == [1.0, 1.0]
    assert not module.running_mean.requires_grad
    of("remove_parametrizations", impl)(module, "running_mean")
    assert [name for name, _ in module.named_buffers()] == ["running_var", "num_batches_tracked", "running_mean"]
    assert type(module.running_mean) is torch.Tensor
    impl(module, "running_var", Sum())
    assert not list(module.parametrizations.parameters())


@about("register_parametrization")
def test_what_needs_no_gradient_gets_none(impl):
    module = nn.Linear(2, 2)
    module.weight.requires_grad_(False)
    impl(module, "weight", Sum())
    assert all(isinstance(p, nn.Parameter) and not p.requires_grad for p in module.parametrizations.parameters())


@about("register_parametrization")
@pytest.mark.parametrize(
    "bad",
    [
        lambda x: x[:1],
        lambda x: x.double(),
        lambda x: [x],
        lambda x: None,
    ],
)
def test_a_result_of_another_kind_is_refused(impl, bad):
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError):
        impl(module, "weight", Constant(bad))
    assert type(module) is nn.Linear
    assert isinstance(module.weight, nn.Parameter)
    impl(module, "weight", Double())
    for parametrization in (Constant(bad), Constant(backwards=bad)):
        with pytest.raises(ValueError):
            impl(module, "weight", parametrization)
    assert len(module.parametrizations.weight) == 1


@about("register_parametrization")
@pytest.mark.parametrize("bad", [lambda x: x.double(), lambda x: 5, lambda x: "ab", lambda x: (x, 5)])
@pytest.mark.parametrize("unsafe", [False, True])
def test_an_inverse_of_another_kind_is_refused_always(impl, bad, unsafe):
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError):
        impl(module, "weight", Constant(backwards=bad), unsafe=unsafe)
    assert type(module) is nn.Linear
    assert list(module.state_dict()) == ["weight", "bias"]


@about("register_parametrization")
def test_unsafe_lets_shape_and_dtype_change(impl):
    module = linear(impl, Constant(lambda x: x[:1].double()), unsafe=True)
    assert (module.weight.shape, module.weight.dtype) == ((1, 2), torch.float64)
    assert module.parametrizations.weight.unsafe is True
    safe = linear(impl, Double())
    impl(safe, "weight", Constant(lambda x: x[0]), unsafe=True)
    assert safe.weight.shape == (2,)
    assert safe.parametrizations.weight.unsafe is True


@about("register_parametrization")
def test_what_is_not_there(impl):
    with pytest.raises(ValueError, match="nope"):
        impl(nn.Linear(2, 2), "nope", Double())
    with pytest.raises(ValueError, match="in_features"):
        impl(nn.Linear(2, 2), "in_features", Double())
    with pytest.raises(AttributeError):
        impl(nn.Linear(2, 2, bias=False), "bias", Double())
    with pytest.raises(AttributeError):
        impl(nn.Linear(2, 2), "weight", torch.exp)


@about("register_parametrization")
def test_the_mode_is_the_modules(impl):
    module, parametrization = nn.Linear(2, 2).eval(), Double()
    impl(module, "weight", parametrization)
    assert not parametrization.training
    module.train()
    assert parametrization.training


@about("register_parametrization")
def test_a_state_dict_moves_between_modules(impl):
    first, second = linear(impl, Double()), linear(impl, Double())
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(values(second.weight), values(first.weight))
    with pytest.raises(RuntimeError, match="original"):
        second.load_state_dict(nn.Linear(2, 2).state_dict())


@about("register_parametrization")
def test_pickling_is_refused(impl):
    module = nn.Sequential(linear(impl, Double()))
    for save in (pickle.dumps, lambda m: torch.save(m, io.BytesIO()), copy.copy):
        with pytest.raises(RuntimeError, match="state_dict"):
            save(module[0])


class Slotted(nn.Linear):
    __slots__ = ("extra",)


@about("register_parametrization")
def test_a_deep_copy_is_independent_in_its_tensors(impl):
    module = Slotted(2, 2)
    module.extra = [1]
    impl(module, "weight", Double())
    both = copy.deepcopy(nn.ModuleList([module, module]))
    replica = both[0]
    assert both[1] is replica
    assert (replica.extra, replica.extra is not module.extra) == ([1], True)
    before = values(module.weight)
    with torch.no_grad():
        replica.parametrizations.weight.original.fill_(1.0)
    np.testing.assert_array_equal(values(module.weight), before)
    np.testing.assert_array_equal(values(replica.weight), np.full((2, 2), 2.0))
    assert type(replica).__name__ == "ParametrizedSlotted"


@about("register_parametrization")
@pytest.mark.limit("copies")
def test_what_is_added_to_a_copy_is_not_added_to_the_module(impl):
    module = linear(impl, Double())
    impl(copy.deepcopy(module), "bias", Double())
    assert isinstance(module.bias, nn.Parameter)


@about("remove_parametrizations")
@pytest.mark.limit("copies")
def test_what_is_removed_from_a_copy_stays_on_the_module(impl):
    module = linear(impl, Double())
    replica = copy.deepcopy(module)
    assert type(impl(replica, "weight")) is nn.Linear
    np.testing.assert_array_equal(values(module.weight), values(replica.weight))


@about("register_parametrization")
def test_tied_parameters_stay_tied(impl):
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    impl(first, "weight", AddOne())
    impl(second, "weight", AddOne())
    assert first.parametrizations.weight.original is second.parametrizations.weight.original
    assert len(list(nn.ModuleList([first, second]).parameters())) == 3


@about("register_parametrization")
def test_two_tensors_of_a_module(impl):
    module = nn.Linear(2, 2)
    impl(module, "weight", Double())
    impl(module, "bias", AddOne())
    assert sorted(module.parametrizations.keys()) == ["bias", "weight"]
    module.double()
    assert module.weight.dtype == torch.float64


@about("register_parametrization")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_networks_use_their_parametrizations(impl, kind):
    """Up to torch 1.13 they ran on a list of their own, without them."""
    module, plain = kind(2, 2), kind(2, 2)
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        plain.weight_hh_l0.add_(1)
    impl(module, "weight_hh_l0", AddOne())
    x = torch.ones(3, 1, 2)
    np.testing.assert_allclose(values(module(x)[0]), values(plain(x)[0]), atol=1e-6)
    module(x)[0].sum().backward()
    assert module.parametrizations.weight_hh_l0.original.grad.abs().sum() > 0
    of("remove_parametrizations", impl)(module, "weight_hh_l0")
    np.testing.assert_allclose(values(module(x)[0]), values(plain(x)[0]), atol=1e-6)
    impl(module, "weight_hh_l0", Sum())
    of("remove_parametrizations", impl)(module, "weight_hh_l0")
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        plain.weight_hh_l0.zero_()
    np.testing.assert_allclose(values(module(x)[0]), values(plain(x)[0]), atol=1e-6)


@about("register_parametrization")
def test_a_functional_call_gets_its_originals(impl):
    module = linear(impl, Double())
    state = {"parametrizations.weight.original": torch.ones(2, 2), "bias": torch.zeros(2)}
    assert functional_call(module, state, (torch.ones(1, 2),)).tolist() == [[4.0, 4.0]]


@about("register_parametrization")
@pytest.mark.skipif(not at_least(2, 4), reason="torch.compile traces properties of modules whole since 2.4")
def test_compiles_in_one_graph(impl):
    module = linear(impl, Double(), AddOne())
    x = torch.ones(1, 2)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    np.testing.assert_allclose(values(compiled(x)), values(module(x)))
    torch._dynamo.reset()


@about("remove_parametrizations")
@pytest.mark.parametrize("leave", [True, False])
def test_removing_gives_class_and_parameter_back(impl, leave):
    module = nn.Linear(2, 2)
    weight = module.weight
    of("register_parametrization", impl)(module, "weight", Double())
    of("register_parametrization", impl)(module, "bias", AddOne())
    shown, original = values(module.weight), values(weight)
    assert impl(module, "weight", leave_parametrized=leave) is module
    assert module.weight is weight
    assert (weight.requires_grad, weight.is_leaf) == (True, True)
    np.testing.assert_array_equal(values(weight), shown if leave else original)
    assert type(module) is not nn.Linear
    impl(module, "bias")
    assert type(module) is nn.Linear
    assert list(module._parameters) == ["weight", "bias"]
    assert not hasattr(module, "parametrizations")
    pickle.dumps(module)
    module(torch.ones(1, 2)).sum().backward()
    assert weight.grad is not None
