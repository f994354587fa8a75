"""Functions that take, put, find, sort and reduce elements by their places: tables of cases, against NumPy."""

import numpy as np
import pytest
import torch
from function_tables import check, differentiable, error, limited, mapped, shim_tests, transformed, value

import torchcompat
from torchcompat import SHIMS, UnsupportedError

# Torch warns of reductions: that they are new, or, of `scatter`, that they are old.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*(in beta|deprecated):UserWarning"),
]
A = np.arange(24.0).reshape(2, 3, 4)
M = np.array([[3.0, 1.0, 2.0], [0.5, 0.5, -1.0]])
V = np.array([1.0, 2.0, 4.0])
I = np.arange(6)  # noqa: E741
TIES = np.array([1.0, 0.0, 1.0, 0.0] * 10)
NAN = np.array([1.0, np.nan, 2.0, 0.0, np.nan])
T = torch.from_numpy
a, m, v, i, ties, nan = T(A), T(M), T(V), T(I), T(TIES), T(NAN)
s = torch.tensor(5.0, dtype=torch.float64)
ONES = np.ones((3, 4))


def put(array, where, what):
    array = array.copy()
    array[where] = what
    return array


def longs(*values):
    return torch.tensor(values, dtype=torch.int64)


def stable(array, descending=False, axis=-1):
    return np.argsort(-array if descending else array, axis, kind="stable")


def pair(result):
    assert type(result).__name__ == "sort"
    return result.values, result.indices


def sorts(array, order):
    return np.take_along_axis(array, order, -1), order


def folded(base, places, src, how, include):
    """The reduction by a plain loop."""
    pick = {"sum": sum, "prod": np.prod, "amax": max, "amin": min, "mean": np.mean}
    groups = {}
    for place, item in zip(places, src):
        groups.setdefault(place, []).append(item)
    return np.array(
        [pick[how]([*([old] if include else []), *groups[k]]) if k in groups else old for k, old in enumerate(base)]
    )


BASE, PLACES, SRC = np.array([1.0, 2.0, 3.0]), [0, 1, 0, 0], np.array([5.0, 6.0, -7.0, 2.0])
base, places, src = T(BASE), longs(*PLACES), T(SRC)
HOWS = ("sum", "prod", "mean", "amax", "amin")


def reductions(hows):
    return [
        (
            lambda f, how=how, include=include: f(base, 0, places, src, how, include_self=include),
            lambda how=how, include=include: folded(BASE, PLACES, SRC, how, include),
        )
        for how in hows
        for include in (True, False)
    ]


