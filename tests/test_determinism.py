"""What a deterministic() block sets and how it puts it back: nested, overlapping, decorated, compiled, refused."""

import asyncio
import functools
import inspect
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.backends import cudnn

import torchcompat
from torchcompat import _blocks, _switches, at_least
from torchcompat.determinism import deterministic

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
LAWS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


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
    assert not _blocks._open


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


def test_torch_that_refuses_global_flags_is_no_obstacle():
    """After torch.backends.disable_global_flags() only what puts flags back may set them."""
    run_python("""
        import torch
        from torchcompat.determinism import deterministic
        getattr(torch.backends, "disable_global_flags", lambda: None)()
        with deterministic():
            assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.deterministic
    """)


def test_a_switch_that_cannot_be_written_leaves_nothing_changed(monkeypatch):
    def refuse(value):
        if value is True:
            raise OSError("no such luck")

    before = state()
    monkeypatch.setitem(_switches.SWITCHES, "cublas", _switches.Switch(lambda: None, refuse))
    with pytest.raises(OSError, match="luck"), deterministic():
        pytest.fail("entered")
    assert state() == before


# Threads


def overlap(first, second, third=lambda: None):
    """Thread A enters *first*, thread B enters *second*, A leaves, B leaves; what was seen after each step."""
    seen, turns = [], [threading.Event() for _ in range(4)]

    def a():
        with first:
            seen.append(is_on())
            turns[0].set()
            assert turns[1].wait(30)
        seen.append(is_on())
        turns[2].set()

    def b():
        assert turns[0].wait(30)
        with second:
            seen.append(is_on())
            turns[1].set()
            assert turns[2].wait(30)
        seen.append(is_on())

    threads = [threading.Thread(target=a), threading.Thread(target=b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return seen


def test_blocks_that_overlap_in_threads():
    assert overlap(deterministic(), deterministic()) == [True, True, True, False]
    assert overlap(deterministic(), deterministic(False)) == [True, False, False, False]
    assert overlap(deterministic(False), deterministic()) == [False, True, True, False]


def test_one_instance_in_two_threads():
    block = deterministic()
    assert overlap(block, block) == [True, True, True, False]


def test_a_block_may_be_left_in_another_thread():
    block = deterministic()
    block.__enter__()
    thread = threading.Thread(target=block.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert not is_on()


def test_many_threads_leave_nothing_on():
    def work(number):
        for turn_number in range(30):
            with deterministic((number + turn_number) % 3 > 0, warn_only=number % 2 == 0):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not is_on()


# Decorated functions


class Module(torch.nn.Module):
    @deterministic()
    def forward(self, x, *, scale=1):
        """The docstring."""
        assert is_on()
        return x * scale


def test_a_decorated_method_keeps_its_looks():
    assert torch.equal(Module()(torch.ones(2), scale=3), torch.full((2,), 3.0))
    assert Module.forward.__doc__ == "The docstring."
    assert list(inspect.signature(Module.forward).parameters) == ["self", "x", "scale"]
    assert not is_on()


def test_a_decorated_function_that_raises_or_recurses():
    @deterministic()
    def countdown(number):
        assert is_on()
        if number == 0:
            raise KeyError("zero")
        countdown(number - 1)

    with pytest.raises(KeyError):
        countdown(3)
    assert not is_on()


def test_a_generator_function_is_covered_only_while_it_runs():
    cleaned = []

    @deterministic()
    def talk():
        try:
            assert is_on()
            got = yield 1
            assert is_on()
            try:
                yield got + 1
            except KeyError:
                assert is_on()
                yield "caught"
            return "returned"
        finally:
            cleaned.append(is_on())

    def outer(conversation):
        assert not is_on()
        assert next(conversation) == 1
        assert not is_on()
        assert conversation.send(41) == 42
        assert not is_on()
        assert conversation.throw(KeyError()) == "caught"
        assert not is_on()

    assert inspect.isgeneratorfunction(talk)
    conversation = talk()
    outer(conversation)
    with pytest.raises(StopIteration) as stop:
        next(conversation)
    assert stop.value.value == "returned"
    conversation = talk()
    outer(conversation)
    conversation.close()
    abandoned = talk()
    next(abandoned)
    del abandoned
    assert cleaned == [True, True, True]
    assert not is_on()


def test_a_generator_that_will_not_close():
    @deterministic()
    def stubborn():
        try:
            yield
        except GeneratorExit:
            yield

    talk = stubborn()
    next(talk)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        talk.close()
    assert not is_on()


def test_a_generator_suspended_inside_a_block_holds_it_until_it_is_closed():
    def holds():
        with deterministic():
            yield

    first, second = holds(), holds()
    next(first)
    next(second)
    assert is_on()
    first.close()
    assert is_on()
    second.close()
    assert not is_on()


async def switch_tasks():
    """Let other tasks run."""
    await asyncio.sleep(0)


def run(coroutine):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_async_functions_are_covered_only_while_they_run():
    @deterministic()
    async def covered(number):
        for _ in range(3):
            assert is_on()
            await switch_tasks()
        if number == 2:
            raise KeyError(number)
        return number

    async def bare():
        for _ in range(5):
            assert not is_on()
            await switch_tasks()

    async def main():
        return await asyncio.gather(covered(1), bare(), covered(2), bare(), return_exceptions=True)

    assert inspect.iscoroutinefunction(covered)
    one, _, two, _ = run(main())
    assert one == 1
    assert isinstance(two, KeyError)
    assert not is_on()


def test_a_cancelled_async_function_cleans_up_inside_its_block():
    cleaned = []

    @deterministic()
    async def sleeps():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(is_on())

    async def main():
        task = asyncio.ensure_future(sleeps())
        await switch_tasks()
        assert not is_on()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert cleaned == [True]


def test_async_generators_are_covered_only_while_they_run():
    cleaned = []

    @deterministic()
    async def counts(end):
        try:
            for number in range(end):
                assert is_on()
                await switch_tasks()
                assert is_on()
                got = yield number
                if got:
                    yield got
        finally:
            await switch_tasks()
            cleaned.append(is_on())

    async def main():
        assert [number async for number in counts(3)] == [0, 1, 2]
        counting = counts(3)
        assert await counting.asend(None) == 0
        assert not is_on()
        assert await counting.asend("hello") == "hello"
        with pytest.raises(KeyError):
            await counting.athrow(KeyError())
        assert not is_on()
        closed = counts(3)
        await closed.asend(None)
        await closed.aclose()

    assert inspect.isasyncgenfunction(counts)
    run(main())
    assert cleaned == [True, True, True]


def test_partials_and_callable_objects_are_looked_into():
    async def coroutine(value):
        await switch_tasks()
        return value, is_on()

    class Callable:
        def __call__(self):
            yield is_on()

    assert run(deterministic()(functools.partial(coroutine, 1))()) == (1, True)
    assert list(deterministic()(Callable())()) == [True]
    assert deterministic()(torch.nn.Identity())(3) == 3


# Refusals


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"enabled": 1}, TypeError, "enabled"),
        ({"enabled": test_leaving_what_was_not_entered}, TypeError, r"write @deterministic\(\)"),
        ({"warn_only": None}, TypeError, "warn_only"),
        ({"fill_uninitialized_memory": "yes"}, TypeError, "fill_uninitialized_memory"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        deterministic(**arguments)


@pytest.mark.parametrize("thing", [Module, staticmethod(len), classmethod(len), property(len), 3, None])
def test_what_cannot_be_decorated(thing):
    with pytest.raises(TypeError, match="decorates functions"):
        deterministic()(thing)


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


def run_python(code, **environment):
    """Run *code* in a fresh interpreter with warnings as errors; stderr must stay empty."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, env=dict(os.environ, **environment), timeout=300)
    assert done.stderr.decode() == ""
    assert done.returncode == 0


CHILD = """
    import os, sys
    import torch
    from torchcompat.determinism import deterministic, seed_everything

    name = "CUBLAS_WORKSPACE_CONFIG"
    found = os.environ.get(name)
    modules = set(sys.modules)
    with deterministic(seed=3):
        assert os.environ[name] == {inside!r}, os.environ[name]
        torch.rand(2)
        with deterministic(False):
            assert os.environ[name] == {inside!r}
    assert os.environ.get(name) == found
    assert not torch.cuda._initialized
    assert not [module for module in set(sys.modules) - modules if module.startswith("torch.")]
    seed_everything(3)
    assert not torch.cuda._initialized
"""


@pytest.mark.parametrize("value", [None, ":16:8", ":0:0"])
def test_the_variable_of_cublas_in_a_fresh_process(value):
    """Also: no noise on stderr, CUDA is not started, and no module of torch is loaded."""
    environment = {} if value is None else {VARIABLE: value}
    run_python(CHILD.format(inside=":16:8" if value == ":16:8" else ":4096:8"), **environment)


@pytest.fixture
def cublas(monkeypatch):
    """The row of the variable, as new, and a switch for whether CUDA is to count as started."""
    started = []
    monkeypatch.setattr(_switches, "cuda_initialized", lambda: bool(started))
    row = _switches._Cublas()
    monkeypatch.setitem(_switches.SWITCHES, "cublas", _switches.Switch(row.read, row.write))
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


# torch.compile

compiles = at_least(2, 1) or (at_least(2, 0) and sys.version_info < (3, 11))
needs_compile = pytest.mark.skipif(not compiles, reason="this torch has no compiler for this Python")


@pytest.fixture
def compiled():
    def compile_(function, **options):
        torch._dynamo.reset()
        return torch.compile(function, backend="eager", **options)

    yield compile_
    torch._dynamo.reset()


def doubles(x):
    assert is_on()
    return x * 2


@needs_compile
def test_a_block_around_a_compiled_function(compiled):
    function = compiled(lambda x: x * 2, fullgraph=True)
    with deterministic():
        assert torch.equal(function(torch.ones(2)), torch.full((2,), 2.0))
    assert torch.equal(function(torch.ones(2)), torch.full((2,), 2.0))


@needs_compile
def test_a_block_and_a_decorated_function_inside_a_compiled_one(compiled):
    def around(x):
        y = x + 1
        with deterministic(seed=1):
            y = y * torch.rand(2)
            assert is_on()
        return deterministic()(doubles)(y)

    before = torch.get_rng_state()
    function = compiled(around)
    for _ in range(2):
        assert torch.equal(function(torch.ones(2)), around(torch.ones(2)))
        assert not is_on()
    assert torch.equal(torch.get_rng_state(), before)


@needs_compile
def test_a_compiled_function_that_raises_inside_its_block(compiled):
    def fails(x):
        with deterministic():
            raise KeyError(x.shape)

    with pytest.raises(KeyError):
        compiled(fails)(torch.ones(2))
    assert not is_on()


@needs_compile
def test_a_block_inside_a_full_graph_is_refused(compiled):
    def around(x):
        with deterministic():
            return x * 2

    with pytest.raises(Exception, match=r".") as refused:
        compiled(around, fullgraph=True)(torch.ones(2))
    assert type(refused.value).__module__.startswith("torch._dynamo")
    assert not is_on()
