"""``torch.nn.utils.fusion``: a batch norm folded into the layer before it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from ..._shim import Limit, lacks, polyfill

if TYPE_CHECKING:
    from ..._types import Convolution, Linear

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

CONV = "https://github.com/pytorch/pytorch/pull/99696"
_CONV = "does not keep half precision beside a float32 batch norm; up to 1.13 trains what was frozen"
LINEAR = "https://github.com/pytorch/pytorch/pull/134105"


def _check_eval(layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise AssertionError("both modules must be in evaluation mode: call .eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn must have running statistics, got one made with track_running_stats=False")


def _wide(tensor: Any) -> Any:
    # Torch up to 1.x computes little with float16 on the CPU, and up to 1.4 never with two dtypes.
    return tensor.double() if tensor.dtype == torch.float64 else tensor.float()


def _fold(
    weight: Any, bias: Any, mean: Any, var: Any, eps: float, gain: Any, shift: Any, shape: Any
) -> tuple[Any, Any]:
    """The folded weight and bias, of the dtypes of *weight* and *bias*, trainable where these are."""
    mean, var, gain, shift = _wide(mean), _wide(var), _wide(gain), _wide(shift)
    scale = gain * torch.rsqrt(var + eps)
    wide = torch.float64 if torch.float64 in (weight.dtype, scale.dtype) else torch.float32
    new_weight = (weight.to(wide) * scale.to(wide).reshape(shape)).to(weight.dtype)
    old_bias = torch.zeros_like(mean) if bias is None else bias
    new_bias = ((old_bias.to(wide) - mean.to(wide)) * scale.to(wide) + shift.to(wide)).to(
        weight.dtype if bias is None else bias.dtype
    )
    return (
        torch.nn.Parameter(new_weight, weight.requires_grad),
        torch.nn.Parameter(new_bias, bias is not None and bias.requires_grad),
    )


@polyfill(
    "torch.nn.utils.fusion.fuse_conv_bn_eval",
    since="2.1",
    link=CONV,
    limits=[Limit("no statistics", "a bn without running statistics is a TypeError", "native", "2.1", "2.1")],
    reason=_CONV,
)
def fuse_conv_bn_eval(
    conv: Convolution, bn: torch.nn.modules.batchnorm._BatchNorm, transpose: bool = False
) -> Convolution:
    """One convolution that does what *conv* and then *bn* do.

    In torch since 2.1. Fallback: a copy of the layer with the weights of our :func:`fuse_conv_bn_weights`. Torch has
    the name since 1.2; up to 2.0 it made everything float32, up to 1.13 trainable, and it knew neither *transpose*
    (1.11) nor a batch norm without affine parameters.

    Args:
        conv: a convolution in evaluation mode; it stays as it is.
        bn: a batch norm in evaluation mode, with running statistics.
        transpose: *conv* is a transposed convolution, of one group.

    Returns:
        A copy of *conv* with another weight, and a bias; see :func:`fuse_conv_bn_weights`.

    Raises:
        AssertionError: one of the two is in training mode, or *bn* has no running statistics.
        RuntimeError: *bn* is for another number of channels.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
    """
    _check_eval(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


@polyfill(
    "torch.nn.utils.fusion.fuse_conv_bn_weights",
    since="2.1",
    link=CONV,
    limits=[lacks("fullgraph", "2.1", "2.1")],
    reason="does not keep half precision beside float32 statistics",
)
def fuse_conv_bn_weights(
    conv_w: torch.Tensor,
    conv_b: torch.Tensor | None,
    bn_rm: torch.Tensor,
    bn_rv: torch.Tensor,
    bn_eps: float,
    bn_w: torch.Tensor | None,
    bn_b: torch.Tensor | None,
    transpose: bool = False,
) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    """The weight and the bias of a convolution that also does what the batch norm after it does.

    In torch since 2.1. Fallback: the scale of the batch norm times the weight, computed in float32 or float64. See
    :func:`fuse_conv_bn_eval`.

    Args:
        conv_w: ``(C_out, C_in / groups, ...)``, or, transposed, ``(C_in, C_out, ...)``.
        conv_b: ``(C_out,)`` or None.
        bn_rm: the running mean, ``(C_out,)``.
        bn_rv: the running variance, ``(C_out,)``.
        bn_eps: what is added to it.
        bn_w: the batch norm's weight, ``(C_out,)``, or None for ones.
        bn_b: the batch norm's bias, ``(C_out,)``, or None for zeros.
        transpose: the second dimension of *conv_w* is that of the output channels.

    Returns:
        Two parameters, of the shape of *conv_w* and ``(C_out,)``. They have the dtypes of *conv_w* and *conv_b*, and
        require a gradient if these do; without *conv_b* the bias is of *conv_w*'s dtype and requires none.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_weights.html
    """
    gain = torch.ones_like(bn_rm) if bn_w is None else bn_w
    shift = torch.zeros_like(bn_rm) if bn_b is None else bn_b
    rest = [1] * (conv_w.dim() - 2)
    shape = [1, -1] + rest if transpose else [-1, 1] + rest
    return _fold(conv_w, conv_b, bn_rm, bn_rv, bn_eps, gain, shift, shape)


@polyfill(
    "torch.nn.utils.fusion.fuse_linear_bn_eval",
    since="2.5",
    link=LINEAR,
    reason="makes a float32 layer of one in half precision beside a float32 batch norm",
)
def fuse_linear_bn_eval(linear: Linear, bn: torch.nn.modules.batchnorm._BatchNorm) -> Linear:
    """One linear layer that does what *linear* and then *bn* do.

    In torch since 2.5. Fallback: a copy of the layer with the weights of our :func:`fuse_linear_bn_weights`. Torch has
    the name since 2.2; it made a float32 layer of one in half precision.

    Args:
        linear: a linear layer in evaluation mode; it stays as it is.
        bn: a batch norm in evaluation mode, with running statistics and affine parameters, of as many features as
            *linear* has outputs, or of one.

    Returns:
        A copy of *linear* with another weight, and a bias; see :func:`fuse_linear_bn_weights`.

    Raises:
        AssertionError: one of the two is in training mode, *bn* has no running statistics, or it has another
            number of features.
        TypeError: *bn* has no affine parameters.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_eval.html
    """
    _check_eval(linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            f"bn must have as many features as linear has outputs, {linear.out_features}, or 1; got {bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


@polyfill(
    "torch.nn.utils.fusion.fuse_linear_bn_weights",
    since="2.5",
    link=LINEAR,
    limits=[lacks("fullgraph", "2.1", "2.1")],
    reason="makes float32 parameters of half precision beside float32 statistics",
)
def fuse_linear_bn_weights(
    linear_w: torch.Tensor,
    linear_b: torch.Tensor | None,
    bn_rm: torch.Tensor,
    bn_rv: torch.Tensor,
    bn_eps: float,
    bn_w: torch.Tensor,
    bn_b: torch.Tensor,
) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    """The weight and the bias of a linear layer that also does what the batch norm after it does.

    In torch since 2.5. Fallback: the scale of the batch norm times the weight, computed in float32 or float64. See
    :func:`fuse_linear_bn_eval`.

    Args:
        linear_w: ``(out, in)``.
        linear_b: ``(out,)`` or None.
        bn_rm: the running mean, ``(out,)`` or ``(1,)``.
        bn_rv: the running variance, of that shape.
        bn_eps: what is added to it.
        bn_w: the batch norm's weight, of that shape.
        bn_b: the batch norm's bias, of that shape.

    Returns:
        Two parameters, with the dtypes of *linear_w* and *linear_b*, that require a gradient if these do; without
        *linear_b* the bias is of *bn_rm*'s shape and *linear_w*'s dtype, and requires none.

    Raises:
        TypeError: *bn_w* or *bn_b* is None.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_weights.html
    """
    for name, tensor in (("bn_w", bn_w), ("bn_b", bn_b)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"{name} must be a tensor, got {type(tensor).__name__}: a batch norm without affine parameters"
            )
    return _fold(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])
