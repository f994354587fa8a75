"""``torch.optim``: today's optimisers, their schedules and averages."""

from torch.optim import Optimizer as Optimizer

from .._lazy import attach as _attach
from . import lr_scheduler as lr_scheduler
from . import swa_utils as swa_utils
from ._adam import Adam as Adam
from ._adam import Adamax as Adamax
from ._adam import AdamW as AdamW
from ._adam import SparseAdam as SparseAdam
from ._adam_variants import NAdam as NAdam
from ._adam_variants import RAdam as RAdam
from ._adaptive import Adadelta as Adadelta
from ._adaptive import Adagrad as Adagrad
from ._adaptive import RMSprop as RMSprop
from ._lbfgs import LBFGS as LBFGS
from ._matrix import Adafactor as Adafactor
from ._matrix import Muon as Muon
from ._sgd import ASGD as ASGD
from ._sgd import SGD as SGD
from ._sgd import Rprop as Rprop
from ._states import upgrade_state_dict as upgrade_state_dict

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
    "upgrade_state_dict",
]

_attach(globals())
