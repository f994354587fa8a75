"""What ``load`` refuses: what runs code, what reaches beyond its memory, and what takes more than the file is worth."""

import io
import pickle
import struct
import warnings

import pytest
import torch
from assembler import (
    FORMS,
    Entry,
    archive,
    build,
    call,
    get,
    keep,
    named,
    new,
    ordered,
    persistent,
    program,
    records,
    tarred,
    utils,
    value,
    zipped,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import FORMATS, write

from torchcompat import SHIMS, UnsupportedError, at_least

LOAD = SHIMS["load"]
contract = pytest.mark.shim("load")
MANY = 10**9
FLOATS = struct.pack("<2f", 1, 2)
TWO = {"0": (2, FLOATS)}
ZIP = FORMS["zip"]
both_forms = pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
REFUSALS = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError)


def refused(impl, file, match=None):
    with pytest.raises(REFUSALS, match=match) as caught:
        impl(file, weights_only=True)
    return caught.value


RUNS = []


class Exploit:
    """Notes that it was made."""

    def __new__(cls, *arguments):
        RUNS.append(arguments)
        return super().__new__(cls)


def run_me(*arguments):
    RUNS.append(arguments)


# What runs code. All of it is in the contract.


@contract
@both_forms
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.getattr", "torch.load", "torch.save", "nt.x"])
def test_no_function_is_called_that_is_not_allowed(impl, form, name):
    error = refused(impl, form.checkpoint(call(name, "true")))
    assert isinstance(error, pickle.UnpicklingError)
    assert "GLOBAL" in str(error)


@contract
def test_nothing_is_called_by_its_name_here(impl):
    RUNS.clear()
    for part in (
        call(f"{__name__}.run_me", 1),
        new(f"{__name__}.Exploit"),
        build(call(f"{__name__}.Exploit"), {"a": 1}),
    ):
        assert isinstance(refused(impl, ZIP.checkpoint(part)), pickle.UnpicklingError)
    assert RUNS == []


@contract
def test_archives_of_tar_are_refused(impl, tmp_path):
    path = tmp_path / "old.tar"
    data = program(call(f"{__name__}.run_me", 1))
    path.write_bytes(tarred([(name, data) for name in ("storages", "tensors", "pickle")]))
    RUNS.clear()
    refused(impl, str(path), match="tar")
    assert RUNS == []


@contract
def test_torchscript_is_refused(impl, tmp_path):
    path = tmp_path / "script.pt"
    empty = program(value(()))
    names = {"data.pkl": empty, "constants.pkl": empty, "version": b"3\n"}
    path.write_bytes(zipped([Entry("script/" + name, data) for name, data in names.items()]))
    if impl is LOAD.fallback:
        refused(impl, str(path), match="torch.jit.load")
    else:
        with pytest.warns(UserWarning, match="torch.jit.load"):
            refused(impl, str(path), match="TorchScript")


# What reaches beyond its memory. All of it is in the contract.


@contract
@both_forms
@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((3,), (1,), 0),
        ((2,), (2,), 0),
        ((2,), (1,), 1),
        ((2,), (2**62,), 0),
        ((2**40, 2**40), (1, 1), 0),
        ((2,), (-1,), 1),
    ]
    + [((2,), (1,), -1), ((-2,), (1,), 0), ((2, 2), (1,), 0), ((2.0,), (1,), 0)],
)
def test_a_tensor_stays_within_its_storage(impl, form, size, stride, offset):
    file = form.checkpoint(form.tensor(form.storage(count=2), offset, size, stride), TWO)
    try:
        loaded = impl(file, weights_only=True)
    except (*REFUSALS, TypeError, IndexError):
        return
    # Torch makes a storage of the older format longer, whose memory then is its own.
    assert impl is not LOAD.fallback
    assert loaded.storage_offset() + sum(s * (n - 1) for n, s in zip(loaded.shape, loaded.stride())) < 10


@contract
@pytest.mark.parametrize("count", [1, 3, MANY])
def test_a_storage_is_as_long_as_its_data(impl, count):
    for form in FORMS.values():
        refused(impl, form.checkpoint(form.tensor(form.storage(count=count), size=(1,)), TWO))


