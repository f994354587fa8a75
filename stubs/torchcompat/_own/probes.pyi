# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
# mypy: disable-error-code=assignment
try:
    from torch.accelerator import *
    from torch.autograd.grad_mode import *
    from torch.autograd.graph import *
    from torch.cuda.gds import *
    from torch.distributions import *
    from torch.export.graph_signature import *
    from torch.nn.modules.loss import *
    from torch.nn.modules.normalization import *
    from torch.nn.modules.padding import *
    from torch.nn.modules.pooling import *
    from torch.optim import *
    from torch.profiler import *
    from torch.utils.checkpoint import *
except ImportError:
    from torchcompat._own.older import set_multithreading_enabled as set_multithreading_enabled
    from torchcompat._own.older import CircularPad1d as CircularPad1d
    from torchcompat._own.older import InverseGamma as InverseGamma
    from torchcompat._own.older import LPPool3d as LPPool3d
    from torchcompat._own.older import RMSNorm as RMSNorm
    from torchcompat._own.older import SelectiveCheckpointContext as SelectiveCheckpointContext
    from torchcompat._own.older import SymBoolArgument as SymBoolArgument
    from torchcompat._own.older import GdsFile as GdsFile
    from torchcompat._own.older import GeneralizedPareto as GeneralizedPareto
    from torchcompat._own.older import Muon as Muon
    from torchcompat._own.older import GraphExecGroup as GraphExecGroup
    from torchcompat._own.older import Graph as Graph
    from torchcompat._own.older import LinearCrossEntropyLoss as LinearCrossEntropyLoss
    from torchcompat._own.older import node_creation_hook as node_creation_hook
    from torchcompat._own.older import ProfilerActivityConfig as ProfilerActivityConfig
