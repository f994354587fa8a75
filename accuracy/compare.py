"""What the checker says of a release, beside what Python said when the release was imported on one torch."""

import ast
import collections
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import standins  # noqa: E402

from torchcompat_check import implicit, uses, walk  # noqa: E402
from torchcompat_check._minors import ALL, INDEX, runs  # noqa: E402
from torchcompat_check.history import load  # noqa: E402
from torchcompat_check.ignores import apply, ignores_in  # noqa: E402
from torchcompat_check.project import Project  # noqa: E402
from torchcompat_check.reading import read_text  # noqa: E402


class Recording(uses.Uses):
    """Notes every name that is read and every argument that is passed, and the minors on which nothing guards it."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = collections.Counter()  # {(line, name, argument): mask}

    def sees(self, node, name, argument="", known=ALL, kinds=("type",)):
        """Note a use; of a `keyword`, which has no place of its own before Python 3.9, that of its value.

        *kinds*: the errors that a `try` around it has to catch.
        """
        line = getattr(node if hasattr(node, "lineno") else node.value, "lineno", 0)
        is_caught = any(frame.kinds & set(kinds) for frame in self.state.frames)
        runs = 0 if is_caught else self.state.reach & known & ~self.provided.get(name, 0)
        if not self.state.quiet:
            self.seen[line, name, argument] |= runs

    def name(self, node, path, known, kind="attribute", direct=False):
        self.sees(node, path, "", known, (kind,))
        super().name(node, path, known, kind, direct)

    def imported(self, node, module, name):
        self.sees(node, f"{module}.{name}", "", ALL, ("module", "import"))
        super().imported(node, module, name)

    def call(self, node, path, known, *arguments, **options):
        for keyword in node.keywords:
            self.sees(keyword, path, keyword.arg, known)
        for argument in node.args:
            self.sees(argument, path, "#", known)
        super().call(node, path, known, *arguments, **options)


def lacking(walk, node, path, names, mask, kind):
    """The same for special methods."""
    for name in names:
        walk.uses.sees(node, path, name, mask, (kind,))
    LACKING(walk, node, path, names, mask, kind)


def bare(walk, node, function, mask):
    """The same for context managers that take a function."""
    walk.uses.sees(node, function.path, "orig_func", mask)
    BARE(walk, node, function, mask)


LACKING, BARE = implicit.lacking, implicit.bare
implicit.lacking, implicit.bare = lacking, bare
walk.Uses = Recording
# The kinds of use that are counted apart.
NAME, CAUGHT, MEMBER = "names", "names in `except` and `raise`", "attributes of instances"
ARGUMENT, HANDED_ON, IMPLICIT = "arguments", "arguments handed on by `__init__`", "implicit uses"
KINDS = (NAME, CAUGHT, MEMBER, ARGUMENT, HANDED_ON, IMPLICIT)


class File:
    """One file of a release, as the checker sees it."""

    def __init__(self, path, findings, seen):
        self.findings, self.seen = findings, collections.defaultdict(set)
        for (line, name, argument), mask in seen.items():
            self.seen[line].add((name, argument, mask))
        self.tree = ast.parse(path.read_bytes())
        self._spans = {}
        nodes = list(ast.walk(self.tree))
        self._lambdas = [node for node in nodes if isinstance(node, ast.Lambda)]
        clauses = [node for node in nodes if isinstance(node, ast.ExceptHandler) and node.type is not None]
        for node in clauses:  # a statement's span is its header, and ends before them
            lines = range(node.lineno, node.type.end_lineno + 1)
            self._spans.update(dict.fromkeys(lines, (lines[0], lines[-1])))
        self._caught = {line for node in nodes for line in caught(node)}
        self._handed_on = {line for node in nodes for line in handed_on(node)}

    def kind(self, line, name, argument):
        """The kind of a use, one of KINDS."""
        if uses.is_special(argument) or argument in BARE_PARAMETERS or uses.is_special(name.rpartition(".")[2]):
            return IMPLICIT
        if argument:
            return HANDED_ON if line in self._handed_on else ARGUMENT
        return MEMBER if is_method(name) else CAUGHT if line in self._caught else NAME

    def span(self, line):
        """The first and the last line of the statement that holds a line; of a block, of its header."""
        if line not in self._spans:
            statement = standins.statement_at(self.tree, line)
            self._spans[line] = standins.first_line(statement), standins.header_end(statement)
        return self._spans[line]

    def in_lambda(self, finding):
        """Whether a finding is in the body of a lambda, which shares its line with what is around it."""
        place = finding.line, finding.column
        return any(
            (node.body.lineno, node.body.col_offset + 1) <= place < (node.end_lineno, node.end_col_offset + 1)
            for node in self._lambdas
        )

    def inside(self, line, other):
        """Whether two lines are of one statement."""
        first, last = self.span(line)
        return first <= other <= last


BARE_PARAMETERS = ("orig_func",)


def caught(node):
    """The lines of what an `except` clause or a `raise` names."""
    names = node.type if isinstance(node, ast.ExceptHandler) else node.exc if isinstance(node, ast.Raise) else None
    return [each.lineno for each in ast.walk(names) if hasattr(each, "lineno")] if names is not None else []


def handed_on(node):
    """The lines of a call of `__init__`."""
    if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "__init__":
        return []
    return range(node.lineno, node.end_lineno + 1)


class Release:
    """One release of a package: {path: File} of the files in which torch is used."""

    def __init__(self, folder):
        self.folder, self.files = folder, {}
        project = Project(walk.Walk)
        for path in sorted(folder.rglob("*.py")):
            self.read(path, project)

    def read(self, path, project):
        """Check one file."""
        try:
            text = read_text(str(path))
            walked = project.walk(str(path), text)
            walked.bodies.read()
        except (SyntaxError, UnicodeError, RecursionError):
            return  # some packages ship templates, and tests of bad code
        findings, _ = apply(ignores_in(text), sorted(walked.uses.findings.values()))
        self.files[str(path.relative_to(self.folder))] = File(path, findings, walked.uses.seen)

    def floors(self):
        """The newest run of torch that works: for imports alone, and for everything."""
        every = [finding for file in self.files.values() for finding in file.findings]
        return [newest_run(each) for each in ([one for one in every if one.at_import], every)]


def newest_run(findings):
    """(oldest, newest) torch of the newest unbroken run that has all names, or None."""
    works = ALL
    for finding in findings:
        works &= ~finding.missing
    return runs(works)[-1] if works else None


def kind_of_note(note, file):
    """The kind of use that Python said fails."""
    name, _, argument = note["name"].rstrip(")").partition("(")
    return file.kind(note["line"], name, argument) if file is not None else NAME


def label(finding):
    """A finding's name, with the argument in parentheses."""
    return f"{finding.name}({finding.parameter})" if finding.parameter else finding.name


