"""Facts of dtypes, against what this torch has of them, and against NumPy."""

import numpy as np
import pytest
import torch

from torchcompat import dtypes

REAL = {
    torch.float16: np.float16,
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int8: np.int8,
    torch.uint8: np.uint8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}
FLOATS = [torch.float16, torch.float32, torch.float64]
COMPLEX = [(torch.float32, "complex64"), (torch.float64, "complex128")]


@pytest.mark.parametrize("dtype", list(REAL))
def test_of_real_dtypes(dtype):
    kind = np.dtype(REAL[dtype])
    assert dtypes.itemsize(dtype) == kind.itemsize
    assert dtypes.is_signed(dtype) is (kind.kind in "if")
    assert dtypes.to_real(dtype) is dtype


def test_of_bfloat16():
    assert dtypes.itemsize(torch.bfloat16) == 2
    assert dtypes.is_signed(torch.bfloat16) is True
    found = dtypes.finfo(torch.bfloat16)
    assert (found.bits, found.dtype, found.eps, found.resolution) == (16, "bfloat16", 2.0**-7, 0.01)
    assert found.tiny == found.smallest_normal == 2.0**-126
    assert found.max == -found.min == (2 - 2.0**-7) * 2.0**127


@pytest.mark.parametrize("dtype", FLOATS)
def test_limits(dtype):
    found, expected = dtypes.finfo(dtype), np.finfo(REAL[dtype])
    for name in ("bits", "eps", "max", "min", "tiny"):
        assert getattr(found, name) == float(getattr(expected, name)), name
    assert found.resolution == pytest.approx(float(expected.resolution), rel=1e-3)
    assert found.smallest_normal == found.tiny
    assert found.dtype == str(expected.dtype)


def test_limits_of_the_default_dtype():
    assert dtypes.finfo().bits == 32
    with pytest.raises(TypeError):
        dtypes.finfo(torch.int64)


@pytest.mark.parametrize(("real", "name"), COMPLEX)
def test_of_complex_dtypes(real, name):
    if not hasattr(torch, name):
        pytest.skip("this torch has no complex numbers")
    dtype = getattr(torch, name)
    assert dtypes.to_complex(real) is dtypes.to_complex(dtype) is dtype
    assert dtypes.to_real(dtype) is real
    assert dtypes.finfo(dtype).bits == dtypes.finfo(real).bits
    assert dtypes.is_signed(dtype) is True


@pytest.mark.skipif(not hasattr(torch.dtype, "to_real"), reason="dtypes of this torch do not tell")
def test_is_what_the_dtypes_of_this_torch_tell():
    for name in ("float16", "float32", "complex32", "complex64", "complex128", "int32", "uint8", "bool", "float8_e5m2"):
        dtype = getattr(torch, name)
        assert dtypes.itemsize(dtype) == dtype.itemsize
        assert dtypes.is_signed(dtype) == dtype.is_signed
        assert dtypes.to_real(dtype) == dtype.to_real()
        if dtype.is_complex or name in ("float16", "float32"):
            assert dtypes.to_complex(dtype) == dtype.to_complex()


def test_what_is_no_dtype_is_refused():
    for function in (dtypes.itemsize, dtypes.is_signed, dtypes.to_real, dtypes.to_complex, dtypes.finfo):
        with pytest.raises(TypeError, match=r"torch\.dtype"):
            function("float32")
    with pytest.raises(RuntimeError, match="complex"):
        dtypes.to_complex(torch.int64)
