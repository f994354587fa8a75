"""Every context of the library, as a table: what it switches, and which cases it is made for."""

import mmap
from typing import Any, Callable, NamedTuple

import pytest
import torch

import torchcompat._every  # noqa: F401  every shim is found below
from torchcompat import SHIMS, at_least, cpu, get_default_device
from torchcompat.attention import fastpath
from torchcompat.determinism import deterministic
from torchcompat.device import default_device
from torchcompat.nn.attention import _backends
from torchcompat.nn.utils import _parametrize
from torchcompat.precision import conv_precision, get_conv_precision, get_matmul_precision, matmul_precision
from torchcompat.serialization._settings import skipping
from torchcompat.utils.checkpoint._run import overrides


def _of(name):
    return SHIMS[name].fallback


def _algorithms():
    asks = getattr(torch, "are_deterministic_algorithms_enabled", None) or getattr(torch, "is_deterministic", None)
    return asks() if asks else torch.backends.cudnn.deterministic


def _fastpath():
    if at_least(2, 3):
        return torch.backends.mha.get_fastpath_enabled()
    return not torch.overrides.has_torch_function((torch.ones(1),))


def _casts():
    return torch.is_autocast_enabled("cpu") if at_least(2, 4) else torch.is_autocast_cpu_enabled()


class Here(NamedTuple):
    """A context of the library."""

    make: Callable[[], Any]
    read: Callable[[], Any]
    inside: Any  # what `read` gives within a block
    other: Any = None  # (make, inside) of a block that sets something else
    wrong: Any = None  # makes and enters one with an argument that is refused
    # What can be decorated: "all" are ours, "torch" is what torch's contexts of autograd take, "functions" are those of
    # contextlib.
    decorates: str = ""
    of_thread: bool = False
    again: bool = True  # whether one object can be entered again within its block
    # Whether blocks may end in any order. Torch's own polyfills may not, where they only put back what they found.
    overlaps: bool = False
    mechanism: bool = False  # whether it is a `_scope.Context`
    fullgraph: Any = None  # the first torch that compiles a block without a break, for those that any does
    since: tuple = (1, 2)  # the first torch on which it switches something on every machine


def _enter(context):
    with context:
        pass


OURS = {"decorates": "all", "overlaps": True, "mechanism": True}
AS_TORCH = {"decorates": "torch", "of_thread": True}
STREAM, PUBLIC = _of("cpu.Stream")(), cpu.Stream()  # of a context of ours, and of one that is made of public names

