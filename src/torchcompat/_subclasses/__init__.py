"""``torch._subclasses``: fake tensors, to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach as _attach

if TYPE_CHECKING:
    from . import fake_tensor as fake_tensor
    from .fake_tensor import FakeTensor as FakeTensor
    from .fake_tensor import FakeTensorMode as FakeTensorMode

_attach(
    globals(), {"": "fake_tensor", "fake_tensor": "FakeTensor FakeTensorMode"}, later=["FakeTensor", "FakeTensorMode"]
)
