"""The modules behind :mod:`torchcompat.nn.utils.parametrizations`, and the matrix functions that they need."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..._torch import UnsupportedError, at_least, at_most, exporting

MAPS = ("matrix_exp", "cayley", "householder")


def is_complex(tensor: Any) -> bool:
    return str(tensor.dtype).startswith("torch.complex")


def check_complex(tensor: Any, name: str) -> None:
    """Refuse complex tensors on torch that cannot compute with them, or not differentiate."""
    if is_complex(tensor) and not at_least(1, 9):
        raise UnsupportedError(f"{name} of a complex tensor needs torch 1.9 or later, for its complex linear algebra")


def adjoint(matrix: Any) -> Any:
    """The transpose of the last two dimensions, conjugated if complex."""
    transposed = matrix.transpose(-2, -1)
    return transposed.conj() if is_complex(matrix) else transposed


def matrix_exp(matrix: Any) -> Any:
    """The exponential of square matrices, differentiable: by its series, after halving them often enough.

    Once the norm is at most 1/2, 14 terms are right to less than float64 can tell. The error of squaring again is that
    of any scaling and squaring: https://doi.org/10.1137/S00361445024180.
    """
    # That of 1.11 and 1.12 warns of itself, for batches.
    if at_least(1, 7) and not (at_least(1, 11) and at_most(1, 12)):
        return torch.matrix_exp(matrix)
    norm = float(matrix.detach().abs().sum(-1).max()) if matrix.numel() else 0.0
    halvings = max(0, math.ceil(math.log2(norm)) + 1) if 0 < norm < math.inf else 0
    small = matrix / 2**halvings
    unit = torch.eye(matrix.size(-1), dtype=matrix.dtype, device=matrix.device)
    result = unit.expand_as(matrix)
    for term in range(14, 0, -1):
        result = unit + torch.matmul(small, result) / term
    for _ in range(halvings):
        result = torch.matmul(result, result)
    return result


def _solve(matrix: Any, right: Any) -> Any:
    if at_least(1, 8):
        return torch.linalg.solve(matrix, right)
    solve: Any = vars(torch)["solve"]  # gone from torch 1.13
    return solve(right, matrix)[0]


def cayley(skew: Any) -> Any:
    """``(I + A/2) (I - A/2)^-1``."""
    unit = torch.eye(skew.size(-1), dtype=skew.dtype, device=skew.device)
    return _solve(unit - skew / 2, unit + skew / 2)


def householder_product(vectors: Any, factors: Any) -> Any:
    """The first columns of the product of the reflections ``I - tau v v^T``, in order.

    Args:
        vectors: ``(..., n, k)``, strictly lower triangular: v without its 1 on the diagonal and the zeros above.
        factors: ``(..., k)``, tau.
    """
    if at_least(1, 11):
        return torch.linalg.householder_product(vectors, factors)
    unit = torch.eye(*vectors.shape[-2:], dtype=vectors.dtype, device=vectors.device)
    whole = vectors.tril(-1) + unit
    result = unit.expand_as(vectors)
    for column in range(vectors.size(-1) - 1, -1, -1):
        v = whole[..., column : column + 1]
        tau = factors[..., column : column + 1].unsqueeze(-1)
        result = result - tau * torch.matmul(v, torch.matmul(v.transpose(-2, -1), result))
    return result


def _geqrf(matrices: Any) -> tuple[Any, Any]:
    """The reflections of the QR decomposition of each of a batch, as LAPACK has them, in new tensors."""
    pairs = [torch.geqrf(matrix) for matrix in matrices.reshape(-1, *matrices.shape[-2:])]
    batch = matrices.shape[:-2]
    vectors = torch.stack([pair[0] for pair in pairs]).reshape(matrices.shape)
    return vectors, torch.stack([pair[1] for pair in pairs]).reshape(*batch, -1)


def _orthogonalised(matrix: Any) -> Any:
    """The Q of the QR decomposition of a tall matrix whose R has a diagonal that is not negative."""
    q, r = torch.linalg.qr(matrix) if at_least(1, 8) else torch.qr(matrix)
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    if is_complex(diagonal):
        diagonal = diagonal.real
    return q * diagonal.sign().to(q.dtype).unsqueeze(-2)


def _is_orthogonal(matrix: Any) -> bool:
    unit = torch.eye(matrix.size(-1), dtype=matrix.dtype, device=matrix.device)
    error = (torch.matmul(adjoint(matrix), matrix) - unit).abs()
    tolerance = 10 * matrix.size(-2) * torch.finfo(matrix.dtype).eps
    return bool((error <= tolerance + 1e-5 * unit.abs()).all())


class _Orthogonal(nn.Module):  # type: ignore[misc]
    """A matrix of orthonormal columns, or rows if it is wide, of a matrix without conditions."""

    def __init__(self, weight: Any, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        if is_complex(weight) and orthogonal_map == "householder":
            raise ValueError("orthogonal_map 'householder' takes no complex tensors; accepted: 'matrix_exp', 'cayley'")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.trivialized = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        wide = x.size(-2) < x.size(-1)
        tall = x.transpose(-2, -1) if wide else x
        q = self._reflected(tall) if self.orthogonal_map == "householder" else self._rotated(tall)
        if self.trivialized:
            q = torch.matmul(self.base, q)
        return q.transpose(-2, -1) if wide else q

    def _rotated(self, tall: Any) -> Any:
        rows, columns = tall.shape[-2:]
        lower = tall.tril()
        if rows != columns:
            lower = torch.cat([lower, lower.new_zeros(*lower.shape[:-1], rows - columns)], dim=-1)
        skew = lower - adjoint(lower)
        q = matrix_exp(skew) if self.orthogonal_map == "matrix_exp" else cayley(skew)
        return q[..., :columns]

    def _reflected(self, tall: Any) -> Any:
        vectors = tall.tril(-1)
        factors = 2.0 / (1.0 + (vectors * vectors).sum(dim=-2))
        # The diagonal holds signs, which are not to be learnt.
        signs = tall.detach().diagonal(dim1=-2, dim2=-1).int().to(tall.dtype)
        return householder_product(vectors, factors) * signs.unsqueeze(-2)

    def right_inverse(self, q: Any) -> Any:
        if q.shape != self.shape:
            raise ValueError(f"an orthogonal tensor of shape {tuple(self.shape)} was assigned {tuple(q.shape)}")
        with torch.no_grad():
            wide = q.size(-2) < q.size(-1)
            tall = q.transpose(-2, -1) if wide else q
            if not self.trivialized:
                x = self._reflections_of(tall)
                return x.transpose(-2, -1) if wide else x
            self.base = self._base_of(tall)
            x = torch.zeros_like(q)
            x.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return x

    def _reflections_of(self, tall: Any) -> Any:
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                f"orthogonal_map {self.orthogonal_map!r} cannot be inverted with use_trivialization=False"
            )
        vectors, factors = _geqrf(tall)
        signs = vectors.diagonal(dim1=-2, dim2=-1).sign()
        # A factor of exactly 0 stands for no reflection, where ours always reflects.
        signs = torch.where(factors == 0, -signs, signs)
        vectors.diagonal(dim1=-2, dim2=-1).copy_(signs)
        return vectors

    def _base_of(self, tall: Any) -> Any:
        rows, columns = tall.shape[-2:]
        if rows != columns:
            rest = torch.randn(*tall.shape[:-1], rows - columns, dtype=tall.dtype, device=tall.device)
            return _orthogonalised(torch.cat([tall, rest], dim=-1))
        return tall.clone() if _is_orthogonal(tall) else _orthogonalised(tall)


class _WeightNorm(nn.Module):  # type: ignore[misc]
    """``g v / |v|``."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        if at_most(1, 4) and exporting():  # which makes of it an operator that only Caffe2 has, or wrong numbers
            dims = [dim for dim in range(weight_v.dim()) if self.dim not in (dim, -1)]
            return weight_v * (weight_g / (weight_v * weight_v).sum(dims, keepdim=True).sqrt())
        return torch._weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> Any:
        return torch.norm_except_dim(weight, 2, self.dim), weight


