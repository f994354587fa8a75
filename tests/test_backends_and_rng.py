"""Questions about devices that torch answers later than 1.2, and states of random numbers that are put back."""

import sys

import pytest
import torch

import torchcompat

shim = pytest.mark.shim
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
not_a_mac = pytest.mark.skipif(sys.platform == "darwin", reason="this may be a Mac with MPS")


@not_a_mac
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=shim("backends.mps." + name)) for name in ("is_built", "is_available")]
)
def test_there_is_no_mps(impl, name):
    assert impl() is False
    assert getattr(torchcompat.backends.mps, name)() is False


@without_gpu
@shim("cuda.is_bf16_supported")
@pytest.mark.limit("no device")
def test_no_device_supports_no_bfloat16(impl):
    assert impl() is False
    assert impl(including_emulation=False) is False


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@shim("cuda.is_bf16_supported")
def test_a_gpu_of_2020_or_later_has_bfloat16_in_hardware(impl):
    new = torch.cuda.get_device_properties(0).major >= 8
    assert impl(including_emulation=False) is new
    assert impl() >= new


@shim("random.fork_rng")
def test_the_state_is_put_back(impl):
    torch.manual_seed(0)
    with impl(device_type="cuda"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), inside)
    with impl(devices=[], device_type="cuda"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), inside)


@shim("random.fork_rng")
def test_the_state_is_put_back_after_an_error(impl):
    before = torch.get_rng_state()
    context = impl([], device_type="cuda")
    context.__enter__()
    torch.rand(3)
    error = ZeroDivisionError()
    assert not context.__exit__(ZeroDivisionError, error, None)
    assert torch.equal(torch.get_rng_state(), before)


@shim("random.fork_rng")
def test_not_enabled_puts_nothing_back(impl):
    before = torch.get_rng_state()
    with impl(enabled=False, device_type="cuda"):
        torch.rand(3)
    assert not torch.equal(torch.get_rng_state(), before)


@shim("random.fork_rng")
@pytest.mark.limit("accelerator")
def test_no_type_is_that_of_the_accelerator(impl):
    with impl(device_type=None):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), inside)


@shim("random.fork_rng")
def test_an_unknown_type_is_refused(impl):
    with pytest.raises(RuntimeError), impl(device_type="no_such_type"):
        pass
