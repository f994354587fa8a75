"""Second and third derivatives of many operations, each against finite differences of the derivative below it.

torch's own are wrong here and there, and kill the process on some torch. So they run in a process of their own.
"""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
import twice_cases

from torchcompat import UnsupportedError, at_least, at_most

HERE = os.path.dirname(os.path.abspath(__file__))
_lines = {}


def lines(kind):
    """By operation and order, what twice_run.py says; the process runs once for all tests."""
    if kind not in _lines:
        paths = [HERE, *sys.path]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)), MALLOC_PERTURB_="165")
        command = [sys.executable, os.path.join(HERE, "twice_run.py"), kind]
        ran = subprocess.run(command, capture_output=True, env=environment, check=False)
        split = [line.split(": ", 2) for line in ran.stdout.decode().splitlines()]
        found = {(words[0], words[1]): "".join(words[2:]) for words in split if len(words) > 1}
        found["end"] = f"the process ended with {ran.returncode}" + f": {ran.stderr.decode()[-500:]}" * bool(
            ran.returncode
        )
        _lines[kind] = found
    return _lines[kind]


def test_no_operation_kills_the_process():
    assert lines("fallback")["end"] == "the process ended with 0"


def orders():
    for case in twice_cases.CASES:
        for order in case.orders:
            marks = [pytest.mark.limit(case.limits[order])] if order in case.limits else []
            yield pytest.param(case, order, marks=marks, id=f"{case.name}: {order}")


@pytest.mark.shim("func.grad")
@pytest.mark.parametrize(("case", "order"), list(orders()))
def test_the_derivative_agrees_with_finite_differences_or_is_refused(impl, shim, case, order):
    kind = "native" if impl is shim.native else "fallback"
    verdict = lines(kind).get((case.name, order)) or lines(kind)["end"]
    if case.computes and kind == "fallback" and at_least(1, 10):
        assert verdict == "ok"
    assert verdict == "ok" or verdict.startswith("refused, ")


@pytest.mark.shim("func.grad")
@pytest.mark.limit("layer_norm")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_second_derivative_of_layer_norm(impl, dtype):
    x = torch.randn(3, 8).to(dtype)
    weight = torch.ones(8, dtype=dtype).requires_grad_()
    cube = lambda x: (F.layer_norm(x, [8], weight, None) ** 3).sum()  # noqa: E731
    impl(lambda x: (impl(cube)(x) ** 2).sum())(x)


def test_the_error_names_the_operation_and_the_torch_to_use():
    from torchcompat.func import hessian, jvp

    if not at_most(1, 6):
        pytest.skip("torch computes it here")
    norm, x = torch.nn.LayerNorm(4), torch.randn(3, 4)
    for call in (lambda: jvp(norm, (x,), (x,)), lambda: hessian(lambda x: norm(x).sum())(x)):
        with pytest.raises(UnsupportedError, match=r"layer_norm .* twice .* torch 1\.7"):
            call()


@pytest.mark.shim("func.grad")
@pytest.mark.limit("kl_div")
def test_the_second_derivative_of_kl_div_by_its_target(impl):
    # sum y (log y - x) has the second derivative 1 / y.
    x, y = torch.randn(4).double(), torch.rand(4).double() + 0.5
    loss = lambda y: F.kl_div(x, y, reduction="sum")  # noqa: E731
    found = impl(lambda y: impl(loss)(y).sum())(y)
    assert ((found - 1 / y).abs() < 1e-9).all()
