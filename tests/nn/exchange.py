"""Attention modules from one torch to another: run ``save DIRECTORY`` under one and ``load DIRECTORY`` under the other.

``load`` exits with 1 if a module, or a state dict, of the other torch is not understood here or gives other numbers.
"""

import functools
import os
import sys
import warnings

import numpy as np
import torch

import torchcompat.nn as nn
from torchcompat import at_least

# Torch 1.2 and 1.3 cannot read the format that torch 1.6 made the default.
WRITE = functools.partial(torch.save, _use_new_zipfile_serialization=False) if at_least(1, 4) else torch.save
READ = functools.partial(torch.load, weights_only=False) if at_least(1, 13) else torch.load
SMALL = {"dim_feedforward": 6, "dropout": 0.0}


class Own(nn.TransformerEncoderLayer):
    """A user's class."""


def encoder(**kwargs):
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, **SMALL, **kwargs), 2, torch.nn.LayerNorm(4))


def modules():
    """Modules by name, each with the lengths of its inputs."""
    tanh = {"activation": torch.nn.Tanh(), "norm_first": True}
    return {
        "attention": (nn.MultiheadAttention(4, 2), (3, 5, 5)),
        "attention apart": (nn.MultiheadAttention(4, 2, kdim=4, vdim=4, add_bias_kv=True, bias=False), (3, 5, 5)),
        "layer": (nn.TransformerEncoderLayer(4, 2, **SMALL), (3,)),
        "layer gelu": (nn.TransformerEncoderLayer(4, 2, activation="gelu", **SMALL), (3,)),
        "layer tanh": (nn.TransformerEncoderLayer(4, 2, bias=False, **SMALL, **tanh), (3,)),
        "layer of a user": (Own(4, 2, **SMALL), (3,)),
        "encoder": (encoder(), (3,)),
        "encoder batch first": (encoder(batch_first=True, activation="gelu"), (3,)),
        "decoder layer": (nn.TransformerDecoderLayer(4, 2, **SMALL), (3, 5)),
        "decoder layer gelu": (nn.TransformerDecoderLayer(4, 2, activation="gelu", **SMALL), (3, 5)),
        "decoder layer tanh": (nn.TransformerDecoderLayer(4, 2, bias=False, **SMALL, **tanh), (3, 5)),
        "decoder": (nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, **SMALL), 2), (3, 5)),
        "transformer": (nn.Transformer(4, 2, 1, 2, **SMALL), (5, 3)),
        "transformer batch first": (nn.Transformer(4, 2, 1, 2, batch_first=True, **SMALL), (3, 3)),
    }


def filled(module):
    """*module* with parameters that every torch draws alike."""
    generator = np.random.RandomState(7)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            parameter.copy_(torch.as_tensor(generator.randn(*parameter.shape)).to(parameter.dtype))
    return module


def answer(module, lengths):
    generator = np.random.RandomState(3)
    with torch.no_grad():
        out = module(*[torch.as_tensor(generator.randn(length, 2, 4)).float() for length in lengths])
    return (out[0] if isinstance(out, tuple) else out).tolist()


def save(directory):
    for name, (module, lengths) in modules().items():
        filled(module)
        path = os.path.join(directory, name.replace(" ", "_"))
        WRITE((module.state_dict(), answer(module, lengths)), path + ".state")
        WRITE((module, answer(module, lengths)), path + ".module")


def _problem(path, module, lengths):
    loaded, expected = READ(path)
    if path.endswith(".state"):
        module.load_state_dict(loaded)
        loaded = module
    elif not isinstance(loaded, type(module)):
        return f"came back as {type(loaded)}"
    difference = np.abs(np.array(answer(loaded, lengths)) - np.array(expected)).max()
    return "" if difference < 1e-4 else f"differs by {difference}"


def load(directory):
    """What goes wrong, by file."""
    problems = {}
    for name, (module, lengths) in modules().items():
        for kind in (".state", ".module"):
            file = name.replace(" ", "_") + kind
            try:
                problem = _problem(os.path.join(directory, file), module, lengths)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem:
                problems[file] = problem
    return problems


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of sources that differ
    if sys.argv[1] == "save":
        save(sys.argv[2])
    else:
        found = load(sys.argv[2])
        for file, problem in sorted(found.items()):
            print(f"{file}: {problem}")
        sys.exit(bool(found))
