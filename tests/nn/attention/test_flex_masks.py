"""The block masks of flex_attention: against the whole mask, laws, and torch's own."""

import inspect

import pytest
import torch
from assertions import close
from flex_tools import (
    INF,
    PREFIX,
    _fresh_compiler,  # noqa: F401 - runs after every test
    alibi,
    by_head,
    causal,
    flex,
    indices,
    law,
    qkv,
    reference,
    same_document,
)
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import SHIMS, available_devices
from torchcompat.nn.attention.flex_attention import _masks, and_masks, create_block_mask, noop_mask

about_masks = pytest.mark.shim(PREFIX + "BlockMask")


about_create = pytest.mark.shim(PREFIX + "create_block_mask")


about_whole = pytest.mark.shim(PREFIX + "create_mask")


# ---------------------------------------------------------------------------------------------------------------------
# Masks


@about_whole
def test_create_mask(impl):
    assert inspect.signature(impl).parameters["device"].default is None
    mask = impl(same_document, 2, 3, 7, 7, device="cpu")
    assert mask.dtype == torch.bool
    assert mask.shape == (2, 3, 7, 7)
    assert (mask == same_document(*indices((2, 3, 7, 7)))).all()
    assert (impl(causal, None, None, 3, 4, device="cpu") == torch.ones(3, 4).tril().bool()).all()


@about_whole
def test_create_mask_of_a_score_modifier(impl):
    def score_mod(score, b, h, q_idx, kv_idx):
        return score.masked_fill(q_idx < kv_idx, -INF)

    assert (impl(score_mod, None, 2, 3, 3, device="cpu") == torch.ones(3, 3).tril().bool()).all()


@about_whole
def test_create_mask_counts_arguments(impl):
    with pytest.raises(AssertionError):
        impl(lambda b, h, q_idx: q_idx >= 0, None, None, 3, 3, device="cpu")


@pytest.mark.parametrize("name", ["create_mask", "create_block_mask"])
def test_the_device_is_chosen(name):
    made = SHIMS[PREFIX + name].fallback(causal, None, None, 3, 3)
    tensor = made if name == "create_mask" else made.kv_indices
    assert tensor.device.type == available_devices()[0].type


@about_create
def test_create_block_mask(impl):
    mask = impl(causal, 2, None, 300, 300, device="cpu")
    assert type(mask).__name__ == "BlockMask"
    assert mask.shape == (2, 1, 300, 300)
    assert mask.BLOCK_SIZE == (128, 128)
    assert mask.kv_num_blocks.tolist() == [[[1, 1, 3]]] * 2
    assert mask.full_kv_num_blocks.tolist() == [[[0, 1, 0]]] * 2
    assert mask.kv_indices[0, 0].tolist() == [[0, 1, 2], [1, 0, 2], [0, 1, 2]]
    assert mask.q_num_blocks.tolist() == [[[2, 2, 1]]] * 2
    assert mask.full_q_num_blocks.tolist() == [[[1, 0, 0]]] * 2
    for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks", "q_indices"):
        assert getattr(mask, name).dtype == torch.int32
    assert mask.mask_mod is causal
    assert mask[:, :, :1].shape == (2, 1, 128, 300)


@about_create
def test_create_block_mask_without_full_blocks(impl):
    mask = impl(causal, None, None, 300, 300, device="cpu", separate_full_blocks=False)
    assert mask.full_kv_num_blocks is None
    assert mask.kv_num_blocks.tolist() == [[[1, 2, 3]]]


@about_create
@pytest.mark.parametrize("descending", [True, False])
def test_the_order_of_writing(impl, descending):
    mask = impl(
        causal, None, None, 8, 8, device="cpu", BLOCK_SIZE=2, compute_dq_write_order=True, dq_kv_order=descending
    )
    assert mask.dq_kv_order_spt is descending
    # Row of blocks m has the columns 0 ... m, whole but for the last.
    turns = mask.dq_write_order_full[0, 0, 0, :3].tolist()
    assert turns == ([1, 2, 3] if descending else [0, 0, 0])
    assert mask.dq_write_order[0, 0, :, 0].tolist() == ([0, 0, 0, 0] if descending else [0, 1, 2, 3])


