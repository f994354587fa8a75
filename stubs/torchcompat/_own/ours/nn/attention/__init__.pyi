# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn.attention._backends import SDPBackend as SDPBackend

