"""Comparisons and arithmetic under NumPy's names, logical operations, and reductions to bools."""

import pytest
import torch
from contract_tables import (
    INF,
    NAN,
    REAL,
    agree,
    case,
    contract_of,
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

from torchcompat import SHIMS, at_least

COMPLEX = at_least(1, 7)
BYTES = torch.uint8


def compared(less, equal, greater):
    """The cases of a comparison, by what it says of 1 with 2, 2 with 2 and 3 with 2."""
    answers = t(less, equal, greater)
    unequal = equal is False and less is True and greater is True
    return [
        case(lambda f: f(t(1, 2, 3), 2), answers),
        case(lambda f: f(t(1, 2, 3), t(2.0)), answers),
        case(lambda f: f(t(1.0, 2.0, 3.0), t(2, dtype=BYTES)), answers),
        case(lambda f: f(t(1, 2), 1.5), t(less, greater)),
        case(lambda f: f(t([[1], [3]]), t(2, 2)), t([[less, less], [greater, greater]])),
        case(lambda f: f(t([NAN, 1.0]), t([NAN, NAN])), t(unequal, unequal)),
        case(lambda f: f(t([INF, -INF]), INF), t(equal, less)),
        case(lambda f: f(t(True, False), t(False)), t(greater, equal)),
        case(lambda f: f(torch.zeros(0), 1), torch.zeros(0, dtype=torch.bool)),
        case(lambda f: f(2, t(1)), TypeError),
        case(lambda f: f(t(1), "1"), TypeError),
        case(lambda f: f(input=t(1), other=t(2)), t([less])[0]),
    ]


def logical(both, first, second, neither):
    return [
        case(lambda f: f(t(2, 1, 0, 0), t(1, 0, 3, 0)), t(both, first, second, neither)),
        case(lambda f: f(t(1, 0), t([NAN, 1.0])), t(both, second)),
        case(lambda f: f(t([[True], [False]]), t(0.5, 0.0)), t([[both, first], [second, neither]])),
        case(lambda f: f(t(1, dtype=BYTES), t(-0.0)), t([first])[0]),
        case(lambda f: f(t(1), 1), TypeError),
        case(lambda f: f(input=t([True]), other=t([False])), t([first])),
    ]


GRID = t([[1, 0], [0, 0]])


def reduced(is_any):
    name = "any" if is_any else "all"
    return [
        case(lambda f: f(GRID), t([is_any])[0]),
        case(lambda f: f(t([0.0, NAN])), t([is_any])[0]),
        case(lambda f: f(t([[2.0, 0.5], [NAN, 1.0]]), 1), t(True, True)),
        case(lambda f: f(GRID, 1), t(is_any, False)),
        case(lambda f: f(GRID, -1, True), t([[is_any], [False]])),
        case(lambda f: f(GRID, (0, 1)), t([is_any])[0]),
        case(lambda f: f(GRID, dim=(1,), keepdim=True), t([[is_any], [False]])),
        case(lambda f: f(GRID, (0, 1), True), t([[is_any]])),
        case(lambda f: f(GRID, ()), GRID != 0),
        case(lambda f: f(GRID, None, True), t([[is_any]])),
        case(lambda f: f(t(1, 0, dtype=BYTES)), t([int(is_any)], dtype=BYTES)[0]),
        case(lambda f: f(t([[2, 0]], dtype=BYTES), 1), t([int(is_any)], dtype=BYTES)),
        case(lambda f: f(torch.zeros(0)), t([not is_any])[0]),
        case(lambda f: f(torch.zeros(2, 0), 1), t(not is_any, not is_any)),
        case(lambda f: f(t(3), 0), t([True])[0]),
        case(lambda f: f(t(True, False)), t([is_any])[0]),
        case(lambda f: f(GRID, 2), IndexError),
        case(lambda f: f(GRID, (0, 0)), RuntimeError),
        case(lambda f: f(GRID, 1.5), TypeError),
        case(lambda f: f([True]), TypeError),
        case(lambda f: f(input=GRID, dim=0), t(is_any, False)),
        case(lambda f: f(t(name == "all")), t([name == "all"])[0]),
    ]


globals().update(
    contract_of(
        {
            "greater": compared(False, False, True),
            "greater_equal": compared(False, True, True),
            "less": compared(True, False, False),
            "less_equal": compared(True, True, False),
            "not_equal": compared(True, False, True),
            "multiply": [
                case(lambda f: f(t(3), 1.5), t(4.5)),
                case(lambda f: f(3, t(2, dtype=torch.int8)), t(6, dtype=torch.int8), "number_first"),
                case(lambda f: f(t(True, True), t(True, False)), t(True, False)),
                case(lambda f: f(t([[1.0], [2.0]]), t(3, 4)), t([[3.0, 4.0], [6.0, 8.0]])),
                case(lambda f: f(input=t(2), other=t(2)), t(4)),
                case(lambda f: f(t(2), "2"), TypeError),
            ],
            "subtract": [
                case(lambda f: f(t(3), 1.5), t(1.5)),
                case(lambda f: f(t(3), t(1), alpha=2), t(1)),
                case(lambda f: f(t(3.0), t(1), alpha=2.5), t(0.5)),
                case(lambda f: f(3, t(1)), t(2), "number_first"),
                case(lambda f: f(t(3), t(1), alpha=2.5), RuntimeError),
                case(lambda f: f(t(True), t(True)), RuntimeError),
                case(lambda f: f(t(2), "2"), TypeError),
            ],
            "negative": [
                case(lambda f: f(t([1.0, -INF, 0.0])), t([-1.0, INF, -0.0])),
                case(lambda f: f(t(1, dtype=BYTES)), t(255, dtype=BYTES)),
                case(lambda f: f(t(True)), RuntimeError),
                case(lambda f: f(1), TypeError),
            ],
            "positive": [
                case(lambda f: f(t(-1)), t(-1)),
                case(lambda f: f(t(True)), RuntimeError),
                case(lambda f: f(1), TypeError),
            ],
            "absolute": [
                case(lambda f: f(t([-1.0, -0.0, -INF])), t([1.0, 0.0, INF])),
                case(lambda f: f(t(-3, 3)), t(3, 3)),
                case(lambda f: f(1), TypeError),
            ],
            "square": [
                case(lambda f: f(t([-3.0, INF, NAN])), t([9.0, INF, NAN])),
                case(lambda f: f(t(-3, dtype=torch.int8)), t(9, dtype=torch.int8)),
                case(lambda f: f(t(True, False)), t(1, 0), "bools"),
                case(lambda f: f(3), TypeError),
            ],
            "logical_and": logical(True, False, False, False),
            "logical_or": logical(True, True, True, False),
            "logical_xor": logical(False, True, True, False),
            "logical_not": [
                case(lambda f: f(t([0.0, NAN, -0.0, 2.0])), t(True, False, True, False)),
                case(lambda f: f(t(True, False)), t(False, True)),
                case(lambda f: f(t(0, 3, dtype=torch.int16)), t(True, False)),
                case(lambda f: f(True), TypeError),
            ],
            "any": reduced(True),
            "all": reduced(False),
            "count_nonzero": [
                case(lambda f: f(t([1.0, NAN, 0.0, -0.0])), t(2)),
                case(lambda f: f(GRID, 1), t(1, 0)),
                case(lambda f: f(GRID, (0, 1)), t(1)),
                case(lambda f: f(GRID, ()), t(1)),
                case(lambda f: f(t(True, True)), t(2)),
                case(lambda f: f(torch.zeros(0)), t(0)),
                case(lambda f: f(GRID, dim=2), IndexError),
                case(lambda f: f(1), TypeError),
            ],
            "isposinf": [
                case(lambda f: f(t([INF, -INF, NAN, 0.0])), t(True, False, False, False)),
                case(lambda f: f(t(1, 2)), t(False, False)),
                case(lambda f: f(1.0), TypeError),
            ],
            "isneginf": [
                case(lambda f: f(t([INF, -INF, NAN, 0.0])), t(False, True, False, False)),
                case(lambda f: f(t(True, False)), t(False, False)),
                case(lambda f: f(1.0), TypeError),
            ],
            "isreal": [
                case(lambda f: f(t(1, 2)), t(True, True)),
                case(lambda f: f(t([NAN])), t([True])),
                case(lambda f: f(t([1j, 1.0])), t(False, True), only=COMPLEX),
                case(lambda f: f(1.0), TypeError),
            ],
            "signbit": [
                case(lambda f: f(t([-0.0, 0.0, -2.0, INF, -INF, NAN])), t(True, False, True, False, True, False)),
                case(lambda f: f(t([-NAN])), t([True]), "nan_sign"),
                case(lambda f: f(t(-1, 0, 1)), t(True, False, False)),
                case(lambda f: f(t(200, dtype=BYTES)), t([False])[0]),
                case(lambda f: f(t(True)), t([False])[0]),
                case(lambda f: f(1.0), TypeError),
            ],
        },
        "values_of",
        gives,
    )
)

globals().update(
    contract_of(
        {
            "absolute": [kink(lambda f, a: f(a), ([-2.0, 0.0, 2.0],), ([-1.0, 0.0, 1.0],))],
            "square": [kink(lambda f, a: f(a), ([0.0, 3.0],), ([0.0, 6.0],))],
            "subtract": [kink(lambda f, a, b: f(a, b, alpha=2), ([1.0], [2.0]), ([1.0], [-2.0]))],
        },
        "gradients_of",
        has_gradients,
    )
)

A, B = [[0.1, 2.0], [0.7, -1.0]], [[0.4, 1.0], [3.0, -2.0]]
ONE = (lambda f, a: f(a), A)
TWO = (lambda f, a, b: f(a, b), A, B)
SMOOTH = {
    "multiply": [TWO],
    "subtract": [TWO],
    "negative": [ONE],
    "positive": [ONE],
    "absolute": [ONE],
    "square": [ONE],
}
COMPARISONS = ["greater", "greater_equal", "less", "less_equal", "not_equal"]
LOGICAL = ["logical_and", "logical_or", "logical_xor"]
QUESTIONS = ["logical_not", "isposinf", "isneginf", "isreal", "signbit"]
globals().update(contract_of(SMOOTH, "smoothness_of", is_smooth))
globals().update(
    contract_of(
        {
            **SMOOTH,
            **{name: [TWO, (lambda f, a: f(a, 0.5), A)] for name in COMPARISONS},
            **{name: [limited("requires_grad", *TWO)] for name in LOGICAL},
            **{
                name: [limited("requires_grad", *ONE)]
                for name in ("logical_not", "isposinf", "isneginf", "count_nonzero")
            },
            **{name: [ONE] for name in ("isreal", "signbit")},
            **{name: [ONE, (lambda f, a: f(a > 0, 0), A)] for name in ("any", "all")},
        },
        "transforms_of",
        is_mapped,
    )
)


@pytest.mark.parametrize("name", [*COMPARISONS, *LOGICAL, "multiply"])
def test_agreement_of_two_operands(name):
    agree(name, [lambda f, one=one, other=other: f(one, other) for one, other in pairs()])


@pytest.mark.parametrize(
    "name", [*QUESTIONS, "any", "all", "count_nonzero", "square", "negative", "positive", "isreal"]
)
def test_agreement_of_one_operand(name):
    agree(name, [lambda f, dtype=dtype: f(of_dtype(dtype)) for dtype in REAL])


OURS = {name: SHIMS[name].fallback for name in ("any", "logical_xor", "signbit")}
xor, any_of, signs = OURS["logical_xor"], OURS["any"], OURS["signbit"]


def scripted_xor(x: torch.Tensor) -> torch.Tensor:
    return xor(x, x)


def scripted_any(x: torch.Tensor) -> torch.Tensor:
    return any_of(x)


def scripted_signs(x: torch.Tensor) -> torch.Tensor:
    return signs(x)


@pytest.mark.parametrize("function", [scripted_xor, scripted_any, scripted_signs])
def test_a_scripted_function_calls_torchs_own(function):
    name = {scripted_xor: "logical_xor", scripted_any: "any", scripted_signs: "signbit"}[function]
    if SHIMS[name].why != "too old":
        pytest.skip("torch's own is public, or missing")
    if not at_least(1, 3):
        pytest.skip("torch 1.2 scripts no builtin under another name")
    x = torch.tensor([-1.0, 0.0]) if name == "signbit" else torch.tensor([True, False])
    assert torch.equal(torch.jit.script(function)(x), function(x))
