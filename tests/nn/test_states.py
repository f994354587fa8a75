"""Pickles of the attention modules: what they name, and what must be supplied where another torch wrote them."""

import copy
import pickle
import pickletools
import warnings
from importlib import import_module

import exchange
import pytest
import torch
from assertions import close
from attention_reference import randomised, saved_and_loaded

from torchcompat import SHIMS, at_least, nn

# The modules where a pickle of the first releases finds a class. Files out there hold these names.
HOMES = {
    "MultiheadAttention": "torchcompat.nn._multihead",
    "TransformerEncoderLayer": "torchcompat.nn._transformer",
    "TransformerEncoder": "torchcompat.nn._transformer",
    "TransformerDecoderLayer": "torchcompat.nn._decoder",
    "TransformerDecoder": "torchcompat.nn._decoder",
    "Transformer": "torchcompat.nn._seq2seq",
}
OURS = {f"torchcompat.nn {name}" for name in [*HOMES, "_PlainLinear", "_activation"]}
OLD = {"Linear", "Dropout", "LayerNorm", "ModuleList"}
public = pytest.mark.skipif(
    nn.Transformer is not SHIMS["nn.Transformer"].fallback,
    reason="the fallbacks have no public names here to pickle them by",
)
quiet = pytest.mark.filterwarnings("ignore:enable_nested_tensor")


def made(name, kinds):
    """A small module of the class *name* and its inputs; *kinds*: gives the class of each name."""
    tgt, memory = torch.randn(4, 2, 4), torch.randn(5, 2, 4)
    if name == "MultiheadAttention":
        return kinds(name)(4, 2), (tgt, memory, memory)
    if name == "Transformer":
        return kinds(name)(4, 2, 1, 2, 6, 0.0), (memory, tgt)
    layer = kinds(name.replace("Layer", "") + "Layer")(4, 2, 6, 0.0)
    module = layer if name.endswith("Layer") else kinds(name)(layer, 2)
    return module, (tgt, memory) if "Decoder" in name else (tgt,)


def ours(name):
    return SHIMS["nn." + name].fallback


def torchs(name):
    return getattr(torch.nn, name)


def answer(module, args):
    out = module(*args)
    return out[0] if isinstance(out, tuple) else out


def names_in(pickled):
    """What a pickle of protocol 2 names, as ``module name``."""
    return {argument for code, argument, _ in pickletools.genops(pickled) if code.name == "GLOBAL"}


@pytest.mark.parametrize("name", sorted(HOMES))
def test_the_names_in_pickles_are_here(name):
    assert getattr(import_module(HOMES[name]), name) is SHIMS["nn." + name].public
    assert SHIMS["nn." + name].fallback.__module__ == "torchcompat.nn"


@public
@quiet
@pytest.mark.parametrize("name", sorted(HOMES))
def test_a_pickle_names_nothing_that_another_torch_lacks(name):
    module, _ = made(name, ours)
    if hasattr(module, "activation"):
        module.activation = torch.nn.functional.gelu
    named = names_in(pickle.dumps(module, 2))
    assert f"torchcompat.nn {name}" in named
    assert {text for text in named if text.startswith("torchcompat")} <= OURS
    # These classes have been in torch since 1.2; gelu has had more than one home.
    assert {text.split()[1] for text in named if text.startswith("torch.nn.modules")} <= OLD
    assert not [text for text in named if text.startswith("torch._C")]


@public
@quiet
@pytest.mark.parametrize("name", sorted(HOMES))
def test_saved_and_loaded(name):
    module, args = made(name, ours)
    loaded = saved_and_loaded(randomised(module))
    assert type(loaded) is type(module)
    close(answer(loaded, args), answer(module, args))


@quiet
@pytest.mark.parametrize("name", sorted(HOMES))
def test_the_state_of_torchs_own_object(name):
    # That of a user's class whose base was torch's own when it was pickled.
    theirs, args = made(name, torchs)
    expected = answer(randomised(theirs), args)
    restored = ours(name).__new__(ours(name))
    restored.__setstate__(copy.deepcopy(theirs).__dict__)
    close(answer(restored, args), expected, 1e-5)
    if not at_least(2, 0):
        assert not [part for part in restored.modules() if type(part) in [torchs(each) for each in HOMES]]


ABSENT = {
    "MultiheadAttention": ["batch_first"],
    "TransformerEncoderLayer": ["activation", "norm_first", "activation_relu_or_gelu"],
    "TransformerEncoder": ["enable_nested_tensor", "use_nested_tensor", "mask_check"],
    "TransformerDecoderLayer": ["activation", "norm_first"],
    "TransformerDecoder": [],
    "Transformer": ["batch_first"],
}


@quiet
@pytest.mark.parametrize("name", sorted(HOMES))
def test_the_state_that_torch_1_2_would_have_written(name):
    module, args = made(name, ours)
    expected = answer(randomised(module), args)
    restored = ours(name).__new__(ours(name))
    state = dict(copy.deepcopy(module).__dict__)
    for attribute in ABSENT[name]:
        del state[attribute]
    restored.__setstate__(state)
    close(answer(restored, args), expected)
    for attribute in set(ABSENT[name]) - {"enable_nested_tensor", "use_nested_tensor"}:
        assert getattr(restored, attribute) == getattr(module, attribute)


@pytest.mark.parametrize("name", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
@pytest.mark.parametrize("activation", ["relu", "gelu", torch.tanh, torch.nn.Tanh()])
def test_activations_come_back(name, activation):
    layer = ours(name)(4, 2, 6, activation=activation)
    copied = copy.deepcopy(layer)
    if isinstance(activation, torch.nn.Module):
        assert isinstance(copied.activation, torch.nn.Tanh)
        assert "activation" in dict(copied.named_children())
        assert "activation" not in vars(copied)
        assert copied.activation is not layer.activation
    else:
        assert copied.activation is layer.activation
    copied.activation = torch.nn.ReLU() if isinstance(activation, torch.nn.Module) else torch.sigmoid
    assert copied.activation is not layer.activation


@pytest.mark.parametrize("name", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
def test_torchs_own_class_understands_a_layer_of_ours(name):
    # Where the public class is torch's own, it is given the state that ours wrote elsewhere.
    layer = ours(name)(4, 2, 6, activation=torch.nn.Tanh())
    restored = torchs(name).__new__(torchs(name))
    restored.__setstate__(copy.deepcopy(layer.__getstate__()))
    assert isinstance(restored.activation, torch.nn.Tanh)


def test_exchange_with_this_very_torch(tmp_path):
    # With another: see exchange.py.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exchange.save(str(tmp_path))
        problems = exchange.load(str(tmp_path))
    limits = {limit.key for limit in SHIMS["nn.TransformerDecoderLayer"].limits_here()}
    assert set(problems) == ({"decoder_layer_tanh.module"} if "copied-activation" in limits else set())
