"""What makes the functions over lists: for each kind of them a function that makes one out of a row of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Sequence

import torch
from torch import Tensor

from ..._shim import Limit
from ..._torch import compiling
from . import _arguments as given
from . import _ops as ops
from ._arguments import is_inexact
from ._declare import declare, documentation, kernels

if TYPE_CHECKING:
    from ._types import Binary, BinaryInPlace, Pointwise, PointwiseInPlace, Sum, SumInPlace, Unary, UnaryInPlace

LISTS = ("List", "ScalarList")
SELF = "self: a list or tuple of tensors, at least one."


def _summary(name: str, in_place: bool, how: str = "") -> str:
    return f"Apply ``torch.{name}`` to each tensor of a list{how}{', in place' if in_place else ''}."


def _fallback(name: str) -> str:
    return f"a loop over the tensors, which are promoted as on torch 2.15 and given to ``torch.{name}``."


def may_use(kernel: Any, *lists: Sequence[Any]) -> bool:
    """Whether torch's own *kernel* gives what the loop gives, derivatives included. It may be None."""
    return kernel is not None and is_simple(*lists) and not compiling()


def is_simple(*lists: Sequence[Any]) -> bool:
    """Whether there is nothing to promote, to broadcast, to differentiate or to trace."""
    tracing = torch._C._get_tracing_state() is not None
    return not tracing and given.is_plain(*lists) and not any(given.records(*values) for values in lists)


def check(function: str, rule: str, *lists: Sequence[Any]) -> None:
    """Raise before anything is written what writing would raise in the middle."""
    if not is_simple(*lists):
        given.check_in_place(function, rule, zip(*lists))


# One list


