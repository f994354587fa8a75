"""``torch.func``: function transforms, and modules as functions of their parameters and buffers."""

from ._calls import functional_call, functional_module
from ._grad import grad, grad_and_value, vjp
from ._jacobians import hessian, jacfwd, jacrev
from ._jvp import jvp, linearize
from ._modules import replace_all_batch_norm_modules_, stack_module_state
from ._tools import debug_unwrap, functionalize, rearrange
from ._vmap import vmap

__all__ = [
    "debug_unwrap",
    "functional_call",
    "functional_module",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "rearrange",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
