"""One stable API, every PyTorch: today's torch names on torch 1.2 to 2.15."""

from . import nn as nn
from ._shim import SHIMS as SHIMS
from ._torch import UnsupportedError as UnsupportedError
from ._torch import at_least as at_least
from ._torch import at_most as at_most
from ._torch import has as has
from ._torch import is_version as is_version
from ._torch import torch_version as torch_version

__version__ = "0.1.0"
