"""Differences, integrals, covariances and histograms, against NumPy: tables of cases."""

import numpy as np
import pytest
import torch
from function_tables import check, differentiable, error, limited, mapped, shim_tests, transformed, value

from torchcompat import SHIMS, UnsupportedError

M = np.array([[3.0, 1.0, 2.0, 7.0], [0.5, 0.25, -1.0, 4.0]])
V = np.array([1.0, 4.0, 9.0, 16.0])
X = np.array([0.0, 1.0, 3.0, 4.0])
I = np.array([1, 4, 9, 16])  # noqa: E741
T = torch.from_numpy
m, v, x, i = T(M), T(V), T(X), T(I)
s = torch.tensor(5.0, dtype=torch.float64)
trapezoid = getattr(np, "trapezoid", None) or np.trapz


def areas(y, x):
    return np.cumsum((y[..., 1:] + y[..., :-1]) / 2 * np.diff(x), -1)


def singles(*arrays):
    return tuple(array.astype(np.float32) for array in arrays)


def floats(pair):
    """The counts as floats, and the edges."""
    return pair[0].astype(float), pair[1]


def counts(result):
    assert result.hist is result[0]
    assert result.bin_edges is result[1]
    return tuple(result)


def gradients(f, *args, **kwargs):
    found = f(*args, **kwargs)
    assert isinstance(found, (tuple, list))
    return tuple(found)


HISTOGRAMS = [
    (lambda f: f(v, 4), lambda: np.histogram(V, 4)),
    (lambda f: f(m, bins=3, range=(0.0, 3.0)), lambda: np.histogram(M, 3, (0.0, 3.0))),
    (lambda f: f(v, 4, density=True), lambda: np.histogram(V, 4, density=True)),
    (lambda f: f(v, 3, weight=x), lambda: np.histogram(V, 3, weights=X)),
    (lambda f: f(v, x * 4), lambda: np.histogram(V, X * 4)),
    (lambda f: f(v, x * 4, weight=x, density=True), lambda: np.histogram(V, X * 4, weights=X, density=True)),
    (lambda f: f(v[:1], 2), lambda: np.histogram(V[:1], 2)),
    (lambda f: f(v[:0], 2), lambda: (np.zeros(2), np.array([0.0, 0.5, 1.0]))),
]
POINTS = np.array([[0.0, 1.0], [2.0, 0.5], [2.0, 3.0], [4.0, 1.0]])
points = T(POINTS)


def grid(*args, **kwargs):
    hist, edges = np.histogramdd(*args, **kwargs)
    return hist, tuple(edges)


