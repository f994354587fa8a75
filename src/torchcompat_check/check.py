"""`torchcompat check`: the command line."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NamedTuple, Sequence

from . import baseline, fix
from ._minors import ALL, at_least, at_most
from .config import FORMATS, BadConfig, Config, load, minor, nearest, version_range
from .diff import BadDiff, Lines, changed_lines, chosen, git_diff
from .files import Excludes, find, matches, relative
from .formats import WRITERS
from .ignores import named_by
from .names import refuse_unknown
from .reading import MAX_FILE_SIZE
from .report import Problem, Report, Result, Unused, printable, problem_line
from .run import Job, check_all, with_progress

CLEAN, VIOLATED, BAD = 0, 1, 2
EXIT_CODES = (
    "Exit codes: 0 clean, or no --min or --max given; 1 a finding within them; "
    "2 bad usage, a file that cannot be read, or no file at all."
)


class NothingToRead(Exception):
    """No file was found: a wrong path, or patterns that leave out everything."""


class Options(NamedTuple):
    """The command line over the configuration."""

    gate: tuple[str, str]
    excludes: Excludes
    select: Sequence[str]
    ignore: Sequence[str]
    per_file: Sequence[tuple[str, Sequence[str]]]
    root: str
    baseline: str
    format: str


def _minor(text: str) -> str:
    try:
        return minor(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of processes; accepted: 1 and up, or 0 for one a core"
        )
    return number


def _size(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in MB; accepted: a number over 0")
    return int(number * 1e6)


def parser() -> argparse.ArgumentParser:
    """The options of ``torchcompat check``."""
    made = argparse.ArgumentParser(
        prog="torchcompat check",
        description="Which torch does this code need, and which lines keep it from an older or a newer one?",
        epilog=EXIT_CODES,
    )
    made.add_argument(
        "paths", nargs="*", metavar="PATH", help="files, folders, notebooks; - for standard input; default: ."
    )
    gate = made.add_argument_group("what must hold")
    gate.add_argument(
        "--min", type=_minor, metavar="X", help="the oldest torch that must do; only what it lacks is shown"
    )
    gate.add_argument("--max", type=_minor, metavar="X", help="the newest torch that must do")
    _add_choice(made.add_argument_group("what is looked at"))
    _add_output(made.add_argument_group("what is printed"))
    fixing = made.add_argument_group("rewriting")
    fixing.add_argument("--fix", action="store_true", help="print the change to torchcompat's names as a diff")
    fixing.add_argument("--write", action="store_true", help="with --fix: change the files")
    return made


def _add_choice(group: Any) -> None:
    add = group.add_argument
    add("--diff", nargs="?", const="HEAD", metavar="BASE", help="only lines changed since the commit BASE (HEAD)")
    add("--patch", metavar="FILE", help="only lines that a unified diff adds; - for standard input")
    add(
        "--select",
        action="append",
        metavar="NAMES",
        help="only these names: torch.fft.*, 'torch.nn.functional.gelu(*)'",
    )
    add("--ignore", action="append", metavar="NAMES", help="all but these names")
    add("--exclude", action="append", metavar="PATTERN", help="paths to leave out")
    add("--allow-empty", action="store_true", help="that there is no file to read is no error")
    add("--baseline", metavar="FILE", help="show only what this file does not know")
    add("--write-baseline", metavar="FILE", help="write what is found to FILE, and stop")
    add("--stdin-filename", metavar="NAME", default="stdin.py", help="what standard input is called")
    add("--max-file-size", type=_size, default=MAX_FILE_SIZE, metavar="MB", help="larger files are not read (10)")
    add("--config", metavar="FILE", help="a pyproject.toml; default: the nearest with [tool.torchcompat]")
    add("--no-config", action="store_true", help="read no pyproject.toml")
    add(
        "-j",
        "--jobs",
        type=_count,
        default=0,
        metavar="N",
        help="processes; default: one, or for many files one a core",
    )


def _add_output(group: Any) -> None:
    add = group.add_argument
    add("--format", choices=FORMATS, help="default: text")
    add(
        "--explain", action="store_true", help="the history of each name, why it counts, and which guard would end that"
    )
    add("--warn-unused-ignores", action="store_true", help="name the ignore comments that no finding needs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    made = parser()
    given = made.parse_args(arguments)
    if given.diff is not None and given.patch is not None:
        made.error("--diff and --patch both say which lines changed: give one")
    if given.patch == "-" and "-" in given.paths:
        made.error("standard input is either the diff or the code: give one -")
    if given.write and not given.fix:
        made.error("--write changes files by --fix: give both")
    if given.fix and "-" in given.paths:
        made.error("--fix rewrites files, not standard input")
    try:
        return _main(given)
    except (BadConfig, BadDiff, NothingToRead, baseline.BadBaseline, fix.NeedsLibCST) as error:
        print(f"torchcompat check: {printable(str(error))}", file=sys.stderr)
        return BAD


def _main(given: argparse.Namespace) -> int:
    paths = [path for path in given.paths if path != "-"]
    options = settle(given, _config(given, paths))
    jobs, problems = _jobs(given, paths, options)
    if not (jobs or problems or given.allow_empty or _of_diff(given)):
        raise NothingToRead(f"there is no Python file in {', '.join(paths or ['.'])}; --allow-empty accepts that")
    report = _report(given, options, jobs, problems)
    for problem in report.problems:
        print(problem_line(problem), file=sys.stderr)
    if given.write_baseline:
        count = baseline.write(given.write_baseline, report.shown)
        print(f"{count} finding{'s' * (count != 1)} written to {given.write_baseline}")
        return BAD if report.problems else CLEAN
    if given.fix:
        return _fix(given, report, jobs)
    if given.warn_unused_ignores:
        _warn(report.unused)
    sys.stdout.write(WRITERS[options.format](report))
    if report.problems:
        return BAD
    return VIOLATED if any(options.gate) and report.shown else CLEAN


def _fix(given: argparse.Namespace, report: Report, jobs: Sequence[Job]) -> int:
    """Print the change, or make it; and name the guards that are needless then."""
    changed, problems = fix.fix_all(report.shown, report.all_results)
    for problem in [*problems, *fix.needless(job.path for job in jobs if not job.path.endswith(".ipynb"))]:
        print(problem_line(problem), file=sys.stderr)
    for one in changed:
        if given.write:
            fix.write(one)
        else:
            sys.stdout.write(fix.diff(one.path, one.before, one.after))
    if given.write:
        print(f"{len(changed)} file{'s' * (len(changed) != 1)} changed")
    return BAD if report.problems else CLEAN


def _config(given: argparse.Namespace, paths: Sequence[str]) -> Config:
    if given.no_config:
        return Config(os.getcwd(), {})
    return load(given.config) if given.config else nearest(paths or ["."])


def _listed(given: Sequence[str] | None, config: Config, key: str) -> Sequence[str]:
    """A list of names or patterns: those of the command line, which also separates them by commas."""
    if given is None:
        return list(config.get(key, []))
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def settle(given: argparse.Namespace, config: Config) -> Options:
    """The options in force: the command line's where given, else the configuration's."""
    least, most = given.min or config.get("min", ""), given.max or config.get("max", "")
    excluded = _listed(given.exclude, config, "exclude")
    select = _listed(given.select, config, "select")
    for pattern in select:
        refuse_unknown(pattern)
    known = given.baseline or config.path("baseline")
    return Options(
        gate=version_range(least, most),
        excludes=Excludes(excluded, config.root if given.exclude is None else os.getcwd()),
        select=select,
        ignore=_listed(given.ignore, config, "ignore"),
        per_file=list(config.get("per-file-ignores", {}).items()),
        root=config.root,
        baseline=known,
        format=given.format or config.get("format", "text"),
    )


def _jobs(given: argparse.Namespace, paths: Sequence[str], options: Options) -> tuple[list[Job], list[Problem]]:
    changed = _changed(given)
    stdin = [Job(given.stdin_filename, data=sys.stdin.buffer.read())] if "-" in given.paths else []
    if changed is not None:
        lines = chosen(changed, paths, options.excludes)
        return [*(Job(path, lines[path]) for path in lines), *stdin], []
    files, problems = find(paths or ([] if stdin else ["."]), options.excludes)
    return [*map(Job, files), *stdin], problems


def _of_diff(given: argparse.Namespace) -> bool:
    return given.diff is not None or given.patch is not None


def _changed(given: argparse.Namespace) -> Lines | None:
    if given.diff is not None:
        return git_diff(given.diff)
    if given.patch is None:
        return None
    try:
        if given.patch == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(given.patch, "rb") as file:
                data = file.read()
    except OSError as error:
        raise BadDiff(f"--patch {given.patch}: cannot be read: {error.strerror or error}") from None
    return changed_lines(data.decode("utf-8", "surrogateescape"))


def range_mask(gate: tuple[str, str]) -> int:
    """The minors within a gate."""
    least, most = gate
    return (at_least(least) if least else ALL) & (at_most(most) if most else ALL)


def _wanted(result: Result, options: Options) -> bool:
    finding = result.finding
    ignored = list(options.ignore)
    for pattern, names in options.per_file:
        if matches(relative(finding.path, options.root), [pattern]):
            ignored += names
    if options.select and not any(named_by(name, finding) for name in options.select):
        return False
    return not any(named_by(name, finding) for name in ignored)


def _report(given: argparse.Namespace, options: Options, jobs: list[Job], problems: list[Problem]) -> Report:
    results: list[Result] = []
    unused: list[Unused] = []
    read = 0
    outcomes = check_all(jobs, given.max_file_size, given.jobs)
    for outcome in with_progress(outcomes, len(jobs)):
        read += all(problem.cell for problem in outcome.problems)  # of a notebook that has a bad cell the others are
        results += [result for result in outcome.results if _wanted(result, options)]
        problems += outcome.problems
        unused += outcome.unused
    within = range_mask(options.gate)
    shown = [result for result in results if result.finding.missing & within] if any(options.gate) else results
    known = 0
    if options.baseline and not given.write_baseline:
        before = len(shown)
        shown, gone = baseline.new(options.baseline, shown, [job.path for job in jobs])
        known = before - len(shown)
        if gone:
            print(f"{options.baseline}: knows {gone} that are no longer there; write it again", file=sys.stderr)
    return Report(
        shown=shown,
        all_results=results,
        problems=problems,
        unused=unused,
        files=len(jobs),
        known=known,
        gate=options.gate,
        explained=_explained(shown) if given.explain else (),
        subject=_subject(given, options),
        read=read,
    )


def _subject(given: argparse.Namespace, options: Options) -> str:
    """What the answer is about, if not the code as a whole."""
    parts = ["the selected uses"] * bool(options.select) + ["the changed lines"] * _of_diff(given)
    return " in ".join(parts)


def _explained(results: Sequence[Result]) -> list[list[str]]:
    from .explain import explain

    return [explain(result.finding) for result in results]


def _warn(unused: Sequence[Unused]) -> None:
    for one in unused:
        cell = f"cell {one.cell}:" if one.cell else ""
        name = "" if one.name == "*" else f"[{one.name}]"
        print(f"{printable(one.path)}:{cell}{one.line}: unused ignore{name}", file=sys.stderr)
