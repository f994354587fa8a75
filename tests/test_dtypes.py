"""What a device computes in: the answer for the CPU against what torch does, the tables for GPUs."""

import re
import sys

import pytest
import torch

from torchcompat import amp, at_least, at_most, torch_version
from torchcompat._shim import NEWEST
from torchcompat.dtypes import NAMES as KNOWN
from torchcompat.dtypes import _hardware as hardware
from torchcompat.dtypes import dtype_support, is_dtype_supported

LEVELS = ["native", "emulated", "storage", "none"]
NAMES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"]


def computes(name):
    dtype = getattr(torch, name)
    try:
        one = torch.full((2, 2), 0.5).to(dtype)
        return ((torch.mm(one, one) + one).float() == 1.0).all().item()
    except RuntimeError:
        return False


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_for_the_cpu_is_what_torch_does(name):
    support = dtype_support(name, "cpu")
    assert support in LEVELS
    if not hasattr(torch, name):
        assert support == "none"
        return
    assert (support in ("native", "emulated")) == computes(name)
    assert dtype_support(getattr(torch, name), torch.device("cpu")) == support
    assert torch.ones(1).to(getattr(torch, name)).float().item() == 1.0
    assert support != "none"


def test_what_is_known_of_the_cpu():
    assert dtype_support("float32", "cpu") == dtype_support("float64", "cpu") == "native"
    if at_least(2, 2):
        assert is_dtype_supported("float16", "cpu", including_emulation=True)
    if at_most(1, 5) or (at_least(2, 0) and at_most(2, 1)):
        assert dtype_support("float16", "cpu") == "storage"
    if at_least(1, 6):
        assert is_dtype_supported("bfloat16", "cpu", including_emulation=True)
    assert dtype_support("float8_e4m3fn", "cpu") == ("storage" if at_least(2, 1) else "none")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the list of a processor's features is Linux's")
@pytest.mark.parametrize(
    ("name", "flag"),
    [("bfloat16", r"\b(avx512_bf16|amx_bf16|bf16)\b"), ("float16", r"\b(avx512_fp16|amx_fp16|asimdhp)\b")],
)
def test_native_on_the_cpu_is_what_linux_says(name, flag):
    with open("/proc/cpuinfo") as lines:
        listed = re.search(flag, lines.read()) is not None
    assert is_dtype_supported(name, "cpu") == (listed and computes(name))


@pytest.mark.parametrize(
    ("name", "capability", "native"),
    [
        ("bfloat16", (7, 5), False),
        ("bfloat16", (8, 0), True),
        ("bfloat16", (12, 0), True),
        ("float16", (5, 2), False),
        ("float16", (7, 0), True),
        ("float8_e4m3fn", (8, 6), False),
        ("float8_e4m3fn", (8, 9), True),
        ("float8_e5m2", (9, 0), True),
    ],
)
def test_nvidias_generations(name, capability, native):
    assert (capability >= hardware.CAPABILITIES[name]) is native


@pytest.mark.parametrize(
    ("name", "architecture", "native"),
    [
        ("bfloat16", "gfx906", False),
        ("bfloat16", "gfx90a:sramecc+:xnack-", True),
        ("bfloat16", "gfx1030", False),
        ("bfloat16", "gfx1100", True),
        ("float16", "gfx1030", True),
        ("float8_e4m3fnuz", "gfx942", True),
        ("float8_e4m3fn", "gfx942", False),
        ("float8_e4m3fn", "gfx950", True),
        ("float8_e4m3fn", "gfx1201", True),
    ],
)
def test_amds_generations(name, architecture, native):
    assert bool(re.match(hardware.ARCHITECTURES[name], architecture)) is native


@pytest.mark.parametrize("name", NAMES)
def test_the_short_form(name):
    support = dtype_support(name, "cpu")
    assert is_dtype_supported(name, "cpu") is (support == "native")
    assert is_dtype_supported(name, "cpu", including_emulation=True) is (support in ("native", "emulated"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_here_supports_nothing():
    assert dtype_support("float32", "cuda") == "none"
    assert dtype_support(torch.bfloat16, "cuda:1") == "none"
    assert dtype_support("bfloat16", "xpu") == "none"
    assert is_dtype_supported("bfloat16", "mps", including_emulation=True) is False


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_cuda():
    major, _ = torch.cuda.get_device_capability()
    assert is_dtype_supported(torch.bfloat16, "cuda") is (major >= 8)
    assert dtype_support("float32") == "native"


def test_the_best_device_is_meant_by_default():
    assert dtype_support("float32") == "native"
    assert dtype_support("torch.float32", "cpu") == "native"


@pytest.mark.skipif(not at_least(1, 10), reason="torch has autocast for the CPU since 1.10")
def test_autocast_does_not_change_the_answer():
    hardware.runs.cache_clear()
    with amp.autocast("cpu"):
        inside = [dtype_support(name, "cpu") for name in NAMES]
    hardware.runs.cache_clear()
    assert inside == [dtype_support(name, "cpu") for name in NAMES]


def test_the_names_are_those_of_this_torch_or_of_a_newer_one():
    floating = [value for value in vars(torch).values() if isinstance(value, torch.dtype) and value.is_floating_point]
    here = {str(dtype).partition(".")[2] for dtype in floating if "complex" not in str(dtype)}
    assert here <= set(KNOWN)
    for name in KNOWN:
        assert dtype_support(name, "cpu") in ("native", "emulated", "storage", "none")
        assert name in here or hasattr(torch, name) or dtype_support("torch." + name, "cpu") == "none"
    if torch_version[:2] == NEWEST:
        assert all(hasattr(torch, name) for name in KNOWN)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("bf16", "did you mean 'bfloat16'?"),
        ("FP16", "did you mean 'float16'?"),
        ("bfloat61", "did you mean 'bfloat16'?"),
        ("Float32", "did you mean 'float32'?"),
        ("float8_e4m3", "did you mean 'float8_e4m3fn'?"),
        ("torch.bfloat61", "did you mean 'bfloat16'?"),
        ("nonsense", "Accepted: a dtype, or one of float16, "),
        ("nn", "Accepted: a dtype"),
        ("", "Accepted: a dtype"),
    ],
)
@pytest.mark.parametrize("function", [dtype_support, is_dtype_supported])
def test_a_string_that_names_no_dtype_is_an_error_that_says_what_was_given(function, wrong, hint):
    with pytest.raises(ValueError, match="names no dtype") as error:
        function(wrong, "cpu")
    assert repr(wrong) in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize("wrong", [torch.int64, "int64", 3, None, torch.complex64])
def test_other_dtypes_are_refused(wrong):
    with pytest.raises(TypeError, match="dtype"):
        dtype_support(wrong, "cpu")


def test_other_devices_are_refused():
    assert dtype_support("float32", " CPU") == "native"
    for wrong in ("nonsense", "meta", "cuda:x", "cuda:300000000000000000000x", "cuda:", ""):
        with pytest.raises(ValueError, match="device"):
            dtype_support("float32", wrong)
    with pytest.raises(TypeError, match="device"):
        dtype_support("float32", 0)


def test_cuda_is_not_started_to_learn_that_it_is_not_here():
    before = torch.cuda._initialized
    dtype_support("bfloat16", "cpu")
    dtype_support("bfloat16", "cuda:99")
    assert torch.cuda._initialized is before