VALUES = {
    "diff": [
        (lambda f: f(v), lambda: np.diff(V)),
        (lambda f: f(v, 2), lambda: np.diff(V, 2)),
        (lambda f: f(v, n=0), lambda: V),
        (lambda f: f(v, 7), lambda: V[:0]),
        (lambda f: f(m, 1, 0), lambda: np.diff(M, axis=0)),
        (lambda f: f(m, dim=-1, prepend=m[:, :1] * 0), lambda: np.diff(M, axis=-1, prepend=0)),
        (lambda f: f(m, n=2, append=m, prepend=m), lambda: np.diff(np.concatenate([M] * 3, 1), 2)),
        (lambda f: f(v > 3), lambda: np.diff(V > 3)),
        (lambda f: f(T(np.array([1, 0, 0, 1]) > 0), 2), lambda: np.diff(np.array([1, 0, 0, 1]) > 0, 2)),
        (lambda f: f(torch.tensor([5, 1], dtype=torch.uint8)), lambda: np.array([252], np.uint8)),
        (lambda f: f(i, prepend=v), lambda: np.diff(np.r_[V, I])),
    ],
    "gradient": [
        (lambda f: gradients(f, v), lambda: (np.gradient(V),)),
        (lambda f: gradients(f, v, spacing=2.0), lambda: (np.gradient(V, 2.0),)),
        (lambda f: gradients(f, v, spacing=(x,)), lambda: (np.gradient(V, X),)),
        (lambda f: gradients(f, v, edge_order=2), lambda: (np.gradient(V, edge_order=2),)),
        (lambda f: gradients(f, v, spacing=[x], edge_order=2), lambda: (np.gradient(V, X, edge_order=2),)),
        (lambda f: gradients(f, m), lambda: tuple(np.gradient(M))),
        (lambda f: gradients(f, m, dim=1), lambda: (np.gradient(M, axis=1),)),
        (lambda f: gradients(f, m, dim=(1, 0)), lambda: tuple(np.gradient(M, axis=(1, 0)))),
        (lambda f: gradients(f, m, spacing=[2.0, 3.0]), lambda: tuple(np.gradient(M, 2.0, 3.0))),
        (
            lambda f: gradients(f, m, spacing=[2.0, 3.0], dim=(1, 0)),
            lambda: tuple(np.gradient(M, 2.0, 3.0, axis=(1, 0))),
        ),
        (lambda f: gradients(f, m, spacing=[x[:2], x]), lambda: tuple(np.gradient(M, X[:2], X))),
        (lambda f: gradients(f, v[:2]), lambda: (np.gradient(V[:2]),)),
        (lambda f: gradients(f, i), lambda: singles(np.gradient(V))),
    ],
    "trapezoid": [
        (lambda f: f(v), lambda: trapezoid(V)),
        (lambda f: f(v, dx=2), lambda: trapezoid(V, dx=2)),
        (lambda f: f(v, x), lambda: trapezoid(V, X)),
        (lambda f: f(y=m, x=x, dim=1), lambda: trapezoid(M, X)),
        (lambda f: f(m, x[:2], dim=0), lambda: trapezoid(M, X[:2], axis=0)),
        (lambda f: f(m, m * 2), lambda: trapezoid(M, M * 2)),
        (lambda f: f(m, x.view(1, 4)), lambda: trapezoid(M, X)),
        (lambda f: f(v[:1]), lambda: np.array(0.0)),
        (lambda f: f(m[:, :0]), lambda: np.zeros(2)),
        (lambda f: f(i), lambda: trapezoid(V).astype(np.float32)),
        (lambda f: f(i, i), lambda: trapezoid(V, V).astype(np.float32)),
    ],
    "cumulative_trapezoid": [
        (lambda f: f(v), lambda: areas(V, np.arange(4))),
        (lambda f: f(v, x), lambda: areas(V, X)),
        (lambda f: f(m, dx=2), lambda: areas(M, np.arange(4) * 2)),
        (lambda f: f(m, dim=0), lambda: areas(M.T, np.arange(2)).T),
        (lambda f: f(i), lambda: areas(V, np.arange(4)).astype(np.float32)),
        (lambda f: f(v[:1]), lambda: V[:0]),
        (lambda f: f(m[:, :0]), lambda: M[:, :0]),
    ],
    "logcumsumexp": [
        (lambda f: f(v, 0), lambda: np.log(np.cumsum(np.exp(V)))),
        (lambda f: f(m, -1), lambda: np.log(np.cumsum(np.exp(M), -1))),
        (lambda f: f(m, dim=0), lambda: np.log(np.cumsum(np.exp(M), 0))),
        (lambda f: f(v + 1000, 0), lambda: np.log(np.cumsum(np.exp(V))) + 1000),
        (lambda f: f(T(np.array([-np.inf, -np.inf, 3.0])), 0), lambda: np.array([-np.inf, -np.inf, 3.0])),
        (lambda f: f(v[:0], 0), lambda: V[:0]),
        (lambda f: f(s, 0), lambda: np.array(5.0)),
    ],
    "cov": [
        (lambda f: f(m), lambda: np.cov(M)),
        (lambda f: f(v), lambda: np.cov(V)),
        (lambda f: f(m, correction=0), lambda: np.cov(M, ddof=0)),
        (lambda f: f(m, fweights=torch.tensor([1, 2, 1, 3])), lambda: np.cov(M, fweights=[1, 2, 1, 3])),
        (lambda f: f(m, aweights=x / 7), lambda: np.cov(M, aweights=X / 7)),
        (
            lambda f: f(m, fweights=torch.tensor([1, 2, 1, 3]), aweights=x),
            lambda: np.cov(M, fweights=[1, 2, 1, 3], aweights=X),
        ),
        (lambda f: f(torch.stack([i, i * 2])), lambda: np.cov(np.stack([I, I * 2])).astype(np.float32)),
    ],
    "corrcoef": [
        (lambda f: f(m), lambda: np.corrcoef(M)),
        (lambda f: f(v), lambda: np.array(1.0)),
        (lambda f: f(torch.stack([v, v * 0])), lambda: np.array([[1.0, np.nan], [np.nan, np.nan]])),
    ],
    "histogram": [
        (lambda f, call=call: counts(call(f)), lambda expected=expected: floats(expected()))
        for call, expected in HISTOGRAMS
    ],
    "histogramdd": [
        (lambda f: counts(f(points, [2, 3])), lambda: grid(POINTS, [2, 3])),
        (lambda f: counts(f(points, bins=2)), lambda: grid(POINTS, 2)),
        (
            lambda f: counts(f(points, [2, 2], range=[0.0, 4.0, 0.0, 2.0])),
            lambda: grid(POINTS, [2, 2], range=[(0.0, 4.0), (0.0, 2.0)]),
        ),
        limited("edges", lambda f: counts(f(points, [x, x], weight=v)), lambda: grid(POINTS, [X, X], weights=V)),
        (lambda f: counts(f(points, [2, 2], density=True)), lambda: grid(POINTS, [2, 2], density=True)),
    ],
}
globals().update(shim_tests(VALUES, "values", value))

