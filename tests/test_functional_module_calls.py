"""functional_module: calls within calls, threads, copies and the compiler."""

import copy
import pickle
import sys
import threading

import pytest
import torch
from functional_module_tools import FALLBACK, Pair, Scale, X, scalar
from torch import nn

from torchcompat import UnsupportedError, at_least
from torchcompat.func import functional_module
from torchcompat.func._exclusive import exclusive

needs_compile = pytest.mark.skipif(
    not at_least(2, 1) and (not at_least(2, 0) or sys.version_info >= (3, 11)),
    reason="torch.compile does not work here",
)


# Calls within calls


def test_the_same_module_again_within_its_forward():
    class Again(Scale):
        def forward(self, depth):
            return self.w + (call({"w": self.w * 10}, depth - 1) if depth else 0)

    module = Again()
    own = module.w
    call = functional_module(module)
    for _ in range(2):
        assert call({"w": scalar(2)}, 2) == 222
        assert module.w is own


def test_the_ties_of_the_module_hold_within_its_forward():
    class Again(Pair):
        def forward(self, deeper=True):
            if deeper:
                return call({"one.w": scalar(5), "two.w": scalar(7)}, False)
            return super().forward()

    module = Again()
    call = functional_module(module)
    one = scalar(1)
    assert call({"one.w": one, "two.w": one}) == 57


@pytest.mark.parametrize("first", ["prepared", "fallback"])
def test_parent_and_child(first):
    class Parent(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Scale()

        def forward(self):
            return torch.stack([self.child(), inner({"w": scalar(100)}), self.child()])

    module = Parent()
    own = module.child.w
    inner = functional_module(module.child)
    outer = functional_module(module)
    for _ in range(2):
        state = {"child.w": scalar(3)}
        result = outer(state) if first == "prepared" else FALLBACK(module, state)
        assert result.tolist() == [3, 100, 3]
        assert module.child.w is own


# Threads


def in_threads(count, work):
    """Run work(n) in *count* threads, and raise what one of them raised."""
    errors = []

    def run(n):
        try:
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_many_threads_in_one_module():
    module = Pair()
    own = list(module.parameters())
    whole, part = functional_module(module), functional_module(module.two)

    def work(n):
        for k in range(100):
            value = 1000 * n + k
            assert whole({"one.w": scalar(value), "two.w": scalar(n)}) == 10 * value + n
            assert part({"w": scalar(value)}) == value
            assert FALLBACK(module, {"two.w": scalar(value)}) == 20 + value

    in_threads(4, work)
    assert all(now is was for now, was in zip(module.parameters(), own))


def test_threads_in_different_modules_do_not_wait():
    barrier = threading.Barrier(2)

    class Meets(Scale):
        def forward(self):
            barrier.wait(30)
            return self.w * 1

    calls = [functional_module(Meets()) for _ in range(2)]
    results = {}
    in_threads(2, lambda n: results.update({n: calls[n]({"w": scalar(n)}).item()}))
    assert results == {0: 0, 1: 1}


def test_two_threads_that_wait_for_each_other():
    barrier = threading.Barrier(2)
    errors = []

    def work(n):
        with exclusive({n}):
            barrier.wait(30)
            try:
                with exclusive({1 - n}):
                    pass
            except RuntimeError as error:
                errors.append(str(error))

    in_threads(2, work)
    assert len(errors) == 1
    assert "deepcopy" in errors[0]


def test_three_threads_that_wait_in_a_circle():
    barrier = threading.Barrier(3)
    errors = []

    def work(n):
        with exclusive({n}):
            barrier.wait(30)
            try:
                with exclusive({(n + 1) % 3}):
                    pass
            except RuntimeError as error:
                errors.append(error)

    in_threads(3, work)
    assert len(errors) == 1


# The object


def test_pickle_and_copy():
    call = functional_module(Pair(), strict=True)
    for other in (pickle.loads(pickle.dumps(call)), copy.deepcopy(call)):
        assert other.module is not call.module
        assert other(dict(call.module.state_dict())) == 23
        with pytest.raises(RuntimeError, match="Missing"):
            other({})


def test_repr():
    assert repr(functional_module(Scale(), strict=True)) == "functional_module(Scale(), tie_weights=True, strict=True)"


# The compiler


class Direct(nn.Module):
    """Uses its parameter directly, and one through a submodule: compilers treat the two differently."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(scalar(1))
        self.inner = nn.Linear(1, 1, bias=False)

    def forward(self, x):
        return self.inner(x) * self.w


@needs_compile
@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled(fullgraph):
    module = Direct()
    call = functional_module(module)
    torch._dynamo.reset()
    compiled = torch.compile(lambda state, x: call(state, x), backend="eager", fullgraph=fullgraph)
    states = [{"w": scalar(n), "inner.weight": n * X} for n in (2, 3, 5)]
    if fullgraph and not at_least(2, 5):
        with pytest.raises(torch._dynamo.exc.Unsupported):
            compiled(states[0], X)
    else:
        assert [compiled(state, X).item() for state in states] == [4, 9, 25]
    assert module.w == 1
    assert call(states[0], X) == 4


@needs_compile
@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_module(in_place):
    if in_place and not at_least(2, 2):
        pytest.skip("torch has Module.compile since 2.2")
    module = Direct()
    torch._dynamo.reset()
    compiled = nn.Sequential(module if in_place else torch.compile(module, backend="eager"))
    if in_place:
        module.compile(backend="eager")
    if not at_least(2, 4):
        with pytest.raises(UnsupportedError, match=r"2\.4"):
            functional_module(compiled)
        return
    prefix = "0." if in_place else "0._orig_mod."
    call = functional_module(compiled)
    for n in (2, 3, 5):
        assert call({prefix + "w": scalar(n), prefix + "inner.weight": n * X}, X) == n * n
    assert compiled(X) == module.inner.weight
