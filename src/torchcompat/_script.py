"""What ``torch.jit.script`` is told about functions of ours."""

from __future__ import annotations

from typing import Any

from ._torch import find


def script_as(function: Any, operator: str) -> None:
    """Have ``torch.jit.script`` call torch's *operator*, as in ``"aten::meshgrid"``, where *function* is called.

    Torch keeps these names in a table by the identities of the functions, which must not be collected before it.
    https://github.com/pytorch/pytorch/blob/v1.8.1/torch/jit/_builtins.py#L143
    """
    register = find("torch.jit._builtins._register_builtin") or find("torch.jit._register_builtin")
    if register is not None:
        register(function, operator)
