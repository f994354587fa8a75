"""The counts of docs/reach.md."""

import importlib
import sys
from pathlib import Path

import pytest

from torchcompat_check._minors import ALL, at_least, at_most

ACCURACY = Path(__file__).resolve().parents[1] / "accuracy"


@pytest.fixture(scope="module")
def reached():
    """The module, which lies beside others and not in a package."""
    sys.path.insert(0, str(ACCURACY))
    try:
        yield importlib.import_module("reached")
    finally:
        sys.path.remove(str(ACCURACY))
        del sys.modules["reached"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("torch.concat", "functions and dtypes of torch itself"),
        ("torch.float8_e4m3fn", "functions and dtypes of torch itself"),
        ("torch._foreach_add_", "functions and dtypes of torch itself"),
        ("torch.functional.norm", "functions and dtypes of torch itself"),
        ("torch.Tensor.amax", "methods of Tensor"),
        ("torch.nn.Parameter.untyped_storage", "methods of Tensor"),
        ("torch.nn.Module.register_buffer", "methods of Module"),
        ("torch.nn.modules.module.Module.get_submodule", "methods of Module"),
        ("torch.nn.Sequential.get_submodule", "methods of Module"),
        ("torch.nn.GELU", "nn"),
        ("torch.nn.init.trunc_normal_", "nn"),
        ("torch.nn.functional.silu", "nn.functional"),
        ("torch.distributed.tensor.DTensor", "distributed"),
        ("torch.fx", "fx"),
        ("torch.linalg.norm", "linalg"),
        ("torch.utils._pytree.tree_map", "utils"),
        ("torch.device.__enter__", "functions and dtypes of torch itself"),
    ],
)
def test_the_kind_of_a_name(reached, name, kind):
    assert reached.kind_of(name) == kind


def use(reached, name="torch.a", shim="", since="1.8", argument="", last=None, is_absent=False):
    missing = ALL & ~(at_least(since) & (at_most(last) if last else ALL))
    return reached.Use(name, argument, missing, shim, is_absent)


def test_the_floor_is_the_first_torch_of_the_newest_run_that_lacks_nothing(reached):
    uses = [use(reached, since="1.8"), use(reached, since="2.0", last="2.4")]
    assert (reached.floor(uses), reached.ceiling(uses)) == ("2.0", "2.4")
    assert (reached.floor([]), reached.ceiling([])) == ("1.2", "2.15")


def test_without_a_common_torch_there_is_no_floor(reached):
    uses = [use(reached, since="1.2", last="1.7"), use(reached, "torch.b", since="1.8")]
    assert (reached.floor(uses), reached.ceiling(uses)) == ("", "")
    assert reached.holders(uses) == [("torch.a", 1)]  # what the newest torch lacks
    assert not reached.is_at_most(reached.floor(uses), "2.15")


def test_what_holds_the_floor_is_what_the_torch_below_it_lacks(reached):
    uses = [
        use(reached, "torch.c", since="2.0"),
        use(reached, "torch.b", since="2.0", argument="x"),
        use(reached, "torch.b", since="2.0", argument="x"),
        use(reached, "torch.d", since="1.13"),
    ]
    assert reached.holders(uses) == [("torch.b(x)", 2), ("torch.c", 1)]
    assert reached.holders([]) == []


def test_floors_are_compared_as_versions(reached):
    assert reached.is_at_most("1.9", "1.13")
    assert reached.is_at_most("1.13", "1.13")
    assert not reached.is_at_most("2.0", "1.13")
    assert not reached.is_at_most("2.10", "2.9")


@pytest.fixture
def libraries(reached):
    one = [use(reached, shim="torchcompat.a"), use(reached, "torch.fx.Graph", "torchcompat.fx.Graph", is_absent=True)]
    two = [use(reached), use(reached, "torch.fx.Node", since="1.9"), use(reached, "torch.fx.Node")]
    return [reached.Library("one", "1", ">=1.8", 1, one), reached.Library("two", "2", "", 1, two)]


def test_uses_are_counted_by_kind(reached, libraries):
    kinds = reached.by_kind(libraries)
    counts = {kind: (one.uses, one.covered, one.absent, sorted(one.libraries)) for kind, one in kinds.items()}
    assert counts == {
        "fx": (3, 1, 1, ["one", "two"]),
        "functions and dtypes of torch itself": (2, 1, 0, ["one", "two"]),
    }
    assert list(kinds) == ["fx", "functions and dtypes of torch itself"]


def test_what_is_left_is_named_with_the_torch_that_it_asks_for(reached, libraries):
    rows = [(name, one.uses, len(one.libraries), minor) for name, one, minor in reached.left(libraries)]
    assert rows == [("torch.fx.Node", 2, 1, "1.9"), ("torch.a", 1, 1, "1.8")]
    assert [len(one.remaining) for one in libraries] == [0, 3]


def test_each_library_of_the_table_stands_there_once_with_its_folders():
    rows = [line.split() for line in (ACCURACY / "libraries.txt").read_text().splitlines() if line[0] != "#"]
    assert len(rows) == len({row[0] for row in rows}) == 52
    assert all(len(row) >= 3 and row[1][0].isdigit() for row in rows)
