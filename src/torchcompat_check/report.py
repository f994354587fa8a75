"""What a run hands to the formats: findings with the text they stand in, and what could not be read."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from ._minors import MINORS, ranges, runs
from .finding import Finding
from .shims import absent


class BadFile(ValueError):
    """A file that cannot be checked, and why, in one line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Problem(NamedTuple):
    """Something that could not be read; *line* is 0 where the whole file is meant, *cell* where it is no notebook's."""

    path: str
    line: int
    message: str
    cell: int = 0


class Result(NamedTuple):
    """A finding, the text of its first line, and for a notebook where the cell is.

    In a notebook the finding's lines count within its cell. *cell* counts all cells from 1, and is 0 in other files;
    *file_line* is the line of the notebook's own text, 0 where a cell is not written one line a line.
    """

    finding: Finding
    text: str
    cell: int = 0
    file_line: int = 0


class Unused(NamedTuple):
    """An ignore comment, or one of its names, that no finding needs."""

    path: str
    cell: int
    line: int
    name: str


class Outcome(NamedTuple):
    """All that reading one file gave."""

    results: list[Result]
    problems: list[Problem]
    unused: list[Unused]


_CONTROLS: dict[int, str] = {code: f"\\x{code:02x}" for code in [*range(32), 127]}


def printable(text: str) -> str:
    """*text* on one line: a path may hold line breaks and the escape sequences of a terminal."""
    return text.translate(_CONTROLS)


def label(finding: Finding) -> str:
    """The name, and the argument in parentheses: "torch.nn.functional.gelu(approximate)"."""
    return f"{finding.name}({finding.parameter})" if finding.parameter else finding.name


def place(result: Result) -> str:
    """file:line:column; in a notebook file:cell N:line:column."""
    finding = result.finding
    cell = f"cell {result.cell}:" if result.cell else ""
    return f"{printable(finding.path)}:{cell}{finding.line}:{finding.column}"


def problem_line(problem: Problem) -> str:
    """A problem on one line, as it goes to standard error."""
    cell = f":cell {problem.cell}" if problem.cell else ""
    line = f":{problem.line}" if problem.line else ""
    return f"{printable(problem.path)}{cell}{line}: {printable(problem.message)}"


class Report(NamedTuple):
    """What a run found. *shown* are the results to print, *all_results* those that the answer is about."""

    shown: list[Result]
    all_results: list[Result]
    problems: list[Problem]
    unused: list[Unused]
    # How many files were named or found, and how many results the baseline knows.
    files: int
    known: int = 0
    # The first and last minor of the gate; "" where it is open, both where there is none.
    gate: tuple[str, str] = ("", "")
    # The lines that explain each of *shown*, if asked for.
    explained: Sequence[Sequence[str]] = ()
    # Of a diff: "the changed lines".
    subject: str = ""
    # How many of the files could be read.
    read: int | None = None


def when(present: int) -> str:
    """Where a name exists, in words: "since 1.12", "until 1.7", "1.8 to 2.4", "1.2-1.7, 1.9-", "in no torch"."""
    spans = runs(present)
    if len(spans) != 1:
        return ranges(present) if spans else "in no torch"
    first, last = spans[0]
    if last == MINORS[-1]:
        return "in every torch" if first == MINORS[0] else f"since {first}"
    if first == MINORS[0]:
        return f"until {last}"
    return f"only {first}" if first == last else f"{first} to {last}"


def message(finding: Finding) -> str:
    """A finding as a sentence, for those who see it without its neighbours."""
    kind = f"argument {finding.parameter} of {finding.name}" if finding.parameter else finding.name
    gone = f"; this line runs on {ranges(finding.missing)} as well" if finding.missing else ""
    has = "a placeholder for it" if finding.shim in absent() else "it on every torch"
    help_ = f"; torchcompat has {has}: {finding.shim}" if finding.shim else ""
    return f"{kind}: {when(finding.present)}{gone}{help_}"
