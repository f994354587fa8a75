"""The functions over lists that are each of a kind of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

import torch
from torch import Tensor

from ..._shim import Limit
from . import _arguments as given
from . import _ops as ops
from ._declare import declare, documentation, kernels
from ._kinds import IN_PLACE, LISTS, SELF, check, may_use

if TYPE_CHECKING:
    from ._types import Clone, Copy, Lerp, LerpInPlace, Matrices, Norm, Power, PowerInPlace, Unary, UnaryInPlace

EXPONENT = "exponent: a number, a list of as many numbers, or a list of as many tensors."
LERP = [
    SELF,
    "tensors1: a list of as many tensors, at which weight 1 arrives.",
    "weight: a number, a list of as many numbers, or a list of as many tensors.",
    "weights: a list of as many tensors, as *weight*.",
]
ORD = "ord: the order, any number, ``inf`` and ``-inf`` included."
DTYPE = "dtype: the dtype to compute in and of the result; it may not be narrower than that of a tensor."


def power(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Power:
    """``_foreach_pow``."""
    full = "_foreach_pow"
    step = ops.binary("pow")

    def out_of_place(self: Any, exponent: Any) -> tuple[Tensor, ...]:
        if given.is_number(self):
            base = given.number(full, "self", self)
            return tuple([step(base, each) for each in given.tensor_list(full, "exponent", exponent)])
        tensors = given.tensor_list(full, "self", self)
        _, values = given.operands(full, "exponent", exponent, len(tensors))
        return tuple([step(one, value) for one, value in zip(tensors, values)])

    arguments = ["self: a list or tuple of tensors, at least one; or a number, where *exponent* is a list.", EXPONENT]
    fallback = "a loop over the tensors, which are promoted as on torch 2.15 and given to ``torch.pow``."
    doc = documentation("Raise each tensor of a list to a power.", since, fallback, arguments, False)
    made: Power = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def power_(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> PowerInPlace:
    """``_foreach_pow_``."""
    full = "_foreach_pow_"
    step, kernel_of = ops.binary_("pow"), kernels(full, since)

    def in_place(self: Any, exponent: Any) -> Any:
        tensors = given.tensor_list(full, "self", self)
        kind, values = given.operands(full, "exponent", exponent, len(tensors))
        check(full, "promoted", tensors, values)
        kernel = kernel_of.get(kind)
        if may_use(kernel, tensors, values):
            kernel(tensors, values if kind in LISTS else values[0])  # type: ignore[misc]
            return self
        for one, value in zip(tensors, values):
            step(one, value)
        return self

    doc = documentation("Raise each tensor of a list to a power, in place.", since, IN_PLACE, [SELF, EXPONENT], True)
    made: PowerInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


def _lerp_lists(full: str, self: Any, tensors1: Any, weight: Any, weights: Any) -> tuple[str, list[Sequence[Any]]]:
    name, value = given.one_of(full, weight=weight, weights=weights)
    tensors = given.tensor_list(full, "self", self)
    ends = given.tensor_list(full, "tensors1", tensors1, len(tensors))
    if name == "weights":
        return "List", [tensors, ends, given.tensor_list(full, name, value, len(tensors))]
    kind, values = given.operands(full, name, value, len(tensors))
    return kind, [tensors, ends, values]


def lerp(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Lerp:
    """``_foreach_lerp``."""
    full = "_foreach_lerp"
    kernel_of = kernels(full, since)

    def out_of_place(self: Any, tensors1: Any, weight: Any = None, *, weights: Any = None) -> tuple[Tensor, ...]:
        kind, lists = _lerp_lists(full, self, tensors1, weight, weights)
        kernel = kernel_of.get(kind)
        if may_use(kernel, *lists):
            return tuple(kernel(*lists[:2], lists[2] if kind in LISTS else lists[2][0]))  # type: ignore[misc]
        return tuple([ops.lerp(*row) for row in zip(*lists)])

    doc = documentation(
        "Interpolate between the tensors of two lists.",
        since,
        "a loop over the tensors, with ``torch.lerp``.",
        LERP,
        False,
    )
    made: Lerp = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def lerp_(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> LerpInPlace:
    """``_foreach_lerp_``."""
    full = "_foreach_lerp_"
    kernel_of = kernels(full, since)

    def in_place(self: Any, tensors1: Any, weight: Any = None, *, weights: Any = None) -> Any:
        kind, lists = _lerp_lists(full, self, tensors1, weight, weights)
        check(full, "alike", *lists)
        kernel = kernel_of.get(kind)
        if may_use(kernel, *lists):
            kernel(*lists[:2], lists[2] if kind in LISTS else lists[2][0])  # type: ignore[misc]
            return self
        for tensor, end, value in zip(*lists):
            tensor.lerp_(end, value)
        return self

    doc = documentation("Interpolate between the tensors of two lists, in place.", since, IN_PLACE, LERP, True)
    made: LerpInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


def reduced(name: str, since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Norm:
    """``_foreach_norm`` or ``_foreach_powsum``."""
    full = "_foreach_" + name
    step, kernel = getattr(ops, name), kernels(full, since).get("Scalar")
    what, by = {
        "norm": ("the norm", "``torch.linalg.vector_norm``, or ``torch.norm`` before 1.13"),
        "powsum": ("the sum of the powers of the absolute values", "``abs``, ``pow`` and ``sum``"),
    }[name]

    def out_of_place(self: Any, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
        tensors, order = given.tensor_list(full, "self", self), given.number(full, "ord", ord)
        if not (dtype is None or isinstance(dtype, torch.dtype)):
            raise TypeError(f"{full}(): dtype must be a torch.dtype, got {type(dtype).__name__}")
        if dtype is None and order in (1, 2) and may_use(kernel, tensors):
            return tuple(kernel(tensors, order))  # type: ignore[misc]
        return tuple([step(tensor, order, dtype) for tensor in tensors])

    fallback = f"a loop over the tensors, with {by}."
    doc = documentation(f"Compute {what} of each tensor of a list.", since, fallback, [SELF, ORD, DTYPE], False)
    made: Norm = declare(out_of_place, full, since, link, doc, limits, reason)
    return made


def largest(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Unary:
    """``_foreach_max``."""

    def out_of_place(self: Any) -> tuple[Tensor, ...]:
        return tuple([ops.largest(tensor) for tensor in given.tensor_list("_foreach_max", "self", self)])

    doc = documentation(
        "Find the largest element of each tensor of a list.",
        since,
        "a loop over the tensors, with ``Tensor.max``.",
        [SELF],
        False,
    )
    made: Unary = declare(out_of_place, "_foreach_max", since, link, doc, limits, reason)
    return made


def zero_(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> UnaryInPlace:
    """``_foreach_zero_``."""
    full = "_foreach_zero_"
    kernel = kernels(full, since).get("Scalar")

    def in_place(self: Any) -> Any:
        tensors = given.tensor_list(full, "self", self)
        check(full, "same", tensors)
        if may_use(kernel, tensors):
            kernel(tensors)  # type: ignore[misc]
            return self
        for tensor in tensors:
            tensor.zero_()
        return self

    doc = documentation("Fill each tensor of a list with zeros.", since, IN_PLACE, [SELF], True)
    made: UnaryInPlace = declare(in_place, full, since, link, doc, limits, reason)
    return made


def copy_(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Copy:
    """``_foreach_copy_``."""
    full = "_foreach_copy_"
    kernel = kernels(full, since).get("Scalar")

    def in_place(self: Any, src: Any, non_blocking: bool = False) -> Any:
        tensors = given.tensor_list(full, "self", self)
        sources = given.tensor_list(full, "src", src, len(tensors))
        check(full, "any", tensors, sources)
        if may_use(kernel, tensors, sources):
            kernel(tensors, sources, non_blocking)  # type: ignore[misc]
            return self
        for tensor, source in zip(tensors, sources):
            tensor.copy_(source, non_blocking)
        return self

    arguments = [
        SELF,
        "src: a list of as many tensors, of any dtype and on any device, that broadcast to those of *self*.",
        "non_blocking: as for ``Tensor.copy_``.",
    ]
    doc = documentation("Copy the tensors of one list into those of another.", since, IN_PLACE, arguments, True)
    made: Copy = declare(in_place, full, since, link, doc, limits, reason)
    return made


def clone(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Clone:
    """``_foreach_clone``."""

    def out_of_place(self: Any, *, memory_format: Any = None) -> tuple[Tensor, ...]:
        return tuple([ops.clone(tensor, memory_format) for tensor in given.tensor_list("_foreach_clone", "self", self)])

    arguments = [SELF, "memory_format: as for ``torch.clone``; formats of channels need torch 1.5."]
    fallback = "a loop over the tensors, with ``Tensor.clone``."
    doc = documentation("Copy each tensor of a list.", since, fallback, arguments, False)
    made: Clone = declare(out_of_place, "_foreach_clone", since, link, doc, limits, reason)
    return made


def matrices(since: str, link: str, limits: Sequence[Limit] = (), reason: str = "") -> Matrices:
    """``_foreach_mm``."""

    def out_of_place(self: Any, mat2: Any) -> tuple[Tensor, ...]:
        tensors = given.tensor_list("_foreach_mm", "self", self)
        others = given.tensor_list("_foreach_mm", "mat2", mat2, len(tensors))
        return tuple([one.mm(other) for one, other in zip(tensors, others)])

    arguments = ["self: a list or tuple of matrices, at least one.", "mat2: a list of as many matrices."]
    fallback = "a loop over the pairs, with ``torch.mm``."
    doc = documentation("Multiply the matrices of two lists in pairs.", since, fallback, arguments, False)
    made: Matrices = declare(out_of_place, "_foreach_mm", since, link, doc, limits, reason)
    return made
