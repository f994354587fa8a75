"""Random pickles: whatever the instructions, load answers with a value or with one of its documented errors.

What it does to the process is the business of test_hostile.py, where files are read in a process of their own.
"""

import io
import pickle
import struct

import corpus
import pytest
from assembler import FORMS, call, named, program, utils, value
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS

pytestmark = [
    # torch 2.15 warns when it makes a quantized tensor, also for its own load.
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning"),
    # A mutation may change the number of the protocol, of which load warns.
    pytest.mark.filterwarnings("ignore:the file is of pickle protocol:UserWarning"),
]
ERRORS = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError)
forms = st.sampled_from(list(FORMS.values()))
few = settings(max_examples=40)

names = [named("torch", "FloatStorage"), named("collections", "OrderedDict"), named("torch", "Size")]
names += [utils("_rebuild_tensor_v2"), utils("_rebuild_parameter"), named("torch", "device"), named("builtins", "set")]
numbers = st.one_of(st.integers(-5, 20), st.sampled_from([2**31, 2**62, 2**63, -(2**63), 2**64]), st.booleans())
leaves = st.one_of(st.none(), numbers, st.floats(), st.text(max_size=5), st.sampled_from(names))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(
            lambda function, arguments: call(function, *arguments), st.sampled_from(names), st.lists(inner, max_size=5)
        ),
    ),
    max_leaves=15,
)
instruction = st.one_of(
    st.sampled_from([bytes([code]) for code in b"(.0123]})tuaesbRQNq\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x97"]),
    st.builds(lambda index: b"q" + bytes([index]), st.integers(0, 3)),
    st.builds(lambda index: b"h" + bytes([index]), st.integers(0, 3)),
    st.builds(lambda index: b"r" + struct.pack("<I", index), st.integers(0, 2**32 - 1)),
    st.builds(value, leaves),
)


def _load(data):
    return SHIMS["load"].fallback(io.BytesIO(data))


def _answers(data):
    try:
        _load(data)
    except ERRORS:
        pass


@few
@given(st.lists(instruction, max_size=40), forms)
def test_random_instructions(instructions, form):
    _answers(form.file(program(b"".join(instructions))))


@few
@given(values, forms)
def test_random_values(item, form):
    _answers(form.file(program(value(item))))


@few
@given(st.lists(numbers, max_size=4), st.lists(numbers, max_size=4), numbers, numbers, forms)
def test_a_tensor_lies_within_its_storage_or_is_refused(size, stride, offset, count, form):
    data = form.file(program(form.tensor(form.storage(count=count), offset, tuple(size), tuple(stride))))
    try:
        tensor = _load(data)
    except ERRORS:
        return
    assert tensor.storage_offset() >= 0
    if tensor.numel():
        assert tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride())) < 4


@few
@given(st.sampled_from([(name, data) for name, data in corpus.honest_files()][::7]), st.randoms(use_true_random=False))
def test_mutations_of_honest_files(file, generator):
    _answers(corpus.mutated(file[1], generator, file[1]))


@few
@given(st.binary(max_size=200))
def test_random_bytes(data):
    for start in (b"", b"PK\3\4", b"\x80\2"):
        with pytest.raises(ERRORS):
            _load(start + data)


@few
@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8), forms)
def test_what_is_honest_is_read_as_it_is(floats, form):
    packed, count = struct.pack(f"<{len(floats)}f", *floats), len(floats)
    pickled = program(form.tensor(form.storage(count=count), size=(count,)))
    assert _load(form.holding(pickled, {"0": (count, packed)})).tolist() == floats
