"""Tests made from tables: a table names shims, and for each the calls of its object and what they must give."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch

from torchcompat import SHIMS, at_least, func

NAN, INF = math.nan, math.inf
MIXED = [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float32, torch.float64]
REAL = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.float64]


def t(*values, dtype=None):
    """A tensor of *values*; one value that is no list gives one without dimensions."""
    given = values[0] if len(values) == 1 else list(values)
    return torch.tensor(given, dtype=dtype)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def case(call, expected, limit=None, tolerance=0.0, only=True):
    """A call of the object under test and the tensor, tuple or class of error that it must give."""
    marks = [pytest.mark.limit(limit)] if limit else []
    if not only:
        marks.append(pytest.mark.skip(reason="this torch lacks what the case needs"))
    return pytest.param((call, expected, tolerance), marks=marks)


def kink(call, inputs, expected, limit=None, only=True):
    """A call of tensors of float64 and the gradients, of the sum of its results, that each must have."""
    marks = [pytest.mark.limit(limit)] if limit else []
    if not only:
        marks.append(pytest.mark.skip(reason="this torch lacks what the case needs"))
    return pytest.param((call, inputs, expected), marks=marks)


def limited(limit, *row):
    """A row of any table that fails where the *limit* holds."""
    return pytest.param(row, marks=[pytest.mark.limit(limit)])


def contract_of(table, prefix, check):
    """{test name: test}, one for each name of the *table*: to be put into a module's globals."""

    def one(name, cases):
        def run(impl, row):
            check(impl, *(row if isinstance(row, tuple) else (row,)))

        params = [
            pytest.param(*(param.values), marks=param.marks, id=str(number))
            if hasattr(param, "marks")
            else pytest.param(param, id=str(number))
            for number, param in enumerate(cases)
        ]
        return pytest.mark.shim(name)(pytest.mark.parametrize("row", params)(run))

    return {f"test_{prefix}_{name}": one(name, cases) for name, cases in table.items()}


def assert_same(actual, expected, tolerance=0.0, signs=True):
    """Of one structure, dtype, shape, values, NaN, and where the values are exact, signs of zero."""
    if isinstance(expected, tuple):
        assert isinstance(actual, tuple)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            assert_same(one, other, tolerance, signs)
        return
    assert actual.dtype is expected.dtype
    assert actual.shape == expected.shape
    if actual.dtype in (torch.float16, torch.bfloat16):
        actual, expected = actual.float(), expected.float()
    one, other = actual.detach().numpy(), expected.detach().numpy()
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    if signs and not tolerance and one.dtype.kind == "f":
        zero = other == 0
        assert (np.signbit(one[zero]) == np.signbit(other[zero])).all()


def gives(f, call, expected, tolerance):
    if isinstance(expected, type):
        with pytest.raises(expected):
            call(f)
    else:
        assert_same(call(f), expected, tolerance)


def has_gradients(f, call, inputs, expected):
    leaves = [f64(values).requires_grad_() for values in inputs]
    results = call(f, *leaves)
    results = results if isinstance(results, tuple) else (results,)
    total = sum(result.sum() for result in results if result.dtype.is_floating_point)
    for gradient, wanted in zip(torch.autograd.grad(total, leaves), expected):
        assert_same(gradient, f64(wanted), 1e-12)


def is_smooth(f, call, *inputs):
    """The gradients are those of finite differences, and so are those of the gradients."""
    leaves = tuple(f64(values).requires_grad_() for values in inputs)
    assert torch.autograd.gradcheck(lambda *args: call(f, *args), leaves)
    assert torch.autograd.gradgradcheck(lambda *args: call(f, *args), leaves)


def _total(results):
    results = results if isinstance(results, tuple) else (results,)
    return sum((result * result).sum() for result in results if result.dtype.is_floating_point)


def is_mapped(f, call, *inputs):
    """vmap gives what each sample gives, and the derivatives of our transforms are autograd's."""
    batch = [f64(values) for values in inputs]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        mapped = func.vmap(lambda *args: call(f, *args))(*batch)
    single = [call(f, *sample) for sample in zip(*batch)]
    if isinstance(mapped, tuple):
        single = tuple(torch.stack(list(parts)) for parts in zip(*single))
        mapped = tuple(mapped)
    else:
        single = torch.stack(single)
    assert_same(mapped, single, 1e-12)
    leaf = batch[0].clone().requires_grad_()
    value = _total(call(f, leaf, *batch[1:]))
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return  # bools and integers have no derivatives
    (expected,) = torch.autograd.grad(value, leaf)

    def of_first(first):
        return _total(call(f, first, *batch[1:]))

    assert_same(func.grad(of_first)(batch[0]), expected, 1e-9)
    with warnings.catch_warnings():
        # Forward AD of torch 2.15 scripts something, and scripting warns.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        _, slope = func.jvp(of_first, (batch[0],), (torch.ones_like(batch[0]),))
    assert_same(slope, expected.sum(), 1e-9)


NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.5, -3.5, 7.0, 0.1, INF, -INF, NAN, 100.0]
WHOLE = [0, 1, 2, 3, 7, 12, 100]


def of_dtype(dtype, rolled=0):
    """A vector of a *dtype* with all that is hard: twelve numbers, or integers of both signs where there are."""
    if dtype is torch.bool:
        values = [True, False, True]
    elif dtype.is_floating_point:
        values = NUMBERS
    else:
        values = WHOLE + [-value for value in WHOLE] * (dtype is not torch.uint8)
    return torch.tensor(values[rolled:] + values[:rolled], dtype=dtype)


def pairs():
    """Two tensors that broadcast to all pairs of hard values, for every two dtypes."""
    for one, other in itertools.product(MIXED, MIXED):
        yield of_dtype(one).unsqueeze(1), of_dtype(other)


def agree(name, calls, tolerance=0.0, signs=False):
    """The fallback gives what torch's own gives, values, dtypes and types of errors, for every one of *calls*."""
    shim = SHIMS[name]
    if not shim.meets_contract:
        pytest.skip(f"{shim.path} does not meet the contract here")
    for number, call in enumerate(calls):
        try:
            expected = call(shim.native)
        except (RuntimeError, TypeError, IndexError) as error:
            if at_least(2, 15):  # older torch may lack dtypes
                with pytest.raises(type(error)):
                    call(shim.fallback)
            continue
        try:
            assert_same(call(shim.fallback), expected, tolerance, signs)
        except Exception as error:
            raise AssertionError(f"{name}: call {number}: {error}") from error
