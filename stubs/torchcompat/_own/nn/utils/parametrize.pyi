# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
ParametrizationList: TypeAlias = choice.Since_2_0.nn_utils_parametrize_ParametrizationList
