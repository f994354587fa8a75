"""What must hold of every row of the shim table."""

import ast
import enum
import inspect
import re
import sys
from functools import reduce
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import torchcompat
import torchcompat_check
from torchcompat import SHIMS, _lazy, _shim, _torch, torch_version
from torchcompat._shim import NEWEST, OLDEST, Limit, Shim, is_forced, minor

ROWS = [pytest.param(shim, id=name) for name, shim in sorted(SHIMS.items())]
TWINS = [row for row in ROWS if row.values[0].path is not None]
# A placeholder takes any arguments: tests/meta/test_absent.py has what must hold of it.
DEFINED = [row for row in TWINS if row.values[0].kind not in ("absent", "constant")]
POLYFILLS = [row for row in TWINS if row.values[0].kind in ("polyfill", "constant")]
PUBLIC_MODULES = [
    module.name for module in walk_packages(torchcompat.__path__, "torchcompat.") if _shim.is_public(module.name)
]


def test_there_are_shims():
    assert len(POLYFILLS) >= 6
    assert len(ROWS) - len(POLYFILLS) >= 15


@pytest.mark.parametrize("shim", ROWS)
def test_the_public_name_is_what_the_table_says(shim):
    public = reduce(getattr, shim.name.split("."), torchcompat)
    assert public is shim.public


@pytest.mark.parametrize("shim", POLYFILLS)
def test_a_native_that_meets_the_contract_is_the_public_name_itself(shim):
    native = shim.native
    # Torch 2.0 has torch.mps only once somebody imports it, as a test may have done since.
    if shim.is_there or torch_version[:2] >= minor(shim.since):
        assert native is _torch.find(shim.path)
    if is_forced(shim.name):
        assert (shim.public, shim.why) == (shim.fallback, "forced")
    elif not shim.is_there:
        assert (shim.public, shim.why) == (shim.fallback, "missing")
    elif torch_version[:2] < minor(shim.since):
        assert (shim.public, shim.why) == (shim.fallback, "too old")
    elif shim.wrong:
        assert (shim.public, shim.why) == (shim.fallback, "wrong")
        assert shim.wrong.startswith("https://")
    else:
        assert shim.public is native
        assert shim.why == "native"


def test_an_override_is_rare_and_says_why():
    overrides = [row.values[0] for row in TWINS if row.values[0].kind == "override"]
    assert [shim.name for shim in overrides] == ["load"]
    for shim in overrides:
        assert (shim.public, shim.here, shim.why) == (shim.fallback, "override", "override")
        assert "https://github.com/pytorch/pytorch/" in shim.because
        assert shim.native is _torch.find(shim.path)


@pytest.mark.parametrize("shim", TWINS)
def test_since(shim):
    assert OLDEST < minor(shim.since) <= NEWEST
    assert shim.link.startswith("https://github.com/pytorch/pytorch/")
    if torch_version[:2] >= minor(shim.since):
        assert shim.is_there, f"the table says that torch has it since {shim.since}"


@pytest.mark.parametrize("shim", ROWS)
def test_limits_are_whole(shim):
    keys = [(limit.key, limit.on, limit.first) for limit in shim.limits]
    assert len(set(keys)) == len(keys)
    for limit in shim.limits:
        assert OLDEST <= minor(limit.first) <= NEWEST
        # A limit that ends on the newest torch would vanish on the next one.
        assert not limit.last or minor(limit.first) <= minor(limit.last) < NEWEST
        assert limit.text
        assert limit.on == "fallback" or minor(limit.first) >= minor(shim.since)


@pytest.mark.parametrize("shim", ROWS)
def test_documented(shim):
    doc = re.sub(r"\s+", " ", inspect.cleandoc(shim.doc or ""))
    if shim.path is not None:
        assert f"In torch since {shim.since}." in doc
        assert re.search(r"Fallback: \S.*\.", doc)
        assert not re.search(r"Fallback: the same[.,;:]", doc), "say what the fallback is made of"
    else:
        assert re.search(r"Not in torch\b.*\.", doc)
    assert doc.split(" ")[0][0].isupper()


