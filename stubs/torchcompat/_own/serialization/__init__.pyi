# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
LoadEndianness: TypeAlias = choice.Since_2_1.serialization_LoadEndianness
safe_globals: TypeAlias = choice.Since_2_6.serialization_safe_globals
set_default_mmap_options: TypeAlias = choice.Since_2_5.serialization_set_default_mmap_options
skip_data: TypeAlias = choice.Since_2_7.serialization_skip_data
