"""``torch.nn.utils``: clipping of gradients, parametrizations, fusion, hooks, and modules that are not initialised."""

from __future__ import annotations

import types
import warnings
from typing import TYPE_CHECKING, Any, Callable

import torch

from ..._lazy import attach as _attach
from ..._shim import Limit, polyfill
from ..._torch import at_least
from . import _clip, _skip_init
from . import fusion as fusion
from . import module as module
from . import parametrizations as parametrizations
from . import parametrize as parametrize
from . import rnn as rnn
from . import stateless as stateless
from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights

if TYPE_CHECKING:
    from ..._types import Tensors

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "fusion",
    "get_total_norm",
    "module",
    "parametrizations",
    "parametrize",
    "rnn",
    "skip_init",
    "stateless",
]

LINK = "https://github.com/pytorch/pytorch/pull/"
# https://github.com/pytorch/pytorch/issues/64840
_HALF = Limit("half", "raises RuntimeError for float16 on the CPU", "native", "2.0", "2.0")


@polyfill("torch.nn.utils.get_total_norm", since="2.6", link=LINK + "139662")
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> torch.Tensor:
    """The norm of tensors, as of one long vector.

    In torch since 2.6. Fallback: the norm of the norms, tensor by tensor; *foreach* makes no difference.

    Args:
        tensors: a tensor or an iterable of tensors, floating point or complex; they may differ in dtype and device.
        norm_type: the order, any float, ``inf`` or ``"inf"``. Of order 0 it is the number of tensors that are not zero.
        error_if_nonfinite: raise if the norm is infinite or NaN; this waits for the device.
        foreach: torch's: go through all tensors of a device at once, which is faster.

    Returns:
        0-dimensional, on the first tensor's device, of the dtype that the tensors have in common (a real one; float32
        for float16 with bfloat16); never needs a gradient. A float32 0 on the CPU if there are no tensors.

    Raises:
        RuntimeError: the norm is infinite or NaN and *error_if_nonfinite*; or its order is infinite or negative and a
            tensor is empty.
        NotImplementedError: a tensor is of integers.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.get_total_norm.html
    """
    with torch.no_grad():
        return _clip.total_norm(_clip.as_list(tensors), norm_type, error_if_nonfinite)


@polyfill("torch.nn.utils.clip_grads_with_norm_", since="2.6", link=LINK + "139662")
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: torch.Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients by ``max_norm / (total_norm + 1e-6)``, in place, where that is less than 1.

    In torch since 2.6. Fallback: a multiplication for each tensor; *foreach* makes no difference. Nothing waits for the
    device.

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are left out.
        max_norm: what the norm is to be at most.
        total_norm: what it is, a tensor: :func:`get_total_norm` of the gradients. If it is NaN so are all gradients
            afterwards; if it is infinite they are 0, or NaN where they were infinite.
        foreach: torch's, as in :func:`get_total_norm`.

    Raises:
        TypeError: *total_norm* is no tensor.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grads_with_norm_.html
    """
    with torch.no_grad():
        _clip.scale_to(_clip.gradients(_clip.as_list(parameters)), max_norm, total_norm)


@polyfill(
    "torch.nn.utils.clip_grad_norm_",
    since="2.0",
    link=LINK + "91846",
    limits=[
        _HALF,
        Limit("sparse", "takes no sparse gradients", "native", "2.0", "2.13"),
        # https://github.com/pytorch/pytorch/pull/151529
        Limit("generator", "does not warn of a generator with nothing left in it", "native", "2.0", "2.7"),
    ],
    reason="no `foreach`",
)
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> torch.Tensor:
    """Scale all gradients, in place, so that their norm, as of one long vector, is at most *max_norm*.

    In torch since 2.0. Fallback: :func:`get_total_norm`, then :func:`clip_grads_with_norm_`; on 2.0 torch's own, where
    that gives the same. Torch has the name since 1.2, with *error_if_nonfinite* since 1.9 and *foreach* since
    2.0; up to 1.3 it returned a float.

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are left out.
        max_norm: what the norm is to be at most. ``inf`` clips nothing.
        norm_type: its order, as in :func:`get_total_norm`.
        error_if_nonfinite: raise, and change nothing, if the norm is infinite or NaN; this waits for the device.
        foreach: torch's, as in :func:`get_total_norm`.

    Returns:
        The norm before clipping: see :func:`get_total_norm`.

    Warns:
        UserWarning: *parameters* is a generator with nothing in it, or nothing left.

    Raises:
        RuntimeError: as :func:`get_total_norm`.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
    """
    listed = _clip.as_list(parameters)
    if isinstance(parameters, types.GeneratorType) and not listed:
        message = "parameters is a generator with nothing left in it, so no gradient is clipped"
        warnings.warn(message, UserWarning, stacklevel=2)
    gradients = _clip.gradients(listed)
    with torch.no_grad():
        if _clip.native_is_right(gradients):
            return _clip.clip_natively(listed, max_norm, norm_type, error_if_nonfinite, foreach)
        total = _clip.total_norm(gradients, norm_type, error_if_nonfinite)
        _clip.scale_to(gradients, max_norm, total)
    return total


@polyfill(
    "torch.nn.utils.clip_grad_value_",
    since="2.0",
    link=LINK + "91846",
    limits=[_HALF, Limit("nothing", "raises RuntimeError where there is no gradient at all", "native", "2.1")],
    reason="no `foreach`",
)
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp all gradients, in place, to ``[-clip_value, clip_value]``. NaN stays NaN.

    In torch since 2.0. Fallback: ``clamp_`` of each tensor; *foreach* makes no difference. Torch has the name since
    1.2, with *foreach* since 2.0, where the CPU could not clamp float16.

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are left out.
        clip_value: the greatest absolute value that is left; everything becomes it if it is negative.
        foreach: torch's, as in :func:`get_total_norm`.

    Raises:
        NotImplementedError: a gradient is sparse or complex. Nothing has changed.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
    """
    clip_value = float(clip_value)
    gradients = _clip.gradients(_clip.as_list(parameters))
    _clip.check_can_be_clamped(gradients)
    with torch.no_grad():
        for gradient in gradients:
            _clip.clamp(gradient, clip_value)


@polyfill("torch.nn.utils.skip_init", since="1.10", link=LINK + "57555")
def skip_init(module_cls: Callable[..., torch.nn.Module], *args: Any, **kwargs: Any) -> torch.nn.Module:
    """Make a module whose parameters and buffers are not initialised: they may hold anything.

    In torch since 1.10. Fallback: on 1.9 the same, by way of the meta device; up to 1.8, where no module takes a
    device, one of torch's classes is made without its ``reset_parameters`` (that of its submodules is called), and the
    generator of random numbers is put back.

    Args:
        module_cls: a subclass of torch.nn.Module that takes ``device``. Up to torch 1.8 also any of torch's own that
            does so on torch 2.15.
        *args: for its constructor.
        **kwargs: for its constructor; ``device`` is where it is to be, the CPU if it is not given. Up to torch 1.8
            ``dtype`` may be given for torch's own.

    Returns:
        The module. No random number has been drawn.

    Raises:
        RuntimeError: *module_cls* is no module, or takes no ``device``: recurrent networks, containers, losses and
            modules without parameters do not.
        TypeError: *module_cls* is no class.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html
    """
    _skip_init.check(module_cls)
    if not at_least(1, 9):
        return _skip_init.before_devices(module_cls, args, kwargs)
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=device)


_attach(globals())
