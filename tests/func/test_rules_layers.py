"""vmap of the layers of networks: what the loop over the samples computes, gradients and second gradients with it."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import assert_same, check, leaves, loop

from torchcompat import SHIMS, UnsupportedError, at_least, at_most
from torchcompat.func import _batched, functional_call

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    # torch 1.11 says so wherever ceil_mode and return_indices differ
    pytest.mark.filterwarnings("ignore:Note that order of the arguments"),
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # native loops too
]

B = 3


def numbers(*shape):
    """Float64 values of size one, no two of which are equal (so that maxima are unique)."""
    count = 1
    for size in shape:
        count *= size
    return torch.randperm(count).double().reshape(shape).sub(count / 2).div(count / 3)


def grad_of(impl):
    """The grad that belongs to this vmap: native to native, ours to ours."""
    shim = SHIMS["func.grad"]
    return shim.native if impl is SHIMS["func.vmap"].native else shim.fallback


def conv(dims, **arguments):
    return lambda x, w, *b: getattr(F, f"conv{dims}d")(x, w, *b, **arguments)


def transposed(dims, **arguments):
    return lambda x, w, *b: getattr(F, f"conv_transpose{dims}d")(x, w, *b, **arguments)


# Layers with weights: the function, the shapes of a sample's input, weight and bias, and where strings came with 1.9.
WEIGHTED = {
    "conv1d": (conv(1), (2, 3, 6), (4, 3, 2), (4,)),
    "conv1d-geometry": (conv(1, stride=2, padding=1, dilation=2, groups=2), (2, 4, 9), (6, 2, 3), (6,)),
    "conv2d": (conv(2), (1, 2, 5, 6), (3, 2, 3, 2), (3,)),
    "conv2d-geometry": (conv(2, stride=(2, 1), padding=(0, 2), dilation=(1, 2)), (2, 2, 7, 6), (3, 2, 3, 2), (3,)),
    "conv2d-depthwise": (conv(2, padding=1, groups=4), (1, 4, 5, 5), (4, 1, 3, 3), (4,)),
    "conv2d-same": (conv(2, padding="same"), (1, 2, 5, 6), (3, 2, 2, 3), (3,)),
    "conv2d-same-dilated": (conv(2, padding="same", dilation=(3, 1)), (1, 2, 5, 6), (3, 2, 2, 4), (3,)),
    "conv2d-valid": (conv(2, padding="valid", stride=2), (1, 2, 5, 6), (3, 2, 2, 3), (3,)),
    "conv3d": (conv(3, stride=(1, 2, 1), padding=(1, 0, 0)), (2, 2, 3, 4, 4), (2, 2, 2, 1, 2), (2,)),
    "conv_transpose1d": (transposed(1, stride=2, padding=1, output_padding=1), (2, 3, 4), (3, 2, 3), (2,)),
    "conv_transpose2d": (transposed(2), (1, 2, 3, 4), (2, 3, 2, 2), (3,)),
    "conv_transpose2d-geometry": (
        transposed(2, stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2, dilation=(2, 1)),
        (2, 4, 3, 4),
        (4, 3, 2, 3),
        (6,),
    ),
    "conv_transpose3d": (transposed(3, stride=(1, 2, 1)), (1, 2, 2, 3, 2), (2, 2, 2, 1, 2), (2,)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), (2, 3, 4), (4,), (4,)),
    "layer_norm-two-dims": (lambda x, w, b: F.layer_norm(x, [3, 4], w, b, eps=0.1), (2, 3, 4), (3, 4), (3, 4)),
    "torch.layer_norm": (lambda x, w, b: torch.layer_norm(x, (4,), w, b), (3, 4), (4,), (4,)),
    "layer_norm-no-bias": (lambda x, w, b: F.layer_norm(x, (4,), w) + b, (3, 4), (4,), (4,)),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), (2, 4, 3, 2), (4,), (4,)),
    "group_norm-flat": (lambda x, w, b: F.group_norm(x, 2, w, b, 0.1), (2, 6), (6,), (6,)),
    "torch.group_norm": (lambda x, w, b: torch.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,)),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), (2, 3, 4, 2), (3,), (3,)),
    "torch.instance_norm": (
        lambda x, w, b: torch.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, False),
        (2, 3, 4),
        (3,),
        (3,),
    ),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (4, 3, 2, 2), (3,), (3,)),
    "batch_norm-flat": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, 0.1), (4, 3), (3,), (3,)),
    "torch.batch_norm": (
        lambda x, w, b: torch.batch_norm(x, w, b, None, None, True, 0.1, 1e-5, False),
        (4, 3, 2),
        (3,),
        (3,),
    ),
    "batch_norm-running": (
        lambda x, w, b: F.batch_norm(x, torch.arange(3.0).double(), torch.arange(1.0, 4.0).double(), w, b),
        (4, 3, 2),
        (3,),
        (3,),
    ),
    "instance_norm-running": (
        lambda x, w, b: F.instance_norm(
            x, torch.arange(3.0).double(), torch.arange(1.0, 4.0).double(), w, b, use_input_stats=False
        ),
        (2, 3, 4),
        (3,),
        (3,),
    ),
}
SINCE = {"conv2d-same": (1, 9), "conv2d-same-dilated": (1, 9), "conv2d-valid": (1, 9)}


def weighted(name):
    function, *shapes = WEIGHTED[name]
    if not at_least(*SINCE.get(name, (1, 2))):
        pytest.skip("strings for padding came with 1.9")
    return function, [numbers(*shape) for shape in shapes]


def batch(tensor):
    """B different samples, the first of which is *tensor*."""
    return torch.stack([tensor, tensor.flip(0), tensor * 0.5 + 0.25])


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("mapped", ["xwb", "x", "xw", "xb", "wb", "w", "b"])
@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_layers_with_weights(impl, name, mapped):
    function, tensors = weighted(name)
    in_dims = tuple(0 if letter in mapped else None for letter in "xwb")
    args = [tensor if dim is None else batch(tensor) for tensor, dim in zip(tensors, in_dims)]
    check(impl, function, *args, in_dims=in_dims, nested=mapped in ("xwb", "x", "w"))


def objective(function):
    """A scalar function of a layer's output in which no second derivative is zero."""

    def value(x, w, b):
        y = function(x, w, b)
        return (y.tanh() * torch.arange(1.0, y.numel() + 1).to(y.dtype).reshape(y.shape).sin()).sum()

    return value


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_gradients_for_each_sample(impl, name):
    function, (x, w, b) = weighted(name)
    value, xs = objective(function), batch(x)
    ours = impl(grad_of(impl)(value, argnums=(0, 1, 2)), in_dims=(0, None, None))(xs, w, b)
    for number, sample in enumerate(xs):
        inputs = [tensor.clone().requires_grad_() for tensor in (sample, w, b)]
        expected = torch.autograd.grad(value(*inputs), inputs)
        for mine, theirs in zip(ours, expected):
            assert_same(mine[number], theirs)


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_gradients_of_gradients_for_each_sample(impl, name):
    function, (x, w, b) = weighted(name)
    grad, value, xs = grad_of(impl), objective(function), batch(x)

    def total(*args):
        return sum((found * found.cos()).sum() for found in grad(value, argnums=(0, 1, 2))(*args))

    twice = impl(grad(total, argnums=(0, 1, 2)), in_dims=(0, None, None))
    if "layer_norm" in name and at_most(1, 6):
        # Torch itself, which the numbers below come from, is wrong there, or corrupts memory.
        with pytest.raises(UnsupportedError, match="layer_norm cannot be differentiated twice"):
            twice(xs, w, b)
        return
    ours = twice(xs, w, b)
    for number, sample in enumerate(xs):
        inputs = [tensor.clone().requires_grad_() for tensor in (sample, w, b)]
        once = torch.autograd.grad(value(*inputs), inputs, create_graph=True)
        expected = torch.autograd.grad(sum((found * found.cos()).sum() for found in once), inputs)
        for mine, theirs in zip(ours, expected):
            assert_same(mine[number], theirs, tolerance=1e-8)


