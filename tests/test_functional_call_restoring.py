"""``functional_call`` leaves the module as it was, within other calls and where torch refuses."""

import gc
import threading
import weakref

import pytest
import torch
from functional_call_tools import Affine, Outer, X, assert_untouched, quiet, scalar, slots
from torch import nn

from torchcompat import at_least

pytestmark = pytest.mark.shim("func.functional_call")


needs_lazy = pytest.mark.skipif(not at_least(1, 8), reason="torch has lazy modules since 1.8")


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
