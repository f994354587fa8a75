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
    if shim.native is not None and shim.kind == "polyfill" and not shim.meets_contract and not FORCED
]


def files_of(name, items):
    """Where the contract tests of a shim are, among the tests of this run; all tests, where none of it are."""
    found = {str(item.path) for item in items for marker in item.iter_markers("shim") if marker.args[0] == name}
    return sorted(found) or [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]


@pytest.mark.parametrize("name", TOO_OLD)
def test_a_native_below_since_fails_its_contract_tests(name, request):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--too-old", name]
    command += files_of(name, request.session.items)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.stdout.decode()
    assert done.returncode == 1, output
    assert "1 failed" in output, output
