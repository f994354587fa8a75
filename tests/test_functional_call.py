"""The contract of torch.func.functional_call, on torch's own and on the fallback."""

import types
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from functional_call_tools import Affine, Outer, X, assert_untouched, scalar, slots
from torch import nn

from torchcompat import at_least

pytestmark = pytest.mark.shim("func.functional_call")


class Tied(nn.Module):
    def __init__(self, names=("a", "b")):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))
        for name in names[1:]:
            setattr(self, name, self.a)

    def forward(self):
        return torch.stack(list(self._parameters.values()))


class Aliased(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(1, 1, bias=False)
        self.two = self.one

    def forward(self, x):
        return self.one(x) + self.two(x)


# What is replaced


def test_values_and_gradients(impl):
    module = nn.Linear(3, 2)
    weight, bias = torch.randn(2, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    x = torch.randn(4, 3)
    out = impl(module, {"weight": weight, "bias": bias}, (x,))
    np.testing.assert_allclose(
        out.detach().numpy(), x.numpy() @ weight.detach().numpy().T + bias.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    out.sum().backward()
    np.testing.assert_allclose(weight.grad.numpy(), np.tile(x.numpy().sum(0), (2, 1)), rtol=1e-5)
    np.testing.assert_allclose(bias.grad.numpy(), [4.0, 4.0])
    assert module.weight.grad is None
    assert module.bias.grad is None


def test_what_is_not_named_is_the_modules_own(impl):
    module = Affine(w=2.0, b=1.0)
    assert impl(module, {"w": scalar(5)}, (scalar(3),)) == 16
    assert impl(module, {"b": scalar(5)}, (scalar(3),)) == 11
    assert impl(module, {}, (scalar(3),)) == 7
    assert module.calls == 3
    assert module.steps == 3


def test_nested_names(impl):
    module = Outer()
    state = {
        "inner.w": scalar(2),
        "inner.b": scalar(0),
        "deep.0.weight": 3 * X,
        "deep.0.bias": X[0],
        "deep.1.0.weight": 5 * X,
    }
    before = slots(module)
    assert impl(module, state, (X,)) == 5 * (3 * 2 + 1)
    assert_untouched(module, before, but=("calls", "steps"))


def test_the_forward_sees_them_everywhere(impl):
    class Looks(Affine):
        def forward(self):
            assert type(self) is Looks
            return [
                dict(self.named_parameters())["w"],
                self.state_dict(keep_vars=True)["w"],
                self._parameters["w"],
                self.w,
            ]

    passed = scalar(9)
    assert all(seen is passed for seen in impl(Looks(), {"w": passed}, ()))


@pytest.mark.parametrize("arg", [scalar(3), [1, 2], {"a": 1}])
def test_args_that_is_no_tuple_is_one_argument(impl, arg):
    module = nn.Identity() if at_least(1, 3) else nn.Sequential()
    assert impl(module, {}, arg) is arg


def test_args_and_kwargs(impl):
    module = Affine(w=2.0, b=1.0)
    assert impl(module, {}, (scalar(1), 10.0)) == 30
    assert impl(module, {}, (scalar(1),), {"scale": 10.0}) == 30
    assert impl(module, {}, (), {"x": 1.0, "scale": 10.0}) == 30
    assert impl(module, {}, ()) == 7


@pytest.mark.limit("args")
def test_no_args(impl):
    module = Affine(w=2.0, b=1.0)
    assert impl(module, {}) == 7
    assert impl(module, {}, None) == 7
    assert impl(module, {}, None, {"x": 1.0}) == 3


def test_none_for_a_tensor_and_a_tensor_for_none(impl):
    module = nn.Linear(1, 1)
    weight, bias = module.weight.item(), module.bias.item()
    assert impl(module, {"bias": None}, (X,)).item() == pytest.approx(weight)
    assert module.bias.item() == bias
    bare = nn.Linear(1, 1, bias=False)
    assert impl(bare, {"bias": 5 * X[0]}, (X,)).item() == pytest.approx(bare.weight.item() + 5)
    assert bare.bias is None


def test_a_plain_tensor_attribute(impl):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.t = scalar(1)

        def forward(self):
            return self.t

    module = Plain()
    before = slots(module)
    assert impl(module, {"t": scalar(4)}, ()) == 4
    assert_untouched(module, before)


def test_a_property_with_a_setter(impl):
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.half = scalar(1)

        @property
        def whole(self):
            return self.half * 2

        @whole.setter
        def whole(self, value):
            self.half = value / 2

        def forward(self):
            return self.half

    module = Doubled()
    assert impl(module, {"whole": scalar(10)}, ()) == 5
    assert module.half == 1


def test_an_unknown_leaf_is_ignored(impl):
    module = Affine()
    before = slots(module)
    assert impl(module, {"nope": scalar(3)}, (scalar(3),)) == 7
    assert_untouched(module, before, but=("calls", "steps"))


# Ties and aliases


def test_tied_and_one_is_given(impl):
    module = Tied()
    before = slots(module)
    for name in ("a", "b"):
        assert impl(module, {name: scalar(3)}, ()).tolist() == [3, 3]
    assert_untouched(module, before)


def test_tied_and_both_are_the_same_object(impl):
    new = scalar(3, grad=True)
    out = impl(Tied(), {"a": new, "b": new}, ())
    assert out.tolist() == [3, 3]
    assert torch.autograd.grad(out.sum(), new)[0] == 2


@pytest.mark.parametrize("second", [4.0, 3.0])
def test_tied_and_both_differ(impl, second):
    module = Tied()
    before = slots(module)
    with pytest.raises(ValueError, match=r"'a'.*'b'"):
        impl(module, {"a": scalar(3), "b": scalar(second)}, ())
    assert_untouched(module, before)
    assert impl(module, {"a": scalar(3), "b": scalar(4)}, (), tie_weights=False).tolist() == [3, 4]
    assert_untouched(module, before)


def test_without_ties_only_what_is_named(impl):
    assert impl(Tied(), {"a": scalar(3)}, (), tie_weights=False).tolist() == [3, 1]


@pytest.mark.limit("three_ties")
def test_two_of_three_tied(impl):
    new = scalar(3)
    assert impl(Tied("abc"), {"a": new, "c": new}, ()).tolist() == [3, 3, 3]


def test_one_of_three_tied(impl):
    assert impl(Tied("abc"), {"b": scalar(3)}, ()).tolist() == [3, 3, 3]


def test_ties_of_buffers(impl):
    module = nn.Module()
    module.register_buffer("p", scalar(1))
    module.register_buffer("q", module.p)
    module.forward = types.MethodType(lambda self: torch.stack([self.p, self.q]), module)
    assert impl(module, {"q": scalar(2)}, ()).tolist() == [2, 2]


@pytest.mark.limit("alias")
@pytest.mark.parametrize("names", [["one"], ["two"], ["one", "two"]])
def test_aliased_submodule(impl, names):
    module = Aliased()
    before = slots(module)
    new = 3 * X
    assert impl(module, {name + ".weight": new for name in names}, (X,)) == 6
    assert_untouched(module, before)
    assert module.one.weight.requires_grad


@pytest.mark.limit("cycle")
@pytest.mark.parametrize("name", ["inner.w", "me.inner.w", "me.me.inner.w"])
def test_a_module_that_contains_itself(impl, name):
    module = Outer()
    module.inner.add_module("parent", module)
    module.add_module("me", module)
    before = slots(module)
    impl(module, {name: scalar(3)}, (X,))
    assert_untouched(module, before, but=("calls", "steps"))


def test_a_module_that_contains_itself_without_ties(impl):
    module = Affine(b=0.0)
    module.add_module("me", module)
    assert impl(module, {"me.me.w": scalar(5)}, (scalar(1),), tie_weights=False) == 5
    assert module.w == 2


# Strict


def test_strict(impl):
    module = Outer()
    state = dict(module.named_parameters())
    state.update(module.named_buffers())
    impl(module, state, (X,), strict=True)
    del state["inner.steps"], state["deep.1.0.weight"]
    state.update({"extra": X, "deep.1.0.bias": X[0]})
    with pytest.raises(RuntimeError) as error:
        impl(module, state, (X,), strict=True)
    assert "Missing key(s): 'deep.1.0.weight', 'inner.steps'." in str(error.value)
    assert "Unexpected key(s): 'deep.1.0.bias', 'extra'." in str(error.value)


def test_strict_and_ties(impl):
    assert impl(Tied(), {"b": scalar(3)}, (), strict=True).tolist() == [3, 3]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\): 'a'"):
        impl(Tied(), {"b": scalar(3)}, (), strict=True, tie_weights=False)
    with pytest.raises(RuntimeError, match=r"Missing key\(s\): 'one.weight', 'two.weight'"):
        impl(Aliased(), {}, (X,), strict=True)


# The dicts


@pytest.mark.parametrize("kind", [tuple, list])
def test_several_dicts(impl, kind):
    module = Affine()
    assert impl(module, kind([{"w": scalar(5)}, {"b": scalar(0)}]), (scalar(3),)) == 15
    assert impl(module, kind(), (scalar(3),)) == 7
    with pytest.raises(ValueError, match="'w'"):
        impl(module, kind([{"w": scalar(5)}, {"w": scalar(0)}]), (scalar(3),))


def test_subclasses_of_dict(impl):
    module = Affine()
    assert impl(module, OrderedDict(w=scalar(5)), (scalar(3),)) == 16
    growing = defaultdict(lambda: scalar(9), w=scalar(5))
    assert impl(module, growing, (scalar(3),)) == 16
    assert list(growing) == ["w"]


@pytest.mark.parametrize("state", [None, 3, "w", types.MappingProxyType({}), [3], iter([{}]), {"w"}])
def test_no_dict(impl, state):
    with pytest.raises(ValueError, match="dict"):
        impl(Affine(), state, (scalar(3),))


@pytest.mark.parametrize("value", [3.0, "w", np.ones(1), nn.Linear(1, 1)])
def test_no_tensor(impl, value):
    module = Affine()
    before = slots(module)
    with pytest.raises(TypeError):
        impl(module, {"b": scalar(2), "w": value}, (scalar(3),))
    assert_untouched(module, before)


class NoSetter(Outer):
    @property
    def fixed(self):
        return scalar(1)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nope.w", AttributeError),
        ("inner.nope.w", AttributeError),
        ("deep.2.weight", AttributeError),
        ("fixed", AttributeError),
        ("", KeyError),
        ("inner.", KeyError),
        ("training", TypeError),
        ("inner.calls", TypeError),
        ("inner", TypeError),
        ("inner.w.data", TypeError),
        ("forward", TypeError),
    ],
)
def test_a_name_that_leads_nowhere(impl, name, error):
    module = NoSetter()
    before = slots(module)
    with pytest.raises(error):
        impl(module, OrderedDict([("inner.w", scalar(2)), (name, scalar(3)), ("inner.b", scalar(4))]), (X,))
    assert_untouched(module, before)


