"""JSON for programs. Its fields are documented in docs/check.md; `version` changes when one of them changes meaning."""

from __future__ import annotations

import json
from typing import Any, Sequence

from .. import __version__
from .._minors import ALL, MINORS, ranges
from ..answer import Answer, answer, clash, sentence, with_torchcompat
from ..report import Report, Result

VERSION = 1


def as_json(report: Report) -> str:
    """The whole report."""
    remaining = with_torchcompat(report.all_results)
    content = {
        "version": VERSION,
        "torchcompat": __version__,
        "minors": [MINORS[0], MINORS[-1]],
        "files": report.files,
        "read": report.read,
        "gate": {"min": report.gate[0] or None, "max": report.gate[1] or None},
        "findings": [_finding(report, number) for number in range(len(report.shown))],
        "known": report.known,
        "answer": {
            "text": sentence(report.all_results, report.subject, report.read),
            "torch": _answer(answer(report.all_results), report.all_results),
            "with_torchcompat": _answer(answer(remaining), remaining),
        },
        "problems": [
            {
                "path": problem.path,
                "cell": problem.cell or None,
                "line": problem.line or None,
                "message": problem.message,
            }
            for problem in report.problems
        ],
        "unused_ignores": [
            {"path": unused.path, "cell": unused.cell or None, "line": unused.line, "name": unused.name}
            for unused in report.unused
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _finding(report: Report, number: int) -> dict[str, Any]:
    result = report.shown[number]
    finding = result.finding
    row: dict[str, Any] = {
        "path": finding.path,
        "cell": result.cell or None,
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "name": finding.name,
        "parameter": finding.parameter or None,
        "present": ranges(finding.present),
        "missing": ranges(finding.missing),
        "torchcompat": finding.shim or None,
        "at_import": finding.at_import,
        "text": result.text,
    }
    if report.explained:
        row["explanation"] = list(report.explained[number])
    return row


def _answer(found: Answer, results: Sequence[Result]) -> dict[str, Any]:
    first, last = found.span
    return {
        "findings": found.findings,
        "min": first or None,
        "max": last or None,
        "works": ranges(found.works & ALL),
        "clash": [_place(result) for result in clash(results)] if not found.works else [],
    }


def _place(result: Result) -> dict[str, Any]:
    finding = result.finding
    return {
        "path": finding.path,
        "cell": result.cell or None,
        "line": finding.line,
        "name": finding.name,
        "parameter": finding.parameter or None,
    }
