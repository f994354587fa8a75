"""vmap of loss functions computes what the loop over the batch computes, and loops over nothing itself."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import at_least

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning"),
    pytest.mark.filterwarnings("ignore:size_average and reduce args will be deprecated:UserWarning"),
]
REDUCTIONS = ["none", "sum", "mean"]


def randn(*sizes):
    return torch.randn(*sizes, dtype=torch.float64)


def positive(*sizes):
    return torch.rand(*sizes, dtype=torch.float64) * 0.8 + 0.1


def signs(*sizes):
    return (torch.randint(0, 2, sizes) * 2 - 1).double()


ELEMENTS = {
    "mse_loss": (randn, randn),
    "l1_loss": (randn, randn),
    "smooth_l1_loss": (randn, randn),
    "huber_loss": (randn, randn),
    "binary_cross_entropy": (positive, positive),
    "binary_cross_entropy_with_logits": (randn, positive),
    "kl_div": (randn, positive),
    "poisson_nll_loss": (randn, positive),
    "soft_margin_loss": (randn, signs),
    "hinge_embedding_loss": (randn, signs),
    "margin_ranking_loss": (randn, randn, signs),
}


def loss(name):
    function = getattr(F, name, None)
    if function is None:
        pytest.skip(f"no {name} in this torch")
    if name == "soft_margin_loss":  # newer torch differentiates it with respect to the input only
        return lambda input, target, **options: function(input, target.detach(), **options)
    return function


@pytest.mark.parametrize("sample", [(2, 4), (4,), ()], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_losses_of_elements(impl, name, reduction, sample):
    function = loss(name)
    args = [make(3, *sample) for make in ELEMENTS[name]]
    check(impl, lambda *args: function(*args, reduction=reduction), *args, nested=True)


@pytest.mark.parametrize("name", sorted(ELEMENTS))
@pytest.mark.parametrize("mapped", [0, 1])
def test_one_argument_is_batched(shim, name, mapped):
    function = loss(name)
    args = [make(*([3, 2, 4] if n == mapped else [2, 4])) for n, make in enumerate(ELEMENTS[name])]
    in_dims = tuple(0 if n == mapped else None for n in range(len(args)))
    check(shim.fallback, function, *args, in_dims=in_dims, nested=True)


@pytest.mark.limit("gaussian")
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gaussian_nll_loss(impl, reduction):
    function = loss("gaussian_nll_loss")
    for var in (positive(3, 4, 2), positive(3, 4, 1)):
        check(impl, lambda *args: function(*args, reduction=reduction), randn(3, 4, 2), randn(3, 4, 2), var)


@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_no_loop_over_losses_of_elements(no_loop, shim, name):
    function = loss(name)
    args = [make(3, 2, 4) for make in ELEMENTS[name]]
    check(shim.fallback, function, *args)


def test_no_loop_over_gaussian_nll_loss(no_loop, shim):
    if not at_least(1, 9):
        pytest.skip("this torch has none that takes samples of any shape")
    check(shim.fallback, F.gaussian_nll_loss, randn(3, 4), randn(3, 4), positive(3, 4), nested=True)


def test_options_of_losses_of_elements(impl):
    x, y, w, p = randn(3, 2, 4), positive(3, 2, 4), positive(4), positive(3, 4)
    logits = F.binary_cross_entropy_with_logits
    check(
        impl,
        lambda x, y, w, p: logits(x, y, w.detach(), pos_weight=p.detach()),
        x,
        y,
        w,
        p,
        in_dims=(0, 0, None, 0),
        nested=True,
    )
    check(impl, lambda x, y, w: F.binary_cross_entropy(x, y, weight=w.detach()), positive(3, 2, 4), y, p, nested=True)
    check(impl, lambda x, y: F.kl_div(x, y, reduction="batchmean", log_target=True), x, y)
    check(impl, lambda x, y: F.kl_div(x, y, reduction="batchmean"), x, y, nested=True)
    check(impl, lambda x, y: F.smooth_l1_loss(x, y, beta=0.3), x, y)
    check(impl, lambda x, y: F.poisson_nll_loss(x, y, False, True), positive(3, 2, 4), y)
    check(impl, lambda x, y: F.mse_loss(x, y, False), x, y)
    check(impl, lambda x, y: F.mse_loss(x, y, reduce=False), x, y)
    check(impl, lambda x, y: F.hinge_embedding_loss(x, y, 2.0), x, signs(3, 2, 4))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "binary_cross_entropy"])
def test_errors_are_those_of_the_sample(impl, name):
    with pytest.raises((RuntimeError, ValueError)):
        impl(lambda x, y: getattr(F, name)(x, y, reduction="other"))(positive(3, 2), positive(3, 2))
    with pytest.raises((ValueError, UserWarning), match="size"):
        impl(F.binary_cross_entropy)(positive(3, 3), positive(3, 1))


# --- classes

LOGITS = {"(N, C)": (4, 5), "(N, C, d)": (4, 5, 2), "(N, C, d, e)": (2, 5, 3, 2), "(C,)": (5,)}


def targets(sizes, ignored=False):
    outer = list(sizes[:1]) + list(sizes[2:]) if len(sizes) > 1 else []
    target = torch.randint(0, 5, [3] + outer)
    if ignored and outer:
        target.reshape(-1)[::3] = 1
    elif ignored:  # the mean of a single, ignored one has a test of its own
        target[target == 1] = 2
    return target


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("sizes", LOGITS.values(), ids=list(LOGITS))
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_class_indices(impl, name, sizes, reduction):
    function, logits, target, weight = getattr(F, name), randn(3, *sizes), targets(sizes, True), positive(5)
    check(impl, lambda x, t: function(x, t, reduction=reduction), logits, target, nested=True)
    for w in (None, weight):
        check(impl, lambda x, t, w=w: function(x, t, w, ignore_index=1, reduction=reduction), logits, target)
    check(impl, lambda x, t: function(x, t, reduction=reduction), logits, target[0], in_dims=(0, None))
    check(impl, lambda x, t: function(x, t, reduction=reduction), logits[0], target, in_dims=(None, 0))


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_a_class_weight_for_each_sample(shim, name):
    function = getattr(F, name)
    check(shim.fallback, lambda x, t, w: function(x, t, w.detach()), randn(3, 4, 5), targets((4, 5)), positive(3, 5))


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_every_target_of_one_sample_is_ignored(shim, name):
    """Torch's vmap fails here on some versions: 0 for NaN in 2.0."""
    target = targets((4, 5))
    target[1] = -100
    check(shim.fallback, getattr(F, name), randn(3, 4, 5), target, gradient=at_least(1, 11))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("sizes", LOGITS.values(), ids=list(LOGITS))
