"""Methods and attributes of tensors, as functions: against what torch has, and against closed forms."""

import numpy as np
import pytest
import torch

from torchcompat import UnsupportedError, tensor

COMPLEX = hasattr(torch, "view_as_complex")
ATTRIBUTES = ["mT", "mH", "itemsize", "nbytes", "is_cpu", "is_meta", "is_mps", "is_xpu", "retains_grad"]


def ramp(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_it_is_what_the_attribute_of_this_torch_is(name):
    if not hasattr(torch.Tensor, name):
        pytest.skip("this torch has no such attribute")
    for x in (ramp(2, 3), ramp(2, 3, 4).int(), ramp(2, 2).requires_grad_() * 2):
        found, expected = getattr(tensor, name)(x), getattr(x, name)
        assert torch.equal(found, expected) if isinstance(expected, torch.Tensor) else found == expected


@pytest.mark.parametrize("name", ["mT", "mH"])
def test_matrices_are_transposed_as_views(name):
    x = ramp(2, 3, 4)
    found = getattr(tensor, name)(x)
    assert found.tolist() == np.swapaxes(x.numpy(), 1, 2).tolist()
    assert found.data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match=name):
        getattr(tensor, name)(torch.ones(3))


def test_gradients_go_through():
    x = ramp(2, 3).requires_grad_()
    (tensor.mT(x) * ramp(3, 2)).sum().backward()
    assert x.grad.tolist() == ramp(3, 2).t().tolist()


def test_h():
    assert tensor.H(ramp(2, 3)).tolist() == ramp(2, 3).t().tolist()
    assert tensor.H(torch.tensor(2.0)).tolist() == 2.0
    for wrong in (torch.ones(3), torch.ones(2, 2, 2)):
        with pytest.raises(RuntimeError, match="matrix"):
            tensor.H(wrong)


@pytest.mark.skipif(not COMPLEX, reason="this torch computes nothing complex")
def test_complex_matrices_are_conjugated():
    x = torch.view_as_complex(ramp(2, 3, 2))
    expected = np.conj(x.numpy()).T
    for found in (tensor.mH(x), tensor.H(x)):
        assert np.array_equal(tensor.numpy(found, force=True), expected)


def test_bytes():
    x = torch.ones(2, 3, dtype=torch.float64)
    assert (tensor.itemsize(x), tensor.nbytes(x)) == (8, 48)
    assert tensor.nbytes(x[:, :1]) == 16
    assert tensor.nbytes(torch.ones(0)) == 0
    with pytest.raises(RuntimeError, match="sparse"):
        tensor.nbytes(torch.ones(2).to_sparse())


def test_numpy():
    x = ramp(2, 3)
    shared = tensor.numpy(x)
    x[0, 0] = 5.0
    assert shared[0, 0] == 5.0
    needs = x.clone().requires_grad_()
    assert np.array_equal(tensor.numpy(needs, force=True), shared)
    with pytest.raises(RuntimeError):
        tensor.numpy(needs)


class Mine(torch.Tensor):
    pass


def test_as_subclass():
    x = ramp(3).requires_grad_()
    found = tensor.as_subclass(x, Mine)
    assert type(found) is Mine
    assert type(x) is torch.Tensor
    assert found.data_ptr() == x.data_ptr()
    (found * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert type(tensor.as_subclass(ramp(3), Mine)) is Mine
    for wrong in (int, 3):
        with pytest.raises(TypeError):
            tensor.as_subclass(x, wrong)


def test_new_empty_strided():
    x = torch.ones(1, dtype=torch.float64)
    found = tensor.new_empty_strided(x, (2, 3), (1, 2))
    assert (found.shape, found.stride(), found.dtype) == ((2, 3), (1, 2), torch.float64)
    assert tensor.new_empty_strided(x, (2,), (1,), dtype=torch.int32).dtype == torch.int32


def test_retains_grad():
    x = ramp(3).requires_grad_()
    y = x * 2
    assert tensor.retains_grad(x) is False
    assert tensor.retains_grad(y) is False
    y.retain_grad()
    assert tensor.retains_grad(y) is True


def test_untyped_storage():
    x = torch.ones(2, 3, dtype=torch.float64)
    memory = tensor.untyped_storage(x[1:])
    assert memory.data_ptr() == x.data_ptr()
    assert memory.nbytes() == len(memory) == memory.size() == 48
    assert memory.element_size() == 1
    assert tensor.untyped_storage(x).data_ptr() == tensor.untyped_storage(x[:, 1:]).data_ptr()
    with pytest.raises((UnsupportedError, AttributeError)):
        memory.no_such_method()
