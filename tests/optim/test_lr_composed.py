"""Schedulers that watch a metric, and schedulers of schedulers."""

import copy
import pickle
import warnings

import pytest
import torch
from _lr_cases import BASES, lrs_of, optimizer, run, wave

from torchcompat import SHIMS, at_least
from torchcompat.optim import lr_scheduler

TORCHS = torch.optim.lr_scheduler


def about(name):
    return pytest.mark.shim("optim.lr_scheduler." + name)


# A metric.


def on_plateau(impl, metrics, made=None, **settings):
    """The learning rates after each of *metrics*."""
    scheduler = impl(made or optimizer(), **settings)
    seen = []
    for metric in metrics:
        scheduler.step(metric)
        seen.append(lrs_of(scheduler.optimizer)[0])
        assert scheduler.get_last_lr() == lrs_of(scheduler.optimizer)
    return seen


@about("ReduceLROnPlateau")
def test_patience_and_cooldown(impl):
    assert on_plateau(impl, [1.0] * 7, factor=0.5, patience=2) == [1.0] * 3 + [0.5] * 3 + [0.25]
    assert on_plateau(impl, [1.0] * 5, factor=0.5, patience=0) == [1.0, 0.5, 0.25, 0.125, 0.0625]
    seen = on_plateau(impl, [1.0] * 8, factor=0.5, patience=0, cooldown=2)
    assert seen == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert on_plateau(impl, range(9, 0, -1), factor=0.5, patience=0) == [1.0] * 9


IMPROVEMENTS = [
    ("min", "rel", 0.1, 10.0, 8.9, 9.1),
    ("min", "abs", 0.1, 10.0, 9.8, 9.95),
    ("max", "rel", 0.1, 10.0, 11.1, 10.9),
    ("max", "abs", 0.1, 10.0, 10.2, 10.05),
    ("min", "abs", 0.1, -10.0, -10.2, -10.05),
    ("max", "abs", 0.0, 10.0, 10.1, 10.0),
]


@about("ReduceLROnPlateau")
@pytest.mark.parametrize(("mode", "threshold_mode", "threshold", "first", "better", "worse"), IMPROVEMENTS)
def test_what_is_better(impl, mode, threshold_mode, threshold, first, better, worse):
    settings = {"mode": mode, "threshold_mode": threshold_mode, "threshold": threshold, "patience": 0, "factor": 0.5}
    assert on_plateau(impl, [first, better], **settings) == [1.0, 1.0]
    assert on_plateau(impl, [first, worse], **settings) == [1.0, 0.5]
    assert on_plateau(impl, [first, float("nan")], **settings) == [1.0, 0.5]


@about("ReduceLROnPlateau")
def test_lowest_rate_and_smallest_change(impl):
    made = optimizer()
    on_plateau(impl, [1.0] * 9, made, factor=0.5, patience=0, min_lr=[0.2, 0.1])
    assert lrs_of(made) == [0.2, 0.1]
    made = optimizer()
    on_plateau(impl, [1.0] * 9, made, factor=0.5, patience=0, eps=0.2)
    assert lrs_of(made) == [0.25, 0.3]


@about("ReduceLROnPlateau")
def test_plateau_before_the_first_step(impl):
    scheduler = impl(optimizer())
    assert scheduler.get_last_lr() == BASES
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    assert isinstance(scheduler, TORCHS.ReduceLROnPlateau)
    assert issubclass(impl, lr_scheduler.LRScheduler)


@about("ReduceLROnPlateau")
def test_plateau_takes_what_is_a_number(impl):
    seen = on_plateau(impl, [torch.tensor(1.0), torch.tensor([1.0]), 1, True], factor=0.5, patience=0)
    assert seen == [1.0, 0.5, 0.25, 0.125]


@about("ReduceLROnPlateau")
def test_plateau_changes_a_tensor_in_place(impl):
    made = optimizer(tensor=True)
    tensors = [group["lr"] for group in made.param_groups]
    scheduler = impl(made, patience=0, factor=0.5)
    before = scheduler.get_last_lr()
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert all(group["lr"] is tensor for group, tensor in zip(made.param_groups, tensors))
    assert lrs_of(made) == pytest.approx([0.5, 0.15])
    assert [float(each) for each in before] == pytest.approx(BASES)


