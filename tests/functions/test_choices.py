"""Choosing between values: where, nan_to_num, the extremes of two tensors, of bounds and along dimensions."""

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
    pairs,
    t,
)

TWO = ["maximum", "minimum", "fmax", "fmin"]
MASK = torch.tensor([True, False])


def two(greatest, of_nan):
    """The cases of an extreme of two tensors; *of_nan* says what 1 and NaN give."""
    return [
        case(lambda f: f(t(1, 5), t(3, 2)), t(3, 5) if greatest else t(1, 2)),
        case(lambda f: f(t(1, 5), t(2.5)), t(2.5, 5.0) if greatest else t(1.0, 2.5)),
        case(lambda f: f(t(True, False), t(False, False)), t(greatest, False)),
        case(lambda f: f(t([[1.0], [2.0]]), t(1.5)), t([[1.5], [2.0]] if greatest else [[1.0], [1.5]])),
        case(lambda f: f(t(1.0, NAN, NAN), t(NAN, 1.0, NAN)), t(of_nan, of_nan, NAN)),
        case(lambda f: f(t(INF, -INF), t(1.0, 1.0)), t(INF, 1.0) if greatest else t(1.0, -INF)),
        case(lambda f: f(torch.zeros(0, 2), t(1.0)), torch.zeros(0, 2)),
        case(lambda f: f(t(1), 2), TypeError),
        case(lambda f: f(2, t(1)), TypeError),
        case(lambda f: f(input=t(1.0), other=t(2.0)), t(2.0) if greatest else t(1.0)),
    ]


ALL = t([[1.0, 4.0], [3.0, 2.0]])


def along(greatest):
    """The cases of amax and amin."""
    pick = (lambda least, most: most) if greatest else (lambda least, most: least)
    return [
        case(lambda f: f(ALL), pick(t(1.0), t(4.0))),
        case(lambda f: f(ALL, ()), pick(t(1.0), t(4.0))),
        case(lambda f: f(ALL, 1), pick(t(1.0, 2.0), t(4.0, 3.0))),
        case(lambda f: f(ALL, -2, True), pick(t([[1.0, 2.0]]), t([[3.0, 4.0]]))),
        case(lambda f: f(ALL, (0, 1), keepdim=True), pick(t([[1.0]]), t([[4.0]]))),
        case(lambda f: f(input=ALL, dim=(-1,)), pick(t(1.0, 2.0), t(4.0, 3.0))),
        case(lambda f: f(t(True, False)), pick(t(False), t(True))),
        case(lambda f: f(t(3, 1, dtype=torch.uint8)), pick(t(1, dtype=torch.uint8), t(3, dtype=torch.uint8))),
        case(lambda f: f(t([[1.0, NAN], [3.0, 2.0]]), 1), pick(t(NAN, 2.0), t(NAN, 3.0))),
        case(lambda f: f(t([INF, -INF])), pick(t(-INF), t(INF))),
        case(lambda f: f(t(2.0), 0, True), t(2.0)),
        case(lambda f: f(torch.zeros(0, 3), 1), torch.zeros(0), "empty"),
        case(lambda f: f(torch.zeros(0, 3), 1, True), torch.zeros(0, 1), "empty"),
        case(lambda f: f(torch.zeros(0, 3), 0), IndexError, "empty"),
        case(lambda f: f(torch.zeros(0)), RuntimeError, "no_dim"),
        case(lambda f: f(ALL, (0, 0)), RuntimeError),
        case(lambda f: f(ALL, 2), IndexError),
        case(lambda f: f(ALL, 1.5), TypeError),
        case(lambda f: f([1.0]), TypeError),
    ]


