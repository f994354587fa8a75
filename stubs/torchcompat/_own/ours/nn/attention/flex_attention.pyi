# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn.attention import _flex_block_mask
from typing import Any
from typing import NamedTuple

class AuxOutput(NamedTuple):
    lse: Any = None
    max_scores: Any = None
class AuxRequest(NamedTuple):
    lse: bool = False
    max_scores: bool = False
class BlockMask(_flex_block_mask.BlockMaskBase): ...
