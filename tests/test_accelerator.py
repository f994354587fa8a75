"""torch.accelerator on every torch. Without a GPU, that is what can be known and done without one."""

import inspect
import json
import subprocess
import sys
import warnings
from collections import OrderedDict

import pytest
import torch

from torchcompat import SHIMS, accelerator, at_least, best_device

HERE = accelerator.is_available()
BUILT_FOR_CUDA = torch.version.cuda is not None
without_device = pytest.mark.skipif(HERE, reason="there is an accelerator")
for_cuda = pytest.mark.skipif(not BUILT_FOR_CUDA, reason="a torch that is not built for CUDA")
shim = pytest.mark.shim


@pytest.fixture(autouse=True)
def _module_loading(monkeypatch):
    """torch 1.13 to 2.8 set this variable for good where CUDA is to be started, which the isolation of tests minds."""
    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")


@shim("accelerator.current_accelerator")
@for_cuda
def test_current_accelerator_is_that_of_the_build(impl):
    assert impl() == torch.device("cuda")
    assert impl(check_available=False).index is None


@shim("accelerator.current_accelerator")
def test_current_accelerator_is_checked_if_asked(impl):
    expected = None if best_device().type == "cpu" else best_device().type
    for found in (impl(check_available=True), impl(True)):
        assert (found and found.type) == expected


@shim("accelerator.is_available")
def test_is_available(impl):
    assert impl() is (best_device().type != "cpu")


@shim("accelerator.device_count")
@pytest.mark.skipif(not HERE, reason="no device to count")
def test_device_count(impl):
    assert type(impl()) is int
    assert impl() > 0


@shim("accelerator.device_count")
@pytest.mark.limit("no driver")
@without_device
def test_no_device_is_counted(impl):
    assert type(impl()) is int
    assert impl() == 0


def _needs_a_device(name):
    @shim("accelerator." + name)
    @without_device
    def test(impl):
        with pytest.raises(RuntimeError):
            impl()

    return test


test_current_device_index = _needs_a_device("current_device_index")
test_current_stream = _needs_a_device("current_stream")
test_synchronize_of_the_current_device = _needs_a_device("synchronize")
test_get_memory_info = _needs_a_device("get_memory_info")
test_get_device_capability = _needs_a_device("get_device_capability")
test_graph = _needs_a_device("Graph")
test_initial_seed = _needs_a_device("random.initial_seed")
test_get_rng_state = _needs_a_device("random.get_rng_state")


@shim("accelerator.random.get_rng_state_all")
@without_device
def test_get_rng_state_all(impl):
    assert impl() == []


@shim("accelerator.current_device_idx")
@without_device
def test_the_older_name_of_the_question(impl):
    with pytest.warns(FutureWarning, match="current_device_index"), pytest.raises(RuntimeError):
        impl()


@shim("accelerator.set_device_idx")
def test_the_older_name_of_the_setter(impl):
    with pytest.warns(FutureWarning, match="set_device_index"):
        assert impl(-1) is None


@shim("accelerator.set_device_index")
def test_a_negative_number_sets_nothing(impl):
    assert impl(-1) is None


@shim("accelerator.set_device_index")
@without_device
@pytest.mark.parametrize("device", [0, "cuda:0"])
def test_setting_a_device_that_is_not_there(impl, device):
    if isinstance(device, str) and not BUILT_FOR_CUDA:
        pytest.skip("a torch that is not built for CUDA")
    with pytest.raises(RuntimeError):
        impl(device)


def _checks_the_type(name):
    @shim("accelerator." + name)
    @for_cuda
    @pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
    def test(impl, device):
        with pytest.raises(ValueError, match="cpu"):
            impl(device)

    return test


test_set_device_index_of_another_type = _checks_the_type("set_device_index")
test_synchronize_another_type = _checks_the_type("synchronize")
test_current_stream_of_another_type = _checks_the_type("current_stream")
test_memory_info_of_another_type = _checks_the_type("get_memory_info")
test_capability_of_another_type = _checks_the_type("get_device_capability")
test_seed_of_another_type = _checks_the_type("random.initial_seed")
test_state_of_another_type = _checks_the_type("random.get_rng_state")


@shim("accelerator.set_device_index")
@for_cuda
@pytest.mark.parametrize("device", ["cuda", torch.device("cuda"), None, 1.5])
def test_setting_a_device_without_a_number(impl, device):
    with pytest.raises(ValueError, match="device"):
        impl(device)


@shim("accelerator.synchronize")
def test_no_such_type_of_device(impl):
    with pytest.raises(RuntimeError, match="device"):
        impl("no_such_device")


@shim("accelerator.synchronize")
@without_device
@for_cuda
@pytest.mark.parametrize("device", [0, "cuda:0", torch.device("cuda", 0)])
def test_there_is_nothing_to_wait_for(impl, device):
    assert impl(device) is None


@shim("accelerator.set_stream")
@pytest.mark.parametrize("stream", [None, 3, "cuda"])
def test_what_is_no_stream(impl, stream):
    with pytest.raises(TypeError):
        impl(stream)


@shim("accelerator.device_index")
def test_the_context_with_none_does_nothing(impl):
    with impl(None) as entered:
        assert entered is None


@shim("accelerator.device_index")
@without_device
def test_the_context_of_a_device_that_is_not_there(impl):
    context = impl(0)
    with pytest.raises(RuntimeError):
        context.__enter__()


@shim("accelerator.device_index")
def test_the_context_takes_numbers_only(impl):
    context = impl("cuda")
    with pytest.raises(TypeError):
        context.__enter__()


