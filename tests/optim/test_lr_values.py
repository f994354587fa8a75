"""Every scheduler that steps by epochs: the closed forms, states, copies, tensors as learning rates, kinship."""

import copy
import pickle

import pytest
import torch
from _lr_cases import BASES, CASES, STEPS, optimizer, run

from torchcompat import SHIMS, at_least
from torchcompat.optim import lr_scheduler

CLOSE = {"rel": 1e-9, "abs": 1e-12}


class Laws:
    """What holds of each scheduler of the table; a subclass names one."""

    name: str
    # Whether a scheduler made with the last epoch of another one, minus 1, leaves the learning rate where it was.
    resumes = False

    def expected(self, closed):
        return [[closed(base, t) for base in BASES] for t in range(STEPS + 1)]

    def test_closed_form(self, impl):
        for settings, closed in CASES[self.name]:
            seen = run(impl(optimizer(), **settings))
            for ours, right in zip(seen, self.expected(closed)):
                assert ours == pytest.approx(right, **CLOSE), settings

    def test_get_last_lr_is_what_the_groups_have(self, impl):
        for settings, _ in CASES[self.name]:
            scheduler = impl(optimizer(), **settings)
            for _ in range(4):
                assert scheduler.get_last_lr() == run(scheduler, 1)[0]

    def test_tensor_lr_is_changed_in_place(self, impl):
        for settings, closed in CASES[self.name]:
            made = optimizer(tensor=True)
            tensors = [group["lr"] for group in made.param_groups]
            seen = run(impl(made, **settings))
            assert all(group["lr"] is tensor for group, tensor in zip(made.param_groups, tensors))
            for ours, right in zip(seen, self.expected(closed)):
                assert ours == pytest.approx(right, rel=1e-4, abs=1e-5), settings

    def test_what_it_gives_out_is_not_the_tensor_that_it_changes(self, impl):
        for settings, _ in CASES[self.name]:
            made = optimizer(tensor=True)
            scheduler = impl(made, **settings)
            given = scheduler.get_last_lr() + scheduler.base_lrs
            before = [float(each) for each in given]
            run(scheduler, 4)
            assert [float(each) for each in given] == before
            for mine in (scheduler.get_last_lr(), scheduler.base_lrs):
                for each in mine:
                    assert not torch.is_tensor(each) or all(each is not group["lr"] for group in made.param_groups)

    def test_state(self, impl):
        for settings, _ in CASES[self.name]:
            whole = run(impl(optimizer(), **settings))
            first = impl(optimizer(), **settings)
            run(first, 7)
            saved = pickle.loads(pickle.dumps((first.optimizer.state_dict(), first.state_dict())))
            second = impl(optimizer([0.7, 0.8]), **settings)
            second.load_state_dict(saved[1])
            second.optimizer.load_state_dict(saved[0])
            assert second.get_last_lr() == whole[7]
            for ours, right in zip(run(second, STEPS - 7), whole[7:]):
                assert ours == pytest.approx(right, **CLOSE), settings

    def test_a_loaded_state_stays_whole(self, impl):
        for settings, _ in CASES[self.name]:
            scheduler = impl(optimizer(), **settings)
            state = scheduler.state_dict()
            keys = set(state)
            scheduler.load_state_dict(state)
            assert set(state) == keys

    def test_copies_and_pickles(self, impl, shim):
        for settings, _ in CASES[self.name]:
            scheduler = impl(optimizer(), **settings)
            run(scheduler, 5)
            others = [copy.deepcopy(scheduler)]
            if impl is shim.public:  # which alone can be found by its name
                others.append(pickle.loads(pickle.dumps(scheduler)))
            right = run(scheduler, 10)
            for other in others:
                assert other.optimizer is not scheduler.optimizer
                assert run(other, 10) == right

    def test_is_a_scheduler(self, impl):
        settings, _ = CASES[self.name][0]
        scheduler = impl(optimizer(), **settings)
        assert isinstance(scheduler, lr_scheduler.LRScheduler)
        assert issubclass(impl, lr_scheduler.LRScheduler)
        assert isinstance(scheduler, SHIMS["optim.lr_scheduler.LRScheduler"].fallback)

    def test_resume_by_last_epoch(self, impl):
        for settings, _ in CASES[self.name] if self.resumes else ():
            first = impl(optimizer(), **settings)
            run(first, 3)
            seen = run(impl(first.optimizer, **dict(settings, last_epoch=2)), 10)
            for ours, right in zip(seen, run(impl(optimizer(), **settings))[3:]):
                assert ours == pytest.approx(right, **CLOSE), settings

    def test_the_fallback_is_kin_of_torchs(self, impl, shim):
        if shim.native is not None:
            settings, _ = CASES[self.name][0]
            assert issubclass(impl, shim.native)
            assert isinstance(shim.native(optimizer(), **settings), shim.fallback)
            assert not isinstance(shim.native(optimizer(), **settings), type("Own", (shim.fallback,), {}))

    @pytest.mark.skipif(not at_least(2, 15), reason="the oracle is the native of torch 2.15")
    def test_the_fallback_is_the_native(self, shim):
        for settings, _ in CASES[self.name]:
            for last_epoch, tensor in [(-1, False), (-1, True), (0, False), (4, False), (9, False)]:
                self.compare(shim, settings, last_epoch, tensor)

    def compare(self, shim, settings, last_epoch, tensor):
        schedulers = []
        for scheduler_class in (shim.fallback, shim.native):
            made = optimizer(tensor=tensor)
            if last_epoch >= 0:
                scheduler_class(made, **settings)
            schedulers.append(scheduler_class(made, **dict(settings, last_epoch=last_epoch)))
        ours, torchs = schedulers
        for seen, right in zip(*[run(scheduler, 15) for scheduler in schedulers]):
            assert seen == pytest.approx(right, rel=1e-6 if tensor else 1e-12), settings
        assert set(ours.state_dict()) == set(torchs.state_dict())
        assert set(ours.optimizer.param_groups[0]) == set(torchs.optimizer.param_groups[0])
        torchs.load_state_dict(ours.state_dict())
        assert torchs.state_dict() == ours.state_dict()


def laws(name, resumes=False):
    marked = pytest.mark.shim("optim.lr_scheduler." + name)
    return marked(type("Test" + name, (Laws,), {"name": name, "resumes": resumes, "__module__": __name__}))


TestLambdaLR = laws("LambdaLR", resumes=True)
TestMultiplicativeLR = laws("MultiplicativeLR", resumes=True)
TestStepLR = laws("StepLR")
TestMultiStepLR = laws("MultiStepLR")
TestConstantLR = laws("ConstantLR")
TestLinearLR = laws("LinearLR", resumes=True)
TestExponentialLR = laws("ExponentialLR", resumes=True)
TestPolynomialLR = laws("PolynomialLR", resumes=True)
TestCosineAnnealingLR = laws("CosineAnnealingLR", resumes=True)
TestCosineAnnealingWarmRestarts = laws("CosineAnnealingWarmRestarts")


@pytest.mark.shim("optim.lr_scheduler.CyclicLR")
class TestCyclicLR(Laws):
    name = "CyclicLR"

    @pytest.mark.limit("mutates")
    def test_a_loaded_state_stays_whole(self, impl):
        super().test_a_loaded_state_stays_whole(impl)


TestOneCycleLR = laws("OneCycleLR")
