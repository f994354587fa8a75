"""Baselines: known findings stay known when lines move, new ones show, and what is gone is told."""

import json

import pytest
from conftest import COMPILE, GRAPH_POOL, result
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check import baseline


def test_a_finding_that_moved_is_known(tmp_path):
    path = str(tmp_path / "known.json")
    here = str(tmp_path / "a.py")
    assert baseline.write(path, [result(path=here, line=3, text="x = torch.compile(f)")]) == 1
    moved = result(path=here, line=30, text="x = torch.compile(f)")
    assert baseline.new(path, [moved], [here]) == ([], 0)


@pytest.mark.parametrize(
    "changed", [{"text": "y = torch.compile(f)"}, {"name": "torch.vmap"}, {"parameter": "mode"}, {"path": "b.py"}]
)
def test_another_finding_is_new(tmp_path, monkeypatch, changed):
    monkeypatch.chdir(tmp_path)
    baseline.write("known.json", [result(text="x = torch.compile(f)")])
    other = result(**{"text": "x = torch.compile(f)", **changed})
    assert baseline.new("known.json", [other], ["a.py"]) == ([other], 1)


def test_what_is_gone_counts_only_in_files_that_were_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    baseline.write("known.json", [result(path="a.py"), result(path="b.py"), result(path="b.py")])
    assert baseline.new("known.json", [], ["a.py"]) == ([], 1)
    assert baseline.new("known.json", [], ["b.py"]) == ([], 2)


@given(known=st.lists(st.sampled_from("abc")), now=st.lists(st.sampled_from("abc")))
def test_alike_findings_are_counted(tmp_path_factory, known, now):
    path = str(tmp_path_factory.mktemp("baseline") / "known.json")
    file = str(tmp_path_factory.getbasetemp() / "a.py")
    baseline.write(path, [result(path=file, text=text) for text in known])
    new, gone = baseline.new(path, [result(path=file, text=text) for text in now], [file])
    texts = [one.text for one in new]
    for text in "abc":
        assert texts.count(text) == max(0, now.count(text) - known.count(text))
    assert gone == sum(max(0, known.count(text) - now.count(text)) for text in "abc")


def test_the_file_is_the_same_whatever_the_order(tmp_path):
    results = [result(path=str(tmp_path / name), text=text) for name in ("a.py", "b.py") for text in ("x", "y")]
    baseline.write(str(tmp_path / "1"), results)
    baseline.write(str(tmp_path / "2"), results[::-1])
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_paths_are_relative_to_the_baseline(tmp_path):
    (tmp_path / "sub").mkdir()
    baseline.write(str(tmp_path / "known.json"), [result(path=str(tmp_path / "sub" / "a.py"))])
    assert json.loads((tmp_path / "known.json").read_text())["findings"][0]["path"] == "sub/a.py"


ROW = {"path": "a", "name": "b", "parameter": "", "text": "c", "count": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a baseline of version 1"),
        (b'{"version": 2, "findings": []}', "not a baseline of version 1"),
        (b'{"version": 1}', "finding 1 needs path, name, parameter, text"),
        (json.dumps({"version": 1, "findings": [ROW, {**ROW, "count": 0}]}).encode(), "finding 2 needs"),
        (json.dumps({"version": 1, "findings": [{**ROW, "text": 3}]}).encode(), "finding 1 needs"),
    ],
)
def test_what_is_no_baseline_is_refused(tree, command, content, words):
    tree({"a.py": "import torch\n", "known.json": content})
    code, out, err = command("a.py", "--baseline", "known.json")
    assert (code, out) == (2, "")
    assert err.startswith("torchcompat check: baseline known.json: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_baseline_that_is_not_there_or_cannot_be_written(tree, command):
    tree({"a.py": "import torch\n"})
    assert "cannot be read: No such file" in command("a.py", "--baseline", "none.json")[2]
    assert "cannot be written: No such file" in command("a.py", "--write-baseline", "none/known.json")[2]


def test_on_the_command_line(tree, command):
    tree({"a.py": COMPILE})
    assert command("a.py", "--write-baseline", "known.json") == (0, "1 finding written to known.json\n", "")
    code, out, err = command("a.py", "--min", "1.8", "--baseline", "known.json")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "runs on torch >= 1.8, but for what the baseline knows",
        "1 in the baseline, not shown",
        "needs torch >= 2.0 (1 finding in 1 file); with torchcompat: any torch from 1.2 to 2.15 (0 remain)",
    ]
    tree({"a.py": "\n\n" + COMPILE + GRAPH_POOL})
    code, out, err = command("a.py", "--min", "1.8", "--baseline", "known.json")
    assert code == 1
    assert out.startswith("a.py:6:5:  torch.cuda.graph_pool_handle  since 1.10\n1 finding on torch >= 1.8\n")
    tree({"a.py": "import torch\n"})
    assert command("a.py", "--baseline", "known.json")[2] == (
        "known.json: knows 1 that are no longer there; write it again\n"
    )
