# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
CheckpointError: TypeAlias = choice.Since_2_1.utils_checkpoint_CheckpointError
DefaultDeviceType: TypeAlias = choice.Since_2_1.utils_checkpoint_DefaultDeviceType
