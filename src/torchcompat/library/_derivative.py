"""The derivative of an operator in eager: *setup_context* and *backward* in a ``torch.autograd.Function``.

Autograd takes tensors and no lists of them. So lists are taken apart and put together again, and values that are not
tensors are handed on beside them.
"""

from __future__ import annotations

from typing import Any

import torch

from .._functions._promote import is_complex

_NEEDS: Any = torch.autograd.function._C._FunctionBase.needs_input_grad  # type: ignore[attr-defined]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, torch.Tensor) for one in value)


def flat(values: Any) -> tuple[list[Any], list[int]]:
    """The values with those of lists of tensors in their place, and for each value how many these are; -1 for one."""
    found: list[Any] = []
    counts = []
    for value in values:
        found += value if _is_list(value) else [value]
        counts.append(len(value) if _is_list(value) else -1)
    return found, counts


def nested(values: Any, counts: list[int]) -> tuple[Any, ...]:
    """The inverse of :func:`flat`."""
    rest = list(values)
    found: list[Any] = []
    for count in counts:
        found.append(rest.pop(0) if count < 0 else [rest.pop(0) for _ in range(count)])
    return tuple(found)


class Call:
    """One call of an operator: its arguments, and what its function has returned."""

    def __init__(self, op: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.op, self.kwargs = op, kwargs
        self.flat, self.counts = flat(args)
        self.returned: Any = None
        self.is_tuple = False
        self.places: list[bool] = []  # which of the flat results are tensors
        self.out_counts: list[int] = []

    def run(self, ctx: Any, values: Any) -> tuple[Any, ...]:
        """Run the kernel and *setup_context*; the tensors that it returns."""
        args = list(nested(values, self.counts))
        result = self.op._run(args, self.kwargs)
        setup = self.op._setup_context_fn
        if setup is not None:
            inputs, keywords = self.op._parsed.filled(args, self.kwargs)
            more = {"keyword_only_inputs": keywords} if self.op._parsed.keywords else {}
            setup(ctx=ctx, inputs=inputs, output=result, **more)
        self.is_tuple = isinstance(result, tuple)
        self.returned, self.out_counts = flat(result if self.is_tuple else (result,))
        self.places = [isinstance(one, torch.Tensor) for one in self.returned]
        tensors = tuple(one for one in self.returned if isinstance(one, torch.Tensor))
        whole = [one for one in tensors if not (one.dtype.is_floating_point or is_complex(one.dtype))]
        if whole:
            ctx.mark_non_differentiable(*whole, *(getattr(ctx, "non_differentiable", None) or ()))
        return tensors

    def result(self, tensors: Any) -> Any:
        """What the operator returns, with the *tensors* that autograd has given out in their places."""
        rest = list(tensors)
        values = [rest.pop(0) if is_tensor else one for one, is_tensor in zip(self.returned, self.places)]
        found = nested(values, self.out_counts)
        return found if self.is_tuple else found[0]

    def gradients(self, ctx: Any, grads: Any) -> tuple[Any, ...]:
        """Those of the flat arguments, from those of the flat tensors of the result."""
        op = self.op
        if op._backward_fn is None:
            raise RuntimeError(
                f"Trying to backward through {op._qualname} but no autograd formula was registered. Please use "
                "register_autograd to add one."
            )
        rest = list(grads)
        found = op._backward_fn(
            ctx, *nested([rest.pop(0) if is_tensor else None for is_tensor in self.places], self.out_counts)
        )
        several = found if isinstance(found, tuple) else (found,)
        given, places = len(self.counts), len(op._parsed.positional)
        if len(several) not in (given, places):
            expected = str(given) if given == places else f"{given} or {places}"
            raise RuntimeError(
                f"The backward formula for {op._qualname} returned an incorrect number of gradients (expected "
                f"{expected}, got {len(several)}). Expected one gradient for each forward input, or for each "
                "positional input to the operator. Use None for inputs that do not require a gradient."
            )
        if any(one is not None for one in several[given:]):
            raise RuntimeError(
                f"The backward formula for {op._qualname} returned a non-None gradient for an input that was not "
                "passed to the operator."
            )
        return self._flat_gradients(several[:given])

    def _flat_gradients(self, several: Any) -> tuple[Any, ...]:
        flat_ones: list[Any] = []
        for one, count in zip(several, self.counts):
            if count < 0:
                flat_ones.append(one)
            elif one is None:
                flat_ones += [None] * count
            elif isinstance(one, list) and len(one) == count:
                flat_ones += one
            else:
                raise RuntimeError(
                    f"Expected the return from backward to be of the same structure as the inputs: a list of {count} "
                    f"for a list of tensors; got {type(one).__name__} (return from backward)"
                )
        return tuple(flat_ones)


class Differentiable(torch.autograd.Function):  # type: ignore[misc]
    """The operator of the `Call` that comes first among its arguments."""

    @staticmethod
    def forward(ctx: Any, call: Call, *values: Any) -> Any:
        ctx._call_of_operator = call
        tensors = call.run(ctx, values)
        return tensors if len(tensors) != 1 else tensors[0]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx._call_of_operator.gradients(ctx, grads))


def _needs(ctx: Any) -> Any:
    """As the function *backward* knows the arguments: without the call, and in their lists."""
    needs = _NEEDS.__get__(ctx)
    call = getattr(ctx, "_call_of_operator", None)
    return needs if call is None else nested(needs[1:], call.counts)


# torch's own attribute cannot be written to on the object.
Differentiable._backward_cls.needs_input_grad = property(_needs)


def apply(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call *op* where some argument needs a gradient."""
    call = Call(op, args, kwargs)
    tensors = Differentiable.apply(call, *call.flat)
    return call.result(tensors if isinstance(tensors, tuple) else (tensors,))