def test_label_smoothing(shim, sizes, reduction):
    target, weight = targets(sizes, True), positive(5)
    options = {"reduction": reduction, "label_smoothing": 0.2}
    check(shim.fallback, lambda x, t: F.cross_entropy(x, t, **options), randn(3, *sizes), target)
    check(
        shim.fallback, lambda x, t: F.cross_entropy(x, t, weight, ignore_index=1, **options), randn(3, *sizes), target
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("sizes", LOGITS.values(), ids=list(LOGITS))
def test_class_probabilities(impl, sizes, reduction):
    target, weight = randn(3, *sizes).softmax(2 if len(sizes) > 1 else 1), positive(5)
    check(impl, lambda x, t: F.cross_entropy(x, t, reduction=reduction), randn(3, *sizes), target, nested=True)
    smooth = {"reduction": reduction, "label_smoothing": 0.1}
    check(impl, lambda x, t: F.cross_entropy(x, t, weight, **smooth), randn(3, *sizes), target)


def test_no_loop_over_classes(no_loop, shim):
    logits, target, weight = randn(3, 4, 5, 2), targets((4, 5, 2)), positive(5)
    for reduction in REDUCTIONS:
        check(shim.fallback, lambda x, t: F.nll_loss(x, t, weight, reduction=reduction), logits, target, nested=True)  # noqa: B023
        check(shim.fallback, lambda x, t: F.cross_entropy(x, t, reduction=reduction), logits, target, nested=True)  # noqa: B023


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_a_target_out_of_range_is_refused(impl, name):
    with pytest.raises((IndexError, RuntimeError)):
        impl(getattr(F, name))(randn(3, 4, 5), torch.full((3, 4), 5, dtype=torch.long))


# --- rows


def labels(*sizes):
    """Some classes, then -1."""
    target = torch.full(sizes, -1, dtype=torch.long)
    target[..., 0], target[..., 1] = 3, 1
    return target


def kinds(*sizes):
    return torch.randint(0, 5, sizes[:-1])


def sides(*sizes):
    return signs(*sizes[:-1])


def zero_one(*sizes):
    return torch.randint(0, 2, sizes).double()


ROWS = {
    "multi_margin_loss": (randn, kinds),
    "multilabel_margin_loss": (randn, labels),
    "multilabel_soft_margin_loss": (randn, zero_one),
    "cosine_embedding_loss": (randn, randn, sides),
    "triplet_margin_loss": (randn, randn, randn),
}


@pytest.mark.parametrize("sample", [(4, 5), (5,)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", sorted(ROWS))
def test_losses_of_rows(impl, name, reduction, sample):
    function = getattr(F, name)
    args = [make(3, *sample) for make in ROWS[name]]
    check(impl, lambda *args: function(*args, reduction=reduction), *args, nested=True)
    check(
        impl,
        lambda *args: function(*args, reduction=reduction),
        args[0],
        *[arg[0] for arg in args[1:]],
        in_dims=(0,) + (None,) * (len(args) - 1),
    )


@pytest.mark.parametrize("name", sorted(ROWS))
def test_no_loop_over_losses_of_rows(no_loop, shim, name):
    check(shim.fallback, getattr(F, name), *[make(3, 4, 5) for make in ROWS[name]], nested=True)


def test_options_of_losses_of_rows(impl):
    x, w = randn(3, 4, 5), positive(5)
    check(impl, lambda x, t: F.multi_margin_loss(x, t, 2, 0.5, w), x, kinds(3, 4, 5))
    check(impl, lambda x, t: F.multilabel_soft_margin_loss(x, t, w), x, zero_one(3, 4, 5))
    check(impl, lambda x, t, w: F.multilabel_soft_margin_loss(x, t, w), x, zero_one(3, 4, 5), positive(3, 5))
    check(impl, lambda a, b, c: F.triplet_margin_loss(a, b, c, swap=True, p=1.0), x, randn(3, 4, 5), randn(3, 4, 5))
    check(impl, lambda a, b, t: F.cosine_embedding_loss(a, b, t, margin=0.2), x, randn(3, 4, 5), sides(3, 4, 5))


def test_ctc_loss(impl):
    lengths = torch.tensor([5, 5])
    sizes = torch.tensor([2, 3])

    def function(x, target):
        return F.ctc_loss(x.log_softmax(-1), target, lengths, sizes)

    check(impl, function, randn(3, 5, 2, 4), torch.randint(1, 4, (3, 2, 3)))
