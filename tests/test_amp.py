"""autocast, its state, and custom_fwd and custom_bwd, on the CPU: casts where this torch has them, errors where not."""

import copy
import sys
import threading
import warnings
from contextlib import contextmanager

import pytest
import torch

from torchcompat import SHIMS, UnsupportedError, amp, at_least, at_most
from torchcompat.amp import _state
from torchcompat.amp._state import get_autocast_dtype, is_autocast_enabled
from torchcompat.nn._autocast import without_autocast

CPU = at_least(1, 10)
HALF = at_least(2, 2)
KINDS = ["cpu", "cuda", "hpu", "ipu", "mps", "xla", "xpu"]
NEW_KINDS = [pytest.param(kind, marks=pytest.mark.limit(kind)) for kind in ("mtia", "maia")]

cpu_casts = pytest.mark.skipif(not CPU, reason="torch has autocast for the CPU since 1.10")
autocast_test = pytest.mark.shim("amp.autocast")
fwd_test = pytest.mark.shim("amp.custom_fwd")
bwd_test = pytest.mark.shim("amp.custom_bwd")
dtype_test = pytest.mark.shim("get_autocast_dtype")
enabled_test = pytest.mark.shim("is_autocast_enabled")
available_test = pytest.mark.shim("amp.is_autocast_available")


def state(kind="cpu"):
    return is_autocast_enabled(kind), get_autocast_dtype(kind)


@pytest.fixture(autouse=True)
def _state_is_put_back():
    before = [state(kind) for kind in ("cpu", "cuda")]
    yield
    after = [state(kind) for kind in ("cpu", "cuda")]
    if after[0][0]:
        _state.switch_of("cpu").set_enabled(False)
    assert after == before


def matrix():
    return torch.ones(2, 2)


def product_dtype():
    return torch.mm(matrix(), matrix()).dtype


# The block.


@cpu_casts
@autocast_test
def test_the_default_on_the_cpu_is_bfloat16(impl):
    with impl("cpu"):
        assert product_dtype() == torch.bfloat16
        assert state() == (True, torch.bfloat16)
    assert product_dtype() == torch.float32


@autocast_test
@pytest.mark.skipif(HALF, reason="torch casts to float16 on the CPU since 2.2")
def test_float16_on_the_cpu_is_refused_where_torch_cannot(impl):
    with pytest.raises(UnsupportedError, match="2.2" if CPU else "1.10"):
        impl("cpu", torch.float16)


@autocast_test
@pytest.mark.skipif(not HALF, reason="torch casts to float16 on the CPU since 2.2")
def test_float16_on_the_cpu(impl):
    with impl("cpu", torch.float16):
        assert product_dtype() == torch.float16


@pytest.mark.skipif(CPU, reason="torch has autocast for the CPU since 1.10")
@autocast_test
def test_without_autocast_for_the_cpu_asking_for_it_is_an_error(impl):
    with pytest.raises(UnsupportedError, match=r"needs torch 1\.10 or newer.*enabled=False"):
        impl("cpu")