SORTS = [
    (lambda f: f(ties, stable=True), lambda: sorts(TIES, stable(TIES))),
    (lambda f: f(ties, dim=0, descending=True, stable=True), lambda: sorts(TIES, stable(TIES, True))),
    (lambda f: f(nan, stable=True), lambda: sorts(NAN, np.array([3, 0, 2, 1, 4]))),
    (lambda f: f(nan, dim=-1, descending=True, stable=True), lambda: sorts(NAN, np.array([1, 4, 2, 0, 3]))),
    (lambda f: f(m, stable=True), lambda: sorts(M, stable(M))),
    (lambda f: f(m > 1, stable=True), lambda: sorts(M > 1, stable(M > 1))),
    (lambda f: f(i - 3, 0, True), lambda: (I[::-1] - 3, I[::-1])),
    (lambda f: f(v, axis=0), lambda: (V, np.arange(3))),
    (lambda f: f(s, stable=True), lambda: (np.array(5.0), np.array(0))),
    (lambda f: f(v[:0], stable=True), lambda: (V[:0], np.zeros(0, int))),
    (lambda f: f(input=torch.tensor([0.0, -0.0, 0.0]), stable=True)[::-1], lambda: (np.arange(3), np.zeros(3, "f4"))),
]
EDGES = np.array([1.0, 3.0, 3.0, 5.0])
WANTED = np.array([[0.0, 3.0], [4.0, 9.0]])
edges, wanted = T(EDGES), T(WANTED)
SEARCHES = [
    (lambda f: f(edges, wanted), lambda: np.searchsorted(EDGES, WANTED)),
    (lambda f: f(edges, wanted, right=True), lambda: np.searchsorted(EDGES, WANTED, "right")),
    (lambda f: f(edges, 3), lambda: np.array(1)),
    (lambda f: f(edges, 3.5), lambda: np.array(3)),
    (lambda f: f(edges, wanted, out_int32=True), lambda: np.searchsorted(EDGES, WANTED).astype(np.int32)),
    (lambda f: f(edges, s), lambda: np.array(3)),
    (lambda f: f(edges[:0], wanted), lambda: np.zeros((2, 2), int)),
    (lambda f: f(edges, wanted[:0]), lambda: np.zeros((0, 2), int)),
]
MEMBERS = [
    (lambda f: f(i, longs(2, 5, 9)), lambda: np.isin(I, [2, 5, 9])),
    (lambda f: f(i, 2), lambda: np.isin(I, 2)),
    (lambda f: f(2, i), lambda: np.array(True)),
    (lambda f: f(elements=i, test_elements=longs(2), invert=True), lambda: I != 2),
    (lambda f: f(i.view(2, 3), longs(1), assume_unique=True), lambda: np.isin(I, 1).reshape(2, 3)),
    (lambda f: f(nan, nan), lambda: np.array([True, False, True, True, False])),
    (lambda f: f(i, torch.tensor([1.5, 2.0])), lambda: I == 2),
    (lambda f: f(i, longs()), lambda: np.zeros(6, bool)),
    (lambda f: f(i[:0], i), lambda: np.zeros(0, bool)),
    (lambda f: f(torch.arange(100), torch.arange(100) * 2), lambda: np.arange(100) % 2 == 0),
    (lambda f: f(torch.arange(100), torch.arange(100) * 2, invert=True), lambda: np.arange(100) % 2 == 1),
    (lambda f: f(elements=i, test_element=3), lambda: I == 3),
    (lambda f: f(element=3, test_elements=i), lambda: np.array(True)),
]
VALUES = {
    "take_along_dim": [
        (lambda f: f(m, m.sort()[1], 1), lambda: np.sort(M)),
        (lambda f: f(m, m.sort()[1], dim=-1), lambda: np.sort(M)),
        (lambda f: f(a, longs(1).view(1, 1, 1), 0), lambda: A[1:]),
        (lambda f: f(a, longs(2, 0).view(1, 1, 2), 2), lambda: A[..., [2, 0]]),
        (lambda f: f(a[:1], torch.zeros(2, 3, 1).long(), 2), lambda: np.broadcast_to(A[:1, :, :1], (2, 3, 1))),
        (lambda f: f(a, torch.zeros(5, 3, 1).long(), 0), lambda: np.broadcast_to(A[:1], (5, 3, 4))),
        (lambda f: f(a, longs(3, 23)), lambda: A.ravel()[[3, 23]]),
        (lambda f: f(a, indices=longs(3, 23).view(1, 2)), lambda: A.ravel()[[3, 23]]),
        (lambda f: f(m, torch.zeros(2, 0).long(), 1), lambda: M[:, :0]),
    ],
    "select_scatter": [
        (lambda f: f(a, T(ONES), 0, 1), lambda: put(A, 1, ONES)),
        (lambda f: f(a, T(ONES), 0, -1), lambda: put(A, 1, ONES)),
        (lambda f: f(input=a, src=T(ONES[:2, :3]).float(), dim=-1, index=0), lambda: put(A, (..., 0), 1)),
        (lambda f: f(a.transpose(0, 1), T(ONES[:2]), 0, 1), lambda: put(A.swapaxes(0, 1), 1, 1)),
    ],
    "slice_scatter": [
        (lambda f: f(i, longs(9, 8), 0, 2, 4, 1), lambda: put(I, slice(2, 4), [9, 8])),
        (lambda f: f(i, longs(9, 8, 7), step=2), lambda: put(I, slice(0, 6, 2), [9, 8, 7])),
        (lambda f: f(i, longs(9, 8, 7), start=-3, step=1), lambda: put(I, slice(-3, None), [9, 8, 7])),
        (
            lambda f: f(a, T(ONES[:2, :2]).view(2, 1, 2)[:, :, :1].expand(2, 3, 1), -1, end=1, step=1),
            lambda: put(A, (..., 0), 1),
        ),
        (lambda f: f(i, i, step=1), lambda: I),
    ],
    "diagonal_scatter": [
        (lambda f: f(m, v[:2]), lambda: put(M, ([0, 1], [0, 1]), V[:2])),
        (lambda f: f(m, v[:2], 1), lambda: put(M, ([0, 1], [1, 2]), V[:2])),
        (lambda f: f(m, v[:1], offset=-1, dim1=0, dim2=1), lambda: put(M, (1, 0), 1)),
        (lambda f: f(a, T(ONES)[:2, :3].t()[:, :2], 0, 0, 2), lambda: put(A, ([0, 1], slice(None), [0, 1]), 1)),
    ],
    "unravel_index": [
        (lambda f: f(longs(5, 7), (2, 4)), lambda: np.unravel_index([5, 7], (2, 4))),
        (lambda f: f(longs(5, 7), 8), lambda: (np.array([5, 7]),)),
        (lambda f: f(longs(5, 7).view(1, 2), torch.Size([2, 2, 2])), lambda: np.unravel_index([[5, 7]], (2, 2, 2))),
        (lambda f: f(torch.tensor(3), [2, 4]), lambda: (np.array(0), np.array(3))),
        (lambda f: f(torch.tensor([5], dtype=torch.uint8), (2, 4)), lambda: (np.array([1]), np.array([1]))),
        (lambda f: f(longs(-1, -9, 8), (2, 4)), lambda: np.unravel_index([7, 7, 0], (2, 4))),
        (lambda f: f(longs(0), ()), lambda: ()),
        (lambda f: f(longs(), (2, 0)), lambda: (np.zeros(0, int), np.zeros(0, int))),
    ],
    "argwhere": [
        (lambda f: f(a > 20), lambda: np.argwhere(A > 20)),
        (lambda f: f(m - 0.5), lambda: np.argwhere(M - 0.5)),
        (lambda f: f(s), lambda: np.zeros((1, 0), int)),
        (lambda f: f(s - 5), lambda: np.zeros((0, 0), int)),
        (lambda f: f(v[:0]), lambda: np.zeros((0, 1), int)),
    ],
    "nonzero_static": [
        (lambda f: f(i, size=2), lambda: np.array([[1], [2]])),
        (lambda f: f(a > 20, size=4), lambda: np.r_[np.argwhere(A > 20), [[-1] * 3]]),
        (lambda f: f(a > 20, size=4, fill_value=9), lambda: np.r_[np.argwhere(A > 20), [[9] * 3]]),
        (lambda f: f(m, size=0), lambda: np.zeros((0, 2), int)),
        (lambda f: f(s, size=2), lambda: np.zeros((2, 0), int)),
    ],
    "sort": [(lambda f, call=call: pair(call(f)), expected) for call, expected in SORTS[:-1]],
    "argsort": [
        (lambda f, call=call: call(lambda *args, **kwargs: f(*args, **kwargs)), lambda expected=expected: expected()[1])
        for call, expected in SORTS[:-1]
    ],
    "msort": [
        (lambda f: f(m), lambda: np.sort(M, 0)),
        (lambda f: f(s), lambda: np.array(5.0)),
        (lambda f: f(input=ties), lambda: np.sort(TIES)),
    ],
    "searchsorted": [
        *SEARCHES,
        (lambda f: f(edges, wanted, side="right"), lambda: np.searchsorted(EDGES, WANTED, "right")),
        (lambda f: f(edges, wanted, side="left"), lambda: np.searchsorted(EDGES, WANTED)),
        (lambda f: f(sorted_sequence=m, input=m, sorter=m.sort()[1]), lambda: np.array([[2, 0, 1], [1, 1, 0]])),
        (lambda f: f(a[0], a[0] + 0.5), lambda: np.tile(np.arange(1, 5), (3, 1))),
        (lambda f: f(edges, T(np.array([np.nan, np.inf]))), lambda: np.array([4, 4])),
    ],
    "bucketize": [
        (lambda f, call=call: call(lambda edges, values, **kwargs: f(values, edges, **kwargs)), expected)
        for call, expected in SEARCHES
    ]
    + [(lambda f: f(input=wanted, boundaries=edges), lambda: np.searchsorted(EDGES, WANTED))],
    "isin": MEMBERS,
    "scatter_reduce": [
        *reductions(HOWS),
        (lambda f: f(i, 0, longs(0, 1, 0), longs(5, 6, -8), "mean"), lambda: put(I, [0, 1], [-1, 3])),
        (lambda f: f(input=i, dim=0, index=longs(1, 1), src=longs(5, 6), reduce="prod"), lambda: put(I, 1, 30)),
        (lambda f: f(m, 1, longs(0, 0, 1, 1).view(2, 2), T(ONES[:2, :2]), "sum"), lambda: M + [[2, 0, 0], [0, 2, 0]]),
        (lambda f: f(m, 0, longs(1, 0).view(1, 2), T(ONES[:2]), "amax"), lambda: put(M, (1, 0), 1)),
        (lambda f: f(nan, 0, longs(1, 0), T(np.array([5.0, np.nan])), "amax"), lambda: put(NAN, 0, np.nan)),
        (lambda f: f(v, 0, longs(), v, "amin", include_self=False), lambda: V),
        (lambda f: f(s, 0, torch.tensor(0), s, "sum"), lambda: np.array(10.0)),
        (lambda f: f(v > 1, 0, longs(0), v[2:] > 1, "amax"), lambda: V > 0),
    ],
    "scatter": [
        (lambda f: f(v, 0, longs(2), src=v), lambda: put(V, 2, 1.0)),
        (lambda f: f(v, 0, longs(2), 9.0), lambda: put(V, 2, 9.0)),
        (lambda f: f(v, 0, longs(2), value=9.0), lambda: put(V, 2, 9.0)),
        (lambda f: f(v, 0, longs(), v[:0]), lambda: V),
        (lambda f: f(v, 0, longs(), 9.0), lambda: V),
        (lambda f: f(base, 0, places, src, reduce="add"), lambda: folded(BASE, PLACES, SRC, "sum", True)),
        (lambda f: f(base, 0, places, src, reduce="multiply"), lambda: folded(BASE, PLACES, SRC, "prod", True)),
        (lambda f: f(base, 0, places, 3.0, reduce="add"), lambda: BASE + [9, 3, 0]),
        (lambda f: f(base, dim=-1, index=places, value=2.0, reduce="multiply"), lambda: BASE * [8, 2, 1]),
    ],
    "index_reduce": [
        *reductions(HOWS[1:]),
        limited(
            "integers", lambda f: f(i, 0, longs(0, 1, 0), longs(5, 6, -8), "mean"), lambda: put(I, [0, 1], [-1, 3])
        ),
        (lambda f: f(m, 1, longs(0, 0), T(ONES[:2, :2]) * 2, "prod"), lambda: M * [4, 1, 1]),
        (
            lambda f: f(a, -2, longs(1), T(np.full((2, 1, 4), 9.0)), "amax"),
            lambda: np.maximum(A, put(A, (slice(None), 1), 9)),
        ),
    ],
    "index_add": [
        (lambda f: f(base, 0, places, src), lambda: folded(BASE, PLACES, SRC, "sum", True)),
        (lambda f: f(base, 0, places, src, alpha=2), lambda: folded(BASE, PLACES, SRC * 2, "sum", True)),
        (lambda f: f(base, 0, places.int(), src, alpha=-0.5), lambda: folded(BASE, PLACES, SRC * -0.5, "sum", True)),
        (lambda f: f(m, 1, longs(0, 2), T(ONES[:2, :2])), lambda: M + [1, 0, 1]),
        (lambda f: f(i, 0, longs(0, 0), longs(1, 2), alpha=2), lambda: put(I, 0, 6)),
        (lambda f: f(s, 0, longs(0), s), lambda: np.array(10.0)),
        (lambda f: f(v > 9, 0, longs(0), v[2:] > 1), lambda: V < 2),
    ],
    "put": [
        (lambda f: f(m, longs(0, -1), v[:2]), lambda: put(M, ([0, 1], [0, 2]), V[:2])),
        (lambda f: f(m, longs(0, 0), v[:2], accumulate=True), lambda: put(M, (0, 0), 6)),
        (lambda f: f(input=m, index=longs(0, 1).view(1, 2), source=v[:2]), lambda: put(M, (0, [0, 1]), V[:2])),
        (lambda f: f(m, longs(), v[:0]), lambda: M),
    ],
}
globals().update(shim_tests(VALUES, "values", value))

