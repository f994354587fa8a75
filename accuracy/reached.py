"""How far torchcompat reaches in real libraries: counts over what the checker found in them."""

import collections
from typing import Dict, List, NamedTuple, Tuple

from torchcompat_check._minors import ALL, INDEX, MINORS, runs
from torchcompat_check.history import load

# The kinds of use that are not called after the module that they are in.
TOP, TENSOR, MODULE, LAYERS = "functions and dtypes of torch itself", "methods of Tensor", "methods of Module", "nn"
FUNCTIONAL = "nn.functional"
OWNERS = {
    "torch.Tensor": TENSOR,
    "torch._C._TensorBase": TENSOR,
    "torch.nn.Module": MODULE,
    "torch.nn.modules.module.Module": MODULE,
}
# A module that only defines what torch itself offers.
INNER = ("functional",)
# What the floors are held to.
OLD, NEW = "1.13", "2.0"
MOST = 4


class Use(NamedTuple):
    """A use that some torch lacks, of a name, or of one of its arguments.

    *missing* is the mask of minors on which it fails, *shim* torchcompat's name for it, *is_absent* whether that stands
    in only to be imported and tested with.
    """

    name: str
    argument: str
    missing: int
    shim: str
    is_absent: bool = False

    @property
    def label(self) -> str:
        """`torch.nn.functional.gelu(approximate)`."""
        return f"{self.name}({self.argument})" if self.argument else self.name


class Library(NamedTuple):
    """One release: what torch it declares, and the uses in it that some torch lacks."""

    name: str
    version: str
    declared: str
    files: int
    uses: List[Use]

    @property
    def remaining(self) -> List[Use]:
        """The uses that torchcompat has nothing for."""
        return [one for one in self.uses if not one.shim]


def kind_of(name: str) -> str:
    """The kind of use that a name of torch is: called after its module, but for a few."""
    entry = load().find(name)
    for one in (name, entry.home if entry is not None else ""):
        if one.rpartition(".")[0] in OWNERS:
            return OWNERS[one.rpartition(".")[0]]
    parts = name.split(".")
    if len(parts) > 2 and parts[1] == "nn":
        return FUNCTIONAL if parts[2] == "functional" else LAYERS
    return parts[1] if len(parts) > 1 and is_module(".".join(parts[:2])) and parts[1] not in INNER else TOP


def is_module(name: str) -> bool:
    """Whether a name is that of a module of torch."""
    entry = load().find(name)
    return entry is not None and entry.kind == "module"


def working(uses: List[Use]) -> int:
    """The minors on which nothing is missing."""
    works = ALL
    for one in uses:
        works &= ~one.missing
    return works


def floor(uses: List[Use]) -> str:
    """The oldest torch of the newest unbroken run that lacks nothing; "" where there is none."""
    spans = runs(working(uses))
    return spans[-1][0] if spans else ""


def ceiling(uses: List[Use]) -> str:
    """The newest torch of that run."""
    spans = runs(working(uses))
    return spans[-1][1] if spans else ""


def holders(uses: List[Use]) -> List[Tuple[str, int]]:
    """(name, number of uses) of what the torch just below the floor lacks; without a floor, what the newest lacks."""
    lowest = floor(uses)
    at = INDEX[lowest] - 1 if lowest else len(MINORS) - 1
    if at < 0:
        return []
    counts = collections.Counter(one.label for one in uses if one.missing >> at & 1)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def is_at_most(minor: str, bound: str) -> bool:
    """Whether a floor is there, and no newer than a bound."""
    return bool(minor) and INDEX[minor] <= INDEX[bound]


class Tally:
    """Uses, of these covered, of these by placeholders, and the libraries that have any."""

    def __init__(self) -> None:
        self.uses = self.covered = self.absent = 0
        self.libraries = set()

    def add(self, library: str, use: Use) -> None:
        """Count one use."""
        self.uses += 1
        self.covered += bool(use.shim)
        self.absent += bool(use.shim) and use.is_absent
        self.libraries.add(library)


def by_kind(libraries: List[Library]) -> Dict[str, Tally]:
    """{kind: its tally}, the kind with the most uses first."""
    found: Dict[str, Tally] = collections.defaultdict(Tally)
    for library in libraries:
        for one in library.uses:
            found[kind_of(one.name)].add(library.name, one)
    return dict(sorted(found.items(), key=lambda item: (-item[1].uses, item[0])))


def left(libraries: List[Library]) -> List[Tuple[str, Tally, str]]:
    """(name, tally, floor that it asks for) of what torchcompat has nothing for, in the most libraries first."""
    found: Dict[str, Tally] = collections.defaultdict(Tally)
    asked: Dict[str, List[Use]] = collections.defaultdict(list)
    for library in libraries:
        for one in library.remaining:
            found[one.label].add(library.name, one)
            asked[one.label].append(one)
    rows = [(name, tally, floor(asked[name])) for name, tally in found.items()]
    return sorted(rows, key=lambda row: (-len(row[1].libraries), -row[1].uses, row[0]))
