"""Modules, and what is asked of them, for the tests of ``functional_call``."""

import warnings

import torch
from torch import nn


class Affine(nn.Module):
    """x * w + b, with a parameter, a buffer and a step count that the forward assigns anew."""

    def __init__(self, w=2.0, b=1.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.register_buffer("b", torch.tensor(b))
        self.register_buffer("steps", torch.tensor(0.0))
        self.calls = 0

    def forward(self, x=3.0, scale=1.0):
        self.calls += 1
        self.steps = self.steps + 1
        return (x * self.w + self.b) * scale


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Affine()
        self.deep = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1, bias=False)))

    def forward(self, x):
        return self.deep(self.inner(x))


def slots(module):
    """Every parameter, buffer and plain attribute of the tree: namespace, names in order, values."""
    found = []
    for sub in module.modules():
        for space in (sub._parameters, sub._buffers, sub._modules, sub.__dict__):
            found.append((space, list(space), [space[name] for name in space]))
    return found


def assert_untouched(module, before, but=()):
    after = slots(module)
    assert len(after) == len(before)
    for (space, names, values), (space_now, names_now, values_now) in zip(before, after):
        assert space is space_now
        assert names == names_now
        for name, value, now in zip(names, values, values_now):
            assert value is now or name in but, name


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def scalar(value, grad=False):
    return torch.tensor(float(value), requires_grad=grad)


X = torch.ones(1, 1)
