"""Tensors from other libraries' memory, with strides of one's own, complex ones, and `einsum`: tables of cases."""

import numpy as np
import pytest
import torch
from function_tables import check, differentiable, error, shim_tests, value

from torchcompat import SHIMS, UnsupportedError, at_least

COMPLEX = at_least(1, 6)
M = np.arange(6.0).reshape(2, 3)
V = np.array([1.0, 2.0, 4.0])
T = torch.from_numpy
m, v = T(M), T(V)
BYTES = bytes(range(1, 9))


def data():
    return bytearray(BYTES)


def einsums(labels):
    a, b, c = labels
    return [
        (lambda f: f(f"{a}{b},{b}{c}->{a}{c}", m, m.t()), lambda: M @ M.T),
        (lambda f: f(f"{a}{b},{b}{c}", m, m.t()), lambda: M @ M.T),
        (lambda f: f(f"{b}{a}", m), lambda: M if b < a else M.T),
        (lambda f: f(f"{a}{a}->{a}", m[:, :2]), lambda: np.diag(M[:, :2])),
        (lambda f: f(f"...{a}->...", m), lambda: M.sum(-1)),
        (lambda f: f(f"{a},{b}->{b}{a}", v, m[0]), lambda: np.outer(M[0], V)),
        (lambda f: f(f"{a}{b},{b}{c}->{a}{c}", [m, m.t()]), lambda: M @ M.T),
        (lambda f: f(f"{a}{b} , {b}{c} -> {a}{c}", m, m.t()), lambda: M @ M.T),
    ]


VALUES = {
    "frombuffer": [
        (lambda f: f(data(), dtype=torch.uint8), lambda: np.frombuffer(BYTES, "u1")),
        (lambda f: f(data(), dtype=torch.int16), lambda: np.frombuffer(BYTES, "i2")),
        (lambda f: f(data(), dtype=torch.float32), lambda: np.frombuffer(BYTES, "f4")),
        (lambda f: f(data(), dtype=torch.float64), lambda: np.frombuffer(BYTES, "f8")),
        (lambda f: f(data(), dtype=torch.int8, count=2, offset=1), lambda: np.array([2, 3], "i1")),
        (lambda f: f(data(), dtype=torch.int16, count=-2, offset=4), lambda: np.frombuffer(BYTES[4:], "i2")),
        (lambda f: f(bytearray(3), dtype=torch.int16, count=1), lambda: np.array([0], "i2")),
        (lambda f: f(buffer=bytearray(b"\1\0"), dtype=torch.bool), lambda: np.array([True, False])),
        (lambda f: f(memoryview(data()), dtype=torch.int64), lambda: np.frombuffer(BYTES, "i8")),
        (lambda f: f(M.copy(), dtype=torch.float64), lambda: M.ravel()),
    ],
    "asarray": [
        (lambda f: f([1, 2]), lambda: np.array([1, 2])),
        (lambda f: f(3.0), lambda: np.array(3.0, "f4")),
        (lambda f: f(M), lambda: M),
        (lambda f: f(M, dtype=torch.float32), lambda: M.astype("f4")),
        (lambda f: f(np.int16(3)), lambda: np.array(3, "i2")),
        (lambda f: f(m, dtype=torch.int32, copy=True), lambda: M.astype("i4")),
        (lambda f: f(data()), lambda: np.frombuffer(BYTES, "u1")),
        (lambda f: f(data(), dtype=torch.float32), lambda: np.frombuffer(BYTES, "f4")),
        (lambda f: f(range(3)), lambda: np.arange(3)),
        (lambda f: f([[1.5, 2.0]] * 2), lambda: np.array([[1.5, 2.0]] * 2, "f4")),
        (lambda f: f([]), lambda: np.zeros(0, "f4")),
    ],
    "einsum": [
        *einsums("ijk"),
        *einsums("iJk"),
        (lambda f: f(m, [0, 1], m.t(), [1, 2], [0, 2]), lambda: M @ M.T),
        (lambda f: f(m, [0, 1], m.t(), [1, 2]), lambda: M @ M.T),
        (lambda f: f(m, [30, 1]), lambda: M.T),
        (lambda f: f(m, [0, ...], [..., 0]), lambda: M.T),
    ],
}
globals().update(shim_tests(VALUES, "values", value))
GRADIENTS = {"einsum": [(lambda f, x, y: f("Ij,jk->Ik", x, y), M, M.T), (lambda f, x: f(x, [0, 1], [0]), M)]}
globals().update(shim_tests(GRADIENTS, "gradient", differentiable))

