"""The settings of the compiler and the marks for it, on torch with a compiler and without one."""

import pickle
import subprocess
import sys
import unittest
import warnings
from unittest import mock

import pytest
import torch

from torchcompat import UnsupportedError, at_least, compiler
from torchcompat._shim import NEWEST
from torchcompat._torch import torch_version
from torchcompat.compiler import _settings, config, inductor_config
from torchcompat.compiler._known import GROUPS, KNOWN

COMPILES = compiler.COMPILES
DYNAMO, INDUCTOR = "torch._dynamo.config", "torch._inductor.config"


@pytest.fixture
def kept():
    """Settings as they are where nothing compiles, on every torch."""
    return _settings.Kept(INDUCTOR, KNOWN[INDUCTOR], GROUPS[INDUCTOR])


# Setting, a value that it does not have, and the name of the object.
SETTINGS = [
    (config, "cache_size_limit", 77),
    (config, "suppress_errors", True),
    (config, "verbose", True),
    (inductor_config, "max_fusion_size", 5),
    (inductor_config, "triton.unique_kernel_names", "other"),
]


def read(settings, name):
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


@pytest.mark.parametrize(("settings", "name", "value"), SETTINGS, ids=str)
class TestSettings:
    def test_set_and_read(self, settings, name, value):
        before = read(settings, name)
        owner, _, last = name.rpartition(".")
        owner = getattr(settings, owner) if owner else settings
        setattr(owner, last, value)
        try:
            assert read(settings, name) == value
        finally:
            setattr(owner, last, before)
        assert read(settings, name) == before

    def test_patch_puts_back(self, settings, name, value):
        before = read(settings, name)
        assert before != value
        for patch in (settings.patch(name, value), settings.patch({name: value}), settings.patch(**{name: value})):
            with patch:
                assert read(settings, name) == value
            assert read(settings, name) == before
            with pytest.raises(ZeroDivisionError), patch:
                raise ZeroDivisionError
            assert read(settings, name) == before

    def test_patch_decorates(self, settings, name, value):
        @settings.patch(name, value)
        def inside(factor, again=False):
            """Words."""
            return [read(settings, name)] * factor + (inside(factor) if again else [])

        before = read(settings, name)
        assert inside(1, again=True) == [value] * 2
        assert inside.__name__ == "inside"
        assert read(settings, name) == before


def test_a_patch_that_waits_for_the_compiler_does_the_same():
    waits = _settings._Later(_settings._OF["config"] if COMPILES else _Nested(), {"cache_size_limit": 77})
    before = config.cache_size_limit
    with waits, waits:
        assert config.cache_size_limit == 77
    assert waits(lambda factor: factor * config.cache_size_limit)(2) == 154
    assert config.cache_size_limit == before


class _Nested:
    """Stands for torch's modules where there are none."""

    def _patches(self, changes):
        return [config.patch(changes)]


@pytest.mark.skipif(not COMPILES, reason="torch's own classes of settings")
def test_a_test_case_is_patched_as_torch_does():
    class Case(unittest.TestCase):
        def test_it(self):
            assert config.verbose is True

    waits = _settings._Later(_settings._OF["config"], {"verbose": True})
    for case in (waits(Case), config.patch(verbose=True)(Case)):
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        assert result.wasSuccessful(), (result.errors, result.failures)
        assert result.testsRun == 1
    assert config.verbose is False


def test_both_names_of_a_setting_are_one():
    with config.patch(recompile_limit=5):
        assert (config.cache_size_limit, config.recompile_limit) == (5, 5)
    with config.patch(cache_size_limit=6):
        assert (config.cache_size_limit, config.recompile_limit) == (6, 6)


@pytest.mark.skipif(not at_least(2, 7) or not COMPILES, reason="torch has two modules of settings from 2.7")
def test_what_only_the_public_module_of_torch_has():
    with config.patch(dynamic_sources="L['x']", verbose=True):
        assert torch.compiler.config.dynamic_sources == config.dynamic_sources == "L['x']"
        assert torch._dynamo.config.verbose is True
    assert torch.compiler.config.dynamic_sources == ""


@pytest.mark.skipif(not COMPILES, reason="nothing here knows the settings")
def test_torchs_own_are_set_and_an_unknown_one_is_refused_as_torch_refuses_it():
    with config.patch(verbose=True):
        assert torch._dynamo.config.verbose is True
    with torch._dynamo.config.patch(verbose=True):
        assert config.verbose is True
    for unknown in (config, torch._dynamo.config):
        assert not hasattr(unknown, "no_such_setting")
        with pytest.raises(AttributeError, match="no_such_setting"):
            unknown.no_such_setting = 1
        with pytest.raises((AttributeError, KeyError, AssertionError), match="no_such_setting"):
            unknown.patch(no_such_setting=1).__enter__()
    if at_least(2, 6):  # torch's own raises an error on 2.4 and 2.5
        assert isinstance(config.save_config(), bytes)


