"""The modules of devices: torch.cpu on every torch, get_device_module, and the one set of functions for all."""

import inspect
import types

import pytest
import torch

from torchcompat import SHIMS, UnsupportedError, cpu
from torchcompat.device import DeviceModule, device_module

shim = pytest.mark.shim
GPU = torch.cuda.is_available()
without_gpu = pytest.mark.skipif(GPU, reason="there is a GPU")


# --- torch.cpu


@shim("cpu.is_available")
def test_there_is_a_cpu(impl):
    assert impl() is True


@shim("cpu.is_initialized")
def test_it_is_ready(impl):
    assert impl() is True


@shim("cpu.device_count")
def test_there_is_one(impl):
    assert impl() == 1


@shim("cpu.current_device")
def test_its_name(impl):
    assert impl() == "cpu"


@shim("cpu.set_device")
@pytest.mark.parametrize("device", ["cpu", 0, torch.device("cpu"), None])
def test_set_device(impl, device):
    assert impl(device) is None


@shim("cpu.synchronize")
def test_synchronize(impl):
    assert impl() is None
    assert impl("cpu") is None
    assert impl(device=0) is None


@shim("cpu.Stream")
def test_a_stream_does_nothing(impl):
    stream = impl(priority=-1)
    assert stream.wait_stream(impl()) is None
    assert stream.wait_event(cpu.Event()) is None
    assert stream.record_event() is None


@shim("cpu.Event")
def test_an_event_has_happened(impl):
    event = impl()
    assert event.query() is True
    assert event.record() is None
    assert event.record(cpu.Stream()) is None
    assert event.wait() is None
    assert event.synchronize() is None


def _current_beside(impl, name):
    """The ``current_stream`` that belongs to the object under test."""
    row = SHIMS["cpu.current_stream"]
    if impl is not SHIMS[name].fallback:
        return row.native
    return row.public if name == "cpu.stream" else row.fallback  # the fallback enters the public StreamContext


@shim("cpu.current_stream")
def test_there_is_a_stream(impl):
    stream = impl()
    assert stream.wait_stream(stream) is None
    assert stream.wait_event(cpu.Event()) is None
    assert impl("cpu") is impl(device=None) is impl()


@pytest.mark.parametrize("name", ["cpu.stream", "cpu.StreamContext"])
def test_a_stream_is_selected_for_a_block(name):
    row = SHIMS[name]
    for impl in [row.fallback, row.native] if row.meets_contract else [row.fallback]:
        current = _current_beside(impl, name)
        before, first, second = current(), cpu.Stream(), cpu.Stream()
        with impl(first) as entered:
            assert entered is None
            assert current() is first
            with impl(second):
                assert current() is second
            with impl(None):
                assert current() is first
        assert current() is before


@shim("cpu.stream")
def test_a_stream_is_put_back_after_an_error(impl):
    current = _current_beside(impl, "cpu.stream")
    before = current()
    with pytest.raises(KeyError), impl(cpu.Stream()):
        raise KeyError
    assert current() is before


@shim("cpu.StreamContext")
def test_the_context_has_its_stream(impl):
    stream = cpu.Stream()
    assert impl(stream).stream is stream


@shim("cpu.get_capabilities")
def test_capabilities(impl):
    found = impl()
    assert isinstance(found["architecture"], str)
    with pytest.raises(TypeError):
        found["architecture"] = "other"


@shim("cpu.get_capabilities")
@pytest.mark.limit("instructions")
def test_capabilities_of_instructions(impl):
    assert len(impl()) > 1


# --- get_device_module


@shim("get_device_module")
@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_module_of_the_cpu(impl, device):
    found = impl(device)
    assert isinstance(found, types.ModuleType)
    assert found.__name__ in ("torch.cpu", "torchcompat.cpu")
    assert found.is_available()
    assert found.device_count() == 1
    assert found.current_device() == "cpu"
    assert found.synchronize() is None
    with found.stream(found.Stream()):
        assert found.Event().query()


@shim("get_device_module")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda", 0)])
def test_the_module_of_cuda(impl, device):
    assert impl(device) is torch.cuda


@shim("get_device_module")
def test_the_module_of_what_torch_is_built_for(impl):
    found = SHIMS["accelerator.current_accelerator"].fallback()
    assert impl().__name__.rpartition(".")[2] == (found.type if found else "cpu")
    assert impl(None) is impl(device=None) is impl()


