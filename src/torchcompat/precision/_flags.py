"""The precisions of torch 1.2 to 2.8: none, the TF32 flags, the matmul level.

Each has `get` and `set`, which speak in levels, and a `switch` for blocks, which takes levels, too.
"""

from __future__ import annotations

from typing import Any

import torch

from .._scope import Switch


class Recorded:
    """torch 1.2 to 1.6: float32 is never computed in less, so a level is remembered and changes nothing."""

    def __init__(self) -> None:
        self._level = "highest"
        self.switch = Switch(self.get, self.set)

    def get(self) -> str:
        return self._level

    def set(self, level: str) -> None:
        self._level = level


class Kept(Recorded):
    """A precision that is more than its level: `save` gives all of it, and `restore` puts it back."""

    def __init__(self) -> None:
        super().__init__()
        self.switch = Switch(self.save, self._write)

    def _write(self, value: Any) -> None:
        if isinstance(value, str):
            self.set(value)
        else:
            self.restore(value)

    def save(self) -> Any:
        raise NotImplementedError

    def restore(self, state: Any) -> None:
        raise NotImplementedError


class Flag(Kept):
    """An ``allow_tf32`` of torch 1.7 and later: https://github.com/pytorch/pytorch/pull/40800 and /40737.

    "high" and "medium" are the same to the flag; which of the two was asked for is remembered beside it.
    """

    def __init__(self, owner: Any) -> None:
        super().__init__()
        self._owner = owner

    def get(self) -> str:
        if not self._owner.allow_tf32:
            return "highest"
        return "medium" if self._level == "medium" else "high"

    def set(self, level: str) -> None:
        self._owner.allow_tf32 = level != "highest"
        self._level = level

    def save(self) -> Any:
        return self._owner.allow_tf32, self._level

    def restore(self, state: Any) -> None:
        self._owner.allow_tf32, self._level = state


class Level(Recorded):  # torchcompat: needs torch >= 1.12
    """The level of torch 1.12 to 2.8: https://github.com/pytorch/pytorch/pull/76509."""

    def __init__(self) -> None:
        super().__init__()
        self.switch = Switch(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)

    def get(self) -> str:
        level: str = torch.get_float32_matmul_precision()
        # On 1.12 and 1.13 TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 keeps TF32 on whatever the level says.
        return "high" if level == "highest" and torch.backends.cuda.matmul.allow_tf32 else level

    def set(self, level: str) -> None:
        torch.set_float32_matmul_precision(level)
