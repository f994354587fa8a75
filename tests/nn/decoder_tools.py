"""What the tests of the decoder and of its layer share."""

import torch
from attention_reference import decoder_layer, np_relu, randomised
from attention_tools import DOUBLE, double

from torchcompat import SHIMS

LAYER, DECODER = SHIMS["nn.TransformerDecoderLayer"], SHIMS["nn.TransformerDecoder"]


# Batch 3, target length 4, memory length 5.
TGT = torch.tensor([[False, False, False, False], [False, False, True, True], [False, False, False, True]])


MEMORY = torch.tensor([[False, True, False, True, False], [False] * 5, [False, False, False, True, True]])


HIDDEN = torch.tensor([[False, False, True, False, True]] * 2 + [[False, True, False, False, False]] * 2)


SMALL = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0, "dtype": DOUBLE, "batch_first": True}


def make(impl, **kwargs):
    """A layer without dropout whose parameters are all random."""
    return randomised(impl(**{**SMALL, **kwargs}))


def inputs():
    return double(3, 4, 4), double(3, 5, 4)


def by_formula(module, *args, **masks):
    """What *module* gives for batch-first inputs, by the formula."""
    tgt, memory = args
    both = [masks.get(side + "_mask") for side in ("tgt", "memory")]
    paddings = [masks.get(side + "_key_padding_mask") for side in ("tgt", "memory")]
    for layer in getattr(module, "layers", [module]):
        tgt = decoder_layer(layer, tgt, memory, np_relu, both, paddings)
    return tgt


SHAPES = {
    "tgt_mask": (4, 4),
    "memory_mask": (4, 5),
    "tgt_key_padding_mask": (3, 4),
    "memory_key_padding_mask": (3, 5),
}
