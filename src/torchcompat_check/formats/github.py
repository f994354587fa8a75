"""Annotations on GitHub's pages, by the workflow commands that a job prints.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from typing import Iterator

from ..answer import sentence
from ..report import Report, Result, message

TITLE = "torchcompat"


def data(text: str) -> str:
    """A message in the escapes that GitHub undoes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def property_value(text: str) -> str:
    """The value of a property, which a colon or a comma would end."""
    return data(text).replace(":", "%3A").replace(",", "%2C")


def command(name: str, properties: dict[str, str | int], text: str) -> str:
    """One workflow command."""
    listed = ",".join(f"{key}={property_value(str(value))}" for key, value in properties.items())
    return f"::{name} {listed}::{data(text)}"


def as_github(report: Report) -> str:
    """An error for each finding that a gate forbids, or a warning where there is no gate; the answer as a notice."""
    return "".join(line + "\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    level = "error" if any(report.gate) else "warning"
    for number, result in enumerate(report.shown):
        text = message(result.finding)
        if report.explained:
            text = "\n".join([text, *report.explained[number]])
        yield command(level, _place(result), text)
    for problem in report.problems:
        place: dict[str, str | int] = {"file": problem.path.replace(os.sep, "/")}
        if problem.line and not problem.cell:
            place["line"] = problem.line
        title = f"{TITLE}: cell {problem.cell}, line {problem.line}" if problem.cell else TITLE
        yield command("error", {**place, "title": title}, problem.message)
    yield command("notice", {"title": TITLE}, sentence(report.all_results, report.subject, report.read))


def _place(result: Result) -> dict[str, str | int]:
    """Where GitHub shows it: columns only within one line, and none in a notebook, whose lines stand there as JSON."""
    finding = result.finding
    place: dict[str, str | int] = {"file": finding.path.replace(os.sep, "/")}
    if result.cell:
        if result.file_line:
            place["line"] = result.file_line
        return {**place, "title": f"{TITLE}: cell {result.cell}, line {finding.line}"}
    place.update(line=finding.line, endLine=finding.end_line)
    if finding.line == finding.end_line:
        place.update(col=finding.column, endColumn=finding.end_column)
    return {**place, "title": TITLE}