# Layers without weights: the function and the shape of a sample.
UNWEIGHTED = {
    "max_pool1d": (lambda x: F.max_pool1d(x, 2), (2, 3, 6)),
    "max_pool1d-indices": (lambda x: F.max_pool1d(x, 3, 2, 1, return_indices=True), (2, 3, 6)),
    "torch.max_pool1d": (lambda x: torch.max_pool1d(x, 2), (2, 3, 6)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2, ceil_mode=True), (2, 2, 5, 5)),
    "max_pool2d-indices": (lambda x: F.max_pool2d(x, 2, stride=1, return_indices=True), (2, 2, 5, 4)),
    "max_pool2d_with_indices": (lambda x: F.max_pool2d_with_indices(x, (2, 1)), (2, 2, 5, 4)),
    "torch.max_pool2d": (lambda x: torch.max_pool2d(x, 2, dilation=2), (1, 2, 5, 4)),
    "max_pool2d-one-image": (lambda x: F.max_pool2d(x, 2), (2, 5, 4)),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), (1, 2, 4, 4, 4)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 2, padding=1, count_include_pad=False), (2, 3, 6)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), divisor_override=5), (2, 2, 5, 6)),
    "avg_pool2d-one-image": (lambda x: F.avg_pool2d(x, 2), (2, 4, 4)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), (1, 2, 4, 4, 2)),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 4), (2, 3, 7)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (2, None), return_indices=True), (2, 2, 5, 4)),
    "adaptive_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, 2), (1, 2, 3, 4, 5)),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 4), (2, 3, 7)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 1), (2, 2, 5, 4)),
    "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, (1, 2, 3)), (1, 2, 3, 4, 5)),
    "lp_pool1d": (lambda x: F.lp_pool1d(x.exp(), 3, 2), (2, 3, 6)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x.exp(), 2, 2, stride=1), (1, 2, 4, 4)),
    "max_unpool2d": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), (2, 2, 4, 4)),
    "max_unpool1d": (lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2), (2, 2, 4)),
    "interpolate-nearest": (lambda x: F.interpolate(x, scale_factor=2), (2, 2, 3)),
    "interpolate-bilinear": (
        lambda x: F.interpolate(x, size=(5, 4), mode="bilinear", align_corners=True),
        (1, 2, 3, 3),
    ),
    "interpolate-bicubic": (lambda x: F.interpolate(x, size=(5, 4), mode="bicubic", align_corners=False), (1, 2, 3, 3)),
    "interpolate-trilinear": (
        lambda x: F.interpolate(x, size=3, mode="trilinear", align_corners=True),
        (1, 2, 2, 2, 2),
    ),
    "interpolate-area": (lambda x: F.interpolate(x, size=2, mode="area"), (1, 2, 4, 4)),
    "unfold": (lambda x: F.unfold(x, (2, 3), padding=1, stride=2), (2, 2, 5, 6)),
    "fold": (lambda x: F.fold(x, (3, 4), (2, 2)), (2, 8, 6)),
    "local_response_norm": (lambda x: F.local_response_norm(x, 2), (2, 4, 3)),
    "affine_grid": (lambda x: F.affine_grid(x, [2, 1, 3, 4], align_corners=False), (2, 2, 3)),
}


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("name", sorted(UNWEIGHTED))
def test_layers_without_weights(impl, name):
    function, shape = UNWEIGHTED[name]
    check(impl, function, numbers(B, *shape), nested=True)


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)], ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 3, 4, 2)], ids=str)
def test_grid_sample(impl, shape, in_dims):
    grid = torch.rand((shape[0],) + (2, 3, 3)[: len(shape) - 2] + (len(shape) - 2,), dtype=torch.float64) * 2 - 1
    tensors = [numbers(*shape), grid]
    args = [tensor if dim is None else batch(tensor) for tensor, dim in zip(tensors, in_dims)]
    check(impl, lambda x, g: F.grid_sample(x, g, align_corners=False), *args, in_dims=in_dims)


