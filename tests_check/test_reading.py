"""Bytes to text as Python decodes them, and bad files: one line each, the run goes on, and the exit code is 2."""

import codecs
import os
import subprocess
import sys

import pytest
from conftest import COMPILE
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check.reading import decode
from torchcompat_check.report import problem_line
from torchcompat_check.run import Job, check


def test_utf_8_with_and_without_a_mark():
    assert decode("x = 'ä'\n".encode()) == "x = 'ä'\n"
    assert decode(codecs.BOM_UTF8 + b"x = 1\n") == "x = 1\n"


def test_a_coding_comment_is_followed():
    assert decode("# -*- coding: latin-1 -*-\nx = 'ä'\n".encode("latin-1")).endswith("x = 'ä'\n")
    assert decode(b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n").endswith("'€'\n")


@given(
    st.lists(st.sampled_from(["x = 1", "", "# é", "'\f'", "\u2028"]), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_are_those_of_python(lines, end):
    assert decode(end.join(lines).encode()).split("\n") == (lines or [""])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("import torch\n".encode("utf-16"), "UTF-16 text"),
        (codecs.BOM_UTF16_BE + "import torch\n".encode("utf-16-be"), "UTF-16 text"),
        ("import torch\n".encode("utf-32"), "UTF-32 text"),
        (b"import torch\0\n", "binary file"),
        (b"\x7fELF\x02\x01\x01\0\0torch", "binary file"),
        (b"import torch\nx = '\xe4'\n", "utf-8"),
        (b"# coding: no-such-code\nimport torch\n", "no-such-code"),
        (b"# coding: rot13\nimport torch\n", "rot13"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\nimport torch\n", "encoding problem"),
    ],
)
def test_what_is_no_text(tree, command, data, words):
    tree({"bad.py": data, "good.py": COMPILE})
    code, out, err = command(".")
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("bad.py: ")
    assert words in err
    assert out.startswith("good.py:2:5:  torch.compile  since 2.0")


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data):
    for name in ("a.py", "a.ipynb"):
        outcome = check(Job(name, data=b"torch" + data))
        assert len([problem_line(problem).split("\n") for problem in outcome.problems]) <= 1


def test_files_without_the_word_are_not_parsed():
    assert check(Job("a.py", data=b"import numpy as ((\n")) == ([], [], [])
    assert check(Job("a.py", data=b"import functorch as ((\n")).problems


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("import torch\nx = (\n", None, "syntax error"),
        ("import torch\nprint 'x'\n", 2, "syntax error"),
        ("import torch\nif x:\n\ty\n        z\n", None, "syntax error"),
        ("import torch\nx = " + "(" * 300 + ")" * 300, None, "too "),
        ("import torch\nx = " + "-" * 100_000 + "1", None, "nested too deeply"),
        ("import torch\nx = torch" + "+1" * 100_000, None, "nested too deeply"),
        ("import torch\nx = torch" + ".z" * 100_000, None, "nested too deeply"),
        ("import torch\nif x: pass\n" + "elif y: pass\n" * 100_000, None, "nested too deeply"),
    ],
    ids=["open", "python 2", "tabs", "parentheses", "signs", "sum", "attributes", "elif"],
)
def test_what_python_cannot_parse(tree, command, source, line, words):
    tree({"bad.py": source, "good.py": COMPILE})
    code, out, err = command(".")
    assert code == 2
    assert out.startswith("good.py:2:5:")
    # Python 3.7's parser writes a line of its own when its stack is full.
    lines = [one for one in err.splitlines() if one != "s_push: parser stack overflow"]
    assert len(lines) == 1
    assert lines[0].startswith(f"bad.py:{line}: " if line else "bad.py:")
    assert words in lines[0] or "too many" in lines[0]


def test_a_large_file_is_not_read(tree, command):
    tree({"good.py": COMPILE})
    with open("large.py", "wb") as file:
        file.write(b"import torch\n")
        file.truncate(100_000_000)
    code, out, err = command(".")
    assert (code, err) == (2, "large.py: too large: 100.0 MB, and --max-file-size is 10.0 MB\n")
    assert out.startswith("good.py")
    assert "binary file" in command("large.py", "--max-file-size", "200")[2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tree, command):
    tree({})
    os.mkfifo("pipe.py")
    assert command("pipe.py")[::2] == (2, "pipe.py: not a regular file\n")


def test_paths_cannot_write_to_the_terminal(tree, command):
    name = "a\n\x1b[31mb.py"
    try:
        tree({name: "import torch\nx = (\n"})
    except OSError:
        pytest.skip("this file system has no such names")
    code, _, err = command(".")
    assert code == 2
    assert err.startswith("a\\x0a\\x1b[31mb.py:")
    assert err.count("\n") == 1


def test_warnings_about_the_code_that_is_read_are_not_ours(tree):
    tree({"a.py": COMPILE + "x = '\\d'\nassert (x, 'y')\n"})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "torchcompat_check", "check", "a.py"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
