"""The constants of the array API, as attributes of ``torchcompat``."""

from __future__ import annotations

import math

from .._shim import constant

__all__ = ["e", "inf", "nan", "newaxis", "pi"]

_LINK = "https://github.com/pytorch/pytorch/issues/58739"


def _doc(what: str, home: str) -> str:
    return f"{what}\n\nIn torch since 1.10. Fallback: `{home}`, which is what torch's own is, too."


e: float = constant("torch.e", math.e, "1.10", _LINK, _doc("Euler's number, a float.", "math.e"))
inf: float = constant("torch.inf", math.inf, "1.10", _LINK, _doc("Infinity, a float.", "math.inf"))
nan: float = constant("torch.nan", math.nan, "1.10", _LINK, _doc("Not a number, a float.", "math.nan"))
pi: float = constant(
    "torch.pi",
    math.pi,
    "1.10",
    _LINK,
    _doc("A circle's circumference over its diameter, a float.", "math.pi"),
)
newaxis: None = constant(
    "torch.newaxis",
    None,
    "2.4",
    "https://github.com/pytorch/pytorch/pull/125026",
    "A new axis of length 1 where a tensor is indexed, as in `x[:, newaxis]`.\n\n"
    "In torch since 2.4. Fallback: None, which is what torch's own is, too.",
)