globals().update(
    contract_of(
        {
            "where": [
                case(lambda f: f(MASK, t(1, 2), t(3, 4)), t(1, 4)),
                case(lambda f: f(MASK, 1, 2), t(1, 2)),
                case(lambda f: f(MASK, 1.5, 2), t(1.5, 2.0)),
                case(lambda f: f(MASK, True, False), t(True, False)),
                case(lambda f: f(MASK, t(1, 2), 1.5), t(1.0, 1.5)),
                case(lambda f: f(MASK, 1.5, t(1, 2)), t(1.5, 2.0)),
                case(lambda f: f(MASK, t(1, 2), t(2.5)), t(1.0, 2.5)),
                case(lambda f: f(MASK, t(1.0, 2.0), f64(0.0)), t(1.0, 0.0)),
                case(lambda f: f(MASK, t(1.0, 2.0), f64([3.0, 4.0])), f64([1.0, 4.0])),
                case(lambda f: f(MASK, t(1, 2, dtype=torch.uint8), 1), t(1, 1, dtype=torch.uint8)),
                case(lambda f: f(MASK, t(True, True), t(False, False)), t(True, False)),
                case(lambda f: f(t(True), t(1.0, 2.0), 3), t(1.0, 2.0)),
                case(lambda f: f(t([[True], [False]]), t(1, 2), t(3)), t([[1, 2], [3, 3]])),
                case(lambda f: f(MASK), (t([0]),)),
                case(lambda f: f(t([[0.0, 2.0], [NAN, 0.0]])), (t(0, 1), t(1, 0))),
                case(lambda f: f(t(True)), (t([0]),)),
                case(lambda f: f(t(1, 0), 1, 2), RuntimeError),
                case(lambda f: f(MASK, 1), TypeError),
                case(lambda f: f(MASK, "a", 1), TypeError),
                case(lambda f: f(True, t(1), t(2)), TypeError),
                case(lambda f: f(condition=MASK, input=t(1, 2), other=t(3, 4)), t(1, 4)),
            ],
            "nan_to_num": [
                case(
                    lambda f: f(f64([NAN, INF, -INF, 1.5])),
                    f64([0.0, 1.7976931348623157e308, -1.7976931348623157e308, 1.5]),
                ),
                case(lambda f: f(t([NAN, INF])), t([0.0, torch.finfo(torch.float32).max])),
                case(lambda f: f(t([NAN, INF, -INF]), nan=1, posinf=2, neginf=3), t(1.0, 2.0, 3.0)),
                case(lambda f: f(t([NAN, INF, -INF]), 1.0, 2.0, 3.0), t(1.0, 2.0, 3.0)),
                case(lambda f: f(t([INF, NAN]), posinf=NAN), t([NAN, 0.0])),
                case(lambda f: f(t([NAN]), None), t([0.0])),
                case(lambda f: f(t(1, 2)), t(1, 2)),
                case(lambda f: f(t(True, False)), t(True, False)),
                case(lambda f: f(1.0), TypeError),
            ],
            "maximum": two(True, NAN),
            "minimum": two(False, NAN),
            "fmax": two(True, 1.0),
            "fmin": two(False, 1.0),
            "amax": along(True),
            "amin": along(False),
            "aminmax": [
                case(lambda f: f(ALL), (t(1.0), t(4.0))),
                case(lambda f: f(ALL, dim=1), (t(1.0, 2.0), t(4.0, 3.0))),
                case(lambda f: f(ALL, dim=0, keepdim=True), (t([[1.0, 2.0]]), t([[3.0, 4.0]]))),
                case(lambda f: f(t(3, 1)), (t(1), t(3))),
                case(lambda f: f(t(True, False)), (t(False), t(True))),
                case(lambda f: f(t([[1.0, NAN], [3.0, 2.0]]), dim=1), (t(NAN, 2.0), t(NAN, 3.0))),
                case(lambda f: f(t(3.0), dim=0, keepdim=True), (t(3.0), t(3.0)), "resized"),
                case(lambda f: f(torch.zeros(0)), RuntimeError),
                case(lambda f: f(ALL, dim=(0, 1)), TypeError),
                case(lambda f: f(ALL, dim=2), IndexError),
                case(lambda f: f(ALL, 1), TypeError),
            ],
        },
        "values_of",
        gives,
    )
)

