"""No hostile checkpoint runs code, kills the interpreter, hangs, or takes more than 4 times its size and 64 MiB.

One file of each kind; with TORCHCOMPAT_CORPUS=1 all of them, which takes minutes.
They are read in a process of their own.
"""

import os
import sys

import corpus
import pytest
import run_probe

from torchcompat import SHIMS

WHICH = "full" if os.environ.get("TORCHCOMPAT_CORPUS") else "sample"
# What the docstring of load promises; an UnsupportedError is a RuntimeError that names what this torch lacks.
ERRORS = {"UnpicklingError", "RuntimeError", "UnsupportedError", "ValueError", "EOFError"}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="what a process may take is limited and read as on Linux"
)


@pytest.fixture(scope="module")
def found():
    return run_probe.run("fallback", WHICH)


def test_no_file_does_harm(found):
    _, faults = run_probe.summary(found)
    assert not faults, "\n".join(faults[:20])


def test_what_is_refused_is_refused_with_an_error_that_is_documented(found):
    assert {each["outcome"] for each in found} <= ERRORS | {"loaded", "FAULT", "KILLED"}
    assert all(each["text"] for each in found if each["outcome"] in ERRORS)
    refused = [each for each in found if each["outcome"] in ERRORS]
    # One line, and one more of advice where it is the pickle that is refused.
    long = [each for each in refused if each["lines"] > 1 + ("Unpickling" in each["outcome"])]
    assert not long, long[:5]
    # Nothing of the file that the terminal would obey.
    raw = [each for each in refused if not each["prints"]]
    assert not raw, raw[:5]


def test_every_kind_was_read(found):
    names = " ".join(each["name"] for each in found)
    assert len(corpus.KINDS) >= 40
    assert all(kind.__name__ in names for kind in corpus.KINDS)
    assert len(found) >= (2000 if WHICH == "full" else len(corpus.KINDS))


def test_honest_files_among_them_load(found):
    honest = {name for name, _ in corpus.honest_files()}
    read = {each["name"]: each["outcome"] for each in found if each["name"] in honest}
    assert read
    assert set(read.values()) <= {"loaded", "UnsupportedError"}
    assert "loaded" in read.values()


def test_the_load_of_all_users_is_the_one_that_is_read_with_here():
    assert SHIMS["load"].public is SHIMS["load"].fallback


def test_the_probe_notices_what_torch_does_when_it_trusts_a_file():
    _, faults = run_probe.summary(run_probe.run("trusting", "control"))
    expected = ["code: FAULT code ran", "import: FAULT", "request: FAULT it asked", "memory: FAULT it took"]
    expected += ["name: FAULT it gave out", "hang: KILLED"]
    assert len(faults) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(faults, expected)), faults
