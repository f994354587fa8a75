"""``torch.distributed.checkpoint.state_dict`` on torch without it: names to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._absent import Names

if TYPE_CHECKING:
    from torch.distributed.checkpoint.state_dict import StateDictOptions as StateDictOptions
    from torch.distributed.checkpoint.state_dict import get_model_state_dict as get_model_state_dict
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict as get_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict import get_state_dict as get_state_dict
    from torch.distributed.checkpoint.state_dict import set_model_state_dict as set_model_state_dict
    from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict as set_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict import set_state_dict as set_state_dict

_names = Names(globals(), "torch.distributed.checkpoint.state_dict", "torch/distributed/checkpoint/state_dict.py")
_names.types("StateDictOptions", "2.2")
_names.functions(
    "get_model_state_dict get_optimizer_state_dict get_state_dict set_model_state_dict "
    "set_optimizer_state_dict set_state_dict",
    "2.2",
)
_names.attach()
