"""vmap, grad, jacrev, jacfwd and hessian: a plain loop, the fallbacks and torch's own, side by side in one run, on CPU.

    python benchmarks/func.py [--repeat 10] [--threads 2] [--only cnn jacrev]

The candidates of a case must first give the same numbers, and then take turns; a figure is the least of several
repetitions, in milliseconds, with its ratio to the loop in brackets. A candidate is a family of functions that
call no others: "fallback" is ours on every torch, "native" torch.func, "functorch" what torch 1.13 ships beside itself.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
import warnings
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Callable

import torch
from torch.nn import functional as F

import torchcompat.func  # noqa: F401
from torchcompat import SHIMS

NAMES = ["vmap", "grad", "jacrev", "jacfwd", "hessian"]


def functorch_family() -> Any:
    """functorch where it is a library of its own; the reason why not elsewhere."""
    if SHIMS["func.vmap"].native is not None:
        return "torch.func is here, which functorch became"
    try:
        return SimpleNamespace(**{name: getattr(import_module("functorch"), name) for name in NAMES})
    except ImportError as error:
        return f"import functorch: {error}"


def families() -> tuple[dict[str, Any], list[str]]:
    """The families that are here by name, and why others are not."""
    found = {"fallback": SimpleNamespace(**{name: SHIMS[f"func.{name}"].fallback for name in NAMES})}
    missing = [f"torch.{SHIMS[f'func.{name}'].name}" for name in NAMES if SHIMS[f"func.{name}"].native is None]
    if not missing:
        found["native"] = SimpleNamespace(**{name: SHIMS[f"func.{name}"].native for name in NAMES})
    reasons = [f"native: no {', '.join(missing)}"] if missing else []
    functorch = functorch_family()
    if isinstance(functorch, str):
        return found, [*reasons, f"functorch: {functorch}"]
    return {**found, "functorch": functorch}, reasons


def weights_of(*shapes: Any) -> tuple[Any, ...]:
    """Random weights of these shapes; a vector is a bias of zeros."""
    return tuple(
        torch.randn(shape) / torch.Size(shape[1:]).numel() ** 0.5 if len(shape) > 1 else torch.zeros(shape)
        for shape in shapes
    )


def loop_gradients(loss: Any, weights: Any, *batch: Any) -> list[Any]:
    """The gradients of *loss* by *weights* for each sample, one after the other."""
    leaves = [weight.detach().requires_grad_() for weight in weights]
    rows = [torch.autograd.grad(loss(leaves, *sample), leaves) for sample in zip(*batch)]
    return [torch.stack(column) for column in zip(*rows)]


def loop_jacobian(function: Any, x: Any) -> Any:
    """The derivatives of the vector ``function(x)`` by the vector *x*, one row after the other."""
    x = x.detach().requires_grad_()
    return torch.stack([torch.autograd.grad(y, x, retain_graph=True)[0] for y in function(x).unbind()])


def loop_hessian(function: Any, x: Any) -> Any:
    def gradient(x: Any) -> Any:
        return torch.autograd.grad(function(x), x, create_graph=True)[0]

    return loop_jacobian(gradient, x)


def cnn_loss(weights: Any, image: Any, label: Any) -> Any:
    x = F.max_pool2d(torch.relu(F.conv2d(image.unsqueeze(0), weights[0], weights[1])), 2)
    x = F.max_pool2d(torch.relu(F.conv2d(x, weights[2], weights[3])), 2)
    return F.cross_entropy(F.linear(x.flatten(1), weights[4], weights[5]), label.unsqueeze(0))


def attention(x: Any, weight: Any, bias: Any, out: Any, heads: int = 4) -> Any:
    length, width = x.shape
    query, key, value = F.linear(x, weight, bias).reshape(length, 3, heads, width // heads).permute(1, 2, 0, 3)
    scores = torch.matmul(query, key.transpose(-2, -1)) / (width // heads) ** 0.5
    mixed = torch.matmul(torch.softmax(scores, -1), value)
    return F.linear(mixed.transpose(0, 1).reshape(length, width), out)


def block_loss(weights: Any, x: Any, target: Any) -> Any:
    """The loss of a Transformer block on one sequence."""
    norm1, norm2, weight, bias, out, up, up_bias, down, down_bias = weights
    x = x + attention(F.layer_norm(x, x.shape[-1:], norm1 + 1), weight, bias, out)
    hidden = torch.relu(F.linear(F.layer_norm(x, x.shape[-1:], norm2 + 1), up, up_bias))
    return F.mse_loss(x + F.linear(hidden, down, down_bias), target)


def mlp(weights: Any, x: Any) -> Any:
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2]):
        x = torch.relu(F.linear(x, weight, bias))
    return F.linear(x, weights[-2], weights[-1])


def mlp_loss(weights: Any, x: Any, y: Any) -> Any:
    return F.mse_loss(mlp(weights, x), y)


def per_sample(loss: Any, weights: Any, *batch: Any) -> tuple[Any, Any]:
    def transform(family: Any) -> Any:
        return family.vmap(family.grad(loss), in_dims=(None,) + (0,) * len(batch))(weights, *batch)

    return lambda: loop_gradients(loss, weights, *batch), transform


def cnn() -> tuple[Any, Any]:
    """per-sample gradients of a CNN, 64 images of 28x28"""
    weights = weights_of((32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (10, 1600), (10,))
    return per_sample(cnn_loss, weights, torch.randn(64, 1, 28, 28), torch.randint(10, (64,)))


def transformer() -> tuple[Any, Any]:
    """per-sample gradients of a Transformer block, 32 sequences of 16, width 64"""
    projections = [(192, 64), (192,), (64, 64), (256, 64), (256,), (64, 256), (64,)]
    weights = weights_of((64,), (64,), *projections)
    return per_sample(block_loss, weights, torch.randn(32, 16, 64), torch.randn(32, 16, 64))


def members() -> tuple[Any, Any, Any]:
    """Stacked weights of 10 MLPs of widths 32-64-64-1, and 64 points."""
    drawn = [weights_of((64, 32), (64,), (64, 64), (64,), (1, 64), (1,)) for _ in range(10)]
    return tuple(torch.stack(column) for column in zip(*drawn)), torch.randn(64, 32), torch.randn(64, 1)


def ensemble() -> tuple[Any, Any]:
    """forward of 10 MLPs on the same 64 points"""
    weights, x, _ = members()
    loop = lambda: torch.stack([mlp(one, x) for one in zip(*weights)])  # noqa: E731
    return loop, lambda family: family.vmap(mlp, in_dims=(0, None))(weights, x)


def training() -> tuple[Any, Any]:
    """gradients of 10 MLPs on the same 64 points"""
    weights, x, y = members()

    def loop() -> Any:
        rows = []
        for one in zip(*weights):
            leaves = [weight.detach().requires_grad_() for weight in one]
            rows.append(torch.autograd.grad(mlp_loss(leaves, x, y), leaves))
        return [torch.stack(column) for column in zip(*rows)]

    return loop, lambda family: family.vmap(family.grad(mlp_loss), in_dims=(0, None, None))(weights, x, y)


def two_layers() -> Callable[[Any], Any]:
    first, second = weights_of((128, 64), (64, 128))
    return lambda x: torch.tanh(F.linear(torch.tanh(F.linear(x, first)), second))


def jacrev() -> tuple[Any, Any]:
    """Jacobian of a network of widths 64-128-64, by jacrev"""
    function, x = two_layers(), torch.randn(64)
    return lambda: loop_jacobian(function, x), lambda family: family.jacrev(function)(x)


def jacfwd() -> tuple[Any, Any]:
    """the same by jacfwd"""
    function, x = two_layers(), torch.randn(64)
    return lambda: loop_jacobian(function, x), lambda family: family.jacfwd(function)(x)


def jacobians() -> tuple[Any, Any]:
    """vmap(jacrev) of the same, 16 inputs"""
    function, batch = two_layers(), torch.randn(16, 64)
    loop = lambda: torch.stack([loop_jacobian(function, x) for x in batch])  # noqa: E731
    return loop, lambda family: family.vmap(family.jacrev(function))(batch)


def hessian() -> tuple[Any, Any]:
    """Hessian of the sum of squares of the same"""
    network, x = two_layers(), torch.randn(64)

    def squares(x: Any) -> Any:
        return network(x).pow(2).sum()

    return lambda: loop_hessian(squares, x), lambda family: family.hessian(squares)(x)


CASES = {case.__name__: case for case in (cnn, transformer, ensemble, training, jacrev, jacfwd, jacobians, hessian)}


def check(name: str, result: Any, expected: Any) -> None:
    """Raise unless *result*, in float64, is *expected*."""
    found, sought = (list(each) if isinstance(each, (list, tuple)) else [each] for each in (result, expected))
    assert [each.shape for each in found] == [each.shape for each in sought], name
    for one, other in zip(found, sought):
        difference = (one - other).abs().max().item()
        assert difference <= 1e-9 * max(1.0, other.abs().max().item()), f"{name} differs from the loop by {difference}"


def prepared(case: Callable[[], tuple[Any, Any]], here: dict[str, Any], dtype: Any) -> dict[str, Callable[[], Any]]:
    """The calls to make, by candidate, on random numbers of *dtype*."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        loop, transform = case()
    finally:
        torch.set_default_dtype(torch.float32)
    transforms = {name: functools.partial(transform, family) for name, family in here.items()}
    return {"loop": loop, **transforms}


