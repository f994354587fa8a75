"""``torch.optim.lr_scheduler``: schedules with the constructors and values of torch 2.15."""

from .._lazy import attach as _attach
from ._lr_combine import ChainedScheduler, SequentialLR
from ._lr_cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from ._lr_cycle import CyclicLR, OneCycleLR
from ._lr_decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from ._lr_plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

_attach(globals())
