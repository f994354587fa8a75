# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._types import Tensors
from torchcompat.nn.utils import fusion as fusion
from torchcompat.nn.utils import module as module
from torchcompat.nn.utils import parametrizations as parametrizations
from torchcompat.nn.utils import parametrize as parametrize
from torchcompat.nn.utils import rnn as rnn
from torchcompat.nn.utils import stateless as stateless
from torchcompat.nn.utils.fusion import fuse_conv_bn_eval as fuse_conv_bn_eval
from torchcompat.nn.utils.fusion import fuse_conv_bn_weights as fuse_conv_bn_weights
from torchcompat.nn.utils.fusion import fuse_linear_bn_eval as fuse_linear_bn_eval
from torchcompat.nn.utils.fusion import fuse_linear_bn_weights as fuse_linear_bn_weights
from typing import Any
from typing import Callable
import torch

__all__ = ['clip_grad_norm_', 'clip_grad_value_', 'clip_grads_with_norm_', 'fuse_conv_bn_eval', 'fuse_conv_bn_weights', 'fuse_linear_bn_eval', 'fuse_linear_bn_weights', 'fusion', 'get_total_norm', 'module', 'parametrizations', 'parametrize', 'rnn', 'skip_init', 'stateless']
def clip_grad_norm_(parameters: Tensors, max_norm: float, norm_type: float=2.0, error_if_nonfinite: bool=False, foreach: bool | None=None) -> torch.Tensor: ...
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None=None) -> None: ...
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: torch.Tensor, foreach: bool | None=None) -> None: ...
def get_total_norm(tensors: Tensors, norm_type: float=2.0, error_if_nonfinite: bool=False, foreach: bool | None=None) -> torch.Tensor: ...
def skip_init(module_cls: Callable[..., torch.nn.Module], *args: Any, **kwargs: Any) -> torch.nn.Module: ...
__all__ = ['clip_grad_norm_', 'clip_grad_value_', 'clip_grads_with_norm_', 'fuse_conv_bn_eval', 'fuse_conv_bn_weights', 'fuse_linear_bn_eval', 'fuse_linear_bn_weights', 'fusion', 'get_total_norm', 'module', 'parametrizations', 'parametrize', 'rnn', 'skip_init', 'stateless']
