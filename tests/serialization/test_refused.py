"""What ``load`` refuses: what runs code, what reaches beyond its memory, and what takes more than the file is worth."""

import io
import pickle
import struct
import tarfile
import warnings
import zipfile

import pytest
import torch
from forge import Build, Call, Global, New, Raw, Storage, archive, legacy, pickled, tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import FORMATS, write

from torchcompat import SHIMS, UnsupportedError, at_least

LOAD = SHIMS["load"]
contract = pytest.mark.shim("load")
MANY = 10**9
FLOATS = struct.pack("<2f", 1, 2)
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
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.getattr", "torch.load", "torch.save", "nt.x"])
def test_no_function_is_called_that_is_not_allowed(impl, form, name):
    call = Call(name, "1")
    error = refused(impl, archive(call) if form == "zip" else legacy(call))
    assert isinstance(error, pickle.UnpicklingError)
    assert "GLOBAL" in str(error)


@contract
def test_nothing_is_called_by_its_name_here(impl):
    RUNS.clear()
    for part in (
        Call(f"{__name__}.run_me", 1),
        New(f"{__name__}.Exploit"),
        Build(Call(f"{__name__}.Exploit"), {"a": 1}),
    ):
        assert isinstance(refused(impl, archive(part)), pickle.UnpicklingError)
    assert RUNS == []


@contract
def test_archives_of_tar_are_refused(impl, tmp_path):
    path = str(tmp_path / "old.tar")
    with tarfile.open(path, "w") as tar:
        for name in ("storages", "tensors", "pickle"):
            data = pickled(Call(f"{__name__}.run_me", 1))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    RUNS.clear()
    refused(impl, path, match="tar")
    assert RUNS == []


@contract
def test_torchscript_is_refused(impl, tmp_path):
    path = str(tmp_path / "script.pt")
    with zipfile.ZipFile(path, "w") as target:
        for name in ("data.pkl", "constants.pkl"):
            target.writestr("script/" + name, pickled(()))
        target.writestr("script/version", b"3\n")
    if impl is LOAD.fallback:
        refused(impl, path, match="torch.jit.load")
    else:
        with pytest.warns(UserWarning, match="torch.jit.load"):
            refused(impl, path, match="TorchScript")


# What reaches beyond its memory. All of it is in the contract.


@contract
@pytest.mark.parametrize("form", FORMATS)
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
    part = tensor(2, size, stride, offset)
    file = archive(part, _0=FLOATS) if form == "zip" else legacy(part, ("0", 2, FLOATS))
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
    refused(impl, archive(tensor(count, (1,), (1,)), _0=FLOATS))
    refused(impl, legacy(tensor(count, (1,), (1,)), ("0", 2, FLOATS)))


@contract
def test_items_of_tensors_are_not_assigned(impl):
    part = Raw(pickled(tensor(2, (2,), (1,)))[2:-1] + b"K\x00G" + struct.pack(">d", 9) + b"s")
    assert isinstance(refused(impl, archive(part, _0=FLOATS)), pickle.UnpicklingError)


def sparse(index):
    layout = Call("torch.serialization._get_layout", "torch.sparse_coo")
    indices, values = tensor(2, (1, 2), (2, 1), kind="Long", key="0"), tensor(2, (2,), (1,), key="1")
    call = Call("torch._utils._rebuild_sparse_tensor", layout, (indices, values, (4,)))
    return archive(call, _0=struct.pack("<2q", 0, index), _1=FLOATS)


@contract
@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.skipif(not at_least(1, 4), reason="torch saves sparse tensors since 1.4")
@pytest.mark.parametrize("index", [4, -1, 2**40])
def test_indices_of_sparse_tensors_are_in_range(impl, index):
    assert impl(sparse(3), weights_only=True).to_dense().tolist() == [1, 0, 0, 2]
    refused(impl, sparse(index))


def quantized(stride, offset=0):
    scheme = (Global("torch.per_tensor_affine"), 0.5, 1)
    hooks = Call("collections.OrderedDict")
    call = Call(
        "torch._utils._rebuild_qtensor", Storage("QUInt8", "0", 4), offset, (2, 2), stride, scheme, False, hooks
    )
    return archive(call, _0=b"\x01\x02\x03\x04")


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
        refused(impl, archive([New("torch._C.Graph")]))


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
@settings(max_examples=60, deadline=None)
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
    "call",
    [Call("builtins.bytearray", 2**26), Call("torch.ByteTensor", 2**26), Call("_codecs.encode", "a", "rot13")],
    ids=["bytearray", "tensor", "codec"],
)
def test_no_function_takes_arguments_that_torch_never_writes(impl, call):
    refused(impl, archive(call))


