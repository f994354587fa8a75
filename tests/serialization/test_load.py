"""``load`` gives back what was saved, and shares what was shared."""

import collections
import gzip
import io
import pickle

import pytest
import torch
from assembler import FORMS, Form, archive, call, program, utils
from writing import FORMATS, write

from torchcompat import SHIMS, at_least

pytestmark = [
    pytest.mark.shim("load"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
    pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
]
ZIP, LEGACY = FORMS["zip"], FORMS["legacy"]
both_formats = pytest.mark.parametrize("form", FORMATS)


@both_formats
def test_plain_values(impl, form):
    values = {
        "numbers": [0, 255, 256, 65535, 65536, -1, 2**40, -(2**70), 1.5, float("inf"), 3 - 4j, True, False, None],
        "text": ["", "a", "é", "\U0001f600", "x" * 70000, b"\x00\xff", bytearray(b"ab")],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "nested": {"a": {1: [{}, {2, 3}]}, (1, "b"): collections.OrderedDict([("z", 1), ("a", 2)])},
        "torch": [torch.float32, torch.int64, torch.Size([2, 3]), torch.device("cpu")]
        + ([torch.strided] if at_least(1, 4) else []),
        "counter": collections.Counter("abca"),
    }
    loaded = impl(write(values, form), weights_only=True)
    assert loaded == values
    assert type(loaded["torch"][2]) is torch.Size
    assert list(loaded["nested"][1, "b"]) == ["z", "a"]
    assert type(loaded["counter"]) is collections.Counter


DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@both_formats
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(impl, form, name):
    saved = torch.tensor([0, 1, 1, 0]).to(getattr(torch, name))
    loaded = impl(write(saved, form), weights_only=True)
    assert loaded.dtype == saved.dtype
    assert loaded.tolist() == saved.tolist()


@both_formats
@pytest.mark.skipif(not at_least(1, 6), reason="torch saves complex tensors since 1.6")
def test_complex_and_its_bits(impl, form):
    saved = torch.tensor([1 + 2j, 3 - 4j])
    loaded = impl(write([saved, saved.conj()], form), weights_only=True)
    assert loaded[0].tolist() == [1 + 2j, 3 - 4j]
    if at_least(2, 1):  # before, torch.save forgets the bit
        assert loaded[1].tolist() == [1 - 2j, 3 + 4j]
        assert loaded[1].is_conj()
        assert loaded[0].data_ptr() == loaded[1].data_ptr()


def check_new_dtypes(impl, form):
    saved = [torch.tensor([1, 2], dtype=torch.uint16), torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn)]
    loaded = impl(write(saved, form), weights_only=True)
    assert [item.dtype for item in loaded] == [item.dtype for item in saved]
    assert [item.to(torch.float32).tolist() for item in loaded] == [[1, 2], [0.5, 2.0]]


has_new_dtypes = pytest.mark.skipif(not at_least(2, 6), reason="torch saves all of these dtypes since 2.6")


@has_new_dtypes
def test_dtypes_that_have_no_storage_of_their_own(impl):
    check_new_dtypes(impl, "zip")


@has_new_dtypes
@pytest.mark.limit("untyped legacy")
def test_dtypes_that_have_no_storage_of_their_own_in_the_older_format(impl):
    check_new_dtypes(impl, "legacy")


@both_formats
def test_views_share_memory_and_keep_their_strides(impl, form):
    base = torch.arange(12.0).reshape(3, 4)
    saved = [base, base.t(), base[1:, ::2], base[0].expand(2, 4), torch.empty(0, 3), torch.tensor(5.0)]
    loaded = impl(write(saved, form), weights_only=True)
    for item, original in zip(loaded, saved):
        assert torch.equal(item, original)
        assert (item.stride(), item.storage_offset()) == (original.stride(), original.storage_offset())
    loaded[0][1, 2] = -1
    assert loaded[1][2, 1] == -1
    assert loaded[2][0, 1] == -1


@both_formats
def test_storages(impl, form):
    saved = torch.arange(3.0)
    loaded, storage = impl(write([saved, saved.storage()], form), weights_only=True)
    loaded[1] = 7
    assert storage.tolist() == [0, 7, 2]
    assert storage.dtype == torch.float32


@both_formats
def test_parameters_gradients_and_state_dicts(impl, form):
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    needs = torch.ones(2, requires_grad=True)
    loaded = impl(write([net.state_dict(), net[0].weight, frozen, needs], form), weights_only=True)
    assert type(loaded[0]) is collections.OrderedDict
    assert loaded[0]._metadata["1"]["version"] == 2
    assert [type(item) for item in loaded[1:]] == [torch.nn.Parameter, torch.nn.Parameter, torch.Tensor]
    assert [item.requires_grad for item in loaded[1:]] == [True, False, True]
    net.load_state_dict(loaded[0])
    loaded[3].sum().backward()
    assert loaded[3].grad.tolist() == [1, 1]


