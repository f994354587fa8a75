"""``jvp`` and ``linearize``: derivatives forward, by differentiating twice in reverse.

The vector-Jacobian product ``g(v)`` is linear in ``v``, so its own vector-Jacobian product with a tangent is the
Jacobian-vector product. This works on every torch; its forward mode came by and by, and was right for what networks use
from 1.12 on (https://github.com/pytorch/pytorch/issues/71117).
"""

from __future__ import annotations

from typing import Any, Callable

import torch

from .._shim import Limit, polyfill
from . import _pytree
from ._captured import LIMITS as CAPTURED
from ._derive import backward, naming_the_operation, pull_back, recording, refuse_once_differentiable
from ._grad import PullBack, check_tensors, is_complex
from ._mode import unseen

_LINK = "https://github.com/pytorch/pytorch/pull/91026"
_JVP_LIMITS = [
    Limit("trace", "`torch.jit.trace` cannot trace it: RuntimeError.", on="fallback"),
    Limit(
        "inference",
        "In `torch.inference_mode`, all derivatives are zeros, without an error.",
        on="native",
        first="2.0",
        last="2.11",
    ),
    Limit("expanded", "A primal that is expanded (of stride 0) is refused: RuntimeError.", on="native", first="2.0"),
    Limit(
        "no_grad",
        "What is computed under `torch.no_grad` within the function is a constant; torch's own differentiates it.",
        on="fallback",
    ),
]
_JVP_LIMITS += [
    *CAPTURED,
    Limit(
        "padding_idx",
        "`embedding` by its table: the row *padding_idx* is taken for a constant.",
        on="fallback",
        first="1.8",
        last="1.9",
    ),
    Limit(
        "layer_norm",
        "Layer norm, whose second derivative torch itself gets wrong or corrupts memory with: UnsupportedError.",
        on="fallback",
        last="1.6",
    ),
]
_LINEARIZE_LIMITS = [
    *CAPTURED,
    Limit(
        "writes",
        "A write to a tensor that the function captured is not refused, and made three times.",
        on="native",
        first="2.0",
    ),
    Limit("constant", "An output that does not depend on the primals: an error.", on="native", first="2.0", last="2.4"),
    Limit(
        "nested",
        "Within other transforms, and where the primals require a gradient: RuntimeError; within `grad`, memory that "
        "was never written.",
        on="native",
        first="2.0",
    ),
]


class PushForward(PullBack):
    """The outputs of *func* at *primals*, and the function from tangents of those to tangents of these.

    Attributes:
        seeds: by output, the ``v`` of its vector-Jacobian product.
        products: the vector-Jacobian products that depend on the seeds.
        places: which of the variables each product belongs to.
    """

    no_tensor = RuntimeError
    no_floats = ValueError
    integers_out = True
    may_write = True
    same_dtype = False

    def __init__(self, func: Any, primals: Any, has_aux: bool, name: str, others: Any = ()) -> None:
        super().__init__(func, primals, has_aux, name, others)
        with unseen(), recording(), naming_the_operation():
            self.seeds = [self.variables.leaf(_seed(output)) for output in self.physical]
            products = backward(self.physical, self.variables.physical, self.seeds, create_graph=True, forward=True)
            refuse_once_differentiable([product for product in products if product is not None])
            self.places = [n for n, product in enumerate(products) if product is not None and product.requires_grad]
        self.products = [products[n] for n in self.places]

    def _check_dtypes(self, tangents: Any) -> None:
        for tangent, primal in zip(tangents, self.variables.physical):
            if tangent.dtype != primal.dtype:
                raise RuntimeError(
                    f"{self.name}: a tangent must have the dtype of its primal, {primal.dtype}, got {tangent.dtype}"
                )

    def push(self, tangents: Any) -> Any:
        """Tangents of the outputs for *tangents* in the structure of the primals."""
        with unseen(), naming_the_operation():
            leaves, spec = _pytree.flatten(tangents)
            check_tensors(leaves, f"{self.name}: a tangent", RuntimeError, ValueError)
            self.check(leaves, spec, self.spec, self.variables.physical, "tangent")
            if self.same_dtype:
                self._check_dtypes(leaves)
            rows = [leaves[n] for n in self.places]
            levels, found = pull_back(self.variables, self.products, rows, self.seeds)
            return _pytree.unflatten(self.variables.close(found, levels, self.physical), self.output_spec)


def _check_trees(primals: Any, tangents: Any) -> None:
    """Raise unless the *tangents* have the structure of the *primals*, and there are tensors in it.

    That is seen before the function is called: one primal too many is its TypeError.
    """
    leaves, spec = _pytree.flatten(primals)
    found = _pytree.flatten(tangents)[1]
    if found != spec:
        raise RuntimeError(f"jvp: the tangents must have the structure of the primals, {spec}, got {found}")
    if not leaves:
        raise RuntimeError(f"jvp: primals must hold at least one tensor, got {primals!r}")


def _seed(output: Any) -> Any:
    floating = output.dtype.is_floating_point or is_complex(output)
    # Any numbers do, for the products are linear in them; but the gradient of logcumsumexp takes their logarithm.
    return torch.ones(output.shape, dtype=output.dtype if floating else None, device=output.device)


@polyfill("torch.func.jvp", since="2.0", link=_LINK, limits=_JVP_LIMITS)
def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, Any] | tuple[Any, Any, Any]:
    """The value of *func* at *primals*, and its Jacobian there times *tangents*.

    In torch since 2.0. Fallback: two vector-Jacobian products, so every operation must be differentiable twice; the
    error names the one that is not.

    Args:
        func: takes tensors or pytrees of them, and returns the same; with *has_aux* a tuple of that and anything else.
        primals: tuple of the arguments of *func*.
        tangents: tuple in the structure and the shapes of *primals*.
        strict: raise if an output does not depend on the primals, in place of a tangent of zeros.
        has_aux: whether *func* returns a second, auxiliary output.

    Returns:
        The tuple of the output and its tangent, in the structure of the output; with *has_aux* and the auxiliary
        output.

    Raises:
        RuntimeError: if primals and tangents do not fit.
        UnsupportedError: for an operation that cannot be differentiated twice.
    """
    for label, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, tuple):
            raise RuntimeError(
                f"jvp: {label} must be a tuple with an entry for each argument, got {type(value).__name__}"
            )
    _check_trees(primals, tangents)
    pushed = PushForward(func, primals, has_aux, "jvp")
    if strict and not all(output.requires_grad for output in pushed.physical):
        raise RuntimeError("jvp: strict=True, and an output does not depend on any of the primals")
    tangent = pushed.push(tangents)
    return (pushed.output, tangent, pushed.aux) if has_aux else (pushed.output, tangent)


@polyfill("torch.func.linearize", since="2.0", link=_LINK, limits=_LINEARIZE_LIMITS)
def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of *func* at *primals*, and the function of its Jacobian-vector products there.

    In torch since 2.0. Fallback: as :func:`jvp`, with the first of the two products computed once.

    Args:
        func: takes tensors or pytrees of them, and returns the same.
        primals: the arguments of *func*.

    Returns:
        The output, and a function that takes tangents, one for each of *primals*, and returns that of the output. It
        does not call *func* again.

    Raises:
        RuntimeError: by the function returned, if the tangents do not fit.
        UnsupportedError: for an operation that cannot be differentiated twice.
    """
    pushed = PushForward(func, primals, False, "linearize")
    pushed.same_dtype = True

    def jvp_fn(*tangents: Any) -> Any:
        return pushed.push(tangents)

    return pushed.output, jvp_fn
