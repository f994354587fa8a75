"""torch._check and its kin, and arithmetic of numbers that may be symbolic: one table of cases."""

import math

import numpy as np
import pytest
import torch

from torchcompat import SHIMS

shim = pytest.mark.shim
# Torch 2.15 announces the end of one of them at each call.
pytestmark = pytest.mark.filterwarnings("ignore:_check_is_size will be removed", "ignore:`torch.jit:FutureWarning")


def param(name, *values):
    return pytest.param(*values, marks=shim(name), id=name)


ERRORS = {
    "_check": RuntimeError,
    "_check_index": IndexError,
    "_check_value": ValueError,
    "_check_type": TypeError,
    "_check_not_implemented": NotImplementedError,
}
BY_TYPE = [param(name, error) for name, error in sorted(ERRORS.items())]


@pytest.mark.parametrize("error", BY_TYPE)
def test_a_condition_that_does_not_hold_is_an_error_of_its_type(impl, error):
    assert impl(True) is None
    assert impl(True, lambda: 1 / 0) is None
    for arguments in ((False,), (False, None)):
        with pytest.raises(error, match="Expected cond to be True") as caught:
            impl(*arguments)
        assert type(caught.value) is error
    with pytest.raises(error, match=r"^no 3$"):
        impl(False, message=lambda: "no 3")
    with pytest.raises(error, match=r"^3$"):
        impl(cond=False, message=lambda: 3)


@pytest.mark.parametrize("error", BY_TYPE)
@pytest.mark.limit("text")
def test_a_message_may_be_text(impl, error):
    with pytest.raises(error, match=r"^no 3$"):
        impl(False, "no 3")


@pytest.mark.parametrize("error", BY_TYPE)
def test_a_condition_is_a_bool(impl, error):
    for value in (1, None, torch.tensor(True)):
        with pytest.raises(TypeError, match="cond must be a bool"):
            impl(value)


@shim("_check_with")
def test_check_with_any_error(impl):
    assert impl(KeyError, True, None) is None
    with pytest.raises(KeyError, match="no"):
        impl(KeyError, False, lambda: "no")
    with pytest.raises(AssertionError):
        impl(UserWarning, False, None)
    with pytest.raises(TypeError, match="cond must be a bool"):
        impl(KeyError, 1, None)


@shim("_check_tensor_all")
def test_check_tensor_all(impl):
    for value in ([True, True], [[True], [True]], True, []):
        assert impl(torch.tensor(value, dtype=torch.bool)) is None
    with pytest.raises(RuntimeError, match=r"^no$"):
        impl(torch.tensor([True, False]), lambda: "no")
    with pytest.raises(TypeError, match=r"torch.bool"):
        impl(torch.tensor([1]))
    with pytest.raises(TypeError, match="tensor"):
        impl(True)


@shim("_check_is_size")
def test_check_is_size(impl):
    for arguments, keywords in (((0,), {}), ((3,), {"max": 3}), ((3, None), {})):
        assert impl(*arguments, **keywords) is None
    with pytest.raises(RuntimeError, match=r"^no$"):
        impl(-1, lambda: "no")
    with pytest.raises(RuntimeError):
        impl(4, max=3)


@shim("_assert")
def test_assert(impl):
    for value in (True, 1, torch.tensor(1), "a"):
        assert impl(value, "no") is None
    for value in (False, torch.tensor(0), None):
        with pytest.raises(AssertionError, match=r"^no$"):
            impl(condition=value, message="no")


asserts = SHIMS["_assert"].fallback
torch_asserts = SHIMS["_assert"].native


def ours_in_script(x):
    # type: (torch.Tensor) -> torch.Tensor
    asserts(x.dim() == 1, "one axis")
    return x + 1


def torchs_in_script(x):
    # type: (torch.Tensor) -> torch.Tensor
    torch_asserts(x.dim() == 1, "one axis")
    return x + 1


@shim("_assert")
def test_assert_in_scripted_code(impl):
    scripted = torch.jit.script(ours_in_script if impl is asserts else torchs_in_script)
    assert scripted(torch.zeros(2)).tolist() == [1.0, 1.0]
    with pytest.raises((RuntimeError, torch._C.JITException)):
        scripted(torch.zeros(2, 2))


