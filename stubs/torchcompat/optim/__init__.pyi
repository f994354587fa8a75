# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.optim import Optimizer as Optimizer
from torchcompat.optim import lr_scheduler as lr_scheduler
from torchcompat.optim import swa_utils as swa_utils
from torchcompat.optim._states import upgrade_state_dict as upgrade_state_dict
from torchcompat._own.optim import ASGD as ASGD
from torchcompat._own.optim import Adadelta as Adadelta
from torchcompat._own.optim import Adafactor as Adafactor
from torchcompat._own.optim import Adagrad as Adagrad
from torchcompat._own.optim import Adam as Adam
from torchcompat._own.optim import AdamW as AdamW
from torchcompat._own.optim import Adamax as Adamax
from torchcompat._own.optim import LBFGS as LBFGS
from torchcompat._own.optim import Muon as Muon
from torchcompat._own.optim import NAdam as NAdam
from torchcompat._own.optim import RAdam as RAdam
from torchcompat._own.optim import RMSprop as RMSprop
from torchcompat._own.optim import Rprop as Rprop
from torchcompat._own.optim import SGD as SGD
from torchcompat._own.optim import SparseAdam as SparseAdam

__all__ = ['ASGD', 'LBFGS', 'SGD', 'Adadelta', 'Adafactor', 'Adagrad', 'Adam', 'AdamW', 'Adamax', 'Muon', 'NAdam', 'Optimizer', 'RAdam', 'RMSprop', 'Rprop', 'SparseAdam', 'lr_scheduler', 'swa_utils', 'upgrade_state_dict']
__all__ = ['ASGD', 'Adadelta', 'Adafactor', 'Adagrad', 'Adam', 'AdamW', 'Adamax', 'LBFGS', 'Muon', 'NAdam', 'Optimizer', 'RAdam', 'RMSprop', 'Rprop', 'SGD', 'SparseAdam', 'lr_scheduler', 'swa_utils', 'upgrade_state_dict']