@contract
@pytest.mark.limit("memory")
def test_a_key_that_takes_long_to_hash(impl):
    # A tuple of itself twice, 18 times over: 2 ** 18 objects to hash, from 4 bytes each time.
    refused(impl, archive({Raw(b"K\x01" + b"q\x00h\x00\x86" * 18): 1}))


@contract
@pytest.mark.limit("compressed")
def test_compressed_archives(impl):
    file = archive(tensor(2, (2,), (1,)), compression=zipfile.ZIP_DEFLATED, _0=FLOATS)
    assert impl(file, weights_only=True).tolist() == [1, 2]


@contract
@pytest.mark.limit("objects")
def test_many_objects_in_few_bytes(impl):
    assert len(impl(archive(Raw(b"](" + b"}" * 210000 + b"e")), weights_only=True)) == 210000


ours = LOAD.fallback


def deep(opcodes, times):
    return archive(Raw(b")" + opcodes * times))


def test_lengths_that_are_none():
    for count in (-1, 2**63, 2.0, True):
        refused(ours, archive(tensor(count, (1,), (1,)), _0=FLOATS))


def test_deep_nesting_is_no_danger():
    loaded = ours(deep(b"\x85", 50000))
    for _ in range(50000):
        (loaded,) = loaded
    assert loaded == ()
    refused(ours, archive({Raw(b")" + b"\x85" * 50000): 1}), match="256 objects")


def test_tensors_that_are_attributes_of_tensors():
    part = Call("torch._utils._rebuild_parameter", tensor(2, (2,), (1,)), False, Call("collections.OrderedDict"))
    nested = part
    for _ in range(101):
        arguments = (part, False, Call("collections.OrderedDict"), {"a": nested})
        nested = Call("torch._utils._rebuild_parameter_with_state", *arguments)
    refused(ours, archive(nested, _0=FLOATS), match="100 deep")


def test_keys_with_one_hash():
    prime = 2**61 - 1
    assert len(ours(archive({number * prime: 1 for number in range(65)}))) == 65
    refused(ours, archive({number * prime: 1 for number in range(66)}), match="same hash")


def test_sizes_are_not_believed():
    for opcodes in (b"X\xff\xff\xff\xff", b"U\xff", b"\x8a\xff", b"T\xff\xff\xff\x7f"):
        refused(ours, archive(Raw(opcodes)), match="ends within")
    refused(ours, archive(Raw(b"c" + b"a" * 2000 + b"\nb\n")), match="name")


def test_the_memo_takes_no_more_than_it_is_worth():
    assert ours(archive([Raw(b"K\x01r\xff\xff\xff\xff"), Raw(b"j\xff\xff\xff\xff")])) == [1, 1]
    refused(ours, archive(Raw(b"h\x07")))


@pytest.mark.parametrize(
    "opcodes", [b"R", b"b", b"Q", b"s", b"u", b"t", b"e", b"a", b"\x85", b"\x87", b"0", b"2", b"\x93", b"\x95", b"i"]
)
def test_broken_opcodes(opcodes):
    assert isinstance(refused(ours, archive(Raw(opcodes))), pickle.UnpicklingError)


HOOKS = Call("collections.OrderedDict")
ONE = tensor(2, (2,), (1,))
SCALES = (Global("torch.per_channel_affine"), [0.5, 0.5], [0, 0], 0)


def channels(scales):
    storage = Storage("QInt8", "0", 4)
    return Call("torch._utils._rebuild_qtensor", storage, 0, (2, 2), (2, 1), scales, False, HOOKS)


