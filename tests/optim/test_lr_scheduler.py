"""The base class: kinship on every torch, schedulers of one's own, and the warnings."""

import gc
import warnings
import weakref
from abc import ABC, abstractmethod

import pytest
import torch
from _lr_cases import BASES, lrs_of, optimizer, run

from torchcompat.optim import lr_scheduler

pytestmark = pytest.mark.shim("optim.lr_scheduler.LRScheduler")
TORCHS = torch.optim.lr_scheduler


def halving(impl):
    class Halving(impl):
        """A scheduler of one's own."""

        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    return Halving


def test_torchs_schedulers_are_instances(impl):
    made = optimizer()
    assert isinstance(TORCHS.StepLR(made, 3), impl)
    assert isinstance(TORCHS.LambdaLR(made, float), impl)
    assert isinstance(TORCHS.CyclicLR(made, 0.1, 0.2), impl)
    assert isinstance(TORCHS.ReduceLROnPlateau(made), impl)
    assert issubclass(TORCHS.ExponentialLR, impl)
    assert issubclass(TORCHS.ReduceLROnPlateau, impl)
    assert issubclass(TORCHS._LRScheduler, impl)


def test_everything_torch_has_is_a_subclass(impl):
    found = [each for each in vars(TORCHS).values() if isinstance(each, type) and each.__name__.endswith("LR")]
    assert len(found) >= 6
    assert all(issubclass(each, impl) for each in found)


def test_all_of_ours_are_subclasses(impl):
    for name in lr_scheduler.__all__:
        assert issubclass(getattr(lr_scheduler, name), impl)


def test_schedulers_of_other_peoples_classes_are_instances(impl):
    class Theirs(TORCHS._LRScheduler):
        def get_lr(self):
            return self.base_lrs

    class OnPlateau(TORCHS.ReduceLROnPlateau):
        pass

    assert isinstance(Theirs(optimizer()), impl)
    assert isinstance(OnPlateau(optimizer()), impl)


def test_other_things_are_not(impl):
    made = optimizer()
    for other in (made, None, "LRScheduler", torch.nn.Linear(1, 1), TORCHS.StepLR, object()):
        assert not isinstance(other, impl)
    assert not isinstance(TORCHS.StepLR(made, 3), halving(impl))
    assert not issubclass(TORCHS.StepLR, halving(impl))
    assert not issubclass(impl, halving(impl))
    assert not isinstance(TORCHS.StepLR(made, 3), lr_scheduler.ExponentialLR)


def test_torch_takes_ones_own_for_a_scheduler(impl):
    mine = halving(impl)(optimizer())
    assert isinstance(mine, impl)
    assert isinstance(mine, getattr(TORCHS, "LRScheduler", TORCHS._LRScheduler))


def test_ones_own(impl):
    scheduler = halving(impl)(optimizer())
    for t, seen in enumerate(run(scheduler, 10)):
        assert seen == [base / 2**t for base in BASES]
    assert scheduler.get_last_lr() == [base / 2**10 for base in BASES]
    assert scheduler.last_epoch == 10


def test_ones_own_state(impl):
    first = halving(impl)(optimizer())
    run(first, 4)
    second = halving(impl)(optimizer())
    second.load_state_dict(first.state_dict())
    second.optimizer.step()
    second.step()
    assert "optimizer" not in first.state_dict()
    assert second.get_last_lr() == [base / 2**5 for base in BASES]


def test_ones_own_closed_form(impl):
    class Both(halving(impl)):
        def _get_closed_form_lr(self):
            return [self.last_epoch + base for base in self.base_lrs]

    scheduler = Both(optimizer())
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match=r"epoch parameter in `scheduler.step\(\)`"):
        scheduler.step(7)
    assert scheduler.get_last_lr() == [7 + base for base in BASES]


def test_ones_own_of_a_tensor(impl):
    made = optimizer(tensor=True)
    tensors = [group["lr"] for group in made.param_groups]
    scheduler = halving(impl)(made)
    given = scheduler.get_last_lr()
    run(scheduler, 3)
    assert [group["lr"] for group in made.param_groups] == tensors
    assert lrs_of(made) == pytest.approx([base / 8 for base in BASES])
    assert [float(lr) for lr in given] == pytest.approx(BASES)
    assert [float(lr) for lr in scheduler.base_lrs] == pytest.approx(BASES)


def test_ones_own_may_be_abstract(impl):
    class Abstract(impl, ABC):
        @abstractmethod
        def get_lr(self):
            """The rates."""

    class Concrete(Abstract):
        def get_lr(self):
            return self.base_lrs

    with pytest.raises(TypeError, match="abstract"):
        Abstract(optimizer())
    assert isinstance(Concrete(optimizer()), impl)


