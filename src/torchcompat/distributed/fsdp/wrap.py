"""``torch.distributed.fsdp.wrap`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.fsdp.wrap import CustomPolicy as CustomPolicy
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy as ModuleWrapPolicy
    from torch.distributed.fsdp.wrap import always_wrap_policy as always_wrap_policy
    from torch.distributed.fsdp.wrap import lambda_auto_wrap_policy as lambda_auto_wrap_policy
    from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy as size_based_auto_wrap_policy
    from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy as transformer_auto_wrap_policy

_names = Names(globals(), "torch.distributed.fsdp.wrap", "torch/distributed/fsdp/wrap.py")
_names.types("ModuleWrapPolicy", "2.0")
_names.types("CustomPolicy", "2.1")
_names.functions("always_wrap_policy size_based_auto_wrap_policy transformer_auto_wrap_policy", "1.12")
_names.functions("lambda_auto_wrap_policy", "1.13")
_names.attach()
