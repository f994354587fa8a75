"""How precisely torch computes with float32: one level for matrix products, one for convolutions, on any torch.

torch has had three ways to say this: the flags ``allow_tf32`` (1.7), ``set_float32_matmul_precision`` (1.12) and the
``fp32_precision`` attributes (2.9), the last of which does not mix with the others. Code that uses this module is right
on all of them, whatever other code has used. docs/precision.md tells what holds on which torch.

Every setting is of the whole process, as in torch: not of a thread.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Sequence

import torch

from .. import _scope
from .._shim import Limit, facade, lacks, polyfill
from .._torch import find
from ._flags import Flag, Level, Recorded

if TYPE_CHECKING:
    from .._types import ConvLevel, Level

__all__ = [
    "conv_precision",
    "get_conv_precision",
    "get_float32_matmul_precision",
    "get_matmul_precision",
    "matmul_precision",
    "set_conv_precision",
    "set_float32_matmul_precision",
    "set_matmul_precision",
]

_MATMUL_LEVELS = ("highest", "high", "medium")
_CONV_LEVELS = ("highest", "high")


def _precisions() -> tuple[Recorded, Recorded]:
    """The precision of matrix products and that of convolutions, as the installed torch has them."""
    if find("torch._C._get_fp32_precision_getter"):
        from ._fp32 import Conv, Matmul

        return Matmul(), Conv()
    if find("torch.set_float32_matmul_precision"):
        return Level(), Flag(torch.backends.cudnn)
    if find("torch.backends.cuda.matmul"):
        return Flag(torch.backends.cuda.matmul), Flag(torch.backends.cudnn)
    return Recorded(), Recorded()


_matmul, _conv = _precisions()


def _get(precision: Recorded) -> str:
    with _scope.lock:
        return precision.get()


def _set(precision: Recorded, level: str) -> None:
    with _scope.lock:
        precision.set(level)


class _Context(_scope.Context):
    """What the two contexts have in common. A subclass names its precision and checks its level."""

    _precision: Recorded

    def __init__(self, level: str) -> None:
        super().__init__()
        self._level = level

    def _settings(self) -> _scope.Settings:
        return {self._precision.switch: self._level}


def _checked(level: Any, levels: Sequence[str]) -> str:
    if not isinstance(level, str) or level not in levels:
        error = ValueError if isinstance(level, str) else TypeError
        raise error("level must be one of {}; got {!r}".format(", ".join(map(repr, levels)), level))
    return levels[levels.index(level)]  # a plain str, also for a member of an enum of strings


@facade("precision.set_matmul_precision")
def set_matmul_precision(level: Level) -> None:
    """Set how precisely float32 matrix products are computed, in the whole process.

    Not in torch: ``torch.set_float32_matmul_precision`` starts at 1.12, takes any string, and does not tell when it had
    no effect. It overrides whatever was set before, by any of torch's ways, and leaves all of torch's getters
    for matrix products readable.

    Args:
        level: "highest": in float32. "high": TF32 is allowed, where the device has it. "medium": bfloat16 is allowed
            too, where torch can use it; otherwise it is "high". From torch 2.3 on "medium" changes results on CPUs
            with fast bfloat16 (https://github.com/pytorch/pytorch/issues/125386), and from 2.9 on "high" may, on those
            with TF32. Up to torch 1.6 every level computes in float32.

    Raises:
        TypeError: *level* is not a string.
        ValueError: *level* is another string. Either way nothing has changed.
    """
    _set(_matmul, _checked(level, _MATMUL_LEVELS))


@facade("precision.get_matmul_precision")
def get_matmul_precision() -> Level:
    """The level of float32 matrix products: the least precise one that torch may now use on any device.

    Not in torch: ``torch.get_float32_matmul_precision`` raises from 2.9 on when both of torch's APIs were used. This
    never raises, changes nothing, and sees what was set in any of torch's ways.

    Returns:
        "highest", "high" or "medium". Where CUDA and the CPU are set apart (2.9 and later), the less precise of the
        two: so "highest" means float32 everywhere. Up to torch 1.6 what was set last. On torch 1.7 to 1.11 it starts
        as "high": TF32 was on by default.
    """
    level: Level = _get(_matmul)  # type: ignore[assignment]
    return level


@facade("precision.matmul_precision")
class matmul_precision(_Context):
    """Set the precision of float32 matrix products for a block or a function, and put back exactly what was there.

    Not in torch. Use it as ``with matmul_precision("high"):`` or ``@matmul_precision("high")``. One object can be used
    again, also inside itself. What is put back is all that decides over matrix products, torch's older and newer
    settings alike, as they were on entry, also if the block raised or changed them. Convolutions are not touched.

    The level holds for the whole process, so also for other threads. Contexts that overlap, in threads or in suspended
    generators, set their level on entry; when the last one has closed, everything is as the first one found it.

    Args:
        level: as in :func:`set_matmul_precision`.

    Raises:
        TypeError: *level* is not a string; or what is decorated is a class.
        ValueError: *level* is another string.
    """

    _precision = _matmul

    def __init__(self, level: Level) -> None:
        super().__init__(_checked(level, _MATMUL_LEVELS))


@facade("precision.set_conv_precision")
def set_conv_precision(level: ConvLevel) -> None:
    """Set how precisely cuDNN computes float32 convolutions and recurrent layers, in the whole process.

    Not in torch under one name: it is ``torch.backends.cudnn.allow_tf32`` from 1.7 on, and
    ``torch.backends.cudnn.conv.fp32_precision`` and ``.rnn.fp32_precision`` from 2.9 on. Both are set, so that all of
    torch's getters stay readable. Convolutions on the CPU are not touched.

    Args:
        level: "highest": in float32. "high": TF32 is allowed, where the device has it; this is torch's default from
            1.7 on. Up to torch 1.6 both compute in float32.

    Raises:
        TypeError: *level* is not a string.
        ValueError: *level* is another string; also "medium", which cuDNN does not have. Either way nothing has changed.
    """
    _set(_conv, _checked(level, _CONV_LEVELS))


@facade("precision.get_conv_precision")
def get_conv_precision() -> ConvLevel:
    """The level of cuDNN's float32 convolutions and recurrent layers.

    Not in torch: from 2.9 on ``torch.backends.cudnn.allow_tf32`` raises when both of torch's APIs were used. This never
    raises and changes nothing.

    Returns:
        "highest" or "high"; "high" if convolutions and recurrent layers are set apart (2.9 and later).
        Up to torch 1.6 what was set last, at first "highest".
    """
    level: ConvLevel = _get(_conv)  # type: ignore[assignment]
    return level


@facade("precision.conv_precision")
class conv_precision(_Context):
    """Set the precision of cuDNN's float32 convolutions and recurrent layers for a block or a function.

    Not in torch. As :class:`matmul_precision`, for what :func:`set_conv_precision` sets; matrix products are not
    touched. One thing cannot be put back, since torch has no way to: from 2.13 on, as long as nothing was ever set for
    convolutions, they follow ``torch.backends.fp32_precision`` and ``torch.backends.cudnn.fp32_precision``, and are
    TF32 where those are "none". What comes back is the precision that this amounted to on entry.

    Args:
        level: as in :func:`set_conv_precision`.

    Raises:
        TypeError, ValueError: as :class:`matmul_precision`.
    """

    _precision = _conv

    def __init__(self, level: ConvLevel) -> None:
        super().__init__(_checked(level, _CONV_LEVELS))


_ADDED = "https://github.com/pytorch/pytorch/pull/76509"


@polyfill(
    "torch.set_float32_matmul_precision",
    since="1.12",
    link=_ADDED,
    limits=[
        Limit("unknown level", "names an unknown level on stderr, not by a UserWarning", "native", "1.12", "2.2"),
        # An empty std::string of the old C++ ABI is one that all share; the wheels have the new ABI from 2.7 on.
        Limit(
            "empty strings",
            "after an unknown level this process can make no `torch.library.Library`: every empty string is that level",
            "native",
            "1.12",
            "2.6",
        ),
        Limit("bytes", "takes no bytes", "fallback"),
        lacks("fullgraph", "2.0"),
    ],
)
def set_float32_matmul_precision(precision: str) -> None:
    """Set how precisely float32 matrix products are computed: :func:`set_matmul_precision` is stricter.

    In torch since 1.12. Fallback: sets ``torch.backends.cuda.matmul.allow_tf32`` on 1.7 to 1.11, where "medium" is
    "high"; up to 1.6 only remembers the level, since there float32 is always computed in float32.
    https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html

    Args:
        precision: "highest", "high" or "medium". Another string changes nothing and gives a UserWarning.

    Raises:
        RuntimeError: *precision* is not a string.
    """
    if not isinstance(precision, str):
        raise RuntimeError(f"precision must be a str, one of {_MATMUL_LEVELS}; got {precision!r}")
    if precision not in _MATMUL_LEVELS:
        message = f"precision must be one of {_MATMUL_LEVELS}; got {precision!r}, and nothing has changed"
        warnings.warn(message, UserWarning, stacklevel=2)
        return
    _set(_matmul, precision)


@polyfill(
    "torch.get_float32_matmul_precision",
    since="1.12",
    link=_ADDED,
    limits=[
        Limit("default", 'starts as "high": TF32 is on by default', "fallback", "1.7", "1.11"),
        Limit(
            "mix",
            "returns a level after a mix of older and newer settings, where torch's own raises",
            "fallback",
            "2.9",
        ),
    ],
)
def get_float32_matmul_precision() -> str:
    """The level that was set by :func:`set_float32_matmul_precision`.

    In torch since 1.12. Fallback: the same as :func:`get_matmul_precision`.
    https://docs.pytorch.org/docs/stable/generated/torch.get_float32_matmul_precision.html

    Returns:
        "highest", "high" or "medium".

    Raises:
        RuntimeError: from torch 2.9 on, where settings of the older and of the newer API contradict each other.
    """
    return _get(_matmul)
