"""Every context of the library as a decorator, of every kind of function, by the table in `_contexts`."""

import asyncio
import functools

import pytest
import torch
from _contexts import and_functions, and_grad, decorates, every

from torchcompat import set_grad_enabled


def run(awaitable):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(awaitable)
    finally:
        loop.close()


@and_functions
def test_a_function(row):
    make, read, inside = row[:3]

    @make()
    def function(depth, *, more):
        """What it does."""
        assert read() == inside
        return depth + more if not depth else function(depth - 1, more=more)

    before = read()
    assert function(2, more=3) == 3
    assert (function.__name__, function.__doc__) == ("function", "What it does.")
    assert read() == before
    with pytest.raises(TypeError):
        function()
    assert read() == before


@and_grad
def test_a_generator_function(row):
    make, read, inside = row[:3]
    seen = []

    @make()
    def body():
        try:
            seen.append(read())
            got = yield 1
            seen.append(read())
            try:
                yield got
            except KeyError:
                seen.append(read())
            yield 3
        finally:
            seen.append(read())

    before = read()
    going = body()
    assert next(going) == 1
    assert read() == before
    assert going.send("sent") == "sent"
    assert read() == before
    assert going.throw(KeyError()) == 3
    assert read() == before
    going.close()
    assert read() == before
    assert seen == [inside] * 4


@every
def test_generators_that_take_turns(row):
    make, read, inside = row[:3]

    @make()
    def body():
        for _ in range(2):
            yield read()

    before = read()
    assert [x for pair in zip(body(), body()) for x in pair] == [inside] * 4
    assert read() == before


@every
def test_a_coroutine_function(row):
    make, read, inside = row[:3]
    before, outside = read(), []

    @make()
    async def body():
        seen = [read()]
        await asyncio.sleep(0)
        return [*seen, read()]

    async def other():
        outside.append(read())
        await asyncio.sleep(0)
        outside.append(read())

    async def both():
        return await asyncio.gather(body(), other(), body())

    first, _, second = run(both())
    assert first == second == [inside] * 2
    assert outside == [before] * 2
    assert read() == before


@every
def test_an_asynchronous_generator_function(row):
    make, read, inside = row[:3]

    @make()
    async def body():
        yield read()
        await asyncio.sleep(0)
        yield read()

    async def collect():
        found = []
        async for x in body():
            found += [x, read()]
        return found

    before = read()
    assert run(collect()) == [inside, before] * 2
    assert read() == before


@every
def test_a_partial_and_an_object_with_call(row):
    make, read, inside = row[:3]

    class Callable:
        def __call__(self, x):
            return x, read()

    def generator(x):
        yield x, read()

    assert make()(functools.partial(Callable(), 1))() == (1, inside)
    assert list(make()(functools.partial(generator, 2))()) == [(2, inside)]


@every
def test_a_method(row):
    make, read, inside = row[:3]

    class Owner:
        @make()
        def method(self):
            return self, read()

    owner = Owner()
    assert owner.method() == (owner, inside)


@every
@pytest.mark.parametrize("wrong", [torch.nn.Linear, None, 3, "function"])
def test_what_is_no_function_is_refused(row, wrong):
    make, read, _ = row[:3]
    before = read()
    with pytest.raises(TypeError, match="decorates functions"):
        make()(wrong)
    assert read() == before


def test_set_grad_enabled_is_one_of_them():
    @set_grad_enabled(False)
    def body():
        yield torch.is_grad_enabled()

    assert list(body()) == [False]
    assert torch.is_grad_enabled()


@decorates("torch")
def test_a_coroutine_function_is_not_covered_as_by_torch(row):
    before = row.read()

    @row.make()
    async def body():
        return row.read()

    assert run(body()) == before
