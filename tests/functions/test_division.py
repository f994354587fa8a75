"""Division: true, rounded, what remains, greatest common divisors."""

import math

import pytest
import torch
from contract_tables import (
    INF,
    NAN,
    agree,
    case,
    contract_of,
    f64,
    gives,
    has_gradients,
    is_mapped,
    is_smooth,
    kink,
    pairs,
    t,
)

I8, U8 = torch.int8, torch.uint8
DIVIDE = [
    case(lambda f: f(t(3), t(2)), t([1.5])[0]),
    case(lambda f: f(t(3), 2), t(1.5)),
    case(lambda f: f(t(True), t(True)), t(1.0)),
    case(lambda f: f(t(3.0), f64([2.0])), f64([1.5])),
    case(lambda f: f(t([1.0, 0.0, -1.0]), 0), t([INF, NAN, -INF])),
    case(lambda f: f(t([[3], [5]]), t(2, 4)), t([[1.5, 0.75], [2.5, 1.25]])),
    case(lambda f: f(t(1), "2"), TypeError),
]
ROUNDED = [
    case(lambda f: f(t(-7, 7), 2, rounding_mode="trunc"), t(-3, 3)),
    case(lambda f: f(t(-7, 7), 2, rounding_mode="floor"), t(-4, 3)),
    case(lambda f: f(t(-7, 7), t(-2), rounding_mode="floor"), t(3, -4)),
    case(lambda f: f(t(-7, 7), 2.5, rounding_mode="floor"), t(-3.0, 2.0)),
    case(lambda f: f(t(-7.0, 7.0), 2, rounding_mode="trunc"), t(-3.0, 3.0)),
    case(
        lambda f: f(f64([6.0, -7.0, 1.0, -1.0]), f64([0.1, 2.0, INF, INF]), rounding_mode="floor"), f64([59, -4, 0, -1])
    ),
    case(
        lambda f: f(f64([1.0, 0.0, -1.0, INF]), f64([0.0, 0, 0, 1]), rounding_mode="floor"), f64([INF, NAN, -INF, NAN])
    ),
    case(lambda f: f(f64([1.0, 0.0, -1.0]), 0, rounding_mode="trunc"), f64([INF, NAN, -INF])),
    case(lambda f: f(f64([-0.0, 0.0]), 1, rounding_mode="floor"), f64([-0.0, 0.0])),
    case(lambda f: f(t(2**62 + 1), 2, rounding_mode="floor"), t(2**61)),
    case(lambda f: f(t([5], dtype=U8), t([2], dtype=I8), rounding_mode="floor"), t([2], dtype=torch.int16)),
    case(lambda f: f(t(7), 2, rounding_mode=None), t(3.5)),
    case(lambda f: f(t(7), t(0), rounding_mode="trunc"), RuntimeError),
    case(lambda f: f(t(7), 0, rounding_mode="floor"), RuntimeError),
    case(lambda f: f(t(True), t(True), rounding_mode="floor"), RuntimeError),
    case(lambda f: f(t(7), 2, rounding_mode="up"), RuntimeError),
]
globals().update(
    contract_of(
        {
            "div": DIVIDE + ROUNDED,
            "divide": DIVIDE + ROUNDED,
            "true_divide": DIVIDE,
            "floor_divide": [
                case(lambda f: f(t(-3, 3), 2), t(-2, 1)),
                case(lambda f: f(t(-3, 3), t(-2)), t(1, -2)),
                case(lambda f: f(t([-3], dtype=I8), t([2], dtype=U8)), t([-2], dtype=torch.int16)),
                case(lambda f: f(t(3), 2.5), t(1.0)),
                case(lambda f: f(t([1.0, -1.0, -7.0]), t([0.0, 0.0, 2.0])), t([INF, -INF, -4.0])),
                case(lambda f: f(3, t(2)), t(1)),
                case(lambda f: f(t(3), t(0)), RuntimeError),
                case(lambda f: f(t(True), t(True)), RuntimeError),
                case(lambda f: f(t(1), "2"), TypeError),
            ],
            "remainder": [
                case(lambda f: f(t(-5, 5), 3), t(1, 2)),
                case(lambda f: f(t(-5, 5), -3), t(-2, -1)),
                case(lambda f: f(5, t(3, -3)), t(2, -1)),
                case(lambda f: f(5.5, t([3])), t([2.5])),
                case(lambda f: f(f64([-5.5, 5.5]), 3), f64([0.5, 2.5])),
                case(lambda f: f(f64([6.0]), 0.1), f64([math.fmod(6.0, 0.1)])),
                case(lambda f: f(f64([1.0, -1.0, 1.0, INF]), f64([INF, INF, 0.0, 1.0])), f64([1.0, INF, NAN, NAN])),
                case(lambda f: f(t(5), t(0)), RuntimeError),
                case(lambda f: f(t(True), t(True)), RuntimeError),
                case(lambda f: f(5, 3), TypeError),
                case(lambda f: f(t(1), "2"), TypeError),
            ],
            "gcd": [
                case(lambda f: f(t(12, -12, 0, 0, 7), t(8, 8, 0, 5, 7)), t(4, 4, 0, 5, 7)),
                case(lambda f: f(t(12), t([8], dtype=I8)), t([4], dtype=I8)),
                case(lambda f: f(t(12, dtype=U8), t(200, dtype=U8)), t(4, dtype=U8)),
                case(lambda f: f(t(7540113804746346429), t(4660046610375530309)), t(1)),
                case(lambda f: f(t(8.0), t(2)), RuntimeError),
                case(lambda f: f(t(True), t(True)), RuntimeError),
                case(lambda f: f(t(1), 1), TypeError),
            ],
            "lcm": [
                case(lambda f: f(t(12, -12, 0, 0), t(8, 8, 0, 5)), t(24, 24, 0, 0)),
                case(lambda f: f(t(12), t([8], dtype=I8)), t([24], dtype=I8)),
                case(lambda f: f(t([[4], [6]]), t(10, 15)), t([[20, 60], [30, 30]])),
                case(lambda f: f(t(8.0), t(2)), RuntimeError),
                case(lambda f: f(t(1), 1), TypeError),
            ],
        },
        "values_of",
        gives,
    )
)