X, Y = A[0] + 0.5, np.linspace(-1.0, 2.0, 12).reshape(3, 4)
TIED = np.array([1.0, 2.0, 3.0])
CALLS = {
    "take_along_dim": (lambda f, x: f(x, longs(2, 0, 1).view(3, 1), 1), X),
    "select_scatter": (lambda f, x, y: f(x, y[0], 0, 1), X, Y),
    "slice_scatter": (lambda f, x, y: f(x, y[:2], 0, 1, None, 1), X, Y),
    "diagonal_scatter": (lambda f, x, y: f(x, y[0, :3]), X, Y),
    "sort": (lambda f, x: f(x, dim=0, stable=True)[0], Y),
    "msort": (lambda f, x: f(x), Y),
    "scatter": (lambda f, x, y: f(x, 1, longs(0, 1, 2).view(3, 1), y, reduce="add"), X, Y),
    "index_add": (lambda f, x, y: f(x, 0, longs(2, 0, 2), y, alpha=3), X, Y),
}
REDUCED = [
    (
        lambda f, x, y, how=how, include=include: f(x, 0, longs(0, 0, 2), y, how, include_self=include),
        TIED,
        TIED[::-1] * 2,
    )
    for how in HOWS
    for include in (True, False)
]
INDEXED = REDUCED[2:]
GRADIENTS = {name: [case] for name, case in CALLS.items() if name != "scatter"}
GRADIENTS["scatter_reduce"], GRADIENTS["index_reduce"] = REDUCED, INDEXED
GRADIENTS["put"] = [(lambda f, x, y, sums=sums: f(x, longs(0, 5, 7), y[0, :3], sums), X, Y) for sums in (False, True)]
globals().update(shim_tests(GRADIENTS, "gradient", differentiable))
BATCHES = {
    name: [(call, *[np.stack([input, input[::-1] * 2]) for input in inputs])] for name, (call, *inputs) in CALLS.items()
}
BATCHES["searchsorted"] = [(lambda f, x: f(x.sort(-1)[0], x), np.stack([X, Y]))]
BATCHES["bucketize"] = [(lambda f, x: f(x, edges), np.stack([X, Y]))]
BATCHES["argsort"] = [(lambda f, x: f(x, stable=True), np.stack([X, Y]))]
BATCHES["isin"] = [(lambda f, x: f(x, x[0]).double(), np.stack([X, Y]))]
globals().update(shim_tests(BATCHES, "vmap", mapped))
globals().update(shim_tests({n: GRADIENTS[n] for n in GRADIENTS if n != "put"}, "transforms", transformed))


