"""Notebooks: findings by cell and line, magics as IPython takes them, and notebooks that are none."""

import ast
import json

import pytest
from conftest import COMPILE
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check.notebook import python_of
from torchcompat_check.run import Job, check


def cell(source, kind="code", **more):
    lines = source.splitlines(keepends=True)
    return {"cell_type": kind, "metadata": {}, "source": lines, **({"outputs": []} if kind == "code" else {}), **more}


def notebook(*cells, **metadata):
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1)


BOOK = notebook(
    cell("# Title\nimport torch", "markdown"),
    cell("import torch\n%matplotlib inline"),
    cell("\nf = torch.compile(len)"),
)


def test_a_finding_names_cell_and_line(tree, command):
    tree({"a.ipynb": BOOK})
    assert command("a.ipynb", "--min", "1.8")[1].startswith("a.ipynb:cell 3:2:5:  torch.compile  since 2.0")


def test_the_line_in_the_file_is_known():
    (found,) = check(Job("a.ipynb", data=BOOK.encode())).results
    assert (found.cell, found.finding.line, found.text) == (3, 2, "f = torch.compile(len)")
    assert "torch.compile" in BOOK.split("\n")[found.file_line - 1]


def test_an_output_that_looks_like_the_source_is_not_taken_for_it():
    output = {"name": "stdout", "output_type": "stream", "text": ["import torch\n", "f = torch.compile(len)"]}
    book = notebook(cell("import torch\nf = torch.compile(len)", outputs=[output]))
    (found,) = check(Job("a.ipynb", data=book.encode())).results
    lines = book.split("\n")
    assert "torch.compile" in lines[found.file_line - 1]
    assert lines[found.file_line - 3].strip() == '"source": ['


def test_a_cell_written_as_one_string_has_no_line_in_the_file():
    book = json.dumps({"cells": [{"cell_type": "code", "source": COMPILE}], "metadata": {}})
    (found,) = check(Job("a.ipynb", data=book.encode())).results
    assert (found.cell, found.finding.line, found.file_line) == (1, 2, 0)


def test_format_3():
    cells = [{"cell_type": "code", "input": [COMPILE]}]
    book = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3, "metadata": {}})
    (found,) = check(Job("a.ipynb", data=book.encode())).results
    assert (found.cell, found.finding.line) == (1, 2)


@pytest.mark.parametrize("metadata", [{"language_info": {"name": "R"}}, {"kernelspec": {"language": "julia"}}])
def test_other_languages_are_not_read(metadata):
    book = notebook(cell("library(torch) <- (("), **metadata)
    assert check(Job("a.ipynb", data=book.encode())) == ([], [], [])


def test_a_cell_that_is_no_python_is_reported_and_the_others_read(tree, command):
    tree({"a.ipynb": notebook(cell("import torch"), cell("x = 1\ny = = 2"), cell("torch.compile(len)"))})
    code, out, err = command("a.ipynb")
    assert code == 2
    assert err.startswith("a.ipynb:cell 2:2: syntax error")
    assert err.count("\n") == 1
    assert out.startswith("a.ipynb:cell 3:1:1:  torch.compile")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("torch {", "not a notebook: "),
        ('["torch"]', "it has no list of cells"),
        ('{"cells": "torch"}', "it has no list of cells"),
        ('{"cells": [{"cell_type": "code", "source": ["torch", 3]}]}', "the source of cell 1 is no text"),
        ('{"cells": [{"cell_type": "code", "source": {"torch": 1}}]}', "the source of cell 1 is no text"),
        ("[" * 100_000 + '"torch"' + "]" * 100_000, "not a notebook: its JSON is nested too deeply"),
        (notebook(cell("torch")).encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_notebook(tree, command, content, words):
    tree({"a.ipynb": content})
    code, _, err = command("a.ipynb")
    assert code == 2
    assert err.startswith("a.ipynb: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%matplotlib inline\nx", "pass\nx"),
        ("!pip install torch\nx", "pass\nx"),
        ("x?\ny", "pass\ny"),
        ("?x.y\ny", "pass\ny"),
        ("torch.compile??\ny", "pass\ny"),
        ("if x:\n    !ls {x}\n    y", "if x:\n    pass\n    y"),
        ("files = !ls\ny", "files = None\ny"),
        ("a, b = %magic c\ny", "a, b = None\ny"),
        ("%time x = f(1)\ny", "0;    x = f(1)\ny"),
        ("%timeit -n 10 -r3 f(1)\ny", "0;                f(1)\ny"),
        ("%time\ny", "pass\ny"),
        ("%%time\nx = f(1)", "\nx = f(1)"),
        ("%%capture out\nx = f(1)\n!ls", "\nx = f(1)\npass"),
        ("%%bash\nfor i in x; do y; done", "\n"),
        ("%%javascript\nimport torch", "\n"),
        ("!cat \\\n  torch.py\ny", "pass\n\ny"),
        ("x = (a\n% b)\n%pwd", "x = (a\n% b)\npass"),
        ("x = '''\n!ls\n'''\n!ls", "x = '''\n!ls\n'''\npass"),
        ("x = a \\\n% b\n%pwd", "x = a \\\n% b\npass"),
        ("x = '(' # (\n!ls", "x = '(' # (\npass"),
        ("await f()\nx = y % 2", "await f()\nx = y % 2"),
    ],
)
def test_magics(source, expected):
    lines, fault = python_of(source)
    assert fault is None
    assert "\n".join(lines) == expected


@given(st.text(st.sampled_from("%!?x=()'\"\\\n #1:"), max_size=40))
def test_lines_keep_their_numbers_and_become_python(source):
    lines, fault = python_of(source)
    assert len(lines) == len(source.split("\n"))
    if fault:
        assert lines == [""] * len(lines)
    else:
        ast.parse("\n".join(lines) + "\n")


def test_ignore_comments_work_in_cells(tree, command):
    tree(
        {
            "a.ipynb": notebook(
                cell("import torch"), cell("torch.compile(len)  # torchcompat: ignore\nx  # torchcompat: ignore")
            )
        }
    )
    code, out, err = command("a.ipynb", "--warn-unused-ignores")
    assert (code, out) == (0, "runs on any torch from 1.2 to 2.15 (0 findings in 1 file)\n")
    assert err == "a.ipynb:cell 2:2: unused ignore\n"
