"""``torch.func``: function transforms, and modules as functions of their parameters and buffers."""

from . import _rules as _rules  # the batching rules register themselves
from ._calls import functional_call, functional_module
from ._grad import grad, grad_and_value, vjp
from ._jacobians import hessian, jacfwd, jacrev
from ._jvp import jvp, linearize
from ._vmap import vmap

__all__ = [
    "functional_call",
    "functional_module",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "vjp",
    "vmap",
]
