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
    from ._functions._einsum import einsum as einsum
    from ._functions._extremes import amax as amax
    from ._functions._extremes import amin as amin
    from ._functions._extremes import aminmax as aminmax
    from ._functions._extremes import fmax as fmax
    from ._functions._extremes import fmin as fmin
    from ._functions._extremes import maximum as maximum
    from ._functions._extremes import minimum as minimum
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
    from ._functions._splits import dsplit as dsplit
    from ._functions._splits import hsplit as hsplit
    from ._functions._splits import tensor_split as tensor_split
    from ._functions._splits import vsplit as vsplit
    from ._functions._statistics import corrcoef as corrcoef
    from ._functions._statistics import cov as cov
    from ._functions._statistics import histogram as histogram
    from ._functions._statistics import histogramdd as histogramdd
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
        "_functions._dims": "adjoint broadcast_to fliplr flipud moveaxis movedim permute ravel squeeze swapaxes "
        "swapdims tile unflatten",
        "_functions._einsum": "einsum",
        "_functions._extremes": "amax amin aminmax fmax fmin maximum minimum",
        "_functions._indices": "index_add index_reduce put",
        "_functions._integrals": "cumulative_trapezoid diff gradient logcumsumexp trapezoid",
        "_functions._joins": "atleast_1d atleast_2d atleast_3d block_diag column_stack concat concatenate dstack "
        "hstack row_stack vstack",
        "_functions._making": "asarray complex empty_permuted frombuffer polar view_as_complex view_as_real",
        "_functions._order": "argsort bucketize isin msort searchsorted sort",
        "_functions._places": "argwhere broadcast_shapes diagonal_scatter nonzero_static select_scatter slice_scatter "
        "take_along_dim unravel_index",
        "_functions._products": "inner kron outer vander vdot",
        "_functions._promote": "can_cast promote_types result_type",
        "_functions._scatter": "scatter scatter_reduce",
        "_functions._selection": "nan_to_num where",
        "_functions._splits": "dsplit hsplit tensor_split vsplit",
        "_functions._statistics": "corrcoef cov histogram histogramdd",
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
