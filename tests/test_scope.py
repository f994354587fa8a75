"""Every context of the library through the same cases, by the table in `_contexts`: blocks, order, threads, errors.

Its decorators: test_scope_functions.py.
"""

import inspect
import itertools
import sys
import threading

import pytest
import torch
from _contexts import ELSEWHERE, TABLE, each

from torchcompat import SHIMS, _scope, at_least
from torchcompat._shim import is_public
from torchcompat.compiler import COMPILES


def _gives_a_context(thing):
    if isinstance(thing, type):
        return hasattr(thing, "__enter__")
    if "ContextManager" in str(getattr(thing, "__annotations__", {}).get("return")):
        return True
    body = inspect.unwrap(thing) if callable(thing) else thing
    return body is not thing and inspect.isgeneratorfunction(body)


def test_every_context_is_in_the_table():
    found = {name for name, shim in SHIMS.items() if _gives_a_context(shim.fallback)}
    assert found == {*TABLE, *ELSEWHERE}
    known = {SHIMS[name].fallback for name in found}
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "torchcompat"]:
        if is_public(module.__name__):
            public = [vars(module).get(name) for name in getattr(module, "__all__", ())]
            own = [x for x in public if isinstance(x, type) and x.__module__.startswith("torchcompat")]
            assert {x for x in own if hasattr(x, "__enter__")} <= known, module.__name__


def _is_ours(thing):
    return isinstance(thing, type) and issubclass(thing, _scope.Context)


def test_all_on_the_mechanism_are_told_from_the_others():
    kinds = {name for name in TABLE if _is_ours(SHIMS[name].fallback)}
    assert kinds == {name for name, row in TABLE.items() if row.mechanism}


@pytest.fixture(autouse=True)
def _all_closed():
    yield
    assert not _scope._open


@each()
def test_a_block(row):
    make, read, inside = row[:3]
    before = read()
    with make():
        assert read() == inside
        with make():
            assert read() == inside
        assert read() == inside
    assert read() == before


@each()
def test_a_block_that_raises(row):
    make, read, _ = row[:3]
    before = read()
    with pytest.raises(KeyError), make():
        raise KeyError
    assert read() == before


@each(lambda row: row.again)
def test_one_object_is_entered_again_and_while_it_is_open(row):
    before, one = row.read(), row.make()
    for _ in range(2):
        with one:
            with one:
                assert row.read() == row.inside
            assert row.read() == row.inside
        assert row.read() == before


@each(lambda row: row.overlaps)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_blocks_that_end_in_any_order(row, order):
    before = row.read()
    make_other, other = row.other or (row.make, row.inside)
    contexts, given = [row.make(), make_other(), row.make()], [row.inside, other, row.inside]
    for context in contexts:
        context.__enter__()
    still_open = [0, 1, 2]
    for number in order:
        assert row.read() == given[still_open[-1]]
        contexts[number].__exit__(None, None, None)
        still_open.remove(number)
    assert row.read() == before


@each(lambda row: row.overlaps)
def test_suspended_generators_leave_nothing_on(row):
    def holds():
        with row.make():
            yield row.read()

    before = row.read()
    first, second = holds(), holds()
    assert [next(first), next(second)] == [row.inside] * 2
    first.close()
    assert row.read() == row.inside
    second.close()
    assert row.read() == before


def in_a_thread(function):
    found = []

    def noting():
        try:
            found.append(function())
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=noting)
    thread.start()
    thread.join(60)
    return found[0]


@each()
def test_what_another_thread_sees(row):
    before = in_a_thread(row.read)
    with row.make():
        assert in_a_thread(row.read) == (before if row.of_thread else row.inside)
    assert in_a_thread(row.read) == before


@each(lambda row: row.mechanism)
def test_a_block_that_another_thread_leaves(row):
    """That of a thread's own switch is refused, and stays open; any other ends."""
    before, one = row.read(), row.make()
    one.__enter__()
    left = in_a_thread(lambda: one.__exit__(None, None, None))
    if row.of_thread:
        assert "not open in this thread" in str(left)
        assert row.read() == row.inside
        one.__exit__(None, None, None)
    else:
        assert left is None
    assert row.read() == before


