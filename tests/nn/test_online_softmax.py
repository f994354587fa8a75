"""The online softmax: however the keys are cut into tiles, it is the softmax of all of them."""

import pytest
import torch

from torchcompat.nn.functional._sdpa._online_softmax import MINUS_INF, OnlineSoftmax, subtrahend

CUTS = [(7,), (1, 6), (3, 0, 4), (2, 2, 2, 1), (1,) * 7]


def cut(tensor, sizes, dim):
    return [tile for tile in tensor.split(list(sizes), dim) if tile.numel()]


def example():
    """Scores of five rows: an ordinary one, a late maximum, an early one, one key alone, and none."""
    scores = torch.randn(2, 5, 7, dtype=torch.float64)
    scores[:, 1, -1], scores[:, 2, 0] = 900.0, 900.0
    scores[:, 3], scores[:, 4] = MINUS_INF, MINUS_INF
    scores[:, 3, 4] = -900.0
    return scores, torch.randn(2, 7, 3, dtype=torch.float64)


def run(scores, values, sizes, careful, in_place, dropout_mask=None):
    softmax = OnlineSoftmax(careful, in_place)
    for tile, part in zip(cut(scores, sizes, -1), cut(values, sizes, 1)):
        softmax.add(tile.clone() if in_place else tile, part, dropout_mask)
    return softmax.result()


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("sizes", CUTS)
def test_it_is_the_softmax_of_all(sizes, in_place):
    scores, values = example()
    before = scores.clone()
    output, logsumexp, maximum = run(scores, values, sizes, True, in_place)
    assert torch.equal(scores, before)
    seeing = scores[:, :4]
    weights = torch.softmax(seeing, -1)
    assert (output[:, :4] - torch.bmm(weights, values)).abs().max() < 1e-12
    assert (logsumexp[:, :4] - torch.logsumexp(seeing, -1, keepdim=True)).abs().max() < 1e-12
    assert torch.equal(maximum[:, :4], seeing.max(-1, keepdim=True)[0])
    # The weights that the backward pass makes again.
    again = torch.exp(scores - subtrahend(logsumexp))
    assert (again[:, :4] - weights).abs().max() < 1e-12
    # The row that sees nothing.
    assert (output[:, 4] == 0.0).all()
    assert (again[:, 4] == 0.0).all()
    assert (logsumexp[:, 4] == MINUS_INF).all()
    assert (maximum[:, 4] == MINUS_INF).all()


@pytest.mark.parametrize("sizes", CUTS)
def test_without_care_for_rows_that_see_something(sizes):
    scores, values = example()
    scores = scores[:, :3]
    for mine, careful in zip(run(scores, values, sizes, False, True), run(scores, values, sizes, True, False)):
        assert (mine - careful).abs().max() < 1e-12


@pytest.mark.parametrize("sizes", CUTS)
def test_a_dropout_mask_takes_part_in_the_values_alone(sizes):
    scores, values = example()
    # Twice each weight: the sums of the weights stay.
    output, logsumexp, _ = run(scores, values, sizes, True, True, lambda weights: torch.full_like(weights, 2.0))
    once, same, _ = run(scores, values, sizes, True, True)
    assert (output - 2.0 * once).abs().max() < 1e-12
    assert torch.equal(logsumexp, same)