@pytest.mark.parametrize(
    "call",
    [
        Call("collections.OrderedDict", [1]),
        Call("collections.OrderedDict", 1),
        Build(Call("collections.OrderedDict"), {"items": 1}),
        Build(Call("collections.OrderedDict"), [1]),
        Build([], {}),
        Call("builtins.set", 3),
        Call("builtins.set", [[]]),
        Call("builtins.complex", "1"),
        Call("torch.Size", (2**70,)),
        Call("torch.Size", MANY),
        Call("torch.device", 3),
        Call("torch.device", "x" * 100),
        Call("torch.device", "nowhere"),
        Call("torch.Tensor", 5),
        Call("torch.serialization._get_layout", "torch.load"),
        Call("torch.nn.parameter.Parameter", 3),
        New("torch.FloatTensor", 3),
        New("collections.Counter", 3),
        Call("torch._utils._rebuild_parameter", 3, True, HOOKS),
        Call("torch._utils._rebuild_parameter", ONE, 3, HOOKS),
        Call("torch._utils._rebuild_parameter", ONE, False, {1: 2}),
        Call("torch._utils._rebuild_parameter_with_state", ONE, False, HOOKS, {1: 2}),
        Call("torch._utils._rebuild_parameter_with_state", ONE, False, HOOKS, ({}, {"data": 1})),
        Call("torch._utils._rebuild_tensor_v2", 1, 0, (1,), (1,), False, HOOKS),
        Call("torch._utils._rebuild_tensor_v2", Storage("Float", "0", 2), 0, (1,), (1,), 1, HOOKS),
        Call("torch._utils._rebuild_tensor_v2", Storage("Float", "0", 2), 0, (1,), (1,), False, HOOKS, {"x": True}),
        Call("torch._utils._rebuild_tensor_v2", Storage("Float", "0", 2), 0, (1,) * 65, (1,) * 65, False, HOOKS),
        Call("torch._utils._rebuild_tensor_v3", Storage("Byte", "0", 8), 0, (2,), (1,), False, HOOKS, 7),
        Call("torch._utils._rebuild_meta_tensor_no_storage", Global("torch.float32"), (2**62, 4), (4, 1), False),
        Call("torch._tensor._rebuild_from_type_v2", Global("os.system"), Global("torch.Tensor"), ("x",), {}),
        Call("torch._tensor._rebuild_from_type_v2", Global("torch.Size"), Global("torch.Tensor"), ((1,),), {}),
        Call("torch._tensor._rebuild_from_type_v2", Global("torch.Size"), Global("torch.Size"), ((1,),), {}),
        channels(SCALES[:1] + ([0.5], [0, 0], 0)),
        channels(SCALES[:3] + (2,)),
        channels(SCALES[:3] + (-1,)),
        channels(()),
    ],
    ids=lambda call: None,
)
def test_arguments_of_what_may_be_called(call):
    refused(ours, archive(call, _0=FLOATS))


@pytest.mark.parametrize("identity", [("storage",), ("module", 1), "storage", 3, (), ("storage", 1, "0", "cpu", 2)])
def test_broken_names_of_storages(identity):
    refused(ours, archive(Raw(pickled(identity)[2:-1] + b"Q"), _0=FLOATS))


def test_a_location_that_is_no_device():
    for location in ("nowhere", "x" * 1000, "cuda:99999999999999999999", 3):
        storage = Storage("Float", "0", 2, location)
        refused(ours, archive(Call("torch._utils._rebuild_tensor", storage, 0, (2,), (1,)), _0=FLOATS))


@pytest.mark.skipif(at_least(2, 3), reason="torch has all of these dtypes since 2.3")
def test_a_dtype_that_this_torch_lacks():
    with pytest.raises(UnsupportedError, match=r"torch.uint16.*since 2.3"):
        ours(archive(Global("torch.uint16")))


# Archives that are not what they say.


def rewritten(change):
    """An archive with its bytes changed by a function of them and of the position of its table of contents."""
    data = bytearray(archive(tensor(2, (2,), (1,)), _0=FLOATS).getvalue())
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
    file = archive(tensor(2, (2,), (1,)), _0=FLOATS, _1=FLOATS)
    data = file.getvalue()
    refused(ours, io.BytesIO(data.replace(b"archive/data/1", b"archive/data/0")), match="same name")
    table = data.index(b"PK\x01\x02")
    first = data.index(b"PK\x01\x02", table + 4)
    second = data.index(b"PK\x01\x02", first + 4)
    overlapping = data[: second + 42] + data[first + 42 : first + 46] + data[second + 46 :]
    refused(ours, io.BytesIO(overlapping), match="overlap")


def test_no_contents():
    data = archive([1]).getvalue()
    refused(ours, io.BytesIO(data[: data.index(b"PK\x05\x06")]), match="no table of contents")
    with pytest.raises(ValueError, match="endianness"):
        ours(archive([1], byteorder=b"middle"))