Y = M * 0.25
CALLS = {
    "diff": (lambda f, y: f(y, 2, -1, y[:, :1]), Y),
    "gradient": (lambda f, y: f(y, spacing=0.5, dim=1)[0], Y),
    "trapezoid": (lambda f, y: f(y, y.cumsum(1)), Y),
    "cumulative_trapezoid": (lambda f, y: f(y, dx=0.5), Y),
    "logcumsumexp": (lambda f, y: f(y, 1), Y),
    "cov": (lambda f, y: f(y), Y),
    "corrcoef": (lambda f, y: f(y) * y[:, :2], Y),
}
GRADIENTS = {name: [case] for name, case in CALLS.items()}
GRADIENTS["gradient"].append(limited("short", lambda f, y: f(y, edge_order=2, dim=1)[0], Y))
BATCHES = {name: [(call, np.stack([y, y[::-1] * 2]))] for name, (call, y) in CALLS.items()}
globals().update(shim_tests(GRADIENTS, "gradient", differentiable))
globals().update(shim_tests(BATCHES, "vmap", mapped))
globals().update(shim_tests(GRADIENTS, "transforms", transformed))

BAD_AREAS = [
    (lambda f: f(s), IndexError),
    (lambda f: f(m, dim=2), IndexError),
    (lambda f: f(m, x[:3]), RuntimeError),
    (lambda f: f(v > 1), RuntimeError),
    (lambda f: f(v, x, dx=1), TypeError),
    (lambda f: f([1.0]), TypeError),
]
ERRORS = {
    "diff": [
        (lambda f: f(s), RuntimeError),
        limited("negative", lambda f: f(v, -1), RuntimeError),
        (lambda f: f(v, dim=1), IndexError),
        (lambda f: f(m, prepend=v), RuntimeError),
        (lambda f: f([1.0]), TypeError),
    ],
    "gradient": [
        (lambda f: f(v[:1]), RuntimeError),
        (lambda f: f(v[:2], edge_order=2), RuntimeError),
        (lambda f: f(v, edge_order=3), RuntimeError),
        (lambda f: f(m, dim=(0, 0)), RuntimeError),
        (lambda f: f(m, dim=3), IndexError),
        (lambda f: f(m, spacing=(2.0,)), RuntimeError),
        (lambda f: f(i.to(torch.uint8)), RuntimeError),
        (lambda f: f([1.0]), TypeError),
    ],
    "trapezoid": BAD_AREAS,
    "cumulative_trapezoid": BAD_AREAS,
    "logcumsumexp": [
        (lambda f: f(i, 0), RuntimeError),
        (lambda f: f(v, 1), IndexError),
        (lambda f: f(1.0, 0), TypeError),
    ],
    "cov": [
        (lambda f: f(torch.ones(2, 2, 2)), RuntimeError),
        (lambda f: f(m, fweights=x), RuntimeError),
        (lambda f: f(m, fweights=torch.tensor([1, -2, 1, 1])), RuntimeError),
        (lambda f: f(m, aweights=-x), RuntimeError),
        (lambda f: f(m, aweights=i), RuntimeError),
        (lambda f: f(m, aweights=x[:2]), RuntimeError),
        (lambda f: f(m, fweights=i * 0), RuntimeError),
        (lambda f: f(m > 1), RuntimeError),
        (lambda f: f([1.0]), TypeError),
    ],
    "corrcoef": [(lambda f: f(torch.ones(2, 2, 2)), RuntimeError), (lambda f: f([1.0]), TypeError)],
    "histogram": [
        (lambda f: f(T(np.array([1.0, np.nan])), 2), RuntimeError),
        (lambda f: f(v, 0), RuntimeError),
        (lambda f: f(i, 2), RuntimeError),
        (lambda f: f(v, 2, range=(2.0, 1.0)), RuntimeError),
        (lambda f: f(v, x.float()), RuntimeError),
        (lambda f: f(v, x[:1]), RuntimeError),
        (lambda f: f(v, 2, weight=x[:1]), RuntimeError),
        (lambda f: f([1.0], 2), TypeError),
    ],
    "histogramdd": [
        (lambda f: f(points, [2]), RuntimeError),
        (lambda f: f(v, [2]), RuntimeError),
        (lambda f: f(points, [2, 2], weight=x[:1]), RuntimeError),
        (lambda f: f([1.0], [2]), TypeError),
    ],
}
globals().update(shim_tests(ERRORS, "errors", error))


@pytest.mark.parametrize(("name", "arguments"), [("diff", (v,)), ("logcumsumexp", (v, 0)), ("histogram", (v, 2))])
def test_a_fallback_refuses_out(name, arguments):
    with pytest.raises(UnsupportedError, match="out"):
        SHIMS[name].fallback(*arguments, out=torch.empty(0))


def test_a_histogram_has_names():
    hist, edges = SHIMS["histogramdd"].fallback(points, 2)
    check(hist, np.histogramdd(POINTS, 2)[0])
    assert len(edges) == 2


def test_no_degree_of_freedom():
    with pytest.warns(UserWarning, match="no degree of freedom"):
        assert torch.isnan(SHIMS["cov"].fallback(s))
