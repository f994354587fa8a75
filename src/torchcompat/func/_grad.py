"""``grad``, ``grad_and_value`` and ``vjp``: derivatives in reverse."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable

import torch

from .._shim import Limit, polyfill
from . import _pytree
from ._batched import levels_of, physical_of, rank, spread, wrap
from ._captured import LIMITS as CAPTURED
from ._captured import called
from ._derive import Variables, backward, pull_back
from ._mode import unseen

if TYPE_CHECKING:
    from .._types import Argnums, P

_LINK = "https://github.com/pytorch/pytorch/pull/91026"
_INFERENCE = Limit(
    "inference",
    "In `torch.inference_mode`, all derivatives are zeros, without an error.",
    on="native",
    first="2.0",
    last="2.11",
)
_SECOND = [
    Limit("layer_norm_third", "The third derivative of layer norm: silently wrong.", on="native", first="2.0"),
    Limit("batch_norm_third", "The third derivative of batch norm: silently wrong.", on="native", first="2.0"),
    Limit("batch_norm_third", "The third derivative of batch norm: silently wrong.", on="fallback", last="1.9"),
    Limit(
        "bias_of_batch_norm",
        "The second derivative of batch norm, in training and without a weight, by its bias: silently 0.",
        on="native",
        first="2.0",
    ),
    Limit("weight_norm", "The second derivative of weight norm by the direction: wrong.", on="native", first="2.0"),
    Limit(
        "softplus",
        "The second derivative of `softplus` beyond its *threshold*: silently that of below; of no account with the "
        "default threshold.",
        on="fallback",
        last="1.8",
    ),
    Limit("prod_of_zeros", "The second derivative of `prod()` of two zeros: silently 0.", on="fallback", last="1.9"),
    Limit("singular", "The second derivative of `det` of a singular matrix: silently wrong.", "fallback", last="1.12"),
    Limit(
        "layer_norm",
        "Second derivatives of layer norm, which torch itself gets wrong or corrupts memory: UnsupportedError.",
        on="fallback",
        last="1.6",
    ),
    Limit("kl_div", "Second derivatives of `kl_div` by its target: UnsupportedError.", on="fallback", last="1.12"),
]
_LIMITS = [
    _INFERENCE,
    *_SECOND,
    Limit("complex", "A complex output is not refused.", on="native", first="2.0", last="2.0"),
    Limit("aux_none", "An auxiliary output of None is not refused.", on="native", first="2.0", last="2.2"),
    *CAPTURED,
    Limit(
        "autograd_functional",
        "`torch.autograd.functional` within the function is not refused; without its *create_graph* it gives "
        "constants.",
        on="fallback",
    ),
    Limit(
        "hooks",
        "`requires_grad_`, `retain_grad` and the hooks of saved tensors (`torch.autograd.graph.save_on_cpu`) in the "
        "function are not refused.",
        on="fallback",
    ),
    Limit(
        "norm_penalty",
        "Silently wrong for a function of per-sample gradients (`vmap(grad)`) through layer, batch or instance norm.",
        on="native",
        first="2.0",
    ),
]


def check_argnums(argnums: Any, count: int, name: str) -> None:
    """Raise unless *argnums* is an int or a tuple of ints, each of one of the *count* positional arguments."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"{name}: argnums must be an int or a tuple of ints, got {argnums!r}")
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not numbers:
        raise RuntimeError(f"{name}: argnums must name at least one argument, got ()")
    for number in numbers:
        if not isinstance(number, int):
            raise RuntimeError(f"{name}: argnums must be an int or a tuple of ints, got {argnums!r}")
        if not -count <= number < count:
            raise RuntimeError(f"{name}: argnums has {number}, but there are {count} positional arguments")
    if len({number % count for number in numbers}) < len(numbers):
        raise RuntimeError(f"{name}: argnums must name each argument once, got {argnums!r}")


def check_tensors(leaves: Any, what: str, no_tensor: Any = ValueError, no_floats: Any = RuntimeError) -> None:
    """Raise the errors given unless all *leaves* are tensors of a floating-point or complex dtype."""
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            raise no_tensor(f"{what} must be a tensor (torch.Tensor) or a pytree of tensors, got {type(leaf).__name__}")
        if not (leaf.dtype.is_floating_point or is_complex(leaf)):
            raise no_floats(f"{what} must be of a floating-point or complex dtype, got {leaf.dtype}")


def is_complex(tensor: Any) -> bool:
    """``torch.is_complex``, which is in torch since 1.4 (and ``dtype.is_complex`` since 1.3)."""
    return bool(getattr(tensor.dtype, "is_complex", False))


