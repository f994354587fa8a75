"""Custom operators: those of ours where torch has nothing of the kind, and what is registered for them by name."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Sequence

import torch

from .._shim import polyfill, positional_only
from .._torch import UnsupportedError, at_least, find
from ._eager import OPERATORS, EagerOp, make
from ._infer import infer_schema, tags_of
from ._schema import Schema
from ._torch_ops import expose

_SOURCE = "https://github.com/pytorch/pytorch/blob/v2.4.0/torch/library.py"
_LATER = "https://github.com/pytorch/pytorch/blob/v2.8.0/torch/library.py"
# Tags that torch's own operators have anyhow where it takes none.
_GIVEN = ("pt2_compliant_tag", "needs_fixed_stride_order")


def own(name: str) -> Any:
    """torch's own function of a name, where torch makes operators itself."""
    return find("torch.library." + name) if at_least(2, 4) else None


def resolved(op: Any, what: str) -> Any:
    """Our operator that *op* is or names; None where it is one of torch's.

    Raises:
        ValueError: *op* is neither a name nor an operator.
    """
    if isinstance(op, EagerOp):
        return op
    kinds = tuple(filter(None, [find("torch._ops.OpOverload"), find("torch._library.custom_ops.CustomOpDef")]))
    if not isinstance(op, (str, *kinds)):
        raise ValueError(f"{what}({op}): got unexpected type for op: {type(op)}")
    name = op if isinstance(op, str) else getattr(op, "_schema", None) and str(getattr(op._schema, "name", ""))
    return OPERATORS.get(str(name).partition(".")[0])


class OfOperators(type):
    """The type of a class whose instances are torch's own operators, too: where both kinds are there."""

    def __instancecheck__(cls, instance: Any) -> bool:
        theirs = find("torch._library.custom_ops.CustomOpDef")
        return super().__instancecheck__(instance) or (theirs is not None and isinstance(instance, theirs))


def unknown(op: Any, what: str, since: str) -> UnsupportedError:
    """The error where *op* is not ours and this torch cannot be told of it."""
    return UnsupportedError(f"{what} of {op!r} needs torch {since} or newer: no custom_op of torchcompat has this name")


def _of_torchs(tags: Any, name: str, fn: Any, given: dict[str, Any]) -> Any:
    """An operator of torch's own kind."""
    if not at_least(2, 8) and given["schema"] is None:
        # These read fewer hints: no lists in lower case, no dtype as a default.
        schema = infer_schema(fn, mutates_args=given["mutates_args"])
        given = {**given, "schema": schema, "mutates_args": Schema(schema).mutated}
    if tags is not None:
        if not at_least(2, 8):
            if not set(tags_of(tags)) <= set(_GIVEN):
                raise UnsupportedError(f"custom_op(tags={tags!r}) needs torch 2.8 or newer")
        else:
            given = {**given, "tags": tags}
    return own("custom_op")(name, fn, **given)


def make_custom_op(kind: Any, name: str, fn: Any, mutates_args: Any, device_types: Any, schema: Any, tags: Any) -> Any:
    """What `custom_op` returns: torch's own kind of operator where it has one, else one of the class *kind*."""
    if fn is None:
        return lambda function: make_custom_op(kind, name, function, mutates_args, device_types, schema, tags)
    if own("custom_op") is not None:
        given = {"mutates_args": mutates_args, "device_types": device_types, "schema": schema}
        return _of_torchs(tags, name, fn, given)
    op = make(name, fn, mutates_args, device_types, schema, tags, kind)
    expose(op)
    return op


def _register(what: str, since: str, op: Any, *args: Any, lib: Any = None, **kwargs: Any) -> Any:
    """Call the method *what* of our operator, or torch's own function."""
    ours = resolved(op, what)
    if ours is not None:
        return getattr(ours, what)(*args, **kwargs)
    theirs = own(what)
    if theirs is None:
        raise unknown(op, what, since)
    return theirs(op, *args, **kwargs, **({} if lib is None else {"lib": lib}))


