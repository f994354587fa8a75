# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.distributed.checkpoint.state_dict import StateDictOptions as StateDictOptions
from torch.distributed.checkpoint.state_dict import get_model_state_dict as get_model_state_dict
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict as get_optimizer_state_dict
from torch.distributed.checkpoint.state_dict import get_state_dict as get_state_dict
from torch.distributed.checkpoint.state_dict import set_model_state_dict as set_model_state_dict
from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict as set_optimizer_state_dict
from torch.distributed.checkpoint.state_dict import set_state_dict as set_state_dict

__all__ = ['StateDictOptions', 'get_model_state_dict', 'get_optimizer_state_dict', 'get_state_dict', 'set_model_state_dict', 'set_optimizer_state_dict', 'set_state_dict']
