"""Classes have the constructors of torch 2.15 on every torch, and are types: to annotate, derive from, narrow to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import torchcompat
import torchcompat.cpu
from torchcompat.nn.attention import SDPBackend, sdpa_kernel

x = torch.ones(2, 2)
weight = nn.Parameter(x)
scaler = torchcompat.amp.GradScaler("cpu")
optimizer = torchcompat.optim.AdamW([weight], lr=torch.tensor(0.1), fused=True, foreach=None)
schedule = torchcompat.optim.lr_scheduler.LinearLR(optimizer, total_iters=3)


def train(
    optimizer: torchcompat.optim.Optimizer, schedule: torchcompat.optim.lr_scheduler.LRScheduler, loss: Tensor
) -> None:
    with torchcompat.amp.autocast("cpu", dtype=torch.bfloat16):
        scaler.scale(loss)
    scaler.step(optimizer)
    scaler.update()
    schedule.step()


train(optimizer, schedule, x.sum())


class Layer(torchcompat.nn.TransformerEncoderLayer):
    def __init__(self) -> None:
        super().__init__(8, 2, bias=False, batch_first=True)


encoder = torchcompat.nn.TransformerEncoder(Layer(), 2, enable_nested_tensor=False)
modules: list[nn.Module] = [encoder, torchcompat.nn.MultiheadAttention(8, 2, batch_first=True)]
average = torchcompat.optim.swa_utils.AveragedModel(encoder, use_buffers=True)


class Halving(torchcompat.optim.lr_scheduler.LRScheduler):
    def get_lr(self) -> Any:
        return [0.5 for _ in self.base_lrs]


def is_attention(module: nn.Module) -> bool:
    return isinstance(module, torchcompat.nn.MultiheadAttention)


with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], set_priority=True):
    pass

with torchcompat.cpu.stream(torchcompat.cpu.Stream()):
    pass

try:
    pass
except torchcompat.OutOfMemoryError:
    pass

with torchcompat.serialization.safe_globals([Layer]), torchcompat.serialization.skip_data():
    pass
