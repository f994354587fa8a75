# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn.attention.flex_attention import _block_mask
from typing import NamedTuple
from typing import Optional
import torch

class AuxOutput(NamedTuple):
    lse: Optional[torch.Tensor] = None
    max_scores: Optional[torch.Tensor] = None
class AuxRequest(NamedTuple):
    lse: bool = False
    max_scores: bool = False
class BlockMask(_block_mask.BlockMaskBase): ...