@shim("get_device_module")
@pytest.mark.parametrize("device", ["no_such_device", "hip", 0, 1.5])
def test_no_module(impl, device):
    with pytest.raises(RuntimeError):
        impl(device)


# --- device_module

METHODS = [name for name in vars(DeviceModule) if not name.startswith("_")]
QUESTIONS = ["memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"]


def test_every_function_is_documented():
    assert len(METHODS) >= 27
    for name in METHODS:
        assert inspect.getdoc(getattr(DeviceModule, name)), name


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_training_loop_on_the_cpu(device):
    module = device_module(device)
    assert module.type == "cpu"
    assert repr(module) == "device_module('cpu')"
    assert module.is_available()
    assert module.device_count() == 1
    assert module.current_device() == "cpu"
    module.set_device("cpu")
    module.reset_peak_memory_stats()
    module.reset_accumulated_memory_stats()
    stream, event = module.Stream(), module.Event()
    stream.wait_stream(module.current_stream())
    with module.stream(stream):
        assert module.current_stream() is stream
        event.record()
    event.synchronize()
    module.synchronize()
    module.empty_cache()
    assert [getattr(module, name)() for name in QUESTIONS] == [0, 0, 0, 0]
    assert module.memory_stats() == {}


def test_a_stream_can_be_set_for_good():
    module = device_module("cpu")
    before, stream = module.current_stream(), module.Stream()
    module.set_stream(stream)
    assert module.current_stream() is stream
    module.set_stream(before)
    assert module.current_stream() is before


def test_seeds_of_the_cpu():
    module = device_module("cpu")
    module.manual_seed(3)
    assert module.initial_seed() == 3
    state = module.get_rng_state()
    first = torch.rand(2)
    module.set_rng_state(state)
    assert torch.equal(torch.rand(2), first)
    module.manual_seed_all(3)
    assert torch.equal(torch.rand(2), first)


@pytest.mark.parametrize("type", ["cpu", "cuda", "xpu", "mps"])
@pytest.mark.parametrize("name", ["synchronize", "set_device", "current_stream", "get_rng_state", *QUESTIONS])
def test_devices_are_checked(type, name):
    if type in ("xpu", "mps"):
        try:
            torch.device(type)
        except RuntimeError:
            pytest.skip(f"this torch has no device of type {type}")
    function = getattr(device_module(type), name)
    other = "cpu" if type != "cpu" else "cuda"
    with pytest.raises(ValueError, match=f"device must be of type {type}, got '{other}'"):
        function(other)
    with pytest.raises(TypeError, match=r"device must be None, an int, .* got 1\.5"):
        function(1.5)
    with pytest.raises(RuntimeError):
        function("no_such_device")


@without_gpu
def test_a_gpu_that_is_not_there():
    module = device_module("cuda")
    assert not module.is_available()
    assert module.device_count() == 0
    assert not module.is_initialized()
    assert [getattr(module, name)() for name in QUESTIONS] == [0, 0, 0, 0]
    assert module.memory_stats(0) == {}
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats", "reset_accumulated_memory_stats"):
        assert getattr(module, name)() is None
    module.set_device(-1)
    module.set_device(None)
    for name in ("current_device", "current_stream", "get_rng_state", "mem_get_info", "Stream", "Event"):
        with pytest.raises(RuntimeError, match="no device of type cuda is available: "):
            getattr(module, name)()
    with pytest.raises(RuntimeError, match="no device of type cuda is available: "):
        module.set_device(0)


@pytest.mark.skipif(GPU or device_module("cuda").is_available(), reason="there is a GPU")
def test_without_an_accelerator_it_is_the_cpu():
    if not SHIMS["accelerator.is_available"].fallback():
        assert device_module().type == "cpu"


def test_the_cpu_does_not_tell_its_memory():
    with pytest.raises(UnsupportedError, match="mem_get_info"):
        device_module("cpu").mem_get_info()


@pytest.mark.parametrize(("device", "error"), [(0, TypeError), (1.5, TypeError), ("no_such_device", RuntimeError)])
def test_no_device(device, error):
    with pytest.raises(error):
        device_module(device)