@contract
def test_items_of_tensors_are_not_assigned(impl):
    part = ZIP.tensor() + value(0) + value(9.0) + b"s"
    assert isinstance(refused(impl, ZIP.checkpoint(part)), pickle.UnpicklingError)


def sparse(index):
    layout = call("torch.serialization._get_layout", "torch.sparse_coo")
    indices = ZIP.tensor(ZIP.storage("0", 2, "LongStorage"), size=(1, 2), stride=(2, 1))
    values = ZIP.tensor(ZIP.storage("1", 2), size=(2,))
    made = call(utils("_rebuild_sparse_tensor"), layout, (indices, values, (4,)))
    return ZIP.checkpoint(made, {"0": (2, struct.pack("<2q", 0, index)), "1": (2, FLOATS)})


@contract
@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.skipif(not at_least(1, 4), reason="torch saves sparse tensors since 1.4")
@pytest.mark.parametrize("index", [4, -1, 2**40])
def test_indices_of_sparse_tensors_are_in_range(impl, index):
    assert impl(sparse(3), weights_only=True).to_dense().tolist() == [1, 0, 0, 2]
    refused(impl, sparse(index))


def quantized(stride, offset=0):
    scheme = (named("torch.per_tensor_affine"), 0.5, 1)
    data = ZIP.storage(kind="QUInt8Storage")
    made = call(utils("_rebuild_qtensor"), data, offset, (2, 2), stride, scheme, False, ordered())
    return ZIP.checkpoint(made, {"0": (4, b"\x01\x02\x03\x04")})


@contract
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_quantized_tensors_stay_within_their_storage(impl):
    assert impl(quantized((2, 1)), weights_only=True).int_repr().tolist() == [[1, 2], [3, 4]]
    for stride, offset in (((3, 1), 0), ((2, 1), 1), ((2**40, 1), 0)):
        refused(impl, quantized(stride, offset))


@contract
def test_objects_of_c_plus_plus_are_not_left_uninitialised(impl):
    graph = torch._C.Graph
    scope = SHIMS["serialization.safe_globals"]
    with (scope.native if impl is LOAD.native else scope.fallback)([(graph, "torch._C.Graph")]):
        refused(impl, ZIP.checkpoint([new("torch._C.Graph")]))


# What is broken gives a clear error.


@contract
def test_empty_files_and_files_of_something_else(impl):
    with pytest.raises(EOFError):
        impl(io.BytesIO(), weights_only=True)
    for data in (b"PK", b"PK\x03\x04", b"hello", b"\x80\x02", pickle.dumps([1], 2), b"\x00" * 100):
        with pytest.raises((*REFUSALS, AttributeError, KeyError, IndexError)):
            impl(io.BytesIO(data), weights_only=True)


@pytest.mark.parametrize("form", FORMATS)
def test_every_truncation_is_told(form):
    whole = write({"a": torch.arange(4.0), "b": [1, "x", torch.ones(2, 2).t()]}, form).getvalue()
    for length in range(0, len(whole), 7):
        refused(LOAD.fallback, io.BytesIO(whole[:length]))


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_changed_byte_gives_an_object_or_a_clear_error(form, data):
    whole = bytearray(write({"a": torch.arange(4.0), "b": [1, 2.5, "x", torch.ones(2, 2).t()]}, form).getvalue())
    for _ in range(3):
        # Not up to the length, which varies with the addresses that some torch writes as names of storages.
        whole[data.draw(st.integers(0, 2**20)) % len(whole)] = data.draw(st.integers(0, 255))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            LOAD.fallback(io.BytesIO(bytes(whole)))
    except REFUSALS:
        pass


# What takes more memory or time than the file is worth: torch 2.15 lets it.


@contract
@pytest.mark.limit("memory")
@pytest.mark.parametrize(
    "body",
    [call("builtins.bytearray", 2**26), call("torch.ByteTensor", 2**26), call("_codecs.encode", "a", "rot13")],
    ids=["bytearray", "tensor", "codec"],
)
def test_no_function_takes_arguments_that_torch_never_writes(impl, body):
    refused(impl, ZIP.checkpoint(body))


