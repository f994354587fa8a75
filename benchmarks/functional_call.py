"""What a functional call costs over a plain call of the module, as ratios that were measured side by side.

Run with ``python benchmarks/functional_call.py``. Every figure is the least of many repetitions, and the candidates
take turns, so that a busy machine slows all of them alike. *Overhead* is the time of a call whose forward returns its
input, less a plain call of the same; *end to end* runs the real forward on a small input.
"""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable

import torch
from torch import nn

import torchcompat
from torchcompat.func import functional_module

FALLBACK = torchcompat.SHIMS["func.functional_call"].fallback
NATIVE = torchcompat.SHIMS["func.functional_call"].native


class Bottleneck(nn.Module):
    """A residual block of ResNet-50, narrow, so that a forward does not hide the cost of the call."""

    def __init__(self, downsample: bool) -> None:
        super().__init__()
        for n, size in enumerate((1, 3, 1), 1):
            self.add_module(f"conv{n}", nn.Conv2d(4, 4, size, padding=size // 2, bias=False))
            self.add_module(f"bn{n}", nn.BatchNorm2d(4))
        self.downsample = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4)) if downsample else None

    def forward(self, x: Any) -> Any:
        out = x
        for n in (1, 2, 3):
            out = torch.relu(getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(out)))
        return out + (x if self.downsample is None else self.downsample(x))


def mlp() -> tuple[nn.Module, Any]:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(16, 16), nn.ReLU()]
    return nn.Sequential(*layers), torch.randn(2, 16)


def resnet50_like() -> tuple[nn.Module, Any]:
    """The blocks of ResNet-50, with a stem without batch norm and a head without bias: 314 tensors."""
    blocks = [Bottleneck(downsample=n == 0) for count in (3, 4, 6, 3) for n in range(count)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4, bias=False)]
    return nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), *blocks, *head), torch.randn(1, 4, 8, 8)


def transformer() -> tuple[nn.Module, Any]:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32), 12), torch.randn(4, 1, 16)


def candidates(module: nn.Module, state: dict[str, Any], x: Any) -> dict[str, Callable[[], Any]]:
    """The ways to call *module*, by name; what this torch does not have is left out."""
    prepared = functional_module(module)
    calls: dict[str, Callable[[], Any]] = {"plain": lambda: module(x)}
    if NATIVE is not None:
        calls["native"] = lambda: NATIVE(module, state, (x,))
        calls["native, untied"] = lambda: NATIVE(module, state, (x,), tie_weights=False)
    elif torchcompat.has("torch.nn.utils.stateless.functional_call"):
        calls["stateless"] = lambda: torch.nn.utils.stateless.functional_call(module, state, (x,))
    calls["fallback"] = lambda: FALLBACK(module, state, (x,))
    calls["prepared"] = lambda: prepared(state, x)
    return calls


def microseconds(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The least time of each call, over rounds in which each has its turn."""
    best = dict.fromkeys(calls, float("inf"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            for _ in range(5):
                start = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - start)
    return {name: value * 1e6 for name, value in best.items()}


def measure(module: nn.Module, x: Any, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Overhead over a plain call, and times end to end, in microseconds."""
    module.eval()
    state = dict(module.named_parameters())
    state.update(module.named_buffers())
    with torch.no_grad():
        whole = microseconds(candidates(module, state, x), seconds)
        module.forward = lambda value: value
        empty = microseconds(candidates(module, state, x), seconds)
    plain = empty.pop("plain")
    return {name: value - plain for name, value in empty.items()}, whole


def row(label: str, figures: dict[str, float], base: str) -> str:
    cells = [f"{name} {value:.0f} us ({value / figures[base]:.3f})" for name, value in figures.items()]
    return f"  {label:<11}" + "  ".join(f"{cell:<30}" for cell in cells).rstrip()


def main(seconds: float = 2.0) -> None:
    """Print a table for each module: microseconds and, in brackets, the ratio to torch's own call (or the fallback)."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}: functional calls, ratios to torch's own call where there is one")
    for make in (mlp, resnet50_like, transformer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nested tensors
            module, x = make()
            count = len(list(module.parameters())) + len(list(module.buffers()))
            overhead, whole = measure(module, x, seconds)
        base = next((name for name in ("native", "stateless") if name in overhead), "fallback")
        print(f"{make.__name__}, {count} tensors")
        print(row("overhead", overhead, base))
        print(row("end to end", whole, base))


if __name__ == "__main__":
    main()