def _signature(function):
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
    ]


def _same_as_builtin(ours, native):
    """Whether *ours* are the parameters of a builtin of torch.

    It has all those that the documentation names and an overload takes, and no other than the overloads have. They have
    more: those of `round` for numbers name their argument `a`. Some builtins say nothing of their parameters.
    """
    taken, documented = _torch._schema_parameters(native), _torch._documented_parameters(native)
    required = documented & taken - {"a", "b"} if documented else taken
    return required <= ours <= (taken | documented or ours)


def _same(ours, native):
    if not inspect.isfunction(native):
        return _same_as_builtin(_torch.parameters(ours), native)
    return _signature(ours) == _signature(native)


def _members(enumeration):
    # torch's own may be one of pybind11's, which is no enum.Enum.
    return {name: int(member) for name, member in enumeration.__members__.items()}


@pytest.mark.parametrize("shim", DEFINED if torch_version[:2] == NEWEST else [])
def test_the_fallback_has_the_signature_of_the_contract(shim):
    if inspect.isclass(shim.fallback) and issubclass(shim.fallback, enum.Enum):
        assert _members(shim.fallback) == _members(shim.native)
    elif inspect.isclass(shim.fallback):
        assert _same(shim.fallback.__init__, shim.native.__init__)
        assert hasattr(shim.fallback, "forward") == hasattr(shim.native, "forward")
        if hasattr(shim.native, "forward"):
            assert _same(shim.fallback.forward, shim.native.forward)
    else:
        assert _same(shim.fallback, shim.native)


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_all_lists_what_a_module_offers(name):
    module = import_module(name)
    exported = set(module.__all__)
    assert len(exported) == len(module.__all__)
    for member in exported:
        assert getattr(module, member) is not None
    shims = {shim for shim in SHIMS if "torchcompat." + shim.rpartition(".")[0] == name}
    assert {shim.rpartition(".")[2] for shim in shims} <= exported


def test_no_star():
    for name in PUBLIC_MODULES + ["torchcompat"]:
        assert "import *" not in inspect.getsource(sys.modules[name])


