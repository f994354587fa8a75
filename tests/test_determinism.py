"""What a deterministic() block sets, and that it puts it back: nested, in any order, after errors."""

import functools
import itertools
import os
import subprocess
import sys
import textwrap
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.backends import cudnn

import torchcompat
from torchcompat import _scope, at_least, determinism
from torchcompat.determinism import _switches, deterministic

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
LAWS = settings(max_examples=60)


def _set_algorithms(value):
    if at_least(1, 11):
        # torch.use_deterministic_algorithms, without the seconds it takes from 2.10 to import the compiler
        torch._C._set_deterministic_algorithms(value[0], warn_only=value[1])
    elif at_least(1, 8):
        torch.use_deterministic_algorithms(value[0])
    else:
        torch.set_deterministic(value[0])


def _get_algorithms():
    if at_least(1, 11):
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        return torch.are_deterministic_algorithms_enabled(), warn_only, torch.get_deterministic_debug_mode()
    return torch.are_deterministic_algorithms_enabled() if at_least(1, 8) else torch.is_deterministic()


def _set_variable(value):
    os.environ.pop(VARIABLE, None)
    if value is not None:
        os.environ[VARIABLE] = value


def _attribute(owner, name):
    return functools.partial(getattr, owner, name), functools.partial(setattr, owner, name)


# Through torch's public names, apart from the module under test: name -> (get, set, values).
BOTH = [False, True]
KNOBS = {
    "deterministic": (*_attribute(cudnn, "deterministic"), BOTH),
    "benchmark": (*_attribute(cudnn, "benchmark"), BOTH),
    "variable": (lambda: os.environ.get(VARIABLE), _set_variable, [None, "", ":4096:8", ":16:8", ":4096:2"]),
}
if at_least(1, 7):
    # Turning the switch on prints on torch 1.7 and 1.8; the first block of ours, below, takes the blame in silence.
    KNOBS["algorithms"] = (_get_algorithms, _set_algorithms, list(itertools.product(BOTH, BOTH)))
if at_least(1, 13):
    KNOBS["limit"] = (*_attribute(cudnn, "benchmark_limit"), [10, 3])
if at_least(2, 2):
    KNOBS["fill"] = (*_attribute(torch.utils.deterministic, "fill_uninitialized_memory"), BOTH)
if at_least(2, 5):
    KNOBS["mkldnn"] = (*_attribute(torch.backends.mkldnn, "deterministic"), BOTH)


def state():
    return {name: knob[0]() for name, knob in KNOBS.items()}


def turn(values):
    for name, value in values.items():
        KNOBS[name][1](value)


def is_on():
    return cudnn.deterministic


@pytest.fixture(autouse=True)
def _put_back():
    before = state()
    yield
    assert state() == before
    assert not _scope._open


KNOB_VALUES = st.fixed_dictionaries({name: st.sampled_from(knob[2]) for name, knob in KNOBS.items()})
SEEDS = st.none() | st.integers(0, 2**32 - 1)
CONFIGS = st.fixed_dictionaries(
    {
        "enabled": st.booleans(),
        "warn_only": st.booleans(),
        "fill_uninitialized_memory": st.booleans() if at_least(2, 1) else st.just(False),
        "seed": SEEDS,
    }
)


def expected(found, enabled, warn_only=False, fill_uninitialized_memory=False, seed=None):
    """The state inside a block that found the state *found*."""
    inside = dict(found, deterministic=enabled)
    if enabled:
        inside.update(benchmark=False)
        inside["variable"] = found["variable"] if found["variable"] in (":4096:8", ":16:8") else ":4096:8"
    if at_least(1, 11):
        inside["algorithms"] = (enabled, warn_only, (1 if warn_only else 2) if enabled else 0)
    elif at_least(1, 7):
        inside["algorithms"] = enabled and not warn_only
    if at_least(2, 2) and enabled:
        inside["fill"] = fill_uninitialized_memory
    if at_least(2, 5):
        inside["mkldnn"] = enabled
    return inside


