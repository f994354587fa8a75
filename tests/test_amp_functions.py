"""The state of autocast, and functions with a backward of their own under it."""

import warnings
from contextlib import contextmanager

import pytest
import torch
from amp_tools import (
    CPU,
    HALF,
    KINDS,
    NEW_KINDS,
    _state_is_put_back,  # noqa: F401 - runs around every test
    cpu_casts,
    matrix,
    product_dtype,
)

from torchcompat import SHIMS, amp, at_least, at_most
from torchcompat.amp._state import is_autocast_enabled
from torchcompat.nn.functional._sdpa._autocast import without_autocast

fwd_test = pytest.mark.shim("amp.custom_fwd")


bwd_test = pytest.mark.shim("amp.custom_bwd")


dtype_test = pytest.mark.shim("get_autocast_dtype")


enabled_test = pytest.mark.shim("is_autocast_enabled")


# What torch 2.4's own functions refuse.
MPS = pytest.param("mps", marks=pytest.mark.limit("mps"))


available_test = pytest.mark.shim("amp.is_autocast_available")


# The state.


@enabled_test
def test_autocast_is_off_at_first(impl):
    for kind in set(KINDS) - {"mps"}:
        assert impl(kind) is False
    assert impl() is False
    assert impl("cuda:1") is False


@enabled_test
@pytest.mark.parametrize("kind", [MPS, *NEW_KINDS])
def test_autocast_is_off_on_newer_devices(impl, kind):
    assert impl(kind) is False


@cpu_casts
@enabled_test
def test_it_is_on_for_its_own_device_only(impl):
    with amp.autocast("cpu"):
        assert impl("cpu") is True
        assert impl(device_type="cpu") is True
        assert impl("cuda") is False
        assert impl("xpu") is False
        assert impl() is False


@enabled_test
def test_enabled_refuses_what_is_no_device(impl):
    with pytest.raises(TypeError):
        impl(3)
    for device in ("nonsense", "meta", "cuda:x"):
        with pytest.raises(RuntimeError):
            impl(device)


@dtype_test
@pytest.mark.parametrize("kind", [*(kind for kind in KINDS if kind != "mps"), MPS, *NEW_KINDS])
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