def shared(f, how, include, expected):
    """Elements that tie share the gradient, the one of *input* among them; NaN and infinite ones stay what they are."""
    x = torch.tensor([2.0, 1.0, 5.0], requires_grad=True)
    y = torch.tensor([2.0, 2.0, 1.0], requires_grad=True)
    f(x, 0, longs(0, 0, 1), y, how, include_self=include).sum().backward()
    np.testing.assert_allclose(torch.cat([x.grad, y.grad]).numpy(), expected, rtol=1e-6)


THIRD = 1 / 3
TIES_OF = [
    ("amax", True, [THIRD, 0.5, 1, THIRD, THIRD, 0.5]),
    ("amin", True, [THIRD, 0.5, 1, THIRD, THIRD, 0.5]),
    ("amax", False, [0, 0, 1, THIRD, THIRD, 0.5]),
]
globals().update(shim_tests({"scatter_reduce": TIES_OF, "index_reduce": TIES_OF}, "ties", shared))

BAD_REDUCTIONS = [
    (lambda f: f(base, 0, places, src, "median"), RuntimeError),
    (lambda f: f(i, 0, places, src, "prod"), RuntimeError),
    (lambda f: f(base, 1, places, src, "prod"), IndexError),
    (lambda f: f(base, 0, longs(0, 1, 2, 3), src, "prod"), (RuntimeError, IndexError)),
    (lambda f: f(base, 0, places, 1.0, "prod"), TypeError),
]
ERRORS = {
    "take_along_dim": [
        (lambda f: f(m, longs(0), 1), RuntimeError),
        (lambda f: f(m, torch.zeros(2, 1), 1), RuntimeError),
        (lambda f: f(m, torch.zeros(2, 1).long(), 2), IndexError),
        (lambda f: f(m, torch.zeros(7, 1).long(), 1), RuntimeError),
        (lambda f: f(m, 1), TypeError),
    ],
    "select_scatter": [
        (lambda f: f(a, T(ONES[0]), 0, 1), RuntimeError),
        (lambda f: f(a, T(ONES), 0, 5), IndexError),
        (lambda f: f(a, T(ONES), 3, 0), IndexError),
        (lambda f: f(a, 1.0, 0, 0), TypeError),
    ],
    "slice_scatter": [
        (lambda f: f(i, longs(1), start=-3, step=1), RuntimeError),
        (lambda f: f(i, i, 1, step=1), IndexError),
        (lambda f: f(i, 1), TypeError),
    ],
    "diagonal_scatter": [
        (lambda f: f(m, v), RuntimeError),
        (lambda f: f(m, v, dim1=2), IndexError),
        (lambda f: f(m, 1.0), TypeError),
    ],
    "unravel_index": [
        (lambda f: f(longs(0), (2, -1)), ValueError),
        (lambda f: f(longs(0), (2, 0)), (ValueError, RuntimeError)),
        (lambda f: f(v, (2, 4)), TypeError),
        (lambda f: f(v > 1, (2, 4)), TypeError),
        (lambda f: f(longs(0), (2, 1.0)), TypeError),
        (lambda f: f(longs(0), 2.0), TypeError),
        (lambda f: f(3, (2, 4)), (TypeError, AttributeError)),
    ],
    "argwhere": [(lambda f: f(3), TypeError)],
    "nonzero_static": [
        (lambda f: f(i, size=-1), RuntimeError),
        (lambda f: f(i, size=1.5), TypeError),
        (lambda f: f(i), TypeError),
    ],
    "sort": [
        (lambda f: f(v, dim=1), IndexError),
        (lambda f: f(v, 0.5), TypeError),
        (lambda f: f("x"), TypeError),
        (lambda f: f(v, 0, 2.0), TypeError),
    ],
    "argsort": [(lambda f: f(v, dim=1), IndexError), (lambda f: f("x"), TypeError)],
    "msort": [(lambda f: f(3), TypeError)],
    "searchsorted": [
        (lambda f: f(edges, wanted, side="left", right=True), RuntimeError),
        (lambda f: f(edges, wanted, side="x"), RuntimeError),
        (lambda f: f(m, v), RuntimeError),
        (lambda f: f(m, 3.0), RuntimeError),
        (lambda f: f(s, v), RuntimeError),
        (lambda f: f(edges, v, sorter=longs(0, 1)), RuntimeError),
        (lambda f: f(v, v, sorter=v), RuntimeError),
        (lambda f: f(v > 1, v > 1), RuntimeError),
        (lambda f: f([1.0], v), TypeError),
    ],
    "bucketize": [
        (lambda f: f(v, m), RuntimeError),
        (lambda f: f(v > 1, v > 1), RuntimeError),
        (lambda f: f(v, [1.0]), TypeError),
    ],
    "isin": [
        (lambda f: f(2, 2), TypeError),
        (lambda f: f(v > 1, v > 1), RuntimeError),
        (lambda f: f(i, [1]), TypeError),
        (lambda f: f(i, i, unique=True), TypeError),
    ],
    "scatter_reduce": BAD_REDUCTIONS,
    "index_reduce": [*BAD_REDUCTIONS, (lambda f: f(m, 0, longs(0), m, "prod"), (RuntimeError, IndexError))],
    "scatter": [
        (lambda f: f(base, 0, places, src, reduce="mean"), RuntimeError),
        (lambda f: f(i, 0, places, src), RuntimeError),
        (lambda f: f(base, 1, places, src), IndexError),
        (lambda f: f(base, 0, places), TypeError),
        (lambda f: f(base, 0, longs(9), 1.0), RuntimeError),
    ],
    "index_add": [
        (lambda f: f(i, 0, places, src), RuntimeError),
        (lambda f: f(base, 0, longs(0, 7), src[:2]), (IndexError, RuntimeError)),
        (lambda f: f(m, 1, longs(0), m), (IndexError, RuntimeError)),
        (lambda f: f(base, 1, places, src), IndexError),
        (lambda f: f(base, 0, places, src, alpha="2"), TypeError),
    ],
    "put": [
        (lambda f: f(m, longs(0, 9), v[:2]), (IndexError, RuntimeError)),
        (lambda f: f(m, longs(0), v), (IndexError, RuntimeError)),
        (lambda f: f(m, longs(0), longs(1)), RuntimeError),
        (lambda f: f(m, longs(0).int(), v[:1]), RuntimeError),
        (lambda f: f(m, 0, v[:1]), TypeError),
    ],
}
globals().update(shim_tests(ERRORS, "errors", error))

