"""A fallback takes nothing away: what this torch's own object of the name can do, ours can, or a limit says that not.

Each fallback is scripted, traced, exported, compiled, pickled, copied, quantised, and asked for its type; where ours
cannot, torch's own is tried. The export to ONNX is tried in `nn/test_onnx.py`, and pickles of functions and classes in
`test_paths.py`.
"""

from fnmatch import fnmatch

import pytest
from takes_functions import CALLS
from takes_rows import ROWS, WITHOUT
from takes_ways import NO_WAY, WAYS, attempt

from torchcompat import SHIMS

# A placeholder of a name that this torch lacks can do nothing, and says so.
TWINS = {name: shim for name, shim in SHIMS.items() if shim.kind in ("polyfill", "override")}


def is_tried(name, shim):
    if shim.native is None or name not in ROWS:
        return False
    # Of the many functions of torch's top level, those that are ours although this torch has the name.
    return name not in CALLS or not shim.meets_contract or shim.wrong


HERE = sorted(name for name, shim in TWINS.items() if is_tried(name, shim))

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _module_loading(monkeypatch):
    """torch 1.13 to 2.8 set this variable for good where CUDA is to be started, which the isolation of tests minds."""
    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")


def declared(shim, way):
    return [str(limit) for limit in shim.limits if limit.key == way and limit.applies("fallback")]


@pytest.mark.parametrize("name", HERE)
def test_what_torchs_own_can_do_ours_can(name):
    wrong = {}
    for way in [way for way in WAYS if way not in ROWS[name].left_out]:
        limits, ours = declared(SHIMS[name], way), attempt(way, name, ours=True)
        if ours is NO_WAY:
            assert not limits, f"no way for such an object, where the table says: {limits[0]}"
        elif limits and ours is None:
            wrong[way] = f"it can, where the table says: {limits[0]}"
        elif ours is not None and not limits and attempt(way, name, ours=False) is None:
            wrong[way] = f"torch's own can, and ours cannot: {ours}"
    assert not wrong


@pytest.mark.parametrize("name", sorted(TWINS))
def test_every_shim_with_a_twin_is_called_or_says_why_not(name):
    reasons = [reason for pattern, reason in WITHOUT.items() if fnmatch(name, pattern)]
    assert (name in ROWS) + len(reasons) == 1
