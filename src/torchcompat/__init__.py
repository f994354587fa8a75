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
    from . import memory as memory
    from . import mps as mps
    from . import nn as nn
    from . import optim as optim
    from . import precision as precision
    from . import serialization as serialization
    from . import utils as utils
    from . import xpu as xpu
    from ._every import SHIMS as SHIMS
    from ._functions._bounds import clamp as clamp
    from ._functions._bounds import clamp_max as clamp_max
    from ._functions._bounds import clamp_min as clamp_min
    from ._functions._bounds import clip as clip
    from ._functions._division import div as div
    from ._functions._division import divide as divide
    from ._functions._division import floor_divide as floor_divide
    from ._functions._division import gcd as gcd
    from ._functions._division import lcm as lcm
    from ._functions._division import remainder as remainder
    from ._functions._division import true_divide as true_divide
    from ._functions._extremes import amax as amax
    from ._functions._extremes import amin as amin
    from ._functions._extremes import aminmax as aminmax
    from ._functions._extremes import fmax as fmax
    from ._functions._extremes import fmin as fmin
    from ._functions._extremes import maximum as maximum
    from ._functions._extremes import minimum as minimum
    from ._functions._logic import all as all
    from ._functions._logic import any as any
    from ._functions._logic import count_nonzero as count_nonzero
    from ._functions._logic import logical_and as logical_and
    from ._functions._logic import logical_not as logical_not
    from ._functions._logic import logical_or as logical_or
    from ._functions._logic import logical_xor as logical_xor
    from ._functions._promote import can_cast as can_cast
    from ._functions._promote import promote_types as promote_types
    from ._functions._promote import result_type as result_type
    from ._functions._selection import nan_to_num as nan_to_num
    from ._functions._selection import where as where
    from ._functions._signs import isneginf as isneginf
    from ._functions._signs import isposinf as isposinf
    from ._functions._signs import isreal as isreal
    from ._functions._signs import signbit as signbit
    from ._functions._spellings import absolute as absolute
    from ._functions._spellings import greater as greater
    from ._functions._spellings import greater_equal as greater_equal
    from ._functions._spellings import less as less
    from ._functions._spellings import less_equal as less_equal
    from ._functions._spellings import multiply as multiply
    from ._functions._spellings import negative as negative
    from ._functions._spellings import not_equal as not_equal
    from ._functions._spellings import positive as positive
    from ._functions._spellings import square as square
    from ._functions._spellings import subtract as subtract
    from ._functions._spread import nanmean as nanmean
    from ._functions._spread import nansum as nansum
    from ._functions._spread import std as std
    from ._functions._spread import std_mean as std_mean
    from ._functions._spread import var as var
    from ._functions._spread import var_mean as var_mean
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
        "": "accelerator amp attention autograd compiler cpu determinism device dtypes func memory mps nn optim "
        "precision serialization utils xpu",
        "_every": "SHIMS",
        "_functions._bounds": "clamp clamp_max clamp_min clip",
        "_functions._division": "div divide floor_divide gcd lcm remainder true_divide",
        "_functions._extremes": "amax amin aminmax fmax fmin maximum minimum",
        "_functions._logic": "all any count_nonzero logical_and logical_not logical_or logical_xor",
        "_functions._promote": "can_cast promote_types result_type",
        "_functions._selection": "nan_to_num where",
        "_functions._signs": "isneginf isposinf isreal signbit",
        "_functions._spellings": "absolute greater greater_equal less less_equal multiply negative not_equal "
        "positive square subtract",
        "_functions._spread": "nanmean nansum std std_mean var var_mean",
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
