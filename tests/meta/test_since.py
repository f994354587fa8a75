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


@pytest.mark.parametrize("name", TOO_OLD)
def test_a_native_below_since_fails_its_contract_tests(name):
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--too-old", name]
    done = subprocess.run(command + [tests], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.stdout.decode()
    assert done.returncode == 1, output
    assert "1 failed" in output, output