def _is_unused(name, expected, *arguments):
    @shim("accelerator." + name)
    @without_device
    def test(impl):
        for given in [(), *[(argument,) for argument in arguments]]:
            result = impl(*given)
            assert type(result) is type(expected)
            assert result == expected

    return test


test_memory_stats = _is_unused("memory_stats", OrderedDict(), 0)
test_memory_allocated = _is_unused("memory_allocated", 0, 0)
test_max_memory_allocated = _is_unused("max_memory_allocated", 0, 0)
test_memory_reserved = _is_unused("memory_reserved", 0, 0)
test_max_memory_reserved = _is_unused("max_memory_reserved", 0, 0)
test_reset_peak_memory_stats = _is_unused("reset_peak_memory_stats", None, 0)
test_reset_accumulated_memory_stats = _is_unused("reset_accumulated_memory_stats", None, 0)
test_empty_cache = _is_unused("empty_cache", None)
test_empty_host_cache = _is_unused("empty_host_cache", None)

BY_POSITION = sorted(
    name
    for name, row in SHIMS.items()
    if name.startswith("accelerator.")
    and any(
        parameter.kind is parameter.POSITIONAL_ONLY for parameter in inspect.signature(row.fallback).parameters.values()
    )
)


def test_there_are_parameters_by_position_only():
    assert len(BY_POSITION) == 16


@pytest.mark.parametrize("name", BY_POSITION)
def test_no_parameter_by_name(name):
    parameter = next(iter(inspect.signature(SHIMS[name].fallback).parameters))
    assert not parameter.startswith("_")
    with pytest.raises(TypeError, match="argument"):
        SHIMS[name].fallback(**{parameter: 0})


def in_a_new_process(program):
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        stdout=subprocess.PIPE,
        timeout=100,
    )
    return json.loads(out.stdout.decode())


def test_questions_start_nothing():
    before = torch.cuda._initialized
    for name in ("is_available", "device_count", "current_accelerator", "memory_stats", "empty_cache"):
        SHIMS["accelerator." + name].fallback()
    SHIMS["accelerator.current_accelerator"].fallback(check_available=True)
    assert torch.cuda._initialized == before


# A backend in Python, registered as torch asks plug-ins to: all that can stand for an accelerator on any machine.
PLUGIN = """
import json, sys, types
import torch
torch.utils.rename_privateuse1_backend("toy")
toy = types.ModuleType("torch.toy")
calls = []
def record(name, result=None):
    def function(*arguments):
        calls.append([name, *arguments])
        return result
    return function
state = {"device": 0}
toy.is_available = lambda: True
toy.device_count = lambda: 2
toy.current_device = lambda: state["device"]
toy.set_device = lambda device: state.update(device=device)
toy.is_initialized = lambda: True
toy.synchronize = record("synchronize")
toy.empty_cache = record("empty_cache")
toy.memory_allocated = record("memory_allocated", 10)
toy.max_memory_allocated = record("max_memory_allocated", 20)
toy.reset_peak_memory_stats = record("reset_peak_memory_stats")
toy.memory_stats = record("memory_stats", {"b": 1, "a": 2})
toy.mem_get_info = record("mem_get_info", (1, 2))
toy.initial_seed = record("initial_seed", 7)
torch._register_device_module("toy", toy)
import torchcompat.accelerator
from torchcompat import SHIMS
f = {name[12:]: row.fallback for name, row in SHIMS.items() if name.startswith("accelerator.")}
seen = {}
seen["which"] = [str(f["current_accelerator"]()), str(f["current_accelerator"](True)), f["is_available"]()]
seen["count"] = f["device_count"]()
f["set_device_index"]("toy:1")
seen["set"] = f["current_device_index"]()
with f["device_index"](0):
    seen["inside"] = f["current_device_index"]()
seen["after"] = f["current_device_index"]()
f["synchronize"](); f["synchronize"]("toy:1"); f["empty_cache"]()
seen["memory"] = [f["memory_allocated"](), f["max_memory_allocated"](1), list(f["memory_stats"]().items())]
f["reset_peak_memory_stats"](torch.device("toy", 0))
seen["info"] = f["get_memory_info"]()
seen["seed"] = f["random.initial_seed"]()
try:
    f["synchronize"]("cuda:0")
except ValueError as error:
    seen["error"] = str(error)
from torchcompat.device._module import of
toys = of("toy")
seen["module"] = [toys.device_count(), toys.current_device(), toys.is_available(), repr(toys)]
with toys.stream(None):
    pass
seen["calls"] = calls
print(json.dumps(seen))
"""


@pytest.mark.skipif(not at_least(2, 0), reason="a backend can be named since 2.0")
def test_the_fallbacks_with_a_back_end_of_a_plug_in():
    seen = in_a_new_process(PLUGIN)
    assert seen["which"] == ["toy", "toy", True]
    assert (seen["count"], seen["set"], seen["inside"], seen["after"]) == (2, 1, 0, 1)
    assert seen["memory"] == [10, 20, [["a", 2], ["b", 1]]]
    assert seen["info"] == [1, 2]
    assert seen["seed"] == 7
    assert seen["error"] == "device must be of the accelerator's type, toy; got 'cuda:0'"
    assert seen["module"] == [2, 1, True, "device_module('toy')"]
    assert seen["calls"] == [
        ["synchronize", None],
        ["synchronize", 1],
        ["empty_cache"],
        ["memory_allocated", None],
        ["max_memory_allocated", 1],
        ["memory_stats", None],
        ["reset_peak_memory_stats", 0],
        ["mem_get_info", None],
        ["initial_seed"],
    ]


def test_the_older_names_point_at_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SHIMS["accelerator.set_device_idx"].fallback(-1)
    assert caught[0].filename == __file__
