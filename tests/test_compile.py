"""Compiling and its questions, on torch with a compiler and without one."""

import os
import subprocess
import sys
from collections import OrderedDict

import pytest
import torch
from torch import nn

from torchcompat import SHIMS, UnsupportedError, at_least, at_most, compiler
from torchcompat.compiler import _compile

COMPILES = compiler.COMPILES


def double(x):
    return x * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.tail = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))

    def forward(self, x):
        return self.tail(self.linear(x))


def test_where_it_compiles():
    if not at_least(2, 0) or (at_most(2, 0) and sys.version_info >= (3, 11)):
        assert not COMPILES
    if at_least(2, 6) and sys.version_info < (3, 14) and sys.platform == "linux":
        assert COMPILES


@pytest.fixture
def forgotten():
    """Torch 2.1 warns where other settings come than those that ran last: this test begins and ends without any."""
    reset = torch.compiler.reset if COMPILES and at_least(2, 1) else lambda: None
    reset()
    yield
    reset()


@pytest.mark.shim("compile")
class TestCompile:
    def test_function_and_module(self, impl):
        x = torch.arange(3.0)
        net = Net().eval()
        assert torch.equal(impl(double, backend="eager")(x), x * 2)
        assert torch.allclose(impl(net, backend="eager")(torch.ones(2, 2)), net(torch.ones(2, 2)))

    def test_no_shapes(self, impl):
        assert impl(double, disable=True, dynamic_shapes=None) is double

    @pytest.mark.usefixtures("forgotten")
    def test_decorators(self, impl):
        @impl(backend="eager", dynamic=False, fullgraph=True)
        def first(x):
            return x + 1

        assert first(torch.zeros(1)).item() == 1
        with pytest.raises(RuntimeError, match="None"):
            impl(backend="eager")(None)

    @pytest.mark.usefixtures("forgotten")
    @pytest.mark.limit("other settings")
    def test_other_settings_are_no_matter_of_a_warning(self, impl):
        for dynamic in (False, None):
            assert impl(lambda x: x + 1, backend="eager", dynamic=dynamic)(torch.zeros(1)).item() == 1

    def test_disable_gives_the_function_itself(self, impl):
        assert impl(double, backend="eager", disable=True) is double

    def test_mode_and_options(self, impl):
        with pytest.raises(RuntimeError, match=r"mode (or|and) options"):
            impl(double, mode="default", options={"max_autotune": True})

    def test_unknown_mode(self, impl):
        if impl is SHIMS["compile"].native:
            pytest.skip("torch imports the whole of Inductor to tell")
        with pytest.raises(RuntimeError, match=r"mode must be one of .*fast"):
            impl(double, mode="fast")

    @pytest.mark.parametrize("model", [3, "text"])
    def test_no_function(self, impl, model):
        with pytest.raises((TypeError, AssertionError)):
            impl(model, backend="eager")

    def test_keywords_that_change_no_result(self, impl):
        function = impl(double, backend="eager", name="double", recompile_limit=3, isolate_recompiles=True)
        assert function(torch.ones(1)).item() == 2

    def test_options_are_not_changed(self, impl):
        if impl is SHIMS["compile"].native:
            pytest.skip("torch takes options out of the dict")
        options = {"guard_filter_fn": lambda entries: [True for _ in entries]}
        kept = dict(options)
        impl(double, backend="eager", options=options)
        assert options == kept


def test_bad_arguments_of_the_fallback():
    ours = SHIMS["compile"].fallback
    with pytest.raises(TypeError, match="model must be a module or a function, got int"):
        ours(3)
    with pytest.raises(TypeError, match="backend must be a string or callable, got int"):
        ours(double, backend=3)
    with pytest.raises(TypeError, match="options must be a dict, got list"):
        ours(double, options=["a"])


@pytest.mark.skipif(at_least(2, 14), reason="torch has the keyword from 2.14")
def test_dynamic_shapes_are_refused_before_torch_has_them():
    with pytest.raises(UnsupportedError, match=r"2\.14"):
        _compile.compile(double, dynamic_shapes={"x": None})


@pytest.mark.skipif(COMPILES, reason="what is returned where nothing compiles")
def test_without_a_compiler_it_is_the_function_itself():
    net = Net()
    assert _compile.compile(net, fullgraph=True, mode="max-autotune") is net
    assert _compile.compile()(double) is double
    assert _compile.compile(double, backend="a backend") is double


@pytest.mark.shim("compiler.compile")
def test_the_same_in_the_namespace(impl):
    assert impl(double, disable=True, backend="eager") is double
    assert impl(disable=True, backend="eager")(double) is double
    assert impl(double, disable=True, backend="eager", name="double", recompile_limit=3) is double
    assert impl(double, disable=True, dynamic_shapes=None) is double