VALUES = [
    ("sym_int", (2.7,), 2),
    ("sym_int", (-2.7,), -2),
    ("sym_int", ("3",), 3),
    ("sym_int", (True,), 1),
    ("sym_float", (2,), 2.0),
    ("sym_float", ("2.5",), 2.5),
    ("sym_not", (True,), False),
    ("sym_not", (0,), True),
    ("sym_not", ([],), True),
    ("sym_max", (2, 3), 3),
    ("sym_max", (3, 2), 3),
    ("sym_max", (1, 0.5), 1.0),
    ("sym_max", (0.5, 2), 2.0),
    ("sym_min", (2, 3), 2),
    ("sym_min", (1, 1.5), 1.0),
    ("sym_min", (2.5, 2), 2.0),
    ("sym_ite", (True, 1, 2), 1),
    ("sym_ite", (False, 1.0, 2.0), 2.0),
    ("sym_sum", ([1, 2, 3],), 6),
    ("sym_sum", ((1, 2),), 3),
    ("sym_sum", ([],), 0),
    ("sym_sum", (1, 2, 3), 6),
    ("sym_sum", ([1, 2.5],), 3.5),
    ("sym_sqrt", (4,), 2.0),
    ("sym_sqrt", (2.0,), math.sqrt(2)),
]


@pytest.mark.parametrize(("arguments", "expected"), [param(name, *case) for name, *case in VALUES])
def test_of_plain_numbers(impl, arguments, expected):
    found = impl(*arguments)
    assert found == expected
    assert type(found) is type(expected)


@shim("sym_max")
@pytest.mark.limit("numpy")
def test_of_numpys_numbers(impl):
    assert impl(np.int64(3), 2) == 3
    assert type(impl(np.float64(0.5), 2)) is float


@shim("sym_min")
@pytest.mark.limit("numpy")
def test_of_numpys_other_numbers(impl):
    assert impl(np.int64(3), 2) == 2


REFUSED = [
    ("sym_max", AssertionError, ("a", "b")),
    ("sym_max", AssertionError, (1, torch.tensor(2))),
    ("sym_min", AssertionError, (None, 1)),
    ("sym_ite", AssertionError, (True, 1, 2.0)),
    ("sym_ite", AssertionError, (1, 1, 2)),
    ("sym_sqrt", ValueError, (-1,)),
    ("sym_int", TypeError, (None,)),
    ("sym_float", ValueError, ("a",)),
]


@pytest.mark.parametrize(("error", "arguments"), [param(name, *case) for name, *case in REFUSED])
def test_what_is_no_number_is_refused(impl, error, arguments):
    with pytest.raises(error):
        impl(*arguments)


def symbols():
    """Two symbolic sizes of torch's own, 3 and 5."""
    shapes = pytest.importorskip("torch.fx.experimental.symbolic_shapes")
    modes = pytest.importorskip("torch._subclasses.fake_tensor")
    mode = modes.FakeTensorMode(shape_env=shapes.ShapeEnv())
    try:
        return mode.from_tensor(torch.zeros(3, 5), static_shapes=False).shape
    except TypeError:
        return mode.from_tensor(torch.zeros(3, 5)).shape


@pytest.mark.skipif(not hasattr(torch, "sym_max"), reason="this torch has plain numbers alone")
@pytest.mark.last
def test_numbers_that_a_compiler_does_not_know_stay_such():
    three, five = symbols()
    if type(three) is int:
        pytest.skip("this torch makes no symbols so")
    ours = {
        name: SHIMS[name].fallback for name in ("sym_max", "sym_min", "sym_int", "sym_float", "sym_sum", "sym_sqrt")
    }
    largest = ours["sym_max"](three, five)
    assert isinstance(largest, torch.SymInt)
    assert largest == 5
    assert ours["sym_min"](4, three) == 3
    assert isinstance(ours["sym_int"](three), torch.SymInt)
    assert isinstance(ours["sym_float"](three), torch.SymFloat)
    assert ours["sym_sum"](three, five, 1) == 9
    SHIMS["_check_is_size"].fallback(three, max=9)
    SHIMS["_check"].fallback(three > 2)
    with pytest.raises(RuntimeError):
        SHIMS["_check"].fallback(three > 4)
