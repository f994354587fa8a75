"""Promotion against the table of torch 2.15, written down as law, for every dtype that the torch at hand has."""

import itertools

import numpy as np
import pytest
import torch

from torchcompat import UnsupportedError, _torch, at_least
from torchcompat._functions import _promote

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
NAMES += ["complex32", "complex64", "complex128"]
# In the row of a dtype, what it makes with those before it and with itself, in the order of the columns.
LAW = """
    bool
    uint8      uint8
    int8       int16      int8
    int16      int16      int16      int16
    int32      int32      int32      int32      int32
    int64      int64      int64      int64      int64      int64
    float16    float16    float16    float16    float16    float16    float16
    bfloat16   bfloat16   bfloat16   bfloat16   bfloat16   bfloat16   float32    bfloat16
    float32    float32    float32    float32    float32    float32    float32    float32    float32
    float64    float64    float64    float64    float64    float64    float64    float64    float64    float64
    complex32  complex32  complex32  complex32  complex32  complex32  complex32  complex64  complex64  complex128
    complex64  complex64  complex64  complex64  complex64  complex64  complex64  complex64  complex64  complex128
    complex128 complex128 complex128 complex128 complex128 complex128 complex128 complex128 complex128 complex128
"""
TAIL = {"complex32": ["complex32"], "complex64": ["complex64"] * 2, "complex128": ["complex128"] * 3}
TABLE = {}
for _name, _line in zip(NAMES, LAW.strip().splitlines()):
    for _other, _result in zip(NAMES, _line.split() + TAIL.get(_name, [])):
        TABLE[_name, _other] = TABLE[_other, _name] = _result
KINDS = {name: ("complex" in name) * 3 or ("float" in name) * 2 or ("int" in name) * 1 for name in NAMES}

# Torch makes tensors of these. One of complex32 warns; 1.2 makes none that is complex.
MADE = [name for name in NAMES if "complex" not in name]
MADE += ["complex64", "complex128"] if at_least(1, 6) else []


def dtype(name):
    return getattr(torch, name)


def test_the_law_is_whole():
    assert len(TABLE) == len(NAMES) ** 2


def pairs(wanted):
    there = [name for name in NAMES if hasattr(torch, name)]
    return [pair for pair in itertools.product(there, there) if wanted(*pair)]


def is_young(one, other):
    return 3 in (KINDS[one], KINDS[other]) or (one != other and "bfloat16" in (one, other))


def assert_law(impl, some):
    for one, other in some:
        assert impl(dtype(one), dtype(other)) is dtype(TABLE[one, other]), (one, other)


@pytest.mark.shim("promote_types")
class TestPromoteTypes:
    def test_the_law(self, impl):
        assert_law(impl, pairs(lambda *pair: "complex32" not in pair and not is_young(*pair)))

    @pytest.mark.limit("young_dtypes")
    def test_the_law_of_young_dtypes(self, impl):
        assert_law(impl, pairs(lambda *pair: "complex32" not in pair and is_young(*pair)))

    @pytest.mark.limit("complex32")
    @pytest.mark.skipif(not hasattr(torch, "complex32"), reason="torch 1.11 alone has none")
    def test_the_law_of_complex32(self, impl):
        assert_law(impl, pairs(lambda one, other: "complex32" in (one, other)))

    @pytest.mark.limit("unsigned")
    @pytest.mark.skipif(not hasattr(torch, "uint16"), reason="needs wide unsigned dtypes")
    def test_wide_unsigned_dtypes_become_floating_point_and_nothing_else(self, impl):
        assert impl(torch.uint16, torch.bfloat16) is torch.bfloat16
        assert impl(torch.float32, torch.uint64) is torch.float32
        assert impl(torch.uint32, torch.uint32) is torch.uint32
        for other in (torch.int64, torch.uint8, torch.uint32, torch.bool, torch.complex64):
            with pytest.raises(RuntimeError):
                impl(torch.uint16, other)

    @pytest.mark.limit("float8")
    @pytest.mark.skipif(not hasattr(torch, "float8_e5m2"), reason="needs 8-bit floating-point dtypes")
    def test_short_floating_point_dtypes_are_refused(self, impl):
        assert impl(torch.float8_e5m2, torch.float8_e5m2) is torch.float8_e5m2
        with pytest.raises(RuntimeError):
            impl(torch.float8_e5m2, torch.float32)

    def test_only_dtypes(self, impl):
        for arguments in ((torch.int8, 1), ("int8", torch.int8), (torch.zeros(1), torch.int8)):
            with pytest.raises(TypeError, match=r"type[12]|dtype"):
                impl(*arguments)
        with pytest.raises(TypeError):
            impl(torch.int8)

    def test_keywords(self, impl):
        assert impl(type1=torch.int8, type2=torch.uint8) is torch.int16


def expected(one, other, default):
    """The dtype of two operands: (name of the dtype or a number, its weight from 2 with dimensions to 0, a number)."""
    kinds = {bool: "bool", int: "int64", float: default, complex: TABLE[default, "complex32"]}
    (a, weight), (b, less) = sorted((one, other), key=lambda operand: -operand[1])
    a, b = kinds.get(type(a), a), kinds.get(type(b), b)
    if weight == less or (KINDS[a], KINDS[b]) in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3)):
        return TABLE[a, b]
    if (KINDS[a], KINDS[b]) == (2, 3):
        # A complex dtype with parts of the stronger operand: complex32 of float16, where the torch has it.
        return {"float16": "complex32", "float32": "complex64", "float64": "complex128"}[a]
    return a


