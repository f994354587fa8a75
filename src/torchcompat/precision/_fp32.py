"""The precision switches of torch 2.9 and later: https://github.com/pytorch/pytorch/pull/125888.

Precisions hang in a tree, generic -> cuda, mkldnn -> matmul, conv, rnn, where "none" stands for the parent's. Beside
the tree live two older values: the matmul level and cuDNN's `allow_tf32`. torch's old getters raise when tree and old
value disagree, its setters never do. So what is set here goes through the old setter, which writes both; what is read
is the tree, which is what torch computes by.
"""

from __future__ import annotations

import warnings
from typing import Any, List, Sequence, Tuple

import torch

from .. import _torch
from ._flags import Kept

Node = Tuple[str, str]
Values = List[Tuple[Node, str]]

PARENTS: Sequence[Node] = (("generic", "all"), ("cuda", "all"), ("mkldnn", "all"))
MATMUL: Sequence[Node] = (("cuda", "matmul"), ("mkldnn", "matmul"))
CONV: Sequence[Node] = (("cuda", "conv"), ("cuda", "rnn"))


# Not by torch's attributes: up to 2.15 assigning to torch.backends.mkldnn.fp32_precision sets the generic precision.
def _read(node: Node) -> str:  # torchcompat: needs torch >= 2.9
    precision: str = torch._C._get_fp32_precision_getter(*node)
    return precision


def _write(values: Values) -> None:  # torchcompat: needs torch >= 2.9
    for node, precision in values:
        torch._C._set_fp32_precision_setter(*node, precision)


def _read_all(nodes: Sequence[Node]) -> Values:
    return [(node, _read(node)) for node in nodes]


def _clear_parents() -> Values:
    """Set the parents to "none", so that every node shows its own value, and return what they were, the root first."""
    found: Values = []
    for node in PARENTS:
        found.append((node, _read(node)))
        _write([(node, "none")])
    return found


def _old_api(function: Any, *args: Any) -> Any:
    """Call a getter or setter of the older API without the warning that 2.9.0 gives for its use.

    https://github.com/pytorch/pytorch/issues/166286; 2.9.1 and later do not warn.
    """
    if _torch.torch_version[:2] != (2, 9):
        return function(*args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


class Matmul(Kept):  # torchcompat: needs torch >= 2.9
    def get(self) -> str:
        precisions = [_read(node) for node in MATMUL]
        if "bf16" in precisions:
            return "medium"
        return "high" if "tf32" in precisions else "highest"

    def set(self, level: str) -> None:
        _old_api(torch.set_float32_matmul_precision, level)

    def save(self) -> Any:
        parents = _clear_parents()
        leaves = _read_all(MATMUL)
        # Beside leaves of "ieee" the old getter never raises.
        _write([(node, "ieee") for node in MATMUL])
        state = _old_api(torch.get_float32_matmul_precision), leaves, parents
        self.restore(state)
        return state

    def restore(self, state: Any) -> None:
        level, leaves, parents = state
        self.set(level)
        _write(leaves)
        _write(parents)


class Conv(Kept):
    def get(self) -> str:
        return "high" if "tf32" in [_read(node) for node in CONV] else "highest"

    def set(self, level: str) -> None:
        _old_api(setattr, torch.backends.cudnn, "allow_tf32", level == "high")
        # The old setter leaves "none" behind for False, which a parent could turn into TF32 again.
        _write([(node, "tf32" if level == "high" else "ieee") for node in CONV])

    def save(self) -> Any:
        in_force = _read_all(CONV)
        parents = _clear_parents()
        leaves = _read_all(CONV)
        _write([(node, "tf32") for node in CONV])
        # Beside leaves of "tf32" the old getter raises if, and only if, the old value is False.
        try:
            flag = _old_api(getattr, torch.backends.cudnn, "allow_tf32")
        except RuntimeError:
            flag = False
        state = flag, leaves, parents, in_force
        self.restore(state)
        return state

    def restore(self, state: Any) -> None:
        flag, leaves, parents, in_force = state
        _old_api(setattr, torch.backends.cudnn, "allow_tf32", flag)
        _write(leaves)
        _write(parents)
        # From 2.13 on an untouched leaf is TF32 that gives way to a parent, which none can be again once touched:
        # https://github.com/pytorch/pytorch/pull/179750. Below a parent it comes back as what it amounted to.
        if _read_all(CONV) != in_force:
            _old_api(setattr, torch.backends.cudnn, "allow_tf32", False)
            _write(in_force)
