"""Norms, distances and similarities."""

from __future__ import annotations

from typing import Any

import torch

from .._batched import levels_of, lift, physical_of, rank, rule, wrap
from ._reductions import is_whole, named, reduce_along, shift, whole


@rule("norm")
def norm(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("p dim keepdim", args, kwargs)
    if given.get("p") == "nuc" and given.get("dim") is None:
        given["dim"] = (0, 1)
    if not is_whole(given.get("dim")):
        return reduce_along(func, input, given)
    given["p"] = 2 if given.get("p") in ("fro", None) else given["p"]
    return whole(func, input, given)


@rule("linalg_norm")
def linalg_norm(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("ord dim keepdim", args, kwargs)
    if given.get("dim") is not None:
        return reduce_along(func, input, given)
    if given.get("ord") is None:
        return whole(func, input, given)
    if rank(input) not in (1, 2):
        return NotImplemented
    given["dim"] = list(range(rank(input)))
    return reduce_along(func, input, given)


@rule("linalg_vector_norm")
def vector_norm(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("ord dim keepdim", args, kwargs)
    return whole(func, input, given) if is_whole(given.get("dim")) else reduce_along(func, input, given)


@rule("linalg_matrix_norm")
def matrix_norm(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return reduce_along(func, input, {"dim": (-2, -1), **named("ord dim keepdim", args, kwargs)})


@rule("dist")
def dist(func: Any, input: Any, other: Any, p: float = 2) -> Any:
    return (input - other).norm(p)


def _two(x1: Any, x2: Any) -> tuple[Any, Any, Any]:
    """Two tensors that broadcast, physical and of one shape; and their levels."""
    levels = levels_of(x1, x2)
    ndim = max(rank(x1), rank(x2))
    pair = torch.broadcast_tensors(lift(x1, levels, ndim), lift(x2, levels, ndim))
    return pair[0], pair[1], levels


@rule("cosine_similarity")
def cosine_similarity(func: Any, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    first, second, levels = _two(x1, x2)
    shifted = shift(dim, first.dim() - len(levels), len(levels))
    return NotImplemented if shifted is None else wrap(func(first, second, shifted, eps), levels)


@rule("pairwise_distance")
def pairwise_distance(func: Any, x1: Any, x2: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("p eps keepdim", args, kwargs)
    if max(rank(x1), rank(x2)) != 2:
        return NotImplemented
    first, second, levels = _two(x1, x2)
    result = func(first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1]), **given)
    return wrap(result.reshape(list(first.shape[:-1]) + list(result.shape[1:])), levels)


@rule("cross", "linalg_cross")
def cross(func: Any, input: Any, other: Any, dim: Any = None) -> Any:
    first, second, levels = _two(input, other)
    sizes = list(first.shape[len(levels) :])
    if dim is None:
        dim = -1 if func.__name__ == "linalg_cross" else (sizes.index(3) if 3 in sizes else None)
    shifted = shift(dim, len(sizes), len(levels))
    return NotImplemented if shifted is None else wrap(func(first, second, dim=shifted), levels)


@rule("trace")
def trace(func: Any, input: Any) -> Any:
    if rank(input) != 2:
        return NotImplemented
    return wrap(physical_of(input).diagonal(0, -2, -1).sum(-1), levels_of(input))