@about_create
def test_create_block_mask_refuses(impl):
    with pytest.raises(AssertionError):
        impl(alibi, None, None, 3, 3, device="cpu")
    with pytest.raises(AssertionError):
        impl(lambda b, h, q_idx, kv_idx: q_idx - kv_idx, None, None, 3, 3, device="cpu")
    with pytest.raises(ValueError, match="dq_kv_order"):
        impl(causal, None, None, 3, 3, device="cpu", dq_kv_order=None)


def test_the_whole_mask_is_never_held(monkeypatch):
    monkeypatch.setattr(_masks, "STRIP", 2**12)
    largest = []

    def mask_mod(b, h, q_idx, kv_idx):
        largest.append((q_idx * kv_idx).numel())
        return q_idx >= kv_idx

    mask = SHIMS[PREFIX + "create_block_mask"].fallback(mask_mod, None, None, 500, 500, device="cpu", BLOCK_SIZE=8)
    assert max(largest) <= 2**12
    assert mask.sparsity() == pytest.approx(100 * (1 - 63 * 64 / 2 / 63**2))


def a_mask(impl):
    """A causal mask of 2 x 2 batches and heads, 400 x 400."""
    made = create_block_mask(causal, 2, 2, 400, 400, device="cpu")
    lists = (made.kv_num_blocks, made.kv_indices, made.full_kv_num_blocks, made.full_kv_indices)
    return impl.from_kv_blocks(*lists, mask_mod=causal, seq_lengths=(400, 400))


@about_masks
def test_what_a_mask_is(impl):
    mask = a_mask(impl)
    assert mask.shape == (2, 2, 400, 400)
    assert mask.numel() == 4 * 400 * 400
    assert mask.sparsity() == 37.5
    assert mask.to_dense().dtype == torch.int32
    assert (mask.to_dense() == torch.ones(4, 4).tril().int()).all()
    assert mask.seq_lengths == (400, 400)
    assert len(mask.as_tuple()) == 17
    assert len(mask.as_tuple(flatten=False)) == 15
    assert mask.as_tuple()[:2] == (400, 400)
    assert mask.as_tuple()[-1] is causal


@about_masks
def test_small_masks_are_not_sparser_than_nothing(impl):
    one = torch.ones(1, 1, 1, dtype=torch.int32)
    assert impl.from_kv_blocks(one, one.unsqueeze(-1) * 0, seq_lengths=(5, 5)).sparsity() == 0.0


@about_masks
@pytest.mark.parametrize(
    ("index", "shape"),
    [
        ((0,), (1, 2, 400, 400)),
        ((0, 1), (1, 1, 400, 400)),
        ((slice(None), slice(None), slice(1)), (2, 2, 128, 400)),
        ((slice(None), slice(None), 1), (2, 2, 128, 400)),
        ((-1, slice(None), -1), (1, 2, 16, 400)),
        ((slice(None), slice(None), slice(2, None)), (2, 2, 144, 400)),
        ((slice(None), slice(None), slice(None, None, 3)), (2, 2, 144, 400)),
        ((slice(None), slice(None), slice(0)), (2, 2, 0, 400)),
        ((slice(None), slice(None), torch.tensor([0, 3])), (2, 2, 256, 400)),
    ],
)
def test_selections(impl, index, shape):
    mask = a_mask(impl)
    part = mask[index]
    assert part.shape == shape
    kept = tuple(slice(at, at + 1 or None) if isinstance(at, int) else at for at in index)
    assert (part.kv_num_blocks == mask.kv_num_blocks[kept]).all()
    assert (part.kv_indices == mask.kv_indices[kept]).all()
    assert (part.to_dense() == mask.to_dense()[kept]).all()
    with pytest.raises(RuntimeError, match="sliced"):
        part.mask_mod(0, 0, 0, 0)


@about_masks
def test_too_many_indices(impl):
    mask = a_mask(impl)
    with pytest.raises(IndexError):
        mask[0, 0, 0, 0]


@about_masks
def test_text(impl):
    mask = a_mask(impl)
    assert str(mask[0, 0]).startswith("BlockMask(shape=(1, 1, 400, 400), sparsity=37.50%, \n(0, 0)\n██")
    assert "sparsity=37.50%" in repr(mask)
    assert "mask_mod=causal" in repr(mask)
    assert mask.to_string(grid_size=2).startswith("(0, 0)\n░░  \n██░░\n")
    assert "..." in mask.to_string(limit=1)


