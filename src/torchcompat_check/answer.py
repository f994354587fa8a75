"""The answer: which torch a code base needs, by itself and with torchcompat."""

from __future__ import annotations

from itertools import combinations
from typing import Iterable, NamedTuple, Sequence

from ._minors import ALL, INDEX, MINORS, ranges, runs
from .report import Result, label, place

ANY = f"any torch from {MINORS[0]} to {MINORS[-1]}"


class Answer(NamedTuple):
    """The minors on which everything used is there (a mask), from how many findings."""

    works: int
    findings: int

    @property
    def span(self) -> tuple[str, str]:
        """The newest unbroken run of minors that work, or two empty strings if none does."""
        spans = runs(self.works)
        return spans[-1] if spans else ("", "")


def answer(results: Iterable[Result]) -> Answer:
    """All minors less those on which something is missing."""
    works = ALL
    count = 0
    for result in results:
        works &= ~result.finding.missing
        count += 1
    return Answer(works, count)


def with_torchcompat(results: Iterable[Result]) -> list[Result]:
    """What remains once the names that torchcompat has are imported from it."""
    return [result for result in results if not result.finding.shim]


def clash(results: Sequence[Result]) -> list[Result]:
    """The fewest results found that leave no minor: one that is nowhere, else two; three or more where no two do."""
    first: dict[int, Result] = {}
    for result in results:
        first.setdefault(ALL & ~result.finding.missing, result)
    for count in (1, 2):
        for group in combinations(first, count):
            if not _common(group):
                return [first[works] for works in group]
    needed = list(first)
    if _common(needed):
        return []
    for works in first:
        without = [other for other in needed if other != works]
        if not _common(without):
            needed = without
    return [first[works] for works in needed]


def _common(masks: Iterable[int]) -> int:
    works = ALL
    for mask in masks:
        works &= mask
    return works


def bounds(span: tuple[str, str]) -> str:
    """A run of minors as a requirement: ">= 2.1", "<= 2.5", ">= 1.8, <= 2.5"."""
    first, last = span
    if last == MINORS[-1]:
        return f">= {first}"
    return f"<= {last}" if first == MINORS[0] else f">= {first}, <= {last}"


def _needs(found: Answer) -> str:
    first, last = found.span
    older = ranges(found.works & ((1 << INDEX[first]) - 1))
    return bounds((first, last)) + ("" if older == "never" else f", or {older}")


def sentence(results: Sequence[Result], subject: str = "", read: int | None = None) -> str:
    """The answer in words, with how many files were *read* if that is known.

    *subject*, a plural, says what needs it if that is not simply the code.
    """
    if read == 0:
        return "nothing was read"
    found = answer(results)
    files = "" if read is None else f" in {read} file{'s' * (read != 1)}"
    count = f"{found.findings} finding{'s' * (found.findings != 1)}{files}"
    if found.works == ALL:
        return f"{subject} run on {ANY} ({count})" if subject else f"runs on {ANY} ({count})"
    start = f"{subject} need" if subject else "needs"
    if found.works:
        text = f"{start} torch {_needs(found)} ({count})"
    else:
        text = f"{start} what no torch from {MINORS[0]} to {MINORS[-1]} has ({count}): {_clashing(results)}"
    remaining = with_torchcompat(results)
    return text if len(remaining) == len(results) else f"{text}; with torchcompat: {_remaining(remaining)}"


def _remaining(results: Sequence[Result]) -> str:
    found = answer(results)
    count = f"{found.findings} remain{'s' * (found.findings == 1)}"
    if found.works == ALL:
        return f"{ANY} ({count})"
    return f"{_needs(found)} ({count})" if found.works else f"none either ({count}): {_clashing(results)}"


def _clashing(results: Sequence[Result]) -> str:
    words = []
    for result in clash(results):
        runs_on = ranges(ALL & ~result.finding.missing)
        where = "runs nowhere" if runs_on == "never" else f"runs on {runs_on}"
        words.append(f"{label(result.finding)} in {place(result)} {where}")
    return " and ".join(words)
