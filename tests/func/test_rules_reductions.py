"""Reductions, norms and what works along dimensions, under vmap: the loop over the samples is the oracle."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat.func import _batched

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # native loops too
]


def distinct(*shape):
    """Values that differ, in no order, so that max, sort and median have one answer."""
    count = 1
    for size in shape:
        count *= size
    return torch.randperm(count).double().reshape(shape) / count - 0.4


DIMS = {
    "sum": lambda x, **kw: x.sum(**kw),
    "mean": lambda x, **kw: torch.mean(x, **kw),
    "amax": lambda x, **kw: x.amax(**kw),
    "amin": lambda x, **kw: torch.amin(x, **kw),
    "logsumexp": lambda x, **kw: torch.logsumexp(x, **kw),
    "std": lambda x, **kw: x.std(**kw),
    "var": lambda x, **kw: torch.var(x, unbiased=False, **kw),
    "std_mean": lambda x, **kw: torch.std_mean(x, **kw),
    "var_mean": lambda x, **kw: torch.var_mean(x, unbiased=False, **kw),
    "norm": lambda x, **kw: x.norm(**kw),
    "norm 3": lambda x, **kw: torch.norm(x, p=3, **kw),
}
ONE_DIM = {
    "prod": lambda x, **kw: x.prod(**kw),
    "max": lambda x, **kw: x.max(**kw),
    "min": lambda x, **kw: torch.min(x, **kw),
    "median": lambda x, **kw: x.median(**kw),
    "nanmedian": lambda x, **kw: x.nanmedian(**kw),
    "mode": lambda x, **kw: x.mode(**kw),
    "kthvalue": lambda x, **kw: x.kthvalue(2, **kw),
}
WITHOUT_GRADIENT = {
    "argmax": lambda x, **kw: x.argmax(**kw),
    "argmin": lambda x, **kw: torch.argmin(x, **kw),
    "all": lambda x, **kw: (x > -0.35).all(**kw),
    "any": lambda x, **kw: torch.any(x > 0.5, **kw),
}


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1, -2, (0, 1), (-1,), (1, 0)])
@pytest.mark.parametrize("name", DIMS)
def test_over_some_dimensions(impl, no_loop, name, dim, keepdim):
    check(impl, lambda x: DIMS[name](x, dim=dim, keepdim=keepdim), distinct(3, 4, 5), nested=dim == 1)


@pytest.mark.parametrize("name", DIMS)
def test_over_the_whole_sample(impl, no_loop, name):
    function = DIMS[name]
    if name in ("logsumexp", "amax", "amin"):
        check(impl, lambda x: function(x, dim=(0, 1, 2)), distinct(3, 4, 5, 2))
    else:
        check(impl, lambda x: function(x), distinct(3, 4, 5, 2), in_dims=1, nested=True)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1, -2])
@pytest.mark.parametrize("name", ONE_DIM)
def test_over_one_dimension(impl, no_loop, name, dim, keepdim):
    check(
        impl,
        lambda x: (
            tuple(ONE_DIM[name](x, dim=dim, keepdim=keepdim)[:2])
            if name != "prod"
            else x.prod(dim=dim, keepdim=keepdim)
        ),
        distinct(3, 4, 5),
        nested=dim == 1,
    )


@pytest.mark.parametrize("name", ["prod", "max", "min", "median", "nanmedian"])
def test_over_the_whole_sample_without_a_dim(impl, no_loop, name):
    check(impl, lambda x: ONE_DIM[name](x), distinct(3, 4, 5), nested=True)
    check(impl, lambda x: ONE_DIM[name](x), distinct(3))


@pytest.mark.limit("ties")
@pytest.mark.parametrize("name", ["max", "min", "median"])
def test_equal_values_share_the_gradient_of_a_whole_sample(impl, no_loop, name):
    check(impl, lambda x: ONE_DIM[name](x), torch.tensor([[1.0, 2.0, 2.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0, 1.0]]))


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_of_values_without_a_gradient(impl, no_loop, name, dim):
    kwargs = {} if dim is None else {"dim": dim, "keepdim": True}
    check(impl, lambda x: WITHOUT_GRADIENT[name](x, **kwargs), distinct(3, 4, 5), gradient=False, nested=True)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "norm", "std", "max", "argmax", "prod", "softmax", "sort", "cumsum", "topk"]
)
def test_of_samples_without_dimensions(impl, no_loop, name):
    functions = {
        "softmax": lambda x: x.softmax(0),
        "sort": lambda x: tuple(x.sort(-1)),
        "cumsum": lambda x: x.cumsum(0),
        "topk": lambda x: tuple(x.topk(1)),
        "argmax": lambda x: x.argmax(),
        "std": lambda x: x.var(unbiased=False),
    }
    function = functions.get(name) or {**DIMS, **ONE_DIM}[name]
    check(impl, function, distinct(4), gradient=name not in ("argmax",), nested=True)


KEEPING = {
    "softmax": lambda x, dim: x.softmax(dim),
    "torch.softmax": lambda x, dim: torch.softmax(x, dim, dtype=torch.float64),
    "F.softmax": lambda x, dim: F.softmax(x, dim=dim),
    "F.softmax stacklevel": lambda x, dim: F.softmax(x, dim, 3, torch.float64),
    "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
    "F.log_softmax": lambda x, dim: F.log_softmax(x, dim=dim),
    "F.softmin": lambda x, dim: F.softmin(x, dim=dim),
    "cumsum": lambda x, dim: x.cumsum(dim),
    "cumprod": lambda x, dim: x.cumprod(dim),
    "cummax": lambda x, dim: tuple(x.cummax(dim)),
    "cummin": lambda x, dim: tuple(torch.cummin(x, dim)),
    "logcumsumexp": lambda x, dim: x.logcumsumexp(dim),
    "sort": lambda x, dim: tuple(x.sort(dim)),
    "sort descending": lambda x, dim: tuple(torch.sort(x, dim=dim, descending=True)),
    "topk": lambda x, dim: tuple(x.topk(2, dim)),
    "topk least": lambda x, dim: tuple(torch.topk(x, 2, dim=dim, largest=False)),
    "glu": lambda x, dim: F.glu(x, dim=dim),
    "normalize": lambda x, dim: F.normalize(x, dim=dim),
    "normalize 1": lambda x, dim: F.normalize(x, 1.0, dim, 1e-3),
}


@pytest.mark.parametrize("dim", [0, 1, -1, -2])
@pytest.mark.parametrize("name", KEEPING)
def test_along_a_dimension(impl, no_loop, name, dim):
    check(impl, lambda x: KEEPING[name](x, dim), distinct(3, 4, 6), nested=dim == 1)


def test_defaults_of_the_dimension(impl, no_loop):
    functions = [lambda x: x.sort()[0], lambda x: x.topk(2)[0], F.glu, F.normalize, lambda x: x.mode()[0]]
    for function in functions:
        check(impl, function, distinct(3, 4, 6), nested=True)


def test_argsort(impl, no_loop):
    check(impl, lambda x: x.argsort(), distinct(3, 4, 5), gradient=False)
    check(impl, lambda x: torch.argsort(x, 0, True), distinct(3, 4, 5), gradient=False)


def with_nan():
    x = distinct(3, 4, 5)
    x[0, 1, 2] = x[1, :, 0] = float("nan")
    return x


FORMS = {
    "std of all, biased": lambda x: x.std(False),
    "var of all, biased": lambda x: torch.var(x, unbiased=False),
    "var by position": lambda x: x.var(0, False, True),
    "std_mean by position": lambda x: torch.std_mean(x, 1, True),
    "std_mean of all": lambda x: torch.std_mean(x, False),
    "std with a correction": lambda x: x.std(dim=0, correction=0),
    "var with a correction": lambda x: torch.var(x, correction=2),
    "var_mean with a correction": lambda x: torch.var_mean(x, 1, correction=0, keepdim=True),
    "names of NumPy": lambda x: x.sum(axis=0, keepdims=True),
    "a dtype": lambda x: x.sum(dtype=torch.float64) * x.mean(0, dtype=torch.float64),
    "no dimensions": lambda x: x.sum(()),
    "by position": lambda x: x.sum((0, 1), True),
    "nansum": lambda x: x.nansum(),
    "norm of infinity": lambda x: x.norm(float("inf"), -1),
    "norm by position": lambda x: x.norm(2, 0, True),
    "norm in another dtype": lambda x: torch.norm(x, 2, 0, dtype=torch.float64),
    "norm of all, kept": lambda x: torch.norm(x, 2, keepdim=True),
    "frobenius": lambda x: torch.norm(x, dim=(0, 1)),
    "aminmax": lambda x: tuple(torch.aminmax(x, dim=1)),
    "aminmax of all": lambda x: tuple(torch.aminmax(x)),
    "diff": lambda x: torch.diff(x) * x.diff(dim=-1),
    "diff twice": lambda x: torch.diff(x, 2, 0),
    "trapz": lambda x: torch.trapz(x, dx=0.5),
    "trapezoid": lambda x: torch.trapezoid(x, dim=0),
    "cumulative_trapezoid": lambda x: torch.cumulative_trapezoid(x, dim=0),
    "msort": lambda x: torch.msort(x),
    "quantile": lambda x: torch.quantile(x, 0.3),
    "quantile along": lambda x: x.quantile(0.3, dim=0, keepdim=True),
    "quantiles": lambda x: torch.quantile(x, torch.tensor([0.2, 0.7], dtype=torch.float64), dim=1),
    "quantiles of all, kept": lambda x: torch.quantile(x, torch.tensor([0.2, 0.7], dtype=torch.float64), keepdim=True),
    "cumsum_": lambda x: x.clone().cumsum_(0),
    "stable sort": lambda x: tuple(torch.sort(x, dim=0, stable=True)),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_arguments(impl, no_loop, name):
    check(impl, FORMS[name], distinct(3, 4, 5), gradient="aminmax" not in name, nested=True)  # has none on torch 2.0


@pytest.mark.parametrize("name", ["nansum", "nanmean", "nanmedian", "nanquantile", "max", "median"])
def test_of_what_is_no_number(impl, no_loop, name):
    function = {
        "nanquantile": lambda x: torch.nanquantile(x, 0.4, dim=0),
        "max": lambda x: x.max(0)[0],
        "median": lambda x: x.median(1)[0],
    }.get(name, lambda x: getattr(x, name)(dim=0) if name != "nanmedian" else x.nanmedian(0)[0])
    check(impl, function, with_nan(), gradient=False)


def test_count_nonzero(impl, no_loop):
    x = torch.randint(0, 2, (3, 4, 5))
    check(impl, lambda x: torch.count_nonzero(x), x, gradient=False)
    check(impl, lambda x: x.count_nonzero(dim=1), x, gradient=False)
    check(impl, lambda x: x.sum() + x.sum(0) + x.prod() + x.max(), x, gradient=False)
    check(impl, lambda x: (x > 0).sum(0) + (x > 0).sum(), x, gradient=False)


@pytest.mark.parametrize("dim", [2, -3])
def test_a_dimension_out_of_range_raises_as_for_one_sample(impl, dim):
    functions = [lambda x: x.sum(dim), lambda x: x.softmax(dim), lambda x: x.max(dim)[0], lambda x: x.sort(dim)[0]]
    functions += [lambda x: x.cumsum(dim), lambda x: x.std(dim), lambda x: x.norm(dim=dim), lambda x: x.sum((0, dim))]
    for function in functions:
        with pytest.raises(IndexError):
            impl(function)(distinct(3, 4, 5))


@pytest.mark.skipif(not _batched.VECTORISES, reason="torch itself took them below 1.7")
def test_a_repeated_dimension_raises_as_for_one_sample(impl):
    for dims in ((0, 0), (1, -1)):
        with pytest.raises(RuntimeError):
            impl(lambda x, dims=dims: x.sum(dims))(distinct(3, 4, 5))


@pytest.mark.skipif(not _batched.VECTORISES, reason="the whole function is looped")
def test_an_empty_batch(impl):
    x = torch.ones(0, 4, 5)
    results = impl(lambda x: (x.sum(), x.mean(0), x.softmax(1), x.norm(), x.sort()[0]))(x)
    assert [tuple(result.shape) for result in results] == [(0,), (0, 5), (0, 4, 5), (0,), (0, 4, 5)]
