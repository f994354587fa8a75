# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._own.optim.lr_scheduler import ChainedScheduler as ChainedScheduler
from torchcompat._own.optim.lr_scheduler import ConstantLR as ConstantLR
from torchcompat._own.optim.lr_scheduler import CosineAnnealingLR as CosineAnnealingLR
from torchcompat._own.optim.lr_scheduler import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from torchcompat._own.optim.lr_scheduler import CyclicLR as CyclicLR
from torchcompat._own.optim.lr_scheduler import ExponentialLR as ExponentialLR
from torchcompat._own.optim.lr_scheduler import LRScheduler as LRScheduler
from torchcompat._own.optim.lr_scheduler import LambdaLR as LambdaLR
from torchcompat._own.optim.lr_scheduler import LinearLR as LinearLR
from torchcompat._own.optim.lr_scheduler import MultiStepLR as MultiStepLR
from torchcompat._own.optim.lr_scheduler import MultiplicativeLR as MultiplicativeLR
from torchcompat._own.optim.lr_scheduler import OneCycleLR as OneCycleLR
from torchcompat._own.optim.lr_scheduler import PolynomialLR as PolynomialLR
from torchcompat._own.optim.lr_scheduler import ReduceLROnPlateau as ReduceLROnPlateau
from torchcompat._own.optim.lr_scheduler import SequentialLR as SequentialLR
from torchcompat._own.optim.lr_scheduler import StepLR as StepLR

__all__ = ['ChainedScheduler', 'ConstantLR', 'CosineAnnealingLR', 'CosineAnnealingWarmRestarts', 'CyclicLR', 'ExponentialLR', 'LRScheduler', 'LambdaLR', 'LinearLR', 'MultiStepLR', 'MultiplicativeLR', 'OneCycleLR', 'PolynomialLR', 'ReduceLROnPlateau', 'SequentialLR', 'StepLR']
__all__ = ['ChainedScheduler', 'ConstantLR', 'CosineAnnealingLR', 'CosineAnnealingWarmRestarts', 'CyclicLR', 'ExponentialLR', 'LRScheduler', 'LambdaLR', 'LinearLR', 'MultiStepLR', 'MultiplicativeLR', 'OneCycleLR', 'PolynomialLR', 'ReduceLROnPlateau', 'SequentialLR', 'StepLR']