ERRORS = {
    "frombuffer": [
        (lambda f: f(data(), dtype=torch.uint8, count=9), ValueError),
        (lambda f: f(data(), dtype=torch.uint8, offset=8), ValueError),
        (lambda f: f(data(), dtype=torch.uint8, offset=-1), ValueError),
        (lambda f: f(bytearray(3), dtype=torch.int16), ValueError),
        (lambda f: f(bytearray(), dtype=torch.int16), ValueError),
        (lambda f: f(data(), dtype=torch.int16, count=0), ValueError),
        (lambda f: f(3, dtype=torch.int16), ValueError),
        (lambda f: f(data()), TypeError),
        (lambda f: f(data(), dtype="f4"), TypeError),
        (lambda f: f(data(), dtype=torch.int32, requires_grad=True), RuntimeError),
    ],
    "asarray": [
        (lambda f: f(m, dtype=torch.float32, copy=False), ValueError),
        (lambda f: f(M, dtype=torch.float32, copy=False), ValueError),
        (lambda f: f([1, 2], copy=False), ValueError),
        (lambda f: f("ab"), TypeError),
        (lambda f: f(object()), (RuntimeError, TypeError)),
        (lambda f: f([[1], [2, 3]]), (ValueError, TypeError)),
    ],
    "empty_permuted": [
        (lambda f: f((2, 3, 4), (0, 1)), RuntimeError),
        (lambda f: f((2, 3, 4), (0, 1, 1)), RuntimeError),
        (lambda f: f((2, 3, 4), (0, -1, 1)), RuntimeError),
        (lambda f: f(2, (0,)), TypeError),
    ],
    "einsum": [
        (lambda f: f("ij"), ValueError),
        (lambda f: f(), ValueError),
        (lambda f: f("ij,jk->ik", m), RuntimeError),
        (lambda f: f("ij,jk->ik", m, m), RuntimeError),
        (lambda f: f(3, m), (TypeError, RuntimeError)),
        (lambda f: f(m, [0, 60]), (ValueError, RuntimeError)),
    ],
}
if COMPLEX:
    ERRORS["complex"] = [
        (lambda f: f(v, v.float()), RuntimeError),
        (lambda f: f(v.long(), v.long()), RuntimeError),
        (lambda f: f(v, 1.0), TypeError),
    ]
    ERRORS["polar"] = ERRORS["complex"]
    ERRORS["view_as_real"] = [(lambda f: f(v), (RuntimeError, TypeError)), (lambda f: f(1j), TypeError)]
    ERRORS["view_as_complex"] = [(lambda f: f(m), RuntimeError), (lambda f: f(m[:, :2]), RuntimeError)]
globals().update(shim_tests(ERRORS, "errors", error))


@pytest.mark.shim("frombuffer")
def test_a_buffer_and_its_tensor_have_one_memory(impl):
    buffer = data()
    tensor = impl(buffer, dtype=torch.uint8, offset=1)
    tensor[0] = 99
    assert buffer[1] == 99
    buffer[2] = 7
    assert tensor[1] == 7
    assert impl(data(), dtype=torch.float32, requires_grad=True).requires_grad


