"""Hooks around a forward: of one module, and of all."""

from __future__ import annotations

from typing import Any

import torch


def is_hooked(module: Any) -> bool:
    """Whether a module has hooks of its own around its forward."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def is_hooked_globally() -> bool:
    """Whether all modules have hooks around their forward, which torch has since 1.5."""
    return any(getattr(torch.nn.modules.module, "_global_forward" + kind, None) for kind in ("_hooks", "_pre_hooks"))
