"""``jacrev``, ``jacfwd`` and ``hessian``: all rows, or all columns, of a Jacobian in one batched backward pass."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

import torch

from .._shim import Limit, polyfill
from . import _draws, _pytree, _reachable
from ._batched import move_dim, wrap
from ._captured import LIMITS as CAPTURED
from ._derive import Variables, batched_backward, naming_the_operation
from ._grad import PullBack, check_argnums, is_complex
from ._jvp import PushForward
from ._mode import unseen
from ._vmap import mapped

if TYPE_CHECKING:
    from .._types import Argnums

_LINK = "https://github.com/pytorch/pytorch/pull/91026"
_INFERENCE = Limit(
    "inference",
    "In `torch.inference_mode`, all derivatives are zeros, or there is an error about the mode.",
    on="native",
    first="2.0",
    last="2.11",
)
_TRACE = Limit("trace", "`torch.jit.trace` cannot trace it: RuntimeError.", on="fallback")
_FORWARD_LIMITS = [
    _INFERENCE,
    *CAPTURED,
    Limit("negative", "Negative *argnums* give zeros, without an error.", on="native", first="2.0"),
    Limit("expanded", "An argument that is expanded (of stride 0) is refused: RuntimeError.", on="native", first="2.0"),
]


def _of_chosen(func: Any, argnums: Any, args: Any) -> Callable[..., Any]:
    """*func* as a function of the arguments *argnums* alone."""

    def chosen(*values: Any) -> Any:
        replaced = list(args)
        for number, value in zip((argnums,) if isinstance(argnums, int) else argnums, values):
            replaced[number] = value
        return func(*replaced)

    return chosen


def _choose(argnums: Any, args: Any, name: str) -> Any:
    check_argnums(argnums, len(args), name)
    chosen = tuple(args[number] for number in ((argnums,) if isinstance(argnums, int) else argnums))
    with unseen():
        for leaf in _pytree.flatten(chosen)[0]:
            _check_input(leaf, name)
    return chosen


def _check_input(leaf: Any, name: str) -> None:
    if not isinstance(leaf, torch.Tensor):
        raise ValueError(f"{name}: the argument to differentiate by must hold tensors, got {type(leaf).__name__}")
    if is_complex(leaf):
        raise RuntimeError(f"{name}: the argument to differentiate by must be real, got {leaf.dtype}")


def _check_real(outputs: Sequence[Any], name: str) -> None:
    for output in outputs:
        if is_complex(output):
            raise RuntimeError(f"{name}: what the function returns must be real, got {output.dtype}")


def _units(samples: Sequence[Any], start: int, stop: int) -> Iterator[Any]:
    """Rows *start* to *stop* of the unit matrix over all elements of *samples*, split into one matrix for each."""
    offset = 0
    for sample in samples:
        size = sample.numel()
        rows = torch.zeros(stop - start, size, dtype=sample.dtype, device=sample.device)
        first, last = max(start, offset), min(stop, offset + size)
        if first < last:
            index = torch.arange(first, last, device=sample.device)
            rows[index - start, index - offset] = 1
        yield rows
        offset += size


def _unit_rows(tensors: Sequence[Any], k: int, start: int, stop: int) -> Iterator[Any]:
    """The same for physical *tensors* with *k* levels: in their shapes, and expanded over the levels."""
    samples = [tensor[(0,) * k] for tensor in tensors]
    for rows, sample, tensor in zip(_units(samples, start, stop), samples, tensors):
        lifted = rows.reshape([stop - start] + [1] * k + list(sample.shape))
        yield lifted.expand([stop - start] + list(tensor.shape))


def _all_rows(
    variables: Variables, outputs: Sequence[Any], inputs: Sequence[Any], chunk_size: int | None
) -> tuple[list[Any], list[int]]:
    """For each input the derivatives of all elements of a sample of *outputs* by it, with the element in front."""
    k = len(variables.levels)
    sizes = [torch.Size(output.shape[k:]).numel() for output in outputs]
    create_graph = torch.is_grad_enabled() and variables.any_asked_for(outputs)
    step = chunk_size or max(sum(sizes), 1)
    parts = []
    for start in range(0, sum(sizes), step):
        rows = _unit_rows(outputs, k, start, min(start + step, sum(sizes)))
        parts.append(batched_backward(outputs, inputs, list(rows), create_graph))
    columns = [list(column) for column in zip(*parts)] or [[None] for _ in inputs]
    whole = [
        torch.zeros([sum(sizes)] + list(tensor.shape), dtype=tensor.dtype, device=tensor.device)
        if column[0] is None
        else (torch.cat(column) if len(column) > 1 else column[0])
        for column, tensor in zip(columns, inputs)
    ]
    return whole, sizes


def _blocks(rows: Any, sizes: list[int]) -> Any:
    return rows.split(sizes, 0) if sizes else ()


def _finish(variables: Variables, block: Any, known: dict[Any, bool]) -> Any:
    return variables.release(wrap(block, variables.levels), None, known)


def _jacrev(func: Any, argnums: Any, has_aux: bool, chunk_size: int | None, args: Any) -> Any:
    chosen = _choose(argnums, args, "jacrev")
    pulled = PullBack(_of_chosen(func, argnums, args), chosen, has_aux, "jacrev", args)
    variables, k = pulled.variables, len(pulled.variables.levels)
    found: list[list[Any]] = [[] for _ in pulled.physical]
    known: dict[Any, bool] = {}
    with unseen():
        _check_real(pulled.physical, "jacrev")
        rows, sizes = _all_rows(variables, pulled.physical, variables.physical, chunk_size)
        for tensor, whole in zip(variables.physical, rows):
            for n, (output, block) in enumerate(zip(pulled.physical, _blocks(whole, sizes))):
                block = move_dim(block, 0, k)  # behind the levels
                shape = list(output.shape) + list(tensor.shape[k:])
                found[n].append(_finish(variables, block.reshape(shape), known))
    return _in_structure(pulled, found, argnums), pulled.aux


def _in_structure(pulled: PullBack, found: list[list[Any]], argnums: Any) -> Any:
    """Blocks, by output and input, in the structure of the output, and below in that of the chosen arguments."""
    trees = [_pytree.unflatten(blocks, pulled.spec) for blocks in found]
    if isinstance(argnums, int):
        trees = [tree[0] for tree in trees]
    return _pytree.unflatten(trees, pulled.output_spec)


def _jacfwd(func: Any, argnums: Any, has_aux: bool, args: Any) -> Any:
    chosen = _choose(argnums, args, "jacfwd")
    pushed = PushForward(_of_chosen(func, argnums, args), chosen, has_aux, "jacfwd", args)
    variables, k = pushed.variables, len(pushed.variables.levels)
    found: list[list[Any]] = [[] for _ in pushed.physical]
    known: dict[Any, bool] = {}
    with unseen(), naming_the_operation():
        _check_real(pushed.physical, "jacfwd")
        rows, sizes = _all_rows(variables, pushed.products, pushed.seeds, None)
        for n, (output, whole) in enumerate(zip(pushed.physical, rows)):
            blocks = dict(zip(pushed.places, _blocks(whole, sizes)))
            for place, tensor in enumerate(variables.physical):
                shape = list(output.shape) + list(tensor.shape[k:])
                if place in blocks:
                    block = move_dim(blocks[place], 0, output.dim()).reshape(shape)
                else:
                    block = torch.zeros(shape, dtype=output.dtype, device=output.device)
                found[n].append(_finish(variables, block, known))
    return _in_structure(pushed, found, argnums), pushed.aux


def _jacfwd_different(func: Any, argnums: Any, has_aux: bool, args: Any) -> Any:
    """The same, with *func* called anew for each column, so that each draws random numbers of its own."""
    chosen = _choose(argnums, args, "jacfwd")
    of_chosen = _of_chosen(func, argnums, args)
    leaves, spec = _pytree.flatten(chosen)
    sizes = [leaf.numel() for leaf in leaves]

    def column(*tangents: Any) -> Any:
        pushed = PushForward(of_chosen, chosen, has_aux, "jacfwd", args)
        return pushed.push(_pytree.unflatten(tangents, spec)), pushed.aux if has_aux else ()

    units = [unit.reshape([sum(sizes)] + list(leaf.shape)) for unit, leaf in zip(_units(leaves, 0, sum(sizes)), leaves)]
    tangents, aux = mapped(column, (0,) * len(units), (-1, 0), "different", None)(*units)

    def blocks(tangent: Any) -> Any:
        split = tangent.split(sizes, -1)
        found = [block.reshape(list(block.shape[:-1]) + list(leaf.shape)) for block, leaf in zip(split, leaves)]
        tree = _pytree.unflatten(found, spec)
        return tree[0] if isinstance(argnums, int) else tree

    return _pytree.tree_map(blocks, tangents), _pytree.tree_map(lambda leaf: leaf[0], aux)


def _check_chunk_size(chunk_size: Any) -> None:
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size <= 0):
        raise ValueError(f"jacrev: chunk_size must be None or a positive int, got {chunk_size!r}")


@polyfill("torch.func.jacrev", since="2.0", link=_LINK, limits=[_INFERENCE, *CAPTURED])
def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """The function that computes the Jacobian of *func*, row by row: for fewer outputs than inputs.

    In torch since 2.0. Fallback: one batched backward pass for all rows on torch 1.8 and later; below, and where an
    operation cannot do that, one backward pass for each row.

    Args:
        func: takes tensors or pytrees of them, and returns the same; with *has_aux* a tuple of that and anything else.
        argnums: which positional arguments to differentiate by: an int or a tuple of ints.
        has_aux: whether *func* returns a second, auxiliary output.
        chunk_size: how many rows to compute at once; None for all.

    Returns:
        A function of the arguments of *func*. It returns, in the structure of the output, for each tensor in it of
        shape ``O`` the derivatives by each tensor of the argument, in its structure, of shape ``O + I``; for a tuple
        of *argnums* a tuple of those. With *has_aux*, the tuple of that and the auxiliary output.

    Raises:
        RuntimeError: by the function returned, if *argnums* or an argument does not fit.
        ValueError: for a *chunk_size* below 1.
    """
    _check_chunk_size(chunk_size)

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        found, aux = _jacrev(func, argnums, has_aux, chunk_size, args)
        return (found, aux) if has_aux else found

    return jacobian


@polyfill("torch.func.jacfwd", since="2.0", link=_LINK, limits=[*_FORWARD_LIMITS, _TRACE])
def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """The function that computes the Jacobian of *func*, column by column: for fewer inputs than outputs.

    In torch since 2.0. Fallback: as :func:`linearize`, with all columns in one batched pass on torch 1.8 and later;
    below, and where an operation cannot do that, one pass for each column.

    Args:
        func, argnums, has_aux: as for :func:`jacrev`.
        randomness: what random operations give: "different" or the "same" numbers for each column, or an "error".

    Returns:
        As for :func:`jacrev`.

    Raises:
        RuntimeError: by the function returned, if *argnums*, *randomness* or an argument does not fit.
        UnsupportedError: for an operation that cannot be differentiated twice.
    """

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        if randomness not in _draws.RANDOMNESS:
            raise RuntimeError(f"randomness must be 'error', 'different' or 'same', got {randomness!r}")
        if randomness == "different":
            found, aux = _jacfwd_different(func, argnums, has_aux, args)
        else:
            with _draws.watched(randomness, _reachable.generators(func, args)):
                found, aux = _jacfwd(func, argnums, has_aux, args)
        return (found, aux) if has_aux else found

    return jacobian


@polyfill("torch.func.hessian", since="2.0", link=_LINK, limits=_FORWARD_LIMITS)
def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the second derivatives of *func*.

    In torch since 2.0. Fallback: :func:`jacfwd` of :func:`jacrev`.

    Args:
        func, argnums: as for :func:`jacrev`.

    Returns:
        A function of the arguments of *func*. For an output of shape ``O`` and an input of shape ``I`` it returns a
        tensor of shape ``O + I + I``, in the structure of a Jacobian of a Jacobian.

    Raises:
        RuntimeError, UnsupportedError: as :func:`jacrev` and :func:`jacfwd`.
    """

    def gradient(*args: Any) -> Any:
        return _jacrev(func, argnums, False, None, args)[0]

    @functools.wraps(func)
    def second(*args: Any) -> Any:
        with _draws.watched("error", _reachable.generators(func, args)):
            return _jacfwd(gradient, argnums, False, args)[0]

    return second
