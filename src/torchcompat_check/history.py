"""What each torch from 1.2 on has: the reader of history.txt.

The file lists every name of torch once, sorted, and under it the parameters that it takes:

    torch.nn.Linear = torch.nn.modules.linear.Linear 1.2-
    torch.nn.modules.linear.Linear class 1.2- ; ( torch.nn.modules.module.Module
     in_features
     device 1.9- =None

A name's line tells its kinds, each with the minors that have it: "1.2-1.7,1.9-" stands for 1.2 to 1.7 and from 1.9 to
the newest; `= HOME` is a name for the object that is described under HOME. Parts after ` ; ` begin with a mark: `(` a
base, `>` what a call returns, `~ unknown` parameters are not known, `~ overloads` the parameters are those
of several overloads together. A parameter's line tells its states, separated by ` ; `: the minors, `*` if it is
keyword-only or `/` if it has no keyword, and `=` its default. Minors are left out where they are those of the class,
function or method itself.
`~ apart` says where a module is there only after an import of its own, and not by its name after `import torch`.

What a program uses without naming it has a row like any attribute: `torch.device.__enter__` for `with`. Bases that are
Python's own, such as `typing.Generic`, have rows for what they hand on, on every minor: it does not depend on torch.

Nothing is parsed before it is asked for: names are found by bisection in the text.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple

from . import shims
from ._minors import ALL, INDEX, MINORS

CALLABLE = ("function", "method", "class")
# What the parser of torch's builtins takes beside its own names; torch 1.0 has them already:
# https://github.com/pytorch/pytorch/pull/10024
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
DEEPEST = 12
_RECORD = re.compile(r"\n(?=[^ ])")


def is_torch(path: str) -> bool:
    """Whether a dotted name is one of torch's."""
    return path.partition(".")[0] in ("torch", "functorch")


class Parameter(NamedTuple):
    """One parameter: the mask of minors that have it, of those where it has no place or no keyword, and its defaults.

    A default is as `repr` prints it; it is None where the parameter is required.
    """

    present: int
    keyword_only: int
    positional_only: int
    defaults: list[tuple[str | None, int]]


@functools.lru_cache(maxsize=None)
def _mask(text: str) -> int:
    """The mask of "1.2-1.7,1.9-"."""
    found = 0
    for word in text.split(","):
        first, dash, last = word.partition("-")
        high = INDEX[last] if last else len(MINORS) - 1 if dash else INDEX[first]
        found |= (2 << high) - (1 << INDEX[first])
    return found


