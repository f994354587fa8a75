# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import NamedTuple

class AuxRequest(NamedTuple):
    lse: bool = False
