"""The command line: gates, choices, exit codes, standard input; and the entry points around it."""

import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import pytest
from conftest import COMPILE, GELU, GRAPH_POOL, RFFT

from torchcompat_check import check as module
from torchcompat_check._minors import ALL, MINORS, minors_of
from torchcompat_check.check import parser, range_mask

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def names(output):
    return [line.split()[1] for line in output.splitlines() if ".py:" in line.split("  ")[0]]


def test_without_a_gate_all_is_shown_and_the_code_is_0(tree, command):
    tree({"a.py": COMPILE, "b.py": GRAPH_POOL, "c.py": GELU})
    code, out, err = command()
    assert (code, err) == (0, "")
    assert names(out) == ["torch.compile", "torch.cuda.graph_pool_handle", "torch.nn.functional.gelu(approximate)"]
    assert out.splitlines()[-1] == "needs torch >= 2.0 (3 findings in 3 files); with torchcompat: >= 1.12 (2 remain)"


@pytest.mark.parametrize(
    ("gate", "shown", "code"),
    [
        (["--min", "2.0"], [], 0),
        (["--min", "1.13"], ["torch.compile"], 1),
        (["--min", "1.10.2"], ["torch.compile"], 1),
        (["--min", "1.9"], ["torch.compile", "torch.cuda.graph_pool_handle"], 1),
        (["--max", "1.9"], ["torch.compile", "torch.cuda.graph_pool_handle"], 1),
        (["--min", "1.8", "--max", "1.8"], ["torch.compile", "torch.cuda.graph_pool_handle"], 1),
    ],
)
def test_a_gate_shows_what_is_missing_within_it(tree, command, gate, shown, code):
    tree({"a.py": COMPILE, "b.py": GRAPH_POOL})
    found = command(*gate)
    assert (names(found[1]), found[0]) == (shown, code)
    assert "needs torch >= 2.0 (2 findings in 2 files)" in found[1]


def test_a_name_that_went_away_is_against_a_newest_torch(tree, command):
    tree({"a.py": RFFT})
    assert command("--max", "1.7")[0] == 0
    assert command("--max", "1.8")[0] == 1
    assert command("--min", "1.8")[0] == 1
    assert "needs torch <= 1.7 (1 finding in 1 file)" in command()[1]


def test_the_range_of_a_gate():
    assert range_mask(("", "")) == ALL
    assert minors_of(range_mask(("1.8", "1.10"))) == ["1.8", "1.9", "1.10"]
    assert minors_of(range_mask(("2.14", ""))) == ["2.14", "2.15"]
    assert minors_of(range_mask(("", "1.3"))) == list(MINORS[:2])


def test_select_and_ignore(tree, command):
    tree({"a.py": COMPILE, "b.py": GRAPH_POOL, "c.py": GELU})
    assert names(command("--select", "torch.compile,torch.cuda.graph*")[1]) == [
        "torch.compile",
        "torch.cuda.graph_pool_handle",
    ]
    assert names(command("--select", "torch.compile", "--select", "torch.nn.*")[1])[0] == "torch.compile"
    assert names(command("--ignore", "torch.compile")[1])[0] == "torch.cuda.graph_pool_handle"
    assert names(command("--select", "*(approximate)")[1]) == ["torch.nn.functional.gelu(approximate)"]
    assert command("--ignore", "torch.*")[1] == "runs on any torch from 1.2 to 2.15 (0 findings in 3 files)\n"


def test_ignore_comments(tree, command):
    tree({"a.py": COMPILE.replace("\n", "  # torchcompat: ignore\n"), "b.py": "import torch\n"})
    code, out, err = command("--min", "1.2", "--warn-unused-ignores")
    assert (code, names(out)) == (0, [])
    assert err == "a.py:1: unused ignore\n"
    tree({"a.py": COMPILE.replace("(len)", "(len)  # torchcompat: ignore[torch.jit]")})
    code, out, err = command("--min", "1.2", "--warn-unused-ignores")
    assert (code, names(out), err) == (1, ["torch.compile"], "a.py:2: unused ignore[torch.jit]\n")


def stdin(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))