def unary(name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Unary:
    """A function of one list, ``_foreach_abs``."""
    full = "_foreach_" + name
    step, kernel = ops.unary(name), kernels(full, since).get("Scalar")

    def out_of_place(self: Any) -> tuple[Tensor, ...]:
        tensors = given.tensor_list(full, "self", self)
        if may_use(kernel, tensors):
            return tuple(kernel(tensors))  # type: ignore[misc]
        return tuple([step(tensor) for tensor in tensors])

    doc = documentation(_summary(name, False), since, _fallback(name), [SELF], False)
    made: Unary = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def unary_(name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> UnaryInPlace:
    """The same, in place: ``_foreach_abs_``."""
    full = f"_foreach_{name}_"
    step, kernel = ops.unary_(name), kernels(full, since).get("Scalar")
    rule = "floating" if name in ops.FLOATING else "same"

    def in_place(self: Any) -> Any:
        tensors = given.tensor_list(full, "self", self)
        check(full, rule, tensors)
        if may_use(kernel, tensors):
            kernel(tensors)  # type: ignore[misc]
            return self
        for tensor in tensors:
            step(tensor)
        return self

    fallback = f"a loop over the tensors, with ``Tensor.{name}_``, once all of them have been checked."
    doc = documentation(_summary(name, True), since, fallback, [SELF], True)
    made: UnaryInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


# Two operands


def _operand(full: str, count: int, tensor: bool, other: Any, scalar: Any, scalars: Any) -> tuple[str, Sequence[Any]]:
    name, value = given.one_of(full, other=other, scalar=scalar, scalars=scalars)
    if name == "scalar":
        return "Scalar", [given.number(full, name, value)] * count
    if name == "scalars":
        return "ScalarList", given.number_list(full, name, value, count)
    return given.operands(full, name, value, count, tensor)


def _described(tensor: bool, alpha: bool) -> list[str]:
    others = " or a tensor without dimensions" if tensor else ""
    lines = [
        SELF,
        f"other: a list of as many tensors, a number, a list of as many numbers,{others}.".replace(",.", "."),
        "scalar: a number, as *other*.",
        "scalars: a list of numbers, as *other*.",
    ]
    lines += ["alpha: a number that *other* is multiplied with, where it holds tensors."] if alpha else []
    return lines


def binary(
    name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "", tensor: bool = False
) -> Binary:
    """A function of a list and an operand, ``_foreach_mul``; *tensor*: which may be a tensor without dimensions."""
    full = "_foreach_" + name
    step, kernel_of = ops.binary(name), kernels(full, since)

    def out_of_place(self: Any, other: Any = None, *, scalar: Any = None, scalars: Any = None) -> tuple[Tensor, ...]:
        tensors = given.tensor_list(full, "self", self)
        kind, values = _operand(full, len(tensors), tensor, other, scalar, scalars)
        kernel = kernel_of.get(kind)
        if may_use(kernel, tensors, values):
            return tuple(kernel(tensors, values if kind in LISTS else values[0]))  # type: ignore[misc]
        return tuple([step(one, value) for one, value in zip(tensors, values)])

    doc = documentation(
        _summary(name, False, " and an operand"), since, _fallback(name), _described(tensor, False), False
    )
    made: Binary = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def binary_(
    name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "", tensor: bool = False
) -> BinaryInPlace:
    """The same, in place: ``_foreach_mul_``."""
    full = f"_foreach_{name}_"
    step, kernel_of = ops.binary_(name), kernels(full, since)
    rule = "floating" if name == "div" else "promoted"

    def in_place(self: Any, other: Any = None, *, scalar: Any = None, scalars: Any = None) -> Any:
        tensors = given.tensor_list(full, "self", self)
        kind, values = _operand(full, len(tensors), tensor, other, scalar, scalars)
        check(full, rule, tensors, values)
        kernel = kernel_of.get(kind)
        if may_use(kernel, tensors, values):
            kernel(tensors, values if kind in LISTS else values[0])  # type: ignore[misc]
            return self
        for one, value in zip(tensors, values):
            step(one, value)
        return self

    doc = documentation(_summary(name, True, " and an operand"), since, IN_PLACE, _described(tensor, False), True)
    made: BinaryInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


IN_PLACE = "a loop over the tensors with torch's operation in place, once all of them have been checked."


def _as_numbers(tensors: Sequence[Tensor], values: Sequence[Any]) -> Sequence[Any]:
    """The one tensor without dimensions that is to be added, which weighs no more than a number: torch 2.15 adds so."""
    value = values[0]
    if not value.dtype.is_floating_point:
        return values
    plain = value.to(torch.get_default_dtype())
    return [value if is_inexact(tensor) else plain for tensor in tensors]


def _alpha(full: str, kind: str, alpha: Any) -> dict[str, Any]:
    if kind not in ("List", "Tensor") and alpha != 1:
        raise TypeError(f"{full}(): alpha is for tensors: multiply the numbers with it")
    return {} if type(alpha) is int and alpha == 1 else {"alpha": given.number(full, "alpha", alpha)}


def summed(
    name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "", tensor: bool = False
) -> Sum:
    """As :func:`binary`, with ``alpha``: ``_foreach_add`` and ``_foreach_sub``."""
    full = "_foreach_" + name
    step, kernel_of = ops.binary(name), kernels(full, since)

    def out_of_place(
        self: Any, other: Any = None, *, alpha: Any = 1, scalar: Any = None, scalars: Any = None
    ) -> tuple[Tensor, ...]:
        tensors = given.tensor_list(full, "self", self)
        kind, values = _operand(full, len(tensors), tensor, other, scalar, scalars)
        values = _as_numbers(tensors, values) if kind == "Tensor" else values
        extra, kernel = _alpha(full, kind, alpha), kernel_of.get(kind)
        if may_use(kernel, tensors, values):
            return tuple(kernel(tensors, values if kind in LISTS else values[0], **extra))  # type: ignore[misc]
        return tuple([step(one, value, **extra) for one, value in zip(tensors, values)])

    doc = documentation(
        _summary(name, False, " and an operand"), since, _fallback(name), _described(tensor, True), False
    )
    made: Sum = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def summed_(
    name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "", tensor: bool = False
) -> SumInPlace:
    """The same, in place."""
    full = f"_foreach_{name}_"
    step, kernel_of = ops.binary_(name), kernels(full, since)

    def in_place(self: Any, other: Any = None, *, alpha: Any = 1, scalar: Any = None, scalars: Any = None) -> Any:
        tensors = given.tensor_list(full, "self", self)
        kind, values = _operand(full, len(tensors), tensor, other, scalar, scalars)
        extra = _alpha(full, kind, alpha)
        check(full, "promoted", tensors, values)
        kernel = kernel_of.get(kind)
        if may_use(kernel, tensors, values):
            kernel(tensors, values if kind in LISTS else values[0], **extra)  # type: ignore[misc]
            return self
        for one, value in zip(tensors, values):
            step(one, value, **extra)
        return self

    doc = documentation(_summary(name, True, " and an operand"), since, IN_PLACE, _described(tensor, True), True)
    made: SumInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


# Three lists

POINTWISE = [
    SELF,
    "tensor1: a list of as many tensors.",
    "tensor2: a list of as many tensors.",
    "value: a number that their product or quotient is multiplied with, or what *scalars* may be.",
    "scalars: a list of as many numbers, or a tensor of one dimension that holds them, in place of *value*.",
]


def _factors(full: str, count: int, value: Any, scalars: Any) -> tuple[str, Any, Sequence[Any]]:
    if scalars is not None and not (type(value) is int and value == 1):
        raise TypeError(f"{full}(): value and scalars cannot both be given")
    value = value if scalars is None else scalars
    if scalars is None and given.is_number(value) and not isinstance(value, Tensor):
        return "Scalar", value, [value] * count
    if isinstance(value, Tensor):
        if value.dim() != 1:
            raise RuntimeError(f"{full}(): scalars must have one dimension, got shape {tuple(value.shape)}")
        if len(value) != count:
            raise RuntimeError(
                f"{full}(): scalars must hold as many numbers as there are tensors, {count}, got {len(value)}"
            )
        return "Tensor", value, value.tolist()
    numbers = given.number_list(full, "scalars", value, count)
    return "ScalarList", numbers, numbers


def _pointwise_lists(full: str, self: Any, tensor1: Any, tensor2: Any) -> list[Sequence[Tensor]]:
    tensors = given.tensor_list(full, "self", self)
    first = given.tensor_list(full, "tensor1", tensor1, len(tensors))
    return [tensors, first, given.tensor_list(full, "tensor2", tensor2, len(tensors))]


def pointwise(name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Pointwise:
    """``_foreach_addcmul`` or ``_foreach_addcdiv``."""
    full = "_foreach_" + name
    step, kernel_of = ops.pointwise(name), kernels(full, since)

    def out_of_place(
        self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None
    ) -> tuple[Tensor, ...]:
        lists = _pointwise_lists(full, self, tensor1, tensor2)
        kind, passed, factors = _factors(full, len(lists[0]), value, scalars)
        kernel = kernel_of.get(kind)
        if may_use(kernel, *lists, factors):
            return tuple(_call(kernel, kind, lists, passed))
        return tuple([step(*row) for row in zip(*lists, factors)])

    doc = documentation(_summary(name, False, " and two more lists"), since, _fallback(name), POINTWISE, False)
    made: Pointwise = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def pointwise_(name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> PointwiseInPlace:
    """The same, in place."""
    full = f"_foreach_{name}_"
    step, kernel_of = ops.pointwise_(name), kernels(full, since)

    def in_place(self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> Any:
        lists = _pointwise_lists(full, self, tensor1, tensor2)
        kind, passed, factors = _factors(full, len(lists[0]), value, scalars)
        check(full, "promoted", *lists)
        kernel = kernel_of.get(kind)
        if may_use(kernel, *lists, factors):
            _call(kernel, kind, lists, passed)
            return self
        for row in zip(*lists, factors):
            step(*row)
        return self

    doc = documentation(_summary(name, True, " and two more lists"), since, IN_PLACE, POINTWISE, True)
    made: PointwiseInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


def _call(kernel: Callable[..., Any], kind: str, lists: Sequence[Any], passed: Any) -> Any:
    return kernel(*lists, value=passed) if kind == "Scalar" else kernel(*lists, passed)
