"""What the analysis reports: one use of torch that some torch does not have."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One use of a name or of an argument in a place that also runs on a torch without it.

    Lines and columns count from 1, columns in characters; the end is the position after the last character.
    *present* and *missing* are masks (`_minors`): where the name or argument is, and where this line runs without it.
    *shim* is torchcompat's name for it, or "" if there is none. *at_import*: the line runs when its module is imported,
    and not only when a function is called.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    name: str
    parameter: str
    present: int
    missing: int
    shim: str
    at_import: bool
