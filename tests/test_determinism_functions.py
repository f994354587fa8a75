"""Functions decorated with deterministic(), of every kind, and blocks in threads and under torch.compile."""

import asyncio
import functools
import inspect
import sys
import threading

import pytest
import torch
from torch.backends import cudnn

from torchcompat import _scope, at_least
from torchcompat.determinism import deterministic


def is_on():
    return cudnn.deterministic


@pytest.fixture(autouse=True)
def _put_back():
    assert not is_on()
    yield
    assert not is_on()
    assert not _scope._open


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


@pytest.mark.parametrize("thing", [Module, staticmethod(len), classmethod(len), property(len), 3, None])
def test_what_cannot_be_decorated(thing):
    with pytest.raises(TypeError, match="decorates functions"):
        deterministic()(thing)


# Threads


def overlap(first, second):
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
