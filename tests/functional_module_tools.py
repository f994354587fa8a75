"""What the tests of functional_module share."""

import torch
from torch import nn

from torchcompat import SHIMS

X = torch.ones(1, 1)


FALLBACK = SHIMS["func.functional_call"].fallback


def scalar(value):
    return torch.tensor(float(value))


class Scale(nn.Module):
    def __init__(self, w=2.0):
        super().__init__()
        self.w = nn.Parameter(scalar(w))
        self.register_buffer("steps", scalar(0))

    def forward(self, x=1.0, power=1):
        self.steps = self.steps + 1
        return x * self.w**power


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = Scale(2.0)
        self.two = Scale(3.0)

    def forward(self, x=1.0):
        return self.one(x) * 10 + self.two(x)
