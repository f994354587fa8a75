"""The switches of autograd: contexts, functions and decorators."""

import threading

import pytest
import torch

from torchcompat import SHIMS, at_most
from torchcompat.autograd import grad_mode as public
from torchcompat.compiler import COMPILES

SCOPES = {"no_grad": False, "enable_grad": True}


def grad():
    return torch.is_grad_enabled()


@pytest.fixture(params=[True, False], ids=["grad on", "grad off"])
def outside(request):
    before = grad()
    torch.set_grad_enabled(request.param)
    yield request.param
    torch.set_grad_enabled(before)


class Scopes:
    """The contract of `no_grad` and `enable_grad`: `wanted` is the mode inside."""

    wanted = False

    def test_context(self, impl, outside):
        with impl():
            assert grad() is self.wanted
            x = torch.ones(2, requires_grad=True)
            assert (x * 2).requires_grad is self.wanted
        assert grad() is outside

    def test_an_error_restores(self, impl, outside):
        with pytest.raises(KeyError), impl():
            raise KeyError("x")
        assert grad() is outside

    def test_one_object_nests_in_others(self, impl, outside):
        scope = impl()
        with scope:
            torch.set_grad_enabled(not self.wanted)
            with impl():
                assert grad() is self.wanted
            assert grad() is not self.wanted
        assert grad() is outside

    @pytest.mark.parametrize("bare", [True, False])
    def test_decorator(self, impl, outside, bare):
        def function(a, *, b=2):
            """Words."""
            return a, b, grad()

        covered = impl(function) if bare else impl()(function)
        assert grad() is outside
        assert covered(1, b=3) == (1, 3, self.wanted)
        assert grad() is outside
        assert (covered.__name__, covered.__doc__) == ("function", "Words.")

    def test_recursion(self, impl, outside):
        @impl()
        def function(depth):
            seen = [grad()]
            return seen + function(depth - 1) + [grad()] if depth else seen

        assert set(function(3)) == {self.wanted}
        assert grad() is outside

    def test_a_method(self, impl):
        class Thing:
            @impl()
            def method(self):
                return self, grad()

        thing = Thing()
        assert thing.method() == (thing, self.wanted)

    def test_a_decorated_function_that_raises(self, impl, outside):
        @impl()
        def function():
            raise KeyError("x")

        with pytest.raises(KeyError):
            function()
        assert grad() is outside

    def test_generator_functions(self, impl, outside):
        closed = []

        @impl()
        def numbers():
            try:
                got = yield grad()
                try:
                    yield got, grad()
                except KeyError as error:
                    yield error.args, grad()
                return "end"
            finally:
                closed.append(grad())

        run = numbers()
        assert next(run) is self.wanted
        assert grad() is outside
        assert run.send(5) == (5, self.wanted)
        assert run.throw(KeyError("a")) == (("a",), self.wanted)
        with pytest.raises(StopIteration) as end:
            next(run)
        assert end.value.value == "end"
        assert closed == [self.wanted]
        other = numbers()
        next(other)
        other.close()
        assert closed == [self.wanted] * 2
        assert grad() is outside

    def test_a_class_is_covered_in_its_construction_only(self, impl, outside):
        class Thing:
            def __init__(self):
                self.inside = grad()

            def method(self):
                return grad()

        with pytest.warns((FutureWarning, UserWarning)):
            make = impl()(Thing)
        assert make().inside is self.wanted
        assert make().method() is outside

    def test_other_threads_are_not_touched(self, impl):
        seen = []
        torch.set_grad_enabled(True)
        with impl():
            thread = threading.Thread(target=lambda: seen.append(grad()))
            thread.start()
            thread.join()
        assert seen == [True]


@pytest.mark.shim("no_grad")
class TestNoGrad(Scopes):
    pass


@pytest.mark.shim("enable_grad")
class TestEnableGrad(Scopes):
    wanted = True


