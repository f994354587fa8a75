"""Derivatives by torch.autograd on physical tensors: what all transforms of :mod:`torchcompat.func` but vmap rest on.

A transform makes *variables* of the inputs it differentiates: tensors of its own that require a gradient, batched over
every vmap that is running, so that each sample has a gradient of its own. An input that is not batched is expanded,
with stride 0, which the rules of the layers know how to use.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Sequence

import torch

from .._torch import UnsupportedError, at_least, at_most, refuse_trace
from . import _pytree
from ._batched import Levels, active_levels, count, levels_of, physical_of, spread, wrap
from ._repairs import CANNOT, edges, repaired

Tensors = Sequence[Any]


def _leads(start: Any, wanted: Callable[[Any], bool], known: dict[Any, bool]) -> bool:
    """Whether the graph of the node *start* leads to a leaf, a tensor that was not computed, whose node is *wanted*.

    *known* are the answers for the nodes met so far: gradients share most of their graphs, which are then walked once.
    """
    if start in known:
        return known[start]
    path = [(start, iter(start.next_functions))]
    while path:
        node, following = path[-1]
        for child, _ in following:
            if child is None:
                continue
            if child not in known:
                further = child.next_functions
                if further:
                    path.append((child, iter(further)))
                    break
                known[child] = type(child).__name__ == "AccumulateGrad" and wanted(child)
            if known[child]:
                known.update((above, True) for above, _ in path)
                return True
        else:
            known[node] = False
            path.pop()
    return False


def _no(tensor: Any) -> bool:
    return False


is_inference = getattr(torch.Tensor, "is_inference", _no)  # inference mode came with 1.9


@contextmanager
def recording() -> Iterator[None]:
    """A context in which autograd records, in no_grad and in inference mode too."""
    if at_least(1, 9) and torch.is_inference_mode_enabled():
        with torch.inference_mode(False), torch.enable_grad():
            yield
    else:
        with torch.enable_grad():
            yield


_OWNER = "torchcompat.func"  # in the metadata of a leaf's node: the Owner of that variable


class Owner:
    """Whose variable a leaf is, and whether the function of that transform is being called."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running = True


