# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
CustomOpDef: TypeAlias = choice.Since_2_4.library_CustomOpDef
Library: TypeAlias = choice.Since_2_8.library_Library