@both_formats
@pytest.mark.skipif(not at_least(1, 4), reason="torch saves sparse tensors since 1.4")
def test_sparse(impl, form):
    dense = torch.tensor([[0, 1.0, 0], [2.0, 0, 3.0]])
    saved = [dense.to_sparse()] + ([dense.to_sparse_csr()] if at_least(1, 13) else [])
    for item in impl(write(saved, form), weights_only=True):
        assert torch.equal(item.to_dense(), dense)


@both_formats
@pytest.mark.skipif(not at_least(1, 4), reason="before 1.4 torch has these functions under other names")
def test_quantized(impl, form):
    values = torch.tensor([[0.5, 1.0], [1.5, 2.0]])
    whole = torch.quantize_per_tensor(values, 0.5, 3, torch.quint8)
    channels = torch.quantize_per_channel(values, torch.tensor([0.5, 0.25]), torch.tensor([1, 0]), 0, torch.qint8)
    loaded = impl(write([whole, channels], form), weights_only=True)
    assert [item.dequantize().tolist() for item in loaded] == [values.tolist(), values.tolist()]
    assert (loaded[0].q_scale(), loaded[0].q_zero_point()) == (0.5, 3)
    assert loaded[1].q_per_channel_axis() == 0


@pytest.mark.skipif(not at_least(2, 0), reason="torch saves attributes of parameters since 2.0")
def test_attributes_of_parameters(impl):
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = {"a": [1]}
    loaded = impl(write(parameter, "zip"), weights_only=True)
    assert type(loaded) is torch.nn.Parameter
    assert loaded.note == {"a": [1]}


def test_from_a_path_and_from_a_file_that_is_not_at_its_start(impl, tmp_path):
    write(torch.ones(2), "zip", str(tmp_path / "a.pt"))
    assert impl(str(tmp_path / "a.pt"), weights_only=True).tolist() == [1, 1]
    assert impl(tmp_path / "a.pt", weights_only=True).tolist() == [1, 1]
    for form in FORMATS:
        file = io.BytesIO(b"ignored" + write(torch.ones(2), form).getvalue())
        file.seek(7)
        assert impl(file, weights_only=True).tolist() == [1, 1]


def test_several_in_one_file(impl, tmp_path):
    with open(str(tmp_path / "many"), "wb") as file:
        for number in range(3):
            file.write(write({"n": torch.tensor([number])}, "legacy").getvalue())
    with open(str(tmp_path / "many"), "rb") as file:
        assert [impl(file, weights_only=True)["n"].item() for _ in range(3)] == [0, 1, 2]


def test_from_a_compressed_file(impl, tmp_path):
    with gzip.open(str(tmp_path / "a.gz"), "wb") as file:
        file.write(write(torch.ones(2), "legacy").getvalue())
    with gzip.open(str(tmp_path / "a.gz"), "rb") as file:
        assert impl(file, weights_only=True).tolist() == [1, 1]


def two_bytes_on(location):
    data = ZIP.storage("0", 2, "ByteStorage", location)
    return ZIP.checkpoint(call(utils("_rebuild_tensor"), data, 0, (2,), (1,)), {"0": (2, b"ab")})


@both_formats
def test_map_location(impl, form):
    calls = []

    def remember(storage, location):
        calls.append((len(storage), location))
        return storage if len(calls) == 1 else None

    a, b = torch.ones(2, dtype=torch.uint8), torch.ones(3, dtype=torch.uint8)
    loaded = impl(write([a, b, a], form), map_location=remember, weights_only=True)
    assert sorted(calls) == [(2, "cpu"), (3, "cpu")]
    assert [item.tolist() for item in loaded] == [[1, 1], [1, 1, 1], [1, 1]]
    for place in ("cpu", torch.device("cpu"), {"cpu": "cpu"}, {"cuda:7": "cpu"}):
        assert impl(write(a, form), map_location=place, weights_only=True).tolist() == [1, 1]
    file = two_bytes_on("cuda:7")
    assert impl(file, map_location={"cuda:7": "cpu"}, weights_only=True).tolist() == [97, 98]


