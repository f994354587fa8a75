"""Many files: the same output on one process and on several, progress for who waits, and faults of our own."""

import io
import sys

import pytest
from conftest import COMPILE, GRAPH_POOL

from torchcompat_check import run
from torchcompat_check.report import Outcome
from torchcompat_check.run import Job, check, check_all, with_progress


@pytest.fixture
def many(tree):
    """50 files, one in five of which is bad."""
    contents = [COMPILE, GRAPH_POOL, "import torch\n", "import numpy\n", "import torch ("]
    tree({f"{number % 7}/{number:02}.py": contents[number % 5] for number in range(50)})


def test_processes_do_not_change_the_output(many, command):
    expected = command("-j", "1")
    assert expected[0] == 2
    assert expected[2].count("\n") == 10
    assert expected[1].count("torch.compile ") == 10
    for processes in ("2", "7"):
        assert command("-j", processes) == expected


def test_outcomes_come_in_the_order_of_the_files():
    jobs = [Job(f"{number}.py", data=f"{'x=1;' * number}import torch (".encode()) for number in range(40)]
    for processes in (1, 3):
        found = [outcome.problems[0].path for outcome in check_all(jobs, 1000, processes)]
        assert found == [job.path for job in jobs]
    assert list(check_all([], 1000, 0)) == []


def test_a_fault_of_ours_is_one_line_and_the_run_goes_on(monkeypatch):
    def broken(source, path, project=None):
        raise KeyError("x")

    monkeypatch.setattr(run, "check_source", broken)
    (problem,) = check(Job("a.py", data=b"import torch\n")).problems
    assert problem.message.startswith("internal error, please report it: KeyError: 'x' (test_run.py:")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress(stream, seconds, count=5):
    """What is written when each of *count* files takes so many seconds."""
    times = (seconds * step for step in range(1000))
    outcomes = [Outcome([], [], [])] * count
    assert list(with_progress(iter(outcomes), count, stream, lambda: next(times))) == outcomes
    return stream.getvalue()


def test_progress_is_for_long_runs_on_a_terminal():
    assert progress(Terminal(), 0.01) == ""
    assert progress(io.StringIO(), 10) == ""
    written = progress(Terminal(), 1)
    assert "\r2 of 5 files" in written
    # At the end the line is blank again.
    assert written.endswith("\r" + " " * len("5 of 5 files") + "\r")


def test_progress_does_not_reach_standard_output(many, command, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "of 50 files" not in command("-j", "1")[1]
