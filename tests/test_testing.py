"""torch.testing: what is close, the words for what is not, and random tensors."""

import collections

import numpy as np
import pytest
import torch

shim = pytest.mark.shim
T = torch.tensor
NAN = float("nan")
Pair = collections.namedtuple("Pair", "a b")

CLOSE = [
    (T([1.0, 2.0]), T([1.0, 2.0 + 1e-6]), {}),
    (T([1, 2]), T([1, 2]), {}),
    (T([True]), T([True]), {}),
    (torch.ones(0), torch.ones(0), {}),
    (T(1.0), T(1.05), {"rtol": 0.1, "atol": 0.0}),
    (T([1.0]), T([1.0], dtype=torch.float64), {"check_dtype": False}),
    (T([NAN, 1.0]), T([NAN, 1.0]), {"equal_nan": True}),
    (T([float("inf"), -float("inf")]), T([float("inf"), -float("inf")]), {}),
    (T([1.0, 0.0]), T([1.0, 0.0]).to_sparse(), {"check_layout": False}),
    (torch.ones(2, 2), torch.ones(2, 2).t(), {}),
    (T([1.0]), torch.nn.Parameter(T([1.0])), {}),
    (T([1.0], dtype=torch.float16), T([1.0009765625], dtype=torch.float16), {}),
    (1.0, 1.0 + 1e-9, {}),
    (1, 1.0, {"check_dtype": False}),
    (1j, 1j, {}),
    (None, None, {}),
    ([T(1.0), 2], (T(1.0), 2), {}),
    (Pair(T(1.0), 2.0), Pair(T(1.0), 2.0), {}),
    ({"a": [T(1.0)]}, {"a": [T(1.0)]}, {}),
    (np.array([1.0]), np.array([1.0]), {}),
    ([], [], {}),
]


@shim("testing.assert_close")
@pytest.mark.parametrize(("actual", "expected", "keywords"), CLOSE)
def test_close(impl, actual, expected, keywords):
    assert impl(actual, expected, **keywords) is None


DIFFERENT = [
    (
        T([1.0, 2.0]),
        T([1.0, 2.1]),
        {},
        r"not close!\s+Mismatched elements: 1 / 2 \(50.0%\)\nGreatest absolute difference: 0.09",
    ),
    (
        T([[1, 2], [5, 4]]),
        T([[1, 2], [3, 4]]),
        {},
        r"not equal!\s+Mismatched elements: 1 / 4 .*\n.*: 2(\.0)? at index \(1, 0\)",
    ),
    (T([1.0]), T([1]), {}, "'dtype' do not match: torch.float32 != torch.int64"),
    (T([1.0]), T([1.0, 2.0]), {}, "'shape' do not match"),
    (T([1.0]), T([1.0]).to_sparse(), {}, "'layout' do not match"),
    (torch.ones(2, 2), torch.ones(2, 2).t(), {"check_stride": True}, "stride"),
    (T([NAN]), T([NAN]), {}, "not close"),
    (T([NAN]), T([1.0]), {"equal_nan": True}, "not close"),
    (T([float("inf")]), T([1.0]), {}, "not close"),
    (T([1.0]), T([float("inf")]), {}, "not close"),
    (T([True]), T([False]), {}, "not equal"),
    (T(1.0), T(1.05), {"rtol": 0.01, "atol": 0.0}, "not close"),
    (1.0, 1.5, {}, "Absolute difference: 0.5"),
    (1, 1.0, {}, "types do not match"),
    (None, 1, {}, "None"),
    ([T(1.0), 2], [T(1.0), 3], {}, r"Absolute difference: 1(.|\n)*item \[1\]"),
    ([1], [1, 2], {}, "length"),
    ({"a": T(1.0)}, {"b": T(1.0)}, {}, r"Missing keys .*'b'(.|\n)*'a'"),
    ({"a": [T([1.0])]}, {"a": [T([2.0])]}, {}, r"item \['a'\]\[0\]"),
    (np.array([1.0]), np.array([2.0]), {}, "not close"),
]


@shim("testing.assert_close")
@pytest.mark.parametrize(("actual", "expected", "keywords", "words"), DIFFERENT)
def test_different_and_how(impl, actual, expected, keywords, words):
    with pytest.raises(AssertionError, match=words):
        impl(actual, expected, **keywords)


@shim("testing.assert_close")
def test_messages_of_ones_own(impl):
    with pytest.raises(AssertionError, match=r"^mine$"):
        impl(T([1.0]), T([2.0]), msg="mine")
    with pytest.raises(AssertionError, match=r"^mine: .*not close"):
        impl(T([1.0]), T([2.0]), msg=lambda words: f"mine: {words}")


@shim("testing.assert_close")
def test_what_is_not_compared(impl):
    for actual, expected in ((T(1.0), 1.0), ("a", "a"), (np.array([1.0]), T([1.0]))):
        with pytest.raises(TypeError):
            impl(actual, expected)
    with pytest.raises(TypeError):
        impl(T([1.0]), torch.nn.Parameter(T([1.0])), allow_subclasses=False)
    for one in ("rtol", "atol"):
        with pytest.raises(ValueError, match="atol"):
            impl(T(1.0), T(1.0), **{one: 0.1})


DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]


@shim("testing.make_tensor")
@pytest.mark.parametrize("dtype", DTYPES)
def test_make_tensor(impl, dtype):
    made = impl(4, 50, dtype=dtype, device="cpu")
    assert (made.shape, made.dtype, made.requires_grad) == ((4, 50), dtype, False)
    low = 0 if dtype in (torch.uint8, torch.bool) else -9
    assert low <= float(made.float().min()) < float(made.float().max()) <= (1 if dtype == torch.bool else 9)
    assert impl((2, 3), dtype=dtype, device="cpu").shape == (2, 3)
    assert impl((), dtype=dtype, device="cpu").shape == ()
    apart = impl(2, 3, dtype=dtype, device="cpu", noncontiguous=True)
    assert apart.shape == (2, 3)
    assert not apart.is_contiguous()
    assert bool((impl(200, dtype=dtype, device="cpu", exclude_zero=True).float() != 0).all())


@shim("testing.make_tensor")
def test_make_tensor_between(impl):
    made = impl(500, dtype=torch.float32, device="cpu", low=2, high=3, requires_grad=True)
    assert made.requires_grad
    assert 2 <= float(made.detach().min()) < 2.1 < 2.9 < float(made.detach().max()) < 3
    assert set(impl(200, dtype=torch.int64, device="cpu", low=-1, high=2).tolist()) == {-1, 0, 1}
    image = impl(1, 2, 3, 4, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)
    assert image.stride() == (24, 1, 8, 2)
    for keywords in ({"low": 3, "high": 2}, {"memory_format": torch.channels_last, "noncontiguous": True}):
        with pytest.raises((ValueError, AssertionError)):
            impl(1, 1, 2, 2, dtype=torch.float32, device="cpu", **keywords)
    with pytest.raises(ValueError, match="grad"):
        impl(2, dtype=torch.int64, device="cpu", requires_grad=True)
