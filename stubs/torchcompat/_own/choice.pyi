# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torch.cuda import OutOfMemoryError as _OutOfMemoryError
from torch.nn.utils.parametrize import ParametrizationList as _nn_utils_parametrize_ParametrizationList
from torch.cuda import OutOfMemoryError as _memory_OutOfMemoryError
from torch.cpu import StreamContext as _cpu_StreamContext
from torch import enable_grad as _enable_grad
from torch import inference_mode as _inference_mode
from torch.mps import Event as _mps_Event
from torch import no_grad as _no_grad
from torch.optim.swa_utils import AveragedModel as _optim_swa_utils_AveragedModel
from torch.utils.checkpoint import CheckpointError as _utils_checkpoint_CheckpointError
from torch.utils.checkpoint import DefaultDeviceType as _utils_checkpoint_DefaultDeviceType
from torch.serialization import LoadEndianness as _serialization_LoadEndianness
from torch.cpu import Event as _cpu_Event
from torch import set_grad_enabled as _set_grad_enabled
from torch.amp import GradScaler as _amp_GradScaler
from torch.nn.attention.bias import CausalBias as _nn_attention_bias_CausalBias
from torch.nn.attention.bias import CausalVariant as _nn_attention_bias_CausalVariant
from torch.optim import Adamax as _optim_Adamax
from torch.xpu import Stream as _xpu_Stream
from torch.library import CustomOpDef as _library_CustomOpDef
from torch.optim import ASGD as _optim_ASGD
from torch.optim import Adadelta as _optim_Adadelta
from torch.optim import Adagrad as _optim_Adagrad
from torch.optim import NAdam as _optim_NAdam
from torch.optim import RAdam as _optim_RAdam
from torch.optim import RMSprop as _optim_RMSprop
from torch.optim import Rprop as _optim_Rprop
from torch.optim import SGD as _optim_SGD
from torch.optim import SparseAdam as _optim_SparseAdam
from torch.amp import autocast as _amp_autocast
from torch.nn import MultiheadAttention as _nn_MultiheadAttention
from torch.nn import Transformer as _nn_Transformer
from torch.nn import TransformerDecoder as _nn_TransformerDecoder
from torch.nn import TransformerDecoderLayer as _nn_TransformerDecoderLayer
from torch.nn import TransformerEncoder as _nn_TransformerEncoder
from torch.nn import TransformerEncoderLayer as _nn_TransformerEncoderLayer
from torch.nn.attention import SDPBackend as _nn_attention_SDPBackend
from torch.optim import Adafactor as _optim_Adafactor
from torch.serialization import set_default_mmap_options as _serialization_set_default_mmap_options
from torch.serialization import safe_globals as _serialization_safe_globals
from torch.cpu import Stream as _cpu_Stream
from torch.optim import Adam as _optim_Adam
from torch.optim import AdamW as _optim_AdamW
from torch.serialization import skip_data as _serialization_skip_data
from torch.accelerator import device_index as _accelerator_device_index
from torch.library import Library as _library_Library
from torch.nn.attention.flex_attention import AuxOutput as _nn_attention_flex_attention_AuxOutput
from torch.nn.attention.flex_attention import AuxRequest as _nn_attention_flex_attention_AuxRequest
from torch.nn.attention.varlen import AuxRequest as _nn_attention_varlen_AuxRequest
from torch.optim.lr_scheduler import ChainedScheduler as _optim_lr_scheduler_ChainedScheduler
from torch.optim.lr_scheduler import ConstantLR as _optim_lr_scheduler_ConstantLR
from torch.optim.lr_scheduler import CosineAnnealingLR as _optim_lr_scheduler_CosineAnnealingLR
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts as _optim_lr_scheduler_CosineAnnealingWarmRestarts
from torch.optim.lr_scheduler import CyclicLR as _optim_lr_scheduler_CyclicLR
from torch.optim.lr_scheduler import ExponentialLR as _optim_lr_scheduler_ExponentialLR
from torch.optim.lr_scheduler import LRScheduler as _optim_lr_scheduler_LRScheduler
from torch.optim.lr_scheduler import LambdaLR as _optim_lr_scheduler_LambdaLR
from torch.optim.lr_scheduler import LinearLR as _optim_lr_scheduler_LinearLR
from torch.optim.lr_scheduler import MultiStepLR as _optim_lr_scheduler_MultiStepLR
from torch.optim.lr_scheduler import MultiplicativeLR as _optim_lr_scheduler_MultiplicativeLR
from torch.optim.lr_scheduler import OneCycleLR as _optim_lr_scheduler_OneCycleLR
from torch.optim.lr_scheduler import PolynomialLR as _optim_lr_scheduler_PolynomialLR
from torch.optim.lr_scheduler import ReduceLROnPlateau as _optim_lr_scheduler_ReduceLROnPlateau
from torch.optim.lr_scheduler import StepLR as _optim_lr_scheduler_StepLR
from torch.optim.swa_utils import SWALR as _optim_swa_utils_SWALR
from torch.accelerator import Graph as _accelerator_Graph
from torch.optim.lr_scheduler import SequentialLR as _optim_lr_scheduler_SequentialLR
from torch.nn.attention.flex_attention import BlockMask as _nn_attention_flex_attention_BlockMask
from torch.optim import LBFGS as _optim_LBFGS
from torch.optim import Muon as _optim_Muon
from torch.xpu import Event as _xpu_Event
from torchcompat._own import probes

