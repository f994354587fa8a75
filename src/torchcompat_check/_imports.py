"""What `--fix` does to imports; apart from `fix` because it cannot be imported without LibCST."""

from __future__ import annotations

from typing import Callable, Iterable, Optional

import libcst as cst
from libcst.helpers import get_full_name_for_node

from .finding import Finding

Found = Callable[[cst.CSTNode, str], Optional[Finding]]


def moved(statement: cst.ImportFrom, found: Found) -> list[cst.BaseSmallStatement]:
    """`from torch.amp import GradScaler, autocast`: what is missing comes from torchcompat, the rest stays."""
    module = get_full_name_for_node(statement.module) if statement.module is not None else None
    if isinstance(statement.names, cst.ImportStar) or statement.relative or not module:
        return [statement]
    kept: list[cst.ImportAlias] = []
    by_module: dict[str, list[cst.ImportAlias]] = {}
    for alias in statement.names:
        finding = found(alias, f"{module}.{alias.evaluated_name}") or found(
            statement, f"{module}.{alias.evaluated_name}"
        )
        if finding is None:
            kept.append(alias)
        else:
            home, _, name = finding.shim.rpartition(".")
            by_module.setdefault(home, []).append(renamed(alias, name))
    if not by_module:
        return [statement]
    if not kept and len(by_module) == 1:
        [(home, names)] = by_module.items()
        return [statement.with_changes(module=dotted(home), names=names)]
    first = [statement.with_changes(names=_last_bare(kept))] if kept else []
    return [*first, *(cst.ImportFrom(dotted(home), _closed(names)) for home, names in by_module.items())]


def renamed(alias: cst.ImportAlias, name: str) -> cst.ImportAlias:
    """An imported name under its new one, bound to the same as before."""
    if alias.asname is None and name != alias.evaluated_name:
        return alias.with_changes(name=cst.Name(name), asname=cst.AsName(cst.Name(alias.evaluated_name)))
    return alias.with_changes(name=cst.Name(name))


def modules(statement: cst.Import, found: Found) -> cst.Import:
    """`import torch.func as f`: the module is torchcompat's. `import torch.func` binds torch, and goes on doing so."""
    names = []
    for alias in statement.names:
        finding = found(alias, alias.evaluated_name) or found(statement, alias.evaluated_name)
        if finding is not None and alias.asname is not None:
            alias = alias.with_changes(name=dotted(finding.shim))
        elif finding is not None:
            alias = alias.with_changes(name=cst.Name(alias.evaluated_name.partition(".")[0]))
            names.append(alias.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))))
            alias = cst.ImportAlias(dotted(finding.shim), comma=alias.comma)
        names.append(alias)
    return statement.with_changes(names=names)


def at_top(module: cst.Module) -> set[cst.CSTNode]:
    """The imports at the top of a module, which always run, and first."""
    lines = [line for line in module.body[: _top(module)[0]] if isinstance(line, cst.SimpleStatementLine)]
    return {one for line in lines for one in line.body}


def brings_torch(statement: cst.CSTNode) -> bool:
    """Whether a statement is an import of torch, or from it."""
    if isinstance(statement, cst.ImportFrom):
        paths = [statement.module] if statement.module is not None and not statement.relative else []
    else:
        paths = [alias.name for alias in statement.names] if isinstance(statement, cst.Import) else []
    return any((get_full_name_for_node(path) or "").partition(".")[0] == "torch" for path in paths)


def plain(name: str) -> cst.Import:
    """`import name`."""
    return cst.Import([cst.ImportAlias(dotted(name))])


def add(module: cst.Module, names: Iterable[str]) -> cst.Module:
    """*module* with imports of *names* behind its docstring and the imports at its top, before all else that runs."""
    at, there = _top(module)
    new = [cst.SimpleStatementLine([plain(name)]) for name in sorted(names) if name not in there]
    if not new:
        return module
    after = list(module.body[at:])
    if after and not after[0].leading_lines:
        after[0] = after[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    before = list(module.body[:at])
    if not before or not _has_import(before[-1]):
        new[0] = new[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)] if before else [])
    return module.with_changes(body=[*before, *new, *after])


def _top(module: cst.Module) -> tuple[int, set[str]]:
    """(how many statements the docstring and the imports at the top of a module are, what they import plainly)."""
    there: set[str] = set()
    for index, line in enumerate(module.body):
        if not isinstance(line, cst.SimpleStatementLine):
            return index, there
        for place, one in enumerate(line.body):
            is_doc = index == place == 0 and isinstance(one, cst.Expr) and isinstance(one.value, _STRINGS)
            if not is_doc and not isinstance(one, (cst.Import, cst.ImportFrom)):
                return index, there
        plain = [one for one in line.body if isinstance(one, cst.Import)]
        there |= {alias.evaluated_name for one in plain for alias in one.names if alias.asname is None}
    return len(module.body), there


_STRINGS = (cst.SimpleString, cst.ConcatenatedString)


def _has_import(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[-1], (cst.Import, cst.ImportFrom))


def _last_bare(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    """The names that stay: as they were, but for the comma after what is now the last one."""
    *before, last = names
    comma = last.comma
    multiline = isinstance(comma, cst.Comma) and isinstance(comma.whitespace_after, cst.ParenthesizedWhitespace)
    return names if multiline else [*before, last.with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _closed(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    """Names of an import of their own: without the commas, and the lines, of the one in which they stood."""
    return [name.with_changes(comma=cst.MaybeSentinel.DEFAULT) for name in names]


def dotted(module: str) -> cst.Attribute | cst.Name:
    """A dotted name as the module of an import."""
    node = cst.parse_expression(module)
    assert isinstance(node, (cst.Attribute, cst.Name))
    return node
