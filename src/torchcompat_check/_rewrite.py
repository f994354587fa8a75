"""The rewriting itself, apart from `fix` because it cannot be imported without LibCST."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Union

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from . import _imports
from ._names import OURS, Names
from .finding import Finding
from .history import load
from .methods import is_method
from .shims import ON_DEMAND, is_open, takes

_Line = Union[cst.SimpleStatementLine, cst.SimpleStatementSuite]
PARTIAL = ("functools.partial", "functools.partialmethod")
NOT_NAMED = "the code reaches it in another way than by its name"
HIDDEN = "`torchcompat` means something else there"
WRITTEN = "the name is bound or deleted there"
STARRED = "more than a star import binds the name"
NO_TORCH = "torch is not imported at the top of the file"
COMMENTED = "there is a comment within the name"


class Rewritten(NamedTuple):
    """The new text, and what was left as it is: (finding, why)."""

    text: str
    left: list[tuple[Finding, str]]


def rewrite(source: str, findings: Sequence[Finding]) -> Rewritten:
    """*source* with the shims of *findings*, each of which has one, wherever that is sure to mean the same."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    rewriter = Rewriter(findings, Names(wrapper), _imports.at_top(wrapper.module))
    module = wrapper.visit(rewriter)
    if rewriter.beside:
        # An import is left before the uses of what it binds are seen.
        rewriter = rewriter.again()
        module = wrapper.visit(rewriter)
    module = _imports.add(module, rewriter.modules)
    left = [(one, rewriter.reasons.get(one, NOT_NAMED)) for one in findings if one not in rewriter.done]
    return Rewritten(module.code, left)


