"""A rule of vmap goes by the name of an operation, so a name that no torch has is a typo, which the history tells."""

import pytest
import torch

from torchcompat.func import _batched
from torchcompat.func._rules import _losses
from torchcompat_check import history

HISTORY = history.load()
OWNERS = ["torch", "torch.Tensor", "torch.nn.functional", "torch.nn.init", "torch.autograd"]
# How the builtins behind torch.linalg.det and its like are called.
PREFIXES = {"linalg_": "torch.linalg.", "special_": "torch.special.", "fft_": "torch.fft."}
# The builtins behind names of torch.nn.functional that are called otherwise.
BUILTINS = {"log_sigmoid"}


def is_known(name):
    """Whether some torch from 1.2 on has an operation, or, from a dot or an equals sign on, an attribute, called so."""
    paths = [f"{owner}.{name.lstrip('.=')}" for owner in OWNERS]
    paths += [path + name[len(prefix) :] for prefix, path in PREFIXES.items() if name.startswith(prefix)]
    # The history leaves out what every object has.
    return any(map(HISTORY.find, paths)) or (name.startswith("__") and hasattr(object, name))


def test_every_name_of_a_rule_is_in_the_history():
    assert len(_batched.rules()) > 700
    assert {name for name in _batched.rules() if not is_known(name)} == BUILTINS
    assert all(hasattr(torch._C._nn, name) for name in BUILTINS)


def test_every_loss_that_is_looked_up_by_its_name_is_in_the_history():
    # They are registered by function, and left out where a torch lacks one.
    names = [*_losses.ELEMENTS, *_losses.ROWS, *_losses.CLASSES]
    assert [name for name in names if not HISTORY.find("torch.nn.functional." + name)] == []


@pytest.mark.parametrize("typo", ["sigmiod", ".imga", "=.grda", "linalg_dte", "special_erff", "__ad__", "add__"])
def test_a_typo_is_found(typo):
    assert not is_known(typo)
