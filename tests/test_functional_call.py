"""The contract of torch.func.functional_call, on torch's own and on the fallback."""

import copy
import gc
import sys
import threading
import types
import warnings
import weakref
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
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
needs_lazy = pytest.mark.skipif(not at_least(1, 8), reason="torch has lazy modules since 1.8")


class Affine(nn.Module):
    """x * w + b, with a parameter, a buffer and a step count that the forward assigns anew."""

    def __init__(self, w=2.0, b=1.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.register_buffer("b", torch.tensor(b))
        self.register_buffer("steps", torch.tensor(0.0))
        self.calls = 0

    def forward(self, x=3.0, scale=1.0):
        self.calls += 1
        self.steps = self.steps + 1
        return (x * self.w + self.b) * scale


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


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Affine()
        self.deep = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1, bias=False)))

    def forward(self, x):
        return self.deep(self.inner(x))


def slots(module):
    """Every parameter, buffer and plain attribute of the tree: namespace, names in order, values."""
    found = []
    for sub in module.modules():
        for space in (sub._parameters, sub._buffers, sub._modules, sub.__dict__):
            found.append((space, list(space), [space[name] for name in space]))
    return found


def assert_untouched(module, before, but=()):
    after = slots(module)
    assert len(after) == len(before)
    for (space, names, values), (space_now, names_now, values_now) in zip(before, after):
        assert space is space_now
        assert names == names_now
        for name, value, now in zip(names, values, values_now):
            assert value is now or name in but, name


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def scalar(value, grad=False):
    return torch.tensor(float(value), requires_grad=grad)


X = torch.ones(1, 1)


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


# Restoring


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_restored_after_an_exception(impl, error):
    class Fails(Outer):
        def forward(self, x):
            self.deep(x)
            raise error("here")

    module = Fails()
    before = slots(module)
    with pytest.raises(error, match="here"):
        impl(module, {name: tensor.clone() for name, tensor in module.named_parameters()}, (X,))
    assert_untouched(module, before)


