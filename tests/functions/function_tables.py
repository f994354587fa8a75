"""Tests made from tables of cases: one test for each name, run with torch's own object and with the fallback.

A table maps the name of a shim to its cases. A case calls ``f``, the object under test, and says what it must give.
"""

import numpy as np
import pytest
import torch

from torchcompat import SHIMS

# Torch's own transforms have not learnt of every function, and are not ours to test.
VMAP, GRAD, JVP = (SHIMS[name].fallback for name in ("func.vmap", "func.grad", "func.jvp"))


def shim_tests(table, prefix, test):
    """{test name: test} of ``test(f, *case)`` for every name of the *table*: to be put into the module's globals."""
    return {f"test_{prefix}_{name}": _one(name, cases, test) for name, cases in table.items()}


def _one(name, cases, test):
    def run(impl, cases):
        for number, case in cases:
            try:
                test(impl, *(case if isinstance(case, tuple) else (case,)))
            except Exception as error:
                raise AssertionError(f"case {number} of {name}: {type(error).__name__}: {error}") from error

    # One test for all cases, since a test costs more than a case; those with a limit are apart, for its mark.
    numbered = list(enumerate(cases))
    params = [pytest.param([pair for pair in numbered if not isinstance(pair[1], Limited)], id="cases")]
    for number, case in numbered:
        if isinstance(case, Limited):
            params.append(pytest.param([(number, case.case)], marks=pytest.mark.limit(case.key), id=case.key))
    return pytest.mark.shim(name)(pytest.mark.parametrize("cases", [param for param in params if param.values[0]])(run))


class Limited:
    def __init__(self, key, case):
        self.key, self.case = key, case


def limited(key, *case):
    """A case that fails where the limit *key* holds."""
    return Limited(key, case if len(case) > 1 else case[0])


def _resolved(tensor):
    return (tensor.resolve_conj() if hasattr(tensor, "resolve_conj") else tensor).detach().numpy()


def check(actual, expected, tolerance=1e-9):
    """Assert that *actual* has the structure, shapes, dtypes and values of *expected*, whose arrays are NumPy's."""
    if isinstance(expected, (tuple, list)):
        assert isinstance(actual, type(expected)), type(actual)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            check(one, other, tolerance)
        return
    array = np.asarray(expected)
    assert isinstance(actual, torch.Tensor)
    assert tuple(actual.shape) == array.shape
    assert actual.dtype == torch.from_numpy(np.zeros(1, array.dtype)).dtype
    exact = array.dtype.kind in "biu"
    np.testing.assert_allclose(_resolved(actual), array, rtol=0 if exact else tolerance, atol=0 if exact else tolerance)


def value(f, call, expected):
    check(call(f), expected())


def error(f, call, kind):
    with pytest.raises(kind):
        call(f)


def differentiable(f, call, *inputs):
    """The gradient of ``call(f, *inputs)`` is that of finite differences, and so is the gradient of the gradient."""
    leaves = tuple(torch.tensor(input, dtype=torch.float64, requires_grad=True) for input in inputs)
    assert torch.autograd.gradcheck(lambda *args: call(f, *args), leaves)


def mapped(f, call, *inputs):
    """Mapped by torchcompat's vmap, a call gives what it gives for each sample; and grad and jvp go through it."""
    batch = [torch.tensor(input, dtype=torch.float64) for input in inputs]
    results = VMAP(lambda *args: call(f, *args))(*batch)
    each = [call(f, *sample) for sample in zip(*batch)]
    if isinstance(results, tuple):
        assert len(results) == len(each[0])
        each = [torch.stack(list(column)) for column in zip(*each)]
        for result, expected in zip(results, each):
            assert torch.allclose(result, expected)
    else:
        assert torch.allclose(results, torch.stack(each))


def transformed(f, call, *inputs):
    """``grad`` of torchcompat is that of autograd, and ``jvp`` the derivative along ones."""
    given = [torch.tensor(input, dtype=torch.float64) for input in inputs]

    def total(*args):
        found = call(f, *args)
        return sum((part * part).sum() for part in (found if isinstance(found, tuple) else (found,)))

    leaf = given[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(total(leaf, *given[1:]), leaf)
    assert torch.allclose(GRAD(total)(*given), expected)
    rest = given[1:]
    _, slope = JVP(lambda first: total(first, *rest), (given[0],), (torch.ones_like(given[0]),))
    assert torch.allclose(slope, expected.sum())
