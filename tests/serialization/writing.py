"""Writes honest files in each format, on every torch."""

import io

import torch

from torchcompat import SHIMS, at_least

FORMATS = ["zip", "legacy"]


def write(obj, form, f=None):
    """*obj* in a file of that format, by torch's own function where it has one."""
    f = io.BytesIO() if f is None else f
    if form == "zip":
        (torch.save if at_least(1, 6) else SHIMS["save"].fallback)(obj, f)
    else:
        torch.save(obj, f, **({"_use_new_zipfile_serialization": False} if at_least(1, 4) else {}))
    if hasattr(f, "seek"):
        f.seek(0)
    return f
