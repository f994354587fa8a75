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
    from . import compiler as compiler
    from . import cpu as cpu
    from . import determinism as determinism
    from . import device as device
    from . import distributed as distributed
    from . import dtypes as dtypes
    from . import export as export
    from . import func as func
    from . import fx as fx
    from . import memory as memory
    from . import mps as mps
    from . import nested as nested
    from . import nn as nn
    from . import optim as optim
    from . import overrides as overrides
    from . import precision as precision
    from . import serialization as serialization
    from . import utils as utils
    from . import xpu as xpu
    from ._every import SHIMS as SHIMS
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
        "": "_subclasses accelerator amp attention autograd compiler cpu determinism device distributed dtypes export "
        "func fx memory mps nested nn optim overrides precision serialization utils xpu",
        "_every": "SHIMS",
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
