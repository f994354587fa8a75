"""Comments that say which torch a statement needs, for what the code does not show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import conditions
from ._minors import ALL

if TYPE_CHECKING:
    from .uses import Uses

BOUND = re.compile(r"(>=|<=|==|<|>)\s*(\d+\.\d+)")
COMMENT = re.compile(r"#\s*torchcompat:\s*needs torch\s+((?:(?:>=|<=|==|<|>)\s*\d+\.\d+\s*,?\s*)+)")


def said(uses: Uses, statement: Any) -> int:
    """The minors that a comment on the first line of a statement names, all if there is none.

    It is for what the code does not show: `def f():  # torchcompat: needs torch >= 1.12, < 2.9`.
    """
    body = getattr(statement, "body", None)
    last = body[0].lineno if isinstance(body, list) and body else statement.lineno + 1
    mask = ALL
    for number in range(statement.lineno, max(last, statement.lineno + 1)):
        match = COMMENT.search(uses.line(number))
        for sign, minor in BOUND.findall(match.group(1)) if match else ():
            mask &= conditions.compare_to_version_of(sign, minor).true
    return mask
