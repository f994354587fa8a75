"""`torchcompat check --fix`: puts torchcompat's names in the place of torch's where those are missing on some torch.

The code is rewritten with LibCST, which keeps comments and formatting: https://libcst.readthedocs.io
"""

from __future__ import annotations

import difflib
import io
import os
import tokenize
from typing import Iterable, NamedTuple, Sequence

from .finding import Finding
from .modules import wholly
from .project import Project
from .reading import MAX_FILE_SIZE, decode, read_bytes
from .report import Problem, Result
from .walk import Walk


class NeedsLibCST(RuntimeError):
    """LibCST, which --fix needs, is not installed."""

    def __init__(self) -> None:
        super().__init__("--fix needs LibCST: pip install 'torchcompat-shims[fix]'")


def fixed(source: str, findings: Sequence[Finding]) -> str:
    """*source* with torchcompat's names for those *findings* that have one; the rest of it, byte for byte, as it was.

    Raises as `rewritten` does.
    """
    return rewritten(source, findings)[0]


def rewritten(source: str, findings: Sequence[Finding]) -> tuple[str, list[tuple[Finding, str]]]:
    """What `fixed` gives; and the findings that have a name of torchcompat's and were left, each with the reason.

    Raises NeedsLibCST where that is not installed, SyntaxError where LibCST cannot read the code.
    """
    wanted = [one for one in findings if one.shim]
    if not wanted:
        return source, []
    try:
        import libcst as cst
    except ModuleNotFoundError:
        raise NeedsLibCST from None
    from . import _rewrite

    try:
        return _rewrite.rewrite(source, wanted)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message) from None


def diff(path: str, before: str, after: str) -> str:
    """The change as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


class Fixed(NamedTuple):
    """What is to change in one file: its text before and after, how it is written, and what was left and why."""

    path: str
    before: str
    after: str
    encoding: str
    left: Sequence[tuple[Finding, str]] = ()


def fix_all(results: Iterable[Result], every: Iterable[Result] = ()) -> tuple[list[Fixed], list[Problem]]:
    """The changes that the findings of several files ask for, out of *every* one found. Notebooks are left alone."""
    found: dict[str, list[Finding]] = {}
    for result in every:
        found.setdefault(result.finding.path, []).append(result.finding)
    by_path: dict[str, list[Finding]] = {}
    problems: list[Problem] = []
    for result in results:
        if result.cell:
            problems.append(Problem(result.finding.path, 0, "notebooks are not rewritten"))
        elif result.finding.shim:
            by_path.setdefault(result.finding.path, []).append(result.finding)
    changed = []
    for path, findings in by_path.items():
        try:
            one = _fix_file(path, wholly(findings, found.get(path, ())))
        except (OSError, SyntaxError, ValueError) as error:
            problems.append(Problem(path, 0, f"cannot be rewritten: {error}"))
            continue
        problems += [Problem(path, at.line, f"{at.name} is left as it is: {why}") for at, why in one.left]
        if one.after != one.before:
            changed.append(one)
    return changed, list(dict.fromkeys(problems))


def _fix_file(path: str, findings: Sequence[Finding]) -> Fixed:
    hiding = _hiding(path)
    if hiding:
        raise ValueError(f"`import torchcompat` would find {hiding}")
    data = read_bytes(path, MAX_FILE_SIZE)
    encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    before = data.decode(encoding)  # with its own ends of lines, which are to stay
    after, left = rewritten(before, findings)
    return Fixed(path, before, after, encoding, left)


def _hiding(path: str) -> str:
    """A module or package of the project, beside the file or at the top, that is called torchcompat; "" if none is."""
    folder = os.path.dirname(os.path.abspath(path))
    for place in (folder, Project(Walk).root(folder)):
        for name in (os.path.join(place, "torchcompat.py"), os.path.join(place, "torchcompat", "__init__.py")):
            if os.path.isfile(name):
                return os.path.relpath(name)
    return ""


def write(one: Fixed) -> None:
    """Write a changed file in the encoding that it had."""
    with open(one.path, "wb") as file:
        file.write(one.after.encode(one.encoding))


def needless(paths: Iterable[str]) -> list[Problem]:
    """The guards that nothing needs once the names in them come from torchcompat."""
    notes = []
    project = Project(Walk)
    for path in paths:
        try:
            walk = project.walk(path, decode(read_bytes(path, MAX_FILE_SIZE)))
            walk.bodies.read()
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # which the check itself has reported
        for guard in sorted(walk.uses.needless, key=lambda one: one.node.lineno):
            said = ", ".join(f"{name} -> {shim}" for name, shim in sorted(guard.names.items()))
            notes.append(Problem(path, guard.node.lineno, f"needless with torchcompat: {said}"))
    return notes