def same(ours, theirs):
    """Whether two names are of one thing: Python reports the first part that is missing, under its own home's name."""
    return (
        (theirs + ".").startswith(ours + ".")
        or (ours + ".").startswith(theirs + ".")
        or re.split(r"[.]", ours)[-1] == re.split(r"[.]", theirs)[-1]
        or (ours[-1] == ")" and ours.rpartition("(")[2] == theirs.rpartition("(")[2])
    )


class Comparison:
    """One release on one torch."""

    def __init__(self, release, minor, found):
        self.release, self.minor, self.found = release, minor, found
        self.count = collections.Counter()
        self.kinds = {kind: collections.Counter() for kind in KINDS}
        self.differences = []  # (kind, path, line, name, note)
        own = [note for note in found["notes"] if (release.folder / note["path"]).exists()]
        self.notes = [note for note in own if note["name"]]
        self.others = [note for note in own if not note["name"]]
        self.matched = set()
        for path, file in release.files.items():
            self.file(path, file)
        for index, note in enumerate(self.notes):
            self.count["missing"] += 1
            kind = self.kinds[kind_of_note(note, release.files.get(note["path"]))]
            kind["missing"] += 1
            if index not in self.matched:
                kind["missed"] += 1
                self.differ("missed", note["path"], note["line"], note["name"], note["error"])

    def differ(self, kind, path, line, name, note=""):
        """Something that the checker and Python say differently."""
        self.count[kind] += 1
        self.differences.append((kind, path, line, name, note))

    def file(self, path, file):
        """Every finding of a file that is one on this torch, and all that its functions want and do not get."""
        if path not in self.found["lines"]:
            return  # it is none of the modules
        bodies = Looked(self.found["bodies"].get(path, {}))
        for finding in file.findings:
            if finding.missing >> INDEX[self.minor] & 1:
                self.finding(path, file, finding, self.found["lines"][path], bodies)
        for index, each in enumerate(bodies.missing):
            self.wanted(path, file, index in bodies.met, each["line"], each["name"], "")
        for index, (line, name, argument, state) in enumerate(bodies.arguments):
            if state == "refused":
                self.wanted(path, file, ~index in bodies.met, line, name, argument)

    def finding(self, path, file, finding, lines, bodies):
        """One finding: did Python fail there?"""
        first, last = file.span(finding.line)
        failed = [
            index
            for index, note in enumerate(self.notes)
            if note["path"] == path and file.inside(note["line"], finding.line) and same(label(finding), note["name"])
        ]
        if failed:
            self.matched.update(failed)
            self.count["confirmed"] += 1
            return
        if any(first <= line <= last for line in lines) and not file.in_lambda(finding):
            error = self.what_failed(path, file, finding.line)
            if error == f"NameError: name '{finding.name.rpartition('.')[2]}' is not defined":  # after a star import
                self.count["confirmed"] += 1
            else:
                self.differ("ran", path, finding.line, label(finding), error)
            return
        if finding.at_import:
            self.differ("branch", path, finding.line, label(finding))
            return
        state = bodies.state(finding, first, last)
        name, _, special = finding.name.rpartition(".")
        is_implicit = uses.is_special(special)
        given = (name, special) if is_implicit else (finding.name, finding.parameter)
        kind = self.kinds[IMPLICIT if implicit_home(finding) else file.kind(finding.line, *given)]
        if state == "there" and uses.removed(finding.name) >> INDEX[self.minor] & 1:
            self.count["raises"] += 1  # it is there, and only raises
            return
        kind[state] += 1
        self.count[state] += 1
        if state == "there":
            self.differ("unread", path, finding.line, label(finding))

    def what_failed(self, path, file, line):
        """What else failed in the statement."""
        errors = [note["error"] for note in self.others if note["path"] == path and file.inside(note["line"], line)]
        return errors[0] if errors else ""

    def wanted(self, path, file, met, line, name, argument):
        """What a function wants and does not get: reported, guarded, or not seen."""
        text = f"{name}({argument})" if argument else name
        state = known_of(name, argument, INDEX[self.minor])
        kind = self.kinds[file.kind(line, name, argument)]
        if state == "foreign":  # torch.npu: what other packages add; an argument that no torch takes
            self.count["foreign"] += 1
        elif state == "there" and not argument:
            self.count["needs more"] += 1  # torch.utils.tensorboard, which wants the package tensorboard
        elif met:
            self.count["reported"] += 1
            kind["reported"] += 1
        elif is_guarded(file, line, name, argument, INDEX[self.minor]) and state != "there":
            kind["guarded"] += 1
            self.differ("guarded", path, line, text)
        else:
            kind["unseen"] += 1
            self.differ("unseen", path, line, text)


