"""One stable API, every PyTorch: today's torch names on torch 1.2 to 2.15.

Every name is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from ._lazy import attach as _attach
from ._shim import check_forced as _check_forced

if TYPE_CHECKING:
    from . import accelerator as accelerator
    from . import amp as amp
    from . import attention as attention
    from . import autograd as autograd
    from . import compiler as compiler
    from . import cpu as cpu
    from . import determinism as determinism
    from . import device as device
    from . import dtypes as dtypes
    from . import func as func
    from . import jit as jit
    from . import memory as memory
    from . import mps as mps
    from . import nn as nn
    from . import optim as optim
    from . import precision as precision
    from . import serialization as serialization
    from . import utils as utils
    from . import xpu as xpu
    from ._every import SHIMS as SHIMS
    from ._functions.checks import _assert as _assert
    from ._functions.checks import _check as _check
    from ._functions.checks import _check_index as _check_index
    from ._functions.checks import _check_is_size as _check_is_size
    from ._functions.checks import _check_not_implemented as _check_not_implemented
    from ._functions.checks import _check_tensor_all as _check_tensor_all
    from ._functions.checks import _check_type as _check_type
    from ._functions.checks import _check_value as _check_value
    from ._functions.checks import _check_with as _check_with
    from ._functions.constants import e as e
    from ._functions.constants import inf as inf
    from ._functions.constants import nan as nan
    from ._functions.constants import newaxis as newaxis
    from ._functions.constants import pi as pi
    from ._functions.symbolic import sym_float as sym_float
    from ._functions.symbolic import sym_int as sym_int
    from ._functions.symbolic import sym_ite as sym_ite
    from ._functions.symbolic import sym_max as sym_max
    from ._functions.symbolic import sym_min as sym_min
    from ._functions.symbolic import sym_not as sym_not
    from ._functions.symbolic import sym_sqrt as sym_sqrt
    from ._functions.symbolic import sym_sum as sym_sum
    from ._meshgrid import meshgrid as meshgrid
    from ._torch import UnsupportedError as UnsupportedError
    from ._torch import at_least as at_least
    from ._torch import at_most as at_most
    from ._torch import has as has
    from ._torch import is_version as is_version
    from ._torch import torch_version as torch_version
    from .amp import GradScaler as GradScaler
    from .amp import autocast as autocast
    from .amp._state import get_autocast_dtype as get_autocast_dtype
    from .amp._state import is_autocast_enabled as is_autocast_enabled
    from .attention import why_not_fastpath as why_not_fastpath
    from .autograd.grad_mode import enable_grad as enable_grad
    from .autograd.grad_mode import inference_mode as inference_mode
    from .autograd.grad_mode import is_inference_mode_enabled as is_inference_mode_enabled
    from .autograd.grad_mode import no_grad as no_grad
    from .autograd.grad_mode import set_grad_enabled as set_grad_enabled
    from .compiler import clean_state_dict as clean_state_dict
    from .compiler import unwrap_compiled as unwrap_compiled
    from .compiler._compile import compile as compile
    from .determinism import deterministic as deterministic
    from .determinism import seed_everything as seed_everything
    from .determinism import seed_worker as seed_worker
    from .determinism import seeded_generator as seeded_generator
    from .device import available_devices as available_devices
    from .device import best_device as best_device
    from .device._default import get_default_device as get_default_device
    from .device._default import get_device_module as get_device_module
    from .device._default import set_default_device as set_default_device
    from .func import functional_call as functional_call
    from .func import functional_module as functional_module
    from .memory import OutOfMemoryError as OutOfMemoryError
    from .memory import is_oom_error as is_oom_error
    from .precision import conv_precision as conv_precision
    from .precision import get_conv_precision as get_conv_precision
    from .precision import get_float32_matmul_precision as get_float32_matmul_precision
    from .precision import get_matmul_precision as get_matmul_precision
    from .precision import matmul_precision as matmul_precision
    from .precision import set_conv_precision as set_conv_precision
    from .precision import set_float32_matmul_precision as set_float32_matmul_precision
    from .precision import set_matmul_precision as set_matmul_precision
    from .serialization import load as load
    from .serialization import save as save

__version__ = "0.1.0"

_attach(
    globals(),
    {
        "": "accelerator amp attention autograd compiler cpu determinism device dtypes func jit memory mps nn optim "
        "precision serialization utils xpu",
        "_every": "SHIMS",
        "_functions.checks": "_assert _check _check_index _check_is_size _check_not_implemented _check_tensor_all "
        "_check_type _check_value _check_with",
        "_functions.constants": "e inf nan newaxis pi",
        "_functions.symbolic": "sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        "_meshgrid": "meshgrid",
        "_torch": "UnsupportedError at_least at_most has is_version torch_version",
        "amp": "GradScaler autocast",
        "amp._state": "get_autocast_dtype is_autocast_enabled",
        "attention": "why_not_fastpath",
        "autograd.grad_mode": "enable_grad inference_mode is_inference_mode_enabled no_grad set_grad_enabled",
        "compiler": "clean_state_dict unwrap_compiled",
        "compiler._compile": "compile",
        "determinism": "deterministic seed_everything seed_worker seeded_generator",
        "device": "available_devices best_device",
        "device._default": "get_default_device get_device_module set_default_device",
        "func": "functional_call functional_module",
        "memory": "OutOfMemoryError is_oom_error",
        "precision": "conv_precision get_conv_precision get_float32_matmul_precision get_matmul_precision "
        "matmul_precision set_conv_precision set_float32_matmul_precision set_matmul_precision",
        "serialization": "load save",
    },
    later=["SHIMS"],
)

_check_forced()
