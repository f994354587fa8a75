"""The transforms under `torch.jit.trace`: right, or refused; never a trace with another number of samples."""

import pytest
import torch

from torchcompat import SHIMS
from torchcompat._torch import at_least

pytestmark = pytest.mark.filterwarnings("ignore")

# On torch 1.2 any error within a trace, even one that is caught, ends the process: torch's own fault.
survives = pytest.mark.skipif(not at_least(1, 3), reason="torch 1.2 ends the process where a traced function raises")


def check(function, *inputs):
    traced = torch.jit.trace(function, inputs, check_trace=False)
    others = [torch.randn_like(x) for x in inputs]
    torch.testing.assert_allclose(traced(*others), function(*others))


@survives
@pytest.mark.shim("func.vmap")
@pytest.mark.limit("trace")
def test_vmap(impl):
    check(impl(lambda x: x.softmax(0) * x.sum()), torch.randn(5, 3))


@survives
@pytest.mark.shim("func.vmap")
def test_a_trace_of_vmap_loses_no_samples(impl):
    function = impl(torch.matmul)
    try:
        traced = torch.jit.trace(function, (torch.randn(5, 3, 4), torch.randn(5, 4, 2)), check_trace=False)
    except RuntimeError:
        return
    more = torch.randn(7, 3, 4), torch.randn(7, 4, 2)
    torch.testing.assert_allclose(traced(*more), torch.matmul(*more))


@survives
@pytest.mark.shim("func.jvp")
@pytest.mark.limit("trace")
def test_jvp(impl):
    check(lambda x, v: impl(lambda y: y.tanh().mean(0), (x,), (v,))[1], torch.randn(5, 3), torch.randn(5, 3))


@survives
@pytest.mark.shim("func.jacfwd")
@pytest.mark.limit("trace")
def test_jacfwd(impl):
    check(impl(lambda x: x.tanh() * x.sum()), torch.randn(5))


def cubes(x):
    return (x**3).sum()


CALLS = {
    "grad": lambda f, x: f(cubes)(x),
    "grad_and_value": lambda f, x: f(cubes)(x)[0],
    "vjp": lambda f, x: f(torch.tanh, x)[1](x)[0],
    "jvp": lambda f, x: f(torch.tanh, (x,), (x,))[1],
    "linearize": lambda f, x: f(torch.tanh, x)[1](x),
    "jacrev": lambda f, x: f(torch.tanh)(x),
    "jacfwd": lambda f, x: f(torch.tanh)(x),
    "hessian": lambda f, x: f(cubes)(x),
}


@survives
@pytest.mark.parametrize("name", CALLS)
def test_our_derivatives_refuse(name):
    ours = SHIMS["func." + name].fallback
    with pytest.raises(RuntimeError, match="cannot be traced"):
        torch.jit.trace(lambda x: CALLS[name](ours, x), torch.randn(3), check_trace=False)