@pytest.mark.shim("inference_mode")
class TestInferenceMode(Scopes):
    def test_it_is_told(self, impl):
        asked = public.is_inference_mode_enabled
        with impl():
            assert asked() is True
            with impl(False):
                assert asked() is False
            assert asked() is True
        assert asked() is False

    def test_false_is_ordinary_mode_with_gradients(self, impl, outside):
        with impl(mode=False):
            assert grad() is True
            assert (torch.ones(2, requires_grad=True) * 2).requires_grad
        with impl(), impl(False):
            assert grad() is True
        assert grad() is outside

    def test_false_as_a_decorator(self, impl):
        @impl(False)
        def function():
            return grad(), public.is_inference_mode_enabled()

        with impl():
            assert function() == (True, False)

    def test_neither_a_bool_nor_a_function(self, impl):
        if impl is SHIMS["inference_mode"].native:
            pytest.skip("torch takes anything for a function and fails later, or never")
        with pytest.raises(TypeError, match="mode must be a bool or the function"):
            impl(1)

    def test_a_module_runs(self, impl):
        model = torch.nn.Linear(2, 3)
        x = torch.ones(4, 2)
        with impl():
            inside = model(x)
        assert not inside.requires_grad
        assert torch.equal(inside, model(x).detach())

    @pytest.mark.skipif(not COMPILES or at_most(2, 0), reason="nothing compiles here, or not in inference mode")
    def test_compiled_code(self, impl):
        def function(x):
            with impl():
                return x * 2

        x = torch.ones(2, requires_grad=True)
        out = torch.compile(function, backend="eager")(x)
        assert torch.equal(out, torch.full((2,), 2.0))
        assert not out.requires_grad
        assert not public.is_inference_mode_enabled()

    @pytest.mark.limit("inference tensors")
    def test_what_it_makes_takes_no_part_in_autograd(self, impl):
        with impl():
            made = torch.ones(2)
        weight = torch.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match=r"[Ii]nference tensor"):
            (weight * made).sum()

    @pytest.mark.limit("grad wins")
    def test_enable_grad_inside_records_nothing(self, impl):
        with impl(), torch.enable_grad():
            assert not (torch.ones(2, requires_grad=True) * 2).requires_grad


@pytest.mark.shim("is_inference_mode_enabled")
def test_is_inference_mode_enabled(impl):
    assert impl() is False
    with public.inference_mode():
        assert impl() is True
        with public.inference_mode(False):
            assert impl() is False
    assert impl() is False


@pytest.mark.shim("is_inference_mode_enabled")
def test_is_inference_mode_enabled_is_of_the_thread(impl):
    seen = []
    with public.inference_mode():
        thread = threading.Thread(target=lambda: seen.append(impl()))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.shim("set_grad_enabled")
class TestSetGradEnabled:
    @pytest.mark.parametrize("mode", [True, False])
    def test_as_a_function(self, impl, outside, mode):
        impl(mode)
        assert grad() is mode

    @pytest.mark.parametrize("mode", [True, False])
    def test_context(self, impl, outside, mode):
        with impl(mode=mode):
            assert grad() is mode
        assert grad() is outside
        with pytest.raises(KeyError), impl(mode):
            raise KeyError("x")
        assert grad() is outside

    @pytest.mark.parametrize("mode", [True, False])
    def test_decorating_leaves_the_mode_alone(self, impl, outside, mode):
        @impl(mode)
        def function(a):
            return a, grad()

        assert grad() is outside
        assert function(1) == (1, mode)
        assert grad() is outside

    def test_generator_functions(self, impl, outside):
        @impl(not outside)
        def numbers():
            yield grad()
            yield grad()

        run = numbers()
        assert next(run) is not outside
        assert grad() is outside
        assert next(run) is not outside

    @pytest.mark.parametrize("mode", [None, "a", 3])
    def test_no_bool(self, impl, outside, mode):
        with pytest.raises(TypeError, match="bool"):
            impl(mode)
        assert grad() is outside
