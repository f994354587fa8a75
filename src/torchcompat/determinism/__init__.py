"""The same bits twice: deterministic algorithms and seeds, for a block of code or for good. See docs/determinism.md."""

from __future__ import annotations

import random
from typing import Any

import torch

from .. import _scope
from .._shim import Limit, facade
from .._torch import UnsupportedError, at_least
from ._generators import GENERATORS, check_seed, numpy_random
from ._switches import SWITCHES

__all__ = ["deterministic", "seed_everything", "seed_worker", "seeded_generator"]

_TABLE = {**SWITCHES, **GENERATORS}

LIMITS = [
    Limit(
        "warn-only",
        "warn_only=True warns of nothing, and on torch 1.7 to 1.10 leaves the choice of algorithms alone",
        on="fallback",
        last="1.10",
    ),
    Limit(
        "no-error",
        "an operation without a deterministic algorithm is not refused (torch 1.7 and 1.8 refuse some on CUDA)",
        on="fallback",
        last="1.8",
    ),
    Limit(
        "always-filled",
        "uninitialised memory is filled whatever is asked, since torch 2.1 has no switch for it",
        on="fallback",
        first="2.1",
        last="2.1",
    ),
]


def _check_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        hint = "; to decorate a function, write @deterministic()" if callable(value) else ""
        raise TypeError(f"{name} must be True or False, got {value!r}{hint}")
    return value


@facade("determinism.deterministic", limits=LIMITS)
class deterministic(_scope.Context):
    """Compute the same bits twice, within a ``with`` block or a decorated function.

    Sets every switch that the installed torch has, and on the way out, exceptions included, puts each back exactly as
    it was: deterministic algorithms (torch 1.7), their warn-only form (1.11), cuDNN's ``deterministic`` and
    ``benchmark``, oneDNN's ``deterministic`` (2.5), the filling of uninitialised memory (2.2), and the environment
    variable ``CUBLAS_WORKSPACE_CONFIG``.

    An instance can be entered again, also while it is open. The function it decorates may be an ordinary one, a
    generator function, an ``async def`` or an async generator function: the switches are set while its body runs, not
    while it waits. Not in torch, whose switches have no context manager.

    The switches belong to the process: other threads see them. Blocks may overlap in threads and end in any order; the
    block opened last decides, and when all are closed everything is as the first one found it.

    A function with such a block in it is not compiled by ``torch.compile``: it runs as it stands, and what it calls is
    compiled (``fullgraph=True`` is an error). Put the block around the call of the compiled function instead.

    >>> with deterministic(seed=0):
    ...     first = torch.rand(3)
    >>> with deterministic(seed=0):
    ...     assert torch.equal(torch.rand(3), first)

    Args:
        enabled: False switches determinism *off* for the block (and leaves cuDNN's ``benchmark`` and the environment
            alone).
        warn_only: an operation without a deterministic algorithm warns instead of raising ``RuntimeError``. Torch older
            than 1.11 cannot warn; there such operations run in silence and, since that torch can only raise, no other
            algorithm is chosen for any operation.
        seed: seeds the global generators of Python's ``random``, of NumPy where it is imported, and of torch on every
            device for the block, and gives each its state back afterwards. An int (or NumPy integer) from 0 to
            2**32 - 1. None leaves random numbers alone. Does not start CUDA.
        fill_uninitialized_memory: fill what ``torch.empty`` and its like return (NaN, or the largest int), so that not
            even a program that reads it before writing can vary. Reproducibility does not need it and it is slow, so
            it is off, other than in torch. Torch 2.1 always fills; older torch never.

    Raises:
        TypeError, ValueError: for any other argument; nothing has changed.
        UnsupportedError: for ``fill_uninitialized_memory=True`` on torch older than 2.1.
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        warn_only: bool = False,
        seed: int | None = None,
        fill_uninitialized_memory: bool = False,
    ) -> None:
        _check_bool("enabled", enabled)
        _check_bool("warn_only", warn_only)
        if _check_bool("fill_uninitialized_memory", fill_uninitialized_memory) and not at_least(2, 1):
            raise UnsupportedError("fill_uninitialized_memory=True needs torch 2.1 or newer; older torch cannot fill")
        super().__init__()
        settings: dict[str, Any] = {
            "algorithms": (enabled, warn_only),
            "cudnn.deterministic": enabled,
            "mkldnn.deterministic": enabled,
        }
        if enabled:
            settings.update({"cudnn.benchmark": False, "cublas": True})
            settings["fill_uninitialized_memory"] = fill_uninitialized_memory
        if seed is not None:
            settings.update(dict.fromkeys(GENERATORS, check_seed(seed)))
        self._values = settings

    def _settings(self) -> _scope.Settings:
        return {_TABLE[name]: value for name, value in self._values.items() if name in _TABLE}


@facade("determinism.seed_everything")
def seed_everything(seed: int) -> None:
    """Seed Python's ``random``, NumPy where it is imported, and torch on every device, for good.

    Not in torch: ``torch.manual_seed`` seeds torch alone. It sets no switch; see :class:`deterministic`.

    Args:
        seed: an int (or NumPy integer) from 0 to 2**32 - 1.

    Raises:
        TypeError, ValueError: for any other seed; nothing has been seeded.
    """
    seed = check_seed(seed)
    GENERATORS["python"].write(seed)
    GENERATORS["numpy"].write(seed)
    torch.manual_seed(seed)


@facade("determinism.seed_worker")
def seed_worker(worker_id: int) -> None:
    """Seed Python's and NumPy's generators in a worker of a ``DataLoader`` from the seed that torch gave the worker.

    Not in torch: before 1.9 the NumPy streams of all workers, in every epoch, are the same one
    (https://github.com/pytorch/pytorch/pull/56488). With this function each worker has its own, it follows from the
    loader's base seed alone, and it is the same on every torch. torch's own generator is already seeded per worker.

    >>> loader = DataLoader(data, num_workers=2, worker_init_fn=seed_worker)     # doctest: +SKIP

    Args:
        worker_id: the worker's number; torch has already added it to the worker's seed.
    """
    seed = torch.initial_seed()
    random.seed(seed)
    generator = numpy_random()
    if generator is not None:
        # Without the third number it would be the very stream of Python's generator.
        generator.seed([seed & 0xFFFFFFFF, seed >> 32, 1])


@facade("determinism.seeded_generator")
def seeded_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A new torch generator that starts from *seed*, for ``DataLoader(generator=...)`` (torch 1.6) and the like.

    Not in torch, where it takes two calls that check less. A loader given one draws its order and its workers' seeds
    from it, and leaves the global generator alone.

    Args:
        seed: an int (or NumPy integer) from 0 to 2**32 - 1.
        device: of the generator. Torch older than 1.5 makes them for the CPU only.

    Returns:
        A ``torch.Generator`` on *device*.

    Raises:
        TypeError, ValueError: for any other seed.
        RuntimeError: from torch, for a device that is not there.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(check_seed(seed))
    return generator
