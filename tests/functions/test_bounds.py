"""clamp with numbers and tensors, the spread of values, and sums without NaN."""

import warnings

import numpy as np
import pytest
import torch
from contract_tables import (
    INF,
    NAN,
    REAL,
    agree,
    case,
    contract_of,
    f64,
    gives,
    has_gradients,
    is_mapped,
    is_smooth,
    kink,
    limited,
    of_dtype,
    t,
)

from torchcompat import at_least

U8 = torch.uint8
BOTH = [
    case(lambda f: f(t(-1.0, 0.5, 9.0, NAN), 0, 1), t(0.0, 0.5, 1.0, NAN)),
    case(lambda f: f(t(1, 5), 0.5, 2.5), t(1.0, 2.5)),
    case(lambda f: f(t(1, 5), 2), t(2, 5)),
    case(lambda f: f(t(1, 5), max=2), t(1, 2)),
    case(lambda f: f(t(0.0, 1.5, 3.0), 2, 1), t(1.0, 1.0, 1.0)),
    case(lambda f: f(t(1, 5, dtype=U8), -1, 3), t(1, 3, dtype=U8), "negative_bound"),
    case(lambda f: f(t(True, False), 1), t(1, 1)),
    case(lambda f: f(t(1, 5), t(2.5)), t(2.5, 5.0)),
    case(lambda f: f(t(1.0, 2.0), t([[1.5], [3.0]])), t([[1.5, 2.0], [3.0, 3.0]])),
    case(lambda f: f(t(1.0, 5.0), t(2.0, 2.0), t(3.0, 1.0)), t(2.0, 1.0)),
    case(lambda f: f(t(1.0, 5.0), max=t(3, 1)), t(1.0, 1.0)),
    case(lambda f: f(t([INF, -INF]), -2.0, 2.0), t(2.0, -2.0)),
    case(lambda f: f(torch.zeros(0), 0), torch.zeros(0)),
    case(lambda f: f(t([0.0, 1.0]), min=NAN), t([NAN, NAN]), "nan_bound"),
    case(lambda f: f(t(1.0)), RuntimeError),
    case(lambda f: f(t([1.0]), t([1.0]), 3), TypeError),
    case(lambda f: f(t(1.0), "a"), TypeError),
    case(lambda f: f(1.0, 0), TypeError),
]


def one_bound(name, lower):
    return [
        case(lambda f: f(t(-1.0, 0.5, NAN), 0), t(0.0, 0.5, NAN) if lower else t(-1.0, 0.0, NAN)),
        case(lambda f: f(t(1, 5), 2.5), t(2.5, 5.0) if lower else t(1.0, 2.5)),
        case(lambda f: f(t(1), t([0.5])), t([1.0]) if lower else t([0.5])),
        case(lambda f: f(t(1, 3), **{name: 2}), t(2, 3) if lower else t(1, 2)),
        case(lambda f: f(t(True), 0), t(1) if lower else t(0)),
        case(lambda f: f(t([0.0]), NAN), t([NAN])),
        case(lambda f: f(t(1.0), None), TypeError),
        case(lambda f: f(1.0, 0), TypeError),
    ]


ROWS = [[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]]
X = f64(ROWS)