OPERANDS = [(name, weight) for name in MADE for weight in (1, 2)] + [(True, 0), (1, 0), (1.5, 0), (1j, 0)]


def operand(value, weight):
    return value if weight == 0 else torch.zeros([2] * (weight - 1), dtype=dtype(value))


def has_half_complex(one, other):
    # The complex dtypes of 16 bits came and went, and bfloat16's is new in 2.15.
    values = one[0], other[0]
    floats = [value for value in values if value in ("float16", "bfloat16")]
    return floats and any(isinstance(value, complex) or "complex" in str(value) for value in values)


@pytest.mark.shim("result_type")
class TestResultType:
    @pytest.mark.parametrize("default", ["float32", "float64"])
    def test_the_law(self, impl, default):
        torch.set_default_dtype(dtype(default))
        try:
            for one, other in itertools.product(OPERANDS, OPERANDS):
                if not has_half_complex(one, other):
                    result = impl(operand(*one), operand(*other))
                    assert result is dtype(expected(one, other, default)), (one, other)
        finally:
            torch.set_default_dtype(torch.float32)

    @pytest.mark.skipif(not hasattr(torch, "complex32"), reason="torch 1.11 alone has none")
    def test_half_and_a_complex_number(self, impl):
        assert impl(torch.zeros(2, dtype=torch.float16), 1j) is torch.complex32
        assert impl(1j, torch.zeros((), dtype=torch.float16)) is torch.complex32

    def test_numbers_of_numpy(self, impl):
        ints = torch.zeros(2, dtype=torch.int8)
        assert impl(ints, np.int64(1)) is torch.int8
        assert impl(np.float32(1), ints) is torch.float32
        assert impl(ints, np.float64(1)) is torch.float32

    @pytest.mark.parametrize("other", ["1", None, torch.float32, [1.0]], ids=str)
    def test_only_tensors_and_numbers(self, impl, other):
        with pytest.raises(TypeError):
            impl(torch.zeros(1), other)
        with pytest.raises(TypeError):
            impl(other, 1)


@pytest.mark.shim("can_cast")
class TestCanCast:
    def test_the_law(self, impl):
        there = [name for name in NAMES if hasattr(torch, name)]
        for one, other in itertools.product(there, there):
            refused = KINDS[one] > max(KINDS[other], 1) or (other == "bool" and one != "bool")
            refused = refused and not (KINDS[one] == KINDS[other] == 1)
            assert impl(dtype(one), dtype(other)) is not refused, (one, other)

    def test_keywords(self, impl):
        assert impl(from_=torch.int8, to=torch.float16) is True
        assert impl(from_=torch.float16, to=torch.int8) is False

    def test_only_dtypes(self, impl):
        with pytest.raises(TypeError):
            impl(torch.int8, 1)


class TestPromote:
    def test_tensors_of_one_dtype_are_returned_as_they_are(self):
        one, other = torch.zeros(2, dtype=torch.int8), torch.zeros((), dtype=torch.int8)
        results = _promote.promote(one, other)
        assert results[0] is one
        assert results[1] is other

    def test_numbers_become_tensors(self):
        one, other, third = _promote.promote(torch.zeros(2, dtype=torch.int32), 1.5, True)
        assert (one.dtype, other.dtype, third.dtype) == (torch.float32,) * 3
        assert (tuple(one.shape), other.dim(), third.dim()) == ((2,), 0, 0)
        assert (float(other), float(third)) == (1.5, 1.0)

    def test_a_number_weighs_less_than_a_tensor(self):
        assert _promote.promote(torch.zeros(2, dtype=torch.float16), 1e30)[1].dtype is torch.float16
        assert _promote.promote(1, torch.zeros(2, dtype=torch.uint8))[0].dtype is torch.uint8

    def test_gradients_pass(self):
        x = torch.ones(2, requires_grad=True)
        wide, _ = _promote.promote(x, torch.zeros(2, dtype=torch.float64))
        wide.sum().backward()
        assert x.grad.tolist() == [1.0, 1.0]
        assert x.grad.dtype is torch.float32

    def test_integers_as_the_default_dtype(self):
        one, other = _promote.as_float(torch.ones(2, dtype=torch.int64), 2)
        assert (one.dtype, other.dtype) == (torch.float32, torch.float32)
        assert _promote.as_float(torch.ones(2, dtype=torch.float16), 2)[1].dtype is torch.float16
        x = torch.ones(2)
        assert _promote.as_float(x)[0] is x

    def test_out_is_refused(self):
        _promote.refuse_out("maximum", None)
        with pytest.raises(UnsupportedError, match=r"maximum\(\): out= "):
            _promote.refuse_out("maximum", torch.zeros(1))


def test_names_of_results_are_not_taken_for_parameters():
    def aminmax():
        """aminmax(input, *, dim=None, keepdim=False, out=None) -> (Tensor min, Tensor max)"""

    assert _torch._documented_parameters(aminmax) == {"input", "dim", "keepdim", "out"}
