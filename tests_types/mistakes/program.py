"""A program with mistakes. With `torchcompat` replaced by `torch` a checker must find the same ones, line by line."""

from __future__ import annotations

from torch import Tensor, nn, ones

import torchcompat
import torchcompat.nn.attention.flex_attention
import torchcompat.nn.functional
import torchcompat.nn.utils
import torchcompat.optim
import torchcompat.utils.checkpoint

x = ones(2, 2)
weight = nn.Parameter(x)


@torchcompat.no_grad()
def loss(value: Tensor, times: int) -> Tensor:
    return value.sum() * times


@torchcompat.compile(fullgraph=True)
def step(value: Tensor) -> Tensor:
    return value * 2


def integer(value: int) -> int:
    return value


integer(loss(x, 1))  # wrong
loss(x, "twice")  # wrong
loss(x)  # wrong
integer(step(x))  # wrong
step("x")  # wrong
step.backward()  # wrong
torchcompat.compile(step, fullgraph="yes")  # wrong
torchcompat.compile(3)  # wrong
integer(torchcompat.nn.functional.scaled_dot_product_attention(x, x, x))  # wrong
torchcompat.nn.functional.scaled_dot_product_attention(x, x)  # wrong
torchcompat.nn.functional.scaled_dot_product_attention(x, x, x, causal=True)  # wrong
torchcompat.nn.utils.clip_grad_norm_([weight], 1.0).size_of()  # wrong
torchcompat.nn.utils.clip_grad_norm_([weight], "1")  # wrong
torchcompat.nn.utils.get_total_norm(3)  # wrong
torchcompat.nn.utils.parametrize.register_parametrization(x, "weight", nn.Linear(2, 2))  # wrong
torchcompat.optim.Adam([weight], betas=0.9)  # wrong
torchcompat.optim.AdamW([weight], learning_rate=0.1)  # wrong
torchcompat.optim.SGD(3)  # wrong
optimizer = torchcompat.optim.Muon([weight])
optimizer.stride()  # wrong
torchcompat.optim.lr_scheduler.LinearLR(optimizer, total_iters="3")  # wrong
torchcompat.optim.lr_scheduler.SequentialLR(optimizer, [], milestones=3)  # wrong
torchcompat.amp.GradScaler(3)  # wrong
scaler = torchcompat.amp.GradScaler()
scaler.scaled(x)  # wrong
integer(scaler.get_scale())  # wrong
torchcompat.amp.autocast(dtype=None)  # wrong
torchcompat.meshgrid(x, indexing=3)  # wrong
torchcompat.func.vmap(loss)(x, "a")  # wrong
integer(torchcompat.func.vmap(step)(x))  # wrong
torchcompat.func.grad(step, argnums="x")  # wrong
torchcompat.func.functional_call(x, {}, ())  # wrong
torchcompat.func.functional_call(nn.Linear(2, 2), {"weight": 3}, ())  # wrong
torchcompat.nn.attention.flex_attention.flex_attention(x, x, x, return_lse=True).sum()  # wrong
torchcompat.nn.attention.flex_attention.create_block_mask(step, None, None, 2, 2)  # wrong
integer(torchcompat.utils.checkpoint.checkpoint(step, x, use_reentrant=False))  # wrong
torchcompat.utils.checkpoint.checkpoint(step, x, use_reentrant="no")  # wrong
torchcompat.nn.TransformerEncoder(x, 2, enable_nested_tensor="no").layerz  # wrong
torchcompat.nn.MultiheadAttention()  # wrong
torchcompat.save(x)  # wrong
torchcompat.save(x, 3)  # wrong
torchcompat.load(3)  # wrong
torchcompat.set_grad_enabled("yes")  # wrong
torchcompat.set_default_device(3.5)  # wrong
torchcompat.set_float32_matmul_precision(3)  # wrong
torchcompat.accelerator.set_device_index("0", 1)  # wrong
torchcompat.compiler.set_stance("lazy")  # wrong
torchcompat.nn.attention.SDPBackend.CUDA  # wrong
