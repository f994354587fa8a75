"""Methods of tensors that torchcompat's functions can take the place of, where the receiver is surely a tensor."""

import textwrap

import pytest

from torchcompat_check import shims
from torchcompat_check.fix import rewritten
from torchcompat_check.history import load
from torchcompat_check.methods import function_of
from torchcompat_check.walk import check_source

# torch has all of them: `amax` from 1.7 on, `sort(stable)` from 1.9, `div(rounding_mode)` from 1.8, `square` from 1.5.
NAMES = ("amax", "div", "movedim", "sort", "square", "tile")


@pytest.fixture(autouse=True)
def with_shims(monkeypatch):
    """As if torchcompat had these functions, whichever it has."""
    more = {f"torch.{name}": shims.Shim(f"torchcompat.{name}", "1.2") for name in NAMES}
    table = {**shims.load(), **more}
    monkeypatch.setattr(shims, "load", lambda: table)
    for cached in (shims.every, shims._by_home, shims.takes):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (shims.every, shims._by_home, shims.takes):
        cached.cache_clear()


CASES = {
    "a method": (
        "def f(x: torch.Tensor):\n    return x.amax(1)\n",
        "def f(x: torch.Tensor):\n    return torchcompat.amax(x, 1)\n",
    ),
    "of what a function gives": ("torch.ones(2).square()\n", "torchcompat.square(torch.ones(2))\n"),
    "of an expression in parentheses": (
        "x = torch.ones(2)\ny = (x + 1).amax(dim=0)\n",
        "x = torch.ones(2)\ny = torchcompat.amax((x + 1), dim=0)\n",
    ),
    "one after another": (
        "torch.ones(2).square().amax()\n",
        "torchcompat.amax(torchcompat.square(torch.ones(2)))\n",
    ),
    "one within another": (
        "x = torch.ones(2)\nx.div(x.amax(0), rounding_mode='floor')\n",
        "x = torch.ones(2)\ntorchcompat.div(x, torchcompat.amax(x, 0), rounding_mode='floor')\n",
    ),
    "an argument alone": (
        "x = torch.ones(2)\nx.sort(stable=True)\nx.sort()\n",
        "x = torch.ones(2)\ntorchcompat.sort(x, stable=True)\nx.sort()\n",
    ),
    "over several lines": (
        "x = (\n    torch.ones(2)\n    .amax(\n        0,\n    )\n)\n",
        "x = (\n    torchcompat.amax(\n        torch.ones(2), 0,\n    )\n)\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), list(CASES.values()), ids=list(CASES))
def test_a_method_becomes_a_function(before, after):
    pytest.importorskip("libcst", reason="--fix needs LibCST, which needs Python 3.9")
    source = "import torch\n" + before
    fixed, left = rewritten(source, check_source(source, "a.py"))
    assert (fixed.replace("import torchcompat\n", "").replace("\n\n", "\n"), left) == ("import torch\n" + after, [])
    assert rewritten(fixed, check_source(fixed, "a.py")) == (fixed, [])


KEPT = {
    "what is not known to be a tensor": "def f(x):\n    return x.amax(1)\n",
    "what may be something else": "x = torch.ones(2) if f() else g()\nx.amax(0)\n",
    "a method that is not called": "f = torch.ones(2).square\n",
    "the method of the class": "torch.Tensor.square(torch.ones(2))\n",
    "unknown keywords": "torch.ones(2).amax(**kw)\n",
    "unknown places": "torch.ones(2).amax(*dims)\n",
    "a keyword that only NumPy has": "torch.ones(2).amax(axis=0)\n",
    "more than the function takes": "torch.ones(2).movedim(0, 1, 2)\n",
    "a list that is spread": "torch.ones(2).tile(2, 2)\n",
    "a method in place": "torch.ones(2).square_()\n",
    "what super() finds": """
        class Mine(torch.Tensor):
            def amax(self, dim):
                return super().amax(dim)
        """,
}


@pytest.mark.parametrize("source", list(KEPT.values()), ids=list(KEPT))
def test_what_is_not_sure_to_be_the_same_stays(source):
    source = "import torch\n" + textwrap.dedent(source)
    assert [one.shim for one in check_source(source, "a.py") if one.shim] == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("if cond:\n    import torch\ntorch.ones(2).square()\n", "torch is not imported at the top of the file"),
        ("import torch\ntorchcompat = 1\ntorch.ones(2).square()\n", "`torchcompat` means something else there"),
        ("import torch\nx = (torch.ones(2)  # ones\n    .square())\n", "there is a comment within the name"),
    ],
)
def test_what_is_left_is_told(source, why):
    pytest.importorskip("libcst", reason="--fix needs LibCST, which needs Python 3.9")
    findings = check_source(source, "a.py")
    assert [one.shim for one in findings] == ["torchcompat.square"]
    assert rewritten(source, findings) == (source, [(findings[0], why)])


@pytest.mark.parametrize("name", ["amax", "clip", "diff", "movedim", "nan_to_num", "quantile", "square", "unflatten"])
def test_a_function_of_the_same_parameters_is_found(name):
    assert function_of(load(), f"torch.Tensor.{name}").name == f"torch.{name}"


@pytest.mark.parametrize("name", ["untyped_storage", "mT", "tile", "size", "no_such_method", "to"])
def test_other_methods_have_none(name):
    assert function_of(load(), f"torch.Tensor.{name}") is None
