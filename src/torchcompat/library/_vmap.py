"""Operators under vmap's fallback: by the rule that was registered, or sample by sample."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..func._batched import levels_of, move_dim, spread, wrap


class Info(NamedTuple):
    """What a rule is told of the vmap."""

    batch_size: int
    randomness: str


def _outer(value: Any, level: Any) -> tuple[Any, Any]:
    """An argument as the vmaps around the innermost one see it, and the dimension that this one maps over."""
    if isinstance(value, list):
        pairs = [_outer(one, level) for one in value]
        return [one for one, _ in pairs], [dim for _, dim in pairs]
    if isinstance(value, torch.Tensor):
        levels = levels_of(value)
        if level in levels:
            physical: Any = value
            return wrap(physical._physical, levels[:-1]), 0
    return value, None


def _inner(result: Any, out_dims: Any, levels: Any) -> Any:
    """A result of a rule as a sample of the innermost vmap."""
    if isinstance(result, (list, tuple)):
        dims = out_dims if isinstance(out_dims, (list, tuple)) else [out_dims] * len(result)
        return type(result)([_inner(one, dim, levels) for one, dim in zip(result, dims)])
    if not isinstance(result, torch.Tensor) or out_dims is None:
        return result
    outer = levels[:-1]
    whole = spread(result, outer)
    dims = whole.dim() - len(outer)
    return wrap(move_dim(whole, len(outer) + out_dims % dims, len(outer)), levels)


def _sample(value: Any, dim: Any, at: int) -> Any:
    if isinstance(value, list):
        return [_sample(one, its_dim, at) for one, its_dim in zip(value, dim)]
    return value if dim is None else value.select(0, at)


def _stacked(results: list[Any]) -> tuple[Any, Any]:
    """The results of all samples together, and the dimension in which each stands."""
    first = results[0]
    if isinstance(first, (list, tuple)):
        pairs = [_stacked(list(ones)) for ones in zip(*results)]
        return type(first)([one for one, _ in pairs]), [dim for _, dim in pairs]
    return (torch.stack(results), 0) if isinstance(first, torch.Tensor) else (first, None)


def mapped(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call *op* with arguments some of which are samples of a batch."""
    if levels_of(*kwargs.values()):
        raise RuntimeError(f"vmap: {op!r} with a keyword-only argument that is mapped over")
    if op._parsed.mutated:
        raise RuntimeError(f"vmap: {op!r} writes to its arguments, which vmap cannot map over")
    levels = levels_of(*args)
    pairs = [_outer(one, levels[-1]) for one in args]
    values, in_dims = [one for one, _ in pairs], tuple(dim for _, dim in pairs)
    if op._vmap_fn is not None:
        result, out_dims = op._vmap_fn(Info(levels[-1].size, levels[-1].randomness), in_dims, *values, **kwargs)
    else:
        samples = range(levels[-1].size)
        result, out_dims = _stacked(
            [op(*(_sample(one, dim, at) for one, dim in zip(values, in_dims)), **kwargs) for at in samples]
        )
    return _inner(result, out_dims, levels)
