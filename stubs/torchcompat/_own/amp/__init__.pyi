# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
GradScaler: TypeAlias = choice.Since_2_3.amp_GradScaler
autocast: TypeAlias = choice.Since_2_5.amp_autocast
