# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from enum import IntEnum
from torchcompat.nn.attention import _bias

class CausalBias(_bias.CausalBiasBase): ...
class CausalVariant(IntEnum):
    UPPER_LEFT = _bias.UPPER_LEFT
    LOWER_RIGHT = _bias.LOWER_RIGHT
