"""What load promises, kept also later and often: checks that stay true, memory and time by the size of the file."""

import io
import pickle
import struct
import subprocess
import sys

import corpus_promises as kinds
import pytest
import torch
from assembler import (
    FALSE,
    FORMS,
    Form,
    archive,
    build,
    call,
    calls,
    get,
    keep,
    many,
    named,
    ordered,
    program,
    utils,
    value,
)
from corpus_code import BLAMED, UNPRINTABLE

from torchcompat import SHIMS, UnsupportedError, at_least, has

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support"),
    pytest.mark.filterwarnings("ignore:Sparse BS. tensor support"),
    pytest.mark.filterwarnings("ignore:Sparse CSC tensor support"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
]
load = SHIMS["load"].fallback
both_forms = pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
ZIP = FORMS["zip"]
REBUILD = "_rebuild_parameter_with_state"
has_csr = pytest.mark.skipif(
    not has("torch.sparse_csr_tensor"), reason="torch has compressed sparse tensors since 1.10"
)


def read(form, body):
    return load(io.BytesIO(form.file(program(body))))


def refused(form, body, match):
    with pytest.raises(pickle.UnpicklingError, match=match):
        read(form, body)


@both_forms
def test_pointers_that_wrap_around(form):
    """Torch's own check takes the steps between them in 32 bits, and then reads what is not there."""
    for body in kinds.wrapping_pointers(form):
        try:
            loaded = read(form, body)
        except (pickle.UnpicklingError, UnsupportedError):
            continue
        assert max(loaded.shape) > 3  # only the honest ones among them
        assert loaded.layout != torch.sparse_coo or int(loaded._indices().max()) < max(loaded.shape)


@both_forms
def test_no_tensor_is_made_twice(form):
    for body in kinds.changed_after_the_check(form):
        with pytest.raises((pickle.UnpicklingError, UnsupportedError), match=r"made again|not a matrix|lacks"):
            read(form, body)


@has_csr
@both_forms
def test_a_bare_tensor_that_is_filled_afterwards_changes_nothing_else(form):
    """The oldest form of a tensor is made empty and filled by BUILD: a sparse tensor in between has its own."""
    empty = keep(call(named("torch", "Tensor")), 0)
    rows, none = kinds.longs(form, size=(1,)), kinds.longs(form, size=(0,))
    made = kinds.sparse("torch.sparse_csr", rows, none, get(0), (0, 3))
    loaded = read(form, value([empty, made, build(get(0), (form.storage("1"), 0, (4,), (1,)))]))
    assert loaded[0].tolist() == [1, 2, 3, 4]
    assert loaded[1].values().shape == (0,)


@both_forms
def test_indices_with_their_sign_turned(form):
    for body in kinds.parts_that_do_not_fit(form):
        with pytest.raises((pickle.UnpicklingError, RuntimeError)):
            read(form, body)


@both_forms
def test_what_was_checked_is_not_read_again_and_what_overlaps_is_not_read_for_ever(form):
    bodies = list(kinds.time_that_is_not_in_the_file(form))
    refused(form, bodies[1], "overlap so much")
    if at_least(1, 7):  # before, torch reads the indices for every tensor
        loaded = read(form, bodies[0])[-1]
        assert loaded._nnz() == 2**17


@both_forms
def test_copies_are_paid_for(form):
    data = form.tensor(form.storage("much", 2**20, "ByteStorage"), size=(2**20,))
    for times, kind, fits in ((2, "float64", True), (8, "float64", False), (200, "uint8", True)):
        arguments = (data, named("torch", kind), "cpu", FALSE)
        body = calls(utils("_rebuild_device_tensor_from_cpu_tensor"), arguments, times)
        if fits:
            assert read(form, body)[-1].dtype == getattr(torch, kind)
        else:
            refused(form, body, "more memory")


@both_forms
def test_one_storage_as_two_types_is_two_objects_however_often_it_is_named(form):
    rest = (None,) if form.is_legacy else ()
    names = [("storage", named("torch", kind), "0", "cpu", 4, *rest) for kind in ("FloatStorage", "IntStorage")]
    body = many(keep(value(names[0]), 0) + keep(value(names[1]), 1), (get(0) + b"Q" + get(1) + b"Q"), 20000)
    if at_least(1, 13):
        assert len({id(part) for part in read(form, body)[2:]}) == 2
    else:
        refused(form, body, "two sizes or types")


def test_attributes_are_not_counted_but_paid_for():
    form = FORMS["zip"]
    state = {"a": b"](" + b"K\1" * 11000 + b"e"}
    assert read(form, call(utils(REBUILD), form.tensor(), FALSE, ordered(), state)).a == [1] * 11000
    walked = keep(value({"a": [[] for _ in range(5000)]}), 1)
    shared = calls(utils(REBUILD), (form.tensor(), FALSE, ordered(), get(1)), 3000, walked)
    assert len(read(form, shared)[-1].a) == 5000


