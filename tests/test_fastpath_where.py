"""The diagnosis of decoders and of Transformer agrees with what torch does, part by part.

Every level of every factor alone, every pair of levels, and seeded draws. Observed is which attention and which encoder
layer calls a fused operator.
"""

import itertools
import random
import re
import sys
import warnings

import pytest
import torch
from _fastpath_cases import ATTENTION_OP, LAYER_OP, MODE, Subclass, circumstances, fused

from torchcompat import SHIMS, at_least
from torchcompat.attention import why_not_fastpath

FACTORS = {
    "training": ["eval", "train", "first", "second", "encoder"],
    "batch_first": [True, False],
    "norm_first": [False, True],
    "dims": [3, 2],
    "mask": [None, "bool", "float", "int"],
    "padding": [None, "end", "float", "int"],
    "heads": [2, 1],
    "odd": [None, "dropout", "bias", "bias_kv", "zero_attn", "dtype"],
    "grad": [
        "no_grad",
        "frozen",
        "inference",
        "weights",
        "tgt",
        "src",
        "memory_mask",
        "first",
        "second",
        "norm1",
        "encoder",
    ],
    "autocast": [None, "cuda", "cpu"],
    "flag": [True, False] if at_least(2, 3) else [True],
    "override": [None, "tgt", "src", "second"] + (["mode"] if MODE else []),
    "device": ["cpu", "meta"],
    "other": [None, "attention", "layer"],
    "hooks": [None, "first"],
}


def combinations(seed):
    default = {name: levels[0] for name, levels in FACTORS.items()}
    others = [(name, level) for name, levels in FACTORS.items() for level in levels[1:]]
    yield default
    for change in others:
        yield dict(default, **dict([change]))
    pairs = [pair for pair in itertools.combinations(others, 2) if pair[0][0] != pair[1][0]]
    sample = random.Random(seed)
    for pair in sample.sample(pairs, 150):
        yield dict(default, **dict(pair))
    for _ in range(70):
        yield {n: sample.choice(levels) if sample.random() < 0.15 else levels[0] for n, levels in FACTORS.items()}


class OtherAttention(torch.nn.Module):
    batch_first = True

    def forward(self, x, *inputs, **masks):
        return x, None


class OtherLayer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = torch.nn.MultiheadAttention(4, 2)  # TransformerDecoder looks at its batch_first

    def forward(self, tgt, memory, **masks):
        used = [memory, *self.parameters(), *(mask for mask in masks.values() if isinstance(mask, torch.Tensor))]
        return tgt + sum(0 * x.sum() for x in used).to(tgt.dtype)


def changed(layers, config):
    """The layers of a decoder as the combination describes them."""
    options = {"dropout": {"dropout": 0.5}, "bias": {"bias": False}, "bias_kv": {"add_bias_kv": True}}
    options["zero_attn"] = {"add_zero_attn": True}
    if config["odd"] in options:
        keywords = dict({"batch_first": config["batch_first"]}, **options[config["odd"]])
        layers[0].self_attn = torch.nn.MultiheadAttention(4, config["heads"], **keywords)
    elif config["odd"] == "dtype":
        layers[1].double()
    if config["override"] == "second":
        layers[1].linear1.weight = torch.nn.Parameter(torch.zeros(4, 4).as_subclass(SubclassParameter))
    if config["hooks"]:
        layers[0].linear1.register_forward_hook(lambda module, inputs, output: None)
    if config["other"] == "attention":
        layers[0].self_attn = OtherAttention()
    elif config["other"] == "layer":
        layers[0] = OtherLayer()


class SubclassParameter(torch.nn.Parameter):
    __torch_function__ = torch.Tensor.__dict__["__torch_function__"] if at_least(1, 12) else None


def set_grad(module, layers, config, tgt, src):
    module.requires_grad_(config["grad"] == "weights")
    if config["grad"] in ("first", "second"):
        layers[int(config["grad"] == "second")].requires_grad_(True)
    elif config["grad"] == "norm1" and config["other"] != "layer":
        layers[0].norm1.requires_grad_(True)
    elif config["grad"] == "encoder" and hasattr(module, "encoder"):
        module.encoder.requires_grad_(True)
    elif config["grad"] in ("tgt", "src"):
        {"tgt": tgt, "src": src}[config["grad"]].requires_grad_(True)


def mask_of(config, name, *shape):
    kind = config[name]
    if kind is None:
        return None
    mask = torch.zeros(*shape, dtype=torch.bool, device=config["device"])
    mask[..., -1] = name == "padding" and config["device"] == "cpu"
    if kind == "float":
        return torch.zeros(*shape, device=config["device"]).masked_fill(mask, float("-inf"))
    return mask.long() if kind == "int" else mask


