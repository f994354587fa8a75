"""What functions on shapes refuse, and by which error: the table beside those of test_shapes.py."""

import numpy as np
import torch
from function_tables import error, shim_tests

a = torch.from_numpy(np.arange(24.0).reshape(2, 3, 4))
m = torch.from_numpy(np.arange(6.0).reshape(2, 3))
v = torch.arange(1.0, 4.0, dtype=torch.float64)
i = torch.arange(7)
s = torch.tensor(5.0, dtype=torch.float64)
ones = torch.ones(1, 2, 1, 3)

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
        (lambda f: f(ones, None), (TypeError, RuntimeError)),
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
