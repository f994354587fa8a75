"""Sequences padded on either side, and unpadded: against lists."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_sequence

about_pad = pytest.mark.shim("nn.utils.rnn.pad_sequence")
about_unpad = pytest.mark.shim("nn.utils.rnn.unpad_sequence")
about_unpack = pytest.mark.shim("nn.utils.rnn.unpack_sequence")
lists = st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=4), min_size=1, max_size=4)
law = settings(max_examples=10)


def tensors(values):
    return [torch.tensor(value, dtype=torch.float32) for value in values]


@about_pad
@law
@given(values=lists, side=st.sampled_from(["left", "right"]), batch_first=st.booleans())
def test_padding_is_that_of_lists(impl, values, side, batch_first):
    longest = max(map(len, values))
    fill = [[7.0] * (longest - len(value)) for value in values]
    expected = [f + v if side == "left" else v + f for v, f in zip(values, fill)]
    padded = impl(tensors(values), batch_first, 7.0, side)
    assert (padded if batch_first else padded.transpose(0, 1)).tolist() == expected


@about_pad
def test_any_iterable_and_more_dimensions(impl):
    padded = impl((torch.full((n, 2), float(n)) for n in (1, 2)), True, padding_side="left")
    assert padded.tolist() == [[[0.0, 0.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]]]
    assert impl(torch.ones(2, 3)).shape == (3, 2)
    assert impl([torch.ones(2, dtype=torch.int64)]).dtype == torch.int64
    leaf = torch.ones(1, requires_grad=True)
    impl([leaf, torch.ones(3)], padding_side="left")[2, 0].backward()
    assert leaf.grad.tolist() == [1.0]


@about_pad
@pytest.mark.parametrize(
    ("sequences", "side"),
    [(5, "right"), ([], "right"), ([torch.ones(1)], "up"), ([torch.ones(2, 3), torch.ones(2, 2)], "left")],
)
def test_what_cannot_be_padded(impl, sequences, side):
    with pytest.raises(RuntimeError):
        impl(sequences, padding_side=side)


@about_unpad
@law
@given(values=lists)
def test_unpadding_undoes_padding(impl, values):
    lengths = torch.tensor([len(value) for value in values])
    longest = int(lengths.max())
    padded = torch.tensor([value + [0] * (longest - len(value)) for value in values])
    assert [row.tolist() for row in impl(padded, lengths, True)] == values
    turned = padded.t().contiguous()
    assert [row.tolist() for row in impl(turned, lengths)] == values
    assert turned.shape == padded.shape


@about_unpad
@pytest.mark.limit("lengths")
def test_a_length_for_each(impl):
    with pytest.raises(ValueError):
        impl(torch.ones(2, 3), torch.tensor([3]), True)


@about_unpack
@law
@given(values=lists)
def test_unpacking_undoes_packing(impl, values):
    packed = pack_sequence(tensors(values), enforce_sorted=False)
    assert isinstance(packed, PackedSequence)
    assert [row.tolist() for row in impl(packed)] == values
