"""The contract of all first-order optimisers: one class of tests, made anew for each row of the table of cases."""

import copy
import functools
import io
import os
import pickle
import warnings

import numpy as np
import optim_cases
import optim_exchange as exchange
import pytest
import torch
from optim_cases import (
    CASES,
    HAS_COMPLEX,
    ONE_STEP,
    START,
    TAKES_COMPLEX,
    differentiate,
    follows,
    goes_back,
    goes_back_one_step_only,
    gradient,
    one_step,
    parameter,
    trajectory,
)

from torchcompat import at_least
from torchcompat.compiler import COMPILES

READ = functools.partial(torch.load, weights_only=False) if at_least(1, 13) else torch.load


@pytest.fixture
def case(shim):
    return optim_cases.of(shim)


def run(impl, shim, options, dtype=torch.float64, steps=6):
    param = parameter(dtype)
    return trajectory(shim, impl([param], **options), param, steps)


class Shared:
    """What is the work of the base class: asked of a few, or of all if TORCHCOMPAT_FULL is set."""

    def test_parameters_without_gradient_are_left_alone(self, impl, shim):
        param, other = parameter(), parameter()
        optimizer = impl([param, other])
        differentiate(shim, param, 1)
        optimizer.step()
        assert (other.detach().numpy() == START).all()
        assert not (param.detach().numpy() == START).all()
        impl([{"params": []}]).step()

    def test_wrong_parameters_are_refused(self, impl):
        param = parameter()
        for wrong, error in [
            (param, TypeError),
            ([], ValueError),
            ([3], TypeError),
            ([param * 1], ValueError),
            ([{"params": [param]}, {"params": [param]}], ValueError),
            ([{"params": {param}}], TypeError),
        ]:
            with pytest.raises(error):
                impl(wrong)
        with pytest.raises(TypeError):
            impl([param]).add_param_group([parameter()])
        with pytest.warns(UserWarning, match="duplicate|twice"):
            impl([param, param])

    def test_a_set_has_no_order(self, shim):
        # Torch's own warns too, by now.
        with pytest.warns(FutureWarning):
            shim.fallback({parameter()})

    def test_zero_grad(self, impl, shim):
        param, other = parameter(), parameter()
        optimizer = impl([param, other])
        differentiate(shim, param, 1)
        optimizer.zero_grad(set_to_none=False)
        assert param.grad.to_dense().abs().sum() == 0 if param.grad.is_sparse else param.grad.abs().sum() == 0
        assert other.grad is None
        optimizer.zero_grad()
        assert param.grad is None

    def test_step_hooks(self, impl, shim):
        param = parameter()
        optimizer = impl([param])
        calls = []
        handle = optimizer.register_step_pre_hook(lambda *given: calls.append(("before",) + given))
        optimizer.register_step_pre_hook(lambda opt, args, kwargs: ((opt, lambda: 5), {}))
        optimizer.register_step_post_hook(lambda *given: calls.append(("after",) + given))
        differentiate(shim, param, 1)
        assert optimizer.step() == 5
        assert [call[0] for call in calls] == ["before", "after"]
        assert calls[0][1] is optimizer
        handle.remove()
        optimizer.step()
        assert [call[0] for call in calls] == ["before", "after", "after"]
        optimizer.register_step_pre_hook(lambda *given: "nonsense")
        with pytest.raises(RuntimeError):
            optimizer.step()

    def test_state_dict_hooks(self, impl):
        optimizer = impl([parameter()])
        calls = []
        optimizer.register_state_dict_pre_hook(lambda opt: calls.append("second"))
        optimizer.register_state_dict_pre_hook(lambda opt: calls.append("first"), prepend=True)
        optimizer.register_state_dict_post_hook(lambda opt, state: dict(state, extra=1))
        handle = optimizer.register_load_state_dict_pre_hook(lambda opt, state: state.pop("extra") and None)
        optimizer.register_load_state_dict_post_hook(lambda opt: calls.append("loaded"))
        saved = optimizer.state_dict()
        assert saved["extra"] == 1
        optimizer.load_state_dict(saved)
        assert saved["extra"] == 1, "the hook has a copy"
        assert calls == ["first", "second", "loaded"]
        handle.remove()
        optimizer.load_state_dict(saved)

    def test_a_state_dict_of_another_shape_is_refused(self, impl):
        optimizer = impl([parameter()])
        for wrong in ([{"params": [parameter(), parameter()]}], [{"params": [parameter()]}, {"params": [parameter()]}]):
            with pytest.raises(ValueError):
                optimizer.load_state_dict(impl(wrong).state_dict())

    def test_it_is_one_of_torchs(self, impl, shim):
        param = parameter()
        optimizer = impl([param], lr=0.5)
        assert isinstance(optimizer, torch.optim.Optimizer)
        assert shim.native is None or isinstance(optimizer, shim.native)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        differentiate(shim, param, 1)
        optimizer.step()
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == 0.25

    def test_a_subclass_steps_with_hooks(self, impl, shim):
        class Own(impl):
            def step(self, closure=None):
                return ("own", super().step(closure))

        param = parameter()
        optimizer = Own([param])
        calls = []
        optimizer.register_step_post_hook(lambda *given: calls.append(1))
        differentiate(shim, param, 1)
        assert optimizer.step() == ("own", None)
        assert calls


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own
class Contract:
    def test_steps_are_those_of_the_paper(self, impl, shim, case):
        for options in case.variants:
            right, bound = case.expected(options), case.bound(options)
            follows(run(impl, shim, options), right, bound, options)
            follows(run(impl, shim, options, torch.float32), right, max(bound, 2e-5), options)

    def test_every_keyword_and_flag_is_taken(self, impl, shim, case):
        everything = dict(case.defaults, **{flag: None for flag in case.flags if flag in ("foreach", "fused")})
        everything.update({flag: False for flag in case.flags if flag not in everything})
        if shim.name == "optim.AdamW":
            del everything["decoupled_weight_decay"]
        follows(run(impl, shim, everything), case.expected({}), case.bound({}))
        if "foreach" in case.flags:
            for options in case.variants:
                follows(
                    run(impl, shim, dict(options, foreach=True)), case.expected(options), case.bound(options), options
                )

    @pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
    def test_torchs_compiler_changes_nothing(self, impl, shim, case):
        # Loading it takes what is around torch's own steps away, or puts more around them.
        if shim.native is not None:
            shim.native([parameter()], lr=0.1)
        torch.compile(torch.sin, backend="eager")(torch.ones(1))
        param, calls = parameter(), []
        optimizer = impl([param], **({"foreach": True} if "foreach" in case.flags else {}))
        optimizer.register_step_post_hook(lambda *given: calls.append(1))
        follows(trajectory(shim, optimizer, param), case.expected({}), case.bound({}))
        assert len(calls) == len(case.expected({}))

    def test_wrong_numbers_are_refused(self, impl, shim, case):
        for name, value in case.too_small.items():
            with pytest.raises(ValueError):
                impl([parameter()], **{name: value})
            if shim.name == "optim.SGD":
                impl([parameter()], **{name: float("nan")})
                continue
            with pytest.raises(ValueError):
                impl([parameter()], **{name: float("nan")})
        with pytest.raises(TypeError):
            impl([parameter()], no_such_option=1)
        with pytest.raises(TypeError):
            impl([parameter()], lr="fast")
        for betas in [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9)]:
            with pytest.raises((ValueError, TypeError)):
                impl([parameter()], betas=betas)

    def test_flags_that_it_does_not_have_are_refused(self, impl, case):
        for flag in {"fused", "capturable", "maximize", "differentiable"} - set(case.flags):
            with pytest.raises(TypeError):
                impl([parameter()], **{flag: True})

    def test_fused_and_capturable(self, impl, shim, case):
        if "fused" in case.flags:
            self.fused(impl, shim, case)
        if "capturable" in case.flags:
            with pytest.raises(AssertionError, match="capturable"):
                run(impl, shim, {"capturable": True}, steps=1)

    def fused(self, impl, shim, case):
        with pytest.raises(RuntimeError, match="foreach"):
            impl([parameter()], fused=True, foreach=True)
        with pytest.raises(RuntimeError, match="differentiable"):
            impl([parameter()], fused=True, differentiable=True)
        follows(run(impl, shim, {"fused": True}), case.expected({}), 1e-6)

    def test_learning_rates(self, impl, shim, case):
        lr = torch.tensor(0.25)
        follows(run(impl, shim, {"lr": lr}), case.expected({"lr": 0.25}), max(case.bound({"lr": 0.25}), 1e-6))
        if shim.name == "optim.SparseAdam":
            with pytest.raises(ValueError):
                impl([parameter()], lr=0)
            return
        smallest = 0.0 if shim.name != "optim.Rprop" else 1e-5
        follows(run(impl, shim, {"lr": 0}), [START] * 6, smallest)

    @pytest.mark.limit("tensor lr", shared=True)
    def test_learning_rate_of_one_dimension(self, impl, shim, case):
        lr = torch.tensor([0.25])
        follows(run(impl, shim, {"lr": lr}), case.expected({"lr": 0.25}), max(case.bound({"lr": 0.25}), 1e-6))
        with pytest.raises(ValueError):
            impl([parameter()], lr=torch.tensor([0.1, 0.1]))

    def test_maximize_goes_along_the_gradient(self, impl, shim, case):
        if "maximize" not in case.flags:
            return
        up, down = parameter(), parameter()
        maximise, minimise = impl([up], lr=0.01, maximize=True), impl([down], lr=0.01)
        for t in range(1, 5):
            differentiate(shim, up, t)
            down.grad = up.grad * -1
            maximise.step()
            minimise.step()
            np.testing.assert_allclose(up.detach().numpy(), down.detach().numpy(), rtol=1e-12)
        assert not np.allclose(up.detach().numpy(), START)

    def test_autograd_goes_through_a_differentiable_step(self, impl, shim, case):
        if "differentiable" not in case.flags:
            return

        # SGD takes its first momentum for a constant, as torch's does.
        for options in ({}, *case.variants):
            steps = 1 if impl is shim.native and goes_back_one_step_only(shim, options) else 2
            if not options.get("momentum"):
                assert goes_back(impl, options, steps), options

    def test_autograd_goes_back_to_what_nadam_has_multiplied(self, impl, shim, case):
        if shim.name != "optim.NAdam":
            return

        def stepped(product):
            param = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True) * 1
            optimizer = impl([param], lr=0.05, differentiable=True)
            for _ in range(2):
                param.retain_grad()
                param.grad = torch.tensor([0.4, 1.3, -0.7], dtype=torch.float64)
                optimizer.step()
                optimizer.state[param]["mu_product"] = product * 1
            return param

        assert torch.autograd.gradcheck(stepped, (torch.tensor(0.3, dtype=torch.float64, requires_grad=True),))

    def test_complex_parameters_are_pairs_of_real_ones(self, impl, shim, case):
        if not HAS_COMPLEX:
            pytest.skip("complex tensors before torch 1.8")
        param = torch.nn.Parameter(torch.complex(*torch.tensor(START, dtype=torch.float64)))
        if shim.name[len("optim.") :] not in TAKES_COMPLEX:
            param.grad = torch.ones_like(param)
            with pytest.raises((ValueError, RuntimeError)):
                impl([param]).step()
            return
        for options in case.variants:
            pair = torch.nn.Parameter(torch.tensor(START.T.copy()))
            param = torch.nn.Parameter(torch.view_as_complex(pair.detach().clone()))
            optimizers = impl([param], **options), impl([pair], **options)
            for t in range(1, 4):
                pair.grad = pair.detach() * 2 + (-1) ** t * 0.4
                param.grad = torch.view_as_complex(pair.grad.clone())
                for optimizer in optimizers:
                    optimizer.step()
                np.testing.assert_allclose(torch.view_as_real(param.detach()).numpy(), pair.detach().numpy(), 1e-9)

    def test_sparse_gradients(self, impl, shim):
        sparse, dense = parameter(), parameter()
        sparse.grad = gradient(dense.detach(), 1).to_sparse()
        dense.grad = sparse.grad.to_dense()
        if shim.name == "optim.SparseAdam":
            with pytest.raises(RuntimeError, match="dense"):
                impl([dense]).step()
            impl([sparse]).step()
        elif shim.name in ("optim.SGD", "optim.Adagrad"):
            impl([sparse]).step()
            impl([dense]).step()
            np.testing.assert_allclose(sparse.detach().numpy(), dense.detach().numpy(), rtol=1e-12)
        else:
            with pytest.raises(RuntimeError, match="sparse"):
                impl([sparse]).step()
            assert (sparse.detach().numpy() == START).all()

    def test_closure(self, impl, shim, case):
        param = parameter()
        optimizer = impl([param])

        def closure():
            assert torch.is_grad_enabled()
            differentiate(shim, param, 1)
            return torch.tensor(7.0)

        with torch.no_grad():
            assert optimizer.step(closure).item() == 7.0
        follows([param.detach().numpy()], case.expected({}, 1), case.bound({}))
        assert optimizer.step() is None

    def test_groups_have_their_own_options(self, impl, shim, case):
        param, other = parameter(), parameter()
        optimizer = impl([{"params": param, "lr": 0.25}, {"params": [other]}], lr=0.01)
        assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.01]
        one_step(case, shim, optimizer, {param: 0.25, other: 0.01})

    @pytest.mark.limit("late groups", shared=True)
    def test_a_group_that_is_added_later(self, impl, shim, case):
        param, late = parameter(), parameter()
        optimizer = impl([param], lr=0.01)
        optimizer.add_param_group({"params": (late,), "lr": 0.125})
        assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.125]
        one_step(case, shim, optimizer, {param: 0.01, late: 0.125})

    @pytest.mark.limit("names", shared=True)
    def test_named_parameters(self, impl, shim, case):
        param, other = parameter(), parameter()
        optimizer = impl([("weight", param), ("bias", other)])
        follows(trajectory(shim, optimizer, param), case.expected({}), case.bound({}))
        saved = optimizer.state_dict()
        assert saved["param_groups"][0]["param_names"] == ["weight", "bias"]
        assert saved["param_groups"][0]["params"] == [0, 1]
        renamed = impl([("a", parameter()), ("b", parameter())])
        renamed.load_state_dict(saved)
        assert renamed.param_groups[0]["param_names"] == ["weight", "bias"]
        unnamed = impl([parameter(), parameter()]).state_dict()
        assert "param_names" not in unnamed["param_groups"][0]
        renamed.load_state_dict(unnamed)
        assert renamed.param_groups[0]["param_names"] == ["weight", "bias"]
        with pytest.raises(ValueError, match="names"):
            impl([("weight", param), other])
        with pytest.raises(ValueError, match="names"):
            optimizer.add_param_group({"params": [parameter()]})
        assert len(optimizer.param_groups) == 1

    def test_what_is_saved(self, impl, shim, case):
        param = parameter()
        optimizer = impl([param])
        trajectory(shim, optimizer, param, 2)
        saved = optimizer.state_dict()
        assert sorted(saved) == ["param_groups", "state"]
        (group,) = saved["param_groups"]
        assert group["params"] == [0]
        assert set(group) == set(case.defaults) | set(case.flags) | {"params"}
        if not case.state:
            assert saved["state"] == {}
            return
        assert sorted(saved["state"][0]) == sorted(case.state)
        step = saved["state"][0].get("step", 2)
        assert step == 2
        if isinstance(step, torch.Tensor):
            assert (step.dtype, step.dim(), step.device.type) == (torch.float32, 0, "cpu")

    def test_training_resumes(self, impl, shim, case):
        for options in case.variants:
            param = parameter()
            optimizer = impl([param], **options)
            trajectory(shim, optimizer, param, 3)
            again = parameter(values=param.detach().numpy().copy())
            file = io.BytesIO()
            torch.save(optimizer.state_dict(), file)
            file.seek(0)
            resumed = impl([again])
            resumed.load_state_dict(READ(file))
            follows(
                trajectory(shim, resumed, again, 3, first=4), case.expected(options)[3:], max(case.bound(options), 1e-6)
            )

    def test_a_file_of_an_old_torch_resumes(self, impl, shim, case):
        # Below 1.12 the counters were numbers, and below 1.11 to 2.7 most flags were not there.
        for options in case.variants:
            if options.get("decoupled_weight_decay"):
                continue
            param = parameter()
            optimizer = impl([param], **options)
            trajectory(shim, optimizer, param, 3)
            again = parameter(values=param.detach().numpy().copy())
            saved = copy.deepcopy(optimizer.state_dict())
            for flag in case.flags:
                # Adafactor had it from its first day.
                if (shim.name, flag) != ("optim.Adafactor", "maximize"):
                    del saved["param_groups"][0][flag]
            saved["param_groups"][0]["params"] = [140123]
            saved["param_groups"][0]["initial_lr"] = 0.5
            saved["state"] = {140123: {key: as_number(value) for key, value in saved["state"].get(0, {}).items()}}
            resumed = impl([again])
            resumed.load_state_dict(saved)
            follows(
                trajectory(shim, resumed, again, 3, first=4), case.expected(options)[3:], max(case.bound(options), 1e-6)
            )
            assert resumed.state_dict()["param_groups"][0]["initial_lr"] == 0.5

    def test_state_is_cast_to_its_parameter(self, impl, shim):
        param, half = parameter(), parameter(torch.float32)
        optimizer = impl([param])
        trajectory(shim, optimizer, param, 1)
        other = impl([half])
        other.load_state_dict(optimizer.state_dict())
        for value in other.state[half].values():
            assert not isinstance(value, torch.Tensor) or value.dtype == torch.float32

    def test_copies_and_pickles(self, impl, shim, case):
        param = parameter()
        optimizer = impl([param], lr=0.3)
        trajectory(shim, optimizer, param, 3)
        for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            assert type(copied) is impl
            (again,) = copied.param_groups[0]["params"]
            assert again is not param
            rest = trajectory(shim, copied, again, 3, first=4)
            follows(rest, case.expected({"lr": 0.3})[3:], case.bound({"lr": 0.3}))
            assert repr(copied).startswith(impl.__name__)

    def test_bits_are_those_of_torch(self, impl, shim, case):
        if not shim.meets_contract:
            pytest.skip(f"torch's own meets the contract since {shim.since}")
        # Both by the loop: kernels that fuse round otherwise.
        loop = {"foreach": False} if "foreach" in case.flags else {}
        for dtype in (torch.float32, torch.bfloat16):
            for options in case.variants:
                if dtype is torch.bfloat16 and shim.name == "optim.SparseAdam":
                    continue
                options = dict(options, **loop)
                ours = run(impl, shim, options, dtype, 3)
                follows(ours, run(shim.native, shim, options, dtype, 3), 1e-6, (dtype, options))


