"""The default device, on torch that has one and on torch that has none. "meta" stands for any device but the CPU."""

import threading

import pytest
import torch

from torchcompat import SHIMS, UnsupportedError, at_least
from torchcompat.device import _default, default_device

HAS_DEFAULT = at_least(2, 0)
needs_default = pytest.mark.skipif(not HAS_DEFAULT, reason="torch has had a default device since 2.0")
before_default = pytest.mark.skipif(HAS_DEFAULT, reason="torch has had a default device since 2.0")
getter = pytest.mark.shim("get_default_device")
setter = pytest.mark.shim("set_default_device")
CPU, META = torch.device("cpu"), torch.device("meta") if at_least(1, 9) else None
fallback_set = SHIMS["set_default_device"].fallback


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    fallback_set(None)
    assert torch.empty(0).device == CPU
    assert torch.empty(0).dtype == torch.float32


@getter
def test_at_first_it_is_the_cpu(impl):
    assert impl() == CPU


@getter
@needs_default
def test_what_was_set(impl):
    torch.set_default_device("meta")
    assert impl() == META


@getter
@needs_default
def test_after_none_was_set(impl):
    torch.set_default_device("meta")
    torch.set_default_device(None)
    assert impl() == CPU


@getter
@needs_default
def test_within_a_context(impl):
    with torch.device("meta"):
        assert impl() == META
        with torch.device("cpu"):
            assert impl() == CPU
        assert impl() == META
    assert impl() == CPU


@getter
@needs_default
def test_a_context_within_what_was_set(impl):
    torch.set_default_device("meta")
    with torch.device("cpu"):
        assert impl() == CPU
    assert impl() == META


@getter
@needs_default
def test_other_threads_have_their_own(impl):
    torch.set_default_device("meta")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(impl()))
    thread.start()
    thread.join()
    # torch 2.0 to 2.2 keep the context in a thread of its own, too.
    assert seen == [CPU]


@getter
@needs_default
@pytest.mark.limit("started")
def test_a_device_with_a_number_is_not_started(impl):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU to start")
    with torch.device("cuda:0"):
        assert impl() == torch.device("cuda", 0)


@setter
@pytest.mark.parametrize("device", ["cpu", CPU, None])
def test_the_cpu_always_works(impl, device):
    impl(device)
    assert torch.empty(0).device == CPU


@setter
@pytest.mark.limit("old torch")
@pytest.mark.parametrize("make", [str, torch.device])
def test_factories_heed_it(impl, make):
    impl(make("meta"))
    for tensor in (torch.zeros(2), torch.rand(2), torch.arange(2), torch.tensor([1.0]), torch.nn.Linear(2, 2).weight):
        assert tensor.device == META
    assert torch.zeros(2, device="cpu").device == CPU
    impl(None)
    assert torch.zeros(2).device == CPU


@setter
@pytest.mark.parametrize(("device", "error"), [("no_such_device", RuntimeError), (1.5, TypeError), ([], TypeError)])
def test_what_is_no_device(impl, device, error):
    with pytest.raises(error):
        impl(device)
    assert torch.empty(0).device == CPU


@before_default
@pytest.mark.parametrize("device", ["meta", "cuda:0", torch.device("cuda", 1), "hip"])
@pytest.mark.parametrize("call", [fallback_set, default_device])
def test_old_torch_refuses_other_devices(call, device):
    if device == "meta" and META is None:
        pytest.skip("the meta device came with torch 1.9")
    with pytest.raises(UnsupportedError, match=r"cannot be the default .* torch 2\.0"):
        call(device)
    assert torch.empty(0).device == CPU


@before_default
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_old_torch_has_a_default_type(dtype):
    # Without a GPU no tensor of the type can be made, but torch tells what it would be.
    torch.set_default_dtype(dtype)
    try:
        fallback_set("cuda")
        assert torch._C._get_default_device() == "cuda"
        assert torch.get_default_dtype() == dtype
        fallback_set("cpu")
        assert torch._C._get_default_device() == "cpu"
        assert torch.get_default_dtype() == dtype
        with default_device("cuda"):
            assert torch._C._get_default_device() == "cuda"
            with default_device("cpu"):
                assert torch.empty(0).device == CPU
            assert torch._C._get_default_device() == "cuda"
        assert torch._C._get_default_device() == "cpu"
    finally:
        fallback_set(None)
        torch.set_default_dtype(torch.float32)


# --- default_device


def test_a_block_on_the_cpu():
    with default_device("cpu") as entered:
        assert entered is None
        assert torch.empty(0).device == CPU


@needs_default
def test_a_block():
    scope = default_device("meta")
    assert scope.device == META
    with scope:
        assert torch.empty(0).device == META
        with default_device("cpu"), scope:
            assert torch.empty(0).device == META
        assert torch.empty(0).device == META
    assert torch.empty(0).device == CPU


@needs_default
def test_a_block_that_raises():
    with pytest.raises(KeyError), default_device("meta"):
        raise KeyError
    assert torch.empty(0).device == CPU


@needs_default
def test_a_function():
    @default_device("meta")
    def make(size, *, dtype):
        """Make it."""
        return torch.empty(size, dtype=dtype)

    assert make.__name__ == "make"
    assert make.__doc__ == "Make it."
    made = make(3, dtype=torch.float64)
    assert (made.device, made.shape, made.dtype) == (META, (3,), torch.float64)
    assert torch.empty(0).device == CPU


def test_what_cannot_be_decorated():
    for function in (torch.nn.Linear, 3):
        with pytest.raises(TypeError, match="default_device"):
            default_device("cpu")(function)


@pytest.mark.parametrize(("device", "error"), [("no_such_device", RuntimeError), (None, TypeError), (1.5, TypeError)])
def test_a_block_on_no_device(device, error):
    with pytest.raises(error):
        default_device(device)


def test_the_top_level_names_are_here():
    assert _default.get_default_device is SHIMS["get_default_device"].public
    assert _default.set_default_device is SHIMS["set_default_device"].public