class From_2_0:
    OutOfMemoryError: TypeAlias = _OutOfMemoryError
    nn_utils_parametrize_ParametrizationList: TypeAlias = _nn_utils_parametrize_ParametrizationList
    memory_OutOfMemoryError: TypeAlias = _memory_OutOfMemoryError

class Since_2_0(probes.set_multithreading_enabled, From_2_0): ...

class From_2_1:
    cpu_StreamContext: TypeAlias = _cpu_StreamContext
    enable_grad: TypeAlias = _enable_grad
    inference_mode: TypeAlias = _inference_mode
    mps_Event: TypeAlias = _mps_Event
    no_grad: TypeAlias = _no_grad
    optim_swa_utils_AveragedModel: TypeAlias = _optim_swa_utils_AveragedModel
    utils_checkpoint_CheckpointError: TypeAlias = _utils_checkpoint_CheckpointError
    utils_checkpoint_DefaultDeviceType: TypeAlias = _utils_checkpoint_DefaultDeviceType
    serialization_LoadEndianness: TypeAlias = _serialization_LoadEndianness

class Since_2_1(probes.CircularPad1d, From_2_1): ...

class From_2_2:
    cpu_Event: TypeAlias = _cpu_Event
    set_grad_enabled: TypeAlias = _set_grad_enabled

class Since_2_2(probes.InverseGamma, From_2_2): ...

class From_2_3:
    amp_GradScaler: TypeAlias = _amp_GradScaler
    nn_attention_bias_CausalBias: TypeAlias = _nn_attention_bias_CausalBias
    nn_attention_bias_CausalVariant: TypeAlias = _nn_attention_bias_CausalVariant
    optim_Adamax: TypeAlias = _optim_Adamax
    xpu_Stream: TypeAlias = _xpu_Stream

class Since_2_3(probes.LPPool3d, From_2_3): ...

class From_2_4:
    library_CustomOpDef: TypeAlias = _library_CustomOpDef
    optim_ASGD: TypeAlias = _optim_ASGD
    optim_Adadelta: TypeAlias = _optim_Adadelta
    optim_Adagrad: TypeAlias = _optim_Adagrad
    optim_NAdam: TypeAlias = _optim_NAdam
    optim_RAdam: TypeAlias = _optim_RAdam
    optim_RMSprop: TypeAlias = _optim_RMSprop
    optim_Rprop: TypeAlias = _optim_Rprop
    optim_SGD: TypeAlias = _optim_SGD
    optim_SparseAdam: TypeAlias = _optim_SparseAdam

class Since_2_4(probes.RMSNorm, From_2_4): ...

class From_2_5:
    amp_autocast: TypeAlias = _amp_autocast
    nn_MultiheadAttention: TypeAlias = _nn_MultiheadAttention
    nn_Transformer: TypeAlias = _nn_Transformer
    nn_TransformerDecoder: TypeAlias = _nn_TransformerDecoder
    nn_TransformerDecoderLayer: TypeAlias = _nn_TransformerDecoderLayer
    nn_TransformerEncoder: TypeAlias = _nn_TransformerEncoder
    nn_TransformerEncoderLayer: TypeAlias = _nn_TransformerEncoderLayer
    nn_attention_SDPBackend: TypeAlias = _nn_attention_SDPBackend
    optim_Adafactor: TypeAlias = _optim_Adafactor
    serialization_set_default_mmap_options: TypeAlias = _serialization_set_default_mmap_options

