"""Decompositions, inverses and solutions, which torch computes for any number of leading dimensions.

Left to the loop: lstsq, lu and what needs its pivots, eig, matrix_rank, tensorinv and tensorsolve, lobpcg.
"""

from __future__ import annotations

from typing import Any

from .._batched import BatchedTensor, each, levels_of, lift, physical_of, rank, register, rule, shape, wrap

# Of one matrix. The functions of torch.linalg are named linalg_...
OF_A_MATRIX = (
    "inverse pinverse det logdet slogdet cholesky cholesky_inverse qr svd symeig matrix_exp matrix_power linalg_inv "
    "linalg_inv_ex linalg_det linalg_slogdet linalg_cholesky linalg_cholesky_ex linalg_qr linalg_svd linalg_svdvals "
    "linalg_eigh linalg_eigvalsh linalg_eig linalg_eigvals linalg_matrix_exp linalg_matrix_power linalg_pinv "
    "linalg_cond"
)


def of_a_matrix(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if type(input) is not BatchedTensor or levels_of(args, kwargs) or rank(input) < 2:
        return NotImplemented
    result = func(input._physical, *args, **kwargs)
    return each(result, lambda tensor: wrap(tensor, input._levels))


register(of_a_matrix, OF_A_MATRIX.split())


@rule("solve", "triangular_solve", "cholesky_solve", "linalg_solve_triangular")
def solution(func: Any, input: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
    """Of two stacks of matrices."""
    if min(rank(input), rank(other)) < 2:
        return NotImplemented
    levels, ndim = levels_of(input, other), max(rank(input), rank(other))
    result = func(lift(input, levels, ndim), lift(other, levels, ndim), *args, **kwargs)
    return each(result, lambda tensor: wrap(tensor, levels))


@rule("linalg_solve")
def solve(func: Any, A: Any, B: Any, *args: Any, **kwargs: Any) -> Any:
    levels = levels_of(A, B)
    if rank(A) < 2 or args or kwargs:
        return NotImplemented
    if rank(B) == 1:
        columns = wrap(physical_of(B).unsqueeze(-1), levels_of(B))
        ndim = rank(A)
        return wrap(func(lift(A, levels, ndim), lift(columns, levels, ndim)).squeeze(-1), levels)
    if rank(B) < rank(A) and list(shape(B)) == list(shape(A)[:-1]):
        return NotImplemented  # a stack of vectors
    ndim = max(rank(A), rank(B))
    return wrap(func(lift(A, levels, ndim), lift(B, levels, ndim)), levels)