def test_no_class_is_swapped(impl):
    class Final(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(scalar(1))

        def __init_subclass__(cls, **kwargs):
            raise TypeError("final")

        def forward(self):
            assert type(self) is Final
            return self.w

    assert impl(Final(), {"w": scalar(2)}, ()) == 2


def test_a_class_with_its_own_setattr_and_slots(impl):
    class Own(nn.Module):
        __slots__ = ("place",)

        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(scalar(1))
            self.place = scalar(10)

        def __setattr__(self, name, value):
            if name == "w" and "w" in self._parameters:
                raise AttributeError("w is frozen")
            super().__setattr__(name, value)

        def forward(self):
            return self.w + self.place

    module = Own()
    assert impl(module, {"w": scalar(2), "place": scalar(20)}, ()) == 22
    assert module() == 11


class Forwarding(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(1, 1, bias=False)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, x):
        return self.inner(x)


def test_a_wrapper_with_its_own_getattr(impl):
    module = Forwarding()
    before = slots(module)
    assert impl(module, {"inner.weight": 3 * X}, (X,)) == 3
    assert_untouched(module, before)


@pytest.mark.limit("forwarded")
def test_a_name_that_a_wrapper_only_forwards(impl):
    module = Forwarding()
    before = slots(module)
    with pytest.raises(AttributeError, match="'weight'"):
        impl(module, {"weight": 3 * X}, (X,))
    assert_untouched(module, before)


def test_no_tensor_is_kept_alive(impl):
    module = Outer()
    state = {name: torch.randn_like(tensor) for name, tensor in module.named_parameters()}
    watch = [weakref.ref(tensor) for tensor in state.values()]
    gc.disable()
    try:
        with torch.no_grad():
            impl(module, state, (X,))
        del state
        assert [ref for ref in watch if ref() is not None] == []
    finally:
        gc.enable()


def test_hooks_run_once(impl):
    module = Outer()
    calls = []
    module.inner.register_forward_pre_hook(lambda *_: calls.append("pre"))
    module.inner.register_forward_hook(lambda *_: calls.append("post"))
    module.register_forward_hook(lambda *_: calls.append("outer"))
    impl(module, {"inner.w": scalar(2)}, (X,))
    assert calls == ["pre", "post", "outer"]


# Calls within calls


def test_the_same_module_again_within_its_forward(impl):
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(scalar(1))

        def forward(self, depth):
            if not depth:
                return self.w
            return self.w + impl(self, {"w": self.w * 10}, (depth - 1,))

    module = Again()
    before = slots(module)
    new = scalar(2, grad=True)
    out = impl(module, {"w": new}, (2,))
    assert out == 222
    assert torch.autograd.grad(out, new)[0] == 111
    assert_untouched(module, before)


def test_a_child_within_its_parent(impl):
    class Parent(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Affine(w=1.0, b=0.0)

        def forward(self, x):
            other = impl(self.child, {"w": scalar(100)}, (x,))
            return other + self.child(x)

    module = Parent()
    before = slots(module)
    assert impl(module, {"child.w": scalar(3)}, (scalar(1),)) == 103
    assert_untouched(module, before, but=("calls", "steps"))


@pytest.mark.limit("threads")
def test_two_threads_in_one_module(impl):
    class Meets(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(scalar(1))

        def forward(self, name):
            if name == "early":
                early_is_inside.set()
                late_is_inside.wait(2)  # which it never is, if threads take turns
            else:
                late_is_inside.set()
                early_is_done.wait(20)
            return self.w * 1

    early_is_inside, late_is_inside, early_is_done = (threading.Event() for _ in range(3))
    module, results = Meets(), {}
    before = slots(module)

    def early():
        results["early"] = impl(module, {"w": scalar(5)}, ("early",)).item()
        early_is_done.set()

    def late():
        early_is_inside.wait(20)
        results["late"] = impl(module, {"w": scalar(7)}, ("late",)).item()

    threads = [threading.Thread(target=work) for work in (early, late)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"early": 5, "late": 7}
    assert_untouched(module, before)


# What torch refuses


def scripted():
    return quiet(torch.jit.script, nn.Linear(1, 1))


def traced():
    return quiet(torch.jit.trace, nn.Linear(1, 1), X)


@pytest.mark.parametrize("make", [scripted, traced])
def test_a_scripted_or_traced_module(impl, make):
    with pytest.raises(RuntimeError):
        impl(make(), {"weight": X}, (X,))


def test_while_tracing(impl):
    module = nn.Linear(1, 1)
    with pytest.raises(RuntimeError):
        quiet(torch.jit.trace, lambda x: impl(module, {"weight": x}, (x,)), X)


def test_a_scripted_submodule_is_used(impl):
    module = nn.Sequential(quiet(torch.jit.script, nn.Linear(1, 1, bias=False)))
    weight = module[0].weight.item()
    new = (3 * X).requires_grad_()
    out = impl(module, {"0.weight": new}, (X,))
    assert out == 3
    assert torch.autograd.grad(out, new)[0] == 1
    assert module(X).item() == weight
    with pytest.raises(RuntimeError):
        impl(module[0], {"weight": new}, (X,))


@pytest.mark.limit("data_parallel")
def test_data_parallel(impl):
    with pytest.raises(RuntimeError, match="DataParallel"):
        impl(nn.DataParallel(nn.Linear(1, 1)), {"module.weight": X}, (X,))


@needs_lazy
@pytest.mark.limit("lazy")
def test_a_lazy_module_is_refused_and_stays_usable(impl):
    module = quiet(nn.LazyLinear, 1)
    with pytest.raises(RuntimeError):
        impl(module, {"weight": X, "bias": X[0]}, (X,))
    assert module(X).shape == (1, 1)
    assert impl(module, {"weight": 3 * X, "bias": X[0]}, (X,)) == 4


@pytest.mark.skipif(not at_least(1, 8), reason="torch has fx since 1.8")
def test_a_proxy_is_no_tensor(impl):
    from torch import fx

    module = nn.Linear(1, 1)
    with pytest.raises(TypeError):
        fx.Tracer().trace(Function(lambda w, x: impl(module, {"weight": w}, (x,))))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, w, x):
        return self.function(w, x)


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