@contract
@pytest.mark.limit("memory")
def test_a_key_that_takes_long_to_hash(impl):
    # A tuple of itself twice, 18 times over: 2 ** 18 objects to hash, from 4 bytes each time.
    refused(impl, ZIP.checkpoint({b"K\x01" + b"q\x00h\x00\x86" * 18: 1}))


@contract
@pytest.mark.limit("compressed")
def test_compressed_archives(impl):
    data = zipped(records(program(ZIP.tensor()), method=8))
    assert impl(io.BytesIO(data), weights_only=True).tolist() == [1, 2, 3, 4]


@contract
@pytest.mark.limit("objects")
def test_many_objects_in_few_bytes(impl):
    assert len(impl(ZIP.checkpoint(b"](" + b"}" * 210000 + b"e"), weights_only=True)) == 210000


ours = LOAD.fallback


def deep(opcodes, times):
    return ZIP.checkpoint(b")" + opcodes * times)


def test_lengths_that_are_none():
    for count in (-1, 2**63, 2.0, True):
        refused(ours, ZIP.checkpoint(ZIP.tensor(ZIP.storage(count=count), size=(1,))))


def test_deep_nesting_is_no_danger():
    loaded = ours(deep(b"\x85", 50000))
    for _ in range(50000):
        (loaded,) = loaded
    assert loaded == ()
    refused(ours, ZIP.checkpoint({b")" + b"\x85" * 50000: 1}), match="256 objects")


def test_tensors_that_are_attributes_of_tensors():
    part = call(utils("_rebuild_parameter"), ZIP.tensor(), False, ordered())
    nested = part
    for _ in range(101):
        nested = call(utils("_rebuild_parameter_with_state"), part, False, ordered(), {"a": nested})
    refused(ours, ZIP.checkpoint(nested), match="100 deep")


def test_keys_with_one_hash():
    prime = 2**61 - 1
    assert len(ours(ZIP.checkpoint({number * prime: 1 for number in range(65)}))) == 65
    refused(ours, ZIP.checkpoint({number * prime: 1 for number in range(66)}), match="same hash")


def test_sizes_are_not_believed():
    for opcodes in (b"X\xff\xff\xff\xff", b"U\xff", b"\x8a\xff", b"T\xff\xff\xff\x7f"):
        refused(ours, ZIP.checkpoint(opcodes), match="ends within")
    refused(ours, ZIP.checkpoint(named("a" * 2000, "b")), match="name")


def test_the_memo_takes_no_more_than_it_is_worth():
    assert ours(ZIP.checkpoint([keep(value(1), 2**32 - 1), get(2**32 - 1)])) == [1, 1]
    refused(ours, ZIP.checkpoint(b"h\x07"))


@pytest.mark.parametrize(
    "opcodes", [b"R", b"b", b"Q", b"s", b"u", b"t", b"e", b"a", b"\x85", b"\x87", b"0", b"2", b"\x93", b"\x95", b"i"]
)
def test_broken_opcodes(opcodes):
    assert isinstance(refused(ours, ZIP.checkpoint(opcodes)), pickle.UnpicklingError)


DATA, ONE, HOOKS = ZIP.storage(), ZIP.tensor(), ordered()
SCALES = (named("torch.per_channel_affine"), [0.5, 0.5], [0, 0], 0)


def channels(scales):
    return call(utils("_rebuild_qtensor"), ZIP.storage("4", 4, "QInt8Storage"), 0, (2, 2), (2, 1), scales, False, HOOKS)