@about("ReduceLROnPlateau")
def test_plateau_state(impl):
    first = impl(optimizer(), "max", 0.5, 1, 0.1, "abs", 1)
    for metric in (1.0, 2.0, 2.05):
        first.step(metric)
    second = impl(optimizer())
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    third = copy.deepcopy(first)
    for scheduler in (first, second, third):
        seen = []
        for metric in (2.0, 2.0, 2.0, 2.0, 3.0, 3.0):
            scheduler.step(metric)
            seen.append(lrs_of(scheduler.optimizer)[0])
        assert seen == [0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


@about("ReduceLROnPlateau")
def test_plateau_groups_that_are_added_later(impl):
    new = {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 8.0}
    scheduler = impl(optimizer(), factor=0.5, patience=0, min_lr=0.1)
    scheduler.optimizer.add_param_group(dict(new))
    for _ in range(2):
        scheduler.step(1.0)
    assert lrs_of(scheduler.optimizer) == [0.5, 0.15, 4.0]
    scheduler = impl(optimizer(), factor=0.5, patience=0, min_lr=[0.1, 0.1])
    scheduler.optimizer.add_param_group(dict(new))
    scheduler.step(1.0)
    with pytest.raises(RuntimeError, match="min_lr"):
        scheduler.step(1.0)
    scheduler.min_lrs = [0.1] * 3
    scheduler.step(1.0)
    assert lrs_of(scheduler.optimizer) == [0.5, 0.15, 4.0]


@about("ReduceLROnPlateau")
def test_plateau_refuses(impl):
    made = optimizer()
    for settings in ({"factor": 1.0}, {"mode": "mean"}, {"threshold_mode": "log"}, {"min_lr": [0.1]}):
        with pytest.raises(ValueError):
            impl(made, **settings)
    with pytest.raises(TypeError, match="Optimizer"):
        impl(None)
    with pytest.raises(TypeError):
        impl(made, verbose=True)


@about("ReduceLROnPlateau")
def test_plateau_epoch(impl):
    scheduler = impl(optimizer())
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(1.0, epoch=5)
    assert scheduler.last_epoch == 5


# Schedulers of schedulers.


def warm_up(made, milestones=(4,)):
    return [lr_scheduler.LinearLR(made, 0.25, total_iters=4), lr_scheduler.ExponentialLR(made, 0.5)], list(milestones)


def warm_up_values():
    return [[base * (0.25 + 0.75 * t / 4) for base in BASES] for t in range(4)] + [
        [base * 0.5**t for base in BASES] for t in range(6)
    ]


@about("SequentialLR")
@pytest.mark.parametrize("tensor", [False, True])
def test_sequence(impl, tensor):
    made = optimizer(tensor=tensor)
    before = [group["lr"] for group in made.param_groups]
    scheduler = impl(made, *warm_up(made))
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    given = scheduler.get_last_lr()
    for seen, right in zip(run(scheduler, 9), warm_up_values()):
        assert seen == pytest.approx(right, rel=1e-6)
    assert scheduler.get_last_lr() == lrs_of(made)
    assert [float(each) for each in given] == pytest.approx([base / 4 for base in BASES])
    assert not tensor or all(group["lr"] is each for group, each in zip(made.param_groups, before))
    assert [float(group["initial_lr"]) for group in made.param_groups] == pytest.approx(BASES)


@about("SequentialLR")
def test_sequence_of_three_starts_with_the_first(impl):
    # Up to torch 1.13 the last one to be made had the first word.
    made = optimizer([1.0])
    schedulers = [
        lr_scheduler.ConstantLR(made, 0.1, total_iters=100),
        lr_scheduler.StepLR(made, 2, 0.5),
        lr_scheduler.CosineAnnealingLR(made, 4),
    ]
    seen = [each[0] for each in run(impl(made, schedulers, [3, 7]), 11)]
    assert seen == pytest.approx([0.1] * 3 + [1, 1, 0.5, 0.5] + [wave(t, 4) for t in range(5)])


@about("SequentialLR")
def test_sequence_whose_first_has_no_epoch(impl):
    made = optimizer([1.0])
    seen = [each[0] for each in run(impl(made, *warm_up(made, [0])), 3)]
    assert seen == [1.0, 0.5, 0.25, 0.125]


@about("SequentialLR")
@pytest.mark.skipif(not at_least(2, 15), reason="the oracle is the native of torch 2.15")
@pytest.mark.parametrize("inner", ["SequentialLR", "ChainedScheduler"])
def test_sequence_of_others_that_are_made_of_others(impl, inner):
    def values(outer_class, inner_class):
        made = optimizer([1.0])
        schedulers, milestones = warm_up(made, [2])
        first = inner_class(schedulers) if inner == "ChainedScheduler" else inner_class(made, schedulers, milestones)
        return run(outer_class(made, [first, lr_scheduler.StepLR(made, 9)], [5]), 7)

    with warnings.catch_warnings():
        # Which step of its schedulers is the first is not what it seems to be.
        warnings.filterwarnings("ignore", "Detected call of", UserWarning)
        assert values(impl, SHIMS["optim.lr_scheduler." + inner].fallback) == values(
            TORCHS.SequentialLR, getattr(TORCHS, inner)
        )


@about("SequentialLR")
def test_sequence_of_torchs_own(impl):
    made = optimizer([1.0])
    seen = run(impl(made, [TORCHS.StepLR(made, 2, 0.5), TORCHS.ExponentialLR(made, 0.1)], [3]), 5)
    assert [each[0] for each in seen] == pytest.approx([1.0, 1.0, 0.5, 1.0, 0.1, 0.01])


@about("SequentialLR")
def test_sequence_state(impl):
    first_optimizer, second_optimizer = optimizer(), optimizer()
    first = impl(first_optimizer, *warm_up(first_optimizer))
    run(first, 5)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    second = impl(second_optimizer, *warm_up(second_optimizer))
    second.load_state_dict(state)
    second_optimizer.load_state_dict(first_optimizer.state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    assert run(second, 4) == run(first, 4)
    assert run(copy.deepcopy(first), 3) == run(first, 3)


@about("SequentialLR")
def test_sequence_refuses(impl):
    made, other = optimizer(), optimizer()
    step = lr_scheduler.StepLR(made, 2)
    wrong = [([], []), ([step], [1]), ([step, step], []), ([step, lr_scheduler.StepLR(other, 2)], [1])]
    wrong += [([step, lr_scheduler.ReduceLROnPlateau(made)], [1]), ([step, TORCHS.ReduceLROnPlateau(made)], [1])]
    for schedulers, milestones in wrong:
        with pytest.raises(ValueError):
            impl(made, schedulers, milestones)
    with pytest.raises(TypeError, match=r"index 1|schedulers\[1\]"):
        impl(made, [step, object()], [1])


@about("ChainedScheduler")
@pytest.mark.parametrize("tensor", [False, True])
def test_chain(impl, tensor):
    made = optimizer(tensor=tensor)
    scheduler = impl([lr_scheduler.ConstantLR(made, 0.5, 3), lr_scheduler.ExponentialLR(made, 0.9)])
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    given = scheduler.get_last_lr()
    for t, seen in enumerate(run(scheduler, 8)):
        assert seen == pytest.approx([base * 0.9**t * (0.5 if t < 3 else 1) for base in BASES], rel=1e-6)
    assert scheduler.get_last_lr() == lrs_of(made)
    assert [float(each) for each in given] == pytest.approx([base / 2 for base in BASES])
    assert scheduler.optimizer is made


@about("ChainedScheduler")
def test_chain_state(impl):
    def chain(made):
        return impl([lr_scheduler.ConstantLR(made, 0.5, 3), lr_scheduler.ExponentialLR(made, 0.9)], optimizer=made)

    first, second = chain(optimizer()), chain(optimizer())
    run(first, 2)
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    assert run(second, 4) == run(first, 4)


@about("ChainedScheduler")
def test_chain_refuses(impl):
    made, other = optimizer(), optimizer()
    step = lr_scheduler.StepLR(made, 2)
    for wrong in ([], [step, lr_scheduler.StepLR(other, 2)], [step, TORCHS.ReduceLROnPlateau(made)]):
        with pytest.raises(ValueError):
            impl(wrong)
    with pytest.raises(ValueError):
        impl([step], other)
    with pytest.raises(TypeError):
        impl([step, object()])
