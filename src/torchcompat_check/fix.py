"""`torchcompat check --fix`: puts torchcompat's names in the place of torch's where those are missing on some torch.

The code is rewritten with LibCST, which keeps comments and formatting: https://libcst.readthedocs.io
"""

from __future__ import annotations

import difflib
from typing import Sequence

from .finding import Finding

# `import torchcompat` does not load these modules, as `import torch` does not load theirs.
ON_DEMAND = (
    "torchcompat.utils.checkpoint",
    "torchcompat.nn.attention.bias",
    "torchcompat.nn.attention.flex_attention",
    "torchcompat.nn.attention.varlen",
)


class NeedsLibCST(RuntimeError):
    """LibCST, which --fix needs, is not installed."""

    def __init__(self) -> None:
        super().__init__("--fix needs LibCST: pip install 'torchcompat-shims[fix]'")


def fixed(source: str, findings: Sequence[Finding]) -> str:
    """*source* with torchcompat's names for those *findings* that have one; the rest of it, byte for byte, as it was.

    Raises NeedsLibCST where that is not installed, SyntaxError where LibCST cannot read the code.
    """
    wanted = [one for one in findings if one.shim]
    if not wanted:
        return source
    try:
        import libcst as cst

        from . import _rewrite
    except ImportError:
        raise NeedsLibCST from None
    try:
        return _rewrite.rewrite(source, wanted)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message) from None


def diff(path: str, before: str, after: str) -> str:
    """The change as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
