"""[tool.torchcompat]: which file is read, what its values may be, and that the command line wins."""

import pytest
from conftest import COMPILE, GRAPH_POOL

from torchcompat_check.config import KEYS, BadConfig, checked, minor, nearest, version_range

TABLE = "[tool.torchcompat]\n"


@pytest.mark.parametrize(
    ("text", "expected"), [("1.2", "1.2"), ("1.13.1", "1.13"), ("2.15.0", "2.15"), ("1.10", "1.10")]
)
def test_minors(text, expected):
    assert minor(text) == expected


@pytest.mark.parametrize("value", ["1.1", "2.16", "2", "1.x", "", "v1.2", "1.2 ", 1.2, 1.1, None, "1.2.3.4"])
def test_what_is_no_minor(value):
    with pytest.raises(ValueError, match=r"accepted: 1.2 to 2.15") as caught:
        minor(value)
    assert repr(value) in str(caught.value)
    assert isinstance(value, str) or "as a string" in str(caught.value)


def test_a_range_has_an_order():
    assert version_range("1.8", "1.10") == ("1.8", "1.10")
    assert version_range("1.8", "1.8") == ("1.8", "1.8")
    assert version_range("", "1.8") == ("", "1.8")
    with pytest.raises(BadConfig, match=r"--min 1.10 is newer than --max 1.8"):
        version_range("1.10", "1.8")


def test_the_nearest_file_with_a_table_is_read(tree):
    root = tree({"pyproject.toml": TABLE + 'min = "1.8"\n', "a/pyproject.toml": "[tool.ruff]\n", "a/b/c.py": ""})
    assert nearest(["a/b/c.py"]).values == {"min": "1.8"}
    assert nearest(["a/b"]).root == str(root)
    tree({"a/pyproject.toml": TABLE + 'min = "1.9"\n', "d.py": ""})
    assert nearest(["a/b/c.py", "a"]).values == {"min": "1.9"}
    # What holds them all is the folder of the first file.
    assert nearest(["a/b/c.py", "d.py"]).values == {"min": "1.8"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"mim": "1.8"}, ["tool.torchcompat has no key 'mim'", *KEYS]),
        ({"min": 1.8}, ["tool.torchcompat.min: 1.8 is not a minor", "as a string"]),
        ({"max": "3.0"}, ["tool.torchcompat.max: '3.0'", "1.2 to 2.15"]),
        ({"exclude": "tests"}, ["tool.torchcompat.exclude: 'tests'", "a list of strings"]),
        ({"ignore": [1]}, ["tool.torchcompat.ignore", "a list of strings"]),
        ({"per-file-ignores": ["a"]}, ["tool.torchcompat.per-file-ignores", "a table"]),
        ({"per-file-ignores": {"a": "b"}}, ["tool.torchcompat.per-file-ignores", "a list of strings"]),
        ({"baseline": 3}, ["tool.torchcompat.baseline: 3", "a string"]),
        ({"format": "xml"}, ["tool.torchcompat.format: 'xml'", "text, json, github, sarif"]),
        ("x", ["tool.torchcompat is 'x'", "a table"]),
    ],
)
def test_what_is_not_accepted(table, words):
    with pytest.raises(BadConfig, match=r"^p\.toml: ") as caught:
        checked("p.toml", table)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TABLE + "min = \n", "not TOML"),
        (TABLE + "mim = '1.8'\n", "has no key 'mim'; accepted: min, max, exclude"),
        (b"# torchcompat \xff", "not UTF-8"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(tree, command, content, words):
    tree({"pyproject.toml": content, "a.py": COMPILE})
    code, out, err = command("a.py")
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert command("a.py", "--no-config")[0] == 0
    assert "cannot be read" in command("a.py", "--config", "none.toml")[2]


def test_every_key_works(tree, command):
    table = """
min = "1.5"
max = "2.3"
exclude = ["skipped"]
ignore = ["torch.cuda.graph_pool_handle"]
format = "github"
baseline = "known.json"
[tool.torchcompat.per-file-ignores]
"old/*.py" = ["torch.compile"]
"""
    known = '{"version": 1, "findings": []}'
    files = {"new/a.py": COMPILE, "old/a.py": COMPILE + GRAPH_POOL, "skipped/a.py": COMPILE}
    tree({**files, "pyproject.toml": TABLE + table, "known.json": known})
    code, out, err = command(".")
    assert (code, err) == (1, "")
    assert [line.split(",")[0] for line in out.splitlines()[:-1]] == ["::error file=new/a.py"]


def test_paths_are_relative_to_the_file(tree, command, monkeypatch):
    root = tree({"pyproject.toml": TABLE + 'exclude = ["pkg/a.py"]\n', "pkg/a.py": COMPILE, "pkg/b.py": COMPILE})
    monkeypatch.chdir(root / "pkg")
    assert command(".")[1].startswith("b.py:2:5:")


def test_the_command_line_wins(tree, command):
    tree({"pyproject.toml": TABLE + 'min = "1.5"\nformat = "json"\nselect = ["torch.jit.*"]\n', "a.py": COMPILE})
    assert command("a.py")[0] == 0
    code, out, _ = command("a.py", "--select", "torch.compile", "--format", "text")
    assert code == 1
    assert "torch.compile" in out
    assert command("a.py", "--min", "2.0", "--select", "torch.compile")[0] == 0


def test_a_file_that_only_names_the_package_needs_no_toml_reader(tree, command):
    tree({"pyproject.toml": '[project]\ndependencies = ["torchcompat-shims"]\n', "a.py": COMPILE})
    assert command("a.py")[0] == 0