@pytest.fixture
def original():
    """For the tests that turn knobs themselves: all are put back as they were."""
    # debug_mode follows from the other two, so the pair is what is put back.
    before = state()
    if at_least(1, 7):
        before["algorithms"] = before["algorithms"][:2] if at_least(1, 11) else (before["algorithms"], False)
    yield
    turn(before)


@LAWS
@given(start=KNOB_VALUES, config=CONFIGS, meddled=KNOB_VALUES, fails=st.booleans())
def test_a_block_sets_every_switch_and_puts_back_what_it_found(original, start, config, meddled, fails):
    with deterministic():
        pass  # takes the announcement of torch 1.7 and 1.8
    turn(start)
    found = state()
    try:
        with deterministic(**config):
            assert state() == expected(found, **config)
            turn({name: value for name, value in meddled.items() if name != "limit"})
            if fails:
                raise KeyError("out of the block")
    except KeyError:
        pass
    untouched = () if config["enabled"] else ("benchmark", "variable", "fill")
    assert state() == dict(found, **{name: KNOBS[name][0]() for name in untouched if name in KNOBS})


@LAWS
@given(start=KNOB_VALUES, nest=st.lists(st.tuples(CONFIGS, KNOB_VALUES), max_size=5))
def test_nested_blocks_unwind(original, start, nest):
    def descend(levels):
        if not levels:
            return
        (config, meddled), rest = levels[0], levels[1:]
        found = state()
        with deterministic(**dict(config, enabled=True)):
            turn(dict(meddled, limit=3) if at_least(1, 13) else meddled)
            descend(rest)
        assert dict(state(), limit=0) == dict(found, limit=0)

    turn(start)
    descend(nest)


@LAWS
@given(start=KNOB_VALUES, steps=st.lists(st.tuples(CONFIGS, st.integers(0, 3)), max_size=12))
def test_blocks_that_end_in_any_order(original, start, steps):
    turn(start)
    found = state()
    open_blocks = []

    def check():
        wanted = found
        for _, config in open_blocks:
            wanted = expected(wanted, **config)
        assert state() == wanted

    for config, choice in steps:
        if choice and open_blocks:
            open_blocks.pop(choice % len(open_blocks))[0].__exit__(None, None, None)
        else:
            block = deterministic(**config)
            block.__enter__()
            open_blocks.append((block, config))
        check()
    while open_blocks:
        open_blocks.pop(0)[0].__exit__(None, None, None)
        check()


def test_an_instance_can_be_entered_again_and_while_open():
    block = deterministic()
    for _ in range(2):
        with block:
            with block:
                assert is_on()
            assert is_on()
        assert not is_on()


def test_switching_off_and_on_again_inside():
    with deterministic():
        with deterministic(False):
            assert not is_on()
            with deterministic():
                assert is_on()
            assert not is_on()
        assert is_on()


def test_leaving_what_was_not_entered():
    with pytest.raises(RuntimeError, match="not open"):
        deterministic().__exit__(None, None, None)


def test_a_switch_that_cannot_be_written_leaves_nothing_changed(monkeypatch):
    def refuse(value):
        if value is True:
            raise OSError("no such luck")

    before = state()
    monkeypatch.setitem(determinism._TABLE, "cublas", _scope.Switch(lambda: None, refuse))
    with pytest.raises(OSError, match="luck"), deterministic():
        pytest.fail("entered")
    assert state() == before


