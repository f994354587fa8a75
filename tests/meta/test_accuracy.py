"""What the measurement of the checker looks up inside functions, held to what each torch is known to have."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from torchcompat._torch import at_least

ACCURACY = Path(__file__).resolve().parents[2] / "accuracy"
SOURCE = """
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset


class Norm(nn.LayerNorm):
    def __init__(self, size):
        super().__init__(size, bias=False)

    def forward(self, x):
        return self.get_submodule("x"), self.own_name, self.training


class Explicit(nn.LayerNorm):
    def __init__(self, size):
        nn.LayerNorm.__init__(self, size, bias=False)


def use(x, torch_like):
    nn.LayerNorm(4, bias=False)
    nn.LayerNorm(4, 1e-5, True, False)
    torch.stack([x], dim=0)
    torch.stack([x], no_such_argument=0)
    F.max_pool2d(x, kernel_size=2)
    torch_like.stack([x], no_such_argument=0)
    with torch.device("meta"):
        pass
    Dataset[int]
    try:
        torch.func.vmap(use)
    except torch.cuda.OutOfMemoryError:
        pass

    @torch.no_grad
    def inner():
        pass
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{(line, name, argument): state} of the source above; names are "missing" or "there"."""
    sys.path.insert(0, str(ACCURACY))
    try:
        import bodies
        import trial
    finally:
        sys.path.remove(str(ACCURACY))
    path = tmp_path_factory.mktemp("accuracy") / "module_that_is_looked_up.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(path.stem, str(path))
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    looked = bodies.looked_up(module, ast.parse(SOURCE), trial.is_torch, trial.named)
    states = {(each["line"], each["name"], ""): "missing" for each in looked["missing"]}
    states.update({(line, name, ""): "there" for line, name in looked["there"]})
    states.update({(line, name, argument): state for line, name, argument, state in looked["arguments"]})
    return states


def line(text):
    """The number of the one line that holds *text*."""
    return next(number for number, each in enumerate(SOURCE.split("\n"), 1) if text in each)


def state(found, text, name, argument=""):
    """The state of a use whose name ends in *name*."""
    here = {key[1]: one for key, one in found.items() if (key[0], key[2]) == (line(text), argument)}
    states = {one for path, one in here.items() if path.endswith(name)}
    return states.pop() if len(states) == 1 else states


@pytest.mark.parametrize("text", ["super().__init__(size", "LayerNorm.__init__(self", "LayerNorm(4, bias"])
def test_a_keyword_also_where_a_subclass_hands_it_on(found, text):
    assert state(found, text, "LayerNorm", "bias") == ("taken" if at_least(2, 1) else "refused")


def test_the_place_of_a_positional_argument(found):
    expected = "taken" if at_least(2, 1) else "taken" if at_least(1, 9) else "refused"
    name = "#bias" if at_least(2, 1) else "#device" if at_least(1, 9) else "#"
    assert state(found, "1e-5, True, False", "LayerNorm", name) == expected


def test_the_keywords_of_a_builtin(found):
    assert state(found, "dim=0", "torch.stack", "dim") == "taken"
    assert state(found, "torch.stack([x], no_such", "torch.stack", "no_such_argument") == "refused"


def test_what_takes_any_keyword_confirms_nothing(found):
    assert state(found, "kernel_size", "max_pool2d", "kernel_size") in ("unknown", "taken")


def test_a_parameter_is_not_a_module(found):
    assert not [each for each in found if each[0] == line("torch_like.stack")]


def test_special_methods(found):
    assert state(found, "with torch.device", "device", "__enter__") == ("taken" if at_least(2, 0) else "refused")
    has = at_least(1, 7)
    assert state(found, "Dataset[int]", "Dataset", "__class_getitem__") == ("taken" if has else "refused")
    bare = "taken" if at_least(2, 1) else "refused"
    assert state(found, "@torch.no_grad", "no_grad", "orig_func") == bare


def test_names(found):
    assert state(found, "except torch.cuda", "OutOfMemoryError") == ("there" if at_least(1, 13) else "missing")
    func = [value for (at, name, _), value in found.items() if at == line("func.vmap") and name == "torch.func"]
    assert func == ["there" if at_least(2, 0) else "missing"]


def test_attributes_of_an_instance(found):
    expected = "there" if at_least(1, 9) else "missing"
    assert state(found, "self.get_submodule", "get_submodule") == expected