def is_guarded(file, line, name, argument, index):
    """Whether the checker met a name, or an argument of it, in the statement of a line, and says that it is guarded."""
    first, last = file.span(line)
    met = [each for at in range(first, last + 1) for each in file.seen.get(at, ()) if each[1] == argument]
    masks = [mask for each, _, mask in met if each == name]
    masks = masks or [mask for each, _, mask in met if each.startswith(name + ".")]
    masks = masks or [mask for each, _, mask in met if same(each, name)]
    return bool(masks) and not any(mask >> index & 1 for mask in masks)


def known_of(name, argument, index):
    """What the history says of a name, or an argument of it, on one torch: "foreign", "there" or "missing"."""
    entry = load().find(name)
    if argument and uses.is_special(argument):
        entry = load().find(f"{name}.{argument}")
    elif argument == "orig_func":
        return "missing" if entry is not None and entry.home in implicit.BARE else "foreign"
    elif argument.strip("#") and entry is not None:
        entry = (entry.parameters or {}).get(argument)
    if entry is None:
        return "foreign"
    if argument == "#":
        return "missing" if entry.parameters else "foreign"
    return "there" if entry.present >> index & 1 else "missing"


class Looked:
    """What was looked up of the functions of one file, and which of it a finding says as well."""

    def __init__(self, content):
        self.missing, self.there = content.get("missing", []), content.get("there", [])
        self.arguments = content.get("arguments", [])
        self.met = set()  # of missing names the index, of arguments ~index

    def state(self, finding, first, last):
        """What the lookup says of a finding between two lines: "looked up", "there", or "not looked up"."""
        owner, _, special = finding.name.rpartition(".")
        if finding.parameter or uses.is_special(special):
            return self.argument(finding, owner if not finding.parameter else finding.name, special, first, last)
        found = [
            index
            for index, each in enumerate(self.missing)
            if first <= each["line"] <= last and same(finding.name, each["name"])
        ]
        self.met.update(found)
        if found:
            return "looked up"
        there = any(first <= line <= last and is_one(finding.name, name) for line, name in self.there)
        return "there" if there else "not looked up"

    def argument(self, finding, name, special, first, last):
        """The same of an argument, or a special method."""
        last_name = name.rpartition(".")[2]
        near = [
            (index, argument, state)
            for index, (line, path, argument, state) in enumerate(self.arguments)
            if first <= line <= last and path.rpartition(".")[2] == last_name
        ]
        wanted = "orig_func" if implicit_home(finding) else finding.parameter or special
        own = [(index, state) for index, argument, state in near if argument == wanted]
        placed = [(index, argument) for index, argument, _ in near if argument.startswith("#")]
        if not own and finding.parameter and placed:
            if any(argument == f"#{wanted}" for _, argument in placed):
                return "there"
            self.met.update(~index for index, argument in placed if argument == "#")
            return "looked up"  # something else is in its place, or nothing
        self.met.update(~index for index, state in own if state == "refused")
        states = {state for _, state in own}
        return "looked up" if "refused" in states else "there" if "taken" in states else "not looked up"


def implicit_home(finding):
    """Whether a finding is of a context manager that takes a function."""
    entry = load().find(finding.name)
    return entry is not None and implicit.BARE.get(entry.home, ("",))[0] == finding.parameter != ""


def is_one(ours, theirs):
    """Whether a name that is there is the one that the checker means; an attribute only of a class of that name."""
    if not same(ours, theirs):
        return False
    return not is_method(ours) or ours.split(".")[-2:] == theirs.split(".")[-2:]


def is_method(name):
    """Whether a name is that of an attribute of a class: values are not looked up, modules are."""
    entry = load().find(name.rpartition(".")[0])
    return entry is not None and entry.kind == "class"