def masks_of(config):
    batch = (2,) if config["dims"] == 3 else ()
    masks = {"tgt_mask": mask_of(config, "mask", 3, 3), "tgt_key_padding_mask": mask_of(config, "padding", *batch, 3)}
    if config["grad"] == "memory_mask":
        masks["memory_mask"] = torch.zeros(3, 3, requires_grad=True, device=config["device"])
    return masks


def source(config):
    x = (
        torch.randn(3, 4)
        if config["dims"] == 2
        else torch.randn(2, 3, 4)
        if config["batch_first"]
        else torch.randn(3, 2, 4)
    )
    return x.to(config["device"])


class Observed:
    """Which modules called a fused operator, and what the call raised."""

    def __init__(self, call):
        self.callers, self.error = [], None
        before = sys.getprofile()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sys.setprofile(self._note)
            try:
                call()
            except Exception as error:
                self.error = error
            finally:
                sys.setprofile(before)

    def _note(self, frame, event, function):
        if event == "c_call" and getattr(function, "__name__", "") in (LAYER_OP, ATTENTION_OP):
            self.callers.append(frame.f_locals.get("self"))


def indices(place, count):
    found = re.search(r"layers\[([\d, ]+)\]", place)
    return [int(index) for index in found.group(1).split(",")] if found else list(range(count))


def blocked(reasons, part, count):
    """The layers of whose *part* ("self_attn", "multihead_attn", or "encoder" for its layers) a reason speaks."""
    found = set()
    for reason in reasons:
        _, place, _ = reason.split(": ", 2)
        of_whole_layer = part == "self_attn" and "attn" not in place and "encoder" not in place
        if part in place or of_whole_layer:
            found.update(indices(place, count))
    return found


def problems(config, module, layers, inputs, masks):
    encoder = list(module.encoder.layers) if hasattr(module, "encoder") else []
    with circumstances(config):
        reasons = why_not_fastpath(module, *inputs, **masks)
        seen = Observed(lambda: module(*inputs, **masks))
    if len(set(reasons)) != len(reasons):
        yield f"twice: {reasons}"
    attentions = [getattr(layer, "self_attn", None) for layer in layers]
    went_on = seen.error is None
    for part, modules in (("encoder", encoder), ("self_attn", attentions)):
        no = blocked(reasons, part, len(modules))
        for index, one in enumerate(modules):
            called = any(caller is one for caller in seen.callers)
            first = index == 0 and (part == "encoder" or not encoder)
            wrong = index in no if called else index not in no and (went_on or first)
            if wrong and not unparsed(one, part):
                yield f"{part} {index}: called {called}, error {seen.error!r}, but got {reasons}"
    if any(layer is not None and getattr(layer, "multihead_attn", 0) in seen.callers for layer in layers):
        yield "an attention to the memory was fused"
    if blocked(reasons, "multihead_attn", len(layers)) != {
        i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.TransformerDecoderLayer)
    }:
        yield f"multihead_attn: got {reasons}"


def unparsed(module, part):
    """1.13 and 2.0 call the operator of an attention without bias, which takes no None and never runs."""
    return part == "self_attn" and getattr(module, "in_proj_bias", 0) is None and not at_least(2, 1)


def set_training(module, layers, config):
    module.eval()
    if config["training"] == "train":
        module.train()
    elif config["training"] == "encoder" and hasattr(module, "encoder"):
        module.encoder.train()
    elif config["training"] in ("first", "second"):
        layers[int(config["training"] == "second")].train()


def tensors(config, module, layers):
    tgt, src = source(config), source(config)
    set_grad(module, layers, config, tgt, src)
    if config["override"] == "tgt":
        tgt = tgt.as_subclass(Subclass)
    elif config["override"] == "src":
        src = src.as_subclass(Subclass)
    return tgt, src


def check(kind):
    options = {"activation": "relu", "dropout": 0.0}
    found = []
    for config in combinations(kind):
        shape = {"batch_first": config["batch_first"], "norm_first": config["norm_first"]}
        if kind == "Transformer":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the constructor tells why it will not pack
                module = torch.nn.Transformer(4, config["heads"], 1, 2, 4, **shape, **options)
            layers = module.decoder.layers
        else:
            layer = torch.nn.TransformerDecoderLayer(4, config["heads"], 4, **shape, **options)
            module = torch.nn.TransformerDecoder(layer, 2)
            layers = module.layers
        changed(layers, config)
        set_training(module, layers, config)
        tgt, src = tensors(config, module, layers)
        inputs = (src, tgt) if kind == "Transformer" else (tgt, src)
        found += [
            (problem, {name: level for name, level in config.items() if level != FACTORS[name][0]})
            for problem in problems(config, module, layers, inputs, masks_of(config))
        ]
    assert not found, "\n".join([str(len(found)), *map(str, found[:6])])


