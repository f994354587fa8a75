"""SARIF 2.1.0, which code scanning services and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import PurePath
from typing import Any
from typing import Counter as CounterType
from urllib.parse import quote

from .. import __version__
from ..report import Problem, Report, Result, message

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
NAME_RULE, ARGUMENT_RULE = "torch-name", "torch-argument"
_RULES = (
    (NAME_RULE, "A name that some torch does not have, where the code also runs on such a torch."),
    (
        ARGUMENT_RULE,
        "An argument that the function of some torch does not take, where the code also runs on such a torch.",
    ),
)


def as_sarif(report: Report) -> str:
    """The report as one run of one tool."""
    level = "error" if any(report.gate) else "warning"
    seen: CounterType[str] = Counter()
    run = {
        "tool": {"driver": {"name": "torchcompat", "version": __version__, "rules": [_rule(*rule) for rule in _RULES]}},
        "invocations": [
            {
                "executionSuccessful": not report.problems,
                "toolExecutionNotifications": [_notification(problem) for problem in report.problems],
            }
        ],
        # Ours are characters; the default is UTF-16's units.
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, number, level, seen) for number in range(len(report.shown))],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "shortDescription": {"text": text}}


def uri(path: str) -> str:
    """A path as a URI: relative ones stay so, for the reader to place under the root of its checkout."""
    if os.path.isabs(path):
        return PurePath(path).as_uri()
    # A first part with a colon would be taken for a scheme; quote() escapes it.
    return quote(os.fsencode(path.replace(os.sep, "/")))


def _location(path: str, region: dict[str, int]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(path)}}
    if region:
        place["region"] = region
    return {"physicalLocation": place}


def _region(result: Result) -> dict[str, int]:
    """The characters; of a notebook, whose text is JSON, the line only."""
    finding = result.finding
    if result.cell:
        return {"startLine": result.file_line} if result.file_line else {}
    return {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }


def _result(report: Report, number: int, level: str, seen: CounterType[str]) -> dict[str, Any]:
    result = report.shown[number]
    finding = result.finding
    words: list[str] = [message(finding)]
    if result.cell:
        words[0] = f"Cell {result.cell}, line {finding.line}: {words[0]}"
    if report.explained:
        words += report.explained[number]
    return {
        "ruleId": ARGUMENT_RULE if finding.parameter else NAME_RULE,
        "ruleIndex": 1 if finding.parameter else 0,
        "level": level,
        "message": {"text": "\n".join(words)},
        "locations": [_location(finding.path, _region(result))],
        "partialFingerprints": {"torchcompat/v1": _fingerprint(result, seen)},
    }


def _fingerprint(result: Result, seen: CounterType[str]) -> str:
    """The same for the same finding when lines above it come and go; alike ones are numbered."""
    finding = result.finding
    key = "\0".join((finding.path, finding.name, finding.parameter, result.text))
    seen[key] += 1
    return hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogatepass")).hexdigest()


def _notification(problem: Problem) -> dict[str, Any]:
    region = {"startLine": problem.line} if problem.line and not problem.cell else {}
    cell = f"Cell {problem.cell}, line {problem.line}: " if problem.cell else ""
    return {
        "level": "error",
        "message": {"text": cell + problem.message},
        "locations": [_location(problem.path, region)],
    }
