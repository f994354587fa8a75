"""``torch.func``: function transforms, and modules as functions of their parameters and buffers."""

from ._calls import functional_call, functional_module

__all__ = ["functional_call", "functional_module"]
