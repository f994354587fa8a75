"""Parametrizations that are removed, cached, asked for and handed on."""

import copy
import warnings

import numpy as np
import pytest
import torch
from parametrize_tools import PREFIX, AddOne, Double, Sum, about, linear, of, values
from torch import nn

from torchcompat import SHIMS


def assert_whole(impl):
    """The names are torch's own all together or not at all: the family is right about recurrent networks."""
    module, plain = nn.GRU(2, 2), nn.GRU(2, 2)
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        plain.weight_hh_l0.add_(1)
    of("register_parametrization", impl)(module, "weight_hh_l0", AddOne())
    x = torch.ones(3, 1, 2)
    np.testing.assert_allclose(values(module(x)[0]), values(plain(x)[0]), atol=1e-6)


@about("remove_parametrizations")
def test_removing_what_has_several_originals(impl):
    module = linear(impl, Sum())
    shown = values(module.weight)
    with pytest.raises(ValueError, match="leave_parametrized"):
        impl(module, "weight", leave_parametrized=False)
    impl(module, "weight")
    assert (type(module), type(module.weight), module.weight.is_leaf) == (nn.Linear, nn.Parameter, True)
    np.testing.assert_array_equal(values(module.weight), shown)
    with pytest.raises(ValueError, match="weight"):
        impl(module, "weight")


@about("is_parametrized")
def test_is_parametrized(impl):
    module = linear(impl, Double())
    assert impl(module) is True
    assert impl(module, "weight") is True
    assert impl(module, "bias") is False
    assert impl(module, "nope") is False
    assert impl(nn.Linear(1, 1)) is False
    assert impl(5) is False
    other = nn.Linear(1, 1)
    other.parametrizations = [1]
    assert impl(other) is False
    assert_whole(impl)


@about("cached")
def test_caching_computes_once(impl):
    parametrization = Double()
    module = linear(impl, parametrization)
    parametrization.calls = 0
    with impl():
        first = module.weight
        with impl():
            assert module.weight is first
        assert module.weight is first
        other = linear(impl, Double())
        assert other.weight is not first
        assert parametrization.calls == 1
    assert module.weight is not first
    assert parametrization.calls == 2


@about("cached")
def test_the_cache_is_left_when_a_block_raises(impl):
    module = linear(impl, Double())
    seen = []

    def block():
        with impl():
            seen.append(module.weight)
            raise KeyError("mine")

    with pytest.raises(KeyError):
        block()
    assert module.weight is not seen[0]


@about("cached")
def test_gradients_through_the_cache_add_up(impl):
    module = linear(impl, Double())
    with impl():
        (module(torch.ones(1, 2)) + module(torch.ones(1, 2))).sum().backward()
    np.testing.assert_allclose(module.parametrizations.weight.original.grad.numpy(), np.full((2, 2), 4.0))


@about("cached")
@pytest.mark.limit("copies")
def test_a_copy_has_a_cache_of_its_own(impl):
    module = linear(impl, Double())
    replica = copy.deepcopy(module)
    with impl():
        assert module.weight is not replica.weight


@about("cached")
def test_tracing_what_is_cached_is_refused(impl):
    module = linear(impl, Double())
    with warnings.catch_warnings(), impl():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        with pytest.raises(RuntimeError, match="cach"):
            torch.jit.trace(module, torch.ones(1, 2))


@about("cached")
@pytest.mark.skipif(SHIMS[PREFIX + "cached"].native is None, reason="torch has no parametrizations here")
def test_what_torch_parametrized_is_cached_too(impl):
    module, parametrization = nn.Linear(2, 2), Double()
    SHIMS[PREFIX + "register_parametrization"].native(module, "weight", parametrization)
    with impl():
        assert module.weight is module.weight


@about("type_before_parametrizations")
def test_type_before_parametrizations(impl):
    assert impl(linear(impl, Double())) is nn.Linear
    assert impl(nn.Linear(1, 1)) is nn.Linear
    assert impl(5) is int
    assert_whole(impl)


@about("transfer_parametrizations_and_params")
def test_transfer(impl):
    source, target = linear(impl, Double(), AddOne()), nn.Linear(2, 2)
    assert impl(source, target) is target
    assert target.parametrizations.weight[0] is source.parametrizations.weight[0]
    assert len(target.parametrizations.weight) == 2
    assert target.parametrizations.weight.original is source.parametrizations.weight.original
    several, bare = linear(impl, Sum()), nn.Module()
    impl(several, bare)
    np.testing.assert_array_equal(values(bare.weight), values(several.weight))
    assert bare.parametrizations.weight.original1 is several.parametrizations.weight.original1
    plain = nn.Linear(2, 2)
    assert impl(nn.Linear(2, 2), plain) is plain
    assert type(plain) is nn.Linear


@about("transfer_parametrizations_and_params")
def test_transfer_of_one_tensor(impl):
    source = linear(impl, Double())
    of("register_parametrization", impl)(source, "bias", AddOne())
    target = nn.Linear(2, 2)
    impl(source, target, "bias")
    assert isinstance(target.weight, nn.Parameter)
    np.testing.assert_array_equal(values(target.bias), values(source.bias))
    with pytest.raises(KeyError):
        impl(linear(impl, Double()), nn.Linear(2, 2), "bias")
    assert_whole(impl)


@about("ParametrizationList")
def test_the_list_itself(impl):
    parameter = nn.Parameter(torch.full((2,), 6.0))
    made = impl([Double(), AddOne()], parameter)
    assert isinstance(made, nn.ModuleList)
    assert made.original is parameter
    assert (len(made), made.is_tensor, made.ntensors, made.unsafe) == (2, True, 1, False)
    np.testing.assert_allclose(values(made()), [7.0, 7.0])
    with pytest.raises(RuntimeError, match="right_inverse"):
        made.right_inverse(torch.ones(2))
    with pytest.raises(ValueError):
        impl([], parameter)
    assert_whole(impl)
