"""The fixture `impl` gives a contract test the native and the fallback object of its shim; see docs/testing.md."""

import os
import random
import sys
import warnings

import pytest
import torch

from torchcompat import SHIMS
from torchcompat._shim import FORCED

torch.set_num_threads(1)
with warnings.catch_warnings():
    # torch 1.7, built for CUDA, warns once that there is no driver, at the first backward pass of the process.
    warnings.filterwarnings("ignore", "CUDA initialization", UserWarning)
    torch.ones(1, requires_grad=True).sum().backward()
    CUDA = torch.cuda.is_available()


def pytest_addoption(parser):
    parser.addoption(
        "--too-old",
        metavar="SHIM,...",
        help="run the contract tests of each SHIM, up to its first failure, against a native older than its `since`",
    )


def _too_old(config):
    return set(filter(None, (config.getoption("--too-old") or "").split(",")))


def _shim_of(item):
    marker = item.get_closest_marker("shim")
    return _row(marker.args[0]) if marker else None


def _rows_of(parametrize):
    """The shims of a table whose cases say each which shim it is about."""
    marks = [mark for case in parametrize.args[1] for mark in getattr(case, "marks", ())]
    return [mark.args[0] for mark in marks if mark.name == "shim"]


def _row(name):
    if name not in SHIMS:
        raise ValueError(f"no shim is named {name!r}: no package's table names its module? See docs/add-a-shim.md")
    return SHIMS[name]


def pytest_generate_tests(metafunc):
    if "impl" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("shim")
    if marker is None and not any(_rows_of(each) for each in metafunc.definition.iter_markers("parametrize")):
        raise ValueError(f"{metafunc.definition.nodeid} uses `impl` without a `shim` marker")
    # Torch's own objects are the same where fallbacks are forced; the run as installed has tested them.
    alone = (marker and _row(marker.args[0]).path is None) or "all" in FORCED
    kinds = ["fallback"] if alone else ["native", "fallback"]
    if metafunc.config.getoption("--too-old"):
        kinds = ["native"]
    metafunc.parametrize("impl", kinds, indirect=True)


def pytest_collection_modifyitems(config, items):
    chosen = [SHIMS[name] for name in _too_old(config)]
    if chosen:
        items[:] = [item for item in items if "impl" in item.fixturenames and _shim_of(item) in chosen]
    items.sort(key=_turn)
    for item in items:
        _expect_failure_where_limited(item)


def _turn(item):
    """The tests marked ``first`` come first, and those marked ``last`` last."""
    return bool(item.get_closest_marker("last")) - bool(item.get_closest_marker("first"))


def _expect_failure_where_limited(item):
    shim = _shim_of(item)
    if shim is None or "impl" not in item.fixturenames:
        return
    markers = list(item.iter_markers("limit"))
    keys = {marker.args[0] for marker in markers}
    # A test that many shims share may name a limit that some of them have.
    shared = {marker.args[0] for marker in markers if marker.kwargs.get("shared")}
    unknown = keys - shared - {limit.key for limit in shim.limits}
    if unknown:
        raise ValueError(f"{item.nodeid}: {shim.name} has no limit {sorted(unknown)}")
    for limit in shim.limits:
        if limit.key in keys and limit.applies(item.callspec.params["impl"]):
            item.add_marker(pytest.mark.xfail(reason=str(limit), strict=True))


@pytest.fixture
def shim(request):
    """The row of the shim table that the test is about."""
    return _shim_of(request.node)


@pytest.fixture
def impl(request, shim):
    """The object under test: torch's own, if this torch has one that meets the contract, or our fallback."""
    if request.param == "fallback":
        return shim.fallback
    if not shim.is_there:
        pytest.skip(f"{shim.path} is missing here; in torch since {shim.since}")
    if not shim.meets_contract:
        if shim.name not in _too_old(request.config):
            pytest.skip(f"{shim.path} is here, but meets the contract only since {shim.since}")
        if shim in _failed:
            pytest.skip(f"{shim.path} has failed a test already")
    return shim.native


_failed = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().when == "call" and outcome.get_result().failed:
        _failed.append(_shim_of(item))


def pytest_terminal_summary(terminalreporter, config):
    for name in sorted(_too_old(config)):
        verdict = "fails" if SHIMS[name] in _failed else "passes"
        terminalreporter.write_line(f"{name}: the native of this torch {verdict}")


def _environment():
    # pytest's own note of the running test, and what torch's compiler notes for its subprocesses, are not the test's.
    foreign = ("PYTEST_", "TORCHINDUCTOR_", "TRITON_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@pytest.fixture(autouse=True)
def _isolated():
    """Every test starts from the same seeds and must leave grad mode, default dtype and environment as they were."""
    # Not torch.manual_seed, which notes the call stack for each kind of device: a fifth of the suite's time.
    torch.default_generator.manual_seed(0)
    if CUDA:
        torch.cuda.manual_seed_all(0)
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    before = _environment()
    yield
    after = _environment()
    changed = {name for name in set(before) | set(after) if before.get(name) != after.get(name)}
    for name in changed:
        os.environ.pop(name, None)
    os.environ.update(before)
    assert not changed, f"the test changed os.environ: {sorted(changed)}"
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
