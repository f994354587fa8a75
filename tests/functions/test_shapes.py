"""Functions that move, split, join and spread tensors, against NumPy: one table of cases for each kind of promise."""

import numpy as np
import pytest
import torch
from function_tables import check, differentiable, error, limited, mapped, shim_tests, transformed, value

from torchcompat import SHIMS, UnsupportedError, at_least

A = np.arange(24.0).reshape(2, 3, 4)
M = np.arange(6.0).reshape(2, 3)
V = np.arange(1.0, 4.0)
I = np.arange(7)  # noqa: E741
S = np.array(5.0)
ONES = np.ones((1, 2, 1, 3))
T = torch.from_numpy
a, m, v, i, s, ones = T(A), T(M), T(V), T(I), torch.tensor(5.0, dtype=torch.float64), T(ONES)
F32 = torch.float32


def parts(array, places, axis=0):
    return tuple(np.split(array, places, axis))


MOVES = [
    (lambda f: f(a, 0, 2), lambda: np.moveaxis(A, 0, 2)),
    (lambda f: f(a, 2, 0), lambda: np.moveaxis(A, 2, 0)),
    (lambda f: f(a, -1, -3), lambda: np.moveaxis(A, -1, -3)),
    (lambda f: f(a, 1, 1), lambda: A),
    (lambda f: f(a, -3, 1), lambda: np.moveaxis(A, -3, 1)),
    (lambda f: f(a, (0, 1), (2, 0)), lambda: np.moveaxis(A, (0, 1), (2, 0))),
    (lambda f: f(a, [0, -1], [-1, 0]), lambda: np.moveaxis(A, (0, -1), (-1, 0))),
    (lambda f: f(a, (), ()), lambda: A),
    (lambda f: f(input=a, source=(0,), destination=(1,)), lambda: np.moveaxis(A, 0, 1)),
    limited("scalar", lambda f: f(s, 0, 0), lambda: S),
    (lambda f: f(a, np.int64(0), 2), lambda: np.moveaxis(A, 0, 2)),
]
CONCATS = [
    (lambda f: f([a, a]), lambda: np.concatenate([A, A])),
    (lambda f: f((a, a[:, :1]), 1), lambda: np.concatenate([A, A[:, :1]], 1)),
    (lambda f: f([a, a], -1), lambda: np.concatenate([A, A], -1)),
    (lambda f: f([a], axis=0), lambda: A),
    (lambda f: f([a, a], axis=2), lambda: np.concatenate([A, A], 2)),
    (lambda f: f([v, i]), lambda: np.concatenate([V, I])),
    (lambda f: f([i.to(torch.uint8), i.to(torch.int8)]), lambda: np.concatenate([I, I]).astype(np.int16)),
    (lambda f: f([m, torch.zeros(0, dtype=torch.float64)], 1), lambda: M),
    (lambda f: f([m[:0], m[:0]]), lambda: M[:0]),
]
VSTACKS = [
    (lambda f: f([v, v]), lambda: np.vstack([V, V])),
    (lambda f: f((m, v)), lambda: np.vstack([M, V])),
    (lambda f: f([s, s]), lambda: np.vstack([S, S])),
    (lambda f: f([v, v.int()]), lambda: np.vstack([V, V])),
]
SWAPS = [
    (lambda f: f(a, 0, 2), lambda: A.swapaxes(0, 2)),
    (lambda f: f(a, -1, 1), lambda: A.swapaxes(-1, 1)),
    (lambda f: f(s, 0, 0), lambda: S),
]
VALUES = {
    "movedim": MOVES,
    "moveaxis": MOVES,
    "swapaxes": [*SWAPS, (lambda f: f(a, axis0=0, axis1=1), lambda: A.swapaxes(0, 1))],
    "swapdims": [*SWAPS, (lambda f: f(a, dim0=0, dim1=1), lambda: A.swapaxes(0, 1))],
    "permute": [
        (lambda f: f(a, (2, 0, 1)), lambda: A.transpose(2, 0, 1)),
        (lambda f: f(a, dims=[-1, 0, 1]), lambda: A.transpose(2, 0, 1)),
        (lambda f: f(s, ()), lambda: S),
    ],
    "unflatten": [
        (lambda f: f(a, 2, (2, 2)), lambda: A.reshape(2, 3, 2, 2)),
        (lambda f: f(a, -1, (2, -1)), lambda: A.reshape(2, 3, 2, 2)),
        (lambda f: f(input=a, dim=0, sizes=[1, 2, 1]), lambda: A.reshape(1, 2, 1, 3, 4)),
        (lambda f: f(m[:, :0], 0, (2, -1)), lambda: np.zeros((2, 1, 0))),
        (lambda f: f(m[:, :0], 1, (-1, 2)), lambda: np.zeros((2, 0, 2))),
        (lambda f: f(a.transpose(0, 2), 0, (2, 2)), lambda: A.swapaxes(0, 2).reshape(2, 2, 3, 2)),
        (lambda f: f(a, 1, torch.Size([3, 1])), lambda: A.reshape(2, 3, 1, 4)),
    ],
    "ravel": [
        (lambda f: f(a), lambda: A.ravel()),
        (lambda f: f(a.transpose(0, 1)), lambda: A.swapaxes(0, 1).ravel()),
        (lambda f: f(s), lambda: S.reshape(1)),
    ],
    "squeeze": [
        (lambda f: f(ones), lambda: ONES[0, :, 0]),
        (lambda f: f(ones, 0), lambda: ONES[0]),
        (lambda f: f(ones, 1), lambda: ONES),
        (lambda f: f(ones, dim=-2), lambda: ONES[:, :, 0]),
        (lambda f: f(ones, axis=0), lambda: ONES[0]),
        (lambda f: f(ones, (0, 2)), lambda: ONES[0, :, 0]),
        (lambda f: f(ones, (-2, 0, 1)), lambda: ONES[0, :, 0]),
        (lambda f: f(ones, [1, 3]), lambda: ONES),
        (lambda f: f(ones, ()), lambda: ONES),
        (lambda f: f(s, (0,)), lambda: S),
        (lambda f: f(s, -1), lambda: S),
    ],
    "adjoint": [
        (lambda f: f(a), lambda: A.swapaxes(1, 2)),
        (lambda f: f(m.int()), lambda: M.T.astype(np.int32)),
    ],
    "broadcast_to": [
        (lambda f: f(v, (2, 3)), lambda: np.broadcast_to(V, (2, 3))),
        (lambda f: f(s, size=[2]), lambda: np.broadcast_to(S, (2,))),
        (lambda f: f(v, (2, -1)), lambda: np.broadcast_to(V, (2, 3))),
        (lambda f: f(s, ()), lambda: S),
        (lambda f: f(v[:1], (0,)), lambda: V[:0]),
    ],
    "tile": [
        (lambda f: f(v, (2,)), lambda: np.tile(V, 2)),
        (lambda f: f(m, (2, 1)), lambda: np.tile(M, (2, 1))),
        (lambda f: f(m, dims=(2,)), lambda: np.tile(M, 2)),
        (lambda f: f(v, (2, 2)), lambda: np.tile(V, (2, 2))),
        (lambda f: f(v, (0,)), lambda: V[:0]),
        (lambda f: f(a, ()), lambda: A),
        (lambda f: f(s, (2,)), lambda: np.tile(S, 2)),
    ],
    "fliplr": [(lambda f: f(a), lambda: A[:, ::-1])],
    "flipud": [(lambda f: f(a), lambda: A[::-1]), (lambda f: f(v), lambda: V[::-1])],
    "tensor_split": [
        (lambda f: f(i, 3), lambda: tuple(np.array_split(I, 3))),
        (lambda f: f(i, 9), lambda: tuple(np.array_split(I, 9))),
        (lambda f: f(a, 2, 1), lambda: tuple(np.array_split(A, 2, 1))),
        (lambda f: f(a, 2, dim=-1), lambda: tuple(np.array_split(A, 2, -1))),
        (lambda f: f(i, sections=2), lambda: tuple(np.array_split(I, 2))),
        (lambda f: f(i, (1, 4)), lambda: parts(I, (1, 4))),
        (lambda f: f(i, indices=[2]), lambda: parts(I, (2,))),
        (lambda f: f(i, (5, 2, -1, 100)), lambda: parts(I, (5, 2, -1, 100))),
        (lambda f: f(i, ()), lambda: (I,)),
        (lambda f: f(i, torch.tensor(3)), lambda: tuple(np.array_split(I, 3))),
        (lambda f: f(i, tensor_indices_or_sections=torch.tensor([1, 4])), lambda: parts(I, (1, 4))),
        (lambda f: f(i[:0], 2), lambda: (I[:0], I[:0])),
    ],
    "hsplit": [
        (lambda f: f(a, 3), lambda: tuple(np.hsplit(A, 3))),
        (lambda f: f(v, 3), lambda: tuple(np.hsplit(V, 3))),
        (lambda f: f(i, (1, 2)), lambda: tuple(np.hsplit(I, (1, 2)))),
        (lambda f: f(i, indices=(1, 2)), lambda: tuple(np.hsplit(I, (1, 2)))),
    ],
    "vsplit": [
        (lambda f: f(a, 2), lambda: tuple(np.vsplit(A, 2))),
        (lambda f: f(a, sections=2), lambda: tuple(np.vsplit(A, 2))),
        (lambda f: f(m, (1,)), lambda: tuple(np.vsplit(M, (1,)))),
    ],
    "dsplit": [
        (lambda f: f(a, 2), lambda: tuple(np.dsplit(A, 2))),
        (lambda f: f(a, [1, 3]), lambda: tuple(np.dsplit(A, (1, 3)))),
    ],
    "concat": CONCATS,
    "concatenate": [*CONCATS, (lambda f: f([a, a], dim=2), lambda: np.concatenate([A, A], 2))],
    "hstack": [
        (lambda f: f([v, v]), lambda: np.hstack([V, V])),
        (lambda f: f((a, a)), lambda: np.hstack([A, A])),
        (lambda f: f([s, v]), lambda: np.hstack([S, V])),
        (lambda f: f([i.float(), s]), lambda: np.hstack([I, S])),
        (lambda f: f([v > 1, v]), lambda: np.hstack([V > 1, V])),
    ],
    "vstack": VSTACKS,
    "row_stack": VSTACKS,
    "dstack": [
        (lambda f: f([v, v]), lambda: np.dstack([V, V])),
        (lambda f: f((m, m[..., None])), lambda: np.dstack([M, M])),
        (lambda f: f([s, s]), lambda: np.dstack([S, S])),
        (lambda f: f([a, a.int()]), lambda: np.dstack([A, A])),
    ],
    "column_stack": [
        (lambda f: f([v, v]), lambda: np.column_stack([V, V])),
        (lambda f: f((m, m[:, 0])), lambda: np.column_stack([M, M[:, 0]])),
        (lambda f: f([s, s]), lambda: np.column_stack([S, S])),
        (lambda f: f([a, a.int()]), lambda: np.column_stack([A, A])),
    ],
    "atleast_1d": [
        (lambda f: f(s), lambda: np.atleast_1d(S)),
        (lambda f: f(s, a), lambda: (np.atleast_1d(S), A)),
        (lambda f: f([s]), lambda: (np.atleast_1d(S),)),
        (lambda f: f(()), lambda: ()),
    ],
    "atleast_2d": [
        (lambda f: f(s), lambda: np.atleast_2d(S)),
        (lambda f: f(v), lambda: np.atleast_2d(V)),
        (lambda f: f((v, a)), lambda: (np.atleast_2d(V), A)),
    ],
    "atleast_3d": [
        (lambda f: f(s), lambda: np.atleast_3d(S)),
        (lambda f: f(v), lambda: np.atleast_3d(V)),
        (lambda f: f(m), lambda: np.atleast_3d(M)),
        (lambda f: f(a, v), lambda: (A, np.atleast_3d(V))),
    ],
    "block_diag": [
        (lambda f: f(m, v), lambda: np.block([[M, np.zeros((2, 3))], [np.zeros((1, 3)), V]])),
        (lambda f: f(s, m.int()), lambda: np.block([[S, np.zeros((1, 3))], [np.zeros((2, 1)), M]])),
        (lambda f: f(m[:0], s), lambda: np.array([[0.0, 0.0, 0.0, 5.0]])),
        (
            lambda f: f(i.to(torch.uint8), v > 0),
            lambda: np.r_[np.c_[I[None], np.zeros((1, 3))], [[0] * 7 + [1] * 3]].astype("u1"),
        ),
        (lambda f: f(), lambda: np.zeros((1, 0), np.float32)),
    ],
    "broadcast_shapes": [],
    "outer": [
        (lambda f: f(v, m[1]), lambda: np.outer(V, M[1])),
        (lambda f: f(v.int(), v), lambda: np.outer(V, V)),
        (lambda f: f(v > 1, v > 2), lambda: np.outer(V > 1, V > 2)),
        (lambda f: f(v[:0], v), lambda: np.zeros((0, 3))),
        (lambda f: f(input=i, vec2=i), lambda: np.outer(I, I)),
    ],
    "inner": [
        (lambda f: f(m, v), lambda: np.inner(M, V)),
        (lambda f: f(m, m), lambda: np.inner(M, M)),
        (lambda f: f(a, a[0]), lambda: np.inner(A, A[0])),
        (lambda f: f(v, v), lambda: np.inner(V, V)),
        (lambda f: f(i, i), lambda: np.inner(I, I)),
        (lambda f: f(s, v), lambda: np.inner(S, V)),
        (lambda f: f(v.int(), s), lambda: V * 5),
        (lambda f: f(m[:, :0], m[:1, :0]), lambda: np.zeros((2, 1))),
    ],
    "vdot": [
        (lambda f: f(v, m[1]), lambda: np.vdot(V, M[1])),
        (lambda f: f(i, i), lambda: np.vdot(I, I)),
        (lambda f: f(v[:0], v[:0]), lambda: np.array(0.0)),
    ],
    "kron": [
        (lambda f: f(m, a), lambda: np.kron(M, A)),
        (lambda f: f(v, m), lambda: np.kron(V, M)),
        (lambda f: f(a, v), lambda: np.kron(A, V)),
        (lambda f: f(s, m), lambda: np.kron(S, M)),
        (lambda f: f(s, s), lambda: S * S),
        (lambda f: f(i, v), lambda: np.kron(I, V)),
        limited("strides", lambda f: f(m.t(), v), lambda: np.kron(M.T, V)),
        (lambda f: f(v > 1, v > 2), lambda: np.kron(V > 1, V > 2)),
        (lambda f: f(v[:0], v), lambda: V[:0]),
    ],
    "vander": [
        (lambda f: f(v), lambda: np.vander(V)),
        (lambda f: f(v, 2), lambda: np.vander(V, 2)),
        (lambda f: f(v, N=4, increasing=True), lambda: np.vander(V, 4, True)),
        (lambda f: f(v.int()), lambda: np.vander(V.astype(int))),
        (lambda f: f(v > 1), lambda: np.vander((V > 1).astype(int))),
        (lambda f: f(v, 0), lambda: np.zeros((3, 0))),
        (lambda f: f(v[:0]), lambda: np.zeros((0, 0))),
    ],
}
VALUES = {name: cases for name, cases in VALUES.items() if cases}
globals().update(shim_tests(VALUES, "values", value))