@pytest.mark.skipif(not at_least(2, 4), reason="torch has rms_norm since 2.4")
@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)], ids=str)
def test_rms_norm(impl, in_dims):
    args = [tensor if dim is None else batch(tensor) for tensor, dim in zip((numbers(2, 4), numbers(4)), in_dims)]
    check(impl, lambda x, w: F.rms_norm(x, (4,), w), *args, in_dims=in_dims, nested=True)
    check(impl, lambda x: F.rms_norm(x, (4,), eps=0.1), numbers(B, 2, 4), nested=True)


@pytest.mark.limit("stride_of_one")
@pytest.mark.usefixtures("no_loop")
def test_a_stride_of_one_int_in_a_tuple_is_for_all_dimensions(impl):
    function = conv(2, stride=(2,), padding=(1,))
    check(impl, function, numbers(B, 1, 2, 5, 6), numbers(3, 2, 3, 2), in_dims=(0, None))
    check(impl, function, numbers(B, 1, 2, 5, 6), numbers(B, 3, 2, 3, 2), numbers(B, 3))


@pytest.mark.skipif(not _batched.VECTORISES, reason="what torch itself refuses is looped over")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions_of_one_image(impl, dims):
    # torch takes an image without a batch dimension from 1.11 on; our vmap on any
    x, w, b = numbers(B, 2, *[4] * dims), numbers(3, 2, *[2] * dims), numbers(3)
    function = getattr(F, f"conv{dims}d")
    expected = function(x, w, b)
    assert_same(impl(function, in_dims=(0, None, None))(x, w, b), expected)
    many = w.expand((B,) + w.shape)
    assert_same(impl(function, in_dims=(0, 0, None))(x, many, b), expected)
    assert_same(impl(function, in_dims=(None, 0, None))(x[0], many, b), expected[:1].expand(expected.shape))


# --- embeddings