def test_standard_input(tree, command, monkeypatch):
    tree({})
    stdin(monkeypatch, COMPILE)
    assert command("-")[1].startswith("stdin.py:2:5:  torch.compile")
    stdin(monkeypatch, COMPILE)
    assert command("-", "--stdin-filename", "pkg/a.py")[1].startswith("pkg/a.py:2:5:")
    stdin(monkeypatch, json.dumps({"cells": [{"cell_type": "code", "source": [COMPILE]}]}))
    assert command("-", "--stdin-filename", "a.ipynb")[1].startswith("a.ipynb:cell 1:2:5:")


def test_a_bad_file_outweighs_a_gate(tree, command):
    tree({"a.py": COMPILE, "b.py": "import torch (\n"})
    code, out, err = command("--min", "1.2")
    assert (code, names(out)) == (2, ["torch.compile"])
    assert err.startswith("b.py:1: syntax error")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--min", "1.1"], "argument --min: '1.1' is not a minor of torch; accepted: 1.2 to 2.15"),
        (["--max", "x"], "argument --max: 'x' is not a minor"),
        (["--min", "2.0", "--max", "1.9"], "--min 2.0 is newer than --max 1.9"),
        (["-j", "-1"], "'-1' is not a number of processes"),
        (["--max-file-size", "0"], "'0' is not a size in MB"),
        (["--max-file-size", "nan"], "'nan' is not a size in MB"),
        (["--format", "xml"], "invalid choice"),
        (["--no-such"], "unrecognized arguments"),
        (["none.py"], "none.py: cannot be read: No such file"),
    ],
)
def test_bad_usage(tree, command, arguments, words):
    tree({})
    code, _out, err = command(*arguments)
    assert code == 2
    assert words in err


def test_explain(tree, command):
    tree({"a.py": COMPILE, "b.py": RFFT, "c.py": GELU})
    lines = [line.strip() for line in command("--explain")[1].splitlines()]
    compile_, rfft, gelu = (
        lines.index(next(line for line in lines if line.startswith(name))) for name in ("a.py", "b.py", "c.py")
    )
    assert lines[compile_ + 1 : rfft] == [
        "torch.compile: function, since 2.0",
        "counts because this line also runs on torch 1.2-1.13, which does not have the name",
        "would not count with torchcompat.compile in its place",
        'would not count under `if hasattr(torch, "compile"):`',
        "would not count under `if Version(torch.__version__).release >= (2, 0):`",
    ]
    assert lines[rfft + 1 : gelu] == [
        "torch.rfft: function, until 1.7",
        "counts because this line also runs on torch 1.8-, which does not have the name",
        'would not count under `if hasattr(torch, "rfft"):`',
        "would not count under `if Version(torch.__version__).release < (1, 8):`",
    ]
    assert lines[gelu + 1 : gelu + 5] == [
        "torch.nn.functional.gelu: function, in every torch",
        "argument approximate: since 1.12; default 'none' (1.12-)",
        "counts because this line also runs on torch 1.2-1.11, which does not have the argument",
        "would not count under `if Version(torch.__version__).release >= (1, 12):`",
    ]


@pytest.mark.parametrize("source", [COMPILE, GRAPH_POOL, RFFT, GELU])
def test_what_explain_proposes_is_true(tree, command, source):
    tree({"a.py": source})
    proposed = [line.split("`")[1] for line in command("--explain")[1].splitlines() if "under `" in line]
    assert proposed
    imports, statement = source.splitlines()
    for condition in proposed:
        tree({"a.py": f"{imports}\nfrom packaging.version import Version\n{condition}\n    {statement}\n"})
        assert command()[1] == "runs on any torch from 1.2 to 2.15 (0 findings in 1 file)\n", condition


def test_nothing_to_read_is_an_error(tree, command):
    tree({"empty/a.txt": "", "a.py": COMPILE, "b.py": "import torch ("})
    for arguments in (["empty"], ["--exclude", "*"], ["a.py", "--exclude", "a.py"], ["--fix", "empty"]):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "--allow-empty accepts that" in err
        assert command(*arguments, "--allow-empty")[0] == 0
    assert command("empty", "--allow-empty", "--min", "1.2") == (0, "nothing was read\n", "")


