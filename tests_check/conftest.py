"""What the checker's tests share. None imports torch, and the checker must not either."""

import sys

import pytest

from torchcompat_check._minors import ALL, at_least, at_most
from torchcompat_check.finding import Finding
from torchcompat_check.report import Report, Result

pytest.register_assert_rewrite("marked")

# Names whose history is beyond doubt: torch.compile came with 2.0 and torchcompat has it; graph_pool_handle came with
# 1.10, and torchcompat has it not; torch.rfft went with 1.8; gelu's argument `approximate` came with 1.12.
COMPILE = "import torch\nf = torch.compile(len)\n"
GRAPH_POOL = "import torch\nx = torch.cuda.graph_pool_handle()\n"
RFFT = "import torch\nx = torch.rfft(torch.ones(2), 1)\n"
GELU = "import torch\nx = torch.nn.functional.gelu(torch.ones(2), approximate='tanh')\n"


@pytest.fixture(autouse=True)
def no_torch():
    """Fails the test after which torch is imported."""
    yield
    assert "torch" not in sys.modules
    assert "torchcompat" not in sys.modules


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Writes files into an empty folder, which is the current one: `tree({"a.py": "import torch"})`."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    monkeypatch.chdir(tmp_path)
    return write


@pytest.fixture
def command(capsys):
    """Runs `torchcompat check`: its exit code, standard output and standard error."""
    from torchcompat_check.check import main

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def result(name="torch.compile", since=None, until=None, **given):
    """A result by hand: a name that is there from *since* to *until*."""
    present = (at_least(since) if since else ALL) & (at_most(until) if until else ALL)
    given.setdefault("missing", ALL & ~present)
    outer = {key: given.pop(key) for key in ("text", "cell", "file_line") if key in given}
    values = {"path": "a.py", "line": 1, "column": 1, "parameter": "", "shim": "", "present": present}
    values["at_import"] = True
    values.update(name=name, **given)
    values.setdefault("end_line", values["line"])
    values.setdefault("end_column", values["column"] + len(name))
    return Result(Finding(**values), outer.pop("text", "text"), **outer)


def report(*results, **given):
    """A report by hand, all of whose results are shown."""
    values = {"problems": [], "unused": [], "files": 1, "shown": list(results), "all_results": list(results)}
    values.update(given)
    return Report(**values)
