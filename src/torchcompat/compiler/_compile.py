"""``torch.compile`` where there is a compiler, and the function itself where there is none."""

from __future__ import annotations

import sys
from typing import Any

from .._shim import Limit, polyfill
from .._torch import UnsupportedError, at_least, find, parameters

__all__ = ["compile"]

_native: Any = find("torch.compile")
# The first torch that compiles on a Python; what the table does not name is left to torch.
_FIRST = {(3, 11): (2, 1), (3, 12): (2, 4), (3, 13): (2, 6), (3, 14): (2, 10)}
_WINDOWS = (2, 2)
COMPILES = bool(
    _native is not None
    and at_least(*_FIRST.get(sys.version_info[:2], (2, 0)))
    and (sys.platform != "win32" or at_least(*_WINDOWS))
)
_KEYWORDS = parameters(_native) if COMPILES else set()
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite")


def _check(model: Any, backend: Any, mode: Any, options: Any, dynamic_shapes: Any) -> None:
    if not callable(model):
        raise TypeError(f"model must be a module or a function, got {type(model).__name__}")
    if mode is not None and options is not None:
        raise RuntimeError("mode and options exclude each other: a mode is a set of options; give one of them")
    if not (backend is None or isinstance(backend, str) or callable(backend)):
        raise TypeError(f"backend must be a string or callable, got {type(backend).__name__}")
    if backend in (None, "inductor") and mode is not None and mode not in _MODES:
        raise RuntimeError(f"mode must be one of {', '.join(_MODES)}; got {mode!r}")
    if not (options is None or isinstance(options, dict)):
        raise TypeError(f"options must be a dict, got {type(options).__name__}")
    if dynamic_shapes is not None and "dynamic_shapes" not in _KEYWORDS:
        raise UnsupportedError("dynamic_shapes needs torch 2.14 or newer; leave it out")


@polyfill(
    "torch.compile",
    since="2.14",
    link="https://github.com/pytorch/pytorch/pull/187010",
    limits=[
        Limit("backend name", "takes any name of a backend where nothing compiles", "fallback", "1.2", "2.0"),
        Limit(
            "other settings",
            "warns, as torch's own, when what was compiled with other settings runs after each other",
            "fallback",
            "2.1",
            "2.1",
        ),
    ],
    reason="no `dynamic_shapes`",
)
def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    dynamic_shapes: Any = None,
) -> Any:
    """Compile a module or a function; without *model*, a decorator that does.

    In torch since 2.14. Fallback: torch's own where it can compile on this Python, less the keywords that it lacks
    (``name``, ``recompile_limit`` and ``isolate_recompiles`` change no result); elsewhere *model* itself, which is also
    what the decorator returns. ``compiler.COMPILES`` tells which. Calling it imports torch's compiler.
    https://docs.pytorch.org/docs/stable/generated/torch.compile.html

    Args:
        model: a module or a function.
        fullgraph: fail where it cannot be compiled as a whole.
        dynamic: sizes may vary (True), never vary (False), or are found to vary (None).
        backend: a name or a callable; None is torch's default, "inductor" unless that was changed.
        mode: "default", "reduce-overhead", "max-autotune" or "max-autotune-no-cudagraphs".
        options: for the backend; not together with *mode*.
        disable: return *model* itself.

    Raises:
        RuntimeError: *mode* and *options* together; an unknown mode.
        TypeError: *model* cannot be called; *backend* or *options* of another type.
        UnsupportedError: *dynamic_shapes* before torch 2.14.
    """
    settings: dict[str, Any] = {
        "fullgraph": fullgraph,
        "dynamic": dynamic,
        "backend": backend,
        "mode": mode,
        "options": options,
        "name": name,
        "disable": disable,
        "recompile_limit": recompile_limit,
        "isolate_recompiles": isolate_recompiles,
        "dynamic_shapes": dynamic_shapes,
    }
    if model is None:
        return lambda function: _compiled(function, settings)
    return _compiled(model, settings)


def _compiled(model: Any, settings: dict[str, Any]) -> Any:
    if model is None:
        raise RuntimeError("Model can't be None")
    _check(model, *(settings[key] for key in ("backend", "mode", "options", "dynamic_shapes")))
    if not COMPILES:
        return model
    # torch takes some options out of the dict that it is given.
    given = {key: value for key, value in settings.items() if key in _KEYWORDS and value is not None}
    if "options" in given:
        given["options"] = dict(given["options"])
    return _native(model, **given)