@fused
@pytest.mark.parametrize("kind", ["TransformerDecoder", "Transformer"])
def test_the_diagnosis_is_what_torch_does(kind):
    check(kind)


CROSS = "The query is the decoder's, key and value are the memory; no torch has a fused operator for that."
TRAINING = "The module is in training mode; call eval() on it."


@fused
@torch.no_grad()
def test_the_places():
    x = torch.zeros(2, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constructor tells why it will not pack
        model = torch.nn.Transformer(4, 2, 2, 2, 4, batch_first=True, activation="relu", dropout=0.0).eval()
    decoder, first = model.decoder, model.decoder.layers[0]
    assert why_not_fastpath(first, x, x) == [f"cross_attention: multihead_attn: {CROSS}"]
    assert why_not_fastpath(decoder, x, x) == [f"cross_attention: multihead_attn of every layer: {CROSS}"]
    assert why_not_fastpath(model, x, x) == [f"cross_attention: multihead_attn of every layer of decoder: {CROSS}"]
    first.train()
    assert why_not_fastpath(first, x, x)[0] == f"training: self_attn: {TRAINING}"
    assert why_not_fastpath(decoder, x, x)[0] == f"training: layers[0].self_attn: {TRAINING}"
    assert why_not_fastpath(model, x, x)[0] == f"training: decoder.layers[0].self_attn: {TRAINING}"
    model.train()
    assert why_not_fastpath(decoder, x, x)[0] == f"training: self_attn of every layer: {TRAINING}"
    assert why_not_fastpath(model, x, x)[:2] == [
        f"training: every layer of encoder: {TRAINING}",
        f"training: self_attn of every layer of decoder: {TRAINING}",
    ]
    model.eval().encoder.layers[1].train()
    assert why_not_fastpath(model, x, x)[0] == f"training: encoder.layers[1]: {TRAINING}"


@fused
@torch.no_grad()
def test_other_parts():
    x = torch.zeros(2, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.nn.Transformer(4, 2, 1, 1, 4, batch_first=True).eval()
    model.encoder, model.decoder = torch.nn.Linear(4, 4), torch.nn.Bilinear(4, 4, 4)
    assert why_not_fastpath(model, x, x) == [
        "layer_type: encoder: The encoder is a Linear, which is no torch.nn.TransformerEncoder; use one.",
        "layer_type: decoder: The decoder is a Bilinear, which is no torch.nn.TransformerDecoder; use one.",
    ]
    layer = torch.nn.TransformerDecoderLayer(4, 2, 4, batch_first=True)
    empty = torch.nn.TransformerDecoder(layer, 0)
    assert why_not_fastpath(empty, x, x) == ["no_layers: The decoder has no layers; construct it with at least one."]
    model.decoder = empty
    assert why_not_fastpath(model, x, x)[1].startswith("no_layers: decoder: The decoder has no layers")


@fused
@torch.no_grad()
def test_the_attention_of_our_own_decoder():
    x = torch.zeros(2, 3, 4)
    layer = SHIMS["nn.TransformerDecoderLayer"].fallback(4, 2, 4, dropout=0.0, batch_first=True).eval()
    decoder = SHIMS["nn.TransformerDecoder"].fallback(layer, 2).eval()
    reasons = why_not_fastpath(decoder, x, x)
    assert [reason.partition(":")[0] for reason in reasons] == ["cross_attention"]
    assert len(Observed(lambda: decoder(x, x)).callers) == 2


def test_asking_runs_nothing_and_changes_nothing():
    x = torch.zeros(2, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constructor tells why it will not pack
        model = torch.nn.Transformer(4, 2, 1, 1, 4)
    for module in model.modules():
        module.register_forward_pre_hook(lambda module, inputs: pytest.fail("the module was run"))
    before = [tensor.clone() for tensor in model.state_dict().values()], torch.get_rng_state()
    for _ in ("train", "eval"):
        why_not_fastpath(model, x, x, tgt_mask=torch.zeros(3, 3))
        why_not_fastpath(model.decoder, x, x, tgt_mask=torch.zeros(3, 3))
        why_not_fastpath(model.decoder.layers[0], x, x)
        model.eval()
    assert all(map(torch.equal, before[0], model.state_dict().values()))
    assert torch.equal(before[1], torch.get_rng_state())
