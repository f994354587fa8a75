"""The tools that make the history: what they read in sources, and what the review of the history lists."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from torchcompat_check._minors import ranges
from torchcompat_check.history import History, load

TOOLS = str(Path(__file__).resolve().parents[1] / "history")


@pytest.fixture
def tool(monkeypatch):
    """Import one of the tools, which lie beside each other and not in a package."""
    monkeypatch.syspath_prepend(TOOLS)
    names = {"merge", "protocol", "review", "sources"}
    yield importlib.import_module
    for name in names & set(sys.modules):
        monkeypatch.delitem(sys.modules, name)


CLASS = """
class Observer(Module):
    annotated: int

    def __init__(self, name):
        self.assigned = self.first, second = 1, 2
        self.register_buffer("scale", torch.ones(1))
        self.register_parameter(name="weight", param=None)
        self.add_module("inner", None)
        self.register_buffer(name, None)
        self.register_buffer("no name", None)
        self.register_hook("hook")
        other.register_buffer("others", None)

        setattr(self, "by_name", 1)
        setattr(other, "of_others", 1)
        object.__setattr__(self, "past_the_class", 1)
        super().__setattr__("above", 1)
        super().register_hook("hook", 1)
        self.__dict__["straight"] = self.table["key"] = 1

    def later(this):
        this.register_buffer("late", None)
        self.register_buffer("stranger", None)

    async def awaited(self):
        self.in_time = 1

    def __new__(cls, data):
        made = data.clone()
        made.remade = data.untouched = 1
        return made

    @classmethod
    def of(cls, name):
        new, other = cls.__new__(cls), Other.__new__(Other)
        found = cls.__new__(cls)
        found.filled_in = 1
        another = Other.__new__(Other)
        another.strange = 1
        return another
"""


def test_instances_have_what_they_assign_and_what_they_register(tool, tmp_path):
    path = tmp_path / "observer.py"
    path.write_text(CLASS)
    names = {"annotated", "assigned", "first", "scale", "weight", "inner", "late", "by_name", "past_the_class", "above"}
    names |= {"straight", "in_time", "remade", "filled_in"}
    assert tool("sources").instance_attributes(str(path)) == {"Observer": names}


REFUSING = [
    ("def f(**kw):\n if kw:\n  raise TypeError(kw)", []),
    ("def f(x, **kw):\n a = kw.pop('a', 3)\n b = kw.pop('b')\n if len(kw) > 0:\n  raise TypeError(list(kw))", "ab"),
    ("def f(**kw):\n if x:\n  a = kw.pop('a', None)\n if len(kw) != 0:\n  print(kw)\n  raise TypeError", "a"),
    ("def f(**kw):\n if len(kw):\n  raise TypeError", []),
    # Names that go elsewhere, or that nobody looks at, or that only one of several branches refuses.
    ("def f(**kw):\n if kw:\n  raise TypeError\n return g(**kw)", None),
    ("def f(**kw):\n return kw.pop('a')", None),
    ("def f(**kw):\n a = kw.get('a')\n if kw:\n  raise TypeError", None),
    ("def f(**kw):\n a = kw.pop(name)\n if kw:\n  raise TypeError", None),
    ("def f(x, **kw):\n if kw and x:\n  raise TypeError", None),
    ("def f(x, **kw):\n if x:\n  if kw:\n   raise TypeError", None),
    ("def f(**kw):\n if not kw:\n  raise TypeError", None),
    ("def f(**kw):\n if len(kw) > 1:\n  raise TypeError", None),
    ("def f(**kw):\n if len(kw) == 0:\n  raise TypeError", None),
    ("def f(**kw):\n if kw:\n  raise TypeError\n else:\n  g()", None),
    ("def f(**kw):\n if kw:\n  warn(kw)", None),
    ("def f(x):\n if x:\n  raise TypeError", None),
    ("f = lambda **kw: 1", None),
]


@pytest.mark.parametrize(("source", "names"), REFUSING)
def test_kwargs_that_are_refused_but_for_some(tool, source, names):
    found = tool("sources").refusing(source)
    assert (found and [name for name, _, _ in found]) == (names if names is None else list(names))


def test_the_parameters_in_kwargs_are_keywords_with_their_defaults(tool):
    found = tool("sources").refusing("def f(**kw):\n a, b = kw.pop('a'), kw.pop('b', -1)\n if kw:\n  raise TypeError")
    assert sorted(found) == [("a", "*", None), ("b", "*", "-1")]


UNREAD = """
from enum import Enum

class Writer:
    level = kind, other = 1, 2
    size: int

    def __init__(self, path, *, deep=False):
        self.path = path
        self._hidden = 1

    def __enter__(self):
        return self

    def __repr__(self):
        return ""

    def close(self):
        pass

    def _private(self):
        pass