# What the forward assigns


def test_a_tensor_assigned_anew_is_written_back(impl):
    module = Affine()
    state = {"steps": scalar(10), "w": scalar(1)}
    weight = state["w"]
    impl(module, state, (scalar(3),))
    impl(module, state, (scalar(3),))
    assert state["steps"] == 12
    assert state["w"] is weight
    assert module.steps == 0


@pytest.mark.limit("tuple_of_dicts")
@pytest.mark.parametrize("kind", [tuple, list])
def test_a_tensor_assigned_anew_is_written_back_to_its_own_dict(impl, kind):
    state = kind([{"w": scalar(1)}, {"steps": scalar(10)}])
    impl(Affine(), state, (scalar(3),))
    assert list(state[0]) == ["w"]
    assert state[1]["steps"] == 11


def test_a_tensor_assigned_anew_is_written_back_after_an_exception(impl):
    state = {"steps": scalar(10)}
    with pytest.raises(TypeError):
        impl(Affine(), state, ("three",))
    assert state["steps"] == 11


def test_a_buffer_that_is_not_passed_stays_in_the_module(impl):
    module = Affine()
    impl(module, {"w": scalar(1)}, (scalar(3),))
    assert module.steps == 1


def test_a_parameter_cannot_be_assigned_a_tensor(impl):
    class Bad(Affine):
        def forward(self):
            self.w = self.w * 2

    with pytest.raises(TypeError, match="cannot assign"):
        impl(Bad(), {"w": scalar(1)}, ())


def test_batch_norm(impl):
    module = nn.BatchNorm1d(2)
    before = slots(module)
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    state = {name: buffer.clone() for name, buffer in module.named_buffers()}
    mean = state["running_mean"]
    impl(module, state, (x,))
    assert state["running_mean"] is mean
    np.testing.assert_allclose(mean.numpy(), [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(state["running_var"].numpy(), [0.9 + 0.1 * 2, 0.9 + 0.1 * 8], rtol=1e-6)
    assert state["num_batches_tracked"] == 1
    assert_untouched(module, before)
    assert module.num_batches_tracked == 0
    assert module.running_mean.tolist() == [0, 0]
    impl(module, {"weight": torch.zeros(2)}, (x,))
    np.testing.assert_allclose(module.running_mean.numpy(), [0.2, 0.4], rtol=1e-6)
    assert module.num_batches_tracked == 1
