# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own.ours.top import OutOfMemoryError as _OutOfMemoryError
from torchcompat._own.ours.nn.utils.parametrize import ParametrizationList as _nn_utils_parametrize_ParametrizationList
from torchcompat._own.ours.memory import OutOfMemoryError as _memory_OutOfMemoryError
from torchcompat._own.ours.cpu import StreamContext as _cpu_StreamContext
from torchcompat._own.ours.top import enable_grad as _enable_grad
from torchcompat._own.ours.top import inference_mode as _inference_mode
from torchcompat._own.ours.mps import Event as _mps_Event
from torchcompat._own.ours.top import no_grad as _no_grad
from torchcompat._own.ours.optim.swa_utils import AveragedModel as _optim_swa_utils_AveragedModel
from torchcompat._own.ours.utils.checkpoint import CheckpointError as _utils_checkpoint_CheckpointError
from torchcompat._own.ours.utils.checkpoint import DefaultDeviceType as _utils_checkpoint_DefaultDeviceType
from torchcompat._own.ours.serialization import LoadEndianness as _serialization_LoadEndianness
from torchcompat._own.ours.cpu import Event as _cpu_Event
from torchcompat._own.ours.top import set_grad_enabled as _set_grad_enabled
from torchcompat._own.ours.amp import GradScaler as _amp_GradScaler
from torchcompat._own.ours.nn.attention.bias import CausalBias as _nn_attention_bias_CausalBias
from torchcompat._own.ours.nn.attention.bias import CausalVariant as _nn_attention_bias_CausalVariant
from torchcompat._own.ours.optim import Adamax as _optim_Adamax
from torchcompat._own.ours.xpu import Stream as _xpu_Stream
from torchcompat._own.ours.library import CustomOpDef as _library_CustomOpDef
from torchcompat._own.ours.optim import ASGD as _optim_ASGD
from torchcompat._own.ours.optim import Adadelta as _optim_Adadelta
from torchcompat._own.ours.optim import Adagrad as _optim_Adagrad
from torchcompat._own.ours.optim import NAdam as _optim_NAdam
from torchcompat._own.ours.optim import RAdam as _optim_RAdam
from torchcompat._own.ours.optim import RMSprop as _optim_RMSprop
from torchcompat._own.ours.optim import Rprop as _optim_Rprop
from torchcompat._own.ours.optim import SGD as _optim_SGD
from torchcompat._own.ours.optim import SparseAdam as _optim_SparseAdam
from torchcompat._own.ours.amp import autocast as _amp_autocast
from torchcompat._own.ours.nn import MultiheadAttention as _nn_MultiheadAttention
from torchcompat._own.ours.nn import Transformer as _nn_Transformer
from torchcompat._own.ours.nn import TransformerDecoder as _nn_TransformerDecoder
from torchcompat._own.ours.nn import TransformerDecoderLayer as _nn_TransformerDecoderLayer
from torchcompat._own.ours.nn import TransformerEncoder as _nn_TransformerEncoder
from torchcompat._own.ours.nn import TransformerEncoderLayer as _nn_TransformerEncoderLayer
from torchcompat._own.ours.nn.attention import SDPBackend as _nn_attention_SDPBackend
from torchcompat._own.ours.optim import Adafactor as _optim_Adafactor
from torchcompat._own.ours.serialization import set_default_mmap_options as _serialization_set_default_mmap_options
from torchcompat._own.ours.serialization import safe_globals as _serialization_safe_globals
from torchcompat._own.ours.cpu import Stream as _cpu_Stream
from torchcompat._own.ours.optim import Adam as _optim_Adam
from torchcompat._own.ours.optim import AdamW as _optim_AdamW
from torchcompat._own.ours.serialization import skip_data as _serialization_skip_data
from torchcompat._own.ours.accelerator import device_index as _accelerator_device_index
from torchcompat._own.ours.library import Library as _library_Library
from torchcompat._own.ours.nn.attention.flex_attention import AuxOutput as _nn_attention_flex_attention_AuxOutput
from torchcompat._own.ours.nn.attention.flex_attention import AuxRequest as _nn_attention_flex_attention_AuxRequest
from torchcompat._own.ours.nn.attention.varlen import AuxRequest as _nn_attention_varlen_AuxRequest
from torchcompat._own.ours.optim.lr_scheduler import ChainedScheduler as _optim_lr_scheduler_ChainedScheduler
from torchcompat._own.ours.optim.lr_scheduler import ConstantLR as _optim_lr_scheduler_ConstantLR
from torchcompat._own.ours.optim.lr_scheduler import CosineAnnealingLR as _optim_lr_scheduler_CosineAnnealingLR
from torchcompat._own.ours.optim.lr_scheduler import CosineAnnealingWarmRestarts as _optim_lr_scheduler_CosineAnnealingWarmRestarts
from torchcompat._own.ours.optim.lr_scheduler import CyclicLR as _optim_lr_scheduler_CyclicLR
from torchcompat._own.ours.optim.lr_scheduler import ExponentialLR as _optim_lr_scheduler_ExponentialLR
from torchcompat._own.ours.optim.lr_scheduler import LRScheduler as _optim_lr_scheduler_LRScheduler
from torchcompat._own.ours.optim.lr_scheduler import LambdaLR as _optim_lr_scheduler_LambdaLR
from torchcompat._own.ours.optim.lr_scheduler import LinearLR as _optim_lr_scheduler_LinearLR
from torchcompat._own.ours.optim.lr_scheduler import MultiStepLR as _optim_lr_scheduler_MultiStepLR
from torchcompat._own.ours.optim.lr_scheduler import MultiplicativeLR as _optim_lr_scheduler_MultiplicativeLR
from torchcompat._own.ours.optim.lr_scheduler import OneCycleLR as _optim_lr_scheduler_OneCycleLR
from torchcompat._own.ours.optim.lr_scheduler import PolynomialLR as _optim_lr_scheduler_PolynomialLR
from torchcompat._own.ours.optim.lr_scheduler import ReduceLROnPlateau as _optim_lr_scheduler_ReduceLROnPlateau
from torchcompat._own.ours.optim.lr_scheduler import StepLR as _optim_lr_scheduler_StepLR
from torchcompat._own.ours.optim.swa_utils import SWALR as _optim_swa_utils_SWALR
from torchcompat._own.ours.accelerator import Graph as _accelerator_Graph
from torchcompat._own.ours.optim.lr_scheduler import SequentialLR as _optim_lr_scheduler_SequentialLR
from torchcompat._own.ours.nn.attention.flex_attention import BlockMask as _nn_attention_flex_attention_BlockMask
from torchcompat._own.ours.optim import LBFGS as _optim_LBFGS
from torchcompat._own.ours.optim import Muon as _optim_Muon
from torchcompat._own.ours.xpu import Event as _xpu_Event