@pytest.mark.shim("compiler.disable")
class TestDisable:
    @pytest.mark.parametrize("recursive", [True, False])
    def test_every_way_to_write_it(self, impl, recursive):
        assert impl(double, recursive)(3) == 6
        assert impl(recursive=recursive)(double)(3) == 6
        assert impl(double, recursive=recursive, reason="words")(3) == 6
        assert impl(reason="words")(double)(3) == 6

        class Thing:
            @impl
            def method(self, x):
                return x + 1

        assert Thing().method(1) == 2

    def test_what_cannot_be_called(self, impl):
        with pytest.raises((TypeError, AssertionError)):
            impl(3)
        with pytest.raises((TypeError, AssertionError)):
            impl(recursive=False)(3)


# torch 2.5 remembers by its address what is allowed: these stay, so that nothing else comes to be where they were.
def other(x):
    return x


def another(x):
    return x


@pytest.mark.shim("compiler.allow_in_graph")
def test_allow_in_graph(impl):
    assert impl(other) is other
    assert impl([another]) == [another]
    with pytest.raises((TypeError, AssertionError)):
        impl(3)


@pytest.mark.shim("compiler.assume_constant_result")
def test_assume_constant_result(impl):
    def constant():
        return 7

    assert impl(constant) is constant
    with pytest.raises((TypeError, AttributeError)):
        impl(3)


@pytest.mark.shim("compiler.list_backends")
def test_list_backends(impl):
    few, all_of_them = impl(), impl(None)
    assert few == sorted(few)
    assert set(few) <= set(all_of_them)
    assert bool(few) == bool(COMPILES)
    assert ("inductor" in few, "eager" in few, "eager" in impl(exclude_tags=())) == (COMPILES, False, COMPILES)


@pytest.mark.shim("compiler.reset")
def test_reset(impl):
    assert impl() is None


@pytest.mark.shim("compiler.cudagraph_mark_step_begin")
def test_cudagraph_mark_step_begin(impl):
    if impl is SHIMS["compiler.cudagraph_mark_step_begin"].native and not os.environ.get("TORCHCOMPAT_FULL"):
        pytest.skip("torch imports the whole of Inductor; TORCHCOMPAT_FULL runs it")
    assert impl() is None


@pytest.mark.shim("compiler.substitute_in_graph")
def test_substitute_in_graph(impl):
    def original(data):
        return 1

    def substitute(data):
        return 0

    assert impl(original, skip_signature_check=True)(substitute)(b"") == 1
    with pytest.raises((TypeError, AssertionError)):
        impl(3)(substitute)


@pytest.mark.shim("compiler.set_stance")
class TestSetStance:
    def test_the_default_in_every_form(self, impl):
        impl("default")
        with impl():
            pass
        assert impl("default")(double)(2) == 4

    @pytest.mark.limit("stance")
    @pytest.mark.parametrize("stance", ["force_eager", "eager_on_recompile", "fail_on_recompile"])
    def test_others(self, impl, stance):
        with impl(stance):
            assert double(2) == 4
        assert impl(stance)(double)(2) == 4
        impl(stance)
        impl("default")

    def test_a_backend_is_for_the_default_only(self, impl):
        with pytest.raises(RuntimeError, match="force_backend"):
            impl("force_eager", force_backend="eager")

    def test_unknown(self, impl):
        if impl is SHIMS["compiler.set_stance"].native:
            pytest.skip("torch fails later, when something compiled is called")
        with pytest.raises(ValueError, match=r"stance must be one of 'default'.*got 'lazy'"):
            impl("lazy")