class Since_2_5(probes.SelectiveCheckpointContext, From_2_5): ...

class From_2_6:
    serialization_safe_globals: TypeAlias = _serialization_safe_globals

class Since_2_6(probes.SymBoolArgument, From_2_6): ...

class From_2_7:
    cpu_Stream: TypeAlias = _cpu_Stream
    optim_Adam: TypeAlias = _optim_Adam
    optim_AdamW: TypeAlias = _optim_AdamW
    serialization_skip_data: TypeAlias = _serialization_skip_data

class Since_2_7(probes.GdsFile, From_2_7): ...

class From_2_8:
    accelerator_device_index: TypeAlias = _accelerator_device_index
    library_Library: TypeAlias = _library_Library

class Since_2_8(probes.GeneralizedPareto, From_2_8): ...

class From_2_9:
    nn_attention_flex_attention_AuxOutput: TypeAlias = _nn_attention_flex_attention_AuxOutput
    nn_attention_flex_attention_AuxRequest: TypeAlias = _nn_attention_flex_attention_AuxRequest

class Since_2_9(probes.Muon, From_2_9): ...

class From_2_10:
    nn_attention_varlen_AuxRequest: TypeAlias = _nn_attention_varlen_AuxRequest
    optim_lr_scheduler_ChainedScheduler: TypeAlias = _optim_lr_scheduler_ChainedScheduler
    optim_lr_scheduler_ConstantLR: TypeAlias = _optim_lr_scheduler_ConstantLR
    optim_lr_scheduler_CosineAnnealingLR: TypeAlias = _optim_lr_scheduler_CosineAnnealingLR
    optim_lr_scheduler_CosineAnnealingWarmRestarts: TypeAlias = _optim_lr_scheduler_CosineAnnealingWarmRestarts
    optim_lr_scheduler_CyclicLR: TypeAlias = _optim_lr_scheduler_CyclicLR
    optim_lr_scheduler_ExponentialLR: TypeAlias = _optim_lr_scheduler_ExponentialLR
    optim_lr_scheduler_LRScheduler: TypeAlias = _optim_lr_scheduler_LRScheduler
    optim_lr_scheduler_LambdaLR: TypeAlias = _optim_lr_scheduler_LambdaLR
    optim_lr_scheduler_LinearLR: TypeAlias = _optim_lr_scheduler_LinearLR
    optim_lr_scheduler_MultiStepLR: TypeAlias = _optim_lr_scheduler_MultiStepLR
    optim_lr_scheduler_MultiplicativeLR: TypeAlias = _optim_lr_scheduler_MultiplicativeLR
    optim_lr_scheduler_OneCycleLR: TypeAlias = _optim_lr_scheduler_OneCycleLR
    optim_lr_scheduler_PolynomialLR: TypeAlias = _optim_lr_scheduler_PolynomialLR
    optim_lr_scheduler_ReduceLROnPlateau: TypeAlias = _optim_lr_scheduler_ReduceLROnPlateau
    optim_lr_scheduler_StepLR: TypeAlias = _optim_lr_scheduler_StepLR
    optim_swa_utils_SWALR: TypeAlias = _optim_swa_utils_SWALR

class Since_2_10(probes.GraphExecGroup, From_2_10): ...

class From_2_12:
    accelerator_Graph: TypeAlias = _accelerator_Graph

class Since_2_12(probes.Graph, From_2_12): ...

class From_2_13:
    optim_lr_scheduler_SequentialLR: TypeAlias = _optim_lr_scheduler_SequentialLR

class Since_2_13(probes.LinearCrossEntropyLoss, From_2_13): ...

class From_2_14:
    nn_attention_flex_attention_BlockMask: TypeAlias = _nn_attention_flex_attention_BlockMask
    optim_LBFGS: TypeAlias = _optim_LBFGS

class Since_2_14(probes.node_creation_hook, From_2_14): ...

class From_2_15:
    optim_Muon: TypeAlias = _optim_Muon
    xpu_Event: TypeAlias = _xpu_Event

class Since_2_15(probes.ProfilerActivityConfig, From_2_15): ...