def spread(f, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of too few values
        return f(*args, **kwargs)


def of_spread(root, mean):
    """The cases of std and var, with NumPy's answers."""

    def expected(values, axis=None, ddof=1, keepdims=False):
        found = (np.std if root else np.var)(values, axis=axis, ddof=ddof, keepdims=keepdims)
        found = f64(found.tolist())
        return (found, f64(np.mean(values, axis=axis, keepdims=keepdims).tolist())) if mean else found

    def near(call, wanted, limit=None):
        return case(call, wanted, limit, tolerance=1e-12)

    def alone(value, middle=1.5):
        return (f64(value), f64(middle)) if mean else f64(value)

    return [
        near(lambda f: f(X), expected(ROWS)),
        near(lambda f: f(X, 1), expected(ROWS, 1)),
        near(lambda f: f(X, (0, 1), correction=0), expected(ROWS, None, 0)),
        near(lambda f: f(X, correction=0), expected(ROWS, None, 0)),
        near(lambda f: f(X, None, correction=2), expected(ROWS, None, 2)),
        near(lambda f: f(X, -1, correction=0.5, keepdim=True), expected(ROWS, 1, 0.5, True), "fraction"),
        near(lambda f: f(X, correction=0, keepdim=True), expected(ROWS, None, 0, True)),
        near(lambda f: f(X, False), expected(ROWS, None, 0)),
        near(lambda f: f(X, unbiased=True), expected(ROWS)),
        near(lambda f: f(X, 0, False), expected(ROWS, 0, 0)),
        near(lambda f: f(X, [0], True, True), expected(ROWS, 0, 1, True)),
        near(lambda f: f(X, ()), expected(ROWS)),
        near(lambda f: f(input=X, dim=0, unbiased=False, keepdim=True), expected(ROWS, 0, 0, True)),
        case(lambda f: spread(f, f64([1.0, 2.0]), correction=5), alone(INF)),
        case(lambda f: spread(f, f64([1.5])), alone(NAN)),
        case(lambda f: f(f64([1.5]), correction=0), alone(0.0)),
        case(lambda f: spread(f, f64([])), alone(NAN, NAN)),
        case(lambda f: spread(f, f64(1.5)), alone(NAN)),
        case(lambda f: f(f64([1.0, NAN])), alone(NAN, NAN)),
        case(lambda f: f(t(1, 2)), RuntimeError),
        case(lambda f: f(X, True, True), TypeError),
        case(lambda f: f(X, unbiased=False, correction=0), TypeError),
        case(lambda f: f(X, 2), IndexError),
        case(lambda f: f(1.0), TypeError),
        case(lambda f: f(t([1j, 1.0])).dtype and t(0), t(0), "complex", only=False if mean else at_least(1, 7)),
    ]


globals().update(
    contract_of(
        {
            "clamp": BOTH,
            "clip": BOTH,
            "clamp_min": one_bound("min", True),
            "clamp_max": one_bound("max", False),
            "std": of_spread(True, False),
            "var": of_spread(False, False),
            "std_mean": of_spread(True, True),
            "var_mean": of_spread(False, True),
            "nansum": [
                case(lambda f: f(t([1.0, NAN, 2.0])), t(3.0)),
                case(lambda f: f(t([[1.0, NAN], [NAN, NAN]]), 1), t(1.0, 0.0)),
                case(lambda f: f(t([[1.0, NAN]]), (0, 1), True), t([[1.0]])),
                case(lambda f: f(t([[1.0, NAN]]), ()), t(1.0)),
                case(lambda f: f(t([1.0, NAN]), dtype=torch.float64), f64(1.0)),
                case(lambda f: f(t([INF, NAN])), t([INF])[0]),
                case(lambda f: f(torch.zeros(0)), t(0.0)),
                case(lambda f: f(t(1, 2, dtype=U8)), t(3)),
                case(lambda f: f(t([[1.0]]), 2), IndexError),
                case(lambda f: f(1.0), TypeError),
            ],
            "nanmean": [
                case(lambda f: f(t([1.0, NAN, 2.0])), t(1.5)),
                case(lambda f: f(t([[1.0, NAN], [NAN, NAN]]), 1), t(1.0, NAN)),
                case(lambda f: f(t([[1.0, NAN]]), (0, 1), True), t([[1.0]])),
                case(lambda f: f(t([1.0, NAN]), dtype=torch.float64), f64(1.0)),
                case(lambda f: f(torch.zeros(0)), t(NAN)),
                case(lambda f: f(t(1, 2)), RuntimeError),
                case(lambda f: f(1.0), TypeError),
            ],
        },
        "values_of",
        gives,
    )
)

NUMBERS = [kink(lambda f, a: f(a, 0, 1), ([-1.0, 0.0, 0.5, 1.0, 2.0],), ([0.0, 0, 1, 0, 0],), "kink")]
FREE = [kink(lambda f, a: f(a, 0, 1), ([-1.0, 0.5, 2.0],), ([0.0, 1, 0],))]
EQUAL = [
    *(kink(lambda f, a: f(a), ([1.0, 1.0, 1.0],), ([0.0, 0, 0],)),),
    *(kink(lambda f, a: f(a, correction=0), ([1.0],), ([0.0],)),),
]
globals().update(
    contract_of(
        {
            "clamp": NUMBERS + FREE,
            "clip": NUMBERS + FREE,
            "clamp_min": [kink(lambda f, a: f(a, 0), ([-1.0, 0.0, 1.0],), ([0.0, 0, 1],), "kink")],
            "clamp_max": [kink(lambda f, a: f(a, 0), ([-1.0, 0.0, 1.0],), ([1.0, 0, 0],), "kink")],
            "std": EQUAL,
            "var": EQUAL,
            "nansum": [kink(lambda f, a: f(a), ([1.0, NAN],), ([1.0, 0],))],
            "nanmean": [kink(lambda f, a: f(a), ([1.0, NAN, 3.0],), ([0.5, 0, 0.5],))],
        },
        "gradients_of",
        has_gradients,
    )
)

A, B = [[0.1, 2.0], [0.7, -1.0]], [[0.4, 1.5], [3.0, -2.0]]
CLAMPS = [(lambda f, a: f(a, 0.5), A), (lambda f, a, b: f(a, b), A, B)]
SPREADS = [limited("fraction", lambda f, a: f(a, -1, correction=0.5), A), (lambda f, a: f(a, -1), A)]
SMOOTH = {
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), CLAMPS),
    **dict.fromkeys(("std", "var", "std_mean", "var_mean"), SPREADS),
    **{name: [(lambda f, a: f(a), A)] for name in ("nansum", "nanmean")},
}
globals().update(contract_of(SMOOTH, "smoothness_of", is_smooth))
globals().update(contract_of(SMOOTH, "transforms_of", is_mapped))


@pytest.mark.parametrize("name", ["clamp", "clip"])
def test_agreement_of_clamp(name):
    bounds = [(0, 1), (-1, None), (None, 2), (2, 1), (0.5, 2.5), (t(1), t(2.5))]
    calls = [lambda f, d=d, b=b: f(of_dtype(d), *b) for d in REAL for b in bounds if d is not U8 or b[0] != -1]
    agree(name, calls)


@pytest.mark.parametrize("name", ["nansum", "nanmean"])
def test_agreement(name):
    agree(name, [lambda f, dtype=dtype: f(of_dtype(dtype)) for dtype in REAL])