@pytest.mark.skipif(COMPILES, reason="torch refuses what it does not know")
def test_where_nothing_compiles_any_setting_is_remembered():
    assert not hasattr(config, "no_such_setting")
    config.no_such_setting = [1]
    assert config.no_such_setting == [1]
    del config.no_such_setting
    assert not hasattr(config, "no_such_setting")


@pytest.mark.parametrize("arguments", [(1,), ("verbose",), ("verbose", True, 1), (None, 1), (["verbose"],)], ids=str)
def test_other_arguments_of_patch(arguments):
    with pytest.raises(TypeError):
        config.patch(*arguments)
    with pytest.raises(TypeError, match="only one of the three"):
        config.patch("verbose", True, suppress_errors=True)


def test_mock_patches_them():
    before = config.cache_size_limit
    with mock.patch.object(config, "recompile_limit", 77):
        assert config.cache_size_limit == 77
    assert config.cache_size_limit == before


def test_it_is_no_function():
    with pytest.raises(TypeError, match="not callable"):
        config()
    assert pickle.loads(pickle.dumps(config)) is config


@pytest.mark.skipif(torch_version[:2] != NEWEST, reason="the values are those of the newest torch")
@pytest.mark.parametrize(("settings", "path"), [(config, DYNAMO), (inductor_config, INDUCTOR)], ids=[DYNAMO, INDUCTOR])
def test_the_known_values_are_torchs(settings, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that are old
        assert {name: read(settings, name) for name in KNOWN[path]} == KNOWN[path]
        assert all(hasattr(settings, name) for name in GROUPS[path])
    assert set(_settings.RENAMED.values()) - {"skip_code_recursive_on_recompile_limit_hit"} <= set(KNOWN[DYNAMO])


class TestKept:
    def test_known_values_and_groups(self, kept):
        assert kept.get("max_fusion_size") == 64
        assert kept.get("triton").cudagraphs is False
        kept.get("triton").cudagraphs = True
        assert kept.get("triton.cudagraphs") is True
        del kept.get("triton").cudagraphs
        assert not hasattr(kept.get("triton"), "cudagraphs")

    def test_an_unknown_one(self, kept):
        with pytest.raises(AttributeError, match=r"torch._inductor.config.new has not been set"):
            kept.get("new")
        with kept.patch({"new": 1}):
            assert kept.get("new") == 1
        with pytest.raises(AttributeError):
            kept.get("new")
        with pytest.raises(AttributeError):
            kept.delete("new")

    def test_patches_that_overlap(self, kept):
        first, second = kept.patch({"debug": 1}), kept.patch({"debug": 2, "freezing": 3})
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert (kept.get("debug"), kept.get("freezing")) == (2, 3)
        second.__exit__(None, None, None)
        assert (kept.get("debug"), kept.get("freezing")) == (False, False)

    def test_a_value_that_is_changed_in_place(self):
        first, second = (_settings.Kept(DYNAMO, KNOWN[DYNAMO], GROUPS[DYNAMO]) for _ in range(2))
        first.get("reorderable_logging_functions").add(print)
        assert first.get("reorderable_logging_functions") == {print}
        assert second.get("reorderable_logging_functions") == set()

    def test_saved_and_loaded(self, kept):
        kept.set("debug", True)
        kept.set("new", [1])
        saved, copied = kept.get("save_config")(), kept.get("get_config_copy")()
        kept.get("new").append(2)
        kept.set("debug", False)
        assert (kept.get("to_dict")()["new"], copied["new"], copied["debug"]) == ([1, 2], [1], True)
        kept.get("load_config")(saved)
        assert (kept.get("debug"), kept.get("new")) == (True, [1])
        kept.get("load_config")({"new": 5})
        assert kept.get("new") == 5


MARKS = [
    (compiler.mark_dynamic, {}),
    (compiler.mark_dynamic, {"hint_override": 4, "min": 2, "max": 8, "specialize_on": [lambda size: size == 4]}),
    (compiler.maybe_mark_dynamic, {"min": 2, "max": 8}),
    (compiler.mark_unbacked, {}),
    (compiler.mark_unbacked, {"hint_override": 4, "strict": True, "shape_id": "a", "min": 2, "max": 8}),
    (compiler.mark_static, {}),
]


@pytest.mark.parametrize(("mark", "hints"), MARKS, ids=lambda case: getattr(case, "__name__", str(case)[:20]))
def test_marks(mark, hints):
    x = torch.arange(12.0).reshape(3, 4)
    assert mark(x, 0, **hints) is None
    assert mark(x, (1,)) is None
    assert torch.equal(x, torch.arange(12.0).reshape(3, 4))
    for wrong in ("0", 1.0, [0, "1"], True):
        with pytest.raises(TypeError, match="index must be an int"):
            mark(x, wrong)


@pytest.mark.skipif(not COMPILES or not at_least(2, 1), reason="there is nothing to mark")
def test_a_mark_is_torchs_own():
    x = torch.ones(3, 4)
    compiler.mark_dynamic(x, 0)
    compiler.maybe_mark_dynamic(x, 1)
    compiler.mark_static_address(x, guard=True)
    assert x._dynamo_dynamic_indices == {0}
    assert x._dynamo_weak_dynamic_indices == {1}
    assert x._dynamo_static_input_type == "guarded"
    compiler.mark_static_address(x)
    assert x._dynamo_static_input_type == "unguarded"


def test_marks_of_other_things():
    class Net(torch.nn.Module):
        pass

    assert compiler.mark_static(Net) is Net
    assert compiler.mark_static(torch.ones(2)) is None
    for wrong in (3, Net(), int):
        with pytest.raises(TypeError, match="mark_static marks a tensor or a class of modules"):
            compiler.mark_static(wrong)
        with pytest.raises(TypeError, match="mark_static_address marks a tensor"):
            compiler.mark_static_address(wrong)
    assert compiler.mark_static_address(torch.ones(2)) is None
    assert compiler.graph_break() is None
    assert compiler.graph_break("words") is None


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
def test_in_a_compiled_function():
    def function(x, broken=False):
        compiler.mark_static(x, 0)
        y = x + 1
        if broken:
            compiler.graph_break("words")
        return y * 2

    x = torch.arange(3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, while it loads its compiler
        compiled = torch.compile(function, backend="eager")
        assert torch.equal(compiled(x), (x + 1) * 2)
        assert torch.equal(compiled(x, True), (x + 1) * 2)
        torch.compiler.reset()
        if at_least(2, 4):
            assert torch.equal(torch.compile(function, backend="eager", fullgraph=True)(x), (x + 1) * 2)
        with pytest.raises(Exception, match=r"(?i)graph.?break"):
            torch.compile(function, backend="eager", fullgraph=True)(x, True)
        torch.compiler.reset()


class TestOptimizedModule:
    def test_plain_modules_are_none(self):
        assert not isinstance(torch.nn.Linear(1, 1), compiler.OptimizedModule)
        assert not isinstance(3, (compiler.OptimizedModule, float))
        assert not issubclass(torch.nn.Linear, compiler.OptimizedModule)
        assert issubclass(compiler.OptimizedModule, compiler.OptimizedModule)

    @pytest.mark.skipif(not COMPILES, reason="there are none")
    def test_torchs_are(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.compile(torch.nn.Linear(1, 1), backend="eager")
        assert isinstance(model, compiler.OptimizedModule)
        assert issubclass(type(model), compiler.OptimizedModule)
        assert type(compiler.OptimizedModule(torch.nn.Linear(1, 1), lambda function: function)) is type(model)

    @pytest.mark.skipif(COMPILES, reason="torch makes it")
    def test_none_can_be_made(self):
        with pytest.raises(UnsupportedError, match="OptimizedModule needs a torch that compiles"):
            compiler.OptimizedModule(torch.nn.Linear(1, 1), None)


def test_nothing_but_a_setting_imports_the_compiler():
    code = """
        import pickle, sys, torch
        before = "torch._dynamo" in sys.modules
        from torchcompat import compiler
        from torchcompat.compiler import config

        @config.patch(cache_size_limit=3)
        def inside():
            return config.cache_size_limit

        with_block = config.patch("verbose", True)
        isinstance(torch.nn.Linear(1, 1), compiler.OptimizedModule), repr(config), pickle.dumps(config), dir(config)
        hasattr(config, "__wrapped__")
        assert ("torch._dynamo" in sys.modules) == before
        assert inside() == 3
        assert config.cache_size_limit != 3
        with with_block:
            assert config.verbose is True
        assert config.verbose is False
        assert ("torch._dynamo" in sys.modules) == (before or compiler.COMPILES)
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-W", "error", "-c", lines], stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