QUESTIONS = ["is_compiling", "is_dynamo_compiling", "is_exporting"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_outside_the_answer_is_no(name):
    assert getattr(compiler, name)() is False
    assert SHIMS["compiler." + name].fallback() is False


def answers(functions):
    compiling, dynamo, exporting = functions

    def function(x):
        return x + (1 if compiling() else 0) + (2 if dynamo() else 0) + (4 if exporting() else 0)

    torch._dynamo.reset()
    try:
        return torch.compile(function, backend="eager", fullgraph=True)(torch.zeros(1)).item()
    finally:
        torch._dynamo.reset()


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
def test_inside_the_answers_are_right_and_can_be_traced():

    assert answers([SHIMS["compiler." + name].public for name in QUESTIONS]) == 3
    assert answers([SHIMS["compiler." + name].fallback for name in QUESTIONS]) == 3


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
@pytest.mark.shim("compiler.is_exporting")
def test_exporting_is_not_compiling(impl):

    assert answers([lambda: False, lambda: False, impl]) == 0


@pytest.mark.shim("compiler.is_compiling")
def test_is_compiling(impl):
    assert impl() is False


@pytest.mark.shim("compiler.is_dynamo_compiling")
def test_is_dynamo_compiling(impl):
    assert impl() is False


@pytest.mark.skipif(not at_least(2, 7), reason="there is no flag to read before torch 2.7")
@pytest.mark.shim("compiler.is_exporting")
def test_exporting(impl):
    class Model(nn.Module):
        def forward(self, x):
            return x + (1 if impl() else 0)

    exported = torch.export.export(Model(), (torch.zeros(2),), strict=False)
    assert torch.equal(exported.module()(torch.zeros(2)), torch.ones(2))


def test_asking_imports_no_compiler():
    code = """
import sys, torch
before = "torch._dynamo" in sys.modules
from torchcompat import compiler
from torchcompat._shim import SHIMS as ours  # torchcompat.SHIMS loads every module, flex attention's too
assert not (compiler.is_compiling() or compiler.is_dynamo_compiling() or compiler.is_exporting())
for name in ("is_compiling", "is_dynamo_compiling", "is_exporting", "reset", "cudagraph_mark_step_begin"):
    ours["compiler." + name].fallback()
net = torch.nn.Linear(2, 2)
assert compiler.unwrap_compiled(net) is net
compiler.clean_state_dict(net.state_dict())
assert ("torch._dynamo" in sys.modules) == before
assert not before, "torch imports its compiler by itself"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def wrapped(module):
    return torch.compile(module, backend="eager")


@pytest.mark.shim("compiler.unwrap_compiled")
class TestUnwrapCompiled:
    def test_what_is_not_compiled_is_itself(self, impl):
        for module in (Net(), nn.Sequential(), nn.DataParallel(Net())):
            assert impl(module) is module

    def test_no_module(self, impl):
        with pytest.raises(TypeError, match=r"module must be a torch\.nn.Module, got function"):
            impl(double)

    @pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
    def test_the_outermost(self, impl):
        net = Net()
        assert impl(wrapped(net)) is net

    @pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
    def test_inside(self, impl):
        net = Net().eval()
        linear, tail = net.linear, net.tail
        net.linear = net.again = wrapped(linear)
        net.nothing = None
        x = torch.ones(3, 2)
        bare = impl(wrapped(net))
        assert type(bare) is Net
        assert bare.linear is linear
        assert bare.again is linear
        assert bare.tail is tail
        assert net.linear is not linear
        assert list(bare.state_dict()) == [key for key in bare.state_dict() if "_orig_mod" not in key]
        assert {id(p) for p in bare.parameters()} == {id(p) for p in net.parameters()}
        assert torch.equal(bare(x), tail(linear(x)))
        assert not bare.training

    @pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
    def test_deep_and_shared(self, impl):
        block = nn.Sequential(nn.Linear(2, 2))
        block[0] = wrapped(block[0])
        model = nn.Sequential(block, nn.ModuleDict({"a": block}))
        bare = impl(model)
        assert bare[0] is bare[1]["a"]
        assert type(bare[0][0]) is nn.Linear

    def test_parallel(self, impl):
        net = Net()
        assert impl(nn.DataParallel(net), parallel=True) is net
        if COMPILES:
            assert impl(nn.DataParallel(wrapped(net)), parallel=True) is net
            kept = impl(nn.DataParallel(wrapped(net)))
            assert type(kept) is nn.DataParallel
            assert kept.module is net


@pytest.mark.shim("compiler.clean_state_dict")
class TestCleanStateDict:
    def test_any_depth(self, impl):
        names = ["_orig_mod.a.w", "b._orig_mod.c._orig_mod._orig_mod.w", "module._orig_mod.d", "e", "my_orig_mod.f"]
        state = OrderedDict((name, i) for i, name in enumerate(names))
        cleaned = impl(state)
        assert list(cleaned.items()) == [("a.w", 0), ("b.c.w", 1), ("module.d", 2), ("e", 3), ("my_orig_mod.f", 4)]
        assert type(cleaned) is OrderedDict
        assert list(state) == names

    def test_a_parameter_of_that_name(self, impl):
        assert impl({"_orig_mod": 1, "a._orig_mod": 2}) == {"_orig_mod": 1, "a._orig_mod": 2}

    def test_collisions(self, impl):
        with pytest.raises(ValueError, match=r"'a\.w' and '_orig_mod\.a\.w' would both become 'a\.w'"):
            impl({"a.w": 1, "_orig_mod.a.w": 2})

    def test_no_dict(self, impl):
        with pytest.raises(TypeError, match="state_dict must be a dict, got list"):
            impl([("a", 1)])

    def test_nothing_to_clean(self, impl):
        state = Net().state_dict()
        cleaned = impl(state)
        assert list(cleaned) == list(state)
        assert all(cleaned[key] is state[key] for key in state)
        assert cleaned._metadata == state._metadata

    @pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
    def test_it_loads_into_the_model_that_was_compiled(self, impl):
        net = Net()
        plain = net.state_dict()
        net.tail = wrapped(net.tail)
        state = wrapped(net).state_dict()
        assert all("_orig_mod" in key for key in state)
        cleaned = impl(state)
        assert list(cleaned) == list(plain)
        assert cleaned._metadata == plain._metadata
        Net().load_state_dict(cleaned)
