"""``opcheck``: whether an operator does what it says of itself, as far as that can be seen in eager."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Sequence

import torch

from .._shim import polyfill
from .._torch import UnsupportedError, at_least
from ._eager import EagerOp, tensors_of
from ._operators import own, resolved

_DEFAULT = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


class OpCheckError(Exception):
    """An operator does not do what it says of itself."""


OpCheckError.__module__ = "torchcompat.library"


def _copied(value: Any, needs_grad: bool = True) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_copied(one, needs_grad) for one in value])
    if not isinstance(value, torch.Tensor):
        return value
    copy = value.detach().clone()
    return copy.requires_grad_() if needs_grad and value.requires_grad else copy


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors hold the same, NaN included."""
    equal = first == second
    if first.dtype.is_floating_point:
        equal = equal | ((first != first) & (second != second))
    return bool(equal.all())


def _schema(op: EagerOp, args: Any, kwargs: Any) -> None:
    """Its function takes what the schema says, and writes to those tensors that it says, and to no other."""
    names = [one.name for one in op._parsed.arguments]
    taken = list(inspect.signature(op._init_fn).parameters)
    if names != taken:
        raise OpCheckError(f"{op!r}: the schema has the arguments {names}, and the function takes {taken}")
    values, named = op._parsed.bind(op._qualname, _copied(args, False), _copied(kwargs, False))
    before, before_named = _copied(values, False), _copied(named, False)
    with torch.no_grad():
        op(*values, **named)  # which also checks that no result is one of the arguments
    pairs = list(zip(op._parsed.positional, before, values))
    pairs += [(one, before_named.get(one.name), named.get(one.name)) for one in op._parsed.keywords]
    for argument, old, new in pairs:
        written = any(not _same(*both) for both in zip(tensors_of([old]), tensors_of([new])))
        if written and not argument.mutable:
            raise OpCheckError(
                f"Argument {argument.name} is not defined as mutable but was mutated by {op!r}; name it in mutates_args"
            )


def _autograd(op: EagerOp, args: Any, kwargs: Any) -> None:
    """Where an argument needs a gradient, there is a derivative that gives one of the right shape."""
    values, named = _copied(args), _copied(kwargs)
    inputs = [one for one in tensors_of(values) if one.requires_grad]
    if not inputs:
        return
    results = [one for one in tensors_of([op(*values, **named)]) if one.requires_grad]
    if results and op._backward_fn is None:
        raise OpCheckError(
            f"{op!r} got an argument that requires a gradient, and has no formula: use register_autograd"
        )
    if results:
        grads = torch.autograd.grad(results, inputs, [torch.ones_like(one) for one in results], allow_unused=True)
        for one, grad in zip(inputs, grads):
            if grad is not None and grad.shape != one.shape:
                raise OpCheckError(f"{op!r}: the gradient has shape {tuple(grad.shape)}, not {tuple(one.shape)}")


def _meta(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_meta(one) for one in value])
    return value.detach().to("meta") if isinstance(value, torch.Tensor) else value


def _fake(op: EagerOp, args: Any, kwargs: Any) -> None:
    """What was registered with `register_fake` gives the shapes, dtypes and strides of the real results."""
    real = list(tensors_of([op(*_copied(args, False), **_copied(kwargs, False))]))
    fake = list(tensors_of([op(*_meta(args), **_meta(kwargs))]))
    if len(real) != len(fake):
        raise OpCheckError(f"{op!r} returns {len(real)} tensors, and its fake impl {len(fake)}")
    for one, other in zip(real, fake):
        for what in ("shape", "dtype"):
            if getattr(one, what) != getattr(other, what):
                raise OpCheckError(
                    f"{op!r} returns {what} {getattr(one, what)}, and its fake impl {getattr(other, what)}"
                )
        if one.stride() != other.stride() and one.numel() > 1:
            raise OpCheckError(f"{op!r} returns strides {one.stride()}, and its fake impl {other.stride()}")


_TESTS: dict[str, Callable[[EagerOp, Any, Any], None]] = {
    "test_schema": _schema,
    "test_autograd_registration": _autograd,
    "test_faketensor": _fake,
}


def _outcome(op: EagerOp, test: str, args: Any, kwargs: Any, raises: bool) -> Any:
    if test == "test_aot_dispatch_dynamic":
        return "SKIPPED: this torch has no compiler for custom operators"
    if test == "test_faketensor" and not at_least(1, 9):
        return "SKIPPED: this torch has no tensors without data"
    try:
        _TESTS[test](op, args, kwargs)
    except Exception as error:
        if raises:
            raise OpCheckError(f"opcheck(op, ...): {test} failed with {error}") from error
        return error
    return "SUCCESS"


@polyfill(
    "torch.library.opcheck",
    since="2.7",
    link="https://github.com/pytorch/pytorch/blob/v2.7.0/torch/library.py",
    reason="no `atol`, no `rtol`",
)
def opcheck(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | Sequence[str] = _DEFAULT,
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
) -> dict[str, str]:
    """Check that a custom operator does what it says: what it writes to, its derivative, and its fake impl.

    In torch since 2.7. Fallback: for operators of torch's kind its own, less *atol* and *rtol*; for those in plain
    Python the checks that need no compiler. https://docs.pytorch.org/docs/stable/library.html

    Args:
        op: what `custom_op` has returned.
        args: positional arguments for a call; they are copied.
        kwargs: keyword arguments.
        test_utils: which of "test_schema", "test_autograd_registration", "test_faketensor" and
            "test_aot_dispatch_dynamic".
        raise_exception: raise what is found; else it is returned.
        atol: absolute tolerance for results of compiled code.
        rtol: relative tolerance, likewise.

    Returns:
        A dict of tests to "SUCCESS", to an error, or to a text that begins with "SKIPPED".

    Raises:
        Exception: the operator does something else than it says.
        ValueError: there is no such test.
    """
    tests = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    if not tests or not set(tests) <= set(_DEFAULT):
        raise ValueError(f"opcheck(op, ..., test_utils={test_utils!r}): expected a subset of {_DEFAULT}")
    ours = resolved(op, "opcheck")
    if ours is not None:
        return {test: _outcome(ours, test, args, kwargs or {}, raise_exception) for test in tests}
    theirs = own("opcheck")
    if theirs is None:
        raise UnsupportedError(f"opcheck of {op!r} needs torch 2.4 or newer: it is no operator of custom_op")
    more = {"atol": atol, "rtol": rtol} if at_least(2, 7) else {}
    found: dict[str, str] = theirs(op, args, kwargs, test_utils=tests, raise_exception=raise_exception, **more)
    return found