def as_number(value):
    return value.item() if isinstance(value, torch.Tensor) and value.dim() == 0 else value


# One without state, one that torch has fused, one with a state before the first step, and one of sparse gradients.
SHARED = CASES if os.environ.get("TORCHCOMPAT_FULL") else ("SGD", "Adam", "Adagrad", "SparseAdam")

for _name in CASES:
    _laws = (Contract, Shared) if _name in SHARED else (Contract,)
    globals()["Test" + _name] = pytest.mark.shim("optim." + _name)(type("Test" + _name, _laws, {}))


class TwoSteps:
    @pytest.mark.limit("two steps")
    def test_autograd_goes_back_through_two_steps(self, impl, shim):
        assert goes_back(impl, ONE_STEP[shim.name[len("optim.") :]], 2)


for _name in ONE_STEP:
    globals()[f"Test{_name}Twice"] = pytest.mark.shim("optim." + _name)(type(f"Test{_name}Twice", (TwoSteps,), {}))


@pytest.mark.shim("optim.Muon")
@pytest.mark.skipif(not at_least(1, 3), reason="torch 1.2 computes nothing in bfloat16")
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_momentum_of_muon_is_not_written_over(impl, nesterov):
    param = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.bfloat16))
    param.grad = torch.ones(2, 3, dtype=torch.bfloat16)
    optimizer = impl([param], lr=0.0, weight_decay=0.0, momentum=0.875, nesterov=nesterov)
    optimizer.step()
    # An eighth of the gradient, in bfloat16 without an error.
    assert optimizer.state[param]["momentum_buffer"].float().tolist() == [[0.125] * 3] * 2


def test_exchange_with_this_very_torch(tmp_path):
    # With another: see optim_exchange.py.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exchange.save(str(tmp_path))
        problems = exchange.load(str(tmp_path))
    assert problems == {}
