"""The rewriting itself, apart from `fix` because it cannot be imported without LibCST."""

from __future__ import annotations

from typing import Sequence, Union

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.helpers import get_full_name_for_node
from libcst.metadata import MetadataWrapper, PositionProvider

from .finding import Finding
from .fix import ON_DEMAND

_Line = Union[cst.SimpleStatementLine, cst.SimpleStatementSuite]


def rewrite(source: str, findings: Sequence[Finding]) -> str:
    """*source* with the shims of *findings*, each of which has one."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    rewriter = Rewriter(findings)
    module = wrapper.visit(rewriter)
    context = CodemodContext()
    for name in sorted(rewriter.modules):
        AddImportsVisitor.add_needed_import(context, name)
    module = AddImportsVisitor(context).transform_module(module) if rewriter.modules else module
    return module.code


def expression(name: str) -> cst.BaseExpression:
    """A dotted name as an expression."""
    return cst.parse_expression(name)


class Rewriter(cst.CSTTransformer):
    """Replaces what the findings point at. *modules* are then to be imported."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self.modules: set[str] = set()
        self._names = {(one.line, one.column): one for one in findings if not one.parameter}
        self._arguments = {(one.line, one.column): one for one in findings if one.parameter}

    def _start(self, node: cst.CSTNode) -> tuple[int, int]:
        place = self.get_metadata(PositionProvider, node).start
        return place.line, place.column + 1

    def _use(self, shim: str) -> cst.BaseExpression:
        """torchcompat's name as an expression; its module is to be imported."""
        module = next((name for name in ON_DEMAND if shim.startswith(f"{name}.")), "torchcompat")
        self.modules.add(module)
        return expression(shim)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        """`torch.inference_mode`, by the whole of the name and not by a part of it."""
        finding = self._names.get(self._start(original_node))
        if finding is None or original_node.attr.value != finding.name.rpartition(".")[2]:
            return updated_node
        if get_full_name_for_node(original_node.value) is None or not self._is_whole(original_node, finding):
            return updated_node
        return self._use(finding.shim)

    def _is_whole(self, node: cst.Attribute, finding: Finding) -> bool:
        """Whether the chain up to *node* is as long as the name that was found, or shorter by an alias."""
        text = get_full_name_for_node(node) or ""
        inner, wanted = text.split(".")[1:], finding.name.split(".")
        return wanted[len(wanted) - len(inner) :] == inner

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """A name that a star import brought."""
        finding = self._names.get(self._start(original_node))
        if finding is None or original_node.value != finding.name.rpartition(".")[2]:
            return updated_node
        place = self.get_metadata(PositionProvider, original_node)
        if (finding.end_line, finding.end_column) != (place.end.line, place.end.column + 1):
            return updated_node
        return self._use(finding.shim)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A call with an argument that the older torch does not take."""
        for argument in original_node.args:
            finding = self._arguments.get(self._start(argument))
            name = get_full_name_for_node(original_node.func)
            if finding is not None and name is not None:
                return updated_node.with_changes(func=self._use(finding.shim))
        return updated_node

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """The names in an import are not expressions."""
        return False

    def visit_Import(self, node: cst.Import) -> bool:
        """As above."""
        return False

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """`from torch.amp import GradScaler, autocast`: the missing names come from torchcompat, the others stay."""
        body = self._body(original_node, updated_node)
        if len(original_node.body) > 1:
            return updated_node.with_changes(body=body)
        first, *others = body
        line = updated_node.with_changes(body=[first])
        return cst.FlattenSentinel([line, *(cst.SimpleStatementLine([one]) for one in others)]) if others else line

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        """The same behind a colon: `if ready: from torch.amp import GradScaler`."""
        return updated_node.with_changes(body=self._body(original_node, updated_node))

    def _body(self, before: _Line, after: _Line) -> list[cst.BaseSmallStatement]:
        parts = [
            self._split(original, updated) if isinstance(original, cst.ImportFrom) else [updated]
            for original, updated in zip(before.body, after.body)
        ]
        return [one for part in parts for one in part]

    def _split(self, original: cst.ImportFrom, updated: cst.BaseSmallStatement) -> list[cst.BaseSmallStatement]:
        """An import, its names by the module that they come from now."""
        if isinstance(original.names, cst.ImportStar):
            return [updated]
        kept: list[cst.ImportAlias] = []
        moved: dict[str, list[cst.ImportAlias]] = {}
        for alias in original.names:
            finding = self._imported(original, alias)
            if finding is None:
                kept.append(alias)
            else:
                module, _, name = finding.shim.rpartition(".")
                moved.setdefault(module, []).append(alias.with_changes(name=cst.Name(name)))
        if not moved:
            return [updated]
        if not kept and len(moved) == 1:
            [(module, names)] = moved.items()
            return [original.with_changes(module=_dotted(module), names=names)]
        first = [original.with_changes(names=_last_bare(kept))] if kept else []
        return [*first, *(cst.ImportFrom(_dotted(module), _closed(names)) for module, names in moved.items())]

    def _imported(self, statement: cst.ImportFrom, alias: cst.ImportAlias) -> Finding | None:
        """What was found of an imported name; before Python 3.10 that has the place of its statement."""
        for node in (alias, statement):
            finding = self._names.get(self._start(node))
            if finding is not None and finding.name.rpartition(".")[2] == alias.evaluated_name:
                return finding
        return None


def _last_bare(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    """The names that stay: as they were, but for the comma after what is now the last one."""
    *before, last = names
    comma = last.comma
    multiline = isinstance(comma, cst.Comma) and isinstance(comma.whitespace_after, cst.ParenthesizedWhitespace)
    return names if multiline else [*before, last.with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _closed(names: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    """Names of an import of their own: without the commas, and the lines, of the one in which they stood."""
    return [name.with_changes(comma=cst.MaybeSentinel.DEFAULT) for name in names]


def _dotted(module: str) -> cst.Attribute | cst.Name:
    """A dotted name as the module of an import."""
    node = expression(module)
    assert isinstance(node, (cst.Attribute, cst.Name))
    return node
