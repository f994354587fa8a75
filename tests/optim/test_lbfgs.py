"""LBFGS: against closed forms, Newton's method on a quadratic, and torch's own."""

import copy
import functools
import io
import pickle

import numpy as np
import pytest
import torch

from torchcompat import at_least
from torchcompat.compiler import COMPILES

READ = functools.partial(torch.load, weights_only=False) if at_least(1, 13) else torch.load
pytestmark = pytest.mark.shim("optim.LBFGS")

MATRIX = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)
VECTOR = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
SOLUTION = np.linalg.solve(MATRIX.numpy(), VECTOR.numpy())


def parameter():
    return torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))


def closure_of(optimizer, loss):
    def closure():
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


def quadratic(param, sign=1):
    return lambda: sign * (0.5 * param @ MATRIX @ param - VECTOR @ param)


def rosenbrock(param):
    return lambda: (1 - param[0]) ** 2 + 100 * (param[1] - param[0] ** 2) ** 2


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("sign", [1, -1])
def test_it_solves_a_quadratic(impl, search, sign):
    param = parameter()
    optimizer = impl([param], lr=1, max_iter=50, line_search_fn=search, maximize=sign < 0)
    first = optimizer.step(closure_of(optimizer, quadratic(param, sign)))
    assert first.item() == 0
    np.testing.assert_allclose(param.detach().numpy(), SOLUTION, atol=1e-5)


def test_the_first_direction_is_the_gradient(impl):
    param = parameter()
    optimizer = impl([param], lr=0.5, max_iter=1)
    optimizer.step(closure_of(optimizer, quadratic(param)))
    expected = 0.5 * VECTOR / VECTOR.abs().sum()
    np.testing.assert_allclose(param.detach().numpy(), expected.numpy(), rtol=1e-12)


def test_rosenbrock(impl):
    param = torch.nn.Parameter(torch.tensor([-1.0, 1.5], dtype=torch.float64))
    optimizer = impl([param], max_iter=100, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, rosenbrock(param)))
    np.testing.assert_allclose(param.detach().numpy(), [1, 1], atol=1e-5)


def test_keywords_and_defaults(impl):
    (group,) = impl([parameter()]).state_dict()["param_groups"]
    expected = {
        "lr": 1,
        "max_iter": 20,
        "max_eval": 25,
        "tolerance_grad": 1e-7,
        "tolerance_change": 1e-9,
        "history_size": 100,
        "line_search_fn": None,
        "maximize": False,
        "params": [0],
    }
    assert group == expected
    with pytest.raises(ValueError):
        impl([parameter()], lr=-1)
    with pytest.raises(ValueError):
        impl([{"params": [parameter()]}, {"params": [parameter()]}])
    param = parameter()
    optimizer = impl([param], line_search_fn="weak")
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        optimizer.step(closure_of(optimizer, quadratic(param)))


def test_learning_rate_as_a_tensor(impl):
    results = []
    for lr in (0.25, torch.tensor(0.25), torch.tensor([0.25])):
        param = parameter()
        optimizer = impl([param], lr=lr, max_iter=3)
        optimizer.step(closure_of(optimizer, quadratic(param)))
        results.append(param.detach().numpy())
        assert optimizer.param_groups[0]["lr"] is lr
    np.testing.assert_allclose(results[1:], results[:1] * 2, rtol=1e-6)
    with pytest.raises(ValueError):
        impl([parameter()], lr=torch.tensor([1.0, 2.0]))


def test_complex_parameters(impl):
    if not at_least(1, 7):
        # https://github.com/pytorch/pytorch/issues/41857
        pytest.skip("no complex gradients before torch 1.6, and the conjugates of today's on 1.6")
    results = []
    for kind in ("real", "complex"):
        pair = torch.nn.Parameter(torch.tensor([[0.5, -1.0], [2.0, 0.3]], dtype=torch.float64))
        param = torch.nn.Parameter(torch.view_as_complex(pair.detach().clone())) if kind == "complex" else pair
        optimizer = impl([param], max_iter=4, line_search_fn="strong_wolfe")

        def loss(param=param):
            real = torch.view_as_real(param) if param.is_complex() else param
            return (real**2 * torch.tensor([1.0, 3.0], dtype=torch.float64)).sum()

        optimizer.step(closure_of(optimizer, loss))
        results.append(torch.view_as_real(param.detach()) if kind == "complex" else param.detach())
    np.testing.assert_allclose(results[0].numpy(), results[1].numpy(), atol=1e-12)