OUT = {
    "take_along_dim": (m, longs(0)),
    "sort": (v,),
    "msort": (v,),
    "searchsorted": (edges, v),
    "bucketize": (v, edges),
    "scatter_reduce": (base, 0, places, src, "sum"),
    "index_reduce": (base, 0, places, src, "prod"),
    "scatter": (base, 0, places, src),
    "index_add": (base, 0, places, src),
}


@pytest.mark.parametrize("name", sorted(OUT))
def test_a_fallback_refuses_out(name):
    with pytest.raises(UnsupportedError, match="out"):
        SHIMS[name].fallback(*OUT[name], out=torch.empty(0))


def test_what_is_copied_is_left_alone():
    for name in ("select_scatter", "index_add", "put", "scatter_reduce"):
        before = T(M.copy())
        calls = {
            "select_scatter": lambda f, x: f(x, v, 0, 1),
            "index_add": lambda f, x: f(x, 0, longs(0), x[:1]),
            "put": lambda f, x: f(x, longs(0), v[:1]),
            "scatter_reduce": lambda f, x: f(x, 0, longs(0).view(1, 1), x, "amax"),
        }
        calls[name](SHIMS[name].fallback, before)
        check(before, M)


def test_a_slice_without_a_step():
    # Torch's own of 1.13 is wrong here, and not what torchcompat has.
    check(torchcompat.slice_scatter(i, longs(9, 8), start=2, end=4), put(I, slice(2, 4), [9, 8]))
    with pytest.raises(RuntimeError, match="step"):
        SHIMS["slice_scatter"].fallback(i, i, step=0)


@pytest.mark.skipif(torchcompat.at_least(2, 0), reason="no native is too old there")
@pytest.mark.skipif(SHIMS["index_add"].why == "forced", reason="torch's own that is good enough is not called")
def test_a_scripted_function_calls_what_torch_has():
    f = torchcompat.squeeze

    def squeezed(x):
        return f(x, 0)

    def added(x, index):
        # type: (Tensor, Tensor) -> Tensor
        return add(x, 0, index, x)

    add = torchcompat.index_add
    assert torch.jit.script(squeezed)(m[:1]).shape == (3,)
    check(torch.jit.script(added)(m, longs(0, 0)), put(M, 0, M.sum(0) + M[0]))
