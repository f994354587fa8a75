# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
AveragedModel: TypeAlias = choice.Since_2_1.optim_swa_utils_AveragedModel
SWALR: TypeAlias = choice.Since_2_10.optim_swa_utils_SWALR
