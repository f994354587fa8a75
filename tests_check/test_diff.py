"""Diffs: which lines are new, from git and from files; findings on those lines only."""

import difflib
import json
import os
import re
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import pytest
from conftest import COMPILE, GRAPH_POOL
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check.diff import BadDiff, changed_lines

texts = st.lists(
    st.sampled_from(["a", "b", "", "+++ b/x.py", "--- a/x.py", "@@ -1 +1 @@", "+a", "-b", "\\ c"]), max_size=12
)


@given(texts, texts, st.integers(0, 3))
def test_the_new_lines_are_those_that_difflib_adds(old, new, context):
    diff = "\n".join(difflib.unified_diff(old, new, "a/x.py", "b/x.py", n=context, lineterm=""))
    found = changed_lines(diff).get("x.py", frozenset())
    matcher = difflib.SequenceMatcher(None, old, new)
    same = [range(start, start + size) for _, start, size in matcher.get_matching_blocks()]
    assert found == {line + 1 for line in range(len(new)) if not any(line in block for block in same)}


def test_several_files_a_new_one_a_deleted_one_a_renamed_one():
    diff = """\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,0 +2,2 @@ def f():
+x
+y
@@ -9 +11 @@
-x
+z
\\ No newline at end of file
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-x
-y
diff --git a/new.py b/new.py
new file mode 100644
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+x
diff --git a/old name.py b/new name.py
rename from old name.py
rename to new name.py
"""
    assert changed_lines(diff) == {"a.py": {2, 3, 11}, "new.py": {1}}


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("b/a b.py", "a b.py"),
        ("a.py\t2024-01-01 00:00:00.0 +0000", "a.py"),
        ('"b/\\303\\244\\"\\t.py"', 'ä"\t.py'),
        ("w/a.py", "a.py"),
        ("pkg/b/a.py", "pkg/b/a.py"),
        ("b/a.py\r", "a.py"),
    ],
)
def test_paths(field, path):
    assert changed_lines(f"--- x\n+++ {field}\n@@ -0,0 +1 @@\n+x\n") == {path: {1}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\n", "no '+++ FILE' line"),
        ("@@ -1 +1 @@\n-a\n+b\n", "a hunk before any"),
        ("+++ a.py\n@@ -x +1 @@\n", "line 2 of the diff is not a hunk header"),
        ("+++ a.py\n@@ -0,0 +1,3 @@\n+b", "ends within a hunk"),
        ("+++ a.py\n@@ -1,2 +1,2 @@\nwhat\n", "line 3 of the diff is neither context"),
    ],
)
def test_what_is_no_diff(text, words):
    with pytest.raises(BadDiff, match=re.escape(words)):
        changed_lines(text)


def test_nothing_changed():
    assert changed_lines("") == {}
    assert changed_lines("diff --git a/x b/x\nBinary files a/x and b/x differ\n") == {}


def git(*arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def repository(tree, monkeypatch):
    """A repository of one commit, with two findings in pkg/a.py."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    root = tree({"pkg/a.py": COMPILE, "pkg/b.py": COMPILE})
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    return root


def places(output):
    return [line.split(":  ")[0] for line in output.splitlines() if ".py:" in line]


def test_only_changed_lines_count(repository, tree, command):
    tree({"pkg/a.py": COMPILE + "\n" + GRAPH_POOL, "pkg/c.txt": "torch.compile"})
    code, out, _ = command("--diff")
    assert code == 0
    assert places(out) == ["pkg/a.py:5:5"]
    assert out.endswith("\nthe changed lines need torch >= 1.10 (1 finding in 1 file)\n")
    assert command("--diff", "HEAD", "--min", "1.8")[0] == 1
    assert places(command("pkg/b.py", "--diff")[1]) == []
    assert places(command("pkg", "--diff")[1]) == ["pkg/a.py:5:5"]
    assert places(command("--diff", "--exclude", "a.py")[1]) == []


def test_from_a_folder_within_the_repository(repository, tree, command, monkeypatch):
    tree({"pkg/a.py": COMPILE + GRAPH_POOL})
    monkeypatch.chdir(repository / "pkg")
    assert places(command("--diff")[1]) == ["a.py:4:5"]


def test_against_an_older_commit(repository, tree, command):
    tree({"pkg/a.py": COMPILE + GRAPH_POOL})
    git("commit", "-q", "-a", "-m", "y")
    assert places(command("--diff")[1]) == []
    assert places(command("--diff", "HEAD~1")[1]) == ["pkg/a.py:4:5"]


def test_a_changed_notebook(repository, tree, command):
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": COMPILE.splitlines(keepends=True)}]
    tree({"a.ipynb": json.dumps({"cells": cells}, indent=1)})
    git("add", ".")
    git("commit", "-q", "-m", "y")
    cells += [{"cell_type": "code", "metadata": {}, "outputs": [], "source": ["\n", "torch.cuda.graph_pool_handle()"]}]
    tree({"a.ipynb": json.dumps({"cells": cells}, indent=1)})
    _, out, _ = command("--diff")
    assert [line.split("  ")[0] for line in out.splitlines()[:-1]] == ["a.ipynb:cell 2:2:1:"]


def test_what_git_does_not_know(repository, command):
    code, out, err = command("--diff", "no-such-commit")
    assert (code, out) == (2, "")
    assert err.startswith("torchcompat check: --diff: git diff ")
    assert err.count("\n") == 1
    assert "'--output=x' is not a commit" in command("--diff=--output=x")[2]


def test_outside_of_a_repository(tree, command, monkeypatch, tmp_path):
    tree({})
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, _, err = command("--diff")
    assert code == 2
    assert "not a git repository" in err


def test_a_patch_from_a_file_and_from_standard_input(tree, command, monkeypatch):
    diff = "--- a/a.py\n+++ b/a.py\n@@ -2,0 +3,2 @@\n+import torch\n+x = torch.cuda.graph_pool_handle()\n"
    tree({"a.py": COMPILE + GRAPH_POOL, "change.patch": diff})
    assert places(command("--patch", "change.patch")[1]) == ["a.py:4:5"]
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(diff.encode())))
    assert places(command("--patch", "-")[1]) == ["a.py:4:5"]
    assert "--patch none: cannot be read: No such file" in command("--patch", "none")[2]
    assert "give one" in command("--patch", "-", "--diff")[2]
    assert "give one" in command("--patch", "-", "-")[2]
