"""The settings of loading and saving that torch's own functions set too: where both may have spoken, torch's count."""

from __future__ import annotations

import sys
import threading
from typing import Any

from .._torch import find


class Settings:
    """What was set by our own functions; the settings are of the whole process, as in torch."""

    endianness: Any = None
    compute_crc32 = True
    mmap_flags: Any = None


class _Skipping(threading.local):
    active = False


settings = Settings()
skipping = _Skipping()


def skips_data() -> bool:
    """Whether this thread is within ``skip_data``, ours or torch's."""
    native = find("torch.serialization._serialization_tls")
    return skipping.active or bool(native is not None and vars(native).get("skip_data", False))


def byteorder(endianness: Any) -> str:
    """ "little" or "big", for a setting of the byte order."""
    if endianness is None:
        return "little"
    name = str(endianness.name)
    return sys.byteorder if name == "NATIVE" else name.lower()


def maps_by_default() -> bool:
    """What torch takes ``mmap=None`` for; it can be set from torch 2.7 on."""
    config = sys.modules.get("torch.utils.serialization.config")
    return bool(config.load.mmap) if config is not None else False
