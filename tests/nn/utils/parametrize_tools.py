"""Parametrizations to try, and what belongs together."""

import pytest
from torch import nn

from torchcompat import SHIMS

PREFIX = "nn.utils.parametrize."


def about(name):
    return pytest.mark.shim(PREFIX + name)


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * 2

    def right_inverse(self, x):
        return x / 2


class AddOne(nn.Module):
    """Without an inverse."""

    def forward(self, x):
        return x + 1


class Sum(nn.Module):
    """A quarter and three quarters."""

    def forward(self, first, second):
        return first + second

    def right_inverse(self, x):
        return x / 4, x * 0.75


def of(name, impl):
    """*name* of the family that *impl* belongs to."""
    shim = SHIMS[PREFIX + name]
    return shim.fallback if impl.__module__.startswith("torchcompat") else shim.native


def linear(impl, *parametrizations, name="weight", **options):
    module = nn.Linear(2, 2)
    for parametrization in parametrizations:
        of("register_parametrization", impl)(module, name, parametrization, **options)
    return module


def values(tensor):
    return tensor.detach().numpy().copy()
