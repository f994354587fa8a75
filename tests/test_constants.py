"""The constants of torch's top level."""

import math

import pytest
import torch

import torchcompat
from torchcompat import SHIMS, _shim
from torchcompat._shim import Constant

FLOATS = {"e": math.exp(1), "pi": 2 * math.asin(1), "inf": math.inf}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.shim(name)) for name in sorted(FLOATS)])
def test_a_constant_is_the_float_of_its_name(impl, name):
    assert type(impl) is float
    assert impl == FLOATS[name]


@pytest.mark.shim("nan")
def test_nan_is_the_float_that_is_not_itself(impl):
    assert type(impl) is float
    assert impl != impl


@pytest.mark.shim("newaxis")
def test_newaxis_adds_an_axis_to_a_tensor_and_to_an_array(impl):
    x = torch.arange(6).reshape(2, 3)
    assert x[:, impl].shape == (2, 1, 3)
    assert x.numpy()[..., impl].shape == (2, 3, 1)


@pytest.mark.parametrize("name", ["e", "inf", "nan", "newaxis", "pi"])
def test_the_public_name_works_with_tensors(name):
    value = getattr(torchcompat, name)
    assert value is SHIMS[name].public
    assert SHIMS[name].kind == "constant"
    if name != "newaxis":
        assert torch.full((2,), value).dtype == torch.float32


def test_what_a_table_row_of_a_constant_says(monkeypatch):
    monkeypatch.setattr(_shim, "FORCED", frozenset())
    row = Constant("made_up", None, "torch.no_such_name", "99.0", "https://example.org", "A doc.")
    assert (row.why, row.here, row.doc, row.public) == ("missing", "fallback", "A doc.", None)
    assert not row.is_there
    monkeypatch.setattr(_shim, "FORCED", frozenset(["made_up"]))
    assert Constant("made_up", 1, "torch.add", "1.2", "", "").why == "forced"
    monkeypatch.setattr(_shim, "FORCED", frozenset())
    assert Constant("made_up", 1, "torch.add", "99.0", "", "").why == "too old"
    there = Constant("made_up", 1, "torch.add", "1.2", "", "")
    assert (there.why, there.here) == ("native", "native")
    assert there.public is torch.add
