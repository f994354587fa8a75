# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.optim._lr_combine import ChainedScheduler as ChainedScheduler
from torchcompat.optim._lr_combine import SequentialLR as SequentialLR
from torchcompat.optim._lr_cosine import CosineAnnealingLR as CosineAnnealingLR
from torchcompat.optim._lr_cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from torchcompat.optim._lr_cycle import CyclicLR as CyclicLR
from torchcompat.optim._lr_cycle import OneCycleLR as OneCycleLR
from torchcompat.optim._lr_decay import ConstantLR as ConstantLR
from torchcompat.optim._lr_decay import ExponentialLR as ExponentialLR
from torchcompat.optim._lr_decay import LRScheduler as LRScheduler
from torchcompat.optim._lr_decay import LambdaLR as LambdaLR
from torchcompat.optim._lr_decay import LinearLR as LinearLR
from torchcompat.optim._lr_decay import MultiStepLR as MultiStepLR
from torchcompat.optim._lr_decay import MultiplicativeLR as MultiplicativeLR
from torchcompat.optim._lr_decay import PolynomialLR as PolynomialLR
from torchcompat.optim._lr_decay import StepLR as StepLR
from torchcompat.optim._lr_plateau import ReduceLROnPlateau as ReduceLROnPlateau

