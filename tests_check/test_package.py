"""The distribution: what is said twice agrees, and what is declared is there."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import packaging
import pytest

import torchcompat_check

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_the_version_is_that_of_the_distribution():
    assert f'\nversion = "{torchcompat_check.__version__}"\n' in read("pyproject.toml")


def test_what_is_installed_is_whole():
    """Under nox these are the files of the wheel: the same as those of the source."""
    source = os.path.join(ROOT, "src", "torchcompat_check")
    installed = os.path.dirname(os.path.abspath(torchcompat_check.__file__))

    def files(top):
        found = {
            os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names
        }
        return {name for name in found if not name.endswith(".pyc")}

    assert files(installed) == files(source)
    assert {"py.typed", "history.txt", "shims.txt"} <= files(installed)


def test_the_hook_of_pre_commit_is_there():
    entry = re.search(r"^  entry: (.*)$", read(".pre-commit-hooks.yaml"), re.M).group(1)
    assert os.access(os.path.join(ROOT, entry), os.X_OK)


# Where things are missing: an interpreter without site-packages has neither torch nor packaging nor LibCST.


def bare(*arguments, cwd=None, entry="from torchcompat_check.__main__ import main; main(sys.argv[1:])"):
    code = f"import sys; sys.path.insert(0, {os.path.join(ROOT, 'src')!r}); {entry}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, *arguments], capture_output=True, cwd=cwd)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_report_without_torch_says_so_in_one_line():
    for arguments in ([], ["report"], ["--json"], ["report", "--json"]):
        code, out, err = bare(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("torchcompat: torch is not installed")


def test_the_checker_without_packaging_says_so_in_one_line(tmp_path):
    (tmp_path / "a.py").write_text("import torch\ntorch.compile(f)\n")
    expected = 2, "", "torchcompat: packaging is not installed: pip install packaging\n"
    assert bare("check", "a.py", cwd=str(tmp_path)) == expected


def test_the_hook_of_pre_commit_without_packaging_says_so_in_one_line(tmp_path):
    hook = os.path.join(ROOT, ".ci", "pre-commit-hook")
    code, out, err = bare("a.py", cwd=str(tmp_path), entry=f"import runpy; runpy.run_path({hook!r})")
    assert (code, out, err) == (2, "", "torchcompat: packaging is not installed: pip install packaging\n")


def test_the_hook_of_pre_commit_accepts_that_all_is_excluded(tmp_path):
    (tmp_path / "a.py").write_text("import torch\ntorch.compile(f)\n")
    (tmp_path / "pyproject.toml").write_text('[tool.torchcompat]\nmin = "1.2"\nexclude = ["a.py"]\n')
    command = [sys.executable, os.path.join(ROOT, ".ci", "pre-commit-hook"), "a.py"]
    done = subprocess.run(command, capture_output=True, cwd=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, b"")


def test_fix_without_libcst_says_so_in_one_line(tmp_path):
    (tmp_path / "a.py").write_text("import torch\ntorch.compile(f)\n")
    shutil.copytree(os.path.dirname(packaging.__file__), str(tmp_path / "beside" / "packaging"))
    entry = f"sys.path.append({str(tmp_path / 'beside')!r}); "
    entry += "from torchcompat_check.__main__ import main; main(sys.argv[1:])"
    code, out, err = bare("check", "--fix", "a.py", cwd=str(tmp_path), entry=entry)
    assert (code, out) == (2, "")
    assert err == "torchcompat check: --fix needs LibCST: pip install 'torchcompat-shims[fix]'\n"


def test_the_history_needs_nothing():
    assert bare("api", "torch.compile")[0] == 0


def test_the_version_is_told():
    assert bare("--version") == (0, f"torchcompat {torchcompat_check.__version__}\n", "")


def as_module(*arguments, code=None):
    """`python -m torchcompat`, or other code, where no torch is installed."""
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")}
    start = ["-m", "torchcompat"] if code is None else ["-c", code]
    done = subprocess.run([sys.executable, "-S", *start, *arguments], capture_output=True, env=environment, cwd=ROOT)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.skipif(not hasattr(sys, "orig_argv"), reason="this Python does not say which module it is to run")
def test_the_module_without_torch_does_what_the_script_does():
    code, out, err = as_module("report")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("torchcompat: torch is not installed")
    code, out, err = as_module("api", "torch.compile")
    assert (code, err) == (0, "")
    assert out.startswith("torch.compile: function, torch 2.0-")


def test_an_import_without_torch_is_an_error_as_ever():
    for code in ("import torchcompat", "import sys; sys.argv[0] = '-m'; import torchcompat"):
        code, out, err = as_module("report", code=code)
        assert (code, out) == (1, "")
        assert err.endswith("ModuleNotFoundError: No module named 'torch'\n")


def modules():
    """{module: its source} of the checker."""
    folder = Path(torchcompat_check.__file__).parent
    return {
        ".".join(file.relative_to(folder).with_suffix("").parts): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*.py"))
    }


def test_modules_are_small():
    assert {name: text.count("\n") for name, text in modules().items() if text.count("\n") > 400} == {}


def test_no_module_needs_one_that_needs_it():
    """What is imported for annotations alone, or within a function, does not count: it is not needed to be loaded."""
    needs = {name: imported(text) for name, text in modules().items()}
    for name in needs:
        seen, waiting = set(), list(needs[name])
        while waiting:
            one = waiting.pop()
            if one not in seen and one in needs:
                seen.add(one)
                waiting += needs[one]
        assert name not in seen


def imported(text):
    """The modules of the checker that a module of it imports when it is loaded."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.update([node.module] if node.module else [alias.name for alias in node.names])
    return found