def test_of_what_cannot_be_read_nothing_is_said(tree, command):
    tree({"a.py": COMPILE, "b.py": "import torch ("})
    code, out, err = command("no_such_folder")
    assert (code, out) == (2, "nothing was read\n")
    assert "no_such_folder: cannot be read" in err
    assert command("b.py", "--allow-empty")[:2] == (2, "nothing was read\n")
    assert command("a.py", "b.py")[1].splitlines()[-1].startswith("needs torch >= 2.0 (1 finding in 1 file)")
    assert json.loads(command("a.py", "b.py", "--format", "json")[1])["read"] == 1


def test_no_changed_lines_are_no_error(tree, command):
    tree({"a.py": COMPILE, "empty.diff": ""})
    assert command("--patch", "empty.diff") == (0, "nothing was read\n", "")


@pytest.mark.parametrize(
    "pattern",
    ["torch.compil", "tirch.compile", "torch.no_such.*", "torch.nn.functional.gelu(no_such)", "compile", "tirch.*"],
)
def test_a_selection_that_fits_no_name_is_an_error(tree, command, pattern):
    tree({"a.py": COMPILE, "pyproject.toml": f'[tool.torchcompat]\nselect = ["torch.jit.*", "{pattern}"]\n'})
    for arguments in (["--no-config", "--select", pattern], []):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert repr(pattern) in err


@pytest.mark.parametrize(
    "pattern",
    ["torch.jit.*", "*", "*(approximate)", "torch.nn.functional.gelu(approximate)", "torch.nn.*.zero_*", "torch.fr*"],
)
def test_a_selection_that_fits_is_what_the_answer_is_about(tree, command, pattern):
    tree({"a.py": COMPILE})
    code, out, err = command("--select", pattern)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("the selected uses ")


def test_every_option_is_documented():
    with open(os.path.join(ROOT, "docs", "check.md"), encoding="utf-8") as file:
        page = file.read()
    options = [text for action in parser()._actions for text in action.option_strings if text.startswith("--")]
    assert len(options) > 15
    assert [text for text in options if f"`{text}" not in page] == ["--help"]
    assert all(f"`{key}`" in page for key in module.load.__globals__["KEYS"])


def run(*arguments, **given):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, env=environment, **given)


def test_the_module_can_be_run(tree):
    tree({"a.py": COMPILE})
    done = run("-m", "torchcompat_check", "check", "--min", "1.8", "a.py")
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"a.py:2:5:  torch.compile")


def test_no_torch_is_imported(tree):
    tree(
        {"a.py": COMPILE, "torch.py": "raise SystemExit('torch was imported')", "torchcompat.py": "raise SystemExit(3)"}
    )
    assert run("-m", "torchcompat_check", "check", "a.py").returncode == 0


def test_a_name_that_is_no_command():
    done = run("-m", "torchcompat_check", "chekc")
    assert done.returncode == 2
    assert b"'chekc' is no command; accepted: report, check, api" in done.stderr
    assert run("-m", "torchcompat_check", "--help").stdout.startswith(b"usage: torchcompat")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
def test_a_reader_that_has_seen_enough(tree):
    tree({"a.py": COMPILE * 5000})
    process = subprocess.Popen(
        [sys.executable, "-m", "torchcompat_check", "check", "a.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_the_pre_commit_hook(tree):
    tree({"a.py": COMPILE, "pyproject.toml": '[tool.torchcompat]\nmin = "1.8"\n'})
    done = run(os.path.join(ROOT, ".ci", "pre-commit-hook"), "a.py")
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"a.py:2:5:  torch.compile")


def test_a_place_that_was_another_parameters_is_missing(tree, command):
    # On torch 2.0 the fourth parameter of LayerNorm is `device`, which takes False without an error.
    tree({"a.py": "from torch import nn\nnn.LayerNorm(3, 1e-5, True, False)\nnn.LayerNorm(3, 1e-5, True)\n"})
    _, out, _ = command("a.py")
    assert "torch.nn.LayerNorm(bias)  since 2.1" in out
    assert "needs torch >= 2.1 (1 finding in 1 file)" in out
