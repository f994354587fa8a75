"""`--explain`: the history of a finding's name, why the line counts, and what would make it not count."""

from __future__ import annotations

from typing import Iterator

from ._minors import INDEX, MINORS, ranges, runs
from .finding import Finding
from .history import load
from .report import when


def explain(finding: Finding) -> list[str]:
    """The lines that explain a finding."""
    return [*_history(finding), _reason(finding), *_guards(finding)]


def _history(finding: Finding) -> Iterator[str]:
    entry = load().find(finding.name)
    if entry is None:
        yield f"{finding.name}: in no torch from {MINORS[0]} to {MINORS[-1]}"
        return
    kinds = "; ".join(f"{kind}, {when(mask)}" for kind, mask in entry.kinds)
    yield f"{finding.name}: {kinds or when(entry.present)}"
    if entry.home and entry.home != finding.name:
        yield f"defined as {entry.home}"
    if not finding.parameter:
        return
    known = (entry.parameters or {}).get(finding.parameter)
    if known is None:
        yield f"argument {finding.parameter}: {when(finding.present)}"
        return
    given = ", ".join(f"{text} ({ranges(mask)})" for text, mask in known.defaults if text is not None)
    yield f"argument {finding.parameter}: {when(known.present)}" + (f"; default {given}" if given else "")


def _reason(finding: Finding) -> str:
    what = "the argument" if finding.parameter else "the name"
    runs_also = "this line also runs" if finding.at_import else "this line also runs, when called,"
    return f"counts because {runs_also} on torch {ranges(finding.missing)}, which does not have {what}"


def _guards(finding: Finding) -> Iterator[str]:
    """The conditions under which the line would not count, simplest first."""
    owner, dot, name = finding.name.rpartition(".")
    if finding.shim:
        yield f"would not count with {finding.shim} in its place"
    if dot and not finding.parameter:
        yield f'would not count under `if hasattr({owner}, "{name}"):`'
    condition = version_condition(finding.present, finding.missing)
    if condition:
        yield f"would not count under `if {condition}:`"


def _tuple(minor: str) -> str:
    return f"({minor.replace('.', ', ')})"


def _sides(span: tuple[str, str]) -> str:
    first, last = span
    version = "Version(torch.__version__).release"
    parts = [f"{version} >= {_tuple(first)}"] * (first != MINORS[0])
    if last != MINORS[-1]:
        parts.append(f"{version} < {_tuple(MINORS[INDEX[last] + 1])}")
    return " and ".join(parts)


def version_condition(present: int, missing: int) -> str:
    """A comparison of versions that rules out *missing*: the newest run of *present*; "" if there is none."""
    spans = runs(present & ~missing)
    return _sides(spans[-1]) if spans else ""
