"""The modules torch.mps and torch.xpu on every torch: what they say where there is no device."""

import pytest
import torch

from torchcompat import mps, xpu
from torchcompat.device._module import of

shim = pytest.mark.shim
limit = pytest.mark.limit
without_mps = pytest.mark.skipif(mps.is_available(), reason="there is an MPS device")
without_xpu = pytest.mark.skipif(xpu.is_available(), reason="there is an XPU device")
STATE = torch.zeros(16, dtype=torch.uint8)


def _refuses(function, *arguments, **keywords):
    """That there is no MPS device: torch says so by a RuntimeError."""
    with pytest.raises(RuntimeError):
        function(*arguments, **keywords)


def _is_not_built(function, *arguments, **keywords):
    """That there is no XPU: torch says so by an AssertionError where it is built without."""
    with pytest.raises(AssertionError, match="XPU"):
        function(*arguments, **keywords)


# --- torch.mps


@shim("mps.is_available")
def test_mps_is_there(impl):
    built = getattr(torch.backends, "mps", None)
    assert impl() is bool(built and built.is_available())


@shim("mps.device_count")
def test_mps_devices(impl):
    assert impl() == int(of("mps").is_available())


@without_mps
@shim("mps.synchronize")
def test_mps_synchronize(impl):
    _refuses(impl)


@without_mps
@shim("mps.empty_cache")
def test_mps_empty_cache(impl):
    _refuses(impl)


@without_mps
@shim("mps.current_allocated_memory")
def test_mps_allocated(impl):
    _refuses(impl)


@without_mps
@shim("mps.driver_allocated_memory")
def test_mps_driver(impl):
    _refuses(impl)


@without_mps
@shim("mps.recommended_max_memory")
def test_mps_recommended(impl):
    _refuses(impl)


@shim("mps.manual_seed")
def test_mps_seed(impl):
    assert impl(3) is None
    assert impl(seed=3) is None


@without_mps
@shim("mps.get_rng_state")
def test_mps_state(impl):
    _refuses(impl)
    _refuses(impl, device="mps")


@without_mps
@shim("mps.set_rng_state")
def test_mps_set_state(impl):
    _refuses(impl, STATE)
    _refuses(impl, new_state=STATE, device="mps")


@without_mps
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torch's __del__ of what was not made
@shim("mps.Event")
def test_mps_event(impl):
    _refuses(impl)
    _refuses(impl, enable_timing=True)


# --- torch.xpu


@shim("xpu.is_available")
def test_xpu_is_there(impl):
    assert impl() is (of("xpu").device_count() > 0)


@shim("xpu.device_count")
def test_xpu_devices(impl):
    assert impl() == of("xpu").device_count()


@without_xpu
@shim("xpu.is_initialized")
def test_xpu_is_not_started(impl):
    assert impl() is False


@without_xpu
@shim("xpu.current_device")
def test_xpu_current_device(impl):
    _is_not_built(impl)


@without_xpu
@shim("xpu.set_device")
@pytest.mark.parametrize("device", [0, -1, None])
def test_xpu_set_device(impl, device):
    _is_not_built(impl, device)


@without_xpu
@shim("xpu.synchronize")
def test_xpu_synchronize(impl):
    _is_not_built(impl)
    _is_not_built(impl, device=0)


@without_xpu
@shim("xpu.current_stream")
def test_xpu_current_stream(impl):
    _is_not_built(impl)
    _is_not_built(impl, device=0)


@without_xpu
@shim("xpu.set_stream")
def test_xpu_no_stream_to_set(impl):
    assert impl(None) is None


@without_xpu
@shim("xpu.stream")
def test_xpu_no_stream_to_select(impl):
    with impl(None) as entered:
        assert entered is None


@without_xpu
@shim("xpu.empty_cache")
def test_xpu_empty_cache(impl):
    assert impl() is None


@without_xpu
@shim("xpu.memory_allocated")
def test_xpu_allocated(impl):
    assert impl() == impl(device=0) == 0


@without_xpu
@shim("xpu.max_memory_allocated")
def test_xpu_max_allocated(impl):
    assert impl() == impl(device=0) == 0


@without_xpu
@shim("xpu.memory_reserved")
def test_xpu_reserved(impl):
    assert impl() == impl(device=0) == 0


@without_xpu
@shim("xpu.max_memory_reserved")
def test_xpu_max_reserved(impl):
    assert impl() == impl(device=0) == 0


@without_xpu
@shim("xpu.memory_stats")
def test_xpu_stats(impl):
    assert impl() == impl(device=0) == {}


@without_xpu
@shim("xpu.reset_peak_memory_stats")
@limit("no device")
def test_xpu_reset_peaks(impl):
    assert impl() is None
    assert impl(device=0) is None


@without_xpu
@shim("xpu.reset_accumulated_memory_stats")
@limit("no device")
def test_xpu_reset_sums(impl):
    assert impl() is None
    assert impl(device=0) is None


@without_xpu
@shim("xpu.mem_get_info")
def test_xpu_free_memory(impl):
    _is_not_built(impl)
    _is_not_built(impl, device=0)


@shim("xpu.manual_seed")
def test_xpu_seed(impl):
    assert impl(seed=3) is None


@shim("xpu.manual_seed_all")
def test_xpu_seed_all(impl):
    assert impl(seed=3) is None


@without_xpu
@shim("xpu.initial_seed")
def test_xpu_initial_seed(impl):
    _is_not_built(impl)


@without_xpu
@shim("xpu.get_rng_state")
def test_xpu_state(impl):
    _is_not_built(impl)
    _is_not_built(impl, device="xpu")


@without_xpu
@shim("xpu.get_rng_state_all")
def test_xpu_states(impl):
    assert impl() == []


@without_xpu
@shim("xpu.set_rng_state")
def test_xpu_set_state(impl):
    assert impl(STATE) is None
    assert impl(new_state=STATE, device="xpu") is None


@without_xpu
@shim("xpu.Stream")
def test_xpu_stream(impl):
    _refuses(impl)
    _refuses(impl, device=0, priority=-1)


@without_xpu
@shim("xpu.Event")
def test_xpu_event(impl):
    _refuses(impl)
    _refuses(impl, enable_timing=True, blocking=False, interprocess=False)


# --- the one set of functions, beside them


@without_mps
@without_xpu
@pytest.mark.parametrize("back_end", ["mps", "xpu"])
def test_device_module_needs_no_device(back_end):
    module = of(back_end)
    assert module.is_available() is False
    assert (module.device_count(), module.memory_allocated(), module.memory_reserved()) == (0, 0, 0)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        assert getattr(module, name)() is None
    assert module.manual_seed(3) is None
    with pytest.raises(RuntimeError, match=f"no device of type {back_end} is available: "):
        module.get_rng_state()
