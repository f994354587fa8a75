"""The report behind ``python -m torchcompat``: what this torch is, and what every name of torchcompat is on it."""

from __future__ import annotations

import inspect
import platform
import re
from typing import Any, Dict, Sequence

import torch

import torchcompat

from ._every import SHIMS
from ._shim import FORCED, NEWEST, VARIABLE, Shim, is_untested, span
from .device import available_devices

Report = Dict[str, Any]


def newest_tested() -> str:
    """The newest minor of torch that the tests have run on."""
    return "{}.{}".format(*NEWEST)


def summary(shim: Shim) -> str:
    """In the words of its docstring: what a polyfill's fallback does, or what a facade is."""
    doc = inspect.cleandoc(shim.doc or "")
    if shim.kind == "facade":
        return doc.partition("\n")[0]
    found = re.search(r"Fallback:\s*(.*?\.)(?:\s|$)", doc, re.S)
    text = " ".join(found.group(1).split()) if found else ""
    return f"An override, ours on every torch: {shim.because}. {text}" if shim.kind == "override" else text


def _row(shim: Shim) -> dict[str, Any]:
    return {
        "name": "torchcompat." + shim.name,
        "kind": shim.kind,
        "here": shim.here,
        "since": shim.since,
        "why": shim.why,
        "native": shim.path,
        "link": shim.link or None,
        "because": shim.because or None,
        "reason": shim.reason or None,
        "limits": [str(limit) for limit in shim.limits_here()],
    }


def collect() -> Report:
    """Everything the report says, as plain JSON types."""
    version: Any = torch.version
    return {
        "torchcompat": torchcompat.__version__,
        "torch": str(torch.__version__),
        "torch_version": list(torchcompat.torch_version),
        "newest_tested": newest_tested(),
        "untested": is_untested(),
        "cuda": version.cuda,
        "hip": getattr(version, "hip", None),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": [str(device) for device in available_devices()],
        "forced": sorted(FORCED),
        "shims": [_row(SHIMS[name]) for name in sorted(SHIMS)],
    }


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def shim_table(report: Report) -> str:
    """One line a shim: its name, what it is here, since when torch has it, and why."""
    rows = [["name", "here", "in torch since", "why"]]
    rows += [[row["name"], row["here"], row["since"] or "-", row["why"]] for row in report["shims"]]
    return table(rows)


def _build(report: Report) -> str:
    if report["cuda"]:
        return f"CUDA {report['cuda']}"
    return f"ROCm {report['hip']}" if report["hip"] else "CPU only"


def as_text(report: Report) -> str:
    """The report for a terminal."""
    lines = [
        f"torchcompat {report['torchcompat']} on torch {report['torch']} ({_build(report)})",
        f"Python {report['python']} on {report['platform']}",
        "devices: " + ", ".join(report["devices"]),
    ]
    if report["untested"]:
        lines.append(
            f"this torch is untested: torchcompat {report['torchcompat']} was tested up to torch {newest_tested()}. "
            "A name that is native below is what this torch has"
        )
    if report["forced"]:
        lines.append(f"{VARIABLE} forces the fallback of: {', '.join(report['forced'])}")
    lines += ["", shim_table(report)]
    old = [row for row in report["shims"] if row["why"] == "too old"]
    if old:
        lines += ["", "too old here, since torch's own lacks something or is wrong:"]
        lines += [f"  {row['name']}: {row['reason']}" for row in old]
    overrides = [row for row in report["shims"] if row["because"]]
    if overrides:
        lines += ["", "torchcompat's own on every torch, although torch has the name:"]
        lines += [f"  {row['name']}: {row['because']}" for row in overrides]
    limited = [row for row in report["shims"] if row["limits"]]
    if limited:
        lines += ["", "limits here:"]
        lines += [f"  {row['name']}: {limit}" for row in limited for limit in row["limits"]]
    return "\n".join(lines)


def _markdown(text: str) -> str:
    return re.sub(r":\w+:(?=`)", "", text).replace("|", "\\|").replace("``", "`")


def markdown_summary() -> str:
    """The README's table: the same on every torch."""
    lines = [
        "| Name | In torch since | Torch's own before | Fallback; or, where torch has nothing like it, what it is |",
        "|---|---|---|---|",
    ]
    for name in sorted(SHIMS):
        shim = SHIMS[name]
        since = f"[{shim.since}]({shim.link})" if shim.link else shim.since or "-"
        lines.append(f"| `torchcompat.{name}` | {since} | {_markdown(shim.reason)} | {_markdown(summary(shim))} |")
    return "\n".join(lines)


def markdown_limits() -> str:
    """Every documented limit of every shim: the same on every torch."""
    lines = ["| Name | On | torch | Limit |", "|---|---|---|---|"]
    for name in sorted(SHIMS):
        for limit in SHIMS[name].limits:
            minors = span(limit.first, limit.last) or "all"
            lines.append(f"| `{name}` | {limit.on} | {minors} | {_markdown(limit.text)} |")
    return "\n".join(lines)


def python_m(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    import argparse
    import json

    parser = argparse.ArgumentParser(
        prog="python -m torchcompat",
        description="What the installed torch is, and which of torchcompat's names are torch's own on it, and why.",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    options = parser.parse_args(arguments)
    report = collect()
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return 0