# Before torch 2.0.
class set_multithreading_enabled:
    OutOfMemoryError: TypeAlias = _OutOfMemoryError
    nn_utils_parametrize_ParametrizationList: TypeAlias = _nn_utils_parametrize_ParametrizationList
    memory_OutOfMemoryError: TypeAlias = _memory_OutOfMemoryError

# Before torch 2.1.
class CircularPad1d:
    cpu_StreamContext: TypeAlias = _cpu_StreamContext
    enable_grad: TypeAlias = _enable_grad
    inference_mode: TypeAlias = _inference_mode
    mps_Event: TypeAlias = _mps_Event
    no_grad: TypeAlias = _no_grad
    optim_swa_utils_AveragedModel: TypeAlias = _optim_swa_utils_AveragedModel
    utils_checkpoint_CheckpointError: TypeAlias = _utils_checkpoint_CheckpointError
    utils_checkpoint_DefaultDeviceType: TypeAlias = _utils_checkpoint_DefaultDeviceType
    serialization_LoadEndianness: TypeAlias = _serialization_LoadEndianness

# Before torch 2.2.
class InverseGamma:
    cpu_Event: TypeAlias = _cpu_Event
    set_grad_enabled: TypeAlias = _set_grad_enabled

# Before torch 2.3.
class LPPool3d:
    amp_GradScaler: TypeAlias = _amp_GradScaler
    nn_attention_bias_CausalBias: TypeAlias = _nn_attention_bias_CausalBias
    nn_attention_bias_CausalVariant: TypeAlias = _nn_attention_bias_CausalVariant
    optim_Adamax: TypeAlias = _optim_Adamax
    xpu_Stream: TypeAlias = _xpu_Stream

# Before torch 2.4.
class RMSNorm:
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

# Before torch 2.5.
class SelectiveCheckpointContext:
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

# Before torch 2.6.
class SymBoolArgument:
    serialization_safe_globals: TypeAlias = _serialization_safe_globals

# Before torch 2.7.
class GdsFile:
    cpu_Stream: TypeAlias = _cpu_Stream
    optim_Adam: TypeAlias = _optim_Adam
    optim_AdamW: TypeAlias = _optim_AdamW
    serialization_skip_data: TypeAlias = _serialization_skip_data

# Before torch 2.8.
class GeneralizedPareto:
    accelerator_device_index: TypeAlias = _accelerator_device_index
    library_Library: TypeAlias = _library_Library

# Before torch 2.9.
class Muon:
    nn_attention_flex_attention_AuxOutput: TypeAlias = _nn_attention_flex_attention_AuxOutput
    nn_attention_flex_attention_AuxRequest: TypeAlias = _nn_attention_flex_attention_AuxRequest

# Before torch 2.10.
class GraphExecGroup:
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

# Before torch 2.12.
class Graph:
    accelerator_Graph: TypeAlias = _accelerator_Graph

# Before torch 2.13.
class LinearCrossEntropyLoss:
    optim_lr_scheduler_SequentialLR: TypeAlias = _optim_lr_scheduler_SequentialLR

# Before torch 2.14.
class node_creation_hook:
    nn_attention_flex_attention_BlockMask: TypeAlias = _nn_attention_flex_attention_BlockMask
    optim_LBFGS: TypeAlias = _optim_LBFGS

# Before torch 2.15.
class ProfilerActivityConfig:
    optim_Muon: TypeAlias = _optim_Muon
    xpu_Event: TypeAlias = _xpu_Event
