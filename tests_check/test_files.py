"""Which files are read, in which order, and what happens to those that cannot be."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check.files import Excludes, find, matches

links = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")


def found(paths, patterns=()):
    files, problems = find(paths, Excludes(patterns, "."))
    return [name.replace(os.sep, "/") for name in files], [(one.path, one.message) for one in problems]


def test_a_folder_gives_its_python_sorted(tree):
    tree(dict.fromkeys(("b.py", "a/z.pyi", "a/b.ipynb", "c.txt", "a.py", "a/c.PY", "setup.cfg"), ""))
    assert found(["."]) == (["a/b.ipynb", "a/z.pyi", "a.py", "b.py"], [])


def test_other_peoples_code_is_left_out(tree):
    folders = (".git", ".nox", ".venv", "venv", "__pycache__", "node_modules", "site-packages", ".hidden")
    tree(dict.fromkeys((f"pkg/{folder}/a.py" for folder in folders), ""))
    tree({"my-env/pyvenv.cfg": "", "my-env/lib/a.py": "", "pkg/a.py": ""})
    assert found(["."]) == (["pkg/a.py"], [])


def test_what_a_build_wrote_is_left_out_but_no_package_of_that_name(tree):
    tree({"pyproject.toml": "", "build/lib/a.py": "", "dist/a.py": "", "pkg/build/a.py": "", "pkg/a.py": ""})
    assert found(["."]) == (["pkg/a.py", "pkg/build/a.py"], [])


def test_what_is_named_is_read_whatever_it_is_called(tree):
    tree({"venv/a.py": "", "script": "", ".hidden.txt": ""})
    assert found(["venv", "script", ".hidden.txt"]) == (["venv/a.py", "script", ".hidden.txt"], [])


def test_no_file_twice(tree):
    tree({"a/b.py": "", "a/c.py": ""})
    assert found(["a/c.py", "a", "./a/b.py", os.path.abspath("a")]) == (["a/c.py", "a/b.py"], [])


def test_excludes(tree):
    tree({"a.py": "", "tests/a.py": "", "pkg/tests/b.py": "", "pkg/gen_pb2.py": "", "docs/conf.py": ""})
    assert found(["."], ["tests", "*_pb2.py", "docs/conf.*"]) == (["a.py"], [])
    assert found(["."], ["pkg/tests/"]) == (["a.py", "docs/conf.py", "pkg/gen_pb2.py", "tests/a.py"], [])
    assert found(["tests/a.py", "docs"], ["tests"]) == (["docs/conf.py"], [])


@given(st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_a_path_is_matched_by_each_of_its_parts_and_starts(parts, data):
    path = "/".join(parts)
    end = data.draw(st.integers(1, len(parts)))
    assert matches(path, [parts[end - 1]])
    assert matches(path, ["/".join(parts[:end])])
    assert not matches(path, [path + "/c"])
    assert not matches(path, [])


def test_what_is_not_there(tree):
    tree({})
    assert found(["none.py"]) == ([], [("none.py", "cannot be read: No such file or directory")])


@links
def test_a_link_to_a_folder_above_is_reported_and_the_walk_ends(tree):
    tree({"pkg/a.py": ""})
    os.symlink(os.pardir, os.path.join("pkg", "up"))
    assert found(["."]) == (
        ["pkg/a.py"],
        [(os.path.join("pkg", "up"), "symbolic link loop: it leads to a folder that holds it")],
    )


@links
def test_two_folders_that_hold_each_other(tree):
    tree({"a/x.py": "", "b/y.py": ""})
    os.symlink(os.path.join("..", "b"), os.path.join("a", "b"))
    os.symlink(os.path.join("..", "a"), os.path.join("b", "a"))
    files, _ = found(["."])
    assert sorted(os.path.basename(name) for name in files) == ["x.py", "y.py"]


@links
def test_links_that_lead_nowhere(tree):
    tree({"ok.py": ""})
    os.symlink("none.py", "dangling.py")
    os.symlink("loop.py", "loop.py")
    files, problems = found(["."])
    assert files == ["ok.py"]
    assert [path for path, _ in problems] == ["dangling.py", "loop.py"]
    assert "No such file" in problems[0][1]
    assert "symbolic links" in problems[1][1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tree):
    tree({"a.py": "", "closed/b.py": ""})
    os.chmod("closed", 0)
    try:
        assert found(["."]) == (["a.py"], [("closed", "cannot be read: Permission denied")])
    finally:
        os.chmod("closed", 0o700)


def test_folders_deeper_than_python_can_recurse(tree, monkeypatch):
    root = tree({})
    depth = sys.getrecursionlimit() + 50
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    with open("a.py", "w"):
        pass
    monkeypatch.chdir(root)
    files, problems = found(["."])
    # The system's limit on the length of a path may come first.
    assert len(files) + len(problems) == 1
    # pytest removes its folders by recursion, which fails here.
    monkeypatch.chdir(os.path.join(root, *["d"] * depth))
    os.remove("a.py")
    for _ in range(depth):
        os.chdir(os.pardir)
        os.rmdir("d")
