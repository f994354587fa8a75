"""What counts as a use of torch: a name, an argument; and whether somebody catches its absence."""

from __future__ import annotations

import ast
import re
from typing import Any

from . import shims
from ._minors import ALL, MINORS, at_least, minors_of
from .finding import Finding
from .history import Entry, History
from .loaded import Loaded
from .state import State


class Guard:
    """A statement that keeps code from a torch that lacks something, and what that is: {name: torchcompat's name}."""

    def __init__(self, node: ast.stmt) -> None:
        self.node = node
        self.names: dict[str, str] = {}

    def keeps(self, name: str, shim: str) -> None:
        """Note a use that the statement keeps from a torch; one that no shim stands in for settles it for its name."""
        self.names[name] = shim and self.names.get(name, shim)


class Frame(Guard):
    """A `try` statement around the code that is read: what its handlers catch, and on which minors they had to.

    It is *sure* as long as all that it does is known, so that nothing but the minor decides whether it fails.
    """

    def __init__(self, node: ast.stmt, kinds: set[str]) -> None:
        super().__init__(node)
        self.kinds = kinds
        self.failed = 0
        self.sure = True


class Uses:
    """Collects the findings of one file."""

    def __init__(self, path: str, source: str, history: History, state: State) -> None:
        self.state = state
        self.path = path
        self.history = history
        self.findings: dict[tuple[int, int, str, str], Finding] = {}
        self.needless: list[Guard] = []
        self.provided: dict[str, int] = {}
        self.named: set[str] = set()  # what the code names itself, reached or not
        self.source = source
        self.loaded = Loaded(path, source)
        self.has_comments = "torchcompat: needs" in source
        self._lines: list[str] | None = None

    def absent(
        self, node: ast.AST, entry: Entry, parameter: str, missing: int, kind: str, direct: bool = False
    ) -> None:
        """Note that on the minors *missing* the line of *node* runs without *entry* (or its *parameter*).

        *kind* is what python raises then: an enclosing `try` that catches it makes the use a guarded one. *direct*: the
        code names the object itself, so that torchcompat's can stand in its place; not so an attribute of an instance,
        or a class of the project that comes from one of torch's.
        """
        for frame in reversed(self.state.frames):
            if kind in frame.kinds:
                frame.failed |= missing
                sure = direct and entry.kind != "module"  # of which the file may want more than torchcompat's has
                frame.keeps(entry.name, self._shim(entry, parameter, missing) if sure else "")
                self.state.reach &= ~missing
                return
        if not self.state.quiet:
            self._report(node, entry, parameter, missing, direct)

    def name(self, node: ast.AST, path: str, known: int, kind: str = "attribute", direct: bool = False) -> None:
        """A use of the object *path*, on the minors *known* (where what it is looked up in is there)."""
        entry = self.longest_known(path)
        if entry is None or hasattr(object, entry.name.rpartition(".")[2]):
            return
        apart = self.apart(path) if direct and kind == "attribute" else 0
        if kind == "module":
            direct = direct and entry.name == path and not shims.is_open(path)
        else:
            direct = direct and is_replaceable(entry, path)
        if direct:
            self.named.add(entry.name)
        present = self.history.importable(path) if kind == "module" and entry.name == path else entry.present
        missing = self.state.reach & known & ~present & ~self.provided.get(entry.name, 0)
        if missing:
            missing &= ~self._untold(entry)
        missing |= self.state.reach & known & apart & ~self.provided.get(entry.name, 0)
        raising = self.state.reach & known & removed(entry.name) & entry.present
        if missing:
            self.absent(node, entry, "", missing, kind, direct)
        if raising:
            self.absent(node, entry, "", raising, "runtime", direct)
        elif not missing and not self.state.quiet:
            self._kept(entry, direct and entry.kind != "module")

    def apart(self, path: str) -> int:
        """Where a name is not there as an attribute, since nothing imports the module that it is in, or is."""
        found, at = 0, path.find(".")
        while at >= 0:
            at = path.find(".", at + 1)
            module = path if at < 0 else path[:at]
            mask = self.history.apart(module)
            if mask and at < 0:
                entry = self.history.find(module)
                mask &= ~dict(entry.kinds).get("function", 0) if entry is not None else 0
            lacking = mask and self.loaded.lacking(module, mask, self.history)
            if mask and not lacking:
                break  # What brings a module may bring those below it.
            found |= lacking
        return found

    def _untold(self, entry: Entry) -> int:
        """Where the history does not tell what a class has: it was private then, or a function with attributes."""
        owner = self.history.find(entry.name.rpartition(".")[0])
        kinds = dict(owner.kinds) if owner is not None else {}
        if owner is None or "class" not in kinds:
            return 0
        return (kinds["class"] & ~self.history.described(owner.name)) | kinds.get("function", 0)

    def _kept(self, entry: Entry, direct: bool) -> None:
        """A use that a condition keeps from an older torch; what a newer one lost is in the branch that would go."""
        older = ALL & ~entry.present & ~at_least(minors_of(entry.present)[-1])
        for guard in self.state.guards:
            if older & ~self.state.reach:
                guard.keeps(entry.name, self._shim(entry, "", older) if direct else "")
        for frame in self.state.frames:
            if older & frame.failed:
                frame.keeps(entry.name, self._shim(entry, "", older) if direct else "")

    def close(self, guard: Guard) -> None:
        """The end of a guard. It is needless if torchcompat has all that it keeps from an older torch."""
        if not self.state.quiet and guard.names and all(guard.names.values()):
            self.needless.append(guard)

    def imported(self, node: ast.AST, module: str, name: str) -> None:
        """`from module import name`: python says so in another way when it is the module that is not there."""
        entry = self.longest_known(f"{module}.{name}")
        if entry is None:
            return
        self.named.add(entry.name)
        missing = self.state.reach & ~entry.present & ~self.provided.get(entry.name, 0)
        there = self.history.importable(module) if self.history.find(module) is not None else ALL
        for part, kind in ((missing & ~there, "module"), (missing & there, "import")):
            if part:
                self.absent(node, entry, "", part, kind, direct=entry.name == f"{module}.{name}")

    def longest_known(self, path: str) -> Entry | None:
        """The entry of *path*, or of the longest part of it that torch ever had."""
        while True:
            entry = self.history.find(path)
            if entry is not None or "." not in path:
                return entry
            path = path.rpartition(".")[0]

    def call(self, node: ast.Call, path: str, known: int, places: bool, direct: bool = False, skip: int = 0) -> None:
        """A call of the object *path*: its keyword arguments, and with *places* its positional ones, too.

        The first *skip* of these are not its own, as `self` is not in `nn.LayerNorm.__init__(self, 4)`.
        """
        entry = self.history.find(path)
        if entry is not None and direct:
            self._without_placeholder(node, entry, known)
        if entry is None or entry.parameters is None:
            return
        direct = direct and not self._refused(node, entry)
        reach = self.state.reach & known & entry.present
        if not reach:
            return
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg in entry.parameters:
                missing = (
                    reach & getattr(keyword, "where", ALL) & ~(entry.parameters[keyword.arg].present | takes_any(entry))
                )
                if missing:
                    self.absent(keyword, entry, keyword.arg, missing, "type", direct)
        if places and node.args and not entry.overloaded:
            self._positional(node.args[skip:], entry, reach, direct)

    def _without_placeholder(self, node: ast.Call, entry: Entry, known: int) -> None:
        """Report the call of what torchcompat has a placeholder for, which can be imported and not called."""
        shim = shims.find(self.history, entry.name)
        missing = self.state.reach & known & ~entry.present
        if shim is None or shim.name not in shims.absent() or not missing:
            return
        self.absent(node.func, entry, "", missing, "attribute")
        key = (*self._place(node.func)[:2], entry.name, "")
        if key in self.findings:
            self.findings[key] = self.findings[key]._replace(shim="")

    def stands_for(self, node: ast.Call, name: str, function: Entry) -> None:
        """The method *name* that is called here does what *function* does, and so does torchcompat's, for all of it."""
        parts: list[tuple[ast.AST, str]] = [(node.func, "")]
        parts += [(one, parameter) for one in node.args for parameter in function.parameters or ()]
        parts += [(one, one.arg) for one in node.keywords if one.arg is not None]
        keys = [(*self._place(one)[:2], name, parameter) for one, parameter in parts]
        found = {key: self.findings[key] for key in keys if key in self.findings}
        shims_ = {key: self._shim(function, one.parameter, one.missing) for key, one in found.items()}
        if all(shims_.values()):
            self.findings.update((key, one._replace(shim=shims_[key])) for key, one in found.items())

    def _refused(self, node: ast.Call, entry: Entry) -> bool:
        """Whether the shim does not take this call, as the newest torch would not; it solves nothing here, then."""
        shim = shims.find(self.history, entry.name)
        keywords = [keyword.arg for keyword in node.keywords if keyword.arg]
        if shim is None or all(shims.takes(self.history, shim.name, keyword) for keyword in keywords):
            return False
        key = (*self._place(node.func)[:2], entry.name, "")
        if key in self.findings:
            self.findings[key] = self.findings[key]._replace(shim="")
        return True

    def _positional(self, arguments: list[ast.expr], entry: Entry, reach: int, direct: bool) -> None:
        """Report the first positional argument for which some torch has no place."""
        places = [(name, one) for name, one in (entry.parameters or {}).items() if not one.keyword_only]
        for count, (argument, (name, _)) in enumerate(zip(arguments, places), 1):
            if isinstance(argument, ast.Starred):
                return
            missing = reach & ~entry.takes_more & displaced(places, count)
            if missing:
                self.absent(argument, entry, name, missing, "type", direct)
                return

    def _report(self, node: ast.AST, entry: Entry, parameter: str, missing: int, direct: bool) -> None:
        line, column, end_line, end_column = self._place(node)
        present = entry.present & ~removed(entry.name) & ~missing
        if entry.parameters is not None and parameter in entry.parameters:
            present &= entry.parameters[parameter].present | takes_any(entry)
        key = (line, column, entry.name, parameter)
        shim = self._shim(entry, parameter, missing) if direct else ""
        before = self.findings.get(key)
        if before is not None:
            same = shim if shim == before.shim else ""
            self.findings[key] = before._replace(missing=before.missing | missing, shim=same)
            return
        self.findings[key] = Finding(
            self.path,
            line,
            column,
            end_line,
            end_column,
            entry.name,
            parameter,
            present,
            missing,
            shim,
            not self.state.in_function,
        )

    def _shim(self, entry: Entry, parameter: str, missing: int) -> str:
        """torchcompat's name, if that works wherever this one does not: it takes the parameters of the newest torch."""
        if is_special(entry.name.rpartition(".")[2]):
            return ""  # the object is made elsewhere
        shim = shims.find(self.history, entry.name)
        if shim is None or missing & ~at_least(shim.oldest):
            return ""
        known = (entry.parameters or {}).get(parameter)
        if known is not None and not (
            known.present & at_least(MINORS[-1]) and shims.takes(self.history, shim.name, parameter)
        ):
            return ""
        return shim.name

    def _place(self, node: Any) -> tuple[int, int, int, int]:
        """Where a node is; `keyword` and `alias` have a place of their own from Python 3.9 and 3.10 on."""
        if not hasattr(node, "lineno"):
            node = node.value
        line, column = node.lineno, node.col_offset
        end_line = getattr(node, "end_lineno", None) or line
        end_column = getattr(node, "end_col_offset", None)
        return (
            line,
            self._characters(line, column) + 1,
            end_line,
            (self._characters(end_line, end_column) if end_column is not None else self._characters(line, column)) + 1,
        )

    def line(self, number: int) -> str:
        """A line of the source, by its number from 1 on."""
        if self._lines is None:
            self._lines = re.split("\r\n|\r|\n", self.source)
        return self._lines[number - 1] if number <= len(self._lines) else ""

    def _characters(self, line: int, octets: int) -> int:
        """`ast` counts columns in octets of UTF-8; people and editors count characters."""
        text = self.line(line)
        return octets if text.isascii() else len(text.encode()[:octets].decode(errors="ignore"))


