"""meshgrid in both orders of the axes, against NumPy."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS, at_least

pytestmark = pytest.mark.shim("meshgrid")
ORDERS = ["ij", "xy"]


def numbers(*lengths):
    return [torch.arange(length) + 10 * position for position, length in enumerate(lengths)]


def as_numpy(tensors, indexing):
    return np.meshgrid(*[tensor.numpy() for tensor in tensors], indexing=indexing)


def assert_grids(grids, expected):
    assert type(grids) is tuple
    assert len(grids) == len(expected)
    for grid, array in zip(grids, expected):
        assert tuple(grid.shape) == array.shape
        assert np.array_equal(grid.numpy(), array)


@pytest.mark.parametrize("indexing", ORDERS)
@pytest.mark.parametrize("lengths", [(1,), (3,), (2, 3), (3, 2), (1, 4), (2, 3, 4), (2, 1, 3, 2), (0, 2), (2, 0, 3)])
def test_the_grids_of_numpy(impl, lengths, indexing):
    tensors = numbers(*lengths)
    assert_grids(impl(*tensors, indexing=indexing), as_numpy(tensors, indexing))


def test_any_lengths(impl):
    @given(lengths=st.lists(st.integers(0, 3), min_size=1, max_size=4), indexing=st.sampled_from(ORDERS))
    @settings(max_examples=30)
    def check(lengths, indexing):
        tensors = numbers(*lengths)
        assert_grids(impl(*tensors, indexing=indexing), as_numpy(tensors, indexing))

    check()


@pytest.mark.parametrize("indexing", ORDERS)
@pytest.mark.parametrize("sequence", [list, tuple])
def test_one_sequence_of_tensors(impl, sequence, indexing):
    tensors = numbers(2, 3)
    assert_grids(impl(sequence(tensors), indexing=indexing), as_numpy(tensors, indexing))


@pytest.mark.parametrize("indexing", ORDERS)
def test_a_tensor_of_no_dimension_has_one_element(impl, indexing):
    tensors = [torch.tensor(5), torch.arange(3)]
    assert_grids(impl(*tensors, indexing=indexing), as_numpy(tensors, indexing))
    (alone,) = impl(torch.tensor(5), indexing=indexing)
    assert alone.tolist() == [5]


@pytest.mark.parametrize("indexing", ORDERS)
def test_the_grids_are_views(impl, indexing):
    first, second = torch.zeros(2), torch.zeros(3)
    grids = impl(first, second[::2], indexing=indexing)
    first[1], second[2] = 5, 7
    assert_grids(grids, as_numpy([first, second[::2]], indexing))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int32, torch.uint8, torch.bool])
def test_dtypes(impl, dtype):
    for grid in impl(torch.zeros(2, dtype=dtype), torch.zeros(3, dtype=dtype), indexing="xy"):
        assert grid.dtype == dtype


@pytest.mark.parametrize("indexing", ORDERS)
def test_gradients_are_sums_over_the_other_axes(impl, indexing):
    first = torch.arange(2.0, requires_grad=True)
    second = torch.arange(3.0, requires_grad=True)
    grids = impl(first, second, indexing=indexing)
    (grids[0] * grids[1] ** 2).sum().backward()
    # The derivative of sum(x) * sum(y ** 2).
    assert first.grad.tolist() == [5.0, 5.0]
    assert second.grad.tolist() == [0.0, 2.0, 4.0]


def test_without_indexing_it_is_ij_and_warns(impl):
    tensors = numbers(2, 3)
    if at_least(1, 10):
        torch.set_warn_always(True)  # torch's own warns once in a process, which may have happened
    try:
        with pytest.warns(UserWarning, match="indexing"):
            grids = impl(*tensors)
        assert_grids(grids, as_numpy(tensors, "ij"))
        with pytest.warns(UserWarning, match="indexing"):
            impl(*tensors, indexing=None)
    finally:
        if at_least(1, 10):
            torch.set_warn_always(False)


@pytest.mark.limit("warns")
def test_the_warning_comes_once(impl):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        impl(torch.arange(2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        impl(torch.arange(2))
    assert not caught


def test_the_warning_points_at_the_caller():
    with pytest.warns(UserWarning, match="numpy") as caught:
        SHIMS["meshgrid"].fallback(torch.arange(2))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("indexing", ["yx", "", "IJ"])
def test_another_order(impl, indexing):
    with pytest.raises(RuntimeError, match="indexing must be"):
        impl(torch.arange(2), torch.arange(3), indexing=indexing)


def test_an_order_that_is_no_string(impl):
    with pytest.raises(TypeError, match="indexing"):
        impl(torch.arange(2), torch.arange(3), indexing=1)


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [[]],
        [torch.zeros(2, 1)],
        [torch.zeros(2), torch.zeros(1, 2)],
        [torch.zeros(2), torch.zeros(2, dtype=torch.int64)],
    ],
)
def test_what_makes_no_grid(impl, tensors):
    with pytest.raises(RuntimeError):
        impl(*tensors, indexing="ij")


@pytest.mark.parametrize("tensors", [[3], [torch.zeros(2), 3], [torch.zeros(2), [torch.zeros(2)]], [None]])
def test_what_is_no_tensor(impl, tensors):
    with pytest.raises(TypeError):
        impl(*tensors, indexing="ij")


def test_the_fallback_names_the_tensor():
    with pytest.raises(RuntimeError, match=r"tensors\[1\] must have no or one dimension, got shape \(1, 2\)"):
        SHIMS["meshgrid"].fallback(torch.zeros(2), torch.zeros(1, 2), indexing="xy")
    with pytest.raises(TypeError, match=r"tensors\[1\] must be a Tensor, got list"):
        SHIMS["meshgrid"].fallback([torch.zeros(2), []], indexing="xy")
