"""Activation checkpointing for torch up to 1.10, which has no hooks on what autograd saves that nest.

The function runs once with gradients. The graph that this makes is read, to find the tensors that the result depends
on, and dropped; a single node takes its place, which connects those tensors with the results and, in the backward
pass, runs the function again and differentiates it.
"""

from __future__ import annotations

from typing import Any, Callable

import torch

from ._trees import fill, outputs_in, replace_inputs, substitute

Describe = Callable[[torch.Tensor], Any]


def _leaves(outputs: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[str]]:
    """The leaves that *outputs* depend on, and the names of the nodes of their graph, in a fixed order."""
    leaves, names, seen = [], [], set()
    waiting = [output.grad_fn for output in outputs]
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        names.append(type(node).__name__)
        if names[-1] == "AccumulateGrad":
            leaves.append(node.variable)
        waiting.extend(following for following, _ in node.next_functions)
    return leaves, names


def _position(tensor: torch.Tensor, tensors: list[torch.Tensor]) -> int:
    """Where *tensor* itself is in *tensors*, or -1."""
    return next((i for i, other in enumerate(tensors) if other is tensor), -1)


def _root(tensor: torch.Tensor) -> torch.Tensor:
    base: torch.Tensor | None = tensor._base
    return tensor if base is None else base


def _exposed(outputs: list[torch.Tensor], known: list[torch.Tensor]) -> list[bool]:
    """Which *outputs* share their memory with one of *known* or with one another."""
    roots, known = [_root(x) for x in outputs], [_root(x) for x in known]
    return [_position(root, known) >= 0 or sum(other is root for other in roots) > 1 for root in roots]


class _Mark(torch.autograd.Function):  # type: ignore[misc]
    """Tells the frame that the backward pass reached an output: before 1.7 an unreached one gets zeros too."""

    @staticmethod
    def forward(ctx: Any, frame: _Frame, index: int, value: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.frame, ctx.index = frame, index
        # No view, which could not be changed in place later, but where the version counter is looked at.
        return value.detach() if frame.exposed[index] else value.data

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        ctx.frame.reached.add(ctx.index)
        return None, None, grads[0]


class _Node(torch.autograd.Function):  # type: ignore[misc]
    """Stands for the whole graph of the function."""

    @staticmethod
    def forward(ctx: Any, frame: _Frame, values: list[torch.Tensor], *inputs: torch.Tensor) -> Any:  # type: ignore[override]
        ctx.frame = frame
        # One tensor at least, for torch to notice a second backward pass through a graph that was not retained.
        ctx.save_for_backward(*inputs[: frame.slots], torch.empty(0))
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, None, *ctx.frame.backward(list(ctx.saved_tensors[:-1]), list(grads)))


