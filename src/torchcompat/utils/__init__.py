"""``torch.utils``: what it offers is in its submodules, such as :mod:`torchcompat.utils.checkpoint`."""

from __future__ import annotations

__all__: list[str] = []