X = A[0] + 0.5
Y = np.linspace(-1.0, 2.0, 12).reshape(3, 4)
CALLS = {
    "movedim": (lambda f, x: f(x, 0, 1), X),
    "moveaxis": (lambda f, x: f(x, 0, 1), X),
    "swapaxes": (lambda f, x: f(x, 0, -1), X),
    "swapdims": (lambda f, x: f(x, 0, -1), X),
    "permute": (lambda f, x: f(x, (1, 0)), X),
    "unflatten": (lambda f, x: f(x, -1, (2, -1)), X),
    "ravel": (lambda f, x: f(x), X),
    "squeeze": (lambda f, x: f(x[:1, None], (0, 1)), X),
    "adjoint": (lambda f, x: f(x), X),
    "broadcast_to": (lambda f, x: f(x, (2, 3, 4)), X),
    "tile": (lambda f, x: f(x, (2, 1)), X),
    "fliplr": (lambda f, x: f(x), X),
    "flipud": (lambda f, x: f(x), X),
    "tensor_split": (lambda f, x: f(x, 3, -1), X),
    "hsplit": (lambda f, x: f(x, (1, 3)), X),
    "vsplit": (lambda f, x: f(x, 3), X),
    "dsplit": (lambda f, x: f(x[..., None], 1), X),
    "concat": (lambda f, x, y: f([x, y], -1), X, Y),
    "concatenate": (lambda f, x, y: f([x, y], -1), X, Y),
    "hstack": (lambda f, x, y: f([x, y]), X, Y),
    "vstack": (lambda f, x, y: f([x, y]), X, Y),
    "row_stack": (lambda f, x, y: f([x, y]), X, Y),
    "dstack": (lambda f, x, y: f([x, y]), X, Y),
    "column_stack": (lambda f, x, y: f([x, y[:, 0]]), X, Y),
    "atleast_1d": (lambda f, x: f(x[0, 0]), X),
    "atleast_2d": (lambda f, x: f(x[0]), X),
    "atleast_3d": (lambda f, x: f(x[0], x), X),
    "block_diag": (lambda f, x, y: f(x, y[0]), X, Y),
    "outer": (lambda f, x, y: f(x[0], y[0]), X, Y),
    "inner": (lambda f, x, y: f(x, y), X, Y),
    "vdot": (lambda f, x, y: f(x[0], y[0]), X, Y),
    "kron": (lambda f, x, y: f(x, y[0]), X, Y),
    "vander": (lambda f, x: f(x[0], 3), X),
}
BATCHES = {
    name: [(call, *[np.stack([input, input[::-1] * 2]) for input in inputs])] for name, (call, *inputs) in CALLS.items()
}
GRADIENTS = {name: [case] for name, case in CALLS.items()}
# Torch's own multiplies in place what the derivative needs.
GRADIENTS["vander"] = [limited("gradient", *CALLS["vander"])]
globals().update(shim_tests(GRADIENTS, "gradient", differentiable))
globals().update(shim_tests(BATCHES, "vmap", mapped))
globals().update(shim_tests(GRADIENTS, "transforms", transformed))


