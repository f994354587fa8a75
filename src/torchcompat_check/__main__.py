"""The console script ``torchcompat``: ``check`` and ``api`` read source and history, and import no torch."""

from __future__ import annotations

import os
import sys
from typing import Callable, Sequence

from . import __version__

USAGE = """\
usage: torchcompat [report] [--json]    what the installed torch is, and which names are torch's own on it
       torchcompat check [PATH ...]     which torch a code base needs
       torchcompat api NAME             the history of a name of torch
       torchcompat --version

torchcompat COMMAND --help says more of each.
"""


def _report(arguments: Sequence[str]) -> int:
    # Imports torch, which the other commands can do without.
    try:
        from torchcompat._report import python_m
    except ValueError as error:
        if not str(error).startswith("TORCHCOMPAT_FALLBACK="):
            raise
        print(f"torchcompat: {error}", file=sys.stderr)
        return 2

    return python_m(arguments)


def _check(arguments: Sequence[str]) -> int:
    from .check import main as check

    return check(arguments)


def _api(arguments: Sequence[str]) -> int:
    from .api import main as api

    return api(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"report": _report, "check": _check, "api": _api}


# What a command may find missing: the checker is used without torch, and pre-commit's hook with the Python of the path.
MISSING = {
    "torch": "torch is not installed (https://pytorch.org/get-started); without it, `check` and `api` work",
    "packaging": "packaging is not installed: pip install packaging",
    "typing_extensions": "typing-extensions is not installed: pip install typing-extensions",
}


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code."""
    try:
        return _run(arguments)
    except ModuleNotFoundError as error:
        if error.name not in MISSING:
            raise
        print(f"torchcompat: {MISSING[error.name]}", file=sys.stderr)
        return 2


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] == "--json":
        return _report(arguments)
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if name == "--version":
        print(f"torchcompat {__version__}")
        return 0
    if name not in COMMANDS:
        print(
            f"torchcompat: {name!r} is no command; accepted: {', '.join(COMMANDS)}\n\n{USAGE}", end="", file=sys.stderr
        )
        return 2
    return COMMANDS[name](rest)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # Of a path that is no text, escapes; better than a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has seen enough. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
