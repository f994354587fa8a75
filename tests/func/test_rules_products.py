"""Products, einsum, the linear layer and linear algebra under vmap: the loop over the samples is the oracle."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import SHIMS, at_least
from torchcompat.func import _batched

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # native loops too
    pytest.mark.filterwarnings("ignore:torch.addr is deprecated"),  # 1.7
]

SIZES = {"m": 2, "k": 3, "n": 4, "s": 5, "1": 1}


def tensor(sizes, batch=None):
    shape = [SIZES[size] for size in sizes]
    return torch.randn(([] if batch is None else [batch]) + shape, dtype=torch.float64)


def check_pairs(impl, function, first, second, *more, nested=True):
    """With each of the first two operands batched, or both; of the others all."""
    rest = [tensor(sizes, 3) for sizes in more]
    zeros = (0,) * len(rest)
    check(impl, function, tensor(first, 3), tensor(second, 3), *rest, in_dims=(0, 0, *zeros), nested=nested)
    check(impl, function, tensor(first), tensor(second, 3), *rest, in_dims=(None, 0, *zeros), nested=nested)
    check(impl, function, tensor(first, 3), tensor(second), *rest, in_dims=(0, None, *zeros), nested=nested)


MATMUL = [
    "k k",
    "k kn",
    "mk k",
    "mk kn",
    "smk k",
    "k skn",
    "smk kn",
    "mk skn",
    "smk skn",
    "1mk skn",
    "1smk mskn",
    "mk mskn",
]


@pytest.mark.parametrize("sizes", MATMUL)
def test_matmul(impl, no_loop, sizes):
    check_pairs(impl, torch.matmul, *sizes.split())


@pytest.mark.parametrize("sizes", MATMUL[:6])
def test_the_operator(impl, no_loop, sizes):
    check_pairs(impl, lambda x, y: x @ y, *sizes.split())
    check_pairs(impl, lambda x, y: x.matmul(y), *sizes.split())


STRICT = {
    "mm": (lambda x, y: x.mm(y), "mk", "kn"),
    "mv": (torch.mv, "mk", "k"),
    "bmm": (torch.bmm, "smk", "skn"),
    "dot": (lambda x, y: x.dot(y), "k", "k"),
    "vdot": (lambda x, y: torch.vdot(x, y), "k", "k"),
    "outer": (lambda x, y: x.outer(y), "m", "n"),
    "ger": (lambda x, y: x.ger(y), "m", "n"),
    "inner": (lambda x, y: torch.inner(x, y), "mk", "snk"),
    "inner of vectors": (lambda x, y: torch.inner(x, y), "k", "k"),
    "tensordot": (lambda x, y: torch.tensordot(x, y, 2), "mkn", "kns"),
    "tensordot of one": (lambda x, y: torch.tensordot(x, y, dims=1), "mk", "kn"),
    "tensordot of dims": (lambda x, y: torch.tensordot(x, y, dims=([0, -1], [1, 0])), "msk", "kmn"),
    "tensordot of none": (lambda x, y: torch.tensordot(x, y, dims=0), "m", "n"),
    "kron": (lambda x, y: torch.kron(x, y), "mk", "ns"),
    "kron of other ranks": (lambda x, y: torch.kron(x, y), "k", "mn"),
    "cdist": (torch.cdist, "mk", "nk"),
    "cdist of stacks": (lambda x, y: torch.cdist(x, y, p=1.0), "smk", "snk"),
    "multi_dot": (lambda x, y: torch.linalg.multi_dot([x, y, y.t()]), "mk", "kn"),
    "cross": (lambda x, y: torch.cross(x, y, dim=-1), "mk", "mk"),
    "cross of broadcast tensors": (lambda x, y: torch.linalg.cross(x, y), "mk", "1k"),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y), "mk", "mk"),
    "cosine_similarity along the last": (lambda x, y: F.cosine_similarity(x, y, dim=-1), "smk", "smk"),
    "pairwise_distance": (lambda x, y: F.pairwise_distance(x, y), "mk", "mk"),
    "dist": (lambda x, y: torch.dist(x, y), "mk", "mk"),
    "dist 1": (lambda x, y: torch.dist(x, y, 1), "mk", "k"),
}


@pytest.mark.parametrize("name", STRICT)
def test_products(impl, no_loop, name):
    check_pairs(impl, *STRICT[name])


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
@pytest.mark.limit("chain_matmul")
def test_chain_matmul(impl, no_loop):
    check_pairs(impl, lambda x, y: torch.chain_matmul(x, y), "mk", "kn")


ADDED = {
    "addmm": ("mk", "kn", ["mn", "n", "1n", ""]),
    "addmv": ("mk", "k", ["m", ""]),
    "baddbmm": ("smk", "skn", ["smn", "mn"]),
    "addbmm": ("smk", "skn", ["mn", "n"]),
    "addr": ("m", "n", ["mn", "n"]),
}


@pytest.mark.parametrize("scaled", [{}, {"beta": 0.5, "alpha": 2.0}, {"beta": 0}])
@pytest.mark.parametrize("name", ADDED)
def test_products_that_are_added(impl, no_loop, name, scaled):
    first, second, inputs = ADDED[name]
    if name == "baddbmm" and scaled == {"beta": 0} and not at_least(2, 1):
        # https://github.com/pytorch/pytorch/pull/96086
        pytest.skip("torch 2.0 and older multiply memory that was never written by 0, which may be NaN")
    for sizes in inputs:
        check_pairs(impl, lambda x, y, z: getattr(torch, name)(z, x, y, **scaled), first, second, sizes, nested=False)


@pytest.mark.parametrize("name", ADDED)
def test_products_that_are_added_in_place(impl, no_loop, name):
    first, second, inputs = ADDED[name]

    def function(x, y, z):
        target = z.clone()
        assert getattr(target, name + "_")(x, y, beta=0.5) is target
        return target

    check_pairs(impl, function, first, second, inputs[0], nested=False)


EQUATIONS = ["mk,kn->mn", "mk , kn", "mk,k->m", "smk,skn->smn", "k,k->", "kk->k", "...k,kn->...n", "m...,k...", "mk,mk"]
EQUATIONS += ["mkn->nkm", "nm", "m,k,n->nkm", "mk->"]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(impl, no_loop, equation):
    inputs = equation.partition("->")[0].replace(" ", "").replace("...", "s").split(",")
    batch = [tensor(sizes, 3) for sizes in inputs]
    check(impl, lambda *operands: torch.einsum(equation, *operands), *batch, in_dims=(0,) * len(batch), nested=True)
    check(impl, lambda *operands: torch.einsum(equation, list(operands)), *batch, in_dims=(0,) * len(batch))
    for n in range(len(batch) if len(batch) > 1 else 0):
        dims = tuple(None if n == m else 0 for m in range(len(batch)))
        args = [operand if dim == 0 else operand[0] for operand, dim in zip(batch, dims)]
        check(impl, lambda *operands: torch.einsum(equation, *operands), *args, in_dims=dims, nested=True)


def test_einsum_of_lists_of_dimensions(impl):
    x, y = tensor("mk", 3), tensor("kn")
    check(impl, lambda x, y: torch.einsum(x, [0, 1], y, [1, 2], [2, 0]), x, y, in_dims=(0, None))


@pytest.mark.parametrize("bias", [None, "plain", "batched"])
@pytest.mark.parametrize("rows", ["", "m", "sm"])
def test_linear(impl, no_loop, rows, bias):
    x, w, b = tensor(rows + "k", 3), tensor("nk", 3), tensor("n", 3)
    b, dim = {None: (None, None), "plain": (b[0], None), "batched": (b, 0)}[bias]
    check(impl, F.linear, x, w, b, in_dims=(0, 0, dim), nested=True)
    check(impl, F.linear, x[0], w, b, in_dims=(None, 0, dim), nested=True)
    check(impl, F.linear, x, w[0], b, in_dims=(0, None, dim), nested=True)
    if bias == "batched" and rows == "m":  # torch 1.7 does not ask the bias for its type
        check(impl, F.linear, x[0], w[0], b, in_dims=(None, None, 0), nested=True)


@pytest.mark.parametrize("rows", ["", "m"])
def test_bilinear(impl, no_loop, rows):
    x, y, w, b = tensor(rows + "m", 3), tensor(rows + "k", 3), tensor("nmk", 3), tensor("n", 3)
    check(impl, F.bilinear, x, y, w, b, in_dims=(0, 0, 0, 0), nested=True)
    check(impl, F.bilinear, x, y, w[0], b[0], in_dims=(0, 0, None, None))


def one_each(function):
    """Per-sample gradients by grad of the fallback: the weight is expanded over the batch."""
    grad = SHIMS["func.grad"].fallback
    return lambda weight, x: grad(lambda weight: function(weight, x).pow(2).sum())(weight)


SHARED = {
    "linear": (lambda w, x: F.linear(x, w), "nk", "mk"),
    "linear of a vector": (lambda w, x: F.linear(x, w), "nk", "k"),
    "right": (lambda w, x: x @ w, "kn", "mk"),
    "right of a vector": (lambda w, x: x @ w, "kn", "k"),
    "right of a stack": (lambda w, x: x @ w, "kn", "smk"),
    "left": (lambda w, x: w @ x, "nk", "km"),
    "left of a vector": (lambda w, x: w @ x, "nk", "k"),
    "vector": (lambda w, x: x @ w, "k", "mk"),
    "addmm": (lambda w, x: torch.addmm(x, x, w), "kk", "mk"),
    "einsum": (lambda w, x: torch.einsum("nk,mk->mn", w, x), "nk", "mk"),
    "twice": (lambda w, x: F.linear(torch.tanh(F.linear(x, w)), w), "kk", "mk"),
}


@pytest.mark.skipif(not _batched.VECTORISES, reason="the whole function is looped")
@pytest.mark.parametrize("name", SHARED)
def test_one_weight_has_a_gradient_for_each_sample(no_loop, name):
    function, weight, x = SHARED[name]
    check(SHIMS["func.vmap"].fallback, one_each(function), tensor(weight), tensor(x, 3), in_dims=(None, 0), nested=True)


DEFINITE = {
    "inverse": lambda a: a.inverse(),
    "pinverse": lambda a: a.pinverse(),
    "det": lambda a: torch.det(a),
    "logdet": lambda a: a.logdet(),
    "slogdet": lambda a: tuple(a.slogdet())[1],
    "matrix_power": lambda a: a.matrix_power(3),
    "matrix_exp": lambda a: torch.matrix_exp(a),
    "linalg.inv": lambda a: torch.linalg.inv(a),
    "linalg.det": lambda a: torch.linalg.det(a),
    "linalg.cholesky": lambda a: torch.linalg.cholesky(a),
    "linalg.eigvalsh": lambda a: torch.linalg.eigvalsh(a),
    "linalg.svdvals": lambda a: torch.linalg.svdvals(a),
    "linalg.qr": lambda a: tuple(torch.linalg.qr(a)),
    "linalg.matrix_norm": lambda a: torch.linalg.matrix_norm(a),
    "linalg.matrix_norm nuc": lambda a: torch.linalg.matrix_norm(a, "nuc"),
    "linalg.norm": lambda a: torch.linalg.norm(a),
    "linalg.norm 2": lambda a: torch.linalg.norm(a, 2),
    "linalg.norm of rows": lambda a: torch.linalg.norm(a, dim=-1, keepdim=True),
    "linalg.vector_norm": lambda a: torch.linalg.vector_norm(a),
    "linalg.vector_norm of rows": lambda a: torch.linalg.vector_norm(a, 1, dim=-1),
    "nuclear": lambda a: torch.norm(a, "nuc"),
    "trace": lambda a: a.trace(),
}


def definite(*batch):
    """Positive definite matrices with eigenvalues well apart."""
    noise = torch.randn(*batch, 3, 3, dtype=torch.float64) / 10
    return noise @ noise.transpose(-1, -2) + torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))


@pytest.mark.parametrize("name", DEFINITE)
def test_of_a_matrix(impl, no_loop, name):
    gradient = name != "linalg.eigvalsh" or at_least(1, 9)
    check(impl, DEFINITE[name], definite(4), gradient=gradient, nested=True)


@pytest.mark.parametrize("columns", ["k", "kn"])
def test_solve(impl, no_loop, columns):
    a, b = definite(3), tensor(columns, 3)
    for first, second, dims in [(a, b, (0, 0)), (a[0], b, (None, 0)), (a, b[0], (0, None))]:
        check(impl, lambda a, b: torch.linalg.solve(a, b), first, second, in_dims=dims, nested=True)


def test_cholesky_solve(impl, no_loop):
    a, b = definite(3), tensor("kn", 3)
    check(impl, lambda b, a: torch.cholesky_solve(b, torch.tril(a)), b, a, in_dims=(0, 0))
    check(impl, lambda b, a: torch.cholesky_solve(b, a), b, torch.tril(a[0]), in_dims=(0, None))


def test_what_does_not_fit_raises_what_one_sample_raises(impl):
    x, y = tensor("mk", 3), tensor("mk", 3)
    for function in (torch.mm, torch.matmul, torch.mv, torch.bmm, torch.dot, F.linear):
        with pytest.raises(RuntimeError):
            impl(lambda x, y, function=function: function(x, y.unsqueeze(0)), in_dims=(0, 0))(x, y)
