"""The names in ``TORCHCOMPAT_FALLBACK``: loaded only where one of them has no row in the table of shims yet."""

from __future__ import annotations

from functools import reduce
from typing import Iterable

import torchcompat

from ._shim import SHIMS, VARIABLE
from ._suggest import did_you_mean


def unknown(names: Iterable[str]) -> list[str]:
    """Those of the *names* that are no shim; the modules that the others name are loaded."""
    for name in set(names) - {"all"}:
        try:
            reduce(getattr, name.split("."), torchcompat)
        except AttributeError:
            pass
    left = sorted(set(names) - SHIMS.keys() - {"all"})
    if left:
        from . import _every  # noqa: F401  For what is close to them.
    return left


def _meant(name: str) -> str:
    if name.lower() in ("1", "true", "yes", "on", "*"):
        return "; did you mean 'all'?"
    if name.lower() in ("0", "false", "no", "off", "none"):
        return "; leave the variable unset to force nothing."
    bare = name[len("torch.") :] if name.startswith("torch.") else name
    below = [shim for shim in SHIMS if shim.rpartition(".")[2] == bare]
    below.sort(key=len)  # `load` before `export.load`
    return f"; did you mean {below[0]!r}?" if below else did_you_mean(bare, [*SHIMS, "all"])


def refuse_unknown(names: Iterable[str], value: str) -> None:
    """Raise ValueError where one of the *names*, which *value* holds, is no shim."""
    problems = [f"{name!r} is no shim{_meant(name)}" for name in unknown(names)]
    if problems:
        raise ValueError(
            f"{VARIABLE}={value!r}: {' '.join(problems)} Accepted: 'all', or names of shims separated by commas, as "
            "in 'func.functional_call,compile'; `python -m torchcompat` lists them"
        )