class Record:
    """One name's lines."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        head, _, self._lines = text.partition("\n")
        self.kinds: dict[str, int] = {}
        self.homes: dict[str, int] = {}
        self.bases: dict[str, int] = {}
        self.returns: dict[str, int] = {}
        self.flags: dict[str, int] = {}
        marked = {"(": self.bases, ">": self.returns, "~": self.flags, "=": self.homes}
        for part in head.split(" ;"):
            words = part.split()
            if words[0] not in marked:
                self.kinds[words[0]] = _mask(words[1])
            else:
                implied = self.own if words[0] == "(" or words[1] == "apart" else self.callable
                marked[words[0]][words[1]] = _mask(words[2]) if len(words) > 2 else implied

    @property
    def own(self) -> int:
        """Where the name is described here."""
        return _union(self.kinds.values())

    @property
    def callable(self) -> int:
        """Where it is something that has parameters."""
        return _union(mask for kind, mask in self.kinds.items() if kind in CALLABLE)

    @property
    def known(self) -> int:
        """Where its parameters are known."""
        return self.callable & ~self.flags.get("unknown", 0)

    def parameters(self) -> Iterator[tuple[str, int, str, str | None]]:
        """(name, mask, sign, default) of each state of each parameter."""
        for line in self._lines.split("\n"):
            name, _, rest = line[1:].partition(" ")
            for state in rest.split(" ; ") if name else ():
                before, equals, default = (" " + state).partition(" =")
                words = before.split()
                mask = _mask(words.pop(0)) if words and words[0][0].isdigit() else self.callable
                yield name, mask, words[0] if words else "", default if equals else None


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


class Entry:
    """What torch has under one name, through aliases and bases: parts of records, each for some minors."""

    def __init__(self, name: str, parts: list[tuple[Record, int]]) -> None:
        self.name = name
        self.parts = parts
        self.present = _union([mask for _, mask in parts])
        self._parsed: dict[str, list[tuple[int, str, str | None]]] | None = None
        self._parameters: dict[str, Parameter] | None = None
        self.kinds = self._kinds()

    def _kinds(self) -> list[tuple[str, int]]:
        """(kind, mask), the oldest first."""
        found: dict[str, int] = {}
        for record, part in self.parts:
            for kind, mask in [*record.kinds.items(), ("data", ~record.own)]:
                if mask & part:
                    found[kind] = found.get(kind, 0) | mask & part
        return sorted(found.items(), key=lambda item: item[1] & -item[1])

    @property
    def kind(self) -> str:
        """What it became last."""
        return self.kinds[-1][0]

    def kind_at(self, minor: str) -> str:
        """The kind on one torch, or ""."""
        return next((kind for kind, mask in self.kinds if mask >> INDEX[minor] & 1), "")

    @property
    def homes(self) -> list[tuple[str, int]]:
        """(where the object is described, mask), the oldest first; one name after the other where it moved."""
        found: dict[str, int] = {}
        for record, mask in self.parts:
            found[record.name] = found.get(record.name, 0) | mask
        return sorted(found.items(), key=lambda item: item[1].bit_length())

    @property
    def home(self) -> str:
        """Where the object is described on the newest torch that has it."""
        return self.homes[-1][0]

    @property
    def returns(self) -> str:
        """What a call returns where that is known, "torch.Tensor", else ""."""
        found = {each for record, part in self.parts for each, mask in record.returns.items() if mask & part}
        return found.pop() if len(found) == 1 else ""

    @property
    def bases(self) -> list[tuple[str, int]]:
        """(base, mask) of a class."""
        found = ((base, mask & part) for record, part in self.parts for base, mask in record.bases.items())
        return [(base, mask) for base, mask in found if mask]

    @property
    def callable(self) -> int:
        """Where it is a function, a method or a class."""
        return _union([record.callable & part for record, part in self.parts])

    @property
    def unknown(self) -> int:
        """Where it can be called and nothing is known of its parameters."""
        return _union([record.callable & ~record.known & part for record, part in self.parts])

    @property
    def overloaded(self) -> int:
        """Where the parameters are those of several overloads, so that their order tells nothing."""
        return _union([record.flags.get("overloads", 0) & part for record, part in self.parts])

    @property
    def _states(self) -> dict[str, list[tuple[int, str, str | None]]]:
        if self._parsed is None:
            self._parsed = self._parse()
        return self._parsed

    def _parse(self) -> dict[str, list[tuple[int, str, str | None]]]:
        found: dict[str, list[tuple[int, str, str | None]]] = {}
        for record, part in sorted(self.parts, key=lambda item: -item[1].bit_length()):
            for name, mask, sign, default in record.parameters():
                if mask & part:
                    found.setdefault(name, []).append((mask & part, sign, default))
        return found

    @property
    def parameters(self) -> dict[str, Parameter] | None:
        """The parameters, or None if nothing is known of them on any torch; `*args` and `**kwargs` are not listed."""
        if self._parameters is None and any(record.known & part for record, part in self.parts):
            self._parameters = {name: _parameter(states) for name, states in self._states.items() if name[0] != "*"}
        return self._parameters

    @property
    def takes_any(self) -> int:
        """Where it takes any keyword, as far as one can know: by `**kwargs`, or since its parameters are not known."""
        stars = [states for name, states in self._states.items() if name[:2] == "**"]
        return self._unsure | _union([mask for states in stars for mask, _, _ in states])

    @property
    def takes_more(self) -> int:
        """Where it takes any number of positional arguments, as far as one can know."""
        stars = [states for name, states in self._states.items() if name[0] == "*" and name[1] != "*"]
        return self._unsure | _union([mask for states in stars for mask, _, _ in states])

    @property
    def _unsure(self) -> int:
        """Where it is there, and what a call takes is not known."""
        return self.present & ~_union([record.known & part for record, part in self.parts])

    def accepts(self, keyword: str) -> int:
        """Where it is there and takes *keyword*, as far as one can know."""
        found = self.takes_any
        for name in (keyword, NUMPY_NAMES.get(keyword, "")):
            where = ALL if name == keyword else self.overloaded
            found |= where & _union([mask for mask, sign, _ in self._states.get(name, ()) if sign != "/"])
        return found

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, present={self.present:#x}, kinds={self.kinds!r})"


def _parameter(states: list[tuple[int, str, str | None]]) -> Parameter:
    defaults: dict[str | None, int] = {}
    for mask, _, default in states:
        defaults[default] = defaults.get(default, 0) | mask
    return Parameter(
        _union([mask for mask, _, _ in states]),
        _union([mask for mask, sign, _ in states if sign == "*"]),
        _union([mask for mask, sign, _ in states if sign == "/"]),
        sorted(defaults.items(), key=lambda item: item[1] & -item[1]),
    )


class History:
    """The names of torch, by bisection in the text of the file."""

    def __init__(self, text: str) -> None:
        self._text = "\n" + text
        self._records: dict[str, Record | None] = {}
        self._entries: dict[str, Entry | None] = {}
        self._described: dict[str, int] = {}

    def find(self, name: str) -> Entry | None:
        """What torch has under a dotted name, or None if no torch is known to have it.

        The name may go through aliases (`torch.nn.Linear.forward`) and name what a class inherits.
        """
        if name not in self._entries:
            parts = self._resolve(name, ALL, 0) if is_torch(name) else []
            self._entries[name] = Entry(name, parts) if parts else None
        return self._entries[name]

    def importable(self, name: str) -> int:
        """The minors on which `import name` finds a module.

        A function may hide a module of its name, as `torch.fft` does in 1.7: it is there for those who import it.
        """
        entry = self.find(name)
        if entry is None:
            return 0
        functions = _union([mask for kind, mask in entry.kinds if kind == "function"])
        return entry.present & ~functions | (functions & self._below(name) if functions else 0)

    def apart(self, name: str) -> int:
        """The minors on which `import torch` does not bring the module *name*, if it does on the newest."""
        found = self.needs_import(name)
        return 0 if found >> (len(MINORS) - 1) & 1 else found

    def needs_import(self, name: str) -> int:
        """The minors on which a module is there, and `import torch` does not bring it."""
        record = self.record(name) if is_torch(name) else None
        return record.flags.get("apart", 0) if record is not None else 0

    def _below(self, name: str) -> int:
        """Where there is anything below a name."""
        found, at = 0, self._text.find(f"\n{name}.")
        while at >= 0:
            record = self.record(self._text[at + 1 : self._text.find(" ", at)])
            found |= record.own | _union(record.homes.values()) if record is not None else 0
            at = self._text.find(f"\n{name}.", at + 1)
        return found

    def described(self, name: str) -> int:
        """Where the members of a class are known: those of a private one are not told, from whom it inherits are."""
        if name not in self._described:
            entry = self.find(name)
            found = 0
            for home, mask in entry.homes if entry is not None else ():
                found |= mask & self._below(home)
            for base, mask in entry.bases if entry is not None else ():
                found |= mask & self.described(base)
            self._described[name] = found
        return self._described[name]

    def shim(self, name: str) -> str:
        """torchcompat's name for one of torch's, or ""."""
        found = shims.find(self, name)
        return found.name if found is not None else ""

    def names(self) -> list[str]:
        """Every name of torch in the file."""
        lines = self._text.split("\n")
        names = [line.partition(" ")[0] for line in lines if line and line[0] not in " #"]
        return [name for name in names if is_torch(name)]

    def record(self, name: str) -> Record | None:
        """The lines of a name, or None."""
        if name not in self._records:
            self._records[name] = self._search(name)
        return self._records[name]

    def _search(self, name: str) -> Record | None:
        text, low, high = self._text, 0, len(self._text)
        # The record looked for, if there is one, begins between low and high.
        while low < high:
            middle = (low + high) // 2
            match = _RECORD.search(text, middle, high + 1)
            if match is None:
                high = middle
                continue
            start = match.end()
            found = text[start : text.find("\n", start)].partition(" ")[0]
            if found == name and text[start] != "#":
                end = _RECORD.search(text, start)
                return Record(name, text[start + len(name) + 1 : end.start() if end else len(text)].rstrip("\n"))
            if found < name:
                low = start
            else:
                high = middle
        return None

    def _resolve(self, name: str, mask: int, depth: int) -> list[tuple[Record, int]]:
        """The parts of records that a name stands for on the minors of *mask*."""
        if not mask or depth > DEEPEST:
            return []
        parts: list[tuple[Record, int]] = []
        record = self.record(name)
        if record is not None:
            if record.own & mask:
                parts.append((record, record.own & mask))
            mask &= ~record.own
            for home, where in record.homes.items():
                there = self._resolve(home, where & mask, depth + 1)
                # An alias exists even where nothing more is known of its object.
                unknown = where & mask & ~_union(each for _, each in there)
                parts += there + ([(record, unknown)] if unknown else [])
                mask &= ~where
        parent, _, last = name.rpartition(".")
        if not parent:
            return parts
        holder = self.record(parent)
        if record is not None and holder is not None:
            # Of some objects nothing is told: what has ever been below the name of one is taken to be there.
            held = mask & holder.kinds.get("data", 0)
            held &= ~self._below(parent) if held else 0
            parts += [(record, held)] if held else []
            mask &= ~held
        for owner, where in self._resolve(parent, mask, depth + 1):
            for inside in [owner.name] if owner.name != parent else list(owner.bases):
                bound = where & mask & (ALL if owner.name != parent else owner.bases[inside])
                found = self._resolve(f"{inside}.{last}", bound, depth + 1)
                parts += found
                mask &= ~_union([each for _, each in found])
        return parts


@functools.lru_cache(maxsize=None)
def load() -> History:
    """The history of this release of torchcompat."""
    path = Path(__file__).with_name("history.txt")
    return History(path.read_bytes().decode("utf-8"))
