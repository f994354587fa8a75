# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn.attention.flex_attention import _block_mask
from typing import Any
from typing import NamedTuple

class AuxOutput(NamedTuple):
    lse: Any = None
    max_scores: Any = None
class AuxRequest(NamedTuple):
    lse: bool = False
    max_scores: bool = False
class BlockMask(_block_mask.BlockMaskBase): ...
