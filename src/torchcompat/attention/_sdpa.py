"""Which backend scaled_dot_product_attention takes for a call, and why not the others.

On the CPU that follows from the conditions of :mod:`_sdpa_conditions`; elsewhere torch is asked, whose functions for it
run nothing (``torch._fused_sdp_choice``, ``torch.backends.cuda.can_use_flash_attention``).
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any, Iterator, NamedTuple, Sequence

import torch

from .._shim import SHIMS
from .._torch import UnsupportedError, at_least, find
from ..nn.attention._backends import allowed
from ..nn.functional._sdpa._arguments import check_shapes, mask_for, number
from ..nn.functional._sdpa._autocast import autocast_dtype
from ..nn.functional._sdpa._formula import open_masked_rows
from ..nn.functional._sdpa._kernels import NAME, _native_serves
from . import SdpaChoice
from ._conditions import violated
from ._sdpa_conditions import FLASH_ON_CPU, SdpaCall, View, promoted

_BACKENDS = ("MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "OVERRIDEABLE", "ERROR")
_QUESTIONS = {
    "FLASH_ATTENTION": "can_use_flash_attention",
    "EFFICIENT_ATTENTION": "can_use_efficient_attention",
    "CUDNN_ATTENTION": "can_use_cudnn_attention",
}
FUSED = (*_QUESTIONS, "OVERRIDEABLE")
FALLBACK = (
    "fallback: torchcompat's own scaled_dot_product_attention runs, which is no kernel but the formula, in blocks "
    "where the scores are many."
)
_NATIVE: Any = find("torch." + NAME)


class Arguments(NamedTuple):
    """The arguments of a call by their names."""

    query: Any
    key: Any
    value: Any
    attn_mask: Any = None
    dropout_p: Any = 0.0
    is_causal: Any = False
    scale: Any = None
    enable_gqa: Any = False

    def tensors(self) -> list[Any]:
        return [x for x in self[:4] if x is not None]

    def keywords(self) -> dict[str, Any]:
        """Those that not every torch has, where they are given."""
        given = {} if self.scale is None else {"scale": self.scale}
        return dict(given, enable_gqa=True) if self.enable_gqa else given


def function_of(target: Any) -> str | None:
    """Whether *target* is torch's function, torchcompat's fallback, or neither."""
    if target is SHIMS[NAME].fallback:
        return "fallback"
    return "native" if target is not None and target is _NATIVE else None


def public() -> str:
    """Which of the two torchcompat's public function is."""
    return "native" if SHIMS[NAME].public is _NATIVE else "fallback"