TABLE = {
    "determinism.deterministic": Here(
        lambda: deterministic(),
        _algorithms,
        True,
        (lambda: deterministic(False), False),
        lambda: deterministic(seed=-1),
        **OURS,
    ),
    "precision.matmul_precision": Here(
        lambda: matmul_precision("medium"),
        get_matmul_precision,
        "medium",
        (lambda: matmul_precision("highest"), "highest"),
        lambda: matmul_precision("low"),
        **OURS,
    ),
    "precision.conv_precision": Here(
        lambda: conv_precision("high"),
        get_conv_precision,
        "high",
        (lambda: conv_precision("highest"), "highest"),
        lambda: conv_precision("medium"),
        **OURS,
    ),
    "attention.fastpath": Here(
        lambda: fastpath(False),
        _fastpath,
        False,
        (lambda: fastpath(True), True),
        lambda: fastpath(1),
        of_thread=not at_least(2, 3),
        since=(1, 12),
        **OURS,
    ),
    # Torch before 2.0 knows no other default device that is there on every machine.
    "device.default_device": Here(
        lambda: default_device("meta"),
        lambda: get_default_device().type,
        "meta",
        (lambda: default_device("cpu"), "cpu"),
        lambda: default_device("no_such_device"),
        of_thread=True,
        since=(2, 0),
        **OURS,
    ),
    "nn.attention.sdpa_kernel": Here(
        lambda: _of("nn.attention.sdpa_kernel")(_of("nn.attention.SDPBackend").MATH),
        _backends.enabled,
        [_backends.MATH],
        (lambda: _of("nn.attention.sdpa_kernel")([]), []),
        lambda: _enter(_of("nn.attention.sdpa_kernel")([0])),
        decorates="functions",
        again=False,
        overlaps=True,
    ),
    "no_grad": Here(lambda: _of("no_grad")(), torch.is_grad_enabled, False, fullgraph=(2, 9), **AS_TORCH),
    "enable_grad": Here(lambda: _of("enable_grad")(), torch.is_grad_enabled, True, fullgraph=(2, 9), **AS_TORCH),
    "inference_mode": Here(
        lambda: _of("inference_mode")(),
        torch.is_grad_enabled,
        False,
        wrong=lambda: _of("inference_mode")(3),
        **AS_TORCH,
    ),
    "set_grad_enabled": Here(
        lambda: _of("set_grad_enabled")(False),
        torch.is_grad_enabled,
        False,
        wrong=lambda: _of("set_grad_enabled")(3),
        again=False,
        fullgraph=(2, 9),
        **AS_TORCH,
    ),
    "amp.autocast": Here(
        lambda: _of("amp.autocast")("cpu"),
        _casts,
        True,
        wrong=lambda: _of("amp.autocast")(3),
        decorates="functions",
        of_thread=True,
        since=(1, 10),
    ),
    "cpu.StreamContext": Here(lambda: _of("cpu.StreamContext")(STREAM), _of("cpu.current_stream"), STREAM, again=False),
    "cpu.stream": Here(lambda: cpu.stream(PUBLIC), cpu.current_stream, PUBLIC, again=False),
    "nn.utils.parametrize.cached": Here(
        lambda: _of("nn.utils.parametrize.cached")(),
        lambda: _parametrize.cache.open > 0,
        True,
        decorates="functions",
        again=False,
        overlaps=True,
    ),
    "serialization.safe_globals": Here(
        lambda: _of("serialization.safe_globals")([Here]),
        lambda: Here in _of("serialization.get_safe_globals")(),
        True,
        wrong=lambda: _enter(_of("serialization.safe_globals")(3)),
        overlaps=True,
    ),
    "serialization.set_default_mmap_options": Here(
        lambda: _of("serialization.set_default_mmap_options")(mmap.MAP_SHARED),
        _of("serialization.get_default_mmap_options"),
        mmap.MAP_SHARED,
        wrong=lambda: _of("serialization.set_default_mmap_options")(-1),
        again=False,
    ),
    "serialization.skip_data": Here(
        lambda: _of("serialization.skip_data")(),
        lambda: skipping.active,
        True,
        wrong=lambda: _of("serialization.skip_data")(True),
        of_thread=True,
        again=False,
    ),
    "utils.checkpoint.set_checkpoint_early_stop": Here(
        lambda: _of("utils.checkpoint.set_checkpoint_early_stop")(False),
        lambda: overrides.early_stop,
        False,
        decorates="functions",
        again=False,
    ),
    "utils.checkpoint.set_checkpoint_debug_enabled": Here(
        lambda: _of("utils.checkpoint.set_checkpoint_debug_enabled")(True),
        lambda: overrides.debug,
        True,
        decorates="functions",
        again=False,
    ),
}
# Contexts that switch nothing on a machine without their device; the file tests them on a stand-in.
ELSEWHERE = {
    "accelerator.device_index": "test_accelerator.py",
    "random.fork_rng": "test_backends_and_rng.py",
    "xpu.stream": "test_mps_xpu.py",
}
CONTEXTS = {name: row for name, row in TABLE.items() if at_least(*row.since)}


def each(condition=lambda row: True):
    rows = {name: row for name, row in CONTEXTS.items() if condition(row)}
    return pytest.mark.parametrize("row", rows.values(), ids=rows)


def decorates(*kinds):
    return each(lambda row: row.decorates in kinds)


every = decorates("all")
and_grad = decorates("all", "torch")
and_functions = decorates("all", "torch", "functions")