def shares(f, call):
    base = torch.zeros(2, 3, 4)
    found = call(f, base)
    for part in found if isinstance(found, tuple) else (found,):
        assert part.numel()
        assert part is not base
        part.fill_(1)
    assert base.max() == 1


VIEWS = {
    "movedim": [lambda f, x: f(x, 0, 1), lambda f, x: f(x, 0, 0), lambda f, x: f(x, (), ())],
    "moveaxis": [lambda f, x: f(x, 0, 1)],
    "swapaxes": [lambda f, x: f(x, 0, 1), lambda f, x: f(x, 0, 0)],
    "swapdims": [lambda f, x: f(x, 0, 1)],
    "permute": [lambda f, x: f(x, (1, 0, 2))],
    "unflatten": [lambda f, x: f(x, 2, (2, 2)), lambda f, x: f(x.transpose(0, 2), 0, (2, 2))],
    "ravel": [lambda f, x: f(x)],
    "squeeze": [lambda f, x: f(x[:1], (0, 1)), lambda f, x: f(x, (0, 1)), lambda f, x: f(x, 0), lambda f, x: f(x)],
    "adjoint": [lambda f, x: f(x)],
    "broadcast_to": [lambda f, x: f(x[:1], (1, 3, 4))],
    "tensor_split": [lambda f, x: f(x, 2), lambda f, x: f(x, (1,), 1)],
    "hsplit": [lambda f, x: f(x, 3)],
    "vsplit": [lambda f, x: f(x, (1,))],
    "dsplit": [lambda f, x: f(x, 2)],
    "atleast_1d": [lambda f, x: f(x[0, 0, 0])],
    "atleast_2d": [lambda f, x: f(x[0, 0])],
    "atleast_3d": [lambda f, x: f(x[0])],
}
globals().update(shim_tests(VIEWS, "views", shares))

