"""On the newest torch a class is torch's own, both ways."""

from __future__ import annotations

import torch
import torch.nn.attention.bias
import torch.nn.attention.flex_attention
import torch.nn.attention.varlen
import torch.optim.swa_utils
import torch.utils.checkpoint
from typing_extensions import assert_type

import torchcompat
import torchcompat.cpu
import torchcompat.nn.attention.bias
import torchcompat.nn.attention.flex_attention
import torchcompat.nn.attention.varlen
import torchcompat.optim.swa_utils
import torchcompat.utils.checkpoint


def both_ways(
    autocast: torch.amp.autocast,
    scaler: torch.amp.GradScaler,
    attention: torch.nn.MultiheadAttention,
    layer: torch.nn.TransformerEncoderLayer,
    adam: torch.optim.Adam,
    muon: torch.optim.Muon,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    model: torch.optim.swa_utils.AveragedModel,
    mask: torch.nn.attention.flex_attention.BlockMask,
    bias: torch.nn.attention.bias.CausalBias,
    request: torch.nn.attention.varlen.AuxRequest,
    backend: torch.nn.attention.SDPBackend,
    no_grad: torch.no_grad,
    inference: torch.inference_mode,
    stream: torch.cpu.Stream,
    globals_: torch.serialization.safe_globals,
    order: torch.serialization.LoadEndianness,
    oom: torch.OutOfMemoryError,
    error: torch.utils.checkpoint.CheckpointError,
    index: torch.accelerator.device_index,
) -> None:
    assert_type(autocast, torchcompat.amp.autocast)
    assert_type(scaler, torchcompat.amp.GradScaler)
    assert_type(scaler, torchcompat.GradScaler)
    assert_type(attention, torchcompat.nn.MultiheadAttention)
    assert_type(layer, torchcompat.nn.TransformerEncoderLayer)
    assert_type(adam, torchcompat.optim.Adam)
    assert_type(muon, torchcompat.optim.Muon)
    assert_type(schedule, torchcompat.optim.lr_scheduler.LRScheduler)
    assert_type(model, torchcompat.optim.swa_utils.AveragedModel)
    assert_type(mask, torchcompat.nn.attention.flex_attention.BlockMask)
    assert_type(bias, torchcompat.nn.attention.bias.CausalBias)
    assert_type(request, torchcompat.nn.attention.varlen.AuxRequest)
    assert_type(backend, torchcompat.nn.attention.SDPBackend)
    assert_type(no_grad, torchcompat.no_grad)
    assert_type(inference, torchcompat.inference_mode)
    assert_type(stream, torchcompat.cpu.Stream)
    assert_type(globals_, torchcompat.serialization.safe_globals)
    assert_type(order, torchcompat.serialization.LoadEndianness)
    assert_type(oom, torchcompat.OutOfMemoryError)
    assert_type(oom, torchcompat.memory.OutOfMemoryError)
    assert_type(error, torchcompat.utils.checkpoint.CheckpointError)
    assert_type(index, torchcompat.accelerator.device_index)


@torchcompat.enable_grad()
def with_gradients(value: torch.Tensor, times: int = 1) -> torch.Tensor:
    return torch.relu(value)


assert_type(with_gradients(torch.ones(2), times=2), torch.Tensor)