@polyfill("torch.library.register_kernel", since="2.4", link=_SOURCE)
@positional_only
def register_kernel(
    __op: Any, __device_types: str | Sequence[str] | None, __func: Callable[..., Any] | None = None, *, lib: Any = None
) -> Any:
    """Register the function that computes an operator on a device type, on several, or (None) on all others.

    In torch since 2.4. Fallback: for operators of `torchcompat.library.custom_op`, by object or by name.
    https://docs.pytorch.org/docs/stable/library.html

    Args:
        __op: the operator, or its name "namespace::name".
        __device_types: "cpu", "cuda", ..., several of them, or None.
        __func: takes the arguments of the operator; left out, a decorator is returned.
        lib: the `Library` of an operator that it has defined.

    Raises:
        UnsupportedError: the operator is not ours, and this torch has no such function.
    """
    return _register("register_kernel", "2.4", __op, __device_types, __func, lib=lib)


@polyfill("torch.library.register_fake", since="2.8", link=_LATER, reason="no `allow_override`")
@positional_only
def register_fake(
    __op: Any,
    __func: Callable[..., Any] | None = None,
    *,
    lib: Any = None,
    _stacklevel: int = 1,
    allow_override: bool = True,
) -> Any:
    """Register the function that says what the results of an operator look like, for tensors without data.

    In torch since 2.8. Fallback: for operators of `torchcompat.library.custom_op`, which call it for tensors on the
    device "meta"; for other operators torch's own from 2.2 on. https://docs.pytorch.org/docs/stable/library.html

    Args:
        __op: the operator, or its name.
        __func: takes the arguments of the operator and returns empty tensors; left out, a decorator is returned.
        lib: the `Library` of an operator that it has defined.
        allow_override: whether a second registration takes the place of the first, which torch permits from 2.13 on for
            operators that `custom_op` has not made; it always does for those that it has made.

    Raises:
        UnsupportedError: the operator is not ours, and this torch has no such function.
    """
    ours = resolved(__op, "register_fake")
    theirs = own("register_fake") or find("torch.library.impl_abstract")
    if ours is None and theirs is None:
        raise unknown(__op, "register_fake", "2.2")

    def register(function: Any) -> Any:
        if ours is not None:
            return ours.register_fake(function)
        more = {"allow_override": allow_override} if at_least(2, 13) else {}
        theirs(__op, function, lib=lib, _stacklevel=_stacklevel + 2, **more)
        return function

    return register if __func is None else register(__func)


@polyfill("torch.library.register_autograd", since="2.4", link=_SOURCE)
@positional_only
def register_autograd(
    __op: Any, __backward: Callable[..., Any], *, setup_context: Callable[..., Any] | None = None, lib: Any = None
) -> None:
    """Register the derivative of an operator: ``backward(ctx, *grads)``, after ``setup_context(ctx, inputs, output)``.

    In torch since 2.4. Fallback: for operators of `torchcompat.library.custom_op`, through a
    ``torch.autograd.Function``. https://docs.pytorch.org/docs/stable/library.html

    Args:
        __op: the operator, or its name.
        __backward: returns the gradients of the arguments, None for those that have none.
        setup_context: keeps in *ctx* what *backward* needs. It is called with keywords; an operator that has
            keyword-only arguments also hands over *keyword_only_inputs*, a dict.
        lib: the `Library` of an operator that it has defined.

    Raises:
        RuntimeError: the operator writes to its arguments or returns nothing.
        UnsupportedError: the operator is not ours, and this torch has no such function.
    """
    _register("register_autograd", "2.4", __op, __backward, setup_context=setup_context, lib=lib)