@pytest.mark.parametrize("name", sorted(set(kinds.CHAINS) - {"slots"}))
def test_chains_through_any_container(name):
    form = FORMS["zip"]
    loaded = read(form, kinds.chain(form, name, 100))
    assert isinstance(loaded[2], torch.nn.Parameter)
    refused(form, kinds.chain(form, name, 101), "100 deep")


def test_chains_that_are_filled_afterwards():
    form = FORMS["zip"]
    assert len(read(form, kinds.filled_later(form, 50))) > 50
    refused(form, kinds.filled_later(form, 102), "100 deep")
    refused(form, kinds.filled_later(form, 20000) + b"\0", "100 deep")


def test_a_list_whose_tensors_know_it():
    """Honest: ``parameter.siblings = siblings`` for each parameter of a list, and the list is saved."""
    form = FORMS["zip"]
    start = keep(utils(REBUILD), 1) + keep(form.tensor(), 2)
    item = get(1) + value((get(2), FALSE, ordered(), {"all": get(3)})) + b"R"
    loaded = read(form, value([start, keep(b"]", 3) + b"(" + item * 300 + b"e"]))[-1]
    assert len(loaded) == 300
    assert all(part.all is loaded for part in loaded)


# Some torch announces the end of this device type when it is asked for one.
@pytest.mark.filterwarnings("ignore:'mkldnn' is no longer used as device type")
@pytest.mark.parametrize("name", kinds.DEVICES)
def test_devices_that_are_not_there(name, monkeypatch):
    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")  # torch 1.13 sets it when it looks for CUDA
    form = FORMS["zip"]
    move = utils("_rebuild_device_tensor_from_cpu_tensor")
    for body in (
        call(move, form.tensor(), named("torch", "float32"), name, FALSE),
        call(named("torch", "device"), name),
        form.tensor(form.storage(location=name)),
    ):
        error = error_of(form, body)
        if error is not None:  # some of them are devices here
            assert type(error).__name__ in ("UnpicklingError", "RuntimeError", "UnsupportedError")
            lines = str(error).splitlines()
            assert len(lines) == 1 + isinstance(error, pickle.UnpicklingError)
            assert lines[0]
            assert "ModuleNotFound" not in str(error)


def test_a_device_that_is_not_there_is_named_with_what_to_do():
    form = Form(False)
    move = utils("_rebuild_device_tensor_from_cpu_tensor")
    error = error_of(form, call(move, form.tensor(), named("torch", "float32"), "privateuseone", FALSE))
    assert isinstance(error, (RuntimeError, pickle.UnpicklingError))
    assert "privateuseone" in str(error) or "PrivateUse" in str(error)
    if isinstance(error.__cause__, (ImportError, AssertionError, AttributeError)):
        assert 'map_location="cpu"' in str(error)


@both_forms
@pytest.mark.parametrize("text", UNPRINTABLE, ids=ascii)
def test_what_an_error_shows_of_the_file_is_in_one_line_and_can_be_printed(form, text):
    device = named("torch", "device")
    for body in (
        *(named(module, name + text) for module, name in BLAMED),
        named("os" + text, "system"),
        named("builtins", text + "eval"),
        call(device, "cpu" + text),
        call(device, text),
        call(device, text + "cpu", 1),
        call(named("torch.serialization", "_get_layout"), "sparse_" + text),
        build(form.tensor(), {text: 1, 1: 2}),
        call(utils(REBUILD), form.tensor(), FALSE, ordered(), ({}, {"slot" + text: 1})),
        form.tensor(form.storage(location="cpu" + text)),
    ):
        lines = str(error_of(form, body)).split("\n")
        assert 1 <= len(lines) <= 2
        assert all(line and line.isprintable() for line in lines)


def error_of(form, body):
    try:
        read(form, body)
    except Exception as error:
        return error
    return None


def test_calls_in_calls():
    for body in kinds.calls_in_calls(ZIP):
        refused(ZIP, body, "subclass is made of a tensor of a subclass")


@pytest.mark.skipif(not at_least(2, 0), reason="torch before 2.0 has no sparse tensors without data")
def test_a_sparse_tensor_without_data_imports_nothing():
    form = FORMS["zip"]
    meta = utils("_rebuild_meta_tensor_no_storage")
    indices = call(meta, named("torch", "int64"), (1, 2), (2, 1), FALSE)
    values = call(meta, named("torch", "float32"), (2,), (1,), FALSE)
    data = form.file(program(kinds.sparse("torch.sparse_coo", indices, values, (4,))))
    code = "import io, sys, torch, torchcompat; load = torchcompat.load; load(io.BytesIO({})); "
    code += "before = set(sys.modules); load(io.BytesIO({})); print(len(set(sys.modules) - before))"
    simple = form.file(program(value([1])))
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code.format(simple, data)], stdout=subprocess.PIPE)
    assert result.stdout.split() == [b"0"]