def is_replaceable(entry: Entry, path: str) -> bool:
    """Whether torchcompat's object can stand where *path* is named, of which *entry* is what is known.

    Not a module as a value, which may be asked for whatever torch's holds; nor a member that no torch is known to have.
    """
    rest = path[len(entry.name) + 1 :]
    if shims.is_open(entry.name):
        return True
    return entry.kind != "module" and (entry.kind != "class" or not rest or rest.startswith("__"))


# Functions with `**kwargs` that have no use for another name: they raise, or hand it on to what does.
REFUSING = ("torch.load", "torch.serialization.load")


# Functions that take more than the signature that they show, from this torch on:
# https://github.com/pytorch/pytorch/pull/97406
HIDING = {"torch.cuda.memory._record_memory_history": "2.1"}


# Functions, and methods of tensors, that are still there, and raise from this torch on:
# https://github.com/pytorch/pytorch/pull/69857
REMOVED = {
    "solve": "1.12",
    "eig": "1.13",
    "lstsq": "1.13",
    "matrix_rank": "1.13",
    "symeig": "2.0",
    "cholesky": "2.14",
    "qr": "2.14",
}


def is_special(name: str) -> bool:
    """Whether a name is one that Python asks for by itself, such as `__enter__`."""
    return name.startswith("__") and name.endswith("__")


