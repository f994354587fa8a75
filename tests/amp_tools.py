"""The state of autocast, and what tells its dtype."""

import pytest
import torch

from torchcompat import at_least
from torchcompat.amp import _state
from torchcompat.amp._state import get_autocast_dtype, is_autocast_enabled

CPU = at_least(1, 10)


HALF = at_least(2, 2)


KINDS = ["cpu", "cuda", "hpu", "ipu", "mps", "xla", "xpu"]


NEW_KINDS = [pytest.param(kind, marks=pytest.mark.limit(kind)) for kind in ("mtia", "maia")]


cpu_casts = pytest.mark.skipif(not CPU, reason="torch has autocast for the CPU since 1.10")


def state(kind="cpu"):
    return is_autocast_enabled(kind), get_autocast_dtype(kind)


@pytest.fixture(autouse=True)
def _state_is_put_back():
    before = [state(kind) for kind in ("cpu", "cuda")]
    yield
    after = [state(kind) for kind in ("cpu", "cuda")]
    if after[0][0]:
        _state.switch_of("cpu").set_enabled(False)
    assert after == before


def matrix():
    return torch.ones(2, 2)


def product_dtype():
    return torch.mm(matrix(), matrix()).dtype