NO_TENSOR = (lambda f: f("x", 0, 1), TypeError)
BAD_MOVES = [
    (lambda f: f(a, 0, 3), IndexError),
    (lambda f: f(a, -4, 0), IndexError),
    (lambda f: f(a, (0, 0), (0, 1)), RuntimeError),
    (lambda f: f(a, (0, -3), (0, 1)), RuntimeError),
    (lambda f: f(a, (0, 1), (1, 1)), RuntimeError),
    (lambda f: f(a, (0, 1), (1,)), RuntimeError),
    (lambda f: f(a, (0, 1), 2), TypeError),
    (lambda f: f(a, 0.0, 2), TypeError),
    (lambda f: f(a, True, 2), TypeError),
    (lambda f: f(s, 1, 0), IndexError),
    NO_TENSOR,
]
BAD_SWAPS = [(lambda f: f(a, 0, 3), IndexError), (lambda f: f(a, 0.0, 1), TypeError), NO_TENSOR]
BAD_STACKS = [
    (lambda f: f([]), RuntimeError),
    (lambda f: f(a), TypeError),
    (lambda f: f([a, 1.0]), TypeError),
    (lambda f: f([m, m[:1, :2]]), RuntimeError),
]
BAD_CONCATS = [
    (lambda f: f(a), TypeError),
    (lambda f: f([a, 1.0]), TypeError),
    (lambda f: f([m, m[:1, :2]]), RuntimeError),
    (lambda f: f([s, s]), RuntimeError),
    (lambda f: f([m, m], 2), IndexError),
    (lambda f: f([m, m], 0.5), TypeError),
    (lambda f: f([m, m], keepdim=True), TypeError),
    (lambda f: f([]), (ValueError, RuntimeError)),
]
ERRORS = {
    "movedim": BAD_MOVES,
    "moveaxis": BAD_MOVES,
    "swapaxes": BAD_SWAPS,
    "swapdims": BAD_SWAPS,
    "permute": [
        (lambda f: f(a, (0, 1)), RuntimeError),
        (lambda f: f(a, (0, 0, 1)), RuntimeError),
        (lambda f: f(a, (0, 1, 3)), IndexError),
        (lambda f: f(a, 2), TypeError),
        (lambda f: f(a, (0, 1, 2.0)), TypeError),
        (lambda f: f("x", (0,)), TypeError),
    ],
    "unflatten": [
        (lambda f: f(a, 2, ()), RuntimeError),
        (lambda f: f(a, 2, (3, 2)), RuntimeError),
        (lambda f: f(a, 2, (3, -1)), RuntimeError),
        (lambda f: f(a, 2, (-1, -1)), RuntimeError),
        (lambda f: f(m[:, :0], 1, (0, -1)), RuntimeError),
        (lambda f: f(m[:0], 1, (2, 2)), RuntimeError),
        (lambda f: f(a, 3, (2, 2)), IndexError),
        (lambda f: f(a, 2, 4), TypeError),
        (lambda f: f(s, 0, (1,)), (RuntimeError, IndexError)),
        (lambda f: f(3, 0, (1,)), TypeError),
    ],
    "ravel": [(lambda f: f(3), TypeError)],
    "squeeze": [
        (lambda f: f(ones, (0, 0)), RuntimeError),
        (lambda f: f(ones, (0, -4)), RuntimeError),
        (lambda f: f(ones, (0, 4)), IndexError),
        (lambda f: f(ones, 4), IndexError),
        (lambda f: f(ones, None), TypeError),
        (lambda f: f(ones, 0.5), TypeError),
        (lambda f: f(ones, keepdim=True), TypeError),
        (lambda f: f("x"), TypeError),
    ],
    "adjoint": [(lambda f: f(v), RuntimeError), (lambda f: f(3), TypeError)],
    "broadcast_to": [
        (lambda f: f(v, (2,)), RuntimeError),
        (lambda f: f(a, (4,)), RuntimeError),
        (lambda f: f(v, 3), TypeError),
        (lambda f: f(3, (3,)), TypeError),
    ],
    "tile": [(lambda f: f(v, (-1,)), RuntimeError), (lambda f: f(v, 2), TypeError), (lambda f: f(2, (2,)), TypeError)],
    "fliplr": [(lambda f: f(v), RuntimeError), (lambda f: f(3), TypeError)],
    "flipud": [(lambda f: f(s), RuntimeError), (lambda f: f(3), TypeError)],
    "tensor_split": [
        (lambda f: f(i, 0), RuntimeError),
        (lambda f: f(i, -1), RuntimeError),
        (lambda f: f(i, 2.0), TypeError),
        (lambda f: f(s, 1), RuntimeError),
        (lambda f: f(i, 2, 1), IndexError),
        (lambda f: f(i, torch.tensor([1.0])), RuntimeError),
        (lambda f: f(i, torch.ones(1, 1).long()), RuntimeError),
        (lambda f: f(i), TypeError),
        (lambda f: f([1, 2], 1), TypeError),
    ],
    "hsplit": [
        (lambda f: f(s, 1), RuntimeError),
        (lambda f: f(i, 2), RuntimeError),
        (lambda f: f(i, -1), RuntimeError),
        (lambda f: f(i, 1.0), TypeError),
    ],
    "vsplit": [(lambda f: f(v, 1), RuntimeError), (lambda f: f(m, 3), RuntimeError), (lambda f: f("x", 1), TypeError)],
    "dsplit": [(lambda f: f(m, 1), RuntimeError), (lambda f: f(a, 3), RuntimeError), (lambda f: f("x", 1), TypeError)],
    "concat": BAD_CONCATS,
    "concatenate": BAD_CONCATS,
    "hstack": BAD_STACKS,
    "vstack": BAD_STACKS,
    "row_stack": BAD_STACKS,
    "dstack": [*BAD_STACKS[:3], (lambda f: f([m, m[:1]]), RuntimeError)],
    "column_stack": [*BAD_STACKS[:3], (lambda f: f([m, m[:1]]), RuntimeError)],
    "atleast_1d": [(lambda f: f(3), TypeError), (lambda f: f(s, 3), TypeError)],
    "atleast_2d": [(lambda f: f(3), TypeError)],
    "atleast_3d": [(lambda f: f([3]), TypeError)],
    "block_diag": [(lambda f: f(a), RuntimeError), (lambda f: f(3), TypeError)],
    "outer": [(lambda f: f(v, m), RuntimeError), (lambda f: f(s, v), RuntimeError), (lambda f: f(v, 3), TypeError)],
    "inner": [
        (lambda f: f(v, v[:2]), RuntimeError),
        (lambda f: f(v, v.int()), RuntimeError),
        (lambda f: f(v, 3), TypeError),
    ],
    "vdot": [
        (lambda f: f(v, v[:2]), RuntimeError),
        (lambda f: f(v, v.int()), RuntimeError),
        (lambda f: f(m, v), RuntimeError),
        (lambda f: f(v, 3), TypeError),
    ],
    "kron": [(lambda f: f(v, 3), TypeError)],
    "vander": [(lambda f: f(m), RuntimeError), (lambda f: f(v, -1), RuntimeError), (lambda f: f([1.0]), TypeError)],
}
globals().update(shim_tests(ERRORS, "errors", error))