@polyfill("torch.library.register_vmap", since="2.5", link="https://github.com/pytorch/pytorch/pull/130589")
@positional_only
def register_vmap(__op: Any, __func: Callable[..., Any] | None = None, *, lib: Any = None) -> Any:
    """Register how an operator computes a batch: ``func(info, in_dims, *args)`` returns ``(result, out_dims)``.

    In torch since 2.5. Fallback: for operators of `torchcompat.library.custom_op`, under the fallback of
    `torchcompat.func.vmap`. https://docs.pytorch.org/docs/stable/library.html

    Args:
        __op: the operator, or its name.
        __func: *info* has ``batch_size`` and ``randomness``; *in_dims* has the mapped dimension of each argument, or
            None. Left out, a decorator is returned.
        lib: the `Library` of an operator that it has defined.

    Raises:
        UnsupportedError: the operator is not ours, and this torch has no such function.
    """
    return _register("register_vmap", "2.5", __op, __func, lib=lib)


@polyfill("torch.library.register_torch_dispatch", since="2.5", link=_SOURCE.replace("v2.4", "v2.5"))
@positional_only
def register_torch_dispatch(
    __op: Any, __torch_dispatch_class: Any, __func: Callable[..., Any] | None = None, *, lib: Any = None
) -> Any:
    """Register what an operator does for a tensor subclass, or in a mode, of ``__torch_dispatch__``.

    In torch since 2.5. Fallback: UnsupportedError, since only torch can hand calls on so.
    https://docs.pytorch.org/docs/stable/library.html
    """
    return _register("register_torch_dispatch", "2.5", __op, __torch_dispatch_class, __func, lib=lib)


@polyfill("torch.library.register_autocast", since="2.7", link=_SOURCE.replace("v2.4", "v2.7"))
@positional_only
def register_autocast(__op: Any, __device_type: str, __cast_inputs: torch.dtype, *, lib: Any = None) -> None:
    """Register the dtype to which an operator's floating-point arguments are cast under autocast.

    In torch since 2.7. Fallback: for operators of `torchcompat.library.custom_op`, which cast their arguments.
    https://docs.pytorch.org/docs/stable/library.html

    Args:
        __op: the operator, or its name.
        __device_type: "cpu", "cuda", ...
        __cast_inputs: the dtype. Tensors of float64 stay as they are.
        lib: the `Library` of an operator that it has defined.

    Raises:
        ValueError: there is no autocast for the device type.
        UnsupportedError: the operator is not ours, and this torch has no such function.
    """
    _register("register_autocast", "2.7", __op, __device_type, __cast_inputs, lib=lib)


@polyfill(
    "torch.library.triton_op", since="2.6", link=_SOURCE.replace("v2.4", "v2.6").replace("library", "_library/triton")
)
@positional_only
def triton_op(
    __name: str,
    __fn: Callable[..., Any] | None = None,
    *,
    mutates_args: str | Iterable[str],
    schema: str | None = None,
) -> Any:
    """An operator whose function runs Triton kernels, into which the compiler looks.

    In torch since 2.6. Fallback: `torchcompat.library.custom_op`, into which it does not look.
    https://docs.pytorch.org/docs/stable/library.html

    Args:
        __name: "namespace::name".
        __fn: as for `custom_op`; left out, a decorator is returned.
        mutates_args: as for `custom_op`.
        schema: as for `custom_op`.
    """
    from . import custom_op

    return custom_op(__name, __fn, mutates_args=mutates_args, schema=schema)


@polyfill(
    "torch.library.wrap_triton", since="2.6", link=_SOURCE.replace("v2.4", "v2.6").replace("library", "_library/triton")
)
@positional_only
def wrap_triton(__triton_kernel: Callable[..., Any]) -> Any:
    """A Triton kernel as the function of a `triton_op` calls it, so that the compiler sees it.

    In torch since 2.6. Fallback: returns the kernel, which is called in the same way.
    https://docs.pytorch.org/docs/stable/library.html

    Raises:
        RuntimeError: it is no kernel, which is called as ``kernel[grid](...)``.
    """
    if not hasattr(type(__triton_kernel), "__getitem__"):
        raise RuntimeError("wrap_triton only works on functions annotated with triton.jit or triton.autotune")
    return __triton_kernel
