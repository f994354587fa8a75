"""`torchcompat api NAME`: since when torch has a name, with which parameters, and what there is on older torch."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from typing import Any, Iterator, NamedTuple, Sequence

from . import history as _history
from . import ours, shims
from ._minors import ranges
from .history import Entry, History, Parameter

# What a first part may stand for, as people import it.
ABBREVIATIONS = {
    "F": "torch.nn.functional",
    "nn": "torch.nn",
    "optim": "torch.optim",
    "dist": "torch.distributed",
    "DDP": "torch.nn.parallel.DistributedDataParallel",
    "FSDP": "torch.distributed.fsdp.FullyShardedDataParallel",
    "lr_scheduler": "torch.optim.lr_scheduler",
    "parametrize": "torch.nn.utils.parametrize",
}
# Where a name without its module is looked for, in this order.
PLACES = (
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.Tensor",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.utils.data",
    "torch.utils",
    "torch.nn.utils",
    "torch.cuda",
    "torch.distributed",
    "torch.autograd",
)
MOST = 5
REQUEST = re.compile(r"([\w.]+)\s*(?:\(\s*(\*{0,2}\w*)\s*(?:=[^()]*)?\))?$")


class Relative(NamedTuple):
    """Another name that does much of the same: where it is, and what to mind."""

    name: str
    present: int
    note: str


class UnknownName(LookupError):
    """No torch from 1.2 on is known to have the name, or the name the parameter."""

    def __init__(self, message: str, matches: list[str]) -> None:
        super().__init__(message)
        self.matches = matches


class Api:
    """The history of one name of torch, and of its parameter *asked* or of all.

    Attributes:
        name: the full name.
        entry: what the history holds of it: `present`, `kinds`, `homes`, as masks of `_minors`.
        asked: the parameter that was asked for, or "".
        parameters: {name: Parameter}, or None where nothing is known of them.
        older: what does much of the same on older torch.
        newer: what torch has put in its place.
        shim: torchcompat's name for it and the oldest torch on which that works, or None.
    """

    def __init__(self, history: History, name: str, entry: Entry, asked: str) -> None:
        self.name, self.entry, self.asked = name, entry, asked
        self.parameters = _only(entry.parameters, asked)
        self.older = _relatives(history, name, older=True)
        self.newer = _relatives(history, name, older=False)
        self.shim = shims.find_owner(history, name)

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "name": self.name,
            "torch": ranges(self.entry.present),
            "kinds": [{"kind": kind, "torch": ranges(mask)} for kind, mask in self.entry.kinds],
            "homes": [{"name": home, "torch": ranges(mask)} for home, mask in self.entry.homes],
            "overloads": ranges(self.entry.overloaded) if self.entry.overloaded else None,
            "parameters": self.parameters and [_parameter_json(name, one) for name, one in self.parameters.items()],
            "older": [_relative_json(one) for one in self.older],
            "newer": [_relative_json(one) for one in self.newer],
            "torchcompat": self.shim and _shim_json(self.shim),
        }


def _only(parameters: dict[str, Parameter] | None, asked: str) -> dict[str, Parameter] | None:
    return {asked: parameters[asked]} if parameters and asked in parameters else parameters


def _parameter_json(name: str, one: Parameter) -> dict[str, Any]:
    return {
        "name": name,
        "torch": ranges(one.present),
        "keyword_only": ranges(one.keyword_only) if one.keyword_only else None,
        "defaults": [{"default": default, "torch": ranges(mask)} for default, mask in one.defaults],
    }


def _shim_json(shim: shims.Shim) -> dict[str, Any]:
    own = ours.find(shim.name)
    return {"name": shim.name, "torch": shim.oldest + "-", "kind": own.kind if own is not None else "polyfill"}


def _relative_json(one: Relative) -> dict[str, Any]:
    return {"name": one.name, "torch": ranges(one.present) if one.present else None, "note": one.note}


def _relatives(history: History, name: str, older: bool) -> list[Relative]:
    found = []
    for old, arrow, new, note in shims.successors():
        mine, other = (new, old) if older else (old, new)
        if mine == name and (older or arrow != "~>" or not new.startswith("torch.")):
            entry = history.find(other)
            found.append(Relative(other, entry.present if entry else 0, note))
    return found


def spelled_out(name: str) -> Iterator[str]:
    """The full names that a short one may stand for, the likeliest first."""
    first, dot, rest = name.partition(".")
    if first in ("torch", "functorch"):
        yield name
    elif first == "torchcompat":
        yield from shims.torchs(name)
        yield "torch" + dot + rest
    elif first in ABBREVIATIONS:
        yield ABBREVIATIONS[first] + dot + rest
    else:
        yield from (f"{place}.{name}" for place in PLACES)


def api(name: str) -> Api:
    """The history of a name of torch: `api("torch.nn.GELU")`, `api("F.gelu")`, `api("nn.GELU(approximate)")`.

    Raises `UnknownName`, with close matches, for a name or parameter that no torch is known to have.
    """
    request = REQUEST.match(name.strip()) if isinstance(name, str) else None
    if request is None:
        raise ValueError(
            f"name must be a dotted name, with a parameter in parentheses if that is asked for "
            f"(torch.nn.functional.gelu or F.gelu(approximate)), got {name!r}"
        )
    dotted, asked = request.group(1).strip("."), request.group(2) or ""
    history = _history.load()
    for full in spelled_out(dotted):
        entry = history.find(full)
        if entry is not None:
            return Api(history, full, entry, _asked(full, entry, asked))
    raise UnknownName(f"no torch from 1.2 on is known to have {dotted}", close_matches(history, dotted))


def _asked(name: str, entry: Entry, asked: str) -> str:
    parameters = entry.parameters or {}
    if asked and asked not in parameters:
        close = difflib.get_close_matches(asked, parameters, MOST)
        raise UnknownName(f"{name} has no parameter {asked} on any torch", [f"{name}({each})" for each in close])
    return asked


def close_matches(history: History, name: str) -> list[str]:
    """Names that may have been meant: those beside it, those of its last part elsewhere, and similar ones."""
    full = next(spelled_out(name))
    parent, _, last = full.rpartition(".")
    while parent and history.find(parent) is None:
        parent, _, last = parent.rpartition(".")
    public = [each for each in history.names() if "._" not in each and not each.startswith("_")]
    beside = {each.rpartition(".")[2] for each in public if each.rpartition(".")[0] in _owners(history, parent)}
    found = [one.name for one in ours.called(name.rpartition(".")[2])]
    found += [f"{parent}.{each}" for each in difflib.get_close_matches(last, sorted(beside), MOST, 0.75)]
    wanted = full.rpartition(".")[2]
    elsewhere = [each for each in public if each.endswith("." + wanted)]
    found += sorted(elsewhere, key=lambda each: (each.count("."), each))[:MOST]
    if len(found) < MOST:
        short = {each for each in public if each.rpartition(".")[0] in PLACES and abs(len(each) - len(full)) < 5}
        near = {each.rpartition(".")[2]: each for each in sorted(short, reverse=True)}
        found += [near[each] for each in difflib.get_close_matches(wanted, near, MOST, 0.75)]
    return list(dict.fromkeys(found))[:MOST]


def _owners(history: History, name: str) -> set[str]:
    """A name, where its object is described, and what that inherits from."""
    found, pending = {name}, [name]
    while pending:
        entry = history.find(pending.pop())
        for each in [entry.home, *(base for base, _ in entry.bases)] if entry is not None else ():
            if each not in found:
                found.add(each)
                pending.append(each)
    return found


def as_text(found: Api) -> str:
    """What is printed of a name."""
    entry = found.entry
    lines = [f"{found.name}: " + "; ".join(f"{kind}, torch {ranges(mask)}" for kind, mask in entry.kinds)]
    if entry.homes != [(found.name, entry.present)]:
        moved = len(entry.homes) > 1
        lines += [
            f"  described as {home}" + (f" (torch {ranges(mask)})" if moved else "") for home, mask in entry.homes
        ]
    if found.parameters is None and entry.callable:
        lines.append("  parameters: not known")
    elif found.parameters:
        lines += ["  parameters" + (" (of all overloads together):" if entry.overloaded else ":")]
        lines += _parameter_lines(found.parameters, entry)
    lines += [f"  on older torch: {_phrase(one)}" for one in found.older]
    lines += [f"  replaced by: {_phrase(one)}" for one in found.newer]
    if found.shim:
        lines.append(f"  torchcompat: {found.shim.name}, on torch {found.shim.oldest} and later")
        own = ours.find(found.shim.name)
        lines += [f"  that is {ours.KINDS[own.kind]}: {own.because}"] if own is not None else []
    return "\n".join(lines)


def _phrase(one: Relative) -> str:
    when = f" (torch {ranges(one.present)})" if one.present else ""
    return one.name + when + (f"; {one.note}" if one.note else "")


def _parameter_lines(parameters: dict[str, Parameter], entry: Entry) -> list[str]:
    wide = max(map(len, parameters))
    lines = []
    for name, one in parameters.items():
        line = f"    {name:{wide}}  {ranges(one.present)}"
        if len(one.defaults) == 1:
            line += "" if one.defaults[0][0] is None else f"  = {one.defaults[0][0]}"
        else:
            texts = ["required" if default is None else default for default, _ in one.defaults]
            line += "  = " + ", ".join(f"{text} ({ranges(mask)})" for text, (_, mask) in zip(texts, one.defaults))
        lines.append(line)
    others = entry.takes_any & entry.callable & ~entry.unknown
    if others:
        lines.append(f"    and any other keyword: {ranges(others)}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code: 1 for a name that is not known, 2 for one that cannot be one."""
    parser = argparse.ArgumentParser(prog="torchcompat api", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("name", metavar="NAME", help="such as torch.nn.functional.gelu, F.gelu or nn.GELU(approximate)")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    options = parser.parse_args(arguments)
    try:
        found = api(options.name)
    except ValueError as error:
        print(f"torchcompat api: {error}", file=sys.stderr)
        return 2
    except UnknownName as error:
        own = ours.find(options.name.strip())
        if own is not None:
            print(json.dumps(own.as_json(), indent=2) if options.json else own.as_text())
            return 0
        if options.json:
            print(json.dumps({"error": str(error), "matches": error.matches}, indent=2))
        else:
            near = "\n".join("  " + each for each in error.matches)
            print(f"{error}" + (f"; similar names:\n{near}" if near else ""), file=sys.stderr)
        return 1
    print(json.dumps(found.as_json(), indent=2) if options.json else as_text(found))
    return 0