ZERO = ([0, 0, 0], [0, 0, 0])
AT = ([7.0, -7.0, 1.0], [2.0, 2.0, 0.0])
KINKS = [
    kink(lambda f, a, b: f(a, b, rounding_mode="floor"), AT, ZERO),
    kink(lambda f, a, b: f(a, b, rounding_mode="trunc"), AT, ZERO),
    kink(lambda f, a, b: f(a, b), ([6.0], [2.0]), ([0.5], [-1.5])),
]
globals().update(
    contract_of(
        {
            "div": KINKS,
            "divide": KINKS,
            "true_divide": KINKS[2:],
            "remainder": [
                kink(lambda f, a, b: f(a, b), ([3.0, -3.0], [2.0, 2.0]), ([1.0, 1.0], [-1.0, 2.0]), "gradient")
            ],
        },
        "gradients_of",
        has_gradients,
    )
)

A, B = [[0.1, 2.0], [0.7, -1.0]], [[0.4, 1.5], [3.0, -2.0]]
TWO = (lambda f, a, b: f(a, b), A, B)
FLOOR = (lambda f, a, b: f(a, b, rounding_mode="floor"), A, B)
globals().update(contract_of({name: [TWO] for name in ("div", "divide", "true_divide")}, "smoothness_of", is_smooth))
WHOLE = (lambda f, a, b: f(a.mul(10).long(), b.mul(10).long()), A, B)
globals().update(
    contract_of(
        {
            "div": [TWO, FLOOR],
            "divide": [TWO, FLOOR],
            "true_divide": [TWO],
            "floor_divide": [WHOLE],
            "remainder": [TWO, WHOLE],
            "gcd": [WHOLE],
            "lcm": [WHOLE],
        },
        "transforms_of",
        is_mapped,
    )
)


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
@pytest.mark.parametrize("name", ["div", "divide"])
def test_agreement_of_div(name, mode):
    agree(name, [lambda f, one=one, other=other: f(one, other, rounding_mode=mode) for one, other in pairs()])


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "gcd", "true_divide"])
def test_agreement(name):
    agree(name, [lambda f, one=one, other=other: f(one, other) for one, other in pairs()])
    agree(name, [lambda f, one=one, other=other: f(one, other[other != 0]) for one, other in pairs()])


def test_floor_divide_has_no_gradient_in_the_fallback():
    from torchcompat import SHIMS

    assert not SHIMS["floor_divide"].fallback(torch.ones(1, requires_grad=True), 2).requires_grad
