"""What the checker says of a release, beside what Python said when the release was imported on one torch."""

import ast
import collections
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import standins  # noqa: E402

from torchcompat_check import uses, walk  # noqa: E402
from torchcompat_check._minors import ALL, INDEX, runs  # noqa: E402
from torchcompat_check.history import load  # noqa: E402
from torchcompat_check.ignores import apply, ignores_in  # noqa: E402
from torchcompat_check.project import Project  # noqa: E402
from torchcompat_check.reading import read_text  # noqa: E402


class Recording(uses.Uses):
    """Notes every name that is read, guarded or not: (line, name)."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = set()

    def name(self, node, path, *arguments, **options):
        self.seen.add((getattr(node, "lineno", 0), path))
        super().name(node, path, *arguments, **options)

    def imported(self, node, module, name):
        self.seen.add((getattr(node, "lineno", 0), f"{module}.{name}"))
        super().imported(node, module, name)


walk.Uses = Recording


class File:
    """One file of a release, as the checker sees it."""

    def __init__(self, path, findings, seen):
        self.findings, self.seen = findings, collections.defaultdict(set)
        for line, name in seen:
            self.seen[line].add(name)
        self.tree = ast.parse(path.read_bytes())
        self._spans = {}
        self._lambdas = [node for node in ast.walk(self.tree) if isinstance(node, ast.Lambda)]

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

    def saw(self, line, name):
        """Whether the checker met a name in the statement that holds a line."""
        first, last = self.span(line)
        return any(same(each, name) for at in range(first, last + 1) for each in self.seen.get(at, ()))

    def inside(self, line, other):
        """Whether two lines are of one statement."""
        first, last = self.span(line)
        return first <= other <= last


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
            walked.functions()
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
        self.differences = []  # (kind, path, line, name, note)
        own = [note for note in found["notes"] if (release.folder / note["path"]).exists()]
        self.notes = [note for note in own if note["name"]]
        self.others = [note for note in own if not note["name"]]
        self.matched = set()
        for path, file in release.files.items():
            self.file(path, file)
        for index, note in enumerate(self.notes):
            self.count["missing"] += 1
            if index not in self.matched:
                self.differ("missed", note["path"], note["line"], note["name"], note["error"])

    def differ(self, kind, path, line, name, note=""):
        """Something that the checker and Python say differently."""
        self.count[kind] += 1
        self.differences.append((kind, path, line, name, note))

    def file(self, path, file):
        """Every finding of a file that is one on this torch, and every name that its functions want."""
        if path not in self.found["lines"]:
            return  # it is none of the modules
        lines = self.found["lines"][path]
        wanted = self.found["bodies"].get(path, [])
        met = set()
        for finding in file.findings:
            if finding.missing >> INDEX[self.minor] & 1:
                self.finding(path, file, finding, lines, wanted, met)
        for index, each in enumerate(wanted):
            self.wanted(path, file, index in met, each)

    def finding(self, path, file, finding, lines, wanted, met):
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
        found = [
            index
            for index, each in enumerate(wanted)
            if first <= each["line"] <= last and same(finding.name, each["name"])
        ]
        met.update(found)
        if found:
            self.count["looked up"] += 1
        elif finding.at_import:
            self.differ("branch", path, finding.line, label(finding))
        elif uses.removed(finding.name) >> INDEX[self.minor] & 1:
            self.count["raises"] += 1  # it is there, and only raises
        elif finding.parameter or is_method(finding.name):
            self.count["value"] += 1
        else:
            self.differ("unread", path, finding.line, label(finding))

    def what_failed(self, path, file, line):
        """What else failed in the statement."""
        errors = [note["error"] for note in self.others if note["path"] == path and file.inside(note["line"], line)]
        return errors[0] if errors else ""

    def wanted(self, path, file, met, each):
        """A name that a function wants and does not find: reported, guarded, or not seen."""
        known = load().find(each["name"])
        if known is None:
            self.count["foreign"] += 1  # torch.npu: what other packages add
        elif known.present >> INDEX[self.minor] & 1:
            self.count["needs more"] += 1  # torch.utils.tensorboard, which wants the package tensorboard
        elif met:
            self.count["reported"] += 1
        elif file.saw(each["line"], each["name"]):
            self.differ("guarded", path, each["line"], each["name"])
        else:
            self.differ("unseen", path, each["line"], each["name"])


def is_method(name):
    """Whether a name is that of an attribute of a class: values are not looked up, modules are."""
    entry = load().find(name.rpartition(".")[0])
    return entry is not None and entry.kind == "class"
