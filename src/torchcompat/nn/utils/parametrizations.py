"""``torch.nn.utils.parametrizations``: orthogonal matrices, and weights divided by a norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..._shim import Limit, polyfill
from . import _parametrizations, parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

PATH = "torch.nn.utils.parametrizations."
ONNX = Limit("onnx", "torch.onnx.export by TorchScript (dynamo=False) refuses it, as torch's own", "fallback")
COMPLEX = Limit("old-complex", "takes no complex tensors", "fallback", "1.2", "1.8")


def _tensor(module: Any, name: str) -> Any:
    tensor = getattr(module, name, None)
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer named {name!r}")
    return tensor


@polyfill(
    PATH + "orthogonal",
    since=parametrize.FAMILY,
    link=parametrize.LINK,
    limits=[COMPLEX, ONNX],
    reason=parametrize.RECURRENT,
)
def orthogonal(
    module: nn.Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> nn.Module:
    """Make a matrix of a module orthogonal, or unitary, for good: whatever an optimiser does to what it is made of.

    In torch since 2.0. Fallback: the matrix exponential, the Cayley map or Householder reflections; the exponential by
    its series up to torch 1.6, and on 1.11 and 1.12, the reflections one by one up to 1.10. Torch has the name since
    1.10; see :data:`torchcompat.nn.utils.parametrize.FAMILY`.

    Its columns are orthonormal, or its rows if it is wide. It starts as the matrix that was there, orthogonalised; with
    *use_trivialization* False and not by "householder", as the map of what was there.

    Args:
        module: whose matrix it is; it is changed.
        name: which tensor, ``(..., m, n)``.
        orthogonal_map: "matrix_exp" or "cayley", of a skew-symmetric matrix; "householder", a product of reflections,
            for real ones. If None "matrix_exp" for square and complex ones, else "householder".
        use_trivialization: keep a second matrix, a buffer, that the result is multiplied by, so that it starts at the
            identity (https://arxiv.org/abs/1909.09501).

    Returns:
        *module*.

    Raises:
        ValueError: there is no such tensor, or it has less than two dimensions; *orthogonal_map* is another, or
            "householder" for a complex one.
        UnsupportedError: a complex tensor on torch before 1.9.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
    """
    weight = _tensor(module, name)
    if weight.dim() < 2:
        raise ValueError(f"{name!r} must have at least two dimensions, got {weight.dim()}")
    _parametrizations.check_complex(weight, "orthogonal")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or _parametrizations.is_complex(weight) else "householder"
    if orthogonal_map not in _parametrizations.MAPS:
        raise ValueError(f"orthogonal_map must be one of {_parametrizations.MAPS}, got {orthogonal_map!r}")
    parametrization = _parametrizations._Orthogonal(weight, orthogonal_map, use_trivialization)
    parametrize.register_parametrization(module, name, parametrization, unsafe=True)
    return module


@polyfill(PATH + "weight_norm", since="2.1", link="https://github.com/pytorch/pytorch/pull/103001")
def weight_norm(module: nn.Module, name: str = "weight", dim: int = 0) -> nn.Module:
    """Split a weight into its norms and its directions: ``original0 * original1 / |original1|``.

    In torch since 2.1. Fallback: a parametrization by our
    :func:`torchcompat.nn.utils.parametrize.register_parametrization`. ``torch.nn.utils.weight_norm`` is another
    function, which computes the weight before each forward pass; state dicts of its modules (``weight_g``,
    ``weight_v``) can be loaded.

    Args:
        module: whose weight it is; it is changed.
        name: which tensor.
        dim: each slice along this dimension has a norm of its own; None (or -1) for one norm of all.

    Returns:
        *module*, with ``parametrizations.weight.original0``, the norms, and ``original1``.

    Raises:
        ValueError: there is no such tensor.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
    """
    parametrize.register_parametrization(module, name, _parametrizations._WeightNorm(dim), unsafe=True)

    def rename(state_dict: Any, prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for place, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{place}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


@polyfill(
    PATH + "spectral_norm",
    since=parametrize.FAMILY,
    link=parametrize.LINK,
    limits=[
        COMPLEX,
        Limit("complex", "does not conjugate complex tensors, so that their norm is wrong", "native", "2.0", "2.2"),
    ],
    reason=parametrize.RECURRENT,
)
def spectral_norm(
    module: nn.Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> nn.Module:
    """Divide a weight by its greatest singular value, or a vector by its norm.

    In torch since 2.0. Fallback: the power method, in a parametrization of our own. Torch has the name since 1.9; see
    :data:`torchcompat.nn.utils.parametrize.FAMILY`.

    The singular vectors are buffers, ``_u`` and ``_v``. They start from random ones, after 15 steps of the power
    method, and are improved each time that the weight is read in training mode.

    Args:
        module: whose weight it is; it is changed.
        name: which tensor.
        n_power_iterations: how many steps each time.
        eps: added where a vector is normalised.
        dim: which dimension is that of the rows of the matrix; the others are its columns. If None it is 0, or 1 for a
            transposed convolution.

    Returns:
        *module*.

    Raises:
        ValueError: there is no such tensor, or *n_power_iterations* is not positive.
        IndexError: there is no such *dim*.
        UnsupportedError: a complex tensor on torch before 1.9.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
    """
    weight = _tensor(module, name)
    _parametrizations.check_complex(weight, "spectral_norm")
    if dim is None:
        transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    parametrization = _parametrizations._SpectralNorm(weight, n_power_iterations, dim, eps)
    parametrize.register_parametrization(module, name, parametrization)
    return module
