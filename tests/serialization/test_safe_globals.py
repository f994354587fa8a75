"""The safe globals and the other settings of loading."""

import io
import mmap
import os
import pickle
import threading

import pytest
import torch
from assembler import FORMS, Entry, archive, call, ordered, program, records, value, zipped
from writing import write

from torchcompat import SHIMS, serialization

ADD, CLEAR = SHIMS["serialization.add_safe_globals"], SHIMS["serialization.clear_safe_globals"]
ZIP = FORMS["zip"]


class Point:
    def __init__(self, x=0):
        self.x = x


class Slotted:
    __slots__ = ("left",)


class Stateful(Point):
    def __setstate__(self, state):
        self.x = state["x"] + 1


def twice(number):
    return 2 * number


@pytest.fixture(autouse=True)
def _restored():
    """Leaves the lists as they were."""
    shims = [ADD.fallback, CLEAR.fallback, SHIMS["serialization.get_safe_globals"].fallback]
    lists = [shims]
    if ADD.native is not None:
        own = torch.serialization
        lists.append([own.add_safe_globals, own.clear_safe_globals, own.get_safe_globals])
    before = [read() for _, _, read in lists]
    yield
    for (add, clear, _), items in zip(lists, before):
        clear()
        add(items)


def of(impl, name):
    """The functions that belong together: all of torch, or all of ours; and the loader that goes by them."""
    shim = SHIMS["serialization." + name]
    native = all(impl is not row.fallback for row in SHIMS.values())
    return shim.native if native else shim.fallback


def reader(impl):
    native = all(impl is not row.fallback for row in SHIMS.values())
    if not native:
        return SHIMS["load"].fallback
    return lambda file: torch.load(file, weights_only=True)


def refuses(read, file):
    with pytest.raises(pickle.UnpicklingError, match="was not an allowed global"):
        read(file)
    file.seek(0)


@pytest.mark.shim("serialization.add_safe_globals")
def test_classes_and_functions_by_their_names_or_by_another(impl):
    read = reader(impl)
    files = {Point: write([Point(3)], "zip"), twice: ZIP.checkpoint([call(f"{__name__}.twice", 4)])}
    for file in files.values():
        refuses(read, file)
    assert impl([Point, twice]) is None
    assert read(files[Point])[0].x == 3
    assert read(files[twice]) == [8]
    other = ZIP.checkpoint([call("elsewhere.double", 5)])
    refuses(read, other)
    impl([(twice, "elsewhere.double")])
    assert read(other) == [10]


@pytest.mark.shim("serialization.add_safe_globals")
def test_states(impl):
    read = reader(impl)
    slotted = Slotted()
    slotted.left = 1
    impl([Slotted, Stateful])
    loaded = read(write([slotted, Stateful(3)], "legacy" if read is SHIMS["load"].fallback else "zip"))
    assert (loaded[0].left, loaded[1].x) == (1, 4)


@pytest.mark.shim("serialization.add_safe_globals")
def test_what_is_blocked_stays_blocked(impl):
    impl([os.getpid, (os.getpid, "os.getpid")])
    for name in ("os.getpid", "posix.getpid"):
        with pytest.raises(pickle.UnpicklingError, match="blocked"):
            reader(impl)(ZIP.checkpoint(call(name)))


@pytest.mark.shim("serialization.add_safe_globals")
def test_broken_pairs(impl):
    for wrong, error in (((Point,), ValueError), ((Point, "a", "b"), ValueError), ((Point, 3), TypeError)):
        impl([wrong])
        with pytest.raises(error):
            reader(impl)(ZIP.checkpoint(call("torch.unknown")))
        of(impl, "clear_safe_globals")()


def test_an_error_of_the_users_code_is_the_users():
    ADD.fallback([twice])
    with pytest.raises(TypeError, match="unsupported operand"):
        SHIMS["load"].fallback(ZIP.checkpoint(call(f"{__name__}.twice", None)))


@pytest.mark.shim("serialization.get_safe_globals")
def test_the_list(impl):
    before = impl()
    of(impl, "add_safe_globals")([Point, (twice, "elsewhere.double"), Point])
    assert sorted(map(str, impl())) == sorted(map(str, [*before, Point, (twice, "elsewhere.double")]))
    assert reader(impl)(ZIP.checkpoint(call("elsewhere.double", 5))) == 10


@pytest.mark.shim("serialization.clear_safe_globals")
def test_clearing(impl):
    of(impl, "add_safe_globals")([(twice, "elsewhere.double")])
    file = ZIP.checkpoint(call("elsewhere.double", 5))
    assert reader(impl)(file) == 10
    impl()
    assert of(impl, "get_safe_globals")() == []
    file.seek(0)
    refuses(reader(impl), file)


@pytest.mark.shim("serialization.safe_globals")
def test_for_a_block(impl):
    read = reader(impl)
    file = ZIP.checkpoint(call("elsewhere.double", 5))
    with impl([(twice, "elsewhere.double")]):
        assert read(file) == 10
    file.seek(0)
    refuses(read, file)


@pytest.mark.shim("serialization.safe_globals")
@pytest.mark.limit("restore")
def test_what_was_allowed_before_the_block_is_allowed_after_it(impl):
    of(impl, "add_safe_globals")([Point])
    with impl([Point]):
        pass
    assert Point in of(impl, "get_safe_globals")()


