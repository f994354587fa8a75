# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.func._calls import functional_call as functional_call
from torchcompat.func._calls import functional_module as functional_module
from torchcompat.func._grad import grad as grad
from torchcompat.func._grad import grad_and_value as grad_and_value
from torchcompat.func._grad import vjp as vjp
from torchcompat.func._jacobians import hessian as hessian
from torchcompat.func._jacobians import jacfwd as jacfwd
from torchcompat.func._jacobians import jacrev as jacrev
from torchcompat.func._jvp import jvp as jvp
from torchcompat.func._jvp import linearize as linearize
from torchcompat.func._modules import replace_all_batch_norm_modules_ as replace_all_batch_norm_modules_
from torchcompat.func._modules import stack_module_state as stack_module_state
from torchcompat.func._tools import debug_unwrap as debug_unwrap
from torchcompat.func._tools import functionalize as functionalize
from torchcompat.func._tools import rearrange as rearrange
from torchcompat.func._vmap import vmap as vmap

__all__ = ['debug_unwrap', 'functional_call', 'functional_module', 'functionalize', 'grad', 'grad_and_value', 'hessian', 'jacfwd', 'jacrev', 'jvp', 'linearize', 'rearrange', 'replace_all_batch_norm_modules_', 'stack_module_state', 'vjp', 'vmap']
__all__ = ['debug_unwrap', 'functional_call', 'functional_module', 'functionalize', 'grad', 'grad_and_value', 'hessian', 'jacfwd', 'jacrev', 'jvp', 'linearize', 'rearrange', 'replace_all_batch_norm_modules_', 'stack_module_state', 'vjp', 'vmap']
