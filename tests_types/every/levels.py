"""Levels, modes and the like are Literal, on every torch."""

from __future__ import annotations

import torch
from typing_extensions import Literal, assert_type

import torchcompat

assert_type(torchcompat.get_matmul_precision(), Literal["highest", "high", "medium"])
assert_type(torchcompat.get_conv_precision(), Literal["highest", "high"])
assert_type(torchcompat.dtypes.dtype_support(torch.bfloat16, "cpu"), Literal["native", "emulated", "storage", "none"])
torchcompat.set_matmul_precision("medium")
torchcompat.set_conv_precision("high")
torchcompat.set_matmul_precision("low")  # wrong
torchcompat.matmul_precision("low")  # wrong
torchcompat.conv_precision("medium")  # wrong
torchcompat.set_conv_precision("medium")  # wrong
torchcompat.compiler.set_stance("lazy")  # wrong