@each(lambda row: row.overlaps and not row.of_thread)
def test_blocks_of_two_threads_that_overlap(row):
    before, first = row.read(), row.make()
    first.__enter__()
    opened, closed, seen = threading.Event(), threading.Event(), []

    def second():
        with row.make():
            opened.set()
            assert closed.wait(60)
            seen.append(row.read())

    thread = threading.Thread(target=second)
    thread.start()
    assert opened.wait(60)
    first.__exit__(None, None, None)
    closed.set()
    thread.join(60)
    assert seen == [row.inside]
    assert row.read() == before


@each(lambda row: row.mechanism)
def test_one_object_in_many_threads(row):
    before, one = row.read(), row.make()

    def work():
        for _ in range(20):
            with one:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert row.read() == before


@each(lambda row: row.other)
def test_what_is_set_within_a_block_ends_with_it(row):
    before, (make_other, other) = row.read(), row.other
    with row.make():
        meddling = make_other()
        meddling.__enter__()
        assert row.read() == other
        with row.make():
            assert row.read() == row.inside
        assert row.read() == other
        meddling.__exit__(None, None, None)
    assert row.read() == before


@each(lambda row: row.wrong)
def test_a_wrong_argument_changes_nothing(row):
    before = row.read()
    with pytest.raises((TypeError, ValueError, AssertionError, RuntimeError)):
        row.wrong()
    assert row.read() == before


@each(lambda row: row.mechanism)
def test_leaving_what_is_not_open(row):
    before, one = row.read(), row.make()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"\(\) block is not open$"):
            one.__exit__(None, None, None)
        with one:
            pass
    assert row.read() == before


def compiled(row, fullgraph):
    torch._dynamo.reset()

    def within(x):
        with row.make():
            y = x * 2
        return y + 1

    found = torch.compile(within, backend="eager", fullgraph=fullgraph)
    try:
        return [found(torch.ones(2)).tolist() for _ in range(2)]
    finally:
        torch._dynamo.reset()


compiles = pytest.mark.skipif(not COMPILES or not at_least(2, 1), reason="nothing compiles on this Python and torch")


@compiles
@pytest.mark.filterwarnings("ignore::UserWarning")
@each(lambda row: row.mechanism or row.decorates == "torch")
def test_a_block_in_a_compiled_function(row):
    before = row.read()
    assert compiled(row, fullgraph=False) == [[3.0, 3.0]] * 2
    assert row.read() == before


@compiles
@each(lambda row: row.fullgraph)
def test_a_block_in_a_full_graph(row):
    if not at_least(*row.fullgraph):
        pytest.skip("this compiler traces no context that it does not know")
    before = row.read()
    assert compiled(row, fullgraph=True) == [[3.0, 3.0]] * 2
    assert row.read() == before


@compiles
@each(lambda row: row.mechanism)
def test_a_block_of_ours_in_a_full_graph_is_refused_and_leaves_nothing(row):
    before = row.read()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(row, fullgraph=True)
    assert row.read() == before


# The store of blocks itself.


def _switch(**more):
    kept = {"value": 0}
    return kept, _scope.Switch(lambda: kept["value"], lambda value: kept.__setitem__("value", value), **more)


class _Block(_scope.Context):
    def __init__(self, settings):
        super().__init__()
        self.given = settings

    def _settings(self):
        return dict(self.given)


def test_a_switch_that_cannot_be_written_leaves_nothing_changed():
    def refuse(value):
        if value:
            raise OSError("no such luck")

    kept, switch = _switch()
    with pytest.raises(OSError, match="luck"), _Block({switch: 1, _scope.Switch(lambda: 0, refuse): 1}):
        pytest.fail("entered")
    assert kept["value"] == 0


def test_one_that_cannot_be_put_back_keeps_no_other_from_it():
    def refuse(value):
        if not value:
            raise OSError("no such luck")

    (first, before), (last, after) = _switch(), _switch()
    with pytest.raises(OSError, match="luck"), _Block({before: 1, _scope.Switch(lambda: 0, refuse): 1, after: 1}):
        assert (first["value"], last["value"]) == (1, 1)
    assert (first["value"], last["value"]) == (0, 0)


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_goes_on_from_step_to_step(goes_on):
    kept, switch = _switch(goes_on=goes_on)

    @_Block({switch: 10})
    def body():
        for _ in range(3):
            kept["value"] += 1
            yield kept["value"]

    assert list(body()) == ([11, 12, 13] if goes_on else [11, 11, 11])
    assert next(iter(body())) == 11
    assert kept["value"] == 0
