"""A `since` that is too high cannot survive: below it, a native that is there must fail its contract tests."""

import os
import subprocess
import sys

import pytest

from torchcompat import SHIMS
from torchcompat._shim import FORCED

TOO_OLD = [
    name
    for name, shim in sorted(SHIMS.items())
    if shim.is_there and shim.path is not None and not shim.meets_contract and not FORCED
]


def files_of_too_old(items):
    """Where the contract tests of those shims are; all tests, where this run does not have those of each of them."""
    marked = [(item, marker.args[0]) for item in items for marker in item.iter_markers("shim")]
    if not set(TOO_OLD) <= {name for _, name in marked}:
        return [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    return sorted({str(item.path) for item, name in marked if name in TOO_OLD})


@pytest.fixture(scope="module")
def verdicts(request):
    """What one run of the contract tests of all of them says at its end."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "--too-old"]
    command += [",".join(TOO_OLD)] + files_of_too_old(request.session.items)
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


@pytest.mark.parametrize("name", TOO_OLD)
def test_a_native_below_since_fails_its_contract_tests(name, verdicts):
    assert f"{name}: the native of this torch fails" in verdicts.splitlines(), verdicts
