"""What the tests of checkpointing share."""

import torch
from torch import nn

from torchcompat.utils import checkpoint as public
from torchcompat.utils.checkpoint._run import run


def network(dropout=0.0):
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 3)).double()


def data(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def history():
    """A leaf, and a tensor with a history that starts there."""
    leaf = data(2, 3).requires_grad_()
    return leaf, leaf * 2


def all_close(first, second):
    """Assert that two lists of tensors are close, with None, for no gradient, at the same places."""
    assert len(first) == len(second)
    for one, other in zip(first, second):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other)


class Counted:
    """A function, and how often it ran."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


class Logged:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def __enter__(self):
        self.log.append(self.name)

    def __exit__(self, *error):
        self.log.append("end of " + self.name)


def plainly(function, args, hooked):
    return run(function, args, {}, True, public.noop_context_fn, "default", True, public.CheckpointError, hooked=hooked)