class _Frame:
    """One call of a checkpointed function."""

    def __init__(
        self, again: Callable[..., Any], call: Any, describe: Describe, error: Callable[[str], Exception]
    ) -> None:
        self.again = again
        self.call = call
        self.describe = describe
        self.error = error
        self.slots = 0
        self.captured: list[torch.Tensor] = []
        self.reached: set[int] = set()
        self.outputs: list[Any] = []
        self.names: list[str] = []
        self.exposed: list[bool] = []
        self.versions: list[tuple[torch.Tensor, int]] = []

    def _check(self, outputs: list[torch.Tensor]) -> None:
        if len(outputs) != len(self.outputs):
            raise self.error(
                f"the forward pass made {len(self.outputs)} tensors with a gradient, the recomputation {len(outputs)}"
            )
        for position, (output, before) in enumerate(zip(outputs, self.outputs)):
            now = self.describe(output)
            if now != before:
                raise self.error(f"output {position} differs.\nsaved metadata: {before}\nrecomputed metadata: {now}")
        names = _leaves(outputs)[1]
        if self.describe(outputs[0]) is not None and names != self.names:
            raise self.error(
                "a different number of tensors was saved, or others: the graph of the recomputation is "
                f"{names}, that of the forward pass was {self.names}"
            )

    def gradients(self, live: list[torch.Tensor], grads: list[Any], create_graph: bool) -> tuple[Any, ...]:
        """The gradients of *live*, in place of the arguments, and of what the function captured."""
        wanted = [i for i, grad in enumerate(grads) if grad is not None]
        # Of an argument that no result depends on an alias without a history was saved.
        live = [x if x.requires_grad else x.detach().requires_grad_() for x in live]
        args, kwargs = fill(self.call, live)
        with torch.enable_grad():
            outputs = outputs_in(self.again(*args, **kwargs), live)
            self._check(outputs)
        # Retained, since what the function captured may have a history, which is not ours to free.
        found: tuple[Any, ...] = torch.autograd.grad(
            [outputs[i] for i in wanted],
            live + self.captured,
            [grads[i] for i in wanted],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
        return found

    def backward(self, saved: list[torch.Tensor], grads: list[Any]) -> tuple[Any, ...]:
        for tensor, version in self.versions:
            if tensor._version != version:
                raise RuntimeError(
                    "an argument of a checkpointed function, needed for its recomputation, or a result that shares its "
                    "memory with another or with an argument, has been modified by an inplace operation: "
                    f"it is at version {tensor._version}; expected version {version} instead"
                )
        grads = [grad if i in self.reached else None for i, grad in enumerate(grads)]
        self.reached.clear()
        if not torch.is_grad_enabled():
            return self.gradients([x.detach().requires_grad_() for x in saved], grads, create_graph=False)

        # A backward pass that will itself be differentiated is one more function to checkpoint.
        def differentiate(live: list[torch.Tensor], grads: list[Any]) -> Any:
            return list(self.gradients(live, grads, create_graph=True))

        result = run(differentiate, differentiate, (saved, grads), {}, lambda tensor: None, self.error, every=True)
        return tuple(result)


def _unchanged(tensors: list[torch.Tensor], versions: list[int]) -> None:
    for tensor, version in zip(tensors, versions):
        if tensor._version != version:
            raise RuntimeError(
                "a checkpointed function has modified its argument by an inplace operation, so that it cannot be "
                "recomputed: give it a clone"
            )


def run(
    function: Callable[..., Any],
    again: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    describe: Describe,
    error: Callable[[str], Exception],
    every: bool = False,
) -> Any:
    """The forward pass, ``function(*args, **kwargs)``; the backward pass calls *again* in the same way.

    *every*: detach leaves among the arguments too.
    """
    call, slots = replace_inputs((args, kwargs), every)
    versions = [x._version for x in slots]
    fixed = [(x, x._version) for x in args if isinstance(x, torch.Tensor) and _position(x, slots) < 0]
    live = [x.detach().requires_grad_() for x in slots]
    filled_args, filled_kwargs = fill(call, live)
    result = function(*filled_args, **filled_kwargs)
    _unchanged(slots, versions)
    outputs = outputs_in(result, live)
    if not outputs:
        return _put(result, live, slots, [], [])
    frame = _Frame(again, call, describe, error)
    leaves, frame.names = _leaves(outputs)
    frame.outputs = [describe(output) for output in outputs]
    frame.captured = [leaf for leaf in leaves if _position(leaf, live) < 0]
    frame.exposed = _exposed(outputs, live + frame.captured)
    values = [x.detach() if exposed else x.data for x, exposed in zip(outputs, frame.exposed)]
    # Of results that share memory a change cannot be differentiated here, only noticed.
    shared = [(x.detach(), x._version) for x, exposed in zip(values, frame.exposed) if exposed]
    frame.slots, frame.versions = len(slots), fixed + shared
    # What no result depends on gets no edge, so that torch can tell that it was not used.
    inputs = [x if _position(alias, leaves) >= 0 else x.detach() for x, alias in zip(slots, live)]
    joined = _Node.apply(frame, values, *inputs, *frame.captured)  # type: ignore[no-untyped-call]
    marked = [_Mark.apply(frame, i, value) for i, value in enumerate(joined)]  # type: ignore[no-untyped-call]
    return _put(result, live, slots, outputs, marked)


def _put(result: Any, live: list[Any], slots: list[Any], outputs: list[Any], marked: list[Any]) -> Any:
    """*result* with the original in place of each stand-in."""
    return substitute(result, live + outputs, slots + marked)