class _SpectralNorm(nn.Module):  # type: ignore[misc]
    """A matrix by its greatest singular value, whose vectors are followed by the power method."""

    _u: torch.Tensor
    _v: torch.Tensor

    def __init__(self, weight: Any, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        dims = weight.dim()
        if not -dims <= dim < dims:
            raise IndexError(f"dim must be from {-dims} to {dims - 1}, got {dim}")
        if n_power_iterations <= 0:
            raise ValueError(f"n_power_iterations must be positive, got {n_power_iterations}")
        self.dim = dim % dims
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if dims > 1:
            matrix = self._matrix(weight.detach())
            u, v = (matrix.new_empty(size).normal_(0, 1) for size in matrix.shape)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Any) -> Any:
        others = [dim for dim in range(weight.dim()) if dim != self.dim]
        return weight.permute(self.dim, *others).flatten(1)

    def _iterate(self, matrix: Any, times: int) -> None:
        # In place: the replicas of a DataParallel share these buffers with the module.
        with torch.no_grad():
            for _ in range(times):
                self._u.copy_(F.normalize(torch.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(torch.mv(adjoint(matrix), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        # Copies: a second forward pass must not change what the first one's backward pass needs.
        u, v = self._u.clone(), self._v.clone()
        if at_most(1, 10) and exporting():  # which lacks mv up to 1.8, and dot up to 1.9
            return weight / (u * torch.matmul(matrix, v.unsqueeze(1)).squeeze(1)).sum()
        return weight / torch.dot(u.conj() if is_complex(u) else u, torch.mv(matrix, v))

    def right_inverse(self, value: Any) -> Any:
        return value
