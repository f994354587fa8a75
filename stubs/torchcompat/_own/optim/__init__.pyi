# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
ASGD: TypeAlias = choice.Since_2_4.optim_ASGD
Adadelta: TypeAlias = choice.Since_2_4.optim_Adadelta
Adafactor: TypeAlias = choice.Since_2_5.optim_Adafactor
Adagrad: TypeAlias = choice.Since_2_4.optim_Adagrad
Adam: TypeAlias = choice.Since_2_7.optim_Adam
AdamW: TypeAlias = choice.Since_2_7.optim_AdamW
Adamax: TypeAlias = choice.Since_2_3.optim_Adamax
LBFGS: TypeAlias = choice.Since_2_14.optim_LBFGS
Muon: TypeAlias = choice.Since_2_15.optim_Muon
NAdam: TypeAlias = choice.Since_2_4.optim_NAdam
RAdam: TypeAlias = choice.Since_2_4.optim_RAdam
RMSprop: TypeAlias = choice.Since_2_4.optim_RMSprop
Rprop: TypeAlias = choice.Since_2_4.optim_Rprop
SGD: TypeAlias = choice.Since_2_4.optim_SGD
SparseAdam: TypeAlias = choice.Since_2_4.optim_SparseAdam
