"""The ways to write a report: for people, for programs, for GitHub's pages, for SARIF's readers."""

from __future__ import annotations

from typing import Callable

from ..report import Report
from .github import as_github
from .machine import as_json
from .sarif import as_sarif
from .text import as_text

WRITERS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}
