"""Names that pickles of earlier releases hold, and the modules that have the objects today.

Earlier releases pickled a class or a function by the private module that it was written in. A module of which a pickle
may name something keeps its path: it is there for that alone, or finds here what has left it. A name that a private
module still has of its own is not in the table.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

MOVED = {
    "_compile": ("compiler._compile", "compile"),
    "_default_device": (
        "device._default",
        "default_device device_module get_default_device get_device_module set_default_device",
    ),
    "_fastpath_safe": ("attention", "SafeFastpath can_pack fastpath_faults safe_forward"),
    "_fastpath_switch": ("attention", "fastpath"),
    "_functional_call": ("func._functional_call", "FunctionalModule"),
    "_serialization._settings": ("serialization", "LoadEndianness"),
    "amp._grad_scaler": ("amp", "GradScaler"),
    "nn._decoder": ("nn", "TransformerDecoder TransformerDecoderLayer"),
    "nn._multihead": ("nn", "MultiheadAttention"),
    "nn._seq2seq": ("nn", "Transformer"),
    "nn._transformer": ("nn", "TransformerEncoder TransformerEncoderLayer"),
    "nn.attention._backends": ("nn.attention", "SDPBackend"),
    "nn.attention._bias": ("nn.attention.bias", "CausalBias"),
    "nn.attention._flex_block_mask": ("nn.attention.flex_attention", "BlockMask"),
    "optim._adam": ("optim", "Adam AdamW Adamax SparseAdam"),
    "optim._adam_variants": ("optim", "NAdam RAdam"),
    "optim._adaptive": ("optim", "Adadelta Adagrad RMSprop"),
    "optim._lbfgs": ("optim", "LBFGS"),
    "optim._matrix": ("optim", "Adafactor Muon"),
    "optim._sgd": ("optim", "ASGD Rprop SGD"),
    "utils._pytree_walk": ("utils.pytree", "GetAttrKey MappingKey SequenceKey"),
}


def attach(module: dict[str, Any]) -> None:
    """Give a *module*, by its ``globals()``, the names that have moved away from it."""
    here: str = module["__name__"]
    owner, names = MOVED[here[len("torchcompat.") :]]

    def __getattr__(name: str) -> Any:
        if name in names.split():
            return getattr(import_module("torchcompat." + owner), name)
        raise AttributeError(f"module {here!r} has no attribute {name!r}")

    module["__getattr__"] = __getattr__