@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
def test_ones_own_among_others(impl, name):
    made = optimizer()
    both = [halving(impl)(made), lr_scheduler.ExponentialLR(made, 0.5)]
    if name == "ChainedScheduler":
        seen = run(lr_scheduler.ChainedScheduler(both), 3)
        assert seen == [[base / 2**t * (0.5 if t else 1) for base in BASES] for t in range(4)]
    else:
        seen = run(lr_scheduler.SequentialLR(made, both, [3]), 6)
        assert seen == [[base / 2**t for base in BASES] for t in (0, 1, 2, 0, 1, 2, 3)]


def test_get_lr_is_needed(impl):
    with pytest.raises(NotImplementedError):
        impl(optimizer())


def test_early_step(impl):
    scheduler = halving(impl)(optimizer())
    with pytest.warns(UserWarning, match=r"^Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()  # and only once


def test_no_warning_after_a_step_of_the_optimizer(impl):
    made = optimizer()
    first, second = halving(impl)(made), halving(impl)(made)
    made.step()
    first.step()
    second.step()
    halving(impl)(made).step()


def test_torchs_own_sees_the_steps_and_so_does_it(impl):
    # Whichever came first has wrapped optimizer.step().
    for order in (0, 1):
        made = optimizer()
        makers = [halving(impl), lambda made: TORCHS.StepLR(made, 3)]
        schedulers = [make(made) for make in (makers[::-1] if order else makers)]
        made.step()
        for scheduler in schedulers:
            scheduler.step()
        made = optimizer()
        schedulers = [make(made) for make in (makers[::-1] if order else makers)]
        for scheduler in schedulers:
            with pytest.warns(UserWarning, match="Detected call of"):
                scheduler.step()


def test_an_overridden_step(impl):
    made = optimizer()
    scheduler = halving(impl)(made)
    made.step = lambda: None
    with pytest.warns(UserWarning, match=r"^Seems like `optimizer.step\(\)` has been overridden"):
        scheduler.step()


def test_the_optimizers_step_is_still_its_own(impl):
    made = optimizer()
    parameter = made.param_groups[0]["params"][0]
    name = made.step.__name__
    halving(impl)(made)
    halving(impl)(made)
    parameter.grad = torch.ones(1)
    assert made.step(lambda: 3.5) == 3.5
    assert parameter.item() == 0.0
    assert made.step.__name__ == name


def test_get_lr_outside_a_step(impl):
    scheduler = lr_scheduler.StepLR(optimizer(), 2)
    with pytest.warns(UserWarning, match=r"^To get the last learning rate .* `get_last_lr\(\)`"):
        assert scheduler.get_lr() == BASES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        halving(impl)(optimizer()).get_lr()


def test_resume_needs_initial_lr(impl):
    with pytest.raises(KeyError, match="initial_lr"):
        halving(impl)(optimizer(), last_epoch=3)
    made = optimizer()
    for group in made.param_groups:
        group["initial_lr"] = 8.0
    scheduler = halving(impl)(made, 1)
    assert scheduler.base_lrs == [8.0, 8.0]
    assert lrs_of(made) == [2.0, 2.0]


def test_an_initial_lr_that_is_there_is_kept(impl):
    made = optimizer()
    made.param_groups[1]["initial_lr"] = 4.0
    assert halving(impl)(made).base_lrs == [1.0, 4.0]


def test_an_optimizer_is_needed(impl):
    for other in (None, [torch.ones(1)], TORCHS.StepLR(optimizer(), 3)):
        with pytest.raises(TypeError, match=r"is not an Optimizer|must be a torch\.optim\.Optimizer"):
            halving(impl)(other)


@pytest.mark.limit("rates")
def test_another_number_of_rates_changes_nothing(impl):
    class Short(impl):
        def get_lr(self):
            return [5.0 + self.last_epoch] * (len(self.base_lrs) - (self.last_epoch > 0))

    scheduler = Short(optimizer())
    scheduler.optimizer.step()
    with pytest.raises(ValueError):
        scheduler.step()
    assert lrs_of(scheduler.optimizer) == [5.0, 5.0]


def test_the_optimizer_lives_no_longer_than_its_users(impl):
    scheduler = halving(impl)(optimizer())
    run(scheduler, 2)
    kept = weakref.ref(scheduler.optimizer)
    gc.disable()
    try:
        del scheduler
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR", "LambdaLR"])
def test_step_to_an_epoch_uses_the_closed_form(impl, name):
    settings = {
        "StepLR": ({"step_size": 2, "gamma": 0.5}, 0.125),
        "MultiStepLR": ({"milestones": [5, 6, 8], "gamma": 0.5}, 0.25),
        "ExponentialLR": ({"gamma": 0.5}, 0.5**7),
        "CosineAnnealingLR": ({"T_max": 7}, 0.0),
        "LambdaLR": ({"lr_lambda": lambda t: 1 / (1 + t)}, 0.125),
    }
    arguments, factor = settings[name]
    scheduler = getattr(lr_scheduler, name)(optimizer(), **arguments)
    assert isinstance(scheduler, impl)
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(7)
    assert scheduler.get_last_lr() == pytest.approx([base * factor for base in BASES])
