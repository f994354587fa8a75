"""Every context that switches something and puts it back, as a decorator of every kind of function, by one table."""

import asyncio
import functools

import pytest
import torch

from torchcompat import at_least, enable_grad, get_default_device, inference_mode, no_grad, set_grad_enabled
from torchcompat.attention import fastpath
from torchcompat.determinism import deterministic
from torchcompat.device import default_device
from torchcompat.precision import conv_precision, get_conv_precision, get_matmul_precision, matmul_precision


def _algorithms():
    asks = getattr(torch, "are_deterministic_algorithms_enabled", None) or getattr(torch, "is_deterministic", None)
    return asks() if asks else torch.backends.cudnn.deterministic


def _fastpath():
    if at_least(2, 3):
        return torch.backends.mha.get_fastpath_enabled()
    return not torch.overrides.has_torch_function((torch.ones(1),)) if at_least(1, 12) else False


# name: a context, what it switches, and how that reads inside of it.
CONTEXTS = {
    "deterministic": (lambda: deterministic(), _algorithms, True),
    "matmul_precision": (lambda: matmul_precision("medium"), get_matmul_precision, "medium"),
    "conv_precision": (lambda: conv_precision("high"), get_conv_precision, "high"),
    "fastpath": (lambda: fastpath(False), _fastpath, False),
    # Torch before 2.0 knows no other default device that is there on every machine.
    "default_device": (lambda: default_device("meta"), lambda: get_default_device().type, "meta"),
}
if not at_least(2, 0):
    del CONTEXTS["default_device"]
if not at_least(1, 12):
    del CONTEXTS["fastpath"]
# These decorate generators, too, and as torch's own no coroutines.
GRAD_CONTEXTS = {
    "no_grad": (lambda: no_grad(), torch.is_grad_enabled, False),
    "enable_grad": (lambda: enable_grad(), torch.is_grad_enabled, True),
    "inference_mode": (lambda: inference_mode(), torch.is_grad_enabled, False),
}

every = pytest.mark.parametrize(("make", "read", "inside"), CONTEXTS.values(), ids=CONTEXTS)
and_grad = pytest.mark.parametrize(
    ("make", "read", "inside"), [*CONTEXTS.values(), *GRAD_CONTEXTS.values()], ids=[*CONTEXTS, *GRAD_CONTEXTS]
)


def run(awaitable):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(awaitable)
    finally:
        loop.close()


@and_grad
def test_a_block(make, read, inside):
    before = read()
    with make():
        assert read() == inside
        with make():
            assert read() == inside
        assert read() == inside
    assert read() == before


@and_grad
def test_a_block_that_raises(make, read, inside):
    before = read()
    with pytest.raises(KeyError), make():
        raise KeyError
    assert read() == before


@and_grad
def test_a_function(make, read, inside):
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
def test_a_generator_function(make, read, inside):
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
def test_generators_that_take_turns(make, read, inside):
    @make()
    def body():
        for _ in range(2):
            yield read()

    before = read()
    assert [x for pair in zip(body(), body()) for x in pair] == [inside] * 4
    assert read() == before


@every
def test_a_coroutine_function(make, read, inside):
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
def test_an_asynchronous_generator_function(make, read, inside):
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
def test_a_partial_and_an_object_with_call(make, read, inside):
    class Callable:
        def __call__(self, x):
            return x, read()

    def generator(x):
        yield x, read()

    assert make()(functools.partial(Callable(), 1))() == (1, inside)
    assert list(make()(functools.partial(generator, 2))()) == [(2, inside)]


@every
def test_a_method(make, read, inside):
    class Owner:
        @make()
        def method(self):
            return self, read()

    owner = Owner()
    assert owner.method() == (owner, inside)


@every
@pytest.mark.parametrize("wrong", [torch.nn.Linear, None, 3, "function"])
def test_what_is_no_function_is_refused(make, read, inside, wrong):
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
