"""Oracles for the transforms that differentiate: closed forms are in the tests, finite differences here.

The transforms of one test must be of one kind, all native or all fallbacks::

    def test_something(impl, shim):
        t = transforms(impl, shim)
        t.vmap(t.grad(f))(x)
"""

import pytest
import torch

from torchcompat import SHIMS

# The first forward derivative of a process loads decompositions that warn on the newest torch; linearize warns of
# its own use of torch.fx on every call.
native_warnings = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node"),
]


class transforms:
    """All transforms of the kind, native or fallback, of the object under test."""

    def __init__(self, impl, shim):
        self._kind = "native" if impl is shim.native else "fallback"

    def __getattr__(self, name):
        if "func." + name not in SHIMS:
            raise AttributeError(name)
        return getattr(SHIMS["func." + name], self._kind)


def double(*values):
    """A float64 tensor of these values, which may be nested lists."""
    return torch.tensor(values[0] if len(values) == 1 else values, dtype=torch.float64)


def normal(*shape):
    """Standard normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64)


def same(actual, expected, tolerance=1e-9, path="result"):
    """Assert that two pytrees are of one structure and their tensors of one dtype, one shape and close in value."""
    if isinstance(expected, torch.Tensor):
        assert isinstance(actual, torch.Tensor), f"{path}: a tensor was expected, not {type(actual).__name__}"
        assert actual.dtype == expected.dtype, f"{path}: dtype {actual.dtype}, expected {expected.dtype}"
        assert actual.shape == expected.shape, f"{path}: shape {list(actual.shape)}, expected {list(expected.shape)}"
        error = (actual.detach() - expected.detach()).abs()
        assert (error <= tolerance * (1 + expected.detach().abs())).all(), f"{path}: off by {error.max().item()}"
        return
    assert type(actual) is type(expected), f"{path}: {type(actual).__name__}, expected {type(expected).__name__}"
    if isinstance(expected, dict):
        assert set(actual) == set(expected), f"{path}: keys {sorted(actual)}, expected {sorted(expected)}"
        for key in expected:
            same(actual[key], expected[key], tolerance, f"{path}[{key!r}]")
    elif isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected), f"{path}: {len(actual)} items, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(actual, expected)):
            same(one, other, tolerance, f"{path}[{index}]")
    else:
        assert actual == expected, f"{path}: {actual!r}, expected {expected!r}"


def difference_quotients(function, x, step=1e-5):
    """The Jacobian of *function* at *x*, of shape output + input, by central differences (error: step squared)."""
    columns = []
    for index in range(x.numel()):
        shift = torch.zeros_like(x).reshape(-1)
        shift[index] = step
        shift = shift.reshape(x.shape)
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return torch.stack(columns, -1).reshape(columns[0].shape + x.shape)


def on_a_graph(tree):
    """Whether each tensor of a pytree requires a gradient."""
    if isinstance(tree, torch.Tensor):
        return [tree.requires_grad]
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (tuple, list)) else []
    return [flag for item in items for flag in on_a_graph(item)]
