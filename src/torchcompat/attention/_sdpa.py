"""Which backend scaled_dot_product_attention takes for a call, and why not the others.

On the CPU that follows from the conditions of :mod:`_sdpa_conditions`; elsewhere torch is asked, whose functions for it
run nothing (``torch._fused_sdp_choice``, ``torch.backends.cuda.can_use_flash_attention``).
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any, Iterator, Sequence

import torch

from .._shim import SHIMS
from .._torch import UnsupportedError, at_least, find
from ..nn.attention._bias import is_bias, resolve
from ..nn.functional._sdpa._arguments import Arguments, is_nested, number
from ..nn.functional._sdpa._autocast import autocast_dtype
from ..nn.functional._sdpa._call import Call, call_of
from ..nn.functional._sdpa._kernels import for_native
from ..nn.functional._sdpa._plan import FORMULA, NAME, NATIVE, NONE, plan
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


def _tensors(given: Arguments) -> list[Any]:
    return [x for x in given[:4] if x is not None]


def _keywords(given: Arguments) -> dict[str, Any]:
    """The arguments that not every torch has, where they are given."""
    keywords = {} if given.scale is None else {"scale": given.scale}
    return dict(keywords, enable_gqa=True) if given.enable_gqa else keywords


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
    if given.query.device.type != "cpu":
        return _elsewhere(given)
    if is_bias(given.attn_mask) and not given.is_causal:  # of torch's class or ours: torch's function never sees it
        with _aside():
            mask, is_causal = resolve(given.attn_mask, False, given.query)
        given = given._replace(attn_mask=mask, is_causal=is_causal)
    return _on_cpu(_seen(given))


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
    if is_nested(*given[:3]) and at_least(2, 0) and not at_least(2, 5):
        return choose("native", given)
    dtype = autocast_dtype(given.query.device.type)
    try:
        call = call_of(given, lambda tensor: _stand_in(tensor, dtype))
    except (RuntimeError, ValueError, IndexError):
        way = FORMULA  # The call raises: nothing runs.
    else:
        way = plan(call)
    if way == NATIVE:
        return _on_cpu(_handed_on(call)) if call.query.device.type == "cpu" else _elsewhere(_arguments_of(call))
    if way == NONE:
        return SdpaChoice("ERROR", {name: [_switched_off(name)] for name in ("MATH", *FUSED)})
    return SdpaChoice("MATH", {name: [FALLBACK] for name in FUSED})


def _handed_on(call: Call) -> SdpaCall:
    """What torch's function gets of a call that the fallback leaves to it, on the CPU."""
    mask = call.mask
    with _aside():
        if mask is not None:  # Only its shape is looked at: on the meta device it is opened at no cost.
            mask = torch.empty_strided(tuple(mask.shape), mask.stride(), dtype=mask.dtype, device="meta")
        key, value, mask, _ = for_native(call._replace(mask=mask))
        query, key, value = (view(x, None) for x in (call.query, key, value))
        mask = None if mask is None else view(mask, None)
    if mask is not None:
        mask = mask._replace(requires_grad=call.mask.requires_grad and torch.is_grad_enabled())
    return SdpaCall(query, key, value, mask, call.options.dropout_p, False)


def _arguments_of(call: Call) -> Arguments:  # torchcompat: needs torch >= 2.0
    """The same on another device, where torch is asked: tensors in place of those with repeated heads."""
    with _aside():
        key, value = (_repeated(x, call.scores) for x in (call.key, call.value))
    scale = call.options.scale if at_least(2, 1) else None
    is_causal = call.options.causal_offset is not None
    return Arguments(call.query, key, value, None, call.options.dropout_p, is_causal, scale)


def _repeated(x: Any, scores: Sequence[int]) -> Any:
    if x.dim() < 3 or x.size(-3) == scores[-3]:
        return x
    shape = (*x.shape[:-3], scores[-3], *x.shape[-2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device).requires_grad_(x.requires_grad)


def _switched_off(name: str) -> str:
    return f"flag: {name} is switched off; leave the sdpa_kernel block that excludes it."


# Other devices.


def asked(given: Arguments) -> str | None:  # torchcompat: needs torch >= 2.0
    """Torch's own answer. None where it cannot be had, or not unseen by a transform or tracer that is at work."""
    plain = all(type(x) in (torch.Tensor, torch.nn.Parameter) for x in _tensors(given))
    at_work = torch._C._functorch.peek_interpreter_stack() is not None or torch._C._get_tracing_state() is not None
    # torch 2.9 to 2.11 end the process where enable_gqa meets a key without heads.
    without_heads = given.enable_gqa and not given.key.is_nested and 0 in given.key.shape
    if not plain or at_work or without_heads or torch._C._len_torch_dispatch_stack():
        return None
    with _aside():
        try:
            positional = (*given[:4], given.dropout_p, given.is_causal)
            return _BACKENDS[torch._fused_sdp_choice(*positional, **_keywords(given))]
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
    if dtype is None or any(x.is_nested for x in _tensors(given)):
        return given
    changed = {name: _stand_in(getattr(given, name), dtype) for name in ("query", "key", "value", "attn_mask")}
    return given._replace(**changed)


def _stand_in(x: Any, dtype: Any) -> Any:
    """A tensor like *x* after autocast to *dtype*, whose elements are never looked at; or *x* itself."""
    if x is None or dtype is None or x.dtype in (dtype, torch.float64) or not x.is_floating_point():
        return x
    if not at_least(2, 0):  # There it is the shape alone that counts.
        return torch.empty(tuple(x.size()), dtype=dtype, device=x.device)
    with _aside():
        seen = view(x, dtype)
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
