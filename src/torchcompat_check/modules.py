"""Modules of torch's that a file imports, and whether torchcompat's can take their place.

torchcompat's module has what it has shims for, and torch's has more. So the import of one is solved only where the file
asks its module for nothing but these, and hands it to nobody.
"""

from __future__ import annotations

import ast
from typing import Iterator, Sequence

from . import shims
from .finding import Finding
from .history import History


def settled(source: str, findings: Sequence[Finding], history: History) -> list[Finding]:
    """*findings*, without the shims of imported modules that must stay torch's."""
    doubtful = [one for one in findings if one.shim and not one.parameter and _is_module(history, one.name)]
    if not doubtful:
        return list(findings)
    tree = ast.parse(source)
    kept = {one for one in doubtful if not all(_is_enough(history, one, name, tree) for name in _bound(tree, one))}
    return [one._replace(shim="") if one in kept else one for one in findings]


def _is_module(history: History, name: str) -> bool:
    entry = history.find(name)
    return entry is not None and entry.kind == "module"


def _bound(tree: ast.AST, finding: Finding) -> Iterator[str]:
    """The names that the imports on the line of a finding bind to its module; not those that bind torch itself."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if not node.lineno <= finding.line <= (getattr(node, "end_lineno", None) or finding.line):
            continue
        for alias in node.names:
            before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            if before + alias.name == finding.name and (alias.asname or before):
                yield alias.asname or alias.name


def _is_enough(history: History, finding: Finding, name: str, tree: ast.AST) -> bool:
    """Whether all that the file takes from the module by *name* are names of torchcompat's, and that is something."""
    read = [one for one in ast.walk(tree) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load)]
    owners = {node.value: node.attr for node in read}
    asked = {owners.get(node) for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name}
    return bool(asked) and all(
        one is not None and shims.find(history, f"{finding.name}.{one}") is not None for one in asked
    )