class Arguments:
    """The positional arguments of a function, those of *argnums* as :class:`Variables`."""

    def __init__(self, argnums: Any, args: Any, name: str) -> None:
        check_argnums(argnums, len(args), name)
        self.chosen = args[argnums] if isinstance(argnums, int) else tuple(args[number] for number in argnums)
        leaves, self.spec = _pytree.flatten(self.chosen)
        check_tensors(leaves, f"{name}: the argument to differentiate by")
        self.variables = Variables(leaves)
        replaced = _pytree.unflatten(self.variables.tensors, self.spec)
        self.args = list(args)
        if isinstance(argnums, int):
            self.args[argnums] = replaced
        else:
            for number, value in zip(argnums, replaced):
                self.args[number] = value


def split_aux(result: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    """The output and the auxiliary output of a function."""
    if not has_aux:
        return result, ()
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{name}: with has_aux=True the function must return a tuple (output, aux), got {result!r}")
    for leaf in _pytree.flatten(result[1])[0]:
        if not isinstance(leaf, torch.Tensor):
            raise RuntimeError(
                f"{name}: aux must be a tensor (torch.Tensor) or a pytree of tensors, got {type(leaf).__name__}"
            )
    return result[0], result[1]


def _check_scalar(output: Any, name: str) -> None:
    if not isinstance(output, torch.Tensor):
        raise RuntimeError(f"{name}: the function must return a tensor without dimensions, got {type(output).__name__}")
    if rank(output):
        raise RuntimeError(
            f"{name}: the function must return a tensor without dimensions, got shape {list(output.shape)}"
        )
    if is_complex(output):
        raise RuntimeError(f"{name}: the function must return a real tensor, got {output.dtype}")


def value_and_grad(func: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any, name: str) -> tuple[Any, Any, Any]:
    """The gradient, the value and the auxiliary output of *func*."""
    with unseen():
        arguments = Arguments(argnums, args, name)
    variables = arguments.variables
    with variables.calling():
        result = called(name, func, arguments.args, kwargs)
        with unseen():
            output, aux = split_aux(result, has_aux, name)
            _check_scalar(output, name)
            physical = spread(output, variables.levels)
            total = physical.sum() if variables.levels else physical
            asked_for = variables.asked_for(total)
            gradients = backward([total], variables.physical, [torch.ones_like(total)], asked_for)
    with unseen():
        found = variables.close(gradients, variables.levels, variables.physical)
        return (
            _pytree.unflatten(found, arguments.spec),
            variables.release(output, asked_for),
            variables.release_all(aux),
        )


@polyfill("torch.func.grad", since="2.0", link=_LINK, limits=_LIMITS)
def grad(func: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, Any]:
    """The function that computes the gradient of *func*.

    In torch since 2.0. Fallback: ``torch.autograd.grad`` of a copy of the inputs; within :func:`vmap` for all samples
    at once.

    Args:
        func: returns a tensor without dimensions, or with *has_aux* a tuple of it and anything else.
        argnums: which positional arguments to differentiate by: an int or a tuple of ints.
        has_aux: whether *func* returns a second, auxiliary output.

    Returns:
        A function of the arguments of *func* that returns the gradient, in the structure of the argument (a tuple of
        them for a tuple of *argnums*); with *has_aux* the tuple of the gradient and the auxiliary output.

    Raises:
        RuntimeError: by the function returned, if *argnums* or the output does not fit.
    """

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, _, aux = value_and_grad(func, argnums, has_aux, args, kwargs, "grad")
        return (found, aux) if has_aux else found

    return gradient


@polyfill("torch.func.grad_and_value", since="2.0", link=_LINK, limits=_LIMITS)
def grad_and_value(func: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, tuple[Any, Any]]:
    """The function that computes the gradient of *func* and its value, in one go.

    In torch since 2.0. Fallback: as :func:`grad`.

    Args:
        func, argnums, has_aux: as for :func:`grad`.

    Returns:
        A function that returns the tuple of the gradient and the value; with *has_aux* the gradient and the tuple of
        the value and the auxiliary output.

    Raises:
        RuntimeError: as :func:`grad`.
    """

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        found, value, aux = value_and_grad(func, argnums, has_aux, args, kwargs, "grad_and_value")
        return (found, (value, aux)) if has_aux else (found, value)

    return both


def _write_back(primals: Any, given: Any) -> None:
    """Write to the caller's tensors what the function wrote to the copies of them."""
    for primal, copy in zip(primals, given):
        if physical_of(copy)._version:
            with torch.no_grad():
                primal.copy_(wrap(physical_of(copy).detach(), levels_of(copy)))


class PullBack:
    """The outputs of *func* at *primals*, and the function from cotangents to gradients.

    Attributes:
        output, aux: what goes back to the caller.
        physical: the tensors of the output, batched over the variables' levels, with their graph.
    """

    no_tensor: Any = ValueError
    no_floats: Any = RuntimeError
    integers_out = False
    may_write = False

    def __init__(self, func: Any, primals: Any, has_aux: bool, name: str, others: Any = ()) -> None:
        self.name = name
        with unseen():
            leaves, self.spec = _pytree.flatten(primals)
            check_tensors(leaves, f"{name}: a primal", self.no_tensor, self.no_floats)
            self.variables = Variables(leaves)
            given = self.variables.copies() if self.may_write else self.variables.tensors
        with self.variables.calling():
            arguments = _pytree.unflatten(given, self.spec)
            result = called(name, func, arguments, {}, others)
            with unseen():
                output, aux = split_aux(result, has_aux, name)
                outputs, self.output_spec = self._outputs(output)
                self.physical = [spread(leaf, self.variables.levels) for leaf in outputs]
        with unseen():
            if self.may_write:
                _write_back(leaves, given)
            released = self.variables.release_all(outputs)
            self.output = _pytree.unflatten(released, self.output_spec)
            self.aux = self.variables.release_all(aux)

    def _outputs(self, output: Any) -> tuple[list[Any], Any]:
        leaves, spec = _pytree.flatten(output)
        if not leaves:
            raise RuntimeError(
                f"{self.name}: the function must return a tensor or a non-empty pytree of tensors, got {output!r}"
            )
        what = f"{self.name}: what the function returns"
        for leaf in leaves:
            if not self.integers_out or not isinstance(leaf, torch.Tensor):
                check_tensors([leaf], what, RuntimeError, RuntimeError)
        return leaves, spec

    def check(self, leaves: Any, spec: Any, expected: Any, tensors: Any, what: str) -> None:
        """Raise unless *leaves*, of structure *spec*, fit physical *tensors* of the *expected* structure."""
        if spec != expected:
            raise RuntimeError(f"{self.name}: the {what}s must have the structure {expected}, got {spec}")
        for leaf, tensor in zip(leaves, tensors):
            if not isinstance(leaf, torch.Tensor):
                raise TypeError(f"{self.name}: a {what} must be a Tensor, got {type(leaf).__name__}")
            wanted = list(tensor.shape[len(self.variables.levels) :])
            if list(leaf.shape) != wanted:
                raise RuntimeError(f"{self.name}: a {what} must have the shape {wanted}, got {list(leaf.shape)}")

    def pull(self, cotangents: Any, retain_graph: bool, create_graph: bool | None) -> Any:
        """Gradients in the structure of the primals, for *cotangents* in that of the output."""
        with unseen():
            leaves, spec = _pytree.flatten(cotangents)
            self.check(leaves, spec, self.output_spec, self.physical, "cotangent")
            levels, gradients = pull_back(self.variables, self.physical, leaves, None, retain_graph, create_graph)
            return _pytree.unflatten(self.variables.close(gradients, levels, self.variables.physical), self.spec)


_VJP_LIMITS = [
    _INFERENCE,
    *CAPTURED,
    Limit(
        "no_grad",
        "Called in `torch.no_grad`, it returns a function whose results have a part of their graph only: their "
        "derivatives are silently wrong.",
        on="native",
        first="2.0",
    ),
]


@polyfill("torch.func.vjp", since="2.0", link=_LINK, limits=_VJP_LIMITS)
def vjp(
    func: Callable[..., Any], *primals: Any, has_aux: bool = False
) -> tuple[Any, Callable[..., Any]] | tuple[Any, Callable[..., Any], Any]:
    """The value of *func* at *primals*, and the function of its vector-Jacobian products.

    In torch since 2.0. Fallback: ``torch.autograd.grad``. Many cotangents at once, as in ``vmap(vjp_fn)``, go through
    the batched backward pass of torch 1.8 and later; below, and where that cannot do it, one after the other.

    Args:
        func: takes tensors or pytrees of them, and returns the same; with *has_aux* a tuple of that and anything else.
        primals: the arguments of *func*.
        has_aux: whether *func* returns a second, auxiliary output.

    Returns:
        The output, and a function that takes cotangents, in the structure and the shapes of the output, and returns a
        tuple with a gradient for each of the primals; with *has_aux* also the auxiliary output. With
        ``retain_graph=False`` it can be called once more only; with ``create_graph=False`` what it returns cannot be
        differentiated again.

    Raises:
        ValueError: if a primal is no tensor.
        RuntimeError: if a primal or an output is not of a floating-point or complex dtype; by the function returned, if
            the cotangents do not fit.
        TypeError: by the function returned, if a cotangent is no tensor.
    """
    pulled = PullBack(func, primals, has_aux, "vjp")

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        return pulled.pull(cotangents, retain_graph, create_graph)

    return (pulled.output, vjp_fn, pulled.aux) if has_aux else (pulled.output, vjp_fn)