TABLES = {"F": lambda i, w: F.embedding(i, w), "torch": lambda i, w: torch.embedding(w, i)}
PADDED = {"F": lambda i, w: F.embedding(i, w, padding_idx=-2), "torch": lambda i, w: torch.embedding(w, i, 3)}


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)], ids=str)
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", sorted(TABLES))
def test_embedding(impl, name, shape, in_dims):
    index = torch.randint(5, (B,) + shape)
    args = (index if in_dims[0] == 0 else index[0], batch(numbers(5, 4)) if in_dims[1] == 0 else numbers(5, 4))
    check(impl, TABLES[name], *args, in_dims=in_dims, nested=True)


@pytest.mark.limit("padding_idx")
@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("name", sorted(PADDED))
def test_the_row_of_the_padding_has_no_gradient(impl, name):
    index = torch.tensor([[0, 3], [3, 3], [1, 4]])
    check(impl, PADDED[name], index, numbers(5, 4), in_dims=(0, None), nested=True)
    check(impl, PADDED[name], index, batch(numbers(5, 4)), nested=True)
    check(impl, PADDED[name], index[0], batch(numbers(5, 4)), in_dims=(None, 0))


@pytest.mark.usefixtures("no_loop")
@pytest.mark.parametrize("name", sorted(TABLES))
def test_gradients_of_an_embedding_for_each_sample(impl, name):
    index, table = torch.tensor([[0, 3, 3], [1, 1, 4]]), numbers(5, 4)

    def value(w, i):
        return TABLES[name](i, w).tanh().sum()

    ours = impl(grad_of(impl)(value), in_dims=(None, 0))(table, index)
    for number, sample in enumerate(index):
        w = table.clone().requires_grad_()
        assert_same(ours[number], torch.autograd.grad(value(w, sample), w)[0])


@pytest.mark.limit("embedding_index")
@pytest.mark.parametrize("wrong", [-1, 5])
def test_an_index_that_no_row_has(impl, wrong):
    index = torch.tensor([[0, wrong], [1, 2]] if wrong > 0 else [[0, 1], [2, wrong]])  # in another sample's table
    with pytest.raises((IndexError, RuntimeError)):
        impl(F.embedding)(index, torch.stack([numbers(5, 4)] * 2))


# --- running statistics


@pytest.mark.parametrize("norm", [F.batch_norm, F.instance_norm], ids=["batch", "instance"])
def test_running_statistics_for_each_sample(impl, norm):
    flag = {"training" if norm is F.batch_norm else "use_input_stats": False}
    args = (numbers(B, 4, 3, 2), numbers(B, 3), numbers(B, 3).exp(), numbers(B, 3))
    check(impl, lambda x, m, v, w: norm(x, m.detach(), v.detach(), w, **flag), *args)


@pytest.mark.limit("unmapped_writes")
@pytest.mark.parametrize("norm", [F.batch_norm, F.instance_norm], ids=["batch", "instance"])
def test_one_running_mean_cannot_be_updated_by_many_samples(impl, norm):
    flag = {"training" if norm is F.batch_norm else "use_input_stats": True}
    mean, var = torch.zeros(3).double(), torch.ones(3).double()
    with pytest.raises(RuntimeError, match=r"in.place"):
        impl(lambda x: norm(x, mean, var, **flag))(numbers(B, 4, 3, 2))
    assert mean.tolist() == [0, 0, 0]


def test_batch_statistics_of_one_value_are_an_error_for_a_batch_too(impl):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        impl(lambda x: F.batch_norm(x, None, None, training=True))(numbers(B, 1, 3))
    try:
        F.group_norm(numbers(1, 3), 3)
    except ValueError:
        pass
    else:
        return  # torch 1.2 normalises one value
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        impl(lambda x: F.group_norm(x, 3))(numbers(B, 1, 3))


def test_tensor_unfold_is_not_the_patches_of_images(impl):
    check(impl, lambda x: x.unfold(0, 2, 1), numbers(B, 4, 2))


def test_a_network(impl):
    """The layers together, as modules."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1, stride=2),
        torch.nn.GroupNorm(2, 4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.ConvTranspose2d(4, 2, 2),
        torch.nn.BatchNorm2d(2, track_running_stats=False),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.LayerNorm(8),
        torch.nn.Linear(8, 3),
    ).double()
    params = dict(net.named_parameters())
    x, target = numbers(B, 2, 1, 9, 9), torch.tensor([[0, 1], [2, 2], [1, 0]])

    def loss(params, x, target):
        return F.cross_entropy(functional_call(net, params, (x,)), target)

    ours = impl(grad_of(impl)(loss), in_dims=(None, 0, 0))(params, x, target)
    for number in range(B):
        expected = torch.autograd.grad(F.cross_entropy(net(x[number]), target[number]), list(params.values()))
        for name, theirs in zip(params, expected):
            assert_same(ours[name][number], theirs, name)
    outputs = impl(lambda x: net(x))(x)
    assert len(leaves(outputs)) == 1
    assert_same(outputs.detach(), loop(net)(x).detach())