class Bytes:
    """A path that is bytes."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path).encode()


@pytest.mark.parametrize("mmap", [None, True])
@pytest.mark.parametrize("weights_only", [True, False])
def test_a_path_of_bytes(tmp_path, mmap, weights_only):
    path = tmp_path / "a.pt"
    SHIMS["save"].fallback([torch.ones(3)], str(path))
    assert load(Bytes(path), mmap=mmap, weights_only=weights_only)[0].tolist() == [1, 1, 1]
    SHIMS["save"].fallback([torch.zeros(1)], Bytes(tmp_path / "b.pt"))
    assert load(Bytes(tmp_path / "b.pt"))[0].tolist() == [0]


@pytest.mark.parametrize("answer", [-1, None, 10**6, "3", 2.0])
def test_files_whose_readinto_lies(answer):
    class Lying(io.BytesIO):
        def readinto(self, memory):
            return answer

    with pytest.raises(RuntimeError, match="readinto"):
        load(Lying(ZIP.file(program(ZIP.tensor()))))


@pytest.mark.parametrize("answer", [None, "text", b"x" * 10**6])
def test_files_whose_read_lies(answer):
    class Lying(io.BytesIO):
        def read(self, size=-1):
            return answer

    with pytest.raises(RuntimeError, match="read"):
        load(Lying(ZIP.file(program(ZIP.tensor()))))


def honest_sparse():
    form = FORMS["zip"]
    coo = kinds.sparse(
        "torch.sparse_coo", kinds.longs(form, size=(1, 2), stride=(2, 1)), kinds.floats(form, 2), (3,), True
    )
    bare = build(call(named("torch", "Tensor")), (form.storage("1"), 0, (4,), (1,)))
    return io.BytesIO(form.file(program(value([coo, bare]))))


def check_sparse(loaded):
    assert loaded[0].to_dense().tolist() == [1, 2, 0]
    assert loaded[0].is_coalesced()
    assert (loaded[1].tolist(), loaded[1].dtype) == ([1, 2, 3, 4], torch.float32)
    assert loaded[0].device.type == loaded[1].device.type == "cpu"


@pytest.mark.skipif(not at_least(2, 0), reason="a device is a context since torch 2.0")
def test_under_another_default_device():  # torchcompat: needs torch >= 2.0
    with torch.device("meta"):
        loaded = load(honest_sparse())
    check_sparse(loaded)
    torch.set_default_device("meta")
    try:
        loaded = load(honest_sparse())
    finally:
        torch.set_default_device(None)  # not what get_default_device() says, which fails on 2.4 after a None
    check_sparse(loaded)


def test_under_another_default_dtype():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        loaded = load(honest_sparse())
    finally:
        torch.set_default_dtype(before)
    check_sparse(loaded)


def test_without_gradients():
    with torch.no_grad():
        check_sparse(load(honest_sparse()))
    form = FORMS["zip"]
    with torch.no_grad():
        assert read(form, form.tensor(needs_gradient=True)).requires_grad


@pytest.mark.skipif(not has("torch.use_deterministic_algorithms"), reason="torch has it since 1.8")
def test_with_deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        loaded = load(honest_sparse())
    finally:
        torch.use_deterministic_algorithms(False)
    check_sparse(loaded)


def test_channels_have_scales_of_their_own():
    form = FORMS["zip"]
    data = form.storage("4", kind="QUInt8Storage")
    scales = named("torch", "per_channel_affine"), [0.5, 2.0], [0, 1], 0
    body = call(utils("_rebuild_qtensor"), data, 0, (2, 2), (2, 1), scales, FALSE, ordered())
    if has("torch._empty_per_channel_affine_quantized"):
        loaded = read(form, body)
        assert loaded.dequantize().tolist() == [[0.5, 1.0], [4.0, 6.0]]
    for wrong in ([0.5, 1], [0, 2**70], [0, float("nan")], [0, 1.5]):
        scheme = named("torch", "per_channel_affine"), [0.5, 2.0], wrong, 0
        body = call(utils("_rebuild_qtensor"), data, 0, (2, 2), (2, 1), scheme, FALSE, ordered())
        with pytest.raises((pickle.UnpicklingError, RuntimeError), match=r"channel|zero point|lacks"):
            read(form, body)


def test_a_long_name_is_not_looked_for_again_and_again():
    long = ("storage", named("torch", "FloatStorage"), "x" * 2000, "cpu", 4)
    with pytest.raises(pickle.UnpicklingError, match="1024"):
        load(io.BytesIO(archive(program(value(long) + b"Q"), {"x" * 2000: struct.pack("<4f", 1, 2, 3, 4)})))
