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
    from ._functions._foreach import _foreach_abs as _foreach_abs
    from ._functions._foreach import _foreach_abs_ as _foreach_abs_
    from ._functions._foreach import _foreach_acos as _foreach_acos
    from ._functions._foreach import _foreach_acos_ as _foreach_acos_
    from ._functions._foreach import _foreach_add as _foreach_add
    from ._functions._foreach import _foreach_add_ as _foreach_add_
    from ._functions._foreach import _foreach_addcdiv as _foreach_addcdiv
    from ._functions._foreach import _foreach_addcdiv_ as _foreach_addcdiv_
    from ._functions._foreach import _foreach_addcmul as _foreach_addcmul
    from ._functions._foreach import _foreach_addcmul_ as _foreach_addcmul_
    from ._functions._foreach import _foreach_asin as _foreach_asin
    from ._functions._foreach import _foreach_asin_ as _foreach_asin_
    from ._functions._foreach import _foreach_atan as _foreach_atan
    from ._functions._foreach import _foreach_atan_ as _foreach_atan_
    from ._functions._foreach import _foreach_ceil as _foreach_ceil
    from ._functions._foreach import _foreach_ceil_ as _foreach_ceil_
    from ._functions._foreach import _foreach_clamp_max as _foreach_clamp_max
    from ._functions._foreach import _foreach_clamp_max_ as _foreach_clamp_max_
    from ._functions._foreach import _foreach_clamp_min as _foreach_clamp_min
    from ._functions._foreach import _foreach_clamp_min_ as _foreach_clamp_min_
    from ._functions._foreach import _foreach_clone as _foreach_clone
    from ._functions._foreach import _foreach_copy_ as _foreach_copy_
    from ._functions._foreach import _foreach_cos as _foreach_cos
    from ._functions._foreach import _foreach_cos_ as _foreach_cos_
    from ._functions._foreach import _foreach_cosh as _foreach_cosh
    from ._functions._foreach import _foreach_cosh_ as _foreach_cosh_
    from ._functions._foreach import _foreach_div as _foreach_div
    from ._functions._foreach import _foreach_div_ as _foreach_div_
    from ._functions._foreach import _foreach_erf as _foreach_erf
    from ._functions._foreach import _foreach_erf_ as _foreach_erf_
    from ._functions._foreach import _foreach_erfc as _foreach_erfc
    from ._functions._foreach import _foreach_erfc_ as _foreach_erfc_
    from ._functions._foreach import _foreach_exp as _foreach_exp
    from ._functions._foreach import _foreach_exp_ as _foreach_exp_
    from ._functions._foreach import _foreach_expm1 as _foreach_expm1
    from ._functions._foreach import _foreach_expm1_ as _foreach_expm1_
    from ._functions._foreach import _foreach_floor as _foreach_floor
    from ._functions._foreach import _foreach_floor_ as _foreach_floor_
    from ._functions._foreach import _foreach_frac as _foreach_frac
    from ._functions._foreach import _foreach_frac_ as _foreach_frac_
    from ._functions._foreach import _foreach_lerp as _foreach_lerp
    from ._functions._foreach import _foreach_lerp_ as _foreach_lerp_
    from ._functions._foreach import _foreach_lgamma as _foreach_lgamma
    from ._functions._foreach import _foreach_lgamma_ as _foreach_lgamma_
    from ._functions._foreach import _foreach_log as _foreach_log
    from ._functions._foreach import _foreach_log1p as _foreach_log1p
    from ._functions._foreach import _foreach_log1p_ as _foreach_log1p_
    from ._functions._foreach import _foreach_log2 as _foreach_log2
    from ._functions._foreach import _foreach_log2_ as _foreach_log2_
    from ._functions._foreach import _foreach_log10 as _foreach_log10
    from ._functions._foreach import _foreach_log10_ as _foreach_log10_
    from ._functions._foreach import _foreach_log_ as _foreach_log_
    from ._functions._foreach import _foreach_max as _foreach_max
    from ._functions._foreach import _foreach_maximum as _foreach_maximum
    from ._functions._foreach import _foreach_maximum_ as _foreach_maximum_
    from ._functions._foreach import _foreach_minimum as _foreach_minimum
    from ._functions._foreach import _foreach_minimum_ as _foreach_minimum_
    from ._functions._foreach import _foreach_mm as _foreach_mm
    from ._functions._foreach import _foreach_mul as _foreach_mul
    from ._functions._foreach import _foreach_mul_ as _foreach_mul_
    from ._functions._foreach import _foreach_neg as _foreach_neg
    from ._functions._foreach import _foreach_neg_ as _foreach_neg_
    from ._functions._foreach import _foreach_norm as _foreach_norm
    from ._functions._foreach import _foreach_pow as _foreach_pow
    from ._functions._foreach import _foreach_pow_ as _foreach_pow_
    from ._functions._foreach import _foreach_powsum as _foreach_powsum
    from ._functions._foreach import _foreach_reciprocal as _foreach_reciprocal
    from ._functions._foreach import _foreach_reciprocal_ as _foreach_reciprocal_
    from ._functions._foreach import _foreach_round as _foreach_round
    from ._functions._foreach import _foreach_round_ as _foreach_round_
    from ._functions._foreach import _foreach_rsqrt as _foreach_rsqrt
    from ._functions._foreach import _foreach_rsqrt_ as _foreach_rsqrt_
    from ._functions._foreach import _foreach_sigmoid as _foreach_sigmoid
    from ._functions._foreach import _foreach_sigmoid_ as _foreach_sigmoid_
    from ._functions._foreach import _foreach_sign as _foreach_sign
    from ._functions._foreach import _foreach_sign_ as _foreach_sign_
    from ._functions._foreach import _foreach_sin as _foreach_sin
    from ._functions._foreach import _foreach_sin_ as _foreach_sin_
    from ._functions._foreach import _foreach_sinh as _foreach_sinh
    from ._functions._foreach import _foreach_sinh_ as _foreach_sinh_
    from ._functions._foreach import _foreach_sqrt as _foreach_sqrt
    from ._functions._foreach import _foreach_sqrt_ as _foreach_sqrt_
    from ._functions._foreach import _foreach_sub as _foreach_sub
    from ._functions._foreach import _foreach_sub_ as _foreach_sub_
    from ._functions._foreach import _foreach_tan as _foreach_tan
    from ._functions._foreach import _foreach_tan_ as _foreach_tan_
    from ._functions._foreach import _foreach_tanh as _foreach_tanh
    from ._functions._foreach import _foreach_tanh_ as _foreach_tanh_
    from ._functions._foreach import _foreach_trunc as _foreach_trunc
    from ._functions._foreach import _foreach_trunc_ as _foreach_trunc_
    from ._functions._foreach import _foreach_zero_ as _foreach_zero_
    from ._functions._promote import can_cast as can_cast
    from ._functions._promote import promote_types as promote_types
    from ._functions._promote import result_type as result_type
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
        "_functions._foreach": "_foreach_abs _foreach_abs_ _foreach_acos _foreach_acos_ _foreach_add _foreach_add_ "
        "_foreach_addcdiv _foreach_addcdiv_ _foreach_addcmul _foreach_addcmul_ _foreach_asin _foreach_asin_ "
        "_foreach_atan _foreach_atan_ _foreach_ceil _foreach_ceil_ _foreach_clamp_max _foreach_clamp_max_ "
        "_foreach_clamp_min _foreach_clamp_min_ _foreach_clone _foreach_copy_ _foreach_cos _foreach_cos_ "
        "_foreach_cosh _foreach_cosh_ _foreach_div _foreach_div_ _foreach_erf _foreach_erf_ _foreach_erfc "
        "_foreach_erfc_ _foreach_exp _foreach_exp_ _foreach_expm1 _foreach_expm1_ _foreach_floor _foreach_floor_ "
        "_foreach_frac _foreach_frac_ _foreach_lerp _foreach_lerp_ _foreach_lgamma _foreach_lgamma_ _foreach_log "
        "_foreach_log10 _foreach_log10_ _foreach_log1p _foreach_log1p_ _foreach_log2 _foreach_log2_ _foreach_log_ "
        "_foreach_max _foreach_maximum _foreach_maximum_ _foreach_minimum _foreach_minimum_ _foreach_mm _foreach_mul "
        "_foreach_mul_ _foreach_neg _foreach_neg_ _foreach_norm _foreach_pow _foreach_pow_ _foreach_powsum "
        "_foreach_reciprocal _foreach_reciprocal_ _foreach_round _foreach_round_ _foreach_rsqrt _foreach_rsqrt_ "
        "_foreach_sigmoid _foreach_sigmoid_ _foreach_sign _foreach_sign_ _foreach_sin _foreach_sin_ _foreach_sinh "
        "_foreach_sinh_ _foreach_sqrt _foreach_sqrt_ _foreach_sub _foreach_sub_ _foreach_tan _foreach_tan_ "
        "_foreach_tanh _foreach_tanh_ _foreach_trunc _foreach_trunc_ _foreach_zero_",
        "_functions._promote": "can_cast promote_types result_type",
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
