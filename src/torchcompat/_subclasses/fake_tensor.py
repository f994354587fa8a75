"""``torch._subclasses.fake_tensor`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._absent import Names

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensor as FakeTensor
    from torch._subclasses.fake_tensor import FakeTensorMode as FakeTensorMode

_names = Names(globals(), "torch._subclasses.fake_tensor", "torch/_subclasses/fake_tensor.py")
_names.types("FakeTensor FakeTensorMode", "1.13")
_names.attach()
