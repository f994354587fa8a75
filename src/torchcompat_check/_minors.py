"""Sets of torch minors as bit masks: bit i stands for MINORS[i].

A mask says of a name where it exists, and of a line of code on which torch it runs; both are combined with `&`, `|`
and `~`. That is quicker than comparing versions, and it can say "1.2 to 1.7 and again from 1.9".
"""

from __future__ import annotations

from typing import Iterable

# The table of torch versions: the last patch release of each minor, which the tests run on and the history was taken
# from. The checker and noxfile.py read it; docs/new-torch.md says what follows when a row is added.
PATCHES = (
    *("1.2.0", "1.3.1", "1.4.0", "1.5.1", "1.6.0", "1.7.1", "1.8.1", "1.9.1", "1.10.2", "1.11.0", "1.12.1", "1.13.1"),
    *("2.0.1", "2.1.2", "2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1"),
    *("2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0"),
)
MINORS = tuple(patch.rpartition(".")[0] for patch in PATCHES)
INDEX = {minor: index for index, minor in enumerate(MINORS)}
ALL = (1 << len(MINORS)) - 1


def mask_of(minors: Iterable[str]) -> int:
    """The mask of the given minors."""
    mask = 0
    for minor in minors:
        mask |= 1 << INDEX[minor]
    return mask


def minors_of(mask: int) -> list[str]:
    """The minors of a mask, oldest first."""
    return [minor for index, minor in enumerate(MINORS) if mask >> index & 1]


def at_least(minor: str) -> int:
    """The mask of *minor* and all later ones."""
    return ALL & ~((1 << INDEX[minor]) - 1)


def at_most(minor: str) -> int:
    """The mask of *minor* and all earlier ones."""
    return (2 << INDEX[minor]) - 1


def runs(mask: int) -> list[tuple[str, str]]:
    """The unbroken runs of a mask as (first, last) pairs, oldest first."""
    found: list[tuple[str, str]] = []
    first = ""
    for index, minor in enumerate(MINORS):
        inside = mask >> index & 1
        if inside and not first:
            first = minor
        if first and not inside:
            found.append((first, MINORS[index - 1]))
            first = ""
    return [*found, (first, MINORS[-1])] if first else found


def ranges(mask: int) -> str:
    """A mask in words: "1.2-1.7, 1.9-"; open at the right with the newest minor in it, "never" where it is empty."""
    words = []
    for first, last in runs(mask):
        if last == MINORS[-1]:
            words.append(f"{first}-")
        else:
            words.append(first if first == last else f"{first}-{last}")
    return ", ".join(words) or "never"
