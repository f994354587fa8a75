"""What the tests of different areas assert in the same words."""

import numpy as np
import torch


def _array(value):
    return value.detach().double().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def close(actual, expected, tolerance=1e-9, note=""):
    """Assert that two tensors or arrays have one shape and nearly the same values, and NaN at the same places.

    The tolerance is absolute for small values and relative for large ones. Dtypes may differ.
    """
    actual, expected = _array(actual), _array(expected)
    assert actual.shape == expected.shape, f"{note}: shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=str(note))


def same(one, other):
    """Whether two structures are equal and of the same types all the way down, with dicts in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        factories = getattr(one, "default_factory", None), getattr(other, "default_factory", None)
        return factories[0] is factories[1] and same(list(one.items()), list(other.items()))
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or one == other
