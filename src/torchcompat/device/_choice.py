"""The choice of a device, as pure functions of what was found: nothing here asks torch or the environment."""

from __future__ import annotations

from typing import Callable, Iterable, NamedTuple, Optional, Sequence, Tuple


class Found(NamedTuple):
    """How many devices of a type this process can use; if none, why; whether its devices bear numbers."""

    number: int
    why: str = ""
    indexed: bool = True


Device = Tuple[str, Optional[int]]


class Facts(NamedTuple):
    """What a choice is made from.

    Attributes:
        look: what is found of a type.
        fault: why a device that was found is not usable all the same; empty if it is.
    """

    look: Callable[[str], Found]
    fault: Callable[[Device], str]


def spell(device: Device) -> str:
    """``("cuda", 1)`` as ``"cuda:1"``."""
    name, index = device
    return name if index is None else f"{name}:{index}"


def order(known: Iterable[str], prefer: Iterable[str], exclude: Iterable[str]) -> list[str]:
    """The types to try: the preferred, then the known ones, without the excluded."""
    excluded = set(exclude)
    return [name for name in dict.fromkeys([*prefer, *known]) if name not in excluded]


def every(facts: Facts, types: Iterable[str]) -> list[Device]:
    """Every usable device of the *types*."""
    devices: list[Device] = []
    for name in types:
        found = facts.look(name)
        indices: Iterable[int | None] = range(found.number) if found.indexed else [None] * found.number
        devices += [(name, index) for index in indices]
    return [device for device in devices if not facts.fault(device)]


def _here(facts: Facts, types: Iterable[str]) -> str:
    return ", ".join(spell(device) for device in every(facts, types)) or "none"


def _of_rank(name: str, found: Found, rank: int | None) -> Device:
    if rank is None or not found.indexed:
        return name, None
    if rank >= found.number:
        raise RuntimeError(
            f"local rank {rank} (LOCAL_RANK, or the argument local_rank) needs {name}:{rank}, but this process sees "
            f"{found.number} of type {name}. Start at most {found.number} processes on this machine; if each of them "
            f"is shown a device of its own, pass local_rank=0"
        )
    return name, rank


def best(facts: Facts, types: Sequence[str], rank: int | None) -> Device:
    """A device of the first of the *types* that has a usable one, with the index that the local *rank* gives it."""
    reasons = []
    for name in types:
        found = facts.look(name)
        why = found.why
        if found.number:
            device = _of_rank(name, found, rank)
            why = facts.fault(device)
            if not why:
                return device
        reasons.append(f"{name}: {why}")
    raise RuntimeError("no device is left: " + ("; ".join(reasons) or "every type is excluded"))


def requested(facts: Facts, device: Device, source: str, types: Iterable[str], rank: int | None) -> Device:
    """*device* itself if it is usable; if it has no index, with the one that the local *rank* gives it.

    *source* says who asked, in the words that an error is to begin with; *types* is what else the error looks at.
    """
    name, index = device
    found = facts.look(name)
    why = found.why
    if found.number:
        chosen = _of_rank(name, found, rank) if index is None else device
        why = facts.fault(chosen) if (index or 0) < found.number else f"{name} has no such index"
        if not why:
            return chosen
    raise RuntimeError(f"{source} is not available: {why}. Here: {_here(facts, types)}")
