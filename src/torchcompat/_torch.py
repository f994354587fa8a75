"""What the installed torch is: the only reader of ``torch.__version__`` and the only prober of its attributes."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any, Callable, Tuple, TypeVar, cast

try:
    import torch
except ModuleNotFoundError as error:
    # `python -m torchcompat` imports this package before its `__main__`, which can do without torch, or says in one
    # line what to install. `-m` stands in `argv` for the module until Python has found it.
    _program = getattr(sys, "orig_argv", sys.argv)[-len(sys.argv) :]
    if error.name == "torch" and sys.argv[:1] == ["-m"] and _program[:1] == ["torchcompat"]:
        from torchcompat_check.__main__ import main as _main

        _main(sys.argv[1:])
    raise

Release = Tuple[int, int, int]
F = TypeVar("F", bound=Callable[..., Any])


class UnsupportedError(RuntimeError):
    """What was asked for needs something the installed torch does not have and no fallback can give."""


UnsupportedError.__module__ = "torchcompat"


def _plain(text: str) -> Release | None:
    """The release of an ordinary wheel, ``"2.4.1+cu121"``, or None.

    Importing packaging for it, or compiling a regular expression, would be most of the cost of importing torchcompat.
    """
    parts = text.partition("+")[0].split(".")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    return None


def parse_version(text: str) -> tuple[Release, bool]:
    """The release a version string belongs to, and whether it is a pre-release of it. Never raises.

    Local tags never matter. A string that holds no number gives release ``(0, 0, 0)``, older than every torch: every
    name is then torchcompat's own, which runs on any torch.
    """
    plain = _plain(text)
    if plain:
        return plain, False
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(text)
    except InvalidVersion:
        # Not PEP 440, such as Jetson's "2.0.0.nv23.05": the numbers it starts with.
        numbers = re.match(r"\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
        major, minor, micro = numbers.groups() if numbers else (None, None, None)
        return (int(major or 0), int(minor or 0), int(micro or 0)), False
    return (version.major, version.minor, version.micro), version.is_prerelease


torch_version: Release
torch_version, _prerelease = parse_version(str(torch.__version__))


def _wanted(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    if not 1 <= len(numbers) <= 3:
        raise TypeError(f"a torch version is 1 to 3 integers, as in at_least(2, 4); got {len(numbers)} arguments")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"a torch version is 1 to 3 integers, as in at_least(2, 4); got {number!r}")
        if number < 0:
            raise ValueError(f"a torch version has no negative part; got {number!r}")
    return tuple(numbers)


def at_least(*version: int, strict: bool = False) -> bool:
    """Whether the installed torch is of this release or a newer one: ``at_least(2, 4)``.

    Args:
        version: one to three ints; what is left out counts as 0.
        strict: count a nightly, release candidate or vendor container (``2.4.0a0+git``) as older than its release.
            By default it counts as its release, since it has that release's API.

    Raises:
        TypeError: for anything but one to three ints (a string or a float would compare ``2.10`` below ``2.9``).
        ValueError: for a negative int.
    """
    wanted = _wanted(version) + (0, 0)
    if strict and _prerelease:
        return torch_version > wanted[:3]
    return torch_version >= wanted[:3]


def at_most(*version: int) -> bool:
    """Whether the installed torch is of this family or an older one: ``at_most(2, 8)`` is true on ``2.8.1+xpu``.

    Args:
        version: one to three ints; what is left out matches anything.

    Raises:
        TypeError, ValueError: as :func:`at_least`.
    """
    wanted = _wanted(version)
    return torch_version[: len(wanted)] <= wanted


def is_version(*version: int, strict: bool = False) -> bool:
    """Whether the installed torch belongs to this family: ``is_version(2, 4)`` is true on ``2.4.1+cu121``.

    Args:
        version: one to three ints; what is left out matches anything.
        strict: do not count a pre-release as a member of its release's family.

    Raises:
        TypeError, ValueError: as :func:`at_least`.
    """
    wanted = _wanted(version)
    return torch_version[: len(wanted)] == wanted and not (strict and _prerelease)


def _get(owner: Any, name: str) -> Any:
    # A plain module needs no guard, which takes over twenty times as long: an import of torchcompat asks 600 times.
    if type(owner) is ModuleType and (name in vars(owner) or "__getattr__" not in vars(owner)):
        return getattr(owner, name, None)
    # Some owners answer an unknown name with AssertionError (torch.backends.cuda.matmul before 2.2, see
    # https://github.com/pytorch/pytorch/pull/112606), some with a warning (torch.has_cuda from 2.1).
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(owner, name)
    except Exception:
        return None


def find(path: str) -> Any:
    """The object at ``"torch.a.b"``, or None. Walks attributes; imports nothing."""
    first, _, rest = path.partition(".")
    if first != "torch":
        raise ValueError(f"path must start with 'torch.', got {path!r}")
    found: Any = torch
    for name in rest.split(".") if rest else []:
        found = _get(found, name)
        if found is None:
            return None
    return found


def find_importing(path: str) -> Any:
    """The object at ``"torch.a.b"``, or None; the modules on the way are imported."""
    parts = path.split(".")
    for end in range(2, len(parts)):
        module = ".".join(parts[:end])
        parent = sys.modules.get(".".join(parts[: end - 1]))
        if parent is None or module in sys.modules or not hasattr(parent, "__path__"):
            continue
        try:
            import_module(module)
        except Exception:
            break
    return find(path)


def _documented_parameters(function: Any) -> set[str]:
    """Parameter names of a C builtin, from the first lines of its docstring: ``name(a, b=1, *, c) -> Tensor``."""
    name = getattr(function, "__name__", "")
    names: set[str] = set()
    doc = re.sub(r" -> .*", "", function.__doc__ or "")  # the names of several results are none of parameters
    for match in re.finditer(rf"^\s*(?:[\w.]*\.)?{re.escape(name)}\(([^\n]*)\)", doc, re.M):
        for part in re.sub(r"[(\[][^()\[\]]*[)\]]", "", match.group(1)).split(","):
            word = re.match(r"\s*(?:\w+\s+)?\*{0,2}(\w+)\s*(?:=|$|:)", part)
            if word:
                names.add(word.group(1))
    return names


def _schema_parameters(function: Any) -> set[str]:
    """Parameter names of every ATen overload of a C builtin."""
    schemas: Callable[[str], list[Any]] | None = getattr(torch._C, "_jit_get_schemas_for_operator", None)
    if schemas is None:
        return set()
    name = function.__name__
    names = {argument.name for schema in schemas("aten::" + name) for argument in schema.arguments}
    if name.startswith("_foreach_"):
        # Of functions over lists Python knows the operators by their own names, and no `out`.
        return names - {"out"}
    return {"input" if name == "self" else name for name in names}


def parameters(function: Any) -> set[str]:
    """Names of the parameters that *function* spells out (what it takes as ``**kwargs`` is not among them)."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return _documented_parameters(function) | _schema_parameters(function)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name for name, parameter in signature.parameters.items() if parameter.kind not in variadic}


