"""What the tests of averages of weights share."""

import pytest
import torch

from torchcompat import at_least


def about(name):
    return pytest.mark.shim("optim.swa_utils." + name)


HALVES = [torch.float16, torch.bfloat16] if at_least(1, 5) else [torch.float16]


def tolerance(dtype):
    return {torch.float16: 2e-3, torch.bfloat16: 1.6e-2}.get(dtype, 1e-6)
