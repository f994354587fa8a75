"""Decorators keep the signature of what they decorate, on every torch."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import assert_type

import torchcompat
import torchcompat.utils.checkpoint

x = torch.ones(2)


@torchcompat.no_grad()
def no_grad(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.inference_mode()
def inference_mode(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.set_grad_enabled(False)
def set_grad_enabled(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.compile
def compiled(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.compile(fullgraph=True, recompile_limit=3)
def compiled_whole(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.compiler.disable(reason="it prints")
def disabled(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.compiler.set_stance("force_eager")
def eager(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.deterministic(seed=1)
def deterministic(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.matmul_precision("high")
def matmul_precision(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.conv_precision("high")
def conv_precision(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.attention.fastpath(False)
def fastpath(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.device.default_device("cpu")
def default_device(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


@torchcompat.utils.checkpoint.checkpoint(use_reentrant=False)
def checkpointed(value: Tensor, times: int = 1) -> Tensor:
    return torch.relu(value)


assert_type(no_grad(x, times=2), Tensor)
assert_type(inference_mode(x, times=2), Tensor)
assert_type(set_grad_enabled(x, times=2), Tensor)
assert_type(compiled(x, times=2), Tensor)
assert_type(compiled_whole(x, times=2), Tensor)
assert_type(disabled(x, times=2), Tensor)
assert_type(eager(x, times=2), Tensor)
assert_type(deterministic(x, times=2), Tensor)
assert_type(matmul_precision(x, times=2), Tensor)
assert_type(conv_precision(x, times=2), Tensor)
assert_type(fastpath(x, times=2), Tensor)
assert_type(default_device(x, times=2), Tensor)
assert_type(checkpointed(x, times=2), Tensor)


class Square(torch.autograd.Function):
    @staticmethod
    @torchcompat.amp.custom_fwd(device_type="cuda")
    def forward(ctx: object, value: Tensor) -> Tensor:
        return torch.relu(value)


assert_type(Square.forward(None, x), Tensor)

model = torchcompat.compile(torch.nn.Linear(2, 2))
model(x)
