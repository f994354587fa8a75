"""The types of the functions over lists, for type checkers. Every function has one of these."""

from __future__ import annotations

from typing import List, Tuple, Union, overload

import torch
from torch import Tensor
from typing_extensions import Protocol

Tensors = Union[List[Tensor], Tuple[Tensor, ...]]
Number = Union[int, float, complex]
Numbers = Union[List[int], List[float], List[complex], Tuple[int, ...], Tuple[float, ...], Tuple[complex, ...]]


class Unary(Protocol):
    def __call__(_, self: Tensors) -> tuple[Tensor, ...]: ...


class UnaryInPlace(Protocol):
    def __call__(_, self: Tensors) -> list[Tensor]: ...


class Binary(Protocol):
    @overload
    def __call__(_, self: Tensors, scalar: Number) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Tensors, scalars: Numbers) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Tensors, other: Tensors | Tensor) -> tuple[Tensor, ...]: ...


class BinaryInPlace(Protocol):
    @overload
    def __call__(_, self: Tensors, scalar: Number) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, scalars: Numbers) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, other: Tensors | Tensor) -> list[Tensor]: ...


class Sum(Protocol):
    @overload
    def __call__(_, self: Tensors, scalar: Number) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Tensors, scalars: Numbers) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Tensors, other: Tensors | Tensor, *, alpha: Number = 1) -> tuple[Tensor, ...]: ...


class SumInPlace(Protocol):
    @overload
    def __call__(_, self: Tensors, scalar: Number) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, scalars: Numbers) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, other: Tensors | Tensor, *, alpha: Number = 1) -> list[Tensor]: ...


class Power(Protocol):
    @overload
    def __call__(_, self: Tensors, exponent: Number | Numbers | Tensors) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Number, exponent: Tensors) -> tuple[Tensor, ...]: ...


class PowerInPlace(Protocol):
    def __call__(_, self: Tensors, exponent: Number | Numbers | Tensors) -> list[Tensor]: ...


class Pointwise(Protocol):
    @overload
    def __call__(_, self: Tensors, tensor1: Tensors, tensor2: Tensors, value: Number = 1) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(
        _, self: Tensors, tensor1: Tensors, tensor2: Tensors, scalars: Numbers | Tensor
    ) -> tuple[Tensor, ...]: ...


class PointwiseInPlace(Protocol):
    @overload
    def __call__(_, self: Tensors, tensor1: Tensors, tensor2: Tensors, value: Number = 1) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, tensor1: Tensors, tensor2: Tensors, scalars: Numbers | Tensor) -> list[Tensor]: ...


class Lerp(Protocol):
    @overload
    def __call__(_, self: Tensors, tensors1: Tensors, weight: Number | Numbers) -> tuple[Tensor, ...]: ...
    @overload
    def __call__(_, self: Tensors, tensors1: Tensors, weights: Tensors) -> tuple[Tensor, ...]: ...


class LerpInPlace(Protocol):
    @overload
    def __call__(_, self: Tensors, tensors1: Tensors, weight: Number | Numbers) -> list[Tensor]: ...
    @overload
    def __call__(_, self: Tensors, tensors1: Tensors, weights: Tensors) -> list[Tensor]: ...


class Norm(Protocol):
    def __call__(_, self: Tensors, ord: Number = 2, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]: ...


class Copy(Protocol):
    def __call__(_, self: Tensors, src: Tensors, non_blocking: bool = False) -> list[Tensor]: ...


class Clone(Protocol):
    def __call__(_, self: Tensors, *, memory_format: torch.memory_format | None = None) -> tuple[Tensor, ...]: ...


class Matrices(Protocol):
    def __call__(_, self: Tensors, mat2: Tensors) -> tuple[Tensor, ...]: ...