def _shown_to_checkers(module):
    """{name: relative module} of what is handed on under `if TYPE_CHECKING:`, as a table of _lazy has them.

    Handed on is what is imported `as` itself; other imports there serve annotations.
    """
    blocks = [
        node.body
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
    shown = [(node, alias.asname) for node in imports for alias in node.names if alias.asname]
    # Names that may be placeholders are torch's to a checker.
    from_torch = {name: node.module for node, name in shown if node.level == 0}
    assert all(node.level == 1 for node, name in shown if name not in from_torch)
    return {name: node.module or "" for node, name in shown if name not in from_torch}, from_torch


@pytest.mark.parametrize("name", PUBLIC_MODULES + ["torchcompat"])
def test_only_declared_names_are_loaded_when_asked_for_and_checkers_see_them(name):
    module = sys.modules[name]
    table = _lazy.TABLES.get(name, {})
    shown, from_torch = _shown_to_checkers(module)
    assert table == shown
    assert set(table) | set(from_torch) <= set(dir(module))
    absent = [shim for shim in SHIMS.values() if shim.kind == "absent"]
    here = {shim.path for shim in absent if f"torchcompat.{shim.name}".rpartition(".")[0] == name}
    assert here == {f"{home}.{each}" for each, home in from_torch.items()} or name == "torchcompat"
    # By attach() alone: checkers that saw a __getattr__ would take any name for one that is there.
    assert "\ndef __getattr__" not in inspect.getsource(module)


@pytest.mark.parametrize("path", ["nn.functional.gelu", "nn.Linear", "linspace", "utils.data", "sparse"])
def test_a_module_says_where_a_name_of_torch_is(path):
    owner, _, name = ("torchcompat." + path).rpartition(".")
    with pytest.raises(AttributeError, match=f"{owner} has no '{name}': .* Use torch.{path}$"):
        getattr(import_module(owner), name)
    assert not hasattr(import_module(owner), name)


@pytest.mark.parametrize("name", ["no_such_name", "__path_of_nothing__", "_C"])
@pytest.mark.parametrize("module", ["torchcompat", "torchcompat.nn", "torchcompat.nn.functional"])
def test_a_module_says_of_other_names_what_modules_say(module, name):
    with pytest.raises(AttributeError, match=f"^module '{module}' has no attribute '{name}'$"):
        getattr(import_module(module), name)
    with pytest.raises(ImportError):
        exec(f"from {module} import {name}", {})


def test_loading_every_module_declares_no_more_shims():
    # conftest.py has asked for SHIMS, which loads what the packages declare.
    before = set(SHIMS)
    for module in walk_packages(torchcompat.__path__, "torchcompat."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    assert set(SHIMS) == before


def _longer_than(limit, *folders):
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(paths) > 50
    return {path.name for path in paths if path.read_text(encoding="utf-8").count("\n") > limit}


def test_modules_are_small():
    # That of the package itself has no code: it is the table of the names.
    packages = [Path(package.__path__[0]) for package in (torchcompat, torchcompat_check)]
    assert _longer_than(400, *packages) <= {"__init__.py"}
    assert not _longer_than(400, *(path for each in packages for path in each.iterdir() if path.is_dir()))


# Whoever changes one of these next splits it by topic, and takes it off the list.
TO_BE_SPLIT = {
    *("test_grad.py", "test_jacobians.py", "test_jvp.py", "test_vmap.py", "test_vmap_ops_basic.py"),
    *("test_multihead.py", "test_transformer.py"),
    *("test_fix.py", "test_walk.py", "test_walk_uses.py"),
}


def test_test_modules_are_small():
    root = Path(__file__).parents[2]
    assert _longer_than(500, root / "tests", root / "tests_check") == TO_BE_SPLIT


def test_decisions(monkeypatch):
    monkeypatch.setattr(_shim, "FORCED", frozenset(["forced_one"]))
    assert Shim("made_up", len, "torch.no_such_name", "2.0").why == "missing"
    assert Shim("made_up", len, "torch.add", "99.0").why == "too old"
    assert Shim("made_up", len, "torch.add", "1.2", wrong="https://example.org/issue").why == "wrong"
    assert Shim("made_up", len, "torch.add", "1.2").why == "native"
    assert Shim("made_up", len).why == "facade"
    assert Shim("forced_one", len, "torch.add", "1.2").public is len
    assert Shim("forced_one", len, "torch.add", "1.2").why == "forced"
    assert Shim("made_up", len, "torch.add", "1.2", because="https://example.org/why").why == "override"
    monkeypatch.setattr(_shim, "FORCED", frozenset(["all"]))
    assert Shim("made_up", len, "torch.add", "1.2").why == "forced"


def test_a_limit_applies_within_its_range():
    here = "{}.{}".format(*torch_version[:2])
    assert Limit("key", "text", on="native", first=here, last=here).applies("native")
    assert not Limit("key", "text", on="native", first=here, last=here).applies("fallback")
    assert not Limit("key", "text", on="native", first="99.0", last="99.1").applies("native")
    with pytest.raises(ValueError, match="'native' or 'fallback'"):
        Limit("key", "text", on="both")


def test_a_limit_without_an_end_is_still_so():
    limit = Limit("key", "text", on="native", first="1.2")
    assert limit.applies("native")
    assert str(limit) == "native: text"
    assert str(Limit("key", "text", on="native", first="2.5")) == "native (torch 2.5 on): text"
    assert str(Limit("key", "text", on="native", first="2.5", last="2.5")) == "native (torch 2.5): text"
    assert str(Limit("key", "text", on="native", last="2.5")) == "native (torch 1.2 to 2.5): text"
