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
    from . import library as library
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
    from ._functions._bounds import clamp as clamp
    from ._functions._bounds import clamp_max as clamp_max
    from ._functions._bounds import clamp_min as clamp_min
    from ._functions._bounds import clip as clip
    from ._functions._dims import adjoint as adjoint
    from ._functions._dims import broadcast_to as broadcast_to
    from ._functions._dims import fliplr as fliplr
    from ._functions._dims import flipud as flipud
    from ._functions._dims import moveaxis as moveaxis
    from ._functions._dims import movedim as movedim
    from ._functions._dims import permute as permute
    from ._functions._dims import ravel as ravel
    from ._functions._dims import squeeze as squeeze
    from ._functions._dims import swapaxes as swapaxes
    from ._functions._dims import swapdims as swapdims
    from ._functions._dims import tile as tile
    from ._functions._dims import unflatten as unflatten
    from ._functions._division import div as div
    from ._functions._division import divide as divide
    from ._functions._division import floor_divide as floor_divide
    from ._functions._division import gcd as gcd
    from ._functions._division import lcm as lcm
    from ._functions._division import remainder as remainder
    from ._functions._division import true_divide as true_divide
    from ._functions._einsum import einsum as einsum
    from ._functions._extremes import amax as amax
    from ._functions._extremes import amin as amin
    from ._functions._extremes import aminmax as aminmax
    from ._functions._extremes import fmax as fmax
    from ._functions._extremes import fmin as fmin
    from ._functions._extremes import maximum as maximum
    from ._functions._extremes import minimum as minimum
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
    from ._functions._indices import index_add as index_add
    from ._functions._indices import index_reduce as index_reduce
    from ._functions._indices import put as put
    from ._functions._integrals import cumulative_trapezoid as cumulative_trapezoid
    from ._functions._integrals import diff as diff
    from ._functions._integrals import gradient as gradient
    from ._functions._integrals import logcumsumexp as logcumsumexp
    from ._functions._integrals import trapezoid as trapezoid
    from ._functions._joins import atleast_1d as atleast_1d
    from ._functions._joins import atleast_2d as atleast_2d
    from ._functions._joins import atleast_3d as atleast_3d
    from ._functions._joins import block_diag as block_diag
    from ._functions._joins import column_stack as column_stack
    from ._functions._joins import concat as concat
    from ._functions._joins import concatenate as concatenate
    from ._functions._joins import dstack as dstack
    from ._functions._joins import hstack as hstack
    from ._functions._joins import row_stack as row_stack
    from ._functions._joins import vstack as vstack
    from ._functions._logic import all as all
    from ._functions._logic import any as any
    from ._functions._logic import count_nonzero as count_nonzero
    from ._functions._logic import logical_and as logical_and
    from ._functions._logic import logical_not as logical_not
    from ._functions._logic import logical_or as logical_or
    from ._functions._logic import logical_xor as logical_xor
    from ._functions._making import asarray as asarray
    from ._functions._making import complex as complex
    from ._functions._making import empty_permuted as empty_permuted
    from ._functions._making import frombuffer as frombuffer
    from ._functions._making import polar as polar
    from ._functions._making import view_as_complex as view_as_complex
    from ._functions._making import view_as_real as view_as_real
    from ._functions._order import argsort as argsort
    from ._functions._order import bucketize as bucketize
    from ._functions._order import isin as isin
    from ._functions._order import msort as msort
    from ._functions._order import searchsorted as searchsorted
    from ._functions._order import sort as sort
    from ._functions._places import argwhere as argwhere
    from ._functions._places import broadcast_shapes as broadcast_shapes
    from ._functions._places import diagonal_scatter as diagonal_scatter
    from ._functions._places import nonzero_static as nonzero_static
    from ._functions._places import select_scatter as select_scatter
    from ._functions._places import slice_scatter as slice_scatter
    from ._functions._places import take_along_dim as take_along_dim
    from ._functions._places import unravel_index as unravel_index
    from ._functions._products import inner as inner
    from ._functions._products import kron as kron
    from ._functions._products import outer as outer
    from ._functions._products import vander as vander
    from ._functions._products import vdot as vdot
    from ._functions._promote import can_cast as can_cast
    from ._functions._promote import promote_types as promote_types
    from ._functions._promote import result_type as result_type
    from ._functions._scatter import scatter as scatter
    from ._functions._scatter import scatter_reduce as scatter_reduce
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
    from ._functions._splits import dsplit as dsplit
    from ._functions._splits import hsplit as hsplit
    from ._functions._splits import tensor_split as tensor_split
    from ._functions._splits import vsplit as vsplit
    from ._functions._spread import nanmean as nanmean
    from ._functions._spread import nansum as nansum
    from ._functions._spread import std as std
    from ._functions._spread import std_mean as std_mean
    from ._functions._spread import var as var
    from ._functions._spread import var_mean as var_mean
    from ._functions._statistics import corrcoef as corrcoef
    from ._functions._statistics import cov as cov
    from ._functions._statistics import histogram as histogram
    from ._functions._statistics import histogramdd as histogramdd
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
        "": "_subclasses accelerator amp attention autograd backends compiler cpu cuda determinism device "
        "distributed dtypes export func fx jit library memory mps nested nn optim overrides precision "
        "random serialization tensor testing utils xpu",
        "_every": "SHIMS",
        "_functions._bounds": "clamp clamp_max clamp_min clip",
        "_functions._dims": "adjoint broadcast_to fliplr flipud moveaxis movedim permute ravel squeeze "
        "swapaxes swapdims tile unflatten",
        "_functions._division": "div divide floor_divide gcd lcm remainder true_divide",
        "_functions._einsum": "einsum",
        "_functions._extremes": "amax amin aminmax fmax fmin maximum minimum",
        "_functions._foreach": "_foreach_abs _foreach_abs_ _foreach_acos _foreach_acos_ _foreach_add "
        "_foreach_add_ _foreach_addcdiv _foreach_addcdiv_ _foreach_addcmul _foreach_addcmul_ _foreach_asin "
        "_foreach_asin_ _foreach_atan _foreach_atan_ _foreach_ceil _foreach_ceil_ _foreach_clamp_max "
        "_foreach_clamp_max_ _foreach_clamp_min _foreach_clamp_min_ _foreach_clone _foreach_copy_ "
        "_foreach_cos _foreach_cos_ _foreach_cosh _foreach_cosh_ _foreach_div _foreach_div_ _foreach_erf "
        "_foreach_erf_ _foreach_erfc _foreach_erfc_ _foreach_exp _foreach_exp_ _foreach_expm1 "
        "_foreach_expm1_ _foreach_floor _foreach_floor_ _foreach_frac _foreach_frac_ _foreach_lerp "
        "_foreach_lerp_ _foreach_lgamma _foreach_lgamma_ _foreach_log _foreach_log10 _foreach_log10_ "
        "_foreach_log1p _foreach_log1p_ _foreach_log2 _foreach_log2_ _foreach_log_ _foreach_max "
        "_foreach_maximum _foreach_maximum_ _foreach_minimum _foreach_minimum_ _foreach_mm _foreach_mul "
        "_foreach_mul_ _foreach_neg _foreach_neg_ _foreach_norm _foreach_pow _foreach_pow_ _foreach_powsum "
        "_foreach_reciprocal _foreach_reciprocal_ _foreach_round _foreach_round_ _foreach_rsqrt "
        "_foreach_rsqrt_ _foreach_sigmoid _foreach_sigmoid_ _foreach_sign _foreach_sign_ _foreach_sin "
        "_foreach_sin_ _foreach_sinh _foreach_sinh_ _foreach_sqrt _foreach_sqrt_ _foreach_sub "
        "_foreach_sub_ _foreach_tan _foreach_tan_ _foreach_tanh _foreach_tanh_ _foreach_trunc "
        "_foreach_trunc_ _foreach_zero_",
        "_functions._indices": "index_add index_reduce put",
        "_functions._integrals": "cumulative_trapezoid diff gradient logcumsumexp trapezoid",
        "_functions._joins": "atleast_1d atleast_2d atleast_3d block_diag column_stack concat concatenate "
        "dstack hstack row_stack vstack",
        "_functions._logic": "all any count_nonzero logical_and logical_not logical_or logical_xor",
        "_functions._making": "asarray complex empty_permuted frombuffer polar view_as_complex view_as_real",
        "_functions._order": "argsort bucketize isin msort searchsorted sort",
        "_functions._places": "argwhere broadcast_shapes diagonal_scatter nonzero_static select_scatter "
        "slice_scatter take_along_dim unravel_index",
        "_functions._products": "inner kron outer vander vdot",
        "_functions._promote": "can_cast promote_types result_type",
        "_functions._scatter": "scatter scatter_reduce",
        "_functions._selection": "nan_to_num where",
        "_functions._signs": "isneginf isposinf isreal signbit",
        "_functions._spellings": "absolute greater greater_equal less less_equal multiply negative "
        "not_equal positive square subtract",
        "_functions._splits": "dsplit hsplit tensor_split vsplit",
        "_functions._spread": "nanmean nansum std std_mean var var_mean",
        "_functions._statistics": "corrcoef cov histogram histogramdd",
        "_functions.checks": "_assert _check _check_index _check_is_size _check_not_implemented "
        "_check_tensor_all _check_type _check_value _check_with",
        "_functions.constants": "e inf nan newaxis pi",
        "_functions.symbolic": "sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        "_meshgrid": "meshgrid",
        "_newer": "SymBool SymFloat SymInt _grouped_mm _scaled_mm bits16 bits1x8 bits2x4 bits4x2 bits8 "
        "channels_last_3d float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz "
        "float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 jagged quint2x4 quint4x2 sparse_bsc sparse_bsr "
        "sparse_csc sparse_csr uint1 uint16 uint2 uint3 uint32 uint4 uint5 uint6 uint64 uint7",
        "_torch": "UnsupportedError at_least at_most has is_version torch_version",
        "amp": "GradScaler autocast",
        "amp._state": "get_autocast_dtype is_autocast_enabled",
        "attention": "why_not_fastpath",
        "autograd.grad_mode": "enable_grad inference_mode is_inference_mode_enabled no_grad set_grad_enabled",
        "compiler": "clean_state_dict unwrap_compiled",
        "compiler._compile": "compile",
        "determinism": "deterministic seed_everything seed_worker seeded_generator",
        "determinism._persistent": "are_deterministic_algorithms_enabled get_deterministic_debug_mode "
        "is_deterministic_algorithms_warn_only_enabled set_deterministic_debug_mode "
        "use_deterministic_algorithms",
        "device": "available_devices best_device",
        "device._default": "get_default_device get_device_module set_default_device",
        "func": "functional_call functional_module",
        "memory": "OutOfMemoryError is_oom_error",
        "precision": "conv_precision get_conv_precision get_float32_matmul_precision get_matmul_precision "
        "matmul_precision set_conv_precision set_float32_matmul_precision set_matmul_precision",
        "serialization": "load save",
    },
    later=["SHIMS", "fx"],
)

_check_forced()
