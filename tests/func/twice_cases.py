"""Operations to differentiate twice: by name a function of a tuple of tensors that returns a tuple of tensors."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

CASES = []
INDEX = torch.tensor([0, 2, 2, 1])
CLASSES = torch.tensor([1, 0, 3, 5])


class Case:
    """One operation.

    Attributes:
        orders: which derivatives are checked: "forward", and "2" and "3" for the second and third.
        limits: by order, the key of the limit that says on which torch it is wrong.
        computes: whether the fallback must compute it where torch shows what a node has saved, from 1.10 on.
    """

    def __init__(self, name, function, specs, orders, limits, computes):
        self.name, self.specs, self.orders, self.limits, self.computes = name, specs, orders, limits, computes
        self.function = lambda tensors: _tuple(function(*tensors))

    def inputs(self, dtype):
        return tuple(_tensor(spec).to(dtype) for spec in self.specs)


def _tuple(result):
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _tensor(spec):
    if isinstance(spec, list):
        return torch.tensor(spec, dtype=torch.float64)
    kind, shape = spec
    if kind == "normal":
        return torch.randn(shape, dtype=torch.float64)
    if kind == "positive":
        return torch.rand(shape, dtype=torch.float64) + 0.3
    matrix = torch.randn(shape, dtype=torch.float64)  # symmetric positive definite, all eigenvalues apart
    return matrix @ matrix.t() + torch.diag(torch.arange(1.0, 1 + len(matrix), dtype=torch.float64))


def N(*shape):
    return "normal", shape


def P(*shape):
    return "positive", shape


def S(size):
    return "definite", (size, size)


def case(name, function, *specs, orders=("forward", "2"), limits=(), computes=False, there=True):
    if there:
        CASES.append(Case(name, function, specs, orders, dict(limits), computes))


def has(*path):
    found = torch
    for name in path:
        found = getattr(found, name, None)
    return found is not None


# Normalisation, also by parameters alone, and their third derivatives.
third = ("forward", "2", "3")
affine = (N(8), N(8))


def batch_norm(x, weight=None, bias=None):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def batch_norm_by_running(x, weight, bias):
    return F.batch_norm(x, torch.ones(3).to(x.dtype), 2 * torch.ones(3).to(x.dtype), weight, bias)


def layer(name, function, *specs, orders=("forward", "2"), limits=(("3", "layer_norm_third"),)):
    case("layer norm" + name, function, *specs, orders=orders, limits=limits, computes=True)


def batch(name, function, *specs, orders=("forward", "2"), limits=(("3", "batch_norm_third"),)):
    case("batch norm" + name, function, *specs, orders=orders, limits=limits, computes=True)


layer("", lambda x: F.layer_norm(x, [8]), N(5, 8), orders=third)
layer(", weight and bias", lambda x, w, b: F.layer_norm(x, [8], w, b), N(5, 8), *affine, orders=third)
layer(", weight", lambda x, w: F.layer_norm(x, [8], w), N(5, 8), N(8), orders=third)
layer(", constant weight", lambda x: F.layer_norm(x, [8], torch.arange(8.0).to(x.dtype)), N(5, 8))
layer(", constant input", lambda w, b: F.layer_norm(torch.eye(8).to(w.dtype), [8], w, b) ** 2, *affine)
layer(", bias", lambda x, b: F.layer_norm(x * x, [8], None, b) ** 2, N(5, 8), N(8))
layer(", two dimensions", lambda x, w, b: F.layer_norm(x, [3, 4], w, b), N(5, 3, 4), N(3, 4), N(3, 4))
batch("", batch_norm, N(5, 3, 4), orders=third)
batch(", weight and bias", batch_norm, N(5, 3, 4), N(3), N(3), orders=third)
batch(", weight", batch_norm, N(5, 3), N(3), orders=third)
batch(", bias", lambda x, b: batch_norm(x, None, b) ** 2, N(5, 3, 4), N(3))
by_bias = (("2", "bias_of_batch_norm"),)
batch(", by its bias", lambda b: batch_norm(torch.eye(3).to(b.dtype), None, b) ** 3, N(3), limits=by_bias)
batch(", by its weight", lambda w: batch_norm(torch.eye(3).to(w.dtype), w) ** 3, N(3))
batch(", running statistics", batch_norm_by_running, N(5, 3, 4), N(3), N(3), orders=third, limits=())
case("group norm", lambda x, w, b: F.group_norm(x, 2, w, b), N(3, 4, 5), N(4), N(4))
case("instance norm", lambda x, w, b: F.instance_norm(x, None, None, w, b), N(2, 3, 5), N(3), N(3))
case("instance norm, bias", lambda x, b: F.instance_norm(x, None, None, None, b) ** 2, N(2, 3, 5), N(3), computes=True)
weighted = {"limits": (("2", "weight_norm"),), "computes": True}
case("weight norm", lambda v, g: torch._weight_norm(v, g, 0), N(4, 6), P(4, 1), **weighted)
case("weight norm, last", lambda v, g: torch._weight_norm(v, g, 1), N(4, 6), P(1, 6), **weighted)
case("local response norm", lambda x: F.local_response_norm(x, 2), N(2, 4, 5))

# Elements.
for name in ["sin", "cos", "tan", "tanh", "sinh", "cosh", "exp", "expm1", "erf", "sigmoid", "reciprocal", "atan"]:
    case(name, getattr(torch, name), N(4, 6))
for name in ["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "lgamma", "digamma"]:
    case(name, getattr(torch, name), P(4, 6))
ACTIVATIONS = [
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softsign",
]
for name in ACTIVATIONS:
    case(name, getattr(F, name, None), N(4, 6), there=hasattr(F, name))
case("hardsigmoid", lambda x: F.hardsigmoid(2 * x) ** 2, N(4, 6), computes=True, there=hasattr(F, "hardsigmoid"))
case(
    "softplus, low threshold",
    lambda x: F.softplus(x, 2.0, 1.0),
    N(4, 6),
    limits=(("forward", "softplus"), ("2", "softplus")),
)
case("prelu", F.prelu, N(2, 3, 4), N(3))
case("power", torch.pow, P(4, 6), N(4, 6))
case("division", torch.div, N(4, 6), P(4, 1))
case("atan2", torch.atan2, N(4, 6), P(4, 6))
case("lerp", torch.lerp, N(4, 6), N(4, 6), N(4, 6))
case("addcdiv", torch.addcdiv, N(4, 6), N(4, 6), P(4, 6))

# Reductions and scans.
case("softmax", lambda x: torch.softmax(x, -1), N(4, 6))
case("log_softmax", lambda x: torch.log_softmax(x, 0), N(4, 6))
case("logsumexp, masked", lambda x: torch.logsumexp(masked(x), -1), N(4, 6))
case("softmax, masked", lambda x: torch.softmax(masked(x), -1), N(4, 6))
case("logcumsumexp", lambda x: torch.logcumsumexp(x, 0), N(6, 2), there=has("logcumsumexp"))
case("prod", torch.prod, N(5))
case("prod, zero", torch.prod, [0.0, 2.0, 3.0])
case("prod, zeros", torch.prod, [0.0, 0.0, 3.0], limits=(("2", "prod_of_zeros"),), computes=True)
case("prod of rows, zeros", lambda x: x.prod(1), [[0.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 3.0]])
case("cumprod, zeros", lambda x: x.cumprod(0), [1.0, 0.0, 3.0, 0.0, 2.0])
case("std", lambda x: x.std(1), N(4, 6))
case("var", lambda x: x.var(0), N(4, 6))
for p in (1, 1.5, 2, 3, math.inf):
    case(f"norm {p}", lambda x, p=p: torch.norm(x, p, dim=1), N(4, 6))
case("renorm", lambda x: x.renorm(2, 0, 1.0), N(4, 6))
case("cdist", torch.cdist, N(4, 3), N(5, 3))
case("pdist", torch.pdist, N(4, 3))
case("cosine_similarity", F.cosine_similarity, N(4, 6), N(4, 6))


def masked(x):
    return x.masked_fill(torch.tensor([True, False, False, False, True, False]), -math.inf)


# Linear algebra.
case("det", torch.det, S(4))
case("det, singular", torch.det, [[1.0, 2.0], [2.0, 4.0]], orders=("2",), limits=(("2", "singular"),))
case("inverse", torch.inverse, S(4))
case("logdet", torch.logdet, S(4))
case("svd", lambda x: torch.svd(x)[1], N(4, 6))
case("bilinear", F.bilinear, N(3, 4), N(3, 5), N(2, 4, 5))
case("matrix_power", lambda x: torch.matrix_power(x, 3), N(4, 4))

# Layers.
case("embedding", lambda table: F.embedding(INDEX, table) ** 2, N(5, 3))
case(
    "embedding_bag",
    lambda table, weights: F.embedding_bag(INDEX, table, torch.tensor([0, 2]), mode="sum", per_sample_weights=weights),
    N(5, 3),
    N(4),
)
case("conv1d", lambda x, w, b: F.conv1d(x, w, b, 2, 1), N(2, 3, 9), N(4, 3, 3), N(4))
case("conv2d", lambda x, w: F.conv2d(x, w, None, 1, 1, 1, 2), N(2, 4, 5, 5), N(4, 2, 3, 3))
case("conv_transpose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1), N(2, 3, 4, 4), N(3, 2, 3, 3), N(2))
case("conv3d", F.conv3d, N(1, 2, 3, 3, 3), N(2, 2, 2, 2, 2), N(2))
case("max_pool2d", lambda x: F.max_pool2d(x, 2) ** 2, N(2, 3, 4, 4))
case("avg_pool2d", lambda x: F.avg_pool2d(x, 2) ** 2, N(2, 3, 4, 4))
case("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 3) ** 2, N(2, 3, 4, 4))
case("interpolate", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True) ** 2, N(2, 3, 4, 4))
case("pad", lambda x: F.pad(x, (1, 1), "replicate") ** 2, N(2, 3, 4))
case("fold", lambda x: F.fold(x, (4, 4), 2) ** 2, N(2, 12, 9))


def encoder_layer(x):
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(4, 2, 8, 0.0).to(x.dtype)(x)


case("encoder layer", encoder_layer, N(3, 2, 4))
cell = (N(2, 3), N(2, 4), N(2, 4), N(16, 3), N(16, 4))
case("lstm_cell", lambda x, h, c, w, u: torch.lstm_cell(x, (h, c), w, u), *cell)
case("gru_cell", torch.gru_cell, N(2, 3), N(2, 4), N(12, 3), N(12, 4))

# Losses.
case("mse_loss", F.mse_loss, N(4, 6), N(4, 6))
case("smooth_l1_loss", lambda x: F.smooth_l1_loss(x, torch.zeros(4, 6).to(x.dtype)), N(4, 6))
case("nll_loss", lambda x: F.nll_loss(x * x, CLASSES, ignore_index=3), N(4, 6))
case("cross_entropy", lambda x: F.cross_entropy(x, CLASSES), N(4, 6))
case("kl_div", lambda x: F.kl_div(x, torch.softmax(torch.eye(6)[:4].to(x.dtype), -1), reduction="sum"), N(4, 6))
case("kl_div by its target", lambda x, y: F.kl_div(x, torch.softmax(y, -1), reduction="sum"), N(4, 6), N(4, 6))
case("binary_cross_entropy", lambda x: F.binary_cross_entropy(torch.sigmoid(x), torch.ones(4, 6).to(x.dtype)), N(4, 6))
case("with_logits", lambda x: F.binary_cross_entropy_with_logits(x, torch.ones(4, 6).to(x.dtype)), N(4, 6))
case(
    "ctc_loss",
    lambda x: F.ctc_loss(torch.log_softmax(x, -1), torch.tensor([[1, 2]]), torch.tensor([5]), torch.tensor([2])),
    N(5, 1, 4),
)