def removed(name: str) -> int:
    """The minors on which a name is there, but only raises."""
    owner, _, last = name.rpartition(".")
    return at_least(REMOVED[last]) if last in REMOVED and owner in ("torch", "torch.Tensor") else 0


def takes_any(entry: Entry) -> int:
    """The minors on which any keyword is taken."""
    if entry.home in HIDING:
        return at_least(HIDING[entry.home])
    return 0 if entry.name in REFUSING else entry.takes_any


def displaced(places: list[tuple[str, Any]], count: int) -> int:
    """The minors on which the last of *count* arguments has no place, or that of a parameter that stands behind by now.

    In `nn.LayerNorm(3, 1e-5, True, False)` the fourth was `device` before torch 2.1 brought `bias`. Where a parameter
    has gone since, it may be the same one by another name, and nothing is said.
    """
    if all(one.present == ALL for _, one in places[:count]):
        return 0
    own, behind = places[count - 1][1], places[count:]
    newest = at_least(MINORS[-1])
    mask = 0
    for index in range(len(MINORS)):
        there = [one for _, one in places if one.present >> index & 1]
        if len(there) < count:
            mask |= 1 << index
        elif own.present & newest and not own.present >> index & 1 and all(one.present & newest for one in there):
            mask |= any(there[count - 1] is one for _, one in behind) << index
    return mask
