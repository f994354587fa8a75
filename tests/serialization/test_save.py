"""``save`` writes archives that every torch reads, and :func:`load` reads everywhere."""

import ctypes
import io
import pathlib
import struct
import zipfile

import pytest
import torch
from writing import FORMATS

from torchcompat import SHIMS, UnsupportedError, at_least, is_version, serialization

pytestmark = [pytest.mark.shim("save"), pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")]
load = SHIMS["load"].fallback


def saved(impl, obj, **options):
    file = io.BytesIO()
    impl(obj, file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_saved_can_be_loaded(impl, form):
    net = torch.nn.Linear(3, 2)
    base = torch.arange(6.0)
    obj = {"state": net.state_dict(), "views": [base, base.view(2, 3).t(), base[2:]], "n": [1, "a", None]}
    loaded = load(saved(impl, obj, _use_new_zipfile_serialization=form == "zip"))
    assert torch.equal(loaded["state"]["weight"], net.weight)
    assert [item.tolist() for item in loaded["views"]] == [item.tolist() for item in obj["views"]]
    assert loaded["n"] == obj["n"]
    loaded["views"][0][5] = -1
    assert (loaded["views"][1][2, 1], loaded["views"][2][3]) == (-1, -1)


@pytest.mark.skipif(not at_least(1, 6), reason="torch reads archives since 1.6")
@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")
def test_torch_itself_can_load_it(impl):
    obj = {"a": torch.arange(5), "b": [torch.ones(2).double(), torch.tensor(True)], "c": torch.empty(0)}
    loaded = torch.load(saved(impl, obj))
    assert loaded["a"].tolist() == [0, 1, 2, 3, 4]
    assert [item.tolist() for item in loaded["b"]] == [[1, 1], True]
    assert loaded["c"].shape == (0,)


@pytest.mark.parametrize("without", [False, True])
def test_the_archive(impl, without):
    file = saved(impl, {"a": torch.ones(3), "b": torch.zeros(3).bool()}, _disable_byteorder_record=without)
    with zipfile.ZipFile(file) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        assert {"data.pkl", "data/0", "data/1", "version", "byteorder"} <= names
        assert archive.testzip() is None
        sizes = {info.filename: (info.file_size, info.compress_type) for info in archive.infolist()}
        assert sizes["archive/data/0"] == (12, zipfile.ZIP_STORED)
        assert sizes["archive/data/1"] == (3, zipfile.ZIP_STORED)
    data = file.getvalue()
    for name in (b"data/0", b"data/1"):
        header = data.index(b"archive/" + name) - 30
        assert (header + 30 + sum(struct.unpack_from("<2H", data, header + 26))) % 64 == 0


def test_paths(impl, tmp_path):
    for path in (str(tmp_path / "a.b.pt"), pathlib.Path(str(tmp_path)) / "plain"):
        impl(torch.ones(2), path)
        assert load(path).tolist() == [1, 1]
        with zipfile.ZipFile(str(path)) as archive:
            assert archive.namelist()[0] in ("a.b/data.pkl", "plain/data.pkl")


def test_only_what_is_used_of_the_memory_is_shared_once(impl):
    base = torch.ones(1000)
    one, two = saved(impl, [base]), saved(impl, [base, base[:10], base.view(10, 100)])
    assert len(two.getvalue()) - len(one.getvalue()) < 1000


@pytest.mark.skipif(not at_least(2, 3), reason="torch has these dtypes since 2.3")
@pytest.mark.parametrize("name", ["uint16", "uint32", "uint64"])
def test_wide_unsigned_integers(impl, name):
    dtype = getattr(torch, name)
    values = torch.tensor([1, 2, 770, 65535]).to(dtype)
    obj = {"a": values, "view": values[1:], "p": torch.nn.Parameter(values[:2].clone(), requires_grad=False)}
    for read in [load, torch.load] if at_least(2, 6) else [load]:
        loaded = read(saved(impl, obj))
        assert {item.dtype for item in loaded.values()} == {dtype}
        assert [item.tolist() for item in loaded.values()] == [[1, 2, 770, 65535], [2, 770, 65535], [1, 2]]
        assert isinstance(loaded["p"], torch.nn.Parameter)
        loaded["a"][1] = 7
        assert loaded["view"][0].item() == 7


def _of_each_dtype():
    for name in sorted({str(item)[6:] for item in vars(torch).values() if isinstance(item, torch.dtype)}):
        dtype = getattr(torch, name)
        try:
            if name.startswith("q"):
                tensor = torch._empty_affine_quantized([4], scale=0.5, zero_point=0, dtype=dtype)
            else:
                tensor = torch.empty(4, dtype=dtype)
            yield name, tensor, _bytes(tensor)
        except RuntimeError:
            assert not at_least(1, 11)  # the first torch name dtypes that they have no tensors of
            assert name.startswith("complex")


def _attempt(impl, obj):
    try:
        return saved(impl, obj), ""
    except (KeyError, RuntimeError) as error:
        return None, str(error)


def _bytes(tensor):
    storage = tensor.untyped_storage() if at_least(2, 0) else tensor.storage()
    return ctypes.string_at(storage.data_ptr(), tensor.element_size())


@pytest.mark.filterwarnings("ignore:.* support is experimental:UserWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_tensor_of_any_dtype_comes_back_or_is_refused_by_name(impl):
    kept = set()
    for name, tensor, content in _of_each_dtype():
        file, refusal = _attempt(impl, [tensor])
        if refusal:
            assert name in refusal or name == "complex32"
            continue
        (loaded,) = load(file)
        assert loaded.dtype == tensor.dtype
        assert _bytes(loaded) == content
        kept.add(name)
    assert kept >= {"float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"}
    assert kept >= {"qint8", "quint8", "qint32"}
    if at_least(2, 6):
        assert kept >= {"uint16", "uint32", "uint64", "complex32", "bits8", "float8_e4m3fn", "float8_e5m2fnuz"}


@pytest.mark.skipif(not at_least(2, 3), reason="torch has uint16 since 2.3")
def test_what_has_no_form_is_not_written_as_bytes():
    # Tensors that torch before 2.6 reduces itself, in a way that loses the dtype.
    tensor = torch.tensor([1, 2]).to(torch.uint16)
    tensor.note = "a"
    if at_least(2, 6):
        assert load(saved(SHIMS["save"].fallback, tensor)).dtype == torch.uint16
    else:
        with pytest.raises(UnsupportedError, match=r"torch\.uint16"):
            saved(SHIMS["save"].fallback, tensor)


def test_one_memory_of_two_dtypes_is_refused(impl):
    if not at_least(1, 8):
        return  # such a view cannot be made
    base = torch.ones(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        impl([base, base.view(torch.int32)], io.BytesIO())


def test_what_is_no_file(impl):
    with pytest.raises(AttributeError, match="write"):
        impl([1], 3)


def test_check_sums_are_left_out_where_that_is_set(impl):
    serialization.set_crc32_options(False)
    try:
        file = saved(impl, torch.ones(3))
    finally:
        serialization.set_crc32_options(True)
    with zipfile.ZipFile(file) as archive:
        assert archive.getinfo("archive/data/0").CRC == 0


@pytest.mark.shim("serialization.set_crc32_options")
def test_check_sums(impl):
    public = SHIMS["save"].fallback if impl is SHIMS["serialization.set_crc32_options"].fallback else torch.save
    ask = SHIMS["serialization.get_crc32_options"]
    asked = ask.fallback if impl is SHIMS["serialization.set_crc32_options"].fallback else ask.native
    if public is not torch.save and serialization.get_crc32_options is not asked:
        pytest.skip("our save asks torch's function here, which set_crc32_options of ours does not set")
    assert asked() is True
    impl(False)
    try:
        assert asked() is False
        file = io.BytesIO()
        public(torch.ones(3), file)
    finally:
        impl(True)
    with zipfile.ZipFile(file) as archive:
        assert [info.CRC for info in archive.infolist() if info.filename == "archive/data/0"] == [0]
    assert load(io.BytesIO(file.getvalue())).tolist() == [1, 1, 1]


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data

    def readinto(self, buffer):
        count = super().readinto(buffer)
        self.count += count
        return count


@pytest.mark.shim("serialization.skip_data")
def test_data_are_left_out(impl):
    native = impl is SHIMS["serialization.skip_data"].native
    save, read = (torch.save, torch.load) if native else (SHIMS["save"].fallback, load)
    values = torch.arange(100000.0)
    with impl():
        file = saved(save, values)
    assert len(file.getvalue()) > 400000
    assert load(file).abs().sum() == 0
    counting = Counting(saved(save, values).getvalue())
    with impl():
        assert read(counting).shape == (100000,)
    assert counting.count < 300000
    counting.seek(0)
    assert torch.equal(read(counting), values)


@pytest.mark.shim("serialization.skip_data")
def test_data_cannot_be_left_out_of_the_older_format(impl):
    native = impl is SHIMS["serialization.skip_data"].native
    with impl(), pytest.raises(RuntimeError, match="_use_new_zipfile_serialization=False"):
        (torch.save if native else SHIMS["save"].fallback)([1], io.BytesIO(), _use_new_zipfile_serialization=False)


@pytest.mark.skipif(not is_version(1, 9) and not is_version(1, 10), reason="torch 1.9 and 1.10 alone end the process")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_what_ends_the_process_is_refused():
    make = getattr(torch, "sparse_csr_tensor", None) or torch._sparse_csr_tensor
    tensor = make(torch.tensor([0, 1, 2]), torch.tensor([0, 1]), torch.ones(2), (2, 2))
    with pytest.raises(UnsupportedError, match="CSR"):
        SHIMS["save"].fallback([tensor], io.BytesIO())
