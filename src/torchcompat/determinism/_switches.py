"""Everything that decides whether torch computes the same bits twice, as a table of things to read and to write.

What the installed torch has is decided here, once, at import. Two kinds of rows: switches (this module) and generators
of random numbers (`_generators`).
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Callable

import torch

from .._scope import Switch
from .._torch import at_least, find

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
# The two values for which cuBLAS promises the same bits: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
_CUBLAS_DETERMINISTIC = (":4096:8", ":16:8")

# In torch since 1.4.
cuda_initialized: Callable[[], bool] = find("torch.cuda.is_initialized") or (lambda: bool(torch.cuda._initialized))


def _accessors(name: str) -> Switch | None:
    # torch.backends.* refuses to be assigned to after torch.backends.disable_global_flags(), which is meant for what is
    # not put back; a block puts back, so it goes below that check.
    getter, setter = find("torch._C._get_" + name), find("torch._C._set_" + name)
    return None if getter is None or setter is None else Switch(getter, setter)


class _Announced(torch.autograd.Function):  # type: ignore[misc]
    """Calls torch where its C++ warnings become Python's.

    torch 1.7 and 1.8 announce on stderr, from C++, that the switch is in beta. Inside an autograd function the same
    announcement is an ordinary warning, which can be ignored.
    """

    @staticmethod
    def forward(ctx: Any, call: Callable[[], None]) -> Any:
        call()
        return torch.zeros(())


def _quietly(call: Callable[[], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _Announced.apply(call)


def _algorithms() -> Switch:
    """Deterministic algorithms or an error, as (on, warn only). In torch since 1.7; warn only since 1.11."""
    warns = find("torch.is_deterministic_algorithms_warn_only_enabled")
    if warns is not None:
        # torch.use_deterministic_algorithms itself imports the whole compiler (seconds) to set a switch of Inductor's,
        # since 2.10, and would put that one back wrong: https://github.com/pytorch/pytorch/pull/165950
        return Switch(
            lambda: (torch.are_deterministic_algorithms_enabled(), warns()),
            lambda value: torch._C._set_deterministic_algorithms(value[0], warn_only=value[1]),
        )
    get = find("torch.are_deterministic_algorithms_enabled") or find("torch.is_deterministic")
    put = find("torch.use_deterministic_algorithms") or find("torch.set_deterministic")
    # What was asked for, where torch has no such switch, or has no word for it.
    asked = [(False, False)]

    def read() -> tuple[bool, bool]:
        if put is None:
            return asked[0]
        on = bool(get())
        # What is to warn alone is off for this torch; if it is on, somebody has asked torch itself since.
        return asked[0] if all(asked[0]) and not on else (on, False)

    def write(value: tuple[bool, bool]) -> None:
        asked[0] = value
        # This torch can only raise. A block that asks for warnings must not, so it leaves the algorithms as they come.
        on = value[0] and not value[1]
        if put is not None and on and not at_least(1, 9):
            _quietly(lambda: put(True))
        elif put is not None:
            put(on)

    return Switch(read, write)


class _Cublas:
    """The variable that makes cuBLAS deterministic, which it reads when CUDA is first used."""

    def __init__(self) -> None:
        self.in_time = False

    def read(self) -> str | None:
        return os.environ.get(CUBLAS)

    def write(self, value: str | bool | None) -> None:
        """Set the variable, or remove it for None. True asks for any value that makes cuBLAS deterministic."""
        deterministic = self.read() in _CUBLAS_DETERMINISTIC
        initialized = torch.version.cuda is not None and cuda_initialized()
        if value is not True:
            self.in_time = self.in_time or (deterministic and initialized)
        elif deterministic:
            return
        else:
            value = _CUBLAS_DETERMINISTIC[0]
            if initialized and not self.in_time:
                _warn_too_late()
        if value is None:
            os.environ.pop(CUBLAS, None)
        else:
            os.environ[CUBLAS] = str(value)


def _warn_too_late() -> None:
    warnings.warn(
        f"CUDA is already in use and {CUBLAS} was not set when it started, so matrix products on CUDA may differ from"
        f" run to run. Set {CUBLAS}=:4096:8 in the environment of the process, or enter deterministic() before CUDA is"
        " first used.",
        stacklevel=2,
    )


def _rows() -> dict[str, Switch]:
    """The switches that the installed torch has."""
    cublas = _Cublas()
    rows = {
        "algorithms": _algorithms(),
        "cudnn.deterministic": _accessors("cudnn_deterministic"),
        "cudnn.benchmark": _accessors("cudnn_benchmark"),
        # In torch since 2.5.
        "mkldnn.deterministic": _accessors("mkldnn_deterministic"),
        # In torch since 2.2: https://github.com/pytorch/pytorch/pull/111377
        "fill_uninitialized_memory": _accessors("deterministic_fill_uninitialized_memory"),
        "cublas": Switch(cublas.read, cublas.write),
    }
    return {name: row for name, row in rows.items() if row is not None}


SWITCHES = _rows()
