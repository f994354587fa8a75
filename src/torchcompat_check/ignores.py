"""Ignore comments: `# torchcompat: ignore` and `# torchcompat: ignore[torch.nn.functional.gelu, torch.fft.*]`."""

from __future__ import annotations

import io
import re
import tokenize
from fnmatch import fnmatchcase
from typing import Iterable, NamedTuple, Sequence

from .finding import Finding
from .report import label

_COMMENT = re.compile(r"#\s*torchcompat:\s*ignore\b\s*(?:\[([^\]]*)\])?")


class Ignore(NamedTuple):
    """A comment: its line, the lines of code it is for, and its names, where "*" is any."""

    line: int
    first: int
    last: int
    names: tuple[str, ...]


def named_by(pattern: str, finding: Finding) -> bool:
    """Whether a pattern is for a finding: the name for it and all its arguments, "name(argument)" for the one."""
    return fnmatchcase(finding.name, pattern) or fnmatchcase(label(finding), pattern)


def ignores_in(source: str) -> list[Ignore]:
    """The ignore comments of a source."""
    if "torchcompat:" not in source:
        return []
    found: list[Ignore] = []
    comments: list[tuple[int, str]] = []
    first = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                comments.append((token.start[0], token.string))
            elif token.type == tokenize.NEWLINE:
                found += _of_statement(comments, first, token.start[0])
                comments, first = [], 0
            elif not first and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                # A comment before the statement, on a line of its own, is for no code.
                comments, first = [], token.start[0]
    except (tokenize.TokenError, SyntaxError):
        # What the tokenizer cannot read, the parser has reported, or accepts in spite of it.
        pass
    return found


def _of_statement(comments: Iterable[tuple[int, str]], first: int, last: int) -> list[Ignore]:
    """On its first or last line a comment is for the whole statement, on one between them for that line."""
    found = []
    for line, text in comments:
        match = _COMMENT.search(text)
        if match:
            listed = "*" if match.group(1) is None else match.group(1)
            names = tuple(name.strip() for name in listed.split(",") if name.strip())
            whole = line in (first, last)
            found.append(Ignore(line, first if whole else line, last if whole else line, names))
    return found


def apply(ignores: Sequence[Ignore], findings: Iterable[Finding]) -> tuple[list[Finding], list[tuple[int, str]]]:
    """The findings that no comment is for, and (line, name) of each name in a comment that was not needed."""
    kept: list[Finding] = []
    used: dict[int, set[str]] = {ignore.line: set() for ignore in ignores}
    for finding in findings:
        ignored = False
        for ignore in ignores:
            if ignore.first <= finding.line <= ignore.last:
                names = {name for name in ignore.names if named_by(name, finding)}
                used[ignore.line] |= names
                ignored = ignored or bool(names)
        if not ignored:
            kept.append(finding)
    unused = [(ignore.line, name) for ignore in ignores for name in ignore.names if name not in used[ignore.line]]
    return kept, unused