@about_masks
def test_to_another_device(impl):
    mask = a_mask(impl)
    there = mask.to("cpu")
    assert there is not mask
    assert there.shape == mask.shape
    assert there.mask_mod is causal
    assert (there.full_q_indices == mask.full_q_indices).all()


@about_masks
def test_masks_without_batches(impl):
    counts, columns = torch.ones(2, dtype=torch.int32), torch.zeros(2, 2, dtype=torch.int32)
    mask = impl.from_kv_blocks(counts, columns, compute_q_blocks=False)
    assert mask.shape == (256, 256)
    assert mask.q_indices is None
    assert mask.to_dense().tolist() == [[1, 0], [1, 0]]


@about_masks
def test_masks_that_are_refused(impl):
    one = torch.ones(1, 1, 1, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="dimensions"):
        impl.from_kv_blocks(one[0, 0], one[0, 0])
    with pytest.raises(AssertionError, match="full_kv"):
        impl.from_kv_blocks(one, one.unsqueeze(-1), one)
    with pytest.raises(ValueError, match="dq_write_order"):
        impl.from_kv_blocks(one, one.unsqueeze(-1), dq_write_order_full=one)


@law
@given(st.data())
def test_law_of_lists_and_grids(data):
    """A grid of blocks becomes lists and comes back."""
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    cells = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    dense = torch.tensor(cells).view(1, 1, rows, columns)
    counts, places = _masks.listed(dense)
    assert (_masks.grid(counts, places, columns) == dense.int()).all()
    back = _masks.transposed(*_masks.transposed(counts, places, columns), rows)
    assert (_masks.grid(*back, columns) == dense.int()).all()


@pytest.mark.shim(PREFIX + "or_masks")
def test_or_masks(impl):
    either = impl(causal, lambda b, h, q_idx, kv_idx: kv_idx == 2)
    expected = torch.ones(3, 3).tril().bool()
    expected[:, 2] = True
    assert (either(*indices((1, 1, 3, 3))) == expected).all()
    assert not impl()(*indices((1, 1, 1, 1))).any()
    with pytest.raises(RuntimeError, match="callable"):
        impl(causal, 3)


@pytest.mark.shim(PREFIX + "and_masks")
def test_and_masks(impl):
    both = impl(causal, lambda b, h, q_idx, kv_idx: kv_idx == 1)
    expected = torch.tensor([[False, False], [False, True]])
    assert (both(*indices((1, 1, 2, 2))) == expected).all()
    assert impl()(*indices((1, 1, 1, 1))).all()
    with pytest.raises(RuntimeError, match="callable"):
        impl(causal, 3)


@pytest.mark.shim(PREFIX + "noop_mask")
def test_noop_mask(impl):
    out = impl(*[torch.tensor(0)] * 4)
    assert out.dtype == torch.bool
    assert out.shape == ()
    assert bool(out)


def test_combined_masks_run():
    query, key, value = qkv(length=7)
    mask = create_block_mask(and_masks(causal, noop_mask, same_document), 2, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    expected = reference(query, key, value, mask_mod=lambda *at: causal(*at) & same_document(*at))
    close(flex(query, key, value, block_mask=mask), expected)
    everything = create_block_mask(noop_mask, None, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    assert everything.sparsity() == 0.0
    close(flex(query, key, value, block_mask=everything), reference(query, key, value))


@pytest.mark.shim(PREFIX + "AuxRequest")
def test_aux_request(impl):
    assert impl() == (False, False)
    assert impl(max_scores=True).max_scores
    assert impl._fields == ("lse", "max_scores")


@pytest.mark.shim(PREFIX + "AuxOutput")
def test_aux_output(impl):
    assert impl() == (None, None)
    assert impl._fields == ("lse", "max_scores")


def test_torchs_own_block_mask_serves_the_fallback():
    native = SHIMS[PREFIX + "create_block_mask"].native
    if native is None:
        pytest.skip("torch has block masks since 2.5")
    query, key, value = qkv(length=7)
    mask = native(by_head, None, 4, 7, 7, device="cpu", BLOCK_SIZE=128)
    close(flex(query, key, value, block_mask=mask), reference(query, key, value, mask_mod=by_head))