def milliseconds(calls: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """The least time of each call, over rounds in which each has its turn."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best


def measure(case: Callable[[], tuple[Any, Any]], here: dict[str, Any], repeat: int) -> dict[str, float]:
    """The times of all candidates, once they have given the same in float64, where rounding hides nothing."""
    exact = prepared(case, here, torch.float64)
    expected = exact["loop"]()
    for name, call in exact.items():
        check(f"{case.__name__}: {name}", call(), expected)
    calls = prepared(case, here, torch.float32)
    milliseconds(calls, 1)
    return milliseconds(calls, repeat)


def main(arguments: Any = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10, help="rounds (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), help="these cases alone")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    options = parser.parse_args(list(arguments))
    if options.repeat < 1 or options.threads < 1:
        parser.error("--repeat and --threads must be at least 1")
    torch.set_num_threads(options.threads)
    here, reasons = families()
    print(f"torch {torch.__version__}, float32, {options.threads} threads: milliseconds, and the ratio to the loop")
    for reason in reasons:
        print(f"  without {reason}")
    for name in options.only:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing drivers, and of what torch itself uses and deprecates
            times = measure(CASES[name], here, options.repeat)
        print(f"{name}: {CASES[name].__doc__}")
        cells = [f"{label} {value:.2f} ({value / times['loop']:.3f})" for label, value in times.items()]
        print("  " + "".join(f"{cell:<27}" for cell in cells).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
