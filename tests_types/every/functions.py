"""What functions give, on every torch: tensors, and never Any where torch says what it is."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import assert_type

import torchcompat
import torchcompat.nn.attention.flex_attention as flex
import torchcompat.nn.functional
import torchcompat.utils.checkpoint
from torchcompat.utils import pytree

x = torch.ones(2, 2)
linear = torch.nn.Linear(2, 2)


def square(value: Tensor) -> Tensor:
    return torch.relu(value)


def double(values: Tensor, times: int) -> tuple[Tensor, int]:
    return torch.relu(values), times


# func
assert_type(torchcompat.func.vmap(square)(x), Tensor)
assert_type(torchcompat.func.vmap(double, in_dims=(0, None))(x, 2), "tuple[Tensor, int]")
torchcompat.func.grad(square, argnums=(0,))(x)
gradient, value = torchcompat.func.grad_and_value(square)(x)
parameters = {"weight": x}
torchcompat.func.functional_call(linear, parameters, (x,))
torchcompat.functional_module(linear)

# nn
assert_type(torchcompat.nn.functional.scaled_dot_product_attention(x, x, x, enable_gqa=True), Tensor)
assert_type(torchcompat.nn.utils.clip_grad_norm_(linear.parameters(), 1.0, foreach=True), Tensor)
assert_type(torchcompat.nn.utils.get_total_norm([x, x]), Tensor)
assert_type(torchcompat.nn.utils.rnn.pad_sequence([x, x], padding_side="left"), Tensor)
assert_type(torchcompat.nn.utils.fusion.fuse_linear_bn_eval(linear, torch.nn.BatchNorm1d(2)), torch.nn.Linear)
assert_type(torchcompat.nn.utils.parametrizations.orthogonal(linear), torch.nn.Module)
assert_type(torchcompat.nn.utils.parametrize.is_parametrized(linear), bool)
assert_type(flex.flex_attention(x, x, x), Tensor)
assert_type(flex.flex_attention(x, x, x, return_lse=True), "tuple[Tensor, Tensor]")
output, more = flex.flex_attention(x, x, x, return_aux=flex.AuxRequest(lse=True))
assert_type(output, Tensor)
mask = flex.create_block_mask(lambda b, h, q, k: q >= k, None, None, 2, 2)
assert_type(mask, flex.BlockMask)

# tensors
assert_type(torchcompat.meshgrid(x, x, indexing="ij"), "tuple[Tensor, ...]")

# utils
assert_type(torchcompat.utils.checkpoint.checkpoint(square, x, use_reentrant=False), Tensor)
leaves, spec = pytree.tree_flatten({"a": x})
assert_type(spec, pytree.TreeSpec)

# amp
assert_type(torchcompat.amp.is_autocast_available("cpu"), bool)
assert_type(torchcompat.is_autocast_enabled("cpu"), bool)
assert_type(torchcompat.get_autocast_dtype("cpu"), torch.dtype)

# memory
assert_type(torchcompat.is_oom_error(RuntimeError()), bool)

# serialization
torchcompat.save({"a": x}, "file.pt")
torchcompat.load("file.pt", map_location={"cuda:0": "cpu"}, weights_only=True)
torchcompat.serialization.add_safe_globals([square, (square, "module.square")])

# device, accelerator
assert_type(torchcompat.best_device(), torch.device)
assert_type(torchcompat.available_devices(), "list[torch.device]")
assert_type(torchcompat.accelerator.device_count(), int)
assert_type(torchcompat.accelerator.memory_allocated("cuda"), int)
torchcompat.accelerator.synchronize(torch.device("cpu"))
torchcompat.set_default_device("cpu")

# attention
assert_type(torchcompat.why_not_fastpath(linear, x), "list[str]")
assert_type(torchcompat.attention.sdpa_backend(x, x, x).backend, str)