class Rewriter(cst.CSTTransformer):
    """Replaces what the findings point at. *modules* are then to be imported; *reasons* say why one was left.

    Where torch is not imported at the *top*, but in a function or under a condition, torchcompat is imported beside it:
    the file may be one that also runs without torch.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, findings: Sequence[Finding], names: Names, top: set[cst.CSTNode]) -> None:
        super().__init__()
        self.modules: set[str] = set()
        self._top = top
        self._has_torch = any(_imports.brings_torch(one) for one in top)
        self.beside: dict[cst.CSTNode, set[str]] = {}
        self.done: set[Finding] = set()
        self.reasons: dict[Finding, str] = {}
        self._of = names
        self._findings: dict[tuple[int, int], list[Finding]] = {}
        for one in findings:
            self._findings.setdefault((one.line, one.column), []).append(one)
        self._given = findings

    def again(self) -> Rewriter:
        """A rewriter that knows what to import beside which import."""
        new = Rewriter(self._given, self._of, self._top)
        new.beside = self.beside
        return new

    def _at(self, node: cst.CSTNode, argument: bool) -> list[Finding]:
        """The findings of names, or of arguments, where *node* begins."""
        place = self.get_metadata(PositionProvider, node).start
        return [
            one for one in self._findings.get((place.line, place.column + 1), ()) if bool(one.parameter) == argument
        ]

    def _use(self, shim: str, original: cst.CSTNode) -> cst.BaseExpression:
        """torchcompat's name as an expression; its module is to be imported where that of *original* is."""
        module = next((name for name in ON_DEMAND if shim == name or shim.startswith(f"{name}.")), OURS)
        elsewhere = [one.node for one in self._of.imports(original) if one.node not in self._top]
        for node in elsewhere:
            self.beside.setdefault(node, set()).add(module)
        if not elsewhere:
            self.modules.add(module)
        return cst.parse_expression(shim)

    def _put(self, finding: Finding, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        """The shim in the place of an expression, if that may be; in its parentheses: `return(x)` needs them."""
        if not self._of.is_read(original) and not is_open(finding.name):  # whose attributes are set, and that is meant
            self.reasons[finding] = WRITTEN
        elif not self._of.is_ours(original):
            self.reasons[finding] = HIDDEN
        else:
            self.done.add(finding)
            return self._use(finding.shim, original).with_changes(lpar=updated.lpar, rpar=updated.rpar)
        return updated

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        """`torch.inference_mode`."""
        return self._named(original_node, updated_node)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """A name that a star import brought."""
        for finding in self._at(original_node, argument=False):
            place = self.get_metadata(PositionProvider, original_node)
            ends = (place.end.line, place.end.column + 1) == (finding.end_line, finding.end_column)
            if ends and original_node.value == finding.name.rpartition(".")[2]:
                if self._of.is_starred(original_node):
                    return self._put(finding, original_node, updated_node)
                self.reasons[finding] = STARRED
        return updated_node

    def _named(self, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        found = self._at(original, argument=False)
        path = self._of.path(original) if found else ""
        for finding in found:
            if finding not in self.reasons and path == finding.name:
                return self._put(finding, original, updated)
        return updated

    def visit_Call(self, node: cst.Call) -> bool:
        """A call that hands over what the newest torch, and so its stand-in, no longer takes stays as it is."""
        for finding in self._at(node.func, argument=False):
            refused = self._refused(finding, node)
            if refused and self._of.path(node.func) == finding.name:
                self.reasons[finding] = f"{finding.shim} does not take {refused}"
        return True

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A call, or a `partial`, with an argument that the older torch does not take; or of a method of a tensor."""
        methods = self._methods(original_node)
        if methods:
            return self._as_function(methods, original_node, updated_node)
        for argument in original_node.args:
            for finding in self._at(argument, argument=True):
                if self._of.path(original_node.func) == finding.name:
                    if self._takes(finding, original_node):
                        func = self._put(finding, original_node.func, updated_node.func)
                        updated_node = updated_node.with_changes(func=func)
                elif self._is_partial(original_node, finding) and self._takes(finding, original_node):
                    first = self._put(finding, original_node.args[0].value, updated_node.args[0].value)
                    others = updated_node.args[1:]
                    updated_node = updated_node.with_changes(
                        args=[updated_node.args[0].with_changes(value=first), *others]
                    )
        return updated_node

    def _methods(self, call: cst.Call) -> list[Finding]:
        """What was found of a method of a tensor that is called, and of its arguments."""
        func = call.func
        if not isinstance(func, cst.Attribute):
            return []
        end = self.get_metadata(PositionProvider, func).end
        named = [one for one in self._at(func, False) if (one.end_line, one.end_column) == (end.line, end.column + 1)]
        found = [*named, *(one for argument in call.args for one in self._at(argument, True))]
        return [one for one in found if is_method(one.name) and one.name.rpartition(".")[2] == func.attr.value]

    def _as_function(self, findings: list[Finding], original: cst.Call, updated: cst.Call) -> cst.Call:
        """`x.amax(1)` as `torchcompat.amax(x, 1)`, if that may be."""
        assert isinstance(original.func, cst.Attribute)
        assert isinstance(updated.func, cst.Attribute)
        why = "" if self._has_torch else NO_TORCH
        why = why or ("" if self._of.is_ours(original.func) else HIDDEN)
        why = why or (COMMENTED if "#" in cst.Module([]).code_for_node(original.func.dot) else "")
        if why:
            self.reasons.update((one, why) for one in findings)
            return updated
        self.done.update(findings)
        func = self._use(findings[0].shim, original.func)
        return updated.with_changes(func=func, args=[cst.Arg(updated.func.value), *updated.args])

    def _is_partial(self, call: cst.Call, finding: Finding) -> bool:
        """Whether a call is `functools.partial(NAME, ...)` of what was found."""
        return self._of.path(call.func) in PARTIAL and self._of.path(call.args[0].value) == finding.name

    def _takes(self, finding: Finding, call: cst.Call) -> bool:
        """Whether the shim takes all keywords of a call; noted if not."""
        refused = self._refused(finding, call)
        if refused:
            self.reasons[finding] = f"{finding.shim} does not take {refused}"
        return not refused

    def leave_Decorator(self, original_node: cst.Decorator, updated_node: cst.Decorator) -> cst.Decorator:
        """A decorator without parentheses, which is a call with the function."""
        original = original_node.decorator
        for finding in self._at(original, argument=True):
            if self._of.path(original) == finding.name:
                decorator = self._put(finding, original, updated_node.decorator)
                updated_node = updated_node.with_changes(decorator=decorator)
        return updated_node

    def _refused(self, finding: Finding, call: cst.Call) -> str:
        """A keyword of a call that the shim does not take."""
        keywords = [one.keyword.value for one in call.args if one.keyword is not None]
        return next((one for one in keywords if not takes(load(), finding.shim, one)), "")

    def _imported(self, node: cst.CSTNode, path: str) -> Finding | None:
        """What was found of an imported name; before Python 3.10 that has the place of its statement."""
        for finding in self._at(node, argument=False):
            if finding.name == path:
                self.done.add(finding)
                return finding
        return None

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """The names in an import are not expressions."""
        return False

    def visit_Import(self, node: cst.Import) -> bool:
        """As above."""
        return False

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        """`import torch.func as f`."""
        return _imports.modules(original_node, self._imported)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """An import is two, where some of its names stay."""
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
        parts: list[cst.BaseSmallStatement] = []
        for original, updated in zip(before.body, after.body):
            moved = _imports.moved(original, self._imported) if isinstance(original, cst.ImportFrom) else [updated]
            parts += [*moved, *(_imports.plain(name) for name in sorted(self.beside.get(original, ())))]
        return parts
