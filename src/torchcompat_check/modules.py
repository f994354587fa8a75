"""Whether torchcompat's names can take the place of torch's where that depends on the whole file.

torchcompat's module has what it has shims for, and torch's has more. So the import of one is solved only where the
file asks its module for nothing but these, and hands it to nobody. And what some functions of a module make, as the
structure that `tree_flatten` gives, only its other functions understand: all are torchcompat's, or all torch's.
"""

from __future__ import annotations

import ast
from typing import Collection, Iterable, Iterator, Sequence

from . import shims
from .finding import Finding
from .history import History
from .nodes import walk_tree

# A module whose names go together, but for these, which take and give plain values.
TOGETHER = "torch.utils._pytree"
APART = (
    "register_dataclass",
    "register_pytree_node",
    "tree_all",
    "tree_any",
    "tree_is_leaf",
    "tree_iter",
    "tree_leaves",
    "tree_map",
    "tree_map_",
    "tree_map_only",
)


def settled(source: str, named: Collection[str], findings: Iterable[Finding], history: History) -> list[Finding]:
    """*findings* without the shims of what must stay torch's; *named* are all of torch's names in the file."""
    findings = list(findings)
    doubtful = [one for one in findings if one.shim and not one.parameter and _is_module(history, one.name)]
    together = {name for name in named if is_together(name)}
    if together:
        solved = {one.name for one in findings if one.shim} - {one.name for one in findings if not one.shim}
        by_module = TOGETHER in solved and all(shims.find(history, name) for name in together)
        if not by_module and not together <= solved:
            findings = [one._replace(shim="") if is_together(one.name) else one for one in findings]
            findings = [one._replace(shim="") if one.name == TOGETHER else one for one in findings]
            doubtful = [one for one in doubtful if one.name != TOGETHER]
    if not doubtful:
        return findings
    tree = ast.parse(source)
    kept = {one for one in doubtful if not all(_is_enough(history, one, name, tree) for name in _bound(tree, one))}
    return [one._replace(shim="") if one in kept else one for one in findings]


def is_together(name: str) -> bool:
    """Whether a name must be torch's or torchcompat's together with others of its module."""
    parent, _, last = name.rpartition(".")
    return parent == TOGETHER and last not in APART


def wholly(wanted: Sequence[Finding], every: Iterable[Finding]) -> list[Finding]:
    """Of the findings to rewrite, out of *every* one of the file, those that do not need another, which is to stay."""
    left = set(every).difference(wanted)
    if not any(is_together(one.name) or one.name == TOGETHER for one in left):
        return list(wanted)
    return [one for one in wanted if not is_together(one.name) and one.name != TOGETHER]


def _is_module(history: History, name: str) -> bool:
    entry = history.find(name)
    return entry is not None and entry.kind == "module" and not shims.is_open(name)


def _bound(tree: ast.AST, finding: Finding) -> Iterator[str]:
    """The names that the imports on the line of a finding bind to its module; not those that bind torch itself."""
    for node in walk_tree(tree):
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
    read = [one for one in walk_tree(tree) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load)]
    owners = {node.value: node.attr for node in read}
    asked = {owners.get(node) for node in walk_tree(tree) if isinstance(node, ast.Name) and node.id == name}
    return bool(asked) and all(
        one is not None and shims.find(history, f"{finding.name}.{one}") is not None for one in asked
    )
