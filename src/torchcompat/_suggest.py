"""What a misspelt name may have meant, for the end of an error message."""

from __future__ import annotations

from typing import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, where one of the *known* names is close; else a full stop."""
    from difflib import get_close_matches  # for errors only

    spelled = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name.strip().lower(), spelled, 1, 0.7)
    return f"; did you mean {spelled[found[0]]!r}?" if found else "."