"""


def test_a_module_that_is_not_imported_has_what_its_source_says(tool, tmp_path):
    path = tmp_path / "writer.py"
    path.write_text(UNREAD)
    found = tool("sources").unread_module("torch.writer", str(path))
    members = {"level", "kind", "other", "size", "path", "__enter__", "close"}
    assert set(found) == {"torch.writer", "torch.writer.Writer"} | {"torch.writer.Writer." + each for each in members}
    assert found["torch.writer.Writer"]["p"] == [("path", "", None), ("deep", "*", "False")]


def dump(torch, names, foreign=()):
    """What dump.py writes."""
    return {"torch": torch, "names": names, "foreign": sorted(foreign)}


PYTHON = {"k": "class", "u": 1}
DUMPS = [
    dump("1.2.0", {"torch.A": {"k": "class"}, "torch.A.keys": {"k": "method"}}, ["torch.b.Number", "torch.b.os"]),
    dump(
        "1.3.1",
        {
            "torch.A": {"k": "class", "b": ["builtins.dict"]},
            "builtins.dict": PYTHON,
            "builtins.dict.keys": {"k": "method", "u": 1},
            "builtins.tuple": PYTHON,
            "builtins.tuple.count": {"k": "method", "u": 1},
        },
    ),
    dump(
        "2.0.1",
        {
            "torch.A": {"k": "class", "b": ["builtins.dict"]},
            "builtins.dict": PYTHON,
            "builtins.dict.keys": {"k": "method", "u": 1},
            "builtins.dict.__or__": {"k": "method", "u": 1},
            "torch.b.Number": {"k": "data"},
        },
    ),
]
MERGED = """\
# minors 1.2 1.3 2.0
builtins.dict class 1.2- ; ~ unknown
builtins.dict.__or__ method 1.2- ; ~ unknown
builtins.dict.keys method 1.2- ; ~ unknown
torch.A class 1.2- ; ( builtins.dict 1.3-
torch.A.keys method 1.2
torch.b.Number data 1.2,2.0-
"""


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1, 2, 1, 0)])
def test_dumps_give_the_same_in_any_order_and_python_is_not_dated(tool, tmp_path, monkeypatch, order):
    """A torch that was looked at with a newer Python has not got more: what is Python's own is told for all."""
    merge = tool("merge")
    (tmp_path / "kept.txt").write_text("# a comment\ntorch.b.Number\n")
    monkeypatch.setattr(merge, "KEPT", tmp_path / "kept.txt")
    for number, each in enumerate(order):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(DUMPS[each]))
        merge.main([str(path), "--history", str(tmp_path / "history.txt")])
    assert (tmp_path / "history.txt").read_text() == merge.COMMENT + MERGED


def test_every_name_that_is_kept_is_needed():
    """It is torch's own on some version, so that the history has it, and another one's on some other version."""
    names = [line for line in Path(TOOLS, "kept.txt").read_text().splitlines() if line[:1] != "#"]
    assert names == sorted(set(names))
    assert [name for name in names if load().record(name) is None] == []


GAPS = """\
# minors 1.2 1.3
torch.A class 1.2- ; ( torch.B
torch.A.inherited method 1.2,2.0-
torch.A.lost method 1.2,2.0-
torch.B class 1.2-
torch.B.inherited method 1.3-1.13
torch.Gone class 1.2-1.4,1.6-
torch.Gone.member method 1.2-1.4,1.6-
torch.Gone.other method 1.2,1.6-
torch._private function 1.2,1.4-
torch.f function 1.2- ; ~ unknown 1.7
 back 1.2-1.3,1.5-
 starred 1.2,1.9-
 place 1.2-1.3 ; 1.4 / ; 1.5-
 unknown 1.2-1.6,1.8-
 new 1.4-
 **kwargs 1.3-1.8
torch.g = torch.f 1.2-
"""


def test_the_review_lists_what_went_and_came_back_as_the_reader_tells_it(tool):
    names, parameters = tool("review").gone_and_back(History(GAPS))
    assert [(name, ranges(mask)) for name, mask in names] == [
        ("torch.A.lost", "1.2, 2.0-"),
        ("torch.Gone", "1.2-1.4, 1.6-"),
        ("torch.Gone.other", "1.2, 1.6-"),
    ]
    # From 1.3 to 1.8 `**kwargs` takes whatever is not listed.
    assert parameters == []
    without_kwargs = GAPS.replace(" **kwargs 1.3-1.8\n", "")
    assert [(name, ranges(mask)) for name, mask in tool("review").gone_and_back(History(without_kwargs))[1]] == [
        ("torch.f(back)", "1.2-1.3, 1.5-"),
        ("torch.f(starred)", "1.2, 1.9-"),
        ("torch.f(place)", "1.2-1.3, 1.5-"),
    ]


def test_the_review_complains_of_rows_without_a_reason_and_of_reasons_without_a_row(tool):
    review = tool("review")
    known = [(re.compile(r"torch\.a$"), "torch: so"), (re.compile(r"torch\.c$"), "dump: so")]
    assert review.complaints([("torch.a", 1)], known[:1]) == []
    first, second = review.complaints([("torch.a", 1), ("torch.b", 1)], known)
    assert first.startswith("torch.b: ")
    assert second.endswith(r"torch\.c$")


def test_the_page_is_what_the_history_says_and_tells_a_reason_for_each_row(tool, capsys):
    assert tool("review").main(["--check"]) == 0, capsys.readouterr().out
