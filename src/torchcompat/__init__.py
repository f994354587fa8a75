"""One stable API, every PyTorch: today's torch names on torch 1.2 to 2.15.

Every name is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from ._lazy import attach as _attach
from ._shim import check_forced as _check_forced

if TYPE_CHECKING:
    from . import _subclasses as _subclasses
    from . import accelerator as accelerator
    from . import amp as amp
    from . import attention as attention
    from . import autograd as autograd
    from . import backends as backends
    from . import compiler as compiler
    from . import cpu as cpu
    from . import cuda as cuda
    from . import determinism as determinism
    from . import device as device
    from . import distributed as distributed
    from . import dtypes as dtypes
    from . import export as export
    from . import func as func
    from . import fx as fx
    from . import jit as jit
    from . import memory as memory
    from . import mps as mps
    from . import nested as nested
    from . import nn as nn
    from . import optim as optim
    from . import overrides as overrides
    from . import precision as precision
    from . import random as random
    from . import serialization as serialization
    from . import tensor as tensor
    from . import testing as testing
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
    from ._newer import SymBool as SymBool
    from ._newer import SymFloat as SymFloat
    from ._newer import SymInt as SymInt
    from ._newer import _grouped_mm as _grouped_mm
    from ._newer import _scaled_mm as _scaled_mm
    from ._newer import bits1x8 as bits1x8
    from ._newer import bits2x4 as bits2x4
    from ._newer import bits4x2 as bits4x2
    from ._newer import bits8 as bits8
    from ._newer import bits16 as bits16
    from ._newer import channels_last_3d as channels_last_3d
    from ._newer import float4_e2m1fn_x2 as float4_e2m1fn_x2
    from ._newer import float8_e4m3fn as float8_e4m3fn
    from ._newer import float8_e4m3fnuz as float8_e4m3fnuz
    from ._newer import float8_e5m2 as float8_e5m2
    from ._newer import float8_e5m2fnuz as float8_e5m2fnuz
    from ._newer import float8_e8m0fnu as float8_e8m0fnu
    from ._newer import int1 as int1
    from ._newer import int2 as int2
    from ._newer import int3 as int3
    from ._newer import int4 as int4
    from ._newer import int5 as int5
    from ._newer import int6 as int6
    from ._newer import int7 as int7
    from ._newer import jagged as jagged
    from ._newer import quint2x4 as quint2x4
    from ._newer import quint4x2 as quint4x2
    from ._newer import sparse_bsc as sparse_bsc
    from ._newer import sparse_bsr as sparse_bsr
    from ._newer import sparse_csc as sparse_csc
    from ._newer import sparse_csr as sparse_csr
    from ._newer import uint1 as uint1
    from ._newer import uint2 as uint2
    from ._newer import uint3 as uint3
    from ._newer import uint4 as uint4
    from ._newer import uint5 as uint5
    from ._newer import uint6 as uint6
    from ._newer import uint7 as uint7
    from ._newer import uint16 as uint16
    from ._newer import uint32 as uint32
    from ._newer import uint64 as uint64
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
    from .determinism._persistent import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
    from .determinism._persistent import get_deterministic_debug_mode as get_deterministic_debug_mode
    from .determinism._persistent import (
        is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
    )
    from .determinism._persistent import set_deterministic_debug_mode as set_deterministic_debug_mode
    from .determinism._persistent import use_deterministic_algorithms as use_deterministic_algorithms
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
        "": "_subclasses accelerator amp attention autograd backends compiler cpu cuda determinism device distributed "
        "dtypes export func fx jit memory mps nested nn optim overrides precision random serialization tensor testing "
        "utils xpu",
        "_every": "SHIMS",
        "_functions.checks": "_assert _check _check_index _check_is_size _check_not_implemented _check_tensor_all "
        "_check_type _check_value _check_with",
        "_functions.constants": "e inf nan newaxis pi",
        "_functions.symbolic": "sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        "_meshgrid": "meshgrid",
        "_newer": "SymBool SymFloat SymInt _grouped_mm _scaled_mm bits16 bits1x8 bits2x4 bits4x2 bits8 "
        "channels_last_3d float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz "
        "float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 jagged quint2x4 quint4x2 sparse_bsc "
        "sparse_bsr sparse_csc sparse_csr uint1 uint16 uint2 uint3 uint32 uint4 uint5 uint6 uint64 uint7",
        "_torch": "UnsupportedError at_least at_most has is_version torch_version",
        "amp": "GradScaler autocast",
        "amp._state": "get_autocast_dtype is_autocast_enabled",
        "attention": "why_not_fastpath",
        "autograd.grad_mode": "enable_grad inference_mode is_inference_mode_enabled no_grad set_grad_enabled",
        "compiler": "clean_state_dict unwrap_compiled",
        "compiler._compile": "compile",
        "determinism": "deterministic seed_everything seed_worker seeded_generator",
        "determinism._persistent": "are_deterministic_algorithms_enabled get_deterministic_debug_mode "
        "is_deterministic_algorithms_warn_only_enabled set_deterministic_debug_mode use_deterministic_algorithms",
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