@autocast_test
@pytest.mark.parametrize("kind", KINDS + NEW_KINDS)
def test_a_disabled_block_casts_nothing_on_any_device(impl, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with impl(kind, enabled=False):
            assert product_dtype() == torch.float32
            assert SHIMS["is_autocast_enabled"].fallback(kind) is False


@autocast_test
@pytest.mark.skipif(at_least(2, 5), reason="torch has autocast for mps since 2.5")
def test_a_device_that_this_torch_does_not_cast_on_is_named(impl):
    with pytest.raises(UnsupportedError, match=r"'mps' needs torch 2\.5"):
        impl("mps")


@cpu_casts
@autocast_test
def test_arguments_by_position(impl):
    with impl("cpu", torch.bfloat16, True, False):
        assert product_dtype() == torch.bfloat16
        assert not torch.is_autocast_cache_enabled()
    with impl("cpu", torch.bfloat16, False):
        assert product_dtype() == torch.float32
    assert torch.is_autocast_cache_enabled()


@cpu_casts
@autocast_test
def test_the_cache_is_as_around_the_block_unless_told(impl):
    with impl("cpu", cache_enabled=False):
        with impl("cpu"):
            assert not torch.is_autocast_cache_enabled()
        with impl("cpu", cache_enabled=True):
            assert torch.is_autocast_cache_enabled()
        assert not torch.is_autocast_cache_enabled()


@cpu_casts
@autocast_test
def test_nested_blocks(impl):
    with impl("cpu"):
        with impl("cpu", enabled=False):
            assert product_dtype() == torch.float32
            with impl("cpu"):
                assert product_dtype() == torch.bfloat16
            assert product_dtype() == torch.float32
        assert product_dtype() == torch.bfloat16


@pytest.mark.skipif(not HALF, reason="torch casts to float16 on the CPU since 2.2")
@autocast_test
def test_a_block_without_dtype_takes_that_of_the_block_around_it(impl):
    with impl("cpu", torch.float16):
        with impl("cpu"):
            assert state() == (True, torch.float16)
        with impl("cpu", torch.bfloat16):
            assert product_dtype() == torch.bfloat16
        assert product_dtype() == torch.float16
    assert state() == (False, torch.bfloat16)


@cpu_casts
@autocast_test
def test_an_exception_passes_and_the_state_comes_back(impl):
    with pytest.raises(KeyError, match="mine"), impl("cpu"):
        raise KeyError("mine")
    assert product_dtype() == torch.float32


@autocast_test
def test_as_a_decorator(impl):
    @impl("cpu", enabled=CPU)
    def product(a, *, b):
        """Words."""
        return torch.mm(a, b)

    assert product(matrix(), b=matrix()).dtype == (torch.bfloat16 if CPU else torch.float32)
    assert (product.__name__, product.__doc__) == ("product", "Words.")
    assert product_dtype() == torch.float32


@autocast_test
def test_as_a_decorator_of_forward(impl):
    class Module(torch.nn.Linear):
        @impl("cpu", enabled=CPU)
        def forward(self, input):
            return super().forward(input)

    output = copy.deepcopy(Module(2, 2))(matrix())
    assert output.dtype == (torch.bfloat16 if CPU else torch.float32)
    output.float().sum().backward()


@cpu_casts
@autocast_test
@pytest.mark.limit("again")
def test_an_object_can_be_entered_again(impl):
    block = impl("cpu")
    with block:
        with block:
            assert product_dtype() == torch.bfloat16
        assert product_dtype() == torch.bfloat16
    assert product_dtype() == torch.float32
    with block:
        assert product_dtype() == torch.bfloat16


@autocast_test
@pytest.mark.limit("as")
def test_what_the_block_is_called(impl):
    block = impl("cpu", enabled=False)
    with block as entered:
        assert entered is block


@cpu_casts
@autocast_test
def test_a_block_is_of_its_thread(impl):
    seen = []
    with impl("cpu"):
        thread = threading.Thread(target=lambda: seen.append(product_dtype()))
        thread.start()
        thread.join()
    assert seen == [torch.float32]


@cpu_casts
@autocast_test
def test_gradients_flow_in_float32(impl):
    weight = torch.full((2, 2), 0.5, requires_grad=True)
    with impl("cpu"):
        loss = torch.mm(matrix(), weight).float().sum()
    loss.backward()
    assert weight.grad.dtype == torch.float32
    assert weight.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


@cpu_casts
@autocast_test
def test_a_dtype_that_cannot_be_cast_to_warns_and_does_nothing(impl):
    with pytest.warns(UserWarning, match="(?s)dtype.*bfloat16"):
        block = impl("cpu", torch.float32)
    with block:
        assert product_dtype() == torch.float32
        assert not is_autocast_enabled("cpu")
    with impl("cpu", torch.float32, enabled=False):  # no warning
        pass


@autocast_test
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_cuda_without_cuda_warns_and_does_nothing(impl):
    with pytest.warns(UserWarning, match="(?i)CUDA"):
        block = impl("cuda")
    with block:
        assert product_dtype() == torch.float32
        assert not is_autocast_enabled("cuda")


@autocast_test
def test_bad_arguments(impl):
    with pytest.raises(ValueError, match="device_type"):
        impl(torch.device("cpu"))
    with pytest.raises(RuntimeError):
        impl("nonsense")
    with pytest.raises(RuntimeError):
        impl("meta", enabled=False)


@autocast_test
@pytest.mark.limit("callable")
def test_only_what_can_be_called_is_decorated(impl):
    with pytest.raises(TypeError, match=r"callable|functions"):
        impl("cpu", enabled=False)(3)


def test_nothing_in_amp_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with amp.autocast("cpu", enabled=CPU):
            state()
        amp.GradScaler("cpu").state_dict()
        amp.GradScaler(enabled=False).state_dict()
        amp.custom_bwd(amp.custom_fwd(len, device_type="cuda", cast_inputs=torch.float32), device_type="cuda")


def test_the_module_of_torch_does_not_become_loaded():
    assert at_least(1, 5) or "torch.cuda.amp" not in sys.modules


# The state.


@enabled_test
def test_autocast_is_off_at_first(impl):
    for kind in KINDS:
        assert impl(kind) is False
    assert impl() is False
    assert impl("cuda:1") is False


@enabled_test
@pytest.mark.parametrize("kind", NEW_KINDS)
def test_autocast_is_off_on_newer_devices(impl, kind):
    assert impl(kind) is False


@cpu_casts
@enabled_test
def test_it_is_on_for_its_own_device_only(impl):
    with amp.autocast("cpu"):
        assert impl("cpu") is True
        assert impl(device_type="cpu") is True
        assert impl("cuda") is False
        assert impl("mps") is False
        assert impl() is False


@enabled_test
def test_enabled_refuses_what_is_no_device(impl):
    with pytest.raises(TypeError):
        impl(3)
    for device in ("nonsense", "meta", "cuda:x"):
        with pytest.raises(RuntimeError):
            impl(device)


@dtype_test
@pytest.mark.parametrize("kind", KINDS + NEW_KINDS)
def test_the_dtype_at_first(impl, kind):
    assert impl(kind) == (torch.bfloat16 if kind in ("cpu", "hpu", "xla", "maia") else torch.float16)


@dtype_test
@pytest.mark.limit("off")
def test_the_dtype_in_a_disabled_block(impl):
    with amp.autocast("cpu", torch.float16, enabled=False):
        assert impl("cpu") == torch.float16
    assert impl(device_type="cpu") == torch.bfloat16


@dtype_test
def test_dtype_refuses_what_is_no_device(impl):
    with pytest.raises(TypeError):
        impl(3)
    for device in ("nonsense", "meta"):
        with pytest.raises(RuntimeError):
            impl(device)


@available_test
def test_available(impl):
    assert impl("cpu") is CPU
    assert impl("cuda") is at_least(1, 6)
    assert impl("cuda:0") is at_least(1, 6)
    assert impl("mps") is at_least(2, 5)
    assert impl("mtia") is at_least(2, 7)
    assert impl("meta") is False
    assert impl(device_type="cpu") is CPU


@available_test
def test_available_refuses_what_is_no_device(impl):
    with pytest.raises(RuntimeError):
        impl("nonsense")
    with pytest.raises(TypeError):
        impl(3)


# Functions with a backward of their own.


def square(fwd, bwd, seen):
    """x @ x, which notes in which dtypes it runs."""

    class Square(torch.autograd.Function):
        @staticmethod
        @fwd
        def forward(ctx, x, others=None):
            ctx.save_for_backward(x)
            seen["forward"] = product_dtype()
            seen["input"] = x.dtype
            seen["others"] = others
            return torch.mm(x, x)

        @staticmethod
        @bwd
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            seen["backward"] = product_dtype()
            x = x.to(grad.dtype)
            return (torch.mm(grad, x.t()) + torch.mm(x.t(), grad)).float(), None

    return Square.apply


@contextmanager
def casting(on):
    with amp.autocast("cpu", enabled=on):
        yield


@pytest.mark.parametrize("on", [False, pytest.param(True, marks=cpu_casts)])
@fwd_test
def test_forward_runs_under_the_autocast_around_it(impl, on):
    seen = {}
    function = square(impl(device_type="cpu"), amp.custom_bwd(device_type="cpu"), seen)
    x = matrix().requires_grad_()
    with casting(on):
        loss = function(x).float().sum()
    loss.backward()
    low = torch.bfloat16 if on else torch.float32
    assert (seen["forward"], seen["backward"], seen["input"]) == (low, low, torch.float32)
    assert x.grad.tolist() == [[4.0, 4.0], [4.0, 4.0]]


@pytest.mark.parametrize("on", [False, pytest.param(True, marks=cpu_casts)])
@fwd_test
def test_cast_inputs_casts_where_autocast_is_on_and_keeps_it_out(impl, on):
    seen = {}
    fwd = impl(device_type="cpu", cast_inputs=torch.bfloat16)
    function = square(fwd, amp.custom_bwd(device_type="cpu"), seen)
    x = matrix().requires_grad_()
    with casting(on):
        loss = function(x).float().sum()
    with casting(on):  # also a backward under autocast runs without, as its forward did
        loss.backward()
    assert seen["input"] == (torch.bfloat16 if on else torch.float32)
    assert (seen["forward"], seen["backward"]) == (torch.float32, torch.float32)


@cpu_casts
@fwd_test
def test_cast_inputs_reaches_into_containers_and_leaves_the_rest(impl):
    seen = {}
    function = square(impl(device_type="cpu", cast_inputs=torch.bfloat16), amp.custom_bwd(device_type="cpu"), seen)
    others = [
        matrix(),
        (matrix().double(), torch.ones(1, dtype=torch.int64)),
        {"key": matrix()},
        "text",
        None,
        3.0,
    ]
    with casting(True):
        function(matrix(), others)
    first, (double, integer), mapping, *rest = seen["others"]
    assert (first.dtype, double.dtype, integer.dtype) == (torch.bfloat16, torch.float64, torch.int64)
    assert mapping["key"].dtype == torch.bfloat16
    assert rest == ["text", None, 3.0]
    assert isinstance(seen["others"], list)


@cpu_casts
@fwd_test
def test_cast_inputs_is_for_tensors_on_its_device(impl):
    class Context:
        pass

    context = Context()
    forward = impl(lambda ctx, x, *, y: (x.dtype, y.dtype), device_type="cpu", cast_inputs=torch.bfloat16)
    with casting(True):
        assert forward(context, matrix(), y=matrix()) == (torch.bfloat16, torch.bfloat16)
    other = impl(lambda ctx, x: x.dtype, device_type="cuda", cast_inputs=torch.bfloat16)
    with casting(True):
        assert other(context, matrix()) == torch.float32


@fwd_test
def test_custom_fwd_keeps_name_and_words(impl):
    def forward(ctx):
        """Words."""

    for decorated in (impl(forward, device_type="cpu"), impl(device_type="cuda")(forward)):
        assert (decorated.__name__, decorated.__doc__) == ("forward", "Words.")


@fwd_test
def test_custom_fwd_needs_a_device_type(impl):
    with pytest.raises(ValueError, match="device_type"):
        impl(device_type=torch.device("cpu"))
    with pytest.raises(TypeError):
        impl(len)


@bwd_test
def test_custom_bwd_needs_a_device_type(impl):
    with pytest.raises(ValueError, match="device_type"):
        impl(device_type=torch.device("cpu"))
    with pytest.raises(TypeError):
        impl(len)


@pytest.mark.parametrize("on", [False, pytest.param(True, marks=cpu_casts)])
@bwd_test
def test_backward_runs_as_forward_did(impl, on):
    seen = {}
    function = square(amp.custom_fwd(device_type="cpu"), impl(device_type="cpu"), seen)
    x = matrix().requires_grad_()
    with casting(on):
        loss = function(x).float().sum()
    loss.backward()
    assert seen["backward"] == (torch.bfloat16 if on else torch.float32)
    assert product_dtype() == torch.float32


@pytest.mark.skipif(not HALF, reason="torch casts to float16 on the CPU since 2.2")
@bwd_test
def test_backward_runs_in_the_dtype_of_forward(impl):
    seen = {}
    function = square(amp.custom_fwd(device_type="cpu"), impl(device_type="cpu"), seen)
    with amp.autocast("cpu", torch.float16):
        loss = function(matrix().requires_grad_()).float().sum()
    with amp.autocast("cpu", torch.bfloat16):
        loss.backward()
    assert seen["backward"] == torch.float16


@pytest.mark.parametrize("kind", ["cpu", "mps", "mtia", "meta"])
def test_attention_keeps_autocast_out_on_devices_without_it(kind):
    with without_autocast(kind):
        assert product_dtype() == torch.float32


# Under torch.compile.


@pytest.mark.skipif(at_most(2, 0), reason="torch.compile works here since 2.1")
def test_under_compile():
    fallback = SHIMS["amp.autocast"].fallback

    def function(x):
        with fallback("cpu"):
            y = torch.mm(x, x)
        return y, torch.mm(x, x)

    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a graph that breaks
        low, full = torch.compile(function, backend="eager")(matrix())
    assert (low.dtype, full.dtype) == (torch.bfloat16, torch.float32)


def test_the_public_names_are_what_the_table_says():
    assert amp.autocast is SHIMS["amp.autocast"].public
    assert is_autocast_enabled is SHIMS["is_autocast_enabled"].public
