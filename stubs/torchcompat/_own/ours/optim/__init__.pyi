# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.optim._adam import Adam as Adam
from torchcompat.optim._adam import AdamW as AdamW
from torchcompat.optim._adam import Adamax as Adamax
from torchcompat.optim._adam import SparseAdam as SparseAdam
from torchcompat.optim._adam_variants import NAdam as NAdam
from torchcompat.optim._adam_variants import RAdam as RAdam
from torchcompat.optim._adaptive import Adadelta as Adadelta
from torchcompat.optim._adaptive import Adagrad as Adagrad
from torchcompat.optim._adaptive import RMSprop as RMSprop
from torchcompat.optim._lbfgs import LBFGS as LBFGS
from torchcompat.optim._matrix import Adafactor as Adafactor
from torchcompat.optim._matrix import Muon as Muon
from torchcompat.optim._sgd import ASGD as ASGD
from torchcompat.optim._sgd import Rprop as Rprop
from torchcompat.optim._sgd import SGD as SGD

