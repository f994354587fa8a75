"""``torch.utils``: what it offers is in its submodules, such as :mod:`torchcompat.utils.checkpoint`."""

from __future__ import annotations

from .._absent import point_to_torch as _point_to_torch

__all__: list[str] = []

_point_to_torch(globals())