def test_errors_of_map_location_are_the_callers(impl):
    def fail(storage, location):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        impl(write(torch.ones(2), "zip"), map_location=fail, weights_only=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_is_asked_for_and_not_there(impl):
    file = two_bytes_on("cuda:0")
    with pytest.raises(RuntimeError, match="map_location"):
        impl(file, weights_only=True)


def test_to_the_device_without_data(impl):
    file = write({"a": torch.ones(2, 3).t()}, "zip")
    if not at_least(2, 0):
        with pytest.raises(RuntimeError, match=r"2\.0"):
            impl(file, map_location="meta", weights_only=True)
        return
    loaded = impl(file, map_location="meta", weights_only=True)["a"]
    assert loaded.device.type == "meta"
    assert (tuple(loaded.shape), loaded.stride()) == ((3, 2), (1, 3))


def test_mmap(impl, tmp_path):
    path = str(tmp_path / "a.pt")
    write({"a": torch.arange(1000.0), "b": torch.ones(2).bool()}, "zip", path)
    loaded = impl(path, mmap=True, weights_only=True)
    assert loaded["a"].sum() == 499500
    loaded["a"].zero_()
    assert impl(path, mmap=True, weights_only=True)["a"].sum() == 499500
    with open(path, "rb") as file, pytest.raises(ValueError, match="file path"):
        impl(file, mmap=True, weights_only=True)
    write(torch.ones(2), "legacy", path)
    with pytest.raises(RuntimeError, match="_use_new_zipfile_serialization=True"):
        impl(path, mmap=True, weights_only=True)


@pytest.mark.parametrize("order", ["little", "big"])
def test_byte_order(impl, order):
    data = b"".join(number.to_bytes(4, order) for number in (1, 2**20))
    pickle = program(ZIP.tensor(ZIP.storage("0", 2, "IntStorage"), size=(2,)))
    file = io.BytesIO(archive(pickle, {"0": data}, order=order.encode()))
    assert impl(file, weights_only=True).tolist() == [1, 2**20]


def test_legacy_is_little_endian_and_may_hold_views_of_storages(impl):
    data = b"".join(number.to_bytes(8, "little") for number in range(5))
    part = LEGACY.tensor(LEGACY.storage("7", 5, "LongStorage"), 1, (2, 2), (2, 1))
    assert impl(LEGACY.checkpoint(part, {"7": (5, data)}), weights_only=True).tolist() == [[1, 2], [3, 4]]


@both_formats
def test_tensor_subclasses_are_allowed_by_name(impl, form):
    class Marked(torch.Tensor):
        pass

    if not at_least(1, 8):
        return  # subclasses are not kept by torch.save
    globals()["Marked"], Marked.__qualname__ = Marked, "Marked"
    saved = torch.ones(2).as_subclass(Marked)
    saved.mark = 3
    file = write(saved, form)
    with pytest.raises(pickle.UnpicklingError, match=r"GLOBAL \S*Marked was not an allowed global"):
        impl(file, weights_only=True)
    file.seek(0)
    scope = SHIMS["serialization.safe_globals"]
    with (scope.native if impl is SHIMS["load"].native else scope.fallback)([Marked]):
        loaded = impl(file, weights_only=True)
    assert type(loaded) is Marked
    assert loaded.tolist() == [1, 1]
    assert loaded.mark == 3


def test_what_is_not_weights_only_is_the_users_choice(impl):
    net = torch.nn.Linear(2, 2)
    file = write(net, "zip")
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.nn\.modules\.linear\.Linear"):
        impl(file)
    file.seek(0)
    assert torch.equal(impl(file, weights_only=False).weight, net.weight)
    file.seek(0)
    assert torch.equal(impl(file, pickle_module=pickle).weight, net.weight)
    file.seek(0)
    with pytest.raises(RuntimeError, match="pickle_module"):
        impl(file, weights_only=True, pickle_module=pickle)


def test_the_environment_decides(impl, monkeypatch):
    file = write([Form], "zip")
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(pickle.UnpicklingError):
        impl(file, weights_only=False)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "yes")
    with pytest.raises(RuntimeError, match="both"):
        impl(file)
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    file.seek(0)
    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        assert impl(file) == [Form]
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError):
        impl(file, weights_only=True)


def test_arguments_for_the_pickle_module_do_nothing_here(impl):
    with pytest.warns(UserWarning, match="weights_only=False"):
        assert impl(write([1], "zip"), weights_only=True, encoding="ascii") == [1]


def test_strings_of_python_2(impl):
    assert impl(ZIP.checkpoint({b"U\x01a": 1}), weights_only=True) == {"a": 1}


@pytest.mark.parametrize("what", [3, None, [1]])
def test_what_is_no_file(impl, what):
    with pytest.raises(AttributeError, match="seekable"):
        impl(what, weights_only=True)


def test_a_file_in_which_one_cannot_go_back(impl):
    with pytest.raises(io.UnsupportedOperation, match="seekable"):
        impl(io.RawIOBase(), weights_only=True)


def test_safetensors_go_to_their_own_library(impl, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"")
    with pytest.raises(RuntimeError, match="safetensors"):
        impl(str(path), map_location={"cpu": "cpu"}, weights_only=True)
