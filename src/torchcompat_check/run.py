"""Checking many files: in order, on one process or several, with progress for who waits."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from functools import partial
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

from .finding import Finding
from .ignores import apply, ignores_in
from .notebook import Cell, cell_at
from .project import Project
from .reading import MAX_FILE_SIZE, Source, mentions_torch, read_bytes, source_of
from .report import BadFile, Outcome, Problem, Result, Unused
from .walk import Walk, check_source

# Below this a second process costs more than it saves.
FEW = 200
# Files that share what is read of the modules that they import. All of a large tree would fill the memory.
TOGETHER = 512


class Job(NamedTuple):
    """A file to check; its *data* if that does not come from disk, and the only *lines* wanted if not all are."""

    path: str
    lines: frozenset[int] | None = None
    data: bytes | None = None


def check(job: Job, limit: int = MAX_FILE_SIZE, project: Project | None = None) -> Outcome:
    """The findings of one file; whatever is wrong with it is a problem, never an exception."""
    problems: list[Problem] = []
    try:
        data = read_bytes(job.path, limit) if job.data is None else job.data
        if not mentions_torch(data):
            return Outcome([], [], [])
        source = source_of(job.path, data)
        problems += source.problems
        outcome = _findings(job, source, project)
    except BadFile as error:
        return Outcome([], [Problem(job.path, error.line, error.message)], [])
    except SyntaxError as error:
        return Outcome([], [Problem(job.path, error.lineno or 0, f"syntax error: {error.msg}")], [])
    except (RecursionError, MemoryError):
        return Outcome([], [Problem(job.path, 0, "nested too deeply to be read")], [])
    except Exception as error:
        # A fault of ours: the other files are checked all the same.
        return Outcome([], [Problem(job.path, 0, f"internal error, please report it: {_fault(error)}")], [])
    return outcome._replace(problems=problems)


def _fault(error: Exception) -> str:
    """An error and where it happened."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}:{place.lineno})"


def _findings(job: Job, source: Source, project: Project | None) -> Outcome:
    with warnings.catch_warnings():
        # The parser warns of things like "\d" in the code that it reads.
        warnings.simplefilter("ignore")
        findings = sorted(check_source(source.text, job.path, project), key=_order)
    kept, unused = apply(ignores_in(source.text), findings)
    texts = source.text.split("\n")
    results = [_located(finding, source.cells, texts) for finding in kept]
    if job.lines is not None:
        lines = job.lines
        return Outcome([result for result in results if _is_on(result, lines)], [], [])
    return Outcome(results, [], [_unused(job.path, source.cells, line, name) for line, name in unused])


def _order(finding: Finding) -> Any:
    return finding.line, finding.column, finding.name, finding.parameter


def _located(finding: Finding, cells: Sequence[Cell], texts: Sequence[str]) -> Result:
    text = texts[finding.line - 1].strip()
    if not cells:
        return Result(finding, text)
    cell = cell_at(cells, finding.line)
    above = cell.first - 1
    inside = finding._replace(line=finding.line - above, end_line=finding.end_line - above)
    return Result(inside, text, cell.number, cell.file_first and cell.file_first + inside.line - 1)


def _unused(path: str, cells: Sequence[Cell], line: int, name: str) -> Unused:
    if not cells:
        return Unused(path, 0, line, name)
    cell = cell_at(cells, line)
    return Unused(path, cell.number, line - cell.first + 1, name)


def _is_on(result: Result, lines: frozenset[int]) -> bool:
    """Whether a result stands on one of *lines*; of a cell whose lines in the file are not known all do."""
    first = result.file_line if result.cell else result.finding.line
    if not first:
        return True
    return any(line in lines for line in range(first, first + result.finding.end_line - result.finding.line + 1))


def check_all(jobs: Sequence[Job], limit: int, processes: int) -> Iterator[Outcome]:
    """The outcome of every job, in the order of *jobs*; *processes* of 0 is as many as pay."""
    if not processes:
        processes = 1 if len(jobs) < FEW else os.cpu_count() or 1
    size = max(1, min(TOGETHER, len(jobs) // (4 * processes)))
    chunks = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    if processes == 1 or len(chunks) < 2:
        for chunk in chunks:
            yield from _check_chunk(chunk, limit)
        return
    with multiprocessing.Pool(min(processes, len(chunks))) as pool:
        for outcomes in pool.imap(partial(_check_listed, limit=limit), chunks):
            yield from outcomes


def _check_chunk(jobs: Sequence[Job], limit: int) -> Iterator[Outcome]:
    project = Project(Walk)
    # Syntax trees are many objects, few of them garbage: searching them time and again would take half of the run.
    collects = gc.isenabled()
    gc.disable()
    try:
        for job in jobs:
            yield check(job, limit, project)
    finally:
        if collects:
            gc.enable()


def _check_listed(jobs: Sequence[Job], limit: int) -> list[Outcome]:
    return list(_check_chunk(jobs, limit))


def with_progress(
    outcomes: Iterable[Outcome], count: int, stream: Any = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Outcome]:
    """*outcomes*; after 1.5 s a line on the terminal says how many of *count* are done."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield from outcomes
        return
    due = clock() + 1.5
    shown = False
    try:
        for done, outcome in enumerate(outcomes, 1):
            if clock() >= due:
                stream.write(f"\r{done} of {count} files")
                stream.flush()
                due, shown = clock() + 0.1, True
            yield outcome
    finally:
        if shown:
            stream.write("\r" + " " * len(f"{count} of {count} files") + "\r")
            stream.flush()
