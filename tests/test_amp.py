"""autocast, its state, and custom_fwd and custom_bwd, on the CPU: casts where this torch has them, errors where not."""

import copy
import sys
import threading
import warnings

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
    state,
)

from torchcompat import SHIMS, UnsupportedError, amp, at_least
from torchcompat.amp._state import is_autocast_enabled

autocast_test = pytest.mark.shim("amp.autocast")


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
