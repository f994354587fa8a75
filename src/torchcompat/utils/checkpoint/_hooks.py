"""Activation checkpointing with hooks on what autograd saves, which torch has from 1.11.

The forward pass saves empty holders in place of tensors. When the backward pass wants one filled, the function runs
again, and the n-th tensor that autograd would save then fills the n-th holder.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable

import torch

from ..._torch import find

_hooks: Any = find("torch.autograd.graph.saved_tensors_hooks")


class _Holder:
    __slots__ = ("__weakref__", "value")

    def __init__(self) -> None:
        self.value: torch.Tensor | None = None


class _Keep(torch.autograd.Function):  # type: ignore[misc]
    """Saves tensors as autograd saves them: versions are checked, and a checkpoint around this one sees them."""

    @staticmethod
    def forward(ctx: Any, marker: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(*tensors)
        return marker.new_empty(0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise AssertionError("nothing is computed from it")


class _Arguments:
    """Positional arguments, the tensors among them kept by :class:`_Keep`."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._where = [i for i, x in enumerate(arguments) if isinstance(x, torch.Tensor)]
        self._others = [None if isinstance(x, torch.Tensor) else x for x in arguments]
        marker = torch.empty(0, requires_grad=True)
        self._kept: Any = _Keep.apply(marker, *(arguments[i] for i in self._where))  # type: ignore[no-untyped-call]

    def __call__(self) -> list[Any]:
        arguments = list(self._others)
        for i, tensor in zip(self._where, self._kept.grad_fn.saved_tensors):
            arguments[i] = tensor
        return arguments


class _Stop(Exception):
    """Everything that is wanted has been recomputed."""


class _Recomputation:
    """One run of the function for a frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.count = 0
        self.stopped = False
        self.error: RuntimeError | None = None

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        frame = self.frame
        tensor = tensor.detach() if tensor.requires_grad else tensor
        position, self.count = self.count, self.count + 1
        if position >= len(frame.holders):
            if frame.complete:
                self.error = frame.error("the recomputation saves more tensors than the forward pass did")
                raise self.error
            # A backward pass inside the function, before its end: what the function will save yet is not known.
            frame.partial = True
            return tensor
        holder = frame.holders[position]()
        if holder is not None:
            holder.value = tensor
        if frame.early_stop and self.count == len(frame.holders):
            self.stopped = True
            raise _Stop
        return tensor

    def run(self) -> None:
        arguments = self.frame.arguments()
        try:
            with _hooks(self._pack, lambda tensor: tensor), torch.enable_grad():
                self.frame.again(*arguments)
        except Exception:
            # torch 1.11 to 1.13 turn whatever a hook raises into a RuntimeError.
            if self.error:
                raise self.error from None
            if not self.stopped:
                raise


class Frame:
    """One call of a checkpointed function: how to run it again, and the holders that wait for its tensors."""

    def __init__(
        self,
        again: Callable[..., Any],
        arguments: tuple[Any, ...],
        describe: Callable[[torch.Tensor], Any],
        early_stop: bool,
        error: Callable[[str], RuntimeError],
    ) -> None:
        self.again = again
        self.arguments = _Arguments(arguments)
        self.early_stop = early_stop
        self.error = error
        self.holders: list[Any] = []
        self.complete = False
        self.partial = False
        self._describe = describe
        self._described: list[Any] = []

    def hooks(self) -> Any:
        """The context for the forward pass."""
        return _hooks(self._pack, self._unpack)

    def _pack(self, tensor: torch.Tensor) -> _Holder:
        holder = _Holder()
        # Weakly: a holder lives as long as the node of the graph that wants its tensor.
        self.holders.append(weakref.ref(holder))
        self._described.append(self._describe(tensor))
        return holder

    def _unpack(self, holder: _Holder) -> torch.Tensor:
        if holder.value is None:
            run = _Recomputation(self)
            run.run()
            self._check(run.count)
        # The tensor is given away at once, so that a graph that is retained does not retain it.
        value, holder.value = holder.value, None
        assert value is not None
        return value

    def _check(self, count: int) -> None:
        if self.partial:
            return
        if count != len(self.holders):
            raise self.error(
                "a different number of tensors was saved: "
                f"{len(self.holders)} in the forward pass, {count} in the recomputation"
            )
        for position, (weak, before) in enumerate(zip(self.holders, self._described)):
            holder = weak()
            now = before if holder is None or holder.value is None else self._describe(holder.value)
            if now != before:
                raise self.error(
                    f"saved tensor {position} differs.\nsaved metadata: {before}\nrecomputed metadata: {now}"
                )


def run(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    frame: Frame,
    context: Any,
) -> Any:
    """The forward pass: ``function(*args, **kwargs)``, of which the graph keeps holders only."""
    with frame.hooks(), context:
        result = function(*args, **kwargs)
    frame.complete = True
    return result
