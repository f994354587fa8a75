"""For people, and for grep: a line a finding, in columns; then the answer."""

from __future__ import annotations

import os
import sys
from typing import Iterator, Sequence

from ..answer import sentence
from ..report import Report, Result, label, place, when

# A column is not padded further than this: one long path would push all others off the screen.
WIDEST = 72
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def wants_colour() -> bool:
    """On a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is a dumb one."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_text(report: Report) -> str:
    """The findings, explained if asked for, and the summary."""
    colour = wants_colour()
    lines: list[str] = []
    for number, row in enumerate(_rows(report.shown)):
        lines.append(_coloured(row) if colour else row)
        if report.explained:
            lines += ["    " + line for line in report.explained[number]]
    lines += _summary(report)
    return "\n".join(lines) + "\n"


def _rows(results: Sequence[Result]) -> Iterator[str]:
    cells = [
        (place(result) + ":", label(result.finding), when(result.finding.present), result.finding.shim)
        for result in results
    ]
    widths = [min(WIDEST, max((len(row[column]) for row in cells), default=0)) for column in range(3)]
    for *columns, shim in cells:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(columns, widths))
        yield f"{padded}  -> {shim}" if shim else padded.rstrip()


def _coloured(row: str) -> str:
    where, space, rest = row.partition(" ")
    what, arrow, shim = rest.partition("  -> ")
    return f"{DIM}{where}{PLAIN}{space}{what}" + (f"{arrow}{BOLD}{shim}{PLAIN}" if arrow else "")


def gate_words(report: Report) -> str:
    """The gate as a requirement: "torch >= 1.13, <= 2.5"."""
    least, most = report.gate
    parts = [f">= {least}"] * bool(least) + [f"<= {most}"] * bool(most)
    return "torch " + ", ".join(parts)


def _verdict(report: Report) -> str:
    count = len(report.shown)
    if count:
        return f"{count} finding{'s' * (count != 1)} on {gate_words(report)}"
    return f"runs on {gate_words(report)}" + (", but for what the baseline knows" if report.known else "")


def _summary(report: Report) -> Iterator[str]:
    if any(report.gate) and report.read != 0:
        yield _verdict(report)
    if report.known:
        yield f"{report.known} in the baseline, not shown"
    yield sentence(report.all_results, report.subject, report.read)