HALF = ([1.0, 1.0, 3.0, INF], [1.0, 2.0, 2.0, INF])
globals().update(
    contract_of(
        {
            "maximum": [
                kink(lambda f, a, b: f(a, b), HALF, ([0.5, 0, 1, 0.5], [0.5, 1, 0, 0.5]), "ties"),
                kink(lambda f, a, b: f(a, b), ([NAN, 1.0], [1.0, NAN]), ([1.0, 1.0], [1.0, 1.0])),
            ],
            "minimum": [
                kink(lambda f, a, b: f(a, b), HALF, ([0.5, 1, 0, 0.5], [0.5, 0, 1, 0.5]), "ties"),
                kink(lambda f, a, b: f(a, b), ([NAN, 1.0], [1.0, NAN]), ([1.0, 1.0], [1.0, 1.0])),
            ],
            "fmax": [
                kink(lambda f, a, b: f(a, b), HALF, ([0.5, 0, 1, 0.5], [0.5, 1, 0, 0.5]), "ties"),
                kink(
                    lambda f, a, b: f(a, b),
                    ([NAN, 1.0, NAN], [1.0, NAN, NAN]),
                    ([0.0, 1, 1], [1.0, 0, 0]),
                    "nan_gradient",
                ),
            ],
            "fmin": [
                kink(lambda f, a, b: f(a, b), HALF, ([0.5, 1, 0, 0.5], [0.5, 0, 1, 0.5]), "ties"),
                kink(
                    lambda f, a, b: f(a, b),
                    ([NAN, 1.0, NAN], [1.0, NAN, NAN]),
                    ([0.0, 1, 1], [1.0, 0, 0]),
                    "nan_gradient",
                ),
            ],
            "amax": [
                kink(lambda f, a: f(a), ([1.0, 2.0, 2.0],), ([0, 0.5, 0.5],)),
                kink(lambda f, a: f(a, (0, 1)), ([[1.0, 2.0], [2.0, 2.0]],), ([[0, 1 / 3], [1 / 3, 1 / 3]],)),
                kink(lambda f, a: f(a, 1), ([[INF, -INF], [1e308, 1e308]],), ([[1, 0], [0.5, 0.5]],)),
                kink(lambda f, a: f(a, 0, True), ([1.0, NAN],), ([NAN, NAN],)),
            ],
            "amin": [
                kink(lambda f, a: f(a), ([1.0, 1.0, 2.0],), ([0.5, 0.5, 0],)),
                kink(lambda f, a: f(a, 1), ([[INF, -INF], [1.0, 1.0]],), ([[0, 1], [0.5, 0.5]],)),
            ],
            "aminmax": [kink(lambda f, a: f(a, dim=0), ([1.0, 1.0, 2.0, 2.0],), ([0.5, 0.5, 0.5, 0.5],), "gradient")],
            "nan_to_num": [kink(lambda f, a: f(a), ([NAN, INF, -INF, 1.0],), ([0, 0, 0, 1.0],))],
            "where": [kink(lambda f, a, b: f(a > 0, a, b), ([0.0, 1.0], [2.0, 3.0]), ([0, 1.0], [1.0, 0]))],
        },
        "gradients_of",
        has_gradients,
    )
)

A, B = [[0.1, 2.0], [0.7, -1.0]], [[0.4, 1.0], [3.0, -2.0]]
globals().update(
    contract_of(
        {
            **{name: [(lambda f, a, b: f(a, b), A, B)] for name in TWO},
            **{name: [(lambda f, a: f(a, 1), A), (lambda f, a: f(a), A)] for name in ("amax", "amin")},
            "aminmax": [limited("gradient", lambda f, a: f(a, dim=1), A)],
            "nan_to_num": [(lambda f, a: f(a), A)],
            "where": [(lambda f, a, b: f(a > b, a, b), A, B)],
        },
        "smoothness_of",
        is_smooth,
    )
)
globals().update(
    contract_of(
        {
            **{name: [(lambda f, a, b: f(a, b), A, B)] for name in TWO},
            **{name: [(lambda f, a: f(a, -1), A), (lambda f, a: f(a), A)] for name in ("amax", "amin")},
            "aminmax": [limited("gradient", lambda f, a: f(a), A)],
            "nan_to_num": [(lambda f, a: f(a), A)],
            "where": [(lambda f, a, b: f(a > b, a, b), A, B), (lambda f, a: f(a > 0, a, 1.0), A)],
        },
        "transforms_of",
        is_mapped,
    )
)


@pytest.mark.parametrize("name", TWO)
def test_agreement_of_two_operands(name):
    agree(name, [lambda f, one=one, other=other: f(one, other) for one, other in pairs()])


def test_agreement_of_where():
    agree("where", [lambda f, one=one, other=other: f(one > other, one, other) for one, other in pairs()])


@pytest.mark.parametrize("name", ["amax", "amin", "nan_to_num", "aminmax"])
def test_agreement_of_one_operand(name):
    agree(name, [lambda f, dtype=dtype: f(of_dtype(dtype)) for dtype in REAL])