def has(path: str, param: str | None = None) -> bool:
    """Whether the installed torch has the object at *path*, and, if *param* is given, that parameter of it.

    >>> has("torch.nn.functional.scaled_dot_product_attention", param="enable_gqa")     # doctest: +SKIP
    True

    A submodule that ``import torch`` leaves out (``torch.fft`` on 1.7, ``torch.nn.attention.bias``) is imported to
    look into it. A parameter that a function merely lets through ``**kwargs`` does not count. For a C builtin the names
    come from its operator schemas and its docstring.

    Args:
        path: dotted, starting with ``"torch."``.
        param: a parameter's name.

    Raises:
        TypeError: if *path* or *param* is not a string.
        ValueError: if *path* does not start with ``"torch."``.
    """
    for label, value in (("path", path), ("param", "" if param is None else param)):
        if not isinstance(value, str):
            raise TypeError(f"{label} must be a string, got {value!r}")
    if not path.startswith("torch."):
        raise ValueError(f"path must start with 'torch.', got {path!r}")
    found = find_importing(path)
    if found is None:
        return False
    return param is None or param in parameters(found)


def refuse_trace(what: str) -> None:
    """Raise RuntimeError under ``torch.jit.trace``, which would keep as constants what *what* computes meanwhile."""
    if torch._C._get_tracing_state() is not None:
        raise RuntimeError(f"{what} cannot be traced by torch.jit.trace on torch {torch.__version__}")


def exporting() -> bool:
    """Whether ``torch.onnx.export`` is tracing this code, by the exporter of TorchScript.

    Old exporters lack operators; what they lack is computed by others then, and only then.
    """
    return torch._C._get_tracing_state() is not None and torch.onnx.is_in_onnx_export()


# Whether torch.compile is tracing. Torch 2.0 has the question under a private name only; before, nothing compiles.
compiling: Callable[[], bool] = (
    find("torch.compiler.is_compiling") or find("torch._utils.is_compiling") or (lambda: False)
)


def hide_from_compiler(function: F) -> F:
    """*function*, which ``torch.compile`` leaves alone with all that it calls: a graph ends where it is called.

    The compiler takes a second to import, and is not imported for this: where nobody has, nothing is compiled.

    Args:
        function: takes no keyword arguments.
    """
    if not at_least(2, 0):
        return function
    hidden: list[Any] = []
    modules = sys.modules

    @wraps(function)
    def outside(*args: Any) -> Any:
        if not hidden:
            if "torch._dynamo" not in modules:
                return function(*args)
            hidden.append(modules["torch._dynamo"].disable(function))
        return hidden[0](*args)

    return cast(F, outside)


for _public in (at_least, at_most, has, is_version):
    _public.__module__ = "torchcompat"