ARGUMENTS = [
    call("collections.OrderedDict", [1]),
    call("collections.OrderedDict", 1),
    build(ordered(), {"items": 1}),
    build(ordered(), [1]),
    build(value([]), {}),
    call("builtins.set", 3),
    call("builtins.set", [[]]),
    call("builtins.complex", "1"),
    call("torch.Size", (2**70,)),
    call("torch.Size", MANY),
    call("torch.device", 3),
    call("torch.device", "x" * 100),
    call("torch.device", "nowhere"),
    call("torch.Tensor", 5),
    call("torch.serialization._get_layout", "torch.load"),
    call("torch.nn.parameter.Parameter", 3),
    new("torch.FloatTensor", 3),
    new("collections.Counter", 3),
    call(utils("_rebuild_parameter"), 3, True, HOOKS),
    call(utils("_rebuild_parameter"), ONE, 3, HOOKS),
    call(utils("_rebuild_parameter"), ONE, False, {1: 2}),
    call(utils("_rebuild_parameter_with_state"), ONE, False, HOOKS, {1: 2}),
    call(utils("_rebuild_parameter_with_state"), ONE, False, HOOKS, ({}, {"data": 1})),
    call(utils("_rebuild_tensor_v2"), 1, 0, (1,), (1,), False, HOOKS),
    call(utils("_rebuild_tensor_v2"), DATA, 0, (1,), (1,), 1, HOOKS),
    call(utils("_rebuild_tensor_v2"), DATA, 0, (1,), (1,), False, HOOKS, {"x": True}),
    call(utils("_rebuild_tensor_v2"), DATA, 0, (1,) * 65, (1,) * 65, False, HOOKS),
    call(utils("_rebuild_tensor_v3"), ZIP.storage(count=16, kind="ByteStorage"), 0, (2,), (1,), False, HOOKS, 7),
    call(utils("_rebuild_meta_tensor_no_storage"), named("torch.float32"), (2**62, 4), (4, 1), False),
    call("torch._tensor._rebuild_from_type_v2", named("os.system"), named("torch.Tensor"), ("x",), {}),
    call("torch._tensor._rebuild_from_type_v2", named("torch.Size"), named("torch.Tensor"), ((1,),), {}),
    call("torch._tensor._rebuild_from_type_v2", named("torch.Size"), named("torch.Size"), ((1,),), {}),
    channels(SCALES[:1] + ([0.5], [0, 0], 0)),
    channels(SCALES[:3] + (2,)),
    channels(SCALES[:3] + (-1,)),
    channels(()),
]


@pytest.mark.parametrize("body", ARGUMENTS, ids=[f"call{number}" for number in range(len(ARGUMENTS))])
def test_arguments_of_what_may_be_called(body):
    refused(ours, ZIP.checkpoint(body))


@pytest.mark.parametrize("identity", [("storage",), ("module", 1), "storage", 3, (), ("storage", 1, "0", "cpu", 2)])
def test_broken_names_of_storages(identity):
    refused(ours, ZIP.checkpoint(persistent(identity)))


def test_a_location_that_is_no_device():
    for location in ("nowhere", "x" * 1000, "cuda:99999999999999999999", 3):
        refused(ours, ZIP.checkpoint(call(utils("_rebuild_tensor"), ZIP.storage(location=location), 0, (4,), (1,))))


@pytest.mark.skipif(at_least(2, 3), reason="torch has all of these dtypes since 2.3")
def test_a_dtype_that_this_torch_lacks():
    with pytest.raises(UnsupportedError, match=r"torch.uint16.*since 2.3"):
        ours(ZIP.checkpoint(named("torch.uint16")))


# Archives that are not what they say.


def rewritten(change):
    """An archive with its bytes changed by a function of them and of the position of its table of contents."""
    data = bytearray(archive(program(ZIP.tensor())))
    change(data, data.index(b"PK\x01\x02"))
    return io.BytesIO(bytes(data))


@pytest.mark.parametrize(
    ("place", "value"), [(8, 1), (10, 8), (20, 200), (24, 200), (28, 200), (30, 200), (42, 1), (44, 99), (0, 0)]
)
def test_a_table_of_contents_that_does_not_fit(place, value):
    def change(data, table):
        data[table + place] = value

    refused(ours, rewritten(change), match="zip archive")


def test_entries_that_overlap_or_have_one_name():
    entries = records(program(ZIP.tensor()))
    again = Entry("archive/data/0", entries[-2].data)
    refused(ours, io.BytesIO(zipped([*entries, again])), match="same name")
    start = zipped(entries).index(b"PK\x03\x04", 4)  # of the second entry
    inside = Entry("archive/data/1", entries[1].data, central={"offset": start})
    refused(ours, io.BytesIO(zipped([*entries, inside])), match="overlap")


def test_no_contents():
    data = archive(program(value([1])))
    refused(ours, io.BytesIO(data[: data.index(b"PK\x05\x06")]), match="no table of contents")
    with pytest.raises(ValueError, match="endianness"):
        ours(io.BytesIO(archive(program(value([1])), order=b"middle")))
