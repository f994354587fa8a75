"""Score and mask modifiers: evaluated on a whole tile at once, and searched for the tensors that they capture."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Iterator, Sequence

import torch

from ...._shim import SHIMS
from ...._torch import compiling
from ....func import vmap as _loads_the_shim  # noqa: F401

# Ours on every torch: under torch's, up to 2.5 and perhaps later, a captured tensor cannot be indexed by a scalar.
_vmap: Callable[..., Any] = SHIMS["func.vmap"].fallback

# What a modifier written for scalars may raise when it is handed a tile (torch.dot, a 2-D matmul, ...).
_SCALAR_ONLY = (RuntimeError, IndexError, TypeError, ValueError)


def positional_parameters(mod: Any) -> int:
    """How many arguments *mod* must be given: 5 for a score modifier, 4 for a mask modifier."""
    parameters = inspect.signature(mod).parameters.values()
    return sum(parameter.default is parameter.empty for parameter in parameters)


class Tile:
    """A range of batches, of heads, of query rows and of key columns: ``(first, last + 1)`` each."""

    def __init__(
        self, batches: tuple[int, int], heads: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        self.spans = (batches, heads, rows, columns)
        self.columns = columns
        self.shape = (
            batches[1] - batches[0],
            heads[1] - heads[0],
            rows[1] - rows[0],
            columns[1] - columns[0],
        )

    def indices(self, device: Any) -> tuple[Any, ...]:
        """Four index tensors, each along its own dimension of four, so that they broadcast to the tile."""
        spread = []
        for place, (start, end) in enumerate(self.spans):
            shape = [1, 1, 1, 1]
            shape[place] = end - start
            spread.append(torch.arange(start, end, device=device).view(shape))
        return tuple(spread)


def _fits(out: Any, shape: Sequence[int]) -> bool:
    # With other than four dimensions something was reduced over the tile, or is a constant: scalars will tell.
    if out.dim() != 4:
        return False
    for mine, theirs in zip(list(out.size()), shape):  # noqa: SIM110  torch.compile of 2.7 traces no all()
        if mine not in (1, theirs):
            return False
    return True


def _by_vmap(mod: Callable[..., Any], lead: tuple[Any, ...], indices: Sequence[Any]) -> Any:
    for place in (3, 2, 1, 0):
        mapped = tuple(0 if place == at else None for at in range(4))
        mod = _vmap(mod, in_dims=(0,) * len(lead) + mapped)
    return mod(*lead, *(index.reshape(-1) for index in indices))


class Mapped:
    """A modifier that has to be mapped over scalars."""

    def __init__(self, mod: Callable[..., Any]) -> None:
        self.mod = mod


def _agree(one: Any, other: Any) -> bool:
    one, other = one.detach().double(), other.detach().double()
    near = (one - other).abs() <= 1e-3 * (1.0 + other.abs())
    return bool((near | (one == other) | ((one != one) & (other != other))).all())


def prepared(name: str, mod: Any, lead: tuple[Any, ...], sizes: Sequence[int], device: Any) -> Any:
    """*mod*, or *mod* marked to be mapped if it gives something else for index tensors than for scalars.

    Compared are four corners of the scores; what a modifier reduces over the whole tile differs there, as a rule.

    Args:
        name: of the modifier, for messages.
        mod: the modifier.
        lead: what it takes before the indices, a scalar tensor or nothing.
        sizes: of batches, heads, queries and keys.
        device: of the indices.
    """
    if 0 in sizes or compiling():
        return mod
    ends = [torch.tensor([0, size - 1], device=device) for size in sizes]
    indices = [end.view([-1 if at == place else 1 for at in range(4)]) for place, end in enumerate(ends)]
    with torch.no_grad():
        try:
            whole = mod(*(score.expand(2, 2, 2, 2) for score in lead), *indices)
        except _SCALAR_ONLY:
            return Mapped(mod)
        if not isinstance(whole, torch.Tensor):
            raise TypeError(f"{name} must return a Tensor, got {type(whole).__name__}")
        if not _fits(whole, (2, 2, 2, 2)):
            return Mapped(mod)
        whole = whole.expand(2, 2, 2, 2)
        for corner in ((0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 0), (0, 0, 0, 1)):
            single = mod(*lead, *(end[at] for end, at in zip(ends, corner)))
            if single.dim() or not _agree(whole[corner], single):
                return Mapped(mod)
    return mod


def evaluate(name: str, mod: Any, lead: tuple[Any, ...], tile: Tile, device: Any) -> Any:
    """What *mod* gives for every element of the tile, of a shape that broadcasts to the tile's.

    Torch maps a modifier over scalars. Handed index tensors of four dimensions instead, one that is made of elementwise
    operations and of indexing gives the same, faster; any other is mapped.
    """
    indices = tile.indices(device)
    if isinstance(mod, Mapped):
        return _by_vmap(mod.mod, lead, indices)
    out = mod(*lead, *indices)
    if not isinstance(out, torch.Tensor):
        raise TypeError(f"{name} must return a Tensor, got {type(out).__name__}")
    return out if _fits(out, tile.shape) else _by_vmap(mod, lead, indices)


# ---------------------------------------------------------------------------------------------------------------------
# Captured tensors


def _parts(thing: Any) -> Iterator[Any]:
    """What a function, an object or a collection holds."""
    if isinstance(thing, (list, tuple, set, frozenset)):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, functools.partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif inspect.ismethod(thing):
        yield from (thing.__func__, thing.__self__)
    elif inspect.isfunction(thing):
        yield from (thing.__defaults__, thing.__kwdefaults__)
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not assigned yet
                pass
        yield from (thing.__globals__.get(name) for name in thing.__code__.co_names)
    elif not inspect.ismodule(thing) and not inspect.isclass(thing):
        yield getattr(thing, "__dict__", None)


def _held_tensors(mod: Any) -> list[Any]:
    """The tensors that need a gradient among what *mod* refers to."""
    seen: set[int] = set()
    tensors: list[Any] = []
    left = [mod]
    while left and len(seen) < 10000:
        thing = left.pop()
        if thing is None or isinstance(thing, (str, bytes, int, float)) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            if thing.requires_grad:
                tensors.append(thing)
        else:
            left.extend(_parts(thing))
    return tensors


def _leaf(node: Any) -> Any:
    """The leaf tensor into which this node of a graph adds gradients, or None."""
    return getattr(node, "variable", None)


def _walk(out: Any, known: dict[Any, dict[int, Any]]) -> tuple[list[Any], set[Any]]:
    """The captured tensors at which the graph of *out* ends, and the nodes on the way."""
    found: dict[int, Any] = {}
    nodes: set[Any] = set()
    left = [(out.grad_fn, out.output_nr)] if out.requires_grad else []
    while left:
        node, number = left.pop()
        if node is None:
            continue
        tensor = known.get(node, {}).get(number)
        if tensor is None:
            tensor = _leaf(node)
        if tensor is not None:
            found[id(tensor)] = tensor
        elif node not in nodes:
            nodes.add(node)
            left.extend(node.next_functions)
    return list(found.values()), nodes


def _depends(tensor: Any, others: Sequence[Any]) -> bool:
    """Whether *tensor* was computed from one of *others*."""
    targets = {other.grad_fn for other in others if other.grad_fn is not None}
    leaves = {id(other) for other in others if other.grad_fn is None}
    seen: set[Any] = set()
    left = [] if tensor.grad_fn is None else [node for node, _ in tensor.grad_fn.next_functions]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in targets or id(_leaf(node)) in leaves:
            return True
        left.extend(following for following, _ in node.next_functions)
    return False


def captured(sample: Callable[[], Any], mod: Any) -> list[Any] | None:
    """The tensors of which *mod* makes use and that need a gradient; None if they cannot be told apart.

    A function is no input of a graph, so these are found in the graph of *sample()*, a small evaluation of *mod*: it
    ends at leaves and at tensors that *mod* holds. What two evaluations share beyond those was computed elsewhere,
    and then the tensor at which *mod* took it up is not known.
    """
    if not torch.is_grad_enabled():
        return []
    generator = torch.get_rng_state()
    outs = [sample(), sample()]
    if not torch.equal(generator, torch.get_rng_state()):
        raise RuntimeError("score_mod must draw no random numbers: they would be others in the backward pass")
    if not outs[0].requires_grad:
        return []
    known: dict[Any, dict[int, Any]] = {}
    for tensor in _held_tensors(mod):
        if tensor.grad_fn is not None:
            known.setdefault(tensor.grad_fn, {})[tensor.output_nr] = tensor
    (found, first), (_, second) = (_walk(out, known) for out in outs)
    if first & second:
        return None
    for place, tensor in enumerate(found):
        if _depends(tensor, found[:place] + found[place + 1 :]):
            return None
    return found