def test_no_parameters(impl):
    assert impl([{"params": []}]).step(lambda: 3.0) == 3.0


def test_several_parameters_one_without_gradient(impl):
    param, other, unused = (torch.nn.Parameter(torch.ones(2, 1, dtype=torch.float64)) for _ in range(3))
    optimizer = impl([("a", param), ("b", other), ("c", unused)], max_iter=30)
    optimizer.step(closure_of(optimizer, lambda: (param**2).sum() + 2 * ((other - 3) ** 2).sum()))
    np.testing.assert_allclose(param.detach().numpy(), np.zeros((2, 1)), atol=1e-6)
    np.testing.assert_allclose(other.detach().numpy(), np.full((2, 1), 3), atol=1e-6)
    assert unused.detach().tolist() == [[1], [1]]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b", "c"]


def test_it_resumes(impl):
    param, straight = (torch.nn.Parameter(torch.tensor([-1.0, 1.5], dtype=torch.float64)) for _ in range(2))
    options = {"max_iter": 4, "line_search_fn": "strong_wolfe"}
    whole = impl([straight], **options)
    for _ in range(4):
        whole.step(closure_of(whole, rosenbrock(straight)))

    optimizer = impl([param], **options)
    for _ in range(2):
        optimizer.step(closure_of(optimizer, rosenbrock(param)))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = impl([param])
    resumed.load_state_dict(READ(file))
    for _ in range(2):
        resumed.step(closure_of(resumed, rosenbrock(param)))
    np.testing.assert_allclose(param.detach().numpy(), straight.detach().numpy(), rtol=1e-9)


def test_a_file_of_an_old_torch(impl):
    param = parameter()
    optimizer = impl([param], max_iter=2)
    optimizer.step(closure_of(optimizer, quadratic(param)))
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["maximize"]
    resumed = impl([param], max_iter=2)
    resumed.load_state_dict(saved)
    for _ in range(10):
        resumed.step(closure_of(resumed, quadratic(param)))
    np.testing.assert_allclose(param.detach().numpy(), SOLUTION, atol=1e-5)


def test_hooks_are_called_once(impl, shim):
    param = parameter()
    assert shim.native([parameter()])
    optimizer = impl([param])
    calls = []
    optimizer.register_step_pre_hook(lambda *given: calls.append("before"))
    optimizer.register_step_post_hook(lambda *given: calls.append("after"))
    optimizer.step(closure_of(optimizer, quadratic(param)))
    assert calls == ["before", "after"]
    assert isinstance(optimizer, shim.native)
    if COMPILES:
        # Loading torch's compiler changes what is around torch's own step.
        torch.compile(torch.sin, backend="eager")(torch.ones(1))
        optimizer.step(closure_of(optimizer, quadratic(param)))
        assert calls == ["before", "after"] * 2


@pytest.mark.limit("max-eval")
def test_no_more_calls_than_max_eval(impl):
    param = torch.nn.Parameter(torch.tensor([-1.0, 1.5], dtype=torch.float64))
    # The search lengthens so short a step tenfold with each call.
    optimizer = impl([param], lr=1e-8, max_iter=20, max_eval=4, line_search_fn="strong_wolfe")
    calls = []

    def closure():
        calls.append(1)
        return closure_of(optimizer, rosenbrock(param))()

    optimizer.step(closure)
    assert len(calls) <= 5


def test_copies_of_ours_step(shim):
    # Those of torch's own do not: the copy goes on with the parameters of the original.
    impl = shim.fallback
    param = parameter()
    optimizer = impl([param], max_iter=30)
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        (again,) = copied.param_groups[0]["params"]
        copied.step(closure_of(copied, quadratic(again)))
        np.testing.assert_allclose(again.detach().numpy(), SOLUTION, atol=1e-5)


def test_steps_are_those_of_torch(impl, shim):
    if not shim.meets_contract:
        pytest.skip(f"torch's own meets the contract since {shim.since}")
    results = []
    for kind in (impl, shim.native):
        param = torch.nn.Parameter(torch.tensor([-1.0, 1.5], dtype=torch.float64))
        optimizer = kind([param], max_iter=7, history_size=3, line_search_fn="strong_wolfe")
        for _ in range(3):
            optimizer.step(closure_of(optimizer, rosenbrock(param)))
        results.append(param.detach().numpy())
    assert (results[0] == results[1]).all()