@pytest.mark.shim("frombuffer")
@pytest.mark.skipif(not at_least(1, 8), reason="NumPy has no bfloat16, and torch cannot view other dtypes as it")
def test_a_dtype_that_numpy_lacks(impl):
    assert impl(bytearray(b"\x80\x3f\x00\x40"), dtype=torch.bfloat16).tolist() == [1.0, 2.0]


@pytest.mark.shim("asarray")
def test_memory_is_shared_where_it_can_be(impl):
    array = M.copy()
    assert impl(array).data_ptr() == array.ctypes.data
    assert impl(array, copy=True).data_ptr() != array.ctypes.data
    assert impl(m) is m
    assert impl(m, device="cpu", dtype=torch.float64, copy=False) is m
    assert impl(m, copy=True).data_ptr() != m.data_ptr()


@pytest.mark.filterwarnings("ignore:torch.asarray. unspecified requires_grad:UserWarning")
@pytest.mark.shim("asarray")
def test_what_autograd_records(impl):
    leaf = v.clone().requires_grad_()
    assert impl(leaf) is leaf
    assert impl(leaf, copy=True).grad_fn is not None
    assert not impl(leaf, requires_grad=False).requires_grad
    assert impl([1.0], requires_grad=True).is_leaf
    assert impl(M.copy(), requires_grad=True).requires_grad
    assert not impl(M.copy()).requires_grad


@pytest.mark.shim("empty_permuted")
def test_the_order_of_dimensions_in_memory(impl):
    tensor = impl((2, 3, 4), (0, 2, 1), dtype=torch.float64)
    assert (tuple(tensor.shape), tensor.stride(), tensor.dtype) == ((2, 3, 4), (12, 1, 3), torch.float64)
    assert impl(size=[2, 3], physical_layout=[0, 1]).is_contiguous()
    assert impl((2, 3), (1, 0), requires_grad=True).requires_grad
    assert impl((), ()).shape == ()


needs_complex = pytest.mark.skipif(not COMPLEX, reason="no complex tensors")


@needs_complex
@pytest.mark.shim("complex")
def test_complex_numbers_of_two_parts(impl):
    check(impl(v, v[:1]), V + 1j)
    check(impl(real=v.float(), imag=v.float()), (V + V * 1j).astype(np.complex64))


@needs_complex
@pytest.mark.shim("polar")
def test_complex_numbers_of_length_and_angle(impl):
    check(impl(v, v[:1]), V * np.exp(1j))
    check(impl(abs=v, angle=v), V * np.exp(1j * V))


@needs_complex
@pytest.mark.shim("view_as_complex")
def test_pairs_viewed_as_complex_numbers(impl):
    pairs = torch.zeros(3, 2)
    whole = impl(pairs)
    pairs[1, 1] = 2
    check(whole, np.array([0, 2j, 0], np.complex64))


@needs_complex
@pytest.mark.shim("view_as_real")
def test_complex_numbers_viewed_as_pairs(impl):
    whole = SHIMS["view_as_complex"].native(torch.zeros(3, 2))
    pairs = impl(whole)
    pairs[1, 1] = 2
    check(whole, np.array([0, 2j, 0], np.complex64))


@pytest.mark.skipif(not at_least(1, 8), reason="autograd of complex numbers came with torch 1.8")
@pytest.mark.parametrize("name", ["complex", "polar"])
def test_the_gradient_of_complex_numbers(name):
    f = SHIMS[name].fallback
    leaves = [part.clone().requires_grad_() for part in (v, v * 0.5)]
    assert torch.autograd.gradcheck(lambda *parts: torch.view_as_real(f(*parts)), leaves)


@pytest.mark.skipif(COMPLEX, reason="this torch has complex tensors")
@pytest.mark.parametrize(
    ("name", "arguments"), [("complex", (v, v)), ("polar", (v, v)), ("view_as_real", (v,)), ("view_as_complex", (m,))]
)
def test_complex_numbers_are_refused_where_there_are_none(name, arguments):
    with pytest.raises(UnsupportedError, match=r"torch >= 1\.6"):
        SHIMS[name].fallback(*arguments)
