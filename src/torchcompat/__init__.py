"""One stable API, every PyTorch: today's torch names on torch 1.2 to 2.15."""

from . import attention as attention
from . import determinism as determinism
from . import device as device
from . import func as func
from . import nn as nn
from . import precision as precision
from ._shim import SHIMS as SHIMS
from ._torch import UnsupportedError as UnsupportedError
from ._torch import at_least as at_least
from ._torch import at_most as at_most
from ._torch import has as has
from ._torch import is_version as is_version
from ._torch import torch_version as torch_version
from .attention import why_not_fastpath as why_not_fastpath
from .determinism import deterministic as deterministic
from .determinism import seed_everything as seed_everything
from .determinism import seed_worker as seed_worker
from .determinism import seeded_generator as seeded_generator
from .device import available_devices as available_devices
from .device import best_device as best_device
from .func import functional_call as functional_call
from .func import functional_module as functional_module
from .precision import conv_precision as conv_precision
from .precision import get_conv_precision as get_conv_precision
from .precision import get_float32_matmul_precision as get_float32_matmul_precision
from .precision import get_matmul_precision as get_matmul_precision
from .precision import matmul_precision as matmul_precision
from .precision import set_conv_precision as set_conv_precision
from .precision import set_float32_matmul_precision as set_float32_matmul_precision
from .precision import set_matmul_precision as set_matmul_precision

__version__ = "0.1.0"