# Refusals


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"enabled": 1}, TypeError, "enabled"),
        ({"enabled": test_switching_off_and_on_again_inside}, TypeError, r"write @deterministic\(\)"),
        ({"warn_only": None}, TypeError, "warn_only"),
        ({"fill_uninitialized_memory": "yes"}, TypeError, "fill_uninitialized_memory"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        deterministic(**arguments)


# What each torch guarantees


@pytest.mark.skipif(at_least(2, 1), reason="torch can fill since 2.1")
def test_filling_is_refused_where_torch_cannot():
    with pytest.raises(torchcompat.UnsupportedError, match=r"torch 2\.1"):
        deterministic(fill_uninitialized_memory=True)


def _nondeterministic():
    return torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


@pytest.mark.shim("determinism.deterministic")
@pytest.mark.limit("no-error")
def test_an_operation_without_a_deterministic_algorithm_is_refused(impl):
    with impl(), pytest.raises(RuntimeError, match="deterministic"):
        _nondeterministic()
    _nondeterministic()


@pytest.mark.shim("determinism.deterministic")
@pytest.mark.limit("warn-only")
def test_warn_only_warns(impl):
    with impl(warn_only=True), pytest.warns(UserWarning, match="deterministic"):
        _nondeterministic()


@pytest.mark.shim("determinism.deterministic")
def test_warn_only_never_stops_the_program(impl):
    with impl(warn_only=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _nondeterministic()


def _is_filled():
    # As much as was just given back: some of what the allocator hands out holds ones, unless torch fills it with NaN.
    given_back = [torch.ones(1 << 12) for _ in range(8)]
    del given_back
    return all(bool((one != one).all()) for one in [torch.empty(1 << 12) for _ in range(8)])


@pytest.mark.shim("determinism.deterministic")
@pytest.mark.limit("always-filled")
def test_uninitialised_memory_is_not_filled(impl):
    with impl():
        assert not _is_filled()


@pytest.mark.skipif(not at_least(2, 1), reason="torch can fill since 2.1")
def test_uninitialised_memory_is_filled_on_request():
    with deterministic(fill_uninitialized_memory=True):
        assert _is_filled()
    assert not _is_filled()


# The environment and the process


CHILD = """
    import os, sys
    import torch
    from torchcompat.determinism import deterministic, seed_everything

    name = "CUBLAS_WORKSPACE_CONFIG"
    modules = set(sys.modules)
    for found, inside in [(None, ":4096:8"), (":16:8", ":16:8"), (":0:0", ":4096:8")]:
        os.environ.pop(name, None)
        if found is not None:
            os.environ[name] = found
        with deterministic(seed=3):
            assert os.environ[name] == inside
            with deterministic(False):
                assert os.environ[name] == inside
        assert os.environ.get(name) == found
    added = [module for module in set(sys.modules) - modules if module.startswith("torch.")]
    assert added == [], added
    seed_everything(3)
    assert not torch.cuda._initialized

    # What puts flags back may set them also after this:
    getattr(torch.backends, "disable_global_flags", lambda: None)()
    with deterministic():
        assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.deterministic
"""


def test_a_fresh_process():
    """The variable of cuBLAS is put back, CUDA is not started, no module of torch is loaded, nothing is printed."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(CHILD)]
    done = subprocess.run(command, capture_output=True, env=dict(os.environ), timeout=300)
    assert done.stderr.decode() == ""
    assert done.returncode == 0


@pytest.fixture
def cublas(monkeypatch):
    """The row of the variable, as new, and a switch for whether CUDA is to count as started."""
    started = []
    monkeypatch.setattr(_switches, "cuda_initialized", lambda: bool(started))
    row = _switches._Cublas()
    monkeypatch.setitem(determinism._TABLE, "cublas", _scope.Switch(row.read, row.write))
    return started


needs_cuda_build = pytest.mark.skipif(torch.version.cuda is None, reason="the variable matters to CUDA builds alone")


@needs_cuda_build
def test_too_late_to_matter_is_said(cublas):
    cublas.append("CUDA")
    with pytest.warns(UserWarning, match="CUDA is already in use"), deterministic():
        assert os.environ[VARIABLE] == ":4096:8"


@needs_cuda_build
def test_too_late_to_matter_as_an_error_changes_nothing(cublas):
    cublas.append("CUDA")
    before = state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="already"):
            deterministic().__enter__()
    assert state() == before


def test_in_time_is_not_said(cublas, monkeypatch):
    with deterministic():
        cublas.append("CUDA started inside the block")
    with deterministic():
        pass
    monkeypatch.setenv(VARIABLE, ":16:8")
    with deterministic():
        assert os.environ[VARIABLE] == ":16:8"
