"""The precision for a block, a function or a class: whatever was before comes back."""

import asyncio
import functools
import itertools
import re
import threading

import pytest
import torch
from precision_tools import (
    CONV_LEVELS,
    HISTORIES,
    MATMUL_LEAVES,
    MATMUL_LEVELS,
    STEPS,
    _defaults,  # noqa: F401 - runs around every test
    _random,
    after,
    both_sides,
    everything,
    needs_flags,
    needs_tree,
    old_getters,
    read,
    torch_agrees,
)

from torchcompat.precision import (
    conv_precision,
    get_conv_precision,
    get_matmul_precision,
    matmul_precision,
    set_matmul_precision,
)

# Contexts.


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_context_puts_back_what_any_history_left(level):
    for history in HISTORIES:
        after(history)
        before = everything()
        with matmul_precision(level) as entered:
            assert get_matmul_precision() == level, history
            assert torch_agrees(matmul=level), history
            assert get_conv_precision() == before["ours"][1]
        assert everything() == before, history
    assert entered is None


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_context_puts_back_what_any_history_left(level):
    for history in HISTORIES:
        after(history)
        before = everything()
        with conv_precision(level):
            assert get_conv_precision() == level, history
            assert torch_agrees(conv=level), history
            assert get_matmul_precision() == before["ours"][0]
        assert everything() == before, history


MATMUL_BLOCK = [step for step in STEPS if re.match(r"ours|level|cublas|[a-z]+\.(all|matmul)", step)]


CONV_BLOCK = [step for step in STEPS if re.match(r"our conv|cudnn|[a-z]+\.all|cuda\.(conv|rnn)", step)]


@pytest.mark.parametrize(("context", "steps"), [(matmul_precision, MATMUL_BLOCK), (conv_precision, CONV_BLOCK)])
def test_context_puts_back_what_its_block_changed(context, steps):
    def block():
        with context("high"):
            STEPS[step]()
            raise KeyError("from the block")

    for history, step in itertools.product([(), *_random.sample(HISTORIES, 10)], steps):
        after(history)
        before = everything()
        with pytest.raises(KeyError, match="from the block"):
            block()
        assert everything() == before, (history, step)


@both_sides
def test_contexts_nest_and_are_used_again(set_level, get_level, context, levels):
    for first, second in itertools.product(levels, repeat=2):
        set_level("highest")
        outer, inner = context(first), context(second)
        for _ in range(2):
            with outer:
                with inner:
                    assert get_level() == second
                    with outer:
                        assert get_level() == first
                        with outer:
                            assert get_level() == first
                        set_level("highest")
                    assert get_level() == second
                assert get_level() == first
            assert get_level() == "highest"


@needs_tree
@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_a_parent_still_reaches_the_leaves_after_a_context(level):
    with matmul_precision(level):
        pass
    assert {read(node) for node in MATMUL_LEAVES} == {"none"}
    torch.backends.fp32_precision = "tf32"
    assert {read(node) for node in MATMUL_LEAVES} == {"tf32"}


@needs_flags
@both_sides
def test_cudnn_flags_can_be_used_inside_and_after(set_level, get_level, context, levels):
    with context("highest"), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        pass
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        pass
    assert "raises" not in old_getters().values()


@both_sides
def test_every_order_of_closing_ends_as_it_began(set_level, get_level, context, levels):
    set_level("highest")
    before = everything()
    for order in itertools.permutations(range(3)):
        contexts = [context("high"), context("highest"), context(levels[-1])]
        for opened in contexts:
            opened.__enter__()
        for index in order:
            contexts[index].__exit__(None, None, None)
        assert everything() == before, order


@both_sides
def test_the_last_context_open_keeps_its_level(set_level, get_level, context, levels):
    set_level("highest")
    first, second = context("highest"), context("high")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert get_level() == "high"
    second.__exit__(None, None, None)
    assert get_level() == "highest"


@both_sides
def test_contexts_that_overlap_in_threads(set_level, get_level, context, levels):
    set_level("highest")
    before = everything()
    entered, closed = threading.Barrier(2), threading.Event()

    def first():
        with context("high"):
            entered.wait()
        closed.set()

    def second():
        entered.wait()
        with context("highest"):
            closed.wait()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything() == before


def test_many_threads_at_once():
    set_matmul_precision("highest")
    before = everything()
    shared = matmul_precision("high")

    @matmul_precision("medium")
    def decorated():
        return get_matmul_precision()

    def work():
        for _ in range(30):
            with shared, conv_precision("highest"):
                assert decorated() in MATMUL_LEVELS

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything() == before


def test_a_level_is_of_the_process():
    seen = []
    with matmul_precision("medium"):
        thread = threading.Thread(target=lambda: seen.append(get_matmul_precision()))
        thread.start()
        thread.join()
    assert seen == ["medium"]


def test_suspended_generators_leave_nothing_on():
    set_matmul_precision("highest")
    before = everything()

    def numbers(level):
        with matmul_precision(level):
            yield 1
            yield 2

    first, second = numbers("high"), numbers("medium")
    next(first)
    next(second)
    first.close()
    assert get_matmul_precision() == "medium"
    assert list(second) == [2]
    assert everything() == before


def test_tasks_that_overlap_leave_nothing_on():
    set_matmul_precision("highest")
    before = everything()

    async def task(level, pause):
        with matmul_precision(level):
            await asyncio.sleep(pause)

    async def both():
        await asyncio.gather(task("high", 0), task("medium", 0.001))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(both())
    loop.close()
    assert everything() == before


# Decorators.


@both_sides
def test_decorated_function(set_level, get_level, context, levels):
    set_level("highest")

    @context("high")
    def function(depth, fail=False):
        """A docstring."""
        assert get_level() == "high"
        if fail:
            raise KeyError("from the function")
        return [depth, *(function(depth - 1) if depth else [])]

    assert (function.__name__, function.__doc__) == ("function", "A docstring.")
    assert get_level() == "highest"
    assert function(2) == [2, 1, 0]
    assert get_level() == "highest"
    with pytest.raises(KeyError, match="from the function"):
        function(0, fail=True)
    assert get_level() == "highest"


def test_decorated_forward():
    class Net(torch.nn.Linear):
        @matmul_precision("medium")
        def forward(self, x):
            assert get_matmul_precision() == "medium"
            return torch.nn.functional.linear(x, self.weight, self.bias)

    net, x = Net(2, 3), torch.ones(4, 2)
    assert net(x).shape == (4, 3)
    assert get_matmul_precision() != "medium"


def test_decorated_callables():
    class Callable:
        def __call__(self):
            return get_matmul_precision()

    decorate = matmul_precision("medium")
    assert decorate(Callable())() == "medium"
    assert decorate(functools.partial(Callable()))() == "medium"
    assert decorate(Callable().__call__)() == "medium"
    assert decorate(lambda: get_matmul_precision())() == "medium"


@pytest.mark.parametrize("no_function", [torch.nn.Linear, None, "high", 3])
def test_classes_and_no_callables_are_refused(no_function):
    with pytest.raises(TypeError, match="@matmul_precision decorates functions"):
        matmul_precision("high")(no_function)
