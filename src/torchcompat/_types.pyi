"""The types of arguments that several modules share. For type checkers alone: docs/typing.md.

They are those of torch 2.15, written out, since older torch names them otherwise or not at all.
"""

import os
from typing import IO, Any, Callable, ContextManager, Iterable, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import Module
from typing_extensions import Literal, ParamSpec, TypeAlias

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])
Convolution = TypeVar("Convolution", bound=torch.nn.modules.conv._ConvNd)
Linear = TypeVar("Linear", bound=torch.nn.Linear)

Device: TypeAlias = torch.device | str | int | None
Tensors: TypeAlias = Tensor | Iterable[Tensor]
File: TypeAlias = str | os.PathLike[str] | IO[bytes]
MapLocation: TypeAlias = Callable[[Any, str], Any] | torch.device | str | dict[str, str] | None
SafeGlobals: TypeAlias = list[Callable[..., Any] | tuple[Callable[..., Any], str]]

Argnums: TypeAlias = int | tuple[int, ...]
InDims: TypeAlias = int | tuple[Any, ...]
OutDims: TypeAlias = int | tuple[int, ...] | None

MaskMod: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

AverageOne: TypeAlias = Callable[[Tensor, Tensor, Tensor | int], Tensor]
Several: TypeAlias = tuple[Tensor, ...] | list[Tensor]
AverageAll: TypeAlias = Callable[[Several, Several, Tensor | int], None]

Gradients: TypeAlias = tuple[Tensor, ...] | Tensor
BackwardHook: TypeAlias = Callable[[Module, Gradients, Gradients], Gradients | None]
BackwardPreHook: TypeAlias = Callable[[Module, Gradients], Gradients | None]

TwoContexts: TypeAlias = tuple[ContextManager[Any], ContextManager[Any]]
Backend: TypeAlias = str | Callable[..., Any]
Options: TypeAlias = dict[str, str | int | bool | Callable[..., Any]]
Stance: TypeAlias = Literal[
    "default",
    "eager_then_compile",
    "aot_eager_then_compile",
    "force_eager",
    "eager_on_recompile",
    "fail_on_recompile",
]

Level: TypeAlias = Literal["highest", "high", "medium"]
ConvLevel: TypeAlias = Literal["highest", "high"]
Support: TypeAlias = Literal["native", "emulated", "storage", "none"]

class Switch(Protocol):
    """A context that can also decorate a function."""

    def __enter__(self) -> None: ...
    def __exit__(self, *error: Any) -> None: ...
    def __call__(self, function: F) -> F: ...
