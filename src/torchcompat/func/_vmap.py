"""``vmap``: a function of one sample becomes a function of a batch."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable

import torch

from .._shim import polyfill
from .._torch import at_least, refuse_trace
from . import _draws, _mode, _pytree, _reachable
from ._batched import VECTORISES, entered, levels_of, move_dim, physical_of, rank, wrap
from ._derive import is_inference
from ._vmap_limits import LIMITS

if TYPE_CHECKING:
    from .._types import InDims, OutDims, P, R


def _check_in_dim(name: str, in_dim: Any, arg: Any) -> int | None:
    """The dimension of *arg* to map over, not negative, or None."""
    if in_dim is None:
        return None
    if not isinstance(in_dim, int):
        raise ValueError(f"vmap({name}): in_dims must hold ints and None, got {in_dim!r}")
    if not isinstance(arg, torch.Tensor):
        raise ValueError(
            f"vmap({name}): in_dims has {in_dim} for an argument that is no tensor but {type(arg).__name__}; pass None "
            "there"
        )
    dims = rank(arg)
    if not -dims <= in_dim < dims:
        raise ValueError(f"vmap({name}): in_dims has {in_dim} for a tensor of {dims} dimensions")
    return in_dim % dims


class _Inputs:
    """The positional arguments of one call, flat: *leaves*, *dims* to map each over, and the *size* of the batch."""

    generators: Any = ()  # those that the function may draw from, where it matters

    def __init__(self, leaves: list[Any], dims: list[int | None], spec: Any, size: int) -> None:
        self.leaves, self.dims, self.spec, self.size = leaves, dims, spec, size

    def map(self, function: Callable[[Any, int], Any]) -> Any:
        """The arguments again, after *function* of each mapped tensor and its dimension."""
        leaves = [leaf if dim is None else function(leaf, dim) for leaf, dim in zip(self.leaves, self.dims)]
        return _pytree.unflatten(leaves, self.spec)

    def chunk(self, start: int, length: int) -> _Inputs:
        """*length* of the samples, from number *start* on."""
        leaves = [leaf if dim is None else leaf.narrow(dim, start, length) for leaf, dim in zip(self.leaves, self.dims)]
        chunk = _Inputs(leaves, self.dims, self.spec, length)
        chunk.generators = self.generators
        return chunk

    def versions(self) -> list[int]:
        """How often each of the tensors was written to."""
        tensors = [physical_of(leaf) for leaf in self.leaves if isinstance(leaf, torch.Tensor)]
        return [tensor._version for tensor in tensors if not is_inference(tensor)]


def _inputs(name: str, in_dims: Any, args: Any) -> _Inputs:
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}): in_dims must be an int or a tuple with an entry for each argument, got {in_dims!r}"
        )
    if not args:
        raise ValueError(f"vmap({name}): got no positional arguments; there must be at least one to map over")
    leaves, spec = _pytree.flatten(args)
    found = _pytree.broadcast(in_dims, spec)
    if found is None:
        raise ValueError(f"vmap({name}): in_dims {in_dims!r} does not have the structure of the arguments: {spec!r}")
    dims = [_check_in_dim(name, in_dim, leaf) for in_dim, leaf in zip(found, leaves)]
    sizes = [int(leaf.shape[dim]) for leaf, dim in zip(leaves, dims) if dim is not None]
    if not sizes:
        raise ValueError(f"vmap({name}): in_dims has None for every argument; there must be at least one to map over")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap({name}): the mapped dimensions must all have one size, got {sizes}, in their order")
    return _Inputs(leaves, dims, spec, sizes[0])


def _add_level(tensor: Any, dim: int, level: Any) -> Any:
    outer = levels_of(tensor)
    physical = physical_of(tensor)
    return wrap(move_dim(physical, dim + len(outer), len(outer)), outer + (level,))


def _remove_level(tensor: Any, out_dim: int | None, level: Any, name: str) -> Any:
    levels = levels_of(tensor) if isinstance(tensor, torch.Tensor) else ()
    if out_dim is None:
        if level in levels:
            raise ValueError(f"vmap({name}): out_dims has None for a result that differs between the samples")
        return tensor
    dims = rank(tensor) + 1
    if not -dims <= out_dim < dims:
        raise IndexError(
            f"Dimension out of range: vmap({name}): out_dims has {out_dim} for a result that has {dims} dimensions, "
            "that of the batch included"
        )
    if level in levels:
        rest = levels[:-1]
        physical = physical_of(tensor)
    else:
        rest = levels
        physical = physical_of(tensor)
        physical = physical.unsqueeze(len(rest))
        physical = physical.expand([level.size if n == len(rest) else size for n, size in enumerate(physical.shape)])
    return wrap(move_dim(physical, len(rest), len(rest) + out_dim % dims), rest)


def _flat_results(name: str, results: Any, out_dims: Any) -> tuple[list[Any], list[Any], Any]:
    leaves, spec = _pytree.flatten(results)
    dims = [out_dims] if spec.kind is None and isinstance(out_dims, int) else _pytree.broadcast(out_dims, spec)
    if spec.kind is None and isinstance(out_dims, tuple) and len(out_dims) == 1:
        dims = list(out_dims)
    if dims is None or not all(dim is None or isinstance(dim, int) for dim in dims):
        raise ValueError(f"vmap({name}): out_dims {out_dims!r} does not have the structure of the results: {spec!r}")
    for leaf, dim in zip(leaves, dims):
        if dim is not None and not isinstance(leaf, torch.Tensor):
            raise ValueError(f"vmap({name}): the function must return tensors, got {type(leaf).__name__}")
    return leaves, dims, spec


def _vectorised(name: str, call: Any, inputs: _Inputs, out_dims: Any, randomness: str) -> Any:
    with entered(inputs.size, randomness) as level:
        args = inputs.map(lambda tensor, dim: _add_level(tensor, dim, level))
        with _draws.watched(randomness, inputs.generators, level), _mode.seeing():
            results = call(args)
        leaves, dims, spec = _flat_results(name, results, out_dims)
        return _pytree.unflatten([_remove_level(leaf, dim, level, name) for leaf, dim in zip(leaves, dims)], spec)


def _looped(name: str, call: Any, inputs: _Inputs, out_dims: Any, randomness: str) -> Any:
    if not inputs.size:
        raise RuntimeError(f"vmap({name}): a batch of size 0 needs torch 1.7 or later")
    samples = []
    with _draws.function_looped(randomness, inputs.generators) as restart:
        for number in range(inputs.size):
            restart()
            result = call(inputs.map(lambda tensor, dim, number=number: tensor.select(dim, number)))  # type: ignore[misc]
            leaves, dims, spec = _flat_results(name, result, out_dims)
            samples.append(leaves)
    return _pytree.unflatten([_join(torch.stack, column, dim) for column, dim in zip(zip(*samples), dims)], spec)


def _chunked(name: str, call: Any, inputs: _Inputs, out_dims: Any, randomness: str, chunk_size: int) -> Any:
    chunks = []
    with _draws.function_looped(randomness, inputs.generators) as restart:
        for start in range(0, inputs.size, chunk_size):
            restart()
            chunk = inputs.chunk(start, min(chunk_size, inputs.size - start))
            leaves, dims, spec = _flat_results(name, _run(name, call, chunk, out_dims, randomness), out_dims)
            chunks.append(leaves)
    return _pytree.unflatten([_join(torch.cat, column, dim) for column, dim in zip(zip(*chunks), dims)], spec)


def _join(how: Any, tensors: Any, dim: int | None) -> Any:
    return tensors[0] if dim is None else how(tensors, dim)


def _run(name: str, call: Any, inputs: _Inputs, out_dims: Any, randomness: str) -> Any:
    if not VECTORISES:
        return _looped(name, call, inputs, out_dims, randomness)
    versions, state = inputs.versions(), _draws.state_of(inputs.generators)
    try:
        return _vectorised(name, call, inputs, out_dims, randomness)
    except _draws.Unseen as error:
        # Of the levels that it is about, ours has ended. Where they are all outer ones, one of those is to loop.
        if all(level.alive for level in error.levels) or inputs.versions() != versions or not inputs.size:
            raise
    _draws.restore(state)
    return _looped(name, call, inputs, out_dims, randomness)


def mapped(func: Any, in_dims: Any, out_dims: Any, randomness: str, chunk_size: int | None) -> Callable[..., Any]:
    """See :func:`vmap`."""
    if randomness not in _draws.RANDOMNESS:
        raise RuntimeError(f"randomness must be 'error', 'different' or 'same', got {randomness!r}")
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size <= 0):
        raise ValueError(f"chunk_size must be None or a positive int, got {chunk_size!r}")
    name = getattr(func, "__name__", type(func).__name__)

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not at_least(2, 4):
            refuse_trace("vmap")  # up to 1.6 the trace would have the samples' number of loops
        inputs = _inputs(name, in_dims, args)
        chunked = chunk_size is not None and chunk_size < inputs.size
        if chunked or not _mode.SEES_ALL:
            inputs.generators = _reachable.generators(func, args, kwargs)

        def run(args: Any) -> Any:
            return func(*args, **kwargs)

        if chunk_size is None or not chunked:
            return _run(name, run, inputs, out_dims, randomness)
        return _chunked(name, run, inputs, out_dims, randomness, chunk_size)

    return call


@polyfill(
    "torch.func.vmap",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/91026",
    limits=LIMITS,
)
def vmap(
    func: Callable[P, R],
    in_dims: InDims = 0,
    out_dims: OutDims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[P, R]:
    """Map *func*, a function of one sample, over the dimension of its arguments that counts the samples.

    In torch since 2.0. Fallback: from torch 1.7 on the function runs once, on tensors that carry the whole batch and
    have a batching rule for each operation; an operation without a rule is looped over the samples. Below 1.7 the
    whole function is looped.

    Args:
        func: takes tensors, or pytrees of them, without the mapped dimension, and returns tensors or pytrees of them.
        in_dims: the dimension to map over: an int for all arguments, or a tuple with an entry for each, which may be
            nested as the argument is; None for what is not mapped. Keyword arguments are not mapped.
        out_dims: where the mapped dimension is to be in the results, in the same way.
        randomness: what random operations give: "different" or the "same" numbers for each sample, or an "error".
        chunk_size: how many samples to compute at once; None for all.

    Returns:
        A function of the arguments with the mapped dimension in them, which returns the results with it in them.

    Raises:
        ValueError: by the function returned, if *in_dims* or *out_dims* does not fit, or the sizes differ.
        RuntimeError: for a *randomness* that there is not; by the function returned, for what cannot be mapped (a
            branch on a value, a write to a tensor that is not mapped).
    """
    return mapped(func, in_dims, out_dims, randomness, chunk_size)