@pytest.mark.shim("serialization.safe_globals")
@pytest.mark.limit("overlap")
def test_blocks_that_overlap(impl):
    read, file = reader(impl), ZIP.checkpoint(call("elsewhere.double", 5))
    first, second = impl([(twice, "elsewhere.double")]), impl([(twice, "elsewhere.double")])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    try:
        assert read(file) == 10
    finally:
        second.__exit__(None, None, None)
    file.seek(0)
    refuses(read, file)


def test_one_block_entered_twice():
    shim = SHIMS["serialization.safe_globals"].fallback
    block, file = shim([(twice, "elsewhere.double")]), ZIP.checkpoint(call("elsewhere.double", 5))
    with block:
        with block:
            pass
        assert SHIMS["load"].fallback(file) == 10
    file.seek(0)
    refuses(SHIMS["load"].fallback, file)


def test_clearing_within_a_block():
    shim = SHIMS["serialization.safe_globals"].fallback
    with shim([Point]):
        CLEAR.fallback()
        with shim([Point]):
            pass
        assert Point not in SHIMS["serialization.get_safe_globals"].fallback()


def test_blocks_in_many_threads():
    """Each thread's globals are there as long as its own block, whatever blocks of others end meanwhile."""
    shim, failures = SHIMS["serialization.safe_globals"].fallback, []
    data = ZIP.checkpoint(call("elsewhere.double", 5)).getvalue()

    def work():
        for _ in range(50):
            try:
                with shim([(twice, "elsewhere.double")]):
                    assert SHIMS["load"].fallback(io.BytesIO(data)) == 10
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    refuses(SHIMS["load"].fallback, io.BytesIO(data))


@pytest.mark.shim("serialization.get_unsafe_globals_in_checkpoint")
def test_unsafe_names(impl):
    file = ZIP.checkpoint([ordered(), call("os.system", "x"), call("a.b.c"), call("__builtin__.eval", "1")])
    assert sorted(impl(file)) == ["a.b.c", "builtins.eval", "os.system"]
    file = write({"a": torch.ones(2), "p": Point()}, "zip")
    assert impl(file) == [f"{__name__}.Point"]
    of(impl, "add_safe_globals")([Point])
    file.seek(0)
    assert impl(file) == []


@pytest.mark.shim("serialization.get_unsafe_globals_in_checkpoint")
def test_unsafe_names_of_other_files(impl):
    script = zipped([*records(program(value([1])), {}), Entry("archive/constants.pkl", b"")])
    for file in (FORMS["legacy"].checkpoint([1]), io.BytesIO(script)):
        with pytest.raises(ValueError, match="checkpoint"):
            impl(file)


@pytest.mark.shim("serialization.set_default_load_endianness")
def test_the_byte_order_of_files_that_do_not_say(impl):
    read, ask = reader(impl), of(impl, "get_default_load_endianness")
    if read is SHIMS["load"].fallback and serialization.get_default_load_endianness is not ask:
        pytest.skip("our load asks torch's function here, which ours does not set")
    body = ZIP.tensor(ZIP.storage("0", 1, "ShortStorage"), size=(1,))
    file = io.BytesIO(archive(program(body), {"0": b"\x01\x00"}, order=None))
    kinds = serialization.LoadEndianness
    assert ask() is None
    with pytest.raises(TypeError):
        impl("little")
    try:
        for order, value in ((kinds.BIG, 256), (kinds.LITTLE, 1), (None, 1)):
            impl(order)
            assert ask() is order
            file.seek(0)
            assert read(file).tolist() == [value]
    finally:
        impl(None)


@pytest.mark.shim("serialization.get_default_load_endianness")
def test_the_byte_order_can_be_asked(impl):
    of(impl, "set_default_load_endianness")(serialization.LoadEndianness.BIG)
    try:
        assert impl() is serialization.LoadEndianness.BIG
    finally:
        of(impl, "set_default_load_endianness")(None)
    assert impl() is None


@pytest.mark.shim("serialization.set_default_mmap_options")
def test_how_files_are_mapped(impl):
    ask = of(impl, "get_default_mmap_options")
    assert ask() == mmap.MAP_PRIVATE
    with impl(mmap.MAP_SHARED):
        assert ask() == mmap.MAP_SHARED
    assert ask() == mmap.MAP_PRIVATE
    with pytest.raises(ValueError, match="MAP_PRIVATE"):
        impl(mmap.MAP_SHARED | 64)


@pytest.mark.shim("serialization.get_default_mmap_options")
def test_how_files_are_mapped_can_be_asked(impl):
    with of(impl, "set_default_mmap_options")(mmap.MAP_SHARED):
        assert impl() == mmap.MAP_SHARED
    assert impl() == mmap.MAP_PRIVATE


@pytest.mark.shim("serialization.get_crc32_options")
def test_check_sums_are_computed_unless_told_otherwise(impl):
    assert impl() is True
    of(impl, "set_crc32_options")(False)
    try:
        assert impl() is False
    finally:
        of(impl, "set_crc32_options")(True)


def test_the_names_that_are_no_shims():
    assert [kind.name for kind in serialization.LoadEndianness] == ["NATIVE", "LITTLE", "BIG"]