@pytest.mark.shim("broadcast_shapes")
@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        pytest.param((), (), marks=pytest.mark.limit("no_shapes")),
        (((1, 2), (3, 1), 2), (3, 2)),
        (([2], torch.Size([1])), (2,)),
        (((0,), (1,)), (0,)),
        (((), (4,)), (4,)),
        (((5, 1, 1), (4, 1)), (5, 4, 1)),
        ((3,), (3,)),
    ],
)
def test_the_shape_that_shapes_broadcast_to(impl, shapes, expected):
    found = impl(*shapes)
    assert found == torch.Size(expected)
    assert type(found) is torch.Size
    assert found == np.broadcast(*[np.empty(shape) for shape in shapes]).shape if shapes else found == ()


@pytest.mark.shim("broadcast_shapes")
@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        (((1, 2), (3, 3)), RuntimeError),
        (((0,), (2,)), RuntimeError),
        pytest.param(((-1,),), (ValueError, RuntimeError), marks=pytest.mark.limit("negative")),
        ((3.0,), (RuntimeError, TypeError)),
        (((2.0,),), TypeError),
    ],
)
def test_shapes_that_do_not_broadcast(impl, shapes, kind):
    with pytest.raises(kind):
        impl(*shapes)


def test_no_sections():
    # Torch's own of 1.9 and 1.10 ends the process.
    for name in ("hsplit", "vsplit", "dsplit"):
        with pytest.raises(RuntimeError, match="divisible by the sections, 0"):
            SHIMS[name].fallback(a, 0)


WITH_OUT = [*("concat", "concatenate", "hstack", "vstack", "row_stack", "dstack", "column_stack")]
WITH_OUT += ["outer", "inner", "vdot", "kron"]


@pytest.mark.parametrize("name", WITH_OUT)
def test_a_fallback_refuses_out(name):
    arguments = ([v, v],) if "stack" in name or "conc" in name else (v, v)
    with pytest.raises(UnsupportedError, match="out"):
        SHIMS[name].fallback(*arguments, out=torch.empty(0))


@pytest.mark.skipif(not at_least(1, 8), reason="autograd of complex numbers came with torch 1.8")
def test_complex_numbers_are_conjugated(impl_of):
    z = torch.tensor([[1 + 2j, 3 - 1j]])
    check(impl_of("adjoint")(z), np.array([[1 - 2j], [3 + 1j]], np.complex64))
    check(impl_of("vdot")(z[0], z[0]), np.array(15 + 0j, np.complex64))


@pytest.fixture(params=["native", "fallback"])
def impl_of(request):
    def chosen(name):
        shim = SHIMS[name]
        if request.param == "native" and not shim.meets_contract:
            pytest.skip("the native is missing or too old")
        return getattr(shim, request.param)

    return chosen