class Variables:
    """The inputs that one transform differentiates.

    Attributes:
        tensors: logical tensors, to call the function with.
        physical: the tensors behind them, which require a gradient.
        levels: the vmaps that were running, over which all of them are batched.
    """

    def __init__(self, inputs: Tensors) -> None:
        # A trace of torch 1.5 is silently wrong; one of 1.13 and 2.0 ends the process.
        refuse_trace("a derivative of torchcompat.func")
        self.outside = torch.is_grad_enabled()
        self.levels: Levels = active_levels()
        self.owner = Owner()
        self.nodes: list[Any] = []
        self.physical = [self._variable(tensor) for tensor in inputs]
        self.tensors = [wrap(tensor, self.levels) for tensor in self.physical]

    def copies(self) -> list[Any]:
        """Logical tensors in place of :attr:`tensors`, for a function that may write to its arguments."""
        with recording():
            return [wrap(tensor.clone(), self.levels) for tensor in self.physical]

    def _variable(self, tensor: Any) -> Any:
        levels_of(tensor)  # raises for a tensor whose vmap has returned
        with recording():
            batch = spread(tensor, self.levels)
            if batch.requires_grad and not is_inference(batch):
                return batch.view_as(batch)
            return self.leaf(batch.clone() if is_inference(batch) else batch.detach())

    def leaf(self, tensor: Any) -> Any:
        """*tensor*, which has no graph, as a leaf that requires a gradient and that we recognise in every graph."""
        variable = tensor.requires_grad_()
        with recording():
            node = variable.view_as(variable).grad_fn.next_functions[0][0]
        node.metadata[_OWNER] = self.owner  # not self: what a node holds, the garbage collector does not see
        self.nodes.append(node)  # the tensor itself does not keep it
        return variable

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A context in which the function is called: transforms within it must leave a graph to our variables."""
        try:
            with recording():
                yield
        finally:
            self.owner.running = False

    def asked_for(self, tensor: Any, known: dict[Any, bool] | None = None) -> bool:
        """Whether the graph of a physical *tensor* leads to a tensor of the caller's, or of a transform around us.

        *known*, one dict for several tensors, spares their common graph a second walk.
        """
        # What vjp and linearize return is called later, perhaps in another grad mode.
        wanted = self.outside if self.owner.running else torch.is_grad_enabled()
        if not (wanted and tensor.requires_grad):
            return False
        if tensor.grad_fn is None:
            return not any(tensor is variable for variable in self.physical)
        return _leads(tensor.grad_fn, self._is_theirs, {} if known is None else known)

    def _is_theirs(self, leaf: Any) -> bool:
        owner = leaf.metadata.get(_OWNER)
        return owner is None or (owner is not self.owner and owner.running)

    def release(self, tensor: Any, asked_for: bool | None = None, known: dict[Any, bool] | None = None) -> Any:
        """A logical *tensor* that goes back to the caller: without a graph, unless that was asked for."""
        physical = physical_of(tensor)
        if not physical.requires_grad or (self.asked_for(physical, known) if asked_for is None else asked_for):
            return tensor
        return wrap(physical.detach(), levels_of(tensor))

    def release_all(self, tree: Any) -> Any:
        """A pytree of logical tensors; see :meth:`release`."""
        known: dict[Any, bool] = {}
        return _pytree.tree_map(lambda tensor: self.release(tensor, None, known), tree)

    def any_asked_for(self, tensors: Tensors) -> bool:
        """Whether any of the physical *tensors* is :meth:`asked_for`."""
        known: dict[Any, bool] = {}
        return any(self.asked_for(tensor, known) for tensor in tensors)

    def close(self, gradients: Tensors, levels: Levels, like: Tensors) -> list[Any]:
        """Logical tensors of the physical *gradients*, zeros as *like* for None; see :meth:`release`."""
        known: dict[Any, bool] = {}
        return [
            self._zeros(tensor, levels) if gradient is None else self.release(wrap(gradient, levels), None, known)
            for gradient, tensor in zip(gradients, like)
        ]

    def _zeros(self, like: Any, levels: Levels) -> Any:
        sizes = [level.size for level in levels] + list(like.shape[len(self.levels) :])
        return wrap(torch.zeros(sizes, dtype=like.dtype, device=like.device), levels)


@contextmanager
def naming_the_operation() -> Iterator[None]:
    """Errors about an operation that cannot be differentiated twice say what to do."""
    try:
        yield
    except RuntimeError as error:
        found = re.search(r"derivative for '?([\w:.]+)'? is not implemented", str(error))
        if not found:
            raise
        raise UnsupportedError(_ONCE.format(found.group(1), torch.__version__)) from error


_ONCE = (
    "forward-mode derivatives are computed here by differentiating twice, which {} does not support on torch {}. "
    "torch 2.0 and later may; or use jacrev, vjp or grad."
)


def refuse_once_differentiable(products: Tensors) -> None:
    """Raise if derivatives come from a torch.autograd.Function that can be differentiated once: they lead nowhere."""
    if any(type(node).__name__ == "Error" for node, _ in edges(products)):
        raise UnsupportedError(_ONCE.format("a torch.autograd.Function with @once_differentiable", torch.__version__))


@contextmanager
def _recorded(outputs: Tensors, create_graph: bool, forward: bool = False) -> Iterator[None]:
    """A context for a backward pass from *outputs*: one that creates a graph can be differentiated again."""
    try:
        if create_graph:
            with repaired(outputs, forward):
                yield
        else:
            yield
    except UnsupportedError:
        raise
    except RuntimeError as error:
        if CANNOT in str(error):  # torch 1.4 to 1.6 lose the type on the way from another thread
            raise UnsupportedError(str(error)) from error
        raise


def backward(
    outputs: Tensors,
    inputs: Tensors,
    cotangents: Tensors,
    create_graph: bool,
    retain_graph: bool | None = None,
    forward: bool = False,
) -> list[Any]:
    """``torch.autograd.grad`` of physical tensors; None where an input has no influence.

    With *forward*, the result is to be differentiated by the cotangents, for a derivative forward.
    """
    used = [(output, cotangent) for output, cotangent in zip(outputs, cotangents) if output.requires_grad]
    if not used or not inputs:
        return [None] * len(inputs)
    outs, cots = zip(*used)
    with _recorded(outs, create_graph, forward):
        found = torch.autograd.grad(
            outs, list(inputs), cots, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True
        )
    return list(found)


def _batched_natively(outs: Any, inputs: Tensors, cotangents: Any, create_graph: bool) -> Any:
    """All rows of *cotangents* at once, by the vmap inside torch.autograd; only where that is right."""
    # is_grads_batched: https://github.com/pytorch/pytorch/pull/65584, in 1.11, with one tensor from 1.12.
    if at_least(1, 12):
        return torch.autograd.grad(
            outs,
            inputs,
            cotangents,
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=True,
        )

    def one(*row: Any) -> Any:
        found = torch.autograd.grad(outs, inputs, row, create_graph=create_graph, retain_graph=True, allow_unused=True)
        unused[:] = [gradient is None for gradient in found]
        return tuple(gradient for gradient in found if gradient is not None)

    unused: list[bool] = []
    found = iter(torch._vmap_internals._vmap(one)(*cotangents))  # type: ignore[attr-defined]
    return [None if skip else next(found) for skip in unused]


# What torch computes for the derivative of these, where it has to be differentiable or their mean and deviation have
# gradients too, takes the batch of cotangents for the batch of samples, silently: group norm up to 2.13, see
# https://github.com/pytorch/pytorch/pull/183980, and layer norm up to 1.9.
_MISBATCHED = ("NativeGroupNorm",) * at_most(2, 13) + ("NativeLayerNorm",) * at_most(1, 9)


def _can_be_batched(outputs: Tensors, create_graph: bool) -> bool:
    return not _MISBATCHED or not any(
        type(node).__name__.startswith(_MISBATCHED) and (number or create_graph) for node, number in edges(outputs)
    )


def _rows(cotangents: Any, row: int) -> list[Any]:
    return [cotangent[row] for cotangent in cotangents]


def _one_by_one(outs: Any, inputs: Tensors, cotangents: Any, create_graph: bool) -> Any:
    found = [
        torch.autograd.grad(
            outs, inputs, _rows(cotangents, row), create_graph=create_graph, retain_graph=True, allow_unused=True
        )
        for row in range(len(cotangents[0]))
    ]
    return [None if column[0] is None else torch.stack(column) for column in zip(*found)]


def batched_backward(outputs: Tensors, inputs: Tensors, cotangents: Tensors, create_graph: bool) -> list[Any]:
    """:func:`backward` for each row of the *cotangents*, which have one more dimension in front than the outputs."""
    used = [(output, cotangent) for output, cotangent in zip(outputs, cotangents) if output.requires_grad]
    if not used or not inputs:
        return [None] * len(inputs)
    outs, cots = zip(*used)
    inputs = list(inputs)
    with _recorded(outs, create_graph):
        if at_least(1, 8) and len(cots[0]) and _can_be_batched(outs, create_graph):
            try:
                return list(_batched_natively(outs, inputs, cots, create_graph))
            except RuntimeError:
                pass  # an operation whose derivative cannot be batched; an error of the call itself comes up again
        return list(_one_by_one(outs, inputs, cots, create_graph))


def pull_back(
    variables: Variables,
    outputs: Tensors,
    cotangents: Tensors,
    inputs: Tensors | None = None,
    retain_graph: bool = True,
    create_graph: bool | None = None,
) -> tuple[Levels, list[Any]]:
    """The gradients of the *variables*, physical, for logical *cotangents* of physical *outputs*.

    The outputs are batched over the variables' levels. Cotangents may be batched over further vmaps, entered since:
    then so are the gradients. Their levels are the first result. *inputs* are others to differentiate by than the
    variables.
    """
    base = variables.levels
    inputs = variables.physical if inputs is None else inputs
    levels = levels_of(*cotangents)
    extra = tuple(level for level in levels if level not in base)
    rows = [spread(row, base + extra).to(output.dtype) for row, output in zip(cotangents, outputs)]
    if create_graph is None:
        create_graph = torch.is_grad_enabled() and (
            any(row.requires_grad for row in rows) or variables.any_asked_for(outputs)
        )
    if not extra:
        return base, backward(outputs, inputs, rows, create_graph, retain_graph)
    k, size = len(base), count(extra)
    front = list(range(k, k + len(extra))) + list(range(k))
    rows = [row.permute(front + list(range(len(front), row.dim()))) for row in rows]
    rows = [row.reshape([size] + list(row.shape[len(extra) :])) for row in rows]
    found = batched_backward(outputs, inputs, rows, create_graph)
    return base + extra, [None if g is None else _behind(g, k, extra) for g in found]


def _behind(gradient: Any, position: int, extra: Levels) -> Any:
    """*gradient* with its first dimension split into the *extra* levels, at *position*."""
    order = list(range(1, position + 1)) + [0] + list(range(position + 1, gradient.dim()))
    moved = gradient.permute(order)
    shape = list(moved.shape)
    return moved.reshape(shape[:position] + [level.size for level in extra] + shape[position + 1 :])
