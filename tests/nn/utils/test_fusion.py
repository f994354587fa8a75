"""Batch norms folded into the layer before them: the folded layer computes what the two did."""

import numpy as np
import pytest
import torch
from torch import nn

from torchcompat import SHIMS
from torchcompat.nn import utils

about_conv = pytest.mark.shim("nn.utils.fusion.fuse_conv_bn_eval")
about_conv_weights = pytest.mark.shim("nn.utils.fusion.fuse_conv_bn_weights")
about_linear = pytest.mark.shim("nn.utils.fusion.fuse_linear_bn_eval")
about_linear_weights = pytest.mark.shim("nn.utils.fusion.fuse_linear_bn_weights")
DOUBLE, HALF = torch.float64, torch.float16


def norm(features, dims=2, **options):
    """A batch norm in evaluation mode that does something."""
    made = [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d][dims - 1](features, **options)
    with torch.no_grad():
        if made.running_mean is not None:
            made.running_mean.uniform_(-1, 1)
            made.running_var.uniform_(0.5, 2)
        for parameter in made.parameters():
            parameter.uniform_(0.5, 2)
    return made.eval()


def values(tensor):
    return tensor.detach().double().numpy()


@about_conv
@pytest.mark.parametrize(("bias", "affine"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize(
    ("conv", "options", "transpose"),
    [
        (nn.Conv1d, {}, False),
        (nn.Conv2d, {"groups": 2, "padding": 1, "stride": 2}, False),
        (nn.Conv3d, {"dilation": 2}, False),
        (nn.ConvTranspose1d, {}, True),
        (nn.ConvTranspose2d, {"stride": 2}, True),
    ],
)
def test_the_folded_convolution_does_both(impl, conv, options, transpose, bias, affine):
    dims = int(conv.__name__[-2])
    layer = conv(4, 6, 3, bias=bias, **options).double().eval()
    bn = norm(6, dims, affine=affine, eps=0.1).double()
    x = torch.randn(2, 4, *[6] * dims, dtype=DOUBLE)
    before = [values(tensor) for tensor in list(layer.parameters()) + list(bn.buffers())]
    folded = impl(layer, bn, transpose) if transpose else impl(layer, bn)
    assert type(folded) is conv
    assert folded is not layer
    np.testing.assert_allclose(values(folded(x)), values(bn(layer(x))), atol=1e-10)
    for old, tensor in zip(before, list(layer.parameters()) + list(bn.buffers())):
        np.testing.assert_array_equal(old, values(tensor))


@about_conv
@pytest.mark.parametrize("trainable", [True, False])
def test_dtype_and_requires_grad_are_those_of_the_convolution(impl, trainable):
    layer = nn.Conv2d(2, 3, 1).eval().half()
    for parameter in layer.parameters():
        parameter.requires_grad_(trainable)
    bn = norm(3)
    folded = impl(layer, bn)
    for tensor in (folded.weight, folded.bias):
        assert isinstance(tensor, nn.Parameter)
        assert (tensor.dtype, tensor.requires_grad, tensor.is_leaf) == (HALF, trainable, True)
    scale = values(bn.weight) / np.sqrt(values(bn.running_var) + bn.eps)
    np.testing.assert_allclose(values(folded.weight), values(layer.weight) * scale.reshape(3, 1, 1, 1), rtol=2e-3)
    expected = (values(layer.bias) - values(bn.running_mean)) * scale + values(bn.bias)
    np.testing.assert_allclose(values(folded.bias), expected, rtol=2e-3, atol=2e-3)


@about_conv
def test_a_bias_that_was_not_there_is_not_trained(impl):
    folded = impl(nn.Conv2d(2, 3, 1, bias=False).half().eval(), norm(3))
    assert (folded.bias.dtype, folded.bias.requires_grad, folded.weight.requires_grad) == (HALF, False, True)


@about_conv
def test_what_cannot_be_folded(impl):
    conv, bn = nn.Conv2d(2, 3, 1), norm(3)
    with pytest.raises(AssertionError):
        impl(conv, bn)
    with pytest.raises(AssertionError):
        impl(conv.eval(), norm(3).train())
    with pytest.raises(RuntimeError):
        impl(conv, norm(2))
    with pytest.raises(RuntimeError):
        impl(nn.ConvTranspose2d(4, 6, 1, groups=2).eval(), norm(6), transpose=True)


@about_conv
@pytest.mark.limit("no statistics")
def test_statistics_are_needed(impl):
    with pytest.raises(AssertionError):
        impl(nn.Conv2d(2, 3, 1).eval(), norm(3, track_running_stats=False))


@about_conv_weights
def test_weights_of_a_convolution(impl):
    bn = norm(3)
    statistics = (bn.running_mean, bn.running_var, bn.eps)
    weight = torch.randn(3, 2, 1)
    for gain, shift in ((bn.weight, bn.bias), (None, bn.bias), (bn.weight, None), (None, None)):
        new_weight, new_bias = impl(weight, None, *statistics, gain, shift)
        scale = (1 if gain is None else values(gain)) / np.sqrt(values(bn.running_var) + bn.eps)
        np.testing.assert_allclose(values(new_weight), values(weight) * scale.reshape(3, 1, 1), rtol=1e-5)
        expected = -values(bn.running_mean) * scale + (0 if shift is None else values(shift))
        np.testing.assert_allclose(values(new_bias), expected, rtol=1e-4, atol=1e-6)
        assert (new_weight.requires_grad, new_bias.requires_grad) == (False, False)
    trained, bias = impl(nn.Parameter(weight), torch.zeros(3, dtype=DOUBLE), *statistics, None, None)
    assert (trained.requires_grad, bias.requires_grad, bias.dtype) == (True, False, DOUBLE)
    halves = impl(weight.half(), None, *statistics, bn.weight, bn.bias)
    assert [tensor.dtype for tensor in halves] == [HALF, HALF]
    across, _ = impl(weight.transpose(0, 1), None, *statistics, bn.weight, bn.bias, transpose=True)
    straight, _ = impl(weight, None, *statistics, bn.weight, bn.bias)
    np.testing.assert_allclose(values(across), values(straight.transpose(0, 1)), rtol=1e-6)


@about_linear
@pytest.mark.parametrize("bias", [True, False])
def test_the_folded_linear_layer_does_both(impl, bias):
    layer, bn = nn.Linear(4, 6, bias=bias).double().eval(), norm(6, 1).double()
    folded = impl(layer, bn)
    x = torch.randn(5, 4, dtype=DOUBLE)
    assert type(folded) is nn.Linear
    np.testing.assert_allclose(values(folded(x)), values(bn(layer(x))), atol=1e-10)
    assert (folded.weight.requires_grad, folded.bias.requires_grad) == (True, bias)


@about_linear
def test_a_batch_norm_of_one_feature_counts_for_all(impl):
    layer, bn = nn.Linear(4, 6).double().eval(), norm(1, 1).double()
    x = torch.randn(5, 4, dtype=DOUBLE)
    expected = bn(layer(x).reshape(-1, 1)).reshape(5, 6)
    np.testing.assert_allclose(values(impl(layer, bn)(x)), values(expected), atol=1e-10)


@about_linear
def test_dtype_is_that_of_the_linear_layer(impl):
    for bias in (True, False):
        layer, bn = nn.Linear(2, 3, bias=bias).half().eval(), norm(3, 1)
        folded = impl(layer, bn)
        assert (folded.weight.dtype, folded.bias.dtype) == (HALF, HALF)
        scale = values(bn.weight) / np.sqrt(values(bn.running_var) + bn.eps)
        np.testing.assert_allclose(values(folded.weight), values(layer.weight) * scale[:, None], rtol=2e-3)


@about_linear
def test_what_cannot_be_folded_into_a_linear_layer(impl):
    layer = nn.Linear(2, 3)
    with pytest.raises(AssertionError):
        impl(layer, norm(3, 1))
    with pytest.raises(AssertionError):
        impl(layer.eval(), norm(2, 1))
    with pytest.raises(AssertionError):
        impl(layer, norm(3, 1, track_running_stats=False))
    with pytest.raises(TypeError):
        impl(layer, norm(3, 1, affine=False))


@about_linear_weights
def test_weights_of_a_linear_layer(impl):
    bn = norm(3, 1)
    weight = nn.Parameter(torch.randn(3, 2).half())
    new_weight, new_bias = impl(weight, None, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    scale = values(bn.weight) / np.sqrt(values(bn.running_var) + bn.eps)
    np.testing.assert_allclose(values(new_weight), values(weight) * scale[:, None], rtol=2e-3)
    assert (new_weight.requires_grad, new_bias.requires_grad) == (True, False)
    assert (new_weight.dtype, new_bias.dtype) == (HALF, HALF)


def test_the_names_are_in_both_places():
    for name in ("fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"):
        assert getattr(utils, name) is getattr(utils.fusion, name) is SHIMS["nn.utils.fusion." + name].public
