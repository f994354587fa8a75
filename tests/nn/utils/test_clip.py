"""Clipping of gradients: against NumPy, for every kind of gradient and order."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchcompat import at_least

INF, NAN = float("inf"), float("nan")
HALF = torch.float16
about_clip = pytest.mark.shim("nn.utils.clip_grad_norm_")
about_total = pytest.mark.shim("nn.utils.get_total_norm")
about_scale = pytest.mark.shim("nn.utils.clip_grads_with_norm_")
about_value = pytest.mark.shim("nn.utils.clip_grad_value_")
needs_complex = pytest.mark.skipif(not at_least(1, 9), reason="complex gradients are whole since torch 1.9")
law = settings(max_examples=12)


def param(*values, dtype=torch.float32):
    """A parameter whose gradient is *values*."""
    made = nn.Parameter(torch.zeros(len(values), dtype=dtype))
    made.grad = torch.tensor(values, dtype=dtype)
    return made


def grads(*params):
    return [p.grad.tolist() for p in params]


def sparse_param():
    """A parameter with a sparse gradient of 2 where an index came twice, and 1 where it came once; not coalesced."""
    layer = nn.Embedding(5, 2, sparse=True)
    layer(torch.tensor([1, 1, 3])).sum().backward()
    return layer.weight


def norm_of_norms(arrays, order):
    norms = [np.linalg.norm(np.asarray(array, dtype="float64"), order) for array in arrays]
    return np.linalg.norm(np.asarray(norms), order)


@about_clip
@pytest.mark.parametrize(
    ("order", "foreach"),
    [(2, None), (2.0, False), (1, None), (3, None), (0.5, False), (0, None), (INF, None), ("inf", False), (-1, None)]
    + [(-INF, None), (INF, False)],
)
def test_clips_to_the_norm_of_any_order(impl, order, foreach):
    values = [[3.0, -4.0], [1.0, 2.0, 2.0], [0.5]]
    params = [param(*value) for value in values]
    total = impl(params, 0.25, order, foreach=foreach)
    expected = norm_of_norms(values, float(order))
    assert isinstance(total, torch.Tensor)
    assert (total.dim(), total.dtype, total.device.type, total.requires_grad) == (0, torch.float32, "cpu", False)
    assert total.item() == pytest.approx(expected, rel=1e-6)
    for p, value in zip(params, values):
        np.testing.assert_allclose(p.grad.numpy(), np.array(value) * min(1, 0.25 / (expected + 1e-6)), rtol=1e-5)


@about_clip
@law
@given(
    values=st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=4), min_size=1, max_size=4),
    most=st.floats(0.125, 1000),
)
def test_the_norm_is_at_most_what_was_asked_and_the_direction_stays(impl, values, most):
    params = [param(*value, dtype=torch.float64) for value in values]
    total = impl(params, most).item()
    assert total == pytest.approx(norm_of_norms(values, 2), abs=1e-12)
    after = norm_of_norms([p.grad.numpy() for p in params], 2)
    assert after <= most + 1e-9
    factor = min(1.0, most / (total + 1e-6))
    for p, value in zip(params, values):
        np.testing.assert_allclose(p.grad.numpy(), np.array(value) * factor, rtol=1e-12)


@about_clip
def test_a_small_norm_changes_no_bit(impl):
    params = [param(0.1, 0.7), param(1e-30)]
    before = grads(*params)
    impl(params, 5.0)
    impl(params, INF)
    impl(params, "7")
    assert grads(*params) == before


@about_clip
def test_a_generator_a_tensor_and_what_has_no_gradient(impl):
    first, second = param(3.0), param(4.0)
    assert impl((p for p in [first, nn.Parameter(torch.ones(2)), second]), 1.0).item() == 5.0
    np.testing.assert_allclose([first.grad.item(), second.grad.item()], [0.6, 0.8], rtol=1e-5)
    assert impl(param(3.0, 4.0), 1.0).item() == 5.0
    layer = nn.Linear(2, 2)
    layer(torch.ones(2)).sum().backward()
    assert impl(layer.parameters(), 1.0).item() == pytest.approx(math.sqrt(6))


@about_clip
@pytest.mark.parametrize("parameters", [[], (), [nn.Parameter(torch.ones(2))]])
def test_nothing_to_clip(impl, parameters):
    total = impl(parameters, 1.0, error_if_nonfinite=True)
    assert (total.item(), total.dtype, total.device.type, total.dim()) == (0.0, torch.float32, "cpu", 0)


@about_clip
@pytest.mark.limit("generator")
def test_an_exhausted_generator_warns_where_it_was_called(impl):
    generator = nn.Linear(1, 1).parameters()
    list(generator)
    with pytest.warns(UserWarning, match="generator") as caught:
        assert impl(generator, 1.0).item() == 0.0
    assert caught[0].filename == __file__


@about_clip
def test_an_iterator_of_nothing_is_no_exhausted_generator(impl):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert impl(iter([]), 1.0).item() == 0.0


@about_clip
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_norm_that_is_not_finite(impl, bad):
    first, second = param(bad, 1.0), param(2.0, 0.0)
    with pytest.raises(RuntimeError, match="error_if_nonfinite"):
        impl([first, second], 1.0, error_if_nonfinite=True)
    assert grads(second) == [[2.0, 0.0]]
    total = impl([first, second], 1.0).item()
    np.testing.assert_equal(total, abs(bad))
    rest = NAN if math.isnan(bad) else 0.0
    np.testing.assert_equal(grads(first, second), [[NAN, rest], [rest, rest]])


@about_clip
@pytest.mark.parametrize("order", [1, INF])
def test_nan_is_never_lost(impl, order):
    assert math.isnan(impl([param(1.0, NAN, 5.0), param(2.0)], 1.0, order).item())


@about_clip
def test_zeros_and_strange_limits(impl):
    zero = param(0.0, 0.0)
    assert impl([zero], 1.0).item() == 0.0
    assert grads(zero) == [[0.0, 0.0]]
    nothing, negative = param(3.0, 4.0), param(3.0, 4.0)
    impl([nothing], 0.0)
    impl([negative], -1.0)
    assert grads(nothing) == [[0.0, 0.0]]
    np.testing.assert_allclose(negative.grad.tolist(), [-0.6, -0.8], rtol=1e-5)


@about_clip
@pytest.mark.parametrize(
    ("dtypes", "common"),
    [
        ([torch.float64, torch.float64], torch.float64),
        pytest.param([HALF, HALF], HALF, marks=pytest.mark.limit("half")),
        ([torch.bfloat16, torch.bfloat16], torch.bfloat16),
        ([torch.float32, torch.float64], torch.float64),
        ([HALF, torch.float32], torch.float32),
        ([torch.bfloat16, HALF], torch.float32),
    ],
)
def test_dtypes(impl, dtypes, common):
    params = [param(6.0, dtype=dtypes[0]), param(8.0, dtype=dtypes[1])]
    total = impl(params, 5.0)
    assert (total.item(), total.dtype) == (10.0, common)
    for p, dtype, expected in zip(params, dtypes, [3.0, 4.0]):
        assert p.grad.dtype == dtype
        assert p.grad.item() == pytest.approx(expected, rel=1e-2 if dtype == torch.bfloat16 else 1e-3)


@about_clip
@pytest.mark.limit("half")
def test_half_precision_adds_up_in_float32_and_may_overflow_at_the_end(impl):
    long = nn.Parameter(torch.zeros(4096, dtype=HALF))
    long.grad = torch.ones(4096).to(HALF)
    assert impl([long], INF).item() == 64.0
    assert impl([param(6e4, dtype=HALF), param(6e4, dtype=HALF)], 1.0).item() == INF


@about_clip
@needs_complex
def test_complex_gradients_count_by_their_absolute_values(impl):
    made = nn.Parameter(torch.zeros(1, dtype=torch.complex64))
    made.grad = torch.tensor([3 + 4j])
    total = impl([made, param(12.0)], 6.5)
    assert (total.item(), total.dtype) == (13.0, torch.float32)
    np.testing.assert_allclose(made.grad.numpy(), [1.5 + 2j], rtol=1e-5)


@about_clip
def test_a_gradient_that_has_a_graph(impl):
    x, scale = param(0.0, 0.0), torch.ones(2, requires_grad=True)
    x.grad = scale * torch.tensor([3.0, 4.0])
    total = impl([x], 1.0)
    assert not total.requires_grad
    np.testing.assert_allclose(x.grad.detach().numpy(), [0.6, 0.8], rtol=1e-5)


@about_clip
@pytest.mark.limit("sparse")
def test_sparse_gradients(impl):
    weight, other = sparse_param(), param(1.0)
    total = impl([weight, other], 1.0)
    assert total.item() == pytest.approx(math.sqrt(2 * 4 + 2 * 1 + 1))
    dense = weight.grad.to_dense().numpy()
    np.testing.assert_allclose(dense[[1, 3]], np.array([[2, 2], [1, 1]]) / math.sqrt(11), rtol=1e-5)
    assert weight.grad.is_sparse


@about_clip
def test_an_empty_gradient(impl):
    assert impl([param(), param(3.0, 4.0)], 1.0).item() == 5.0


@about_clip
def test_an_empty_gradient_has_no_infinite_norm(impl):
    with pytest.raises(RuntimeError, match=r"empty|numel\(\) == 0"):
        impl([param(), param(3.0)], 1.0, INF)


@about_clip
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, 1.0), TypeError),
        ((5, 1.0), TypeError),
        ((["a"], 1.0), AttributeError),
        (([], 1.0, "two"), ValueError),
        (([], 1.0, None), TypeError),
        (([param(1.0)], "much"), ValueError),
    ],
)
def test_bad_arguments(impl, arguments, error):
    with pytest.raises(error):
        impl(*arguments)


@about_total
def test_the_norm_of_tensors(impl):
    assert impl([torch.tensor([3.0]), torch.tensor([[4.0]])]).item() == 5.0
    assert impl(torch.tensor([3.0, -4.0]), 1).item() == 7.0
    assert impl((torch.ones(2) * k for k in (1, 3)), "inf").item() == 3.0
    assert impl([]).item() == 0.0
    assert not impl([torch.ones(1, requires_grad=True)]).requires_grad
    assert impl([torch.tensor([1.0, 2.0]), torch.zeros(2)], 0).item() == 1.0
    assert impl([torch.ones(1).double(), torch.ones(1)]).dtype == torch.float64


@about_total
def test_the_norm_of_what_has_none(impl):
    with pytest.raises(RuntimeError, match="error_if_nonfinite"):
        impl([torch.tensor([INF])], error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match="loating point or complex"):
        impl([torch.tensor([1, 2])])


@about_scale
def test_scaling_by_a_norm_that_is_known(impl):
    first, second = param(3.0, 4.0), param(12.0, dtype=torch.float64)
    assert impl((p for p in [first, second, nn.Parameter(torch.ones(1))]), 6.5, torch.tensor(13.0)) is None
    np.testing.assert_allclose(first.grad.tolist() + second.grad.tolist(), [1.5, 2.0, 6.0], rtol=1e-6)
    impl([first], 100.0, torch.tensor(2.5))
    np.testing.assert_allclose(first.grad.tolist(), [1.5, 2.0], rtol=1e-6)
    impl(first, 1.0, torch.tensor(2.5))
    np.testing.assert_allclose(first.grad.tolist(), [0.6, 0.8], rtol=1e-5)
    impl([], 1.0, torch.tensor(1.0))


@about_scale
def test_scaling_needs_a_tensor(impl):
    with pytest.raises(TypeError):
        impl([param(1.0)], 1.0, 2.0)


@about_value
@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, pytest.param(HALF, marks=pytest.mark.limit("half")), torch.bfloat16],
)
@pytest.mark.parametrize("foreach", [None, False])
def test_clamping(impl, dtype, foreach):
    first, second = param(-5.0, 0.5, 1.0, INF, NAN, dtype=dtype), param(2.0, -INF, dtype=dtype)
    assert impl((p for p in [first, second, nn.Parameter(torch.ones(1))]), 1, foreach=foreach) is None
    np.testing.assert_equal(grads(first, second), [[-1.0, 0.5, 1.0, 1.0, NAN], [1.0, -1.0]])
    assert first.grad.dtype == dtype


@about_value
@pytest.mark.parametrize(
    ("limit", "expected"), [(0, [0.0, 0.0]), (-1, [-1.0, -1.0]), (INF, [3.0, -0.5]), ("2", [2.0, -0.5])]
)
def test_limits_of_clamping(impl, limit, expected):
    made = param(3.0, -0.5)
    impl(made, limit)
    assert made.grad.tolist() == expected


@about_value
@pytest.mark.limit("nothing")
def test_clamping_nothing(impl):
    assert impl([], 1.0) is None
    assert impl([nn.Parameter(torch.ones(1))], 1.0) is None


@about_value
def test_what_cannot_be_clamped(impl):
    weight, other = sparse_param(), param(5.0)
    with pytest.raises(RuntimeError):  # NotImplementedError is one
        impl([weight, other], 1.0)
    with pytest.raises(ValueError, match="float"):
        impl([other], "much")


@about_value
@needs_complex
def test_complex_gradients_have_no_order(impl):
    made = nn.Parameter(torch.zeros(1, dtype=torch.complex64))
    made.grad = torch.tensor([3 + 4j])
    with pytest.raises(RuntimeError, match="complex"):
        impl([made], 1.0)