def bind(function: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
    """The arguments by their names, checked as far as the choice looks at them."""
    try:
        given = inspect.signature(SHIMS[NAME].fallback).bind(*inputs, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"inputs do not fit scaled_dot_product_attention: {error}") from None
    for keyword, known in (("scale", at_least(2, 1)), ("enable_gqa", at_least(2, 5))):
        if function == "native" and keyword in given and not known:
            raise TypeError(f"the scaled_dot_product_attention of torch {torch.__version__} takes no {keyword}")
    for name in ("query", "key", "value", "attn_mask"):
        value = given.get(name)
        if not isinstance(value, torch.Tensor) and (value is not None or name != "attn_mask"):
            raise TypeError(f"{name} must be a Tensor, got {type(value).__name__}")
    return Arguments(**given)._replace(dropout_p=number("dropout_p", given.get("dropout_p", 0.0)))


def choose(function: str, given: Arguments) -> SdpaChoice:
    """The backend of a call of torch's function or of the fallback."""
    if function == "fallback":
        return _by_fallback(given)
    return _on_cpu(_seen(given)) if given.query.device.type == "cpu" else _elsewhere(given)


def why_not_fused(function: str, given: Arguments) -> list[str]:
    """The reasons against every fused kernel; none if one runs."""
    backend, reasons = choose(function, given)
    if backend in FUSED:
        return []
    if given.query.device.type == "cpu" or all(found == [FALLBACK] for found in reasons.values()):
        return reasons["FLASH_ATTENTION"]
    return [_named(reason, name) for name in FUSED for reason in reasons[name]]


def _named(reason: str, backend: str) -> str:
    code, _, sentence = reason.partition(": ")
    return f"{code}: {backend}: {sentence}"


# What torch looks at.


@contextlib.contextmanager
def _aside() -> Iterator[None]:  # torchcompat: needs torch >= 2.0
    """Out of sight of torch-function and dispatch modes, whose owners are not to see the question; without warnings."""
    from torch.utils._python_dispatch import _disable_current_modes

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(torch._C.DisableTorchFunction())
        stack.enter_context(_disable_current_modes())
        yield


def _lowers(device: str) -> Any:  # torchcompat: needs torch >= 2.0
    """The dtype that autocast converts the arguments to; None if it does not."""
    key = {"cpu": "AutocastCPU", "cuda": "AutocastCUDA", "xpu": "AutocastXPU"}.get(device)
    if key is None or not torch._C._dispatch_has_kernel_for_dispatch_key("aten::scaled_dot_product_attention", key):
        return None
    return autocast_dtype(device)


def view(x: Any, dtype: Any) -> View:
    """What torch's choice sees of a tensor, after autocast to *dtype*."""
    if x.is_nested:
        return View((), (), x.dtype, x.requires_grad, True)
    seen = View(tuple(x.shape), tuple(x.stride()), x.dtype, bool(x.requires_grad), False)
    if dtype is None or x.dtype in (dtype, torch.float64) or not x.is_floating_point():
        return seen
    # A conversion keeps the order of the strides if it can, and makes others dense: as torch does for a meta tensor.
    stride = torch.empty_strided(seen.shape, seen.stride, dtype=x.dtype, device="meta").to(dtype).stride()
    return seen._replace(stride=tuple(stride), dtype=dtype, requires_grad=x.requires_grad and torch.is_grad_enabled())


def _seen(given: Arguments) -> SdpaCall:
    dtype = _lowers(given.query.device.type)
    with _aside():
        query, key, value = (view(x, dtype) for x in given[:3])
        mask = None if given.attn_mask is None else view(given.attn_mask, dtype)
    return SdpaCall(query, key, value, mask, given.dropout_p, bool(given.enable_gqa))


# The CPU.


def _on_cpu(call: SdpaCall) -> SdpaChoice:
    if at_least(2, 14):
        call = promoted(call)
    flash = [str(row) for row in violated(FLASH_ON_CPU, call)]
    reasons = {
        "FLASH_ATTENTION": flash,
        "EFFICIENT_ATTENTION": ["device: It is a kernel for CUDA devices."],
        "CUDNN_ATTENTION": ["device: It is a kernel for CUDA devices."],
        "OVERRIDEABLE": ["device: It is the kernel of a device from outside torch."],
    }
    math = _flag_of_math() if at_least(2, 1) and not _answered_at_once(flash) else []
    if not flash:
        return _chosen("FLASH_ATTENTION", dict(reasons, MATH=math or [_priority("FLASH_ATTENTION")]))
    return _chosen("ERROR" if math else "MATH", dict(reasons, MATH=math))


def _answered_at_once(reasons: Sequence[str]) -> bool:
    return any(reason.startswith("empty:") for reason in reasons)


def _chosen(backend: str, reasons: dict[str, list[str]]) -> SdpaChoice:
    return SdpaChoice(backend, {name: found for name, found in reasons.items() if name != backend})


def _flag_of_math() -> list[str]:  # torchcompat: needs torch >= 2.0
    return [] if torch.backends.cuda.math_sdp_enabled() else [_switched_off("MATH")]


def _priority(backend: str) -> str:
    return f"priority: {backend} comes before it."


# torchcompat's own function.


def _by_fallback(given: Arguments) -> SdpaChoice:
    """On torch 2.0 to 2.4 it leaves some calls to torch's function; the others run without any kernel."""
    device = given.query.device.type
    served = _served(given) if at_least(2, 0) else None
    if served is not None:
        return _on_cpu(served) if device == "cpu" else _elsewhere(given)
    no_scores = 0 in given.query.shape[:-1] or 0 in given.key.shape[:-1]
    if not no_scores and not any(allowed(device)):
        return SdpaChoice("ERROR", {name: [_switched_off(name)] for name in ("MATH", *FUSED)})
    return SdpaChoice("MATH", {name: [FALLBACK] for name in FUSED})


def _served(given: Arguments) -> SdpaCall | None:
    """What torch's function gets from the fallback; None if it is not called."""
    if any(x.is_nested for x in given.tensors()):
        return _seen(given) if at_least(2, 0) and not at_least(2, 5) else None
    given = _lowered(given, autocast_dtype(given.query.device.type))
    query, key, value = given[:3]
    try:
        scores = check_shapes(query, key, value, bool(given.enable_gqa))
        mask = None if given.attn_mask is None else mask_for(given.attn_mask, scores)
    except (RuntimeError, IndexError):
        return None  # the call raises
    scale = 1.0 if given.scale is None else given.scale
    diagonal = 0 if given.is_causal else None
    if not _native_serves(query, key, value, mask, given.dropout_p, diagonal, scale):
        return None
    with _aside():
        opened = None if mask is None else _opened(mask, key.size(-2))
        query, key, value = (view(x, None) for x in (query, key, value))
    return SdpaCall(query, key, value, opened, given.dropout_p, False)


def _opened(mask: Any, keys: int) -> View:
    """The mask as the fallback hands it on: with fully masked rows opened, and of the scores' width."""
    meta = torch.empty_strided(tuple(mask.shape), mask.stride(), dtype=mask.dtype, device="meta")
    opened = open_masked_rows(meta)[0]
    opened = opened if opened.size(-1) == keys else opened.expand(*opened.shape[:-1], keys).contiguous()
    return view(opened, None)._replace(requires_grad=mask.requires_grad and torch.is_grad_enabled())


def _switched_off(name: str) -> str:
    return f"flag: {name} is switched off; leave the sdpa_kernel block that excludes it."


# Other devices.


def asked(given: Arguments) -> str | None:  # torchcompat: needs torch >= 2.0
    """Torch's own answer. None where it cannot be had, or not unseen by a transform or tracer that is at work."""
    plain = all(type(x) in (torch.Tensor, torch.nn.Parameter) for x in given.tensors())
    at_work = torch._C._functorch.peek_interpreter_stack() is not None or torch._C._get_tracing_state() is not None
    # torch 2.9 to 2.11 end the process where enable_gqa meets a key without heads.
    without_heads = given.enable_gqa and not given.key.is_nested and 0 in given.key.shape
    if not plain or at_work or without_heads or torch._C._len_torch_dispatch_stack():
        return None
    with _aside():
        try:
            positional = (*given[:4], given.dropout_p, given.is_causal)
            return _BACKENDS[torch._fused_sdp_choice(*positional, **given.keywords())]
        except NotImplementedError:
            return None
        except RuntimeError:
            return "ERROR"


def _elsewhere(given: Arguments) -> SdpaChoice:
    device = given.query.device.type
    given = _lowered(given, _lowers(device))
    backend = asked(given)
    if backend is None:
        raise UnsupportedError(
            f"what runs on {device} can only be told for plain tensors, outside of transforms, tracing and modes; ask "
            "there, with tensors of the same shapes, strides and dtypes"
        )
    reasons = {name: _reasons(name, backend, given) for name in FUSED}
    reasons["MATH"] = _flag_of_math() or [_priority(backend)]
    return _chosen(backend, reasons)


def _lowered(given: Arguments, dtype: Any) -> Arguments:
    """The arguments as autocast hands them on; nothing is copied."""
    if dtype is None or any(x.is_nested for x in given.tensors()):
        return given
    with _aside():
        return given._replace(**{name: _stand_in(getattr(given, name), dtype) for name in Arguments._fields[:4]})


def _stand_in(x: Any, dtype: Any) -> Any:
    if x is None:
        return None
    seen = view(x, dtype)
    if seen.dtype == x.dtype:
        return x
    empty = torch.empty_strided(seen.shape, seen.stride, dtype=seen.dtype, device=x.device)
    return empty.requires_grad_(seen.requires_grad)


def _reasons(name: str, backend: str, given: Arguments) -> list[str]:
    """The reasons against one fused backend on a device other than the CPU."""
    device = given.query.device.type
    if name not in _QUESTIONS:
        return ["device: It is the kernel of a device from outside torch."]
    if device != "cuda":
        return [f"device: It does not run on {device}."]
    question = find("torch.backends.cuda." + _QUESTIONS[name])
    if question is None:
        return [f"unknown: torch {torch.__version__} has no torch.backends.cuda.{_QUESTIONS[name]} that would tell."]
    can, said = _debugged(question, given)
    if can:
        return [_priority(backend)]
    return [f"refused: {sentence}" for sentence in said or [f"torch.backends.cuda.{_QUESTIONS[name]} says no."]]


def _debugged(question: Any, given: Arguments) -> tuple[bool, list[str]]:  # torchcompat: needs torch >= 2.2
    """The answer of a ``can_use_..._attention``, and what torch says about it.

    Torch prints the reasons as warnings of C++, which are Python's warnings only while an operation called by Python is
    under way: so the question is asked within one.
    """
    arguments = (*given[:4], float(given.dropout_p), bool(given.is_causal))
    parameters = torch.backends.cuda.SDPAParams(*arguments, *([bool(given.enable_gqa)] if at_least(2, 5) else []))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with _during_an_operation(lambda: question(parameters, True)) as answers:
            torch.empty(0, device="cpu")
    said = [str(warning.message).partition(" (Triggered internally")[0].strip() for warning in caught]
    return bool(answers[0]), said


@contextlib.contextmanager
def _during_an_operation(ask: Any) -> Iterator[list[Any]]:  # torchcompat: needs torch >= 2.0
    from torch.utils._python_dispatch import TorchDispatchMode

    answers: list[Any] = []

    class Asking(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            answers.append(ask())
            return function(*args, **(kwargs or {}))

    with Asking():
        yield answers
