"""The patterns of :func:`torchcompat.func.rearrange`: ``"b (h w) ... -> b ... h w 1"``."""

from __future__ import annotations

import functools
from typing import Any, Mapping, Sequence, Tuple

DOTS = "..."
# The axes that make up one dimension; none, if its size is 1.
Group = Tuple[str, ...]


class Side:
    """One side of a pattern.

    Attributes:
        groups: for each dimension, the axes that it is made of; ``("...",)`` stands for as many as there are.
        axes: all axes, in order.
        inside: whether the dots are in parentheses.
    """

    def __init__(self, text: str) -> None:
        self.groups: list[Group] = []
        self.axes: list[str] = []
        self.inside = False
        self._read(text)
        repeated = sorted({axis for axis in self.axes if self.axes.count(axis) > 1})
        if repeated:
            raise ValueError(f"rearrange: {', '.join(repeated)} is there twice in {text.strip()!r}")

    def _read(self, text: str) -> None:
        group: list[str] | None = None
        for token in text.replace("(", " ( ").replace(")", " ) ").split(" "):
            if token == "(":
                if group is not None:
                    raise ValueError(f"rearrange: parentheses inside parentheses in {text.strip()!r}")
                group = []
            elif token == ")":
                if group is None:
                    raise ValueError(f"rearrange: a parenthesis is closed but not opened in {text.strip()!r}")
                self.groups.append(tuple(group))
                group = None
            elif token:
                names = [] if _is_unit(token) else [token]
                self.axes += names
                self.inside = self.inside or (token == DOTS and group is not None)
                if group is None:
                    self.groups.append(tuple(names))
                else:
                    group += names
        if group is not None:
            raise ValueError(f"rearrange: a parenthesis is opened but not closed in {text.strip()!r}")

    def expanded(self, further: int) -> list[Group]:
        """The groups with names in place of the dots, which stand for that many *further* dimensions."""
        names = tuple(DOTS + str(number) for number in range(further))
        dots_inside = self.inside
        groups: list[Group] = []
        for group in self.groups:
            if DOTS not in group:
                groups.append(group)
            elif dots_inside:
                at = group.index(DOTS)
                groups.append(group[:at] + names + group[at + 1 :])
            else:
                groups += [(name,) for name in names]
        return groups


def _is_unit(token: str) -> bool:
    """Whether *token* is a ``1``; raises ValueError unless it is that, the dots, or the name of an axis."""
    if token == DOTS:
        return False
    if token.isdecimal():
        if int(token) != 1:
            raise ValueError(f"rearrange: the only number that can stand for an axis is 1, got {token}")
        return True
    if not token.isidentifier() or token[0] == "_" or token[-1] == "_":
        raise ValueError(
            f"rearrange: {token!r} is no name of an axis; that is an identifier without '_' at its ends, '...' or '1'"
        )
    return False


@functools.lru_cache(maxsize=256)
def parse(pattern: str) -> tuple[Side, Side]:
    """Both sides of a pattern; ValueError if it is malformed."""
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"rearrange: the pattern must have one '->', got {pattern!r}")
    left, right = Side(sides[0]), Side(sides[1])
    if left.inside:
        raise ValueError(f"rearrange: '...' cannot be in parentheses before the '->', got {pattern!r}")
    odd = set(left.axes) ^ set(right.axes)
    if odd:
        raise ValueError(f"rearrange: {', '.join(sorted(odd))} must be on both sides of {pattern!r}")
    return left, right


def _check_lengths(left: Side, lengths: Mapping[str, int], pattern: str) -> None:
    for axis, length in lengths.items():
        if type(length) is not int:
            raise TypeError(f"rearrange: the length of {axis} must be an int, got {type(length).__name__}")
        if length < 0:
            raise ValueError(f"rearrange: the length of {axis} must not be negative, got {length}")
    unknown = sorted(set(lengths) - set(left.axes))
    if unknown:
        raise ValueError(f"rearrange: a length is given for {', '.join(unknown)}, which is not in {pattern!r}")


def _split(group: Group, size: int, lengths: Mapping[str, int]) -> list[int]:
    """The sizes of the axes that a dimension of this *size* is made of."""
    open_axes = [axis for axis in group if axis not in lengths]
    known = _product([lengths[axis] for axis in group if axis in lengths])
    if not open_axes and known == size:
        return [lengths[axis] for axis in group]
    # A length of 0 leaves open what the other one is.
    if len(open_axes) == 1 and known and size % known == 0:
        return [lengths.get(axis, size // known) for axis in group]
    named = " ".join(f"{axis}={lengths[axis]}" if axis in lengths else axis for axis in group)
    hint = "; give the lengths of all but one" if len(open_axes) > 1 else ""
    raise ValueError(f"rearrange: a dimension of size {size} cannot be ({named or 1}){hint}")


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _further(left: Side, rank: int, pattern: str) -> int:
    """How many dimensions the dots stand for."""
    has_dots = DOTS in left.axes
    named = len(left.groups) - has_dots
    if rank < named or (rank > named and not has_dots):
        raise ValueError(f"rearrange: a tensor of {rank} dimensions does not fit {pattern!r}")
    return rank - named


def apply(tensor: Any, pattern: str, lengths: Mapping[str, int]) -> Any:
    """*tensor*, rearranged; see :func:`torchcompat.func.rearrange`."""
    left, right = parse(pattern)
    _check_lengths(left, lengths, pattern)
    shape: list[int] = list(tensor.shape)
    further = _further(left, len(shape), pattern)
    sizes: dict[str, int] = {}
    for group, size in zip(left.expanded(further), shape):
        sizes.update(zip(group, _split(group, size, lengths)))
    order = list(sizes)
    groups = right.expanded(further)
    tensor = _reshaped(tensor, shape, list(sizes.values()))
    axes = [axis for group in groups for axis in group]
    if axes != order:
        tensor = tensor.permute([order.index(axis) for axis in axes])
    return _reshaped(
        tensor, [sizes[axis] for axis in axes], [_product([sizes[axis] for axis in group]) for group in groups]
    )


def _reshaped(tensor: Any, shape: list[int], new: list[int]) -> Any:
    return tensor if shape == new else tensor.reshape(new)
