"""What ``torch.jit.script`` compiles in place of the fallbacks of names that an older torch has, too."""

from __future__ import annotations

from .._shim import SHIMS, Limit
from .._torchscript import compile_instead


def scripts_as_torch(*names: str) -> None:
    """Have ``torch.jit.script`` compile torch's own where it meets the fallback of one of *names*."""
    for name in names:
        shim = SHIMS[name]
        if shim.native is not None and not shim.meets_contract:
            compile_instead(shim.fallback, shim.native)


def scripted(first: str, last: str) -> Limit:
    """The limit of a fallback for which a scripted function calls torch's own, of the minors that have it."""
    return Limit(
        "scripted", "A scripted function calls torch's own, with what it lacks.", on="fallback", first=first, last=last
    )
