"""Calls of torch's encoder layers in every combination of what decides on the fused path, and what torch does then.

Whether torch calls a fused operator is observed with Python's own profile hook: nothing in torch is replaced.
"""

import contextlib
import functools
import itertools
import os
import random
import sys
import warnings
from collections import Counter

import pytest
import torch

from torchcompat import at_least, is_version

fused = pytest.mark.skipif(not at_least(1, 12), reason="torch has a fused encoder path since 1.12")

LAYER_OP, ATTENTION_OP, PACKING_OP = (
    "_transformer_encoder_layer_fwd",
    "_native_multi_head_attention",
    "_nested_tensor_from_mask",
)


# Observing.


class Observed:
    """Which of the fused operators a call called, which of them raised, and what the call raised."""

    def __init__(self, call):
        self.called, self.raised, self.error = Counter(), Counter(), None
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
        if event == "c_call" or event == "c_exception":
            name = getattr(function, "__name__", "")
            if name in (LAYER_OP, ATTENTION_OP, PACKING_OP):
                (self.called if event == "c_call" else self.raised)[name] += 1


# Factors: name, then level: the codes to expect, each perhaps with the first and the last minor it is one on.


def since(code, *version):
    return code if at_least(*version) else None


def until(code, *version):
    return None if at_least(version[0], version[1] + 1) or at_least(version[0] + 1) else code


FLAG = {True: [], False: ["flag"]} if at_least(2, 3) else {True: []}
MODE = torch.overrides.TorchFunctionMode if at_least(1, 13) else None
GRAD = {"no_grad": [], "frozen": [], "inference": [], "weights": ["grad"], "input": ["grad"]}
AUTOCAST = {None: [], "cuda": [since("autocast", 1, 13)], "cpu": []}
OVERRIDE = {None: [], "subclass": ["torch_function"]}
if MODE:
    OVERRIDE["mode"] = ["torch_function"]
PADDING_DTYPE = since("mask_dtype", 1, 13)
MASK_DTYPE = since("mask_dtype", 2, 0)
NO_MASK = until("attn_mask", 1, 13)
ODD = since("odd_heads", 1, 13)

LAYER = {
    "training": {False: [], True: ["training"]},
    "batch_first": {True: [], False: ["batch_first"]},
    "norm_first": {False: [], True: [until("norm_first", 1, 12)]},
    "dims": {3: [], 2: ["dims"]},
    "mask": {None: [], "bool": [NO_MASK], "float": [NO_MASK], "int": [NO_MASK, MASK_DTYPE]},
    "padding": {None: [], "end": [], "start": [], "float": [], "int": [PADDING_DTYPE]},
    "eps": {"same": [], "differ": ["eps"]},
    "activation": {"relu": [], "gelu": [], "module": [until("activation", 1, 12)], "tanh": ["activation"]},
    "heads": {2: [], 1: [ODD]},
    "embed_dim": {"same": [], "kdim": ["embed_dim"]},
    "bias": {True: [], False: ["weights"], "in_proj": ["weights"], "norm": ["weights"]},
    "hooks": {None: [], "pre": [since("hooks", 2, 5)], "forward": [since("hooks", 2, 5)], "backward": []},
    "grad": GRAD,
    "autocast": AUTOCAST,
    "flag": FLAG,
    "override": OVERRIDE,
    "nested": {False: [], True: []},
    "device": {"cpu": [], "meta": ["device"]},
}
FLOAT = since("float_mask", 2, 1)
ATTENTION = {
    "self": {"same": [], "key": ["self_attention"], "value": ["self_attention"]},
    "training": LAYER["training"],
    "batch_first": LAYER["batch_first"],
    "dims": LAYER["dims"],
    "dtype": {"same": [], "float64": ["dtype"]},
    "mask": {None: [], "bool": [NO_MASK], "float": [NO_MASK, FLOAT], "int": [NO_MASK, MASK_DTYPE]},
    "padding": {None: [], "end": [], "start": [], "float": [FLOAT], "int": [PADDING_DTYPE]},
    "heads": {2: [], 1: [] if is_version(2, 0) else [ODD]},
    "embed_dim": LAYER["embed_dim"],
    "bias": {True: [], False: ["weights"]},
    "bias_kv": {False: [], True: ["bias_kv"]},
    "zero_attn": {False: [], True: ["add_zero_attn"]},
    "dropout": {0.0: [], 0.5: [until("dropout", 1, 13)]},
    "hooks": {None: [], "pre": [], "forward": [], "backward": []},
    "grad": GRAD,
    "autocast": AUTOCAST,
    "flag": FLAG,
    "override": OVERRIDE,
    "nested": {False: [], True: []},
    "device": LAYER["device"],
}
# Of an encoder's factors the codes depend on each other: see `expected_packing` and `expected_layer`.
ENCODER = dict(LAYER)
ENCODER.update(
    training={"eval": [], "train": ["training"], "first": ["training"], "second": ["training"]},
    padding={"end": [], None: ["no_padding"], "start": ["alignment"], "float": [], "int": [PADDING_DTYPE]},
    mask={None: [], "bool": ["attn_mask"], "float": ["attn_mask"], "int": ["attn_mask"]},
    norm_first={False: [], True: ["norm_first"]},
    grad=dict(GRAD, first=["grad"], second=["grad"]),
    enable={True: [], False: ["enable_nested_tensor"]},
    mask_check={True: [], False: []} if at_least(1, 13) else {True: []},
    eps={"same": [], "differ": ["eps"], "repaired": ["eps"], "broken": ["eps"], "second": ["eps"]},
    late={None: [], "no attribute": ["use_nested_tensor"]} if at_least(2, 1) else {None: []},
)


def two_levels(factors):
    """Every factor at its first level and at the first one that violates something, or at its last."""
    for name, levels in factors.items():
        default, others = next(iter(levels)), list(levels)[1:]
        bad = [level for level in others if any(levels[level])]
        yield name, [default] + (bad or others[-1:])[:1]


def drawn(factors, violations):
    """A seeded draw in which a factor violates something with a probability of *violations*."""
    for name, levels in factors.items():
        good = [level for level in levels if not any(levels[level])]
        bad = [level for level in levels if any(levels[level])]
        yield name, SAMPLE.choice(bad if bad and SAMPLE.random() < violations else good)


SAMPLE = random.Random(0)


def combinations(factors):
    """Every level alone, every pair of levels, draws with few violations and with many, and the product if wanted."""
    default = {name: next(iter(levels)) for name, levels in factors.items()}
    others = [(name, level) for name, levels in factors.items() for level in list(levels)[1:]]
    yield default
    for change in others:
        yield dict(default, **dict([change]))
    for one, two in itertools.combinations(others, 2):
        if one[0] != two[0]:
            yield dict(default, **dict([one, two]))
    for violations in [0.0] * 100 + [0.07] * 200 + [0.5] * 50:
        yield dict(drawn(factors, violations))
    if "TORCHCOMPAT_FACTORS" in os.environ:
        yield from product(factors, default, int(os.environ["TORCHCOMPAT_FACTORS"]))


def product(factors, default, most):
    """All factors at two levels each, with at most so many of them off their first level."""
    changes = [(name, levels[1]) for name, levels in two_levels(factors) if len(levels) > 1]
    for count in range(min(most, len(changes)) + 1):
        for chosen in itertools.combinations(changes, count):
            yield dict(default, **dict(chosen))


def possible(config):
    """Nested tensors come in one shape, and neither as a subclass nor on the meta device."""
    plain = config["dims"] == 3 and config["device"] == "cpu" and config["override"] != "subclass"
    return (plain and config.get("dtype", "same") == "same") or not config["nested"]


# Building what a combination describes.


class Subclass(torch.Tensor):
    pass


def nested_tensor(rows):
    make = torch.nested.nested_tensor if hasattr(torch, "nested") else torch.nested_tensor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1.12 to 2.15 call it a prototype
        return make(rows)


def input_of(config):
    if config["nested"]:
        return nested_tensor([torch.randn(3, 4), torch.randn(2, 4)])
    x = torch.randn(2, 3, 4) if config["dims"] == 3 else torch.randn(3, 4)
    x = x.to(config["device"], torch.float64 if config.get("dtype") == "float64" else torch.float32)
    return x.as_subclass(Subclass) if config["override"] == "subclass" else x


BOOL = {
    "mask": torch.tensor([[False, True, True], [False, False, True], [False, False, False]]),
    "end": torch.tensor([[False, False, False], [False, False, True]]),
    "start": torch.tensor([[False, False, False], [True, False, False]]),
}


def mask_of(config, name):
    kind = config[name]
    if kind is None:
        return None
    mask = BOOL["mask" if name == "mask" else kind if kind in BOOL else "end"]
    if config["dims"] == 2 and name == "padding":
        mask = mask[1]
    if kind == "float":
        mask = torch.zeros(mask.shape).masked_fill(mask, float("-inf"))
    elif kind == "int":
        mask = mask.long()
    return mask.to(config["device"])


def attention_of(config):
    attention = torch.nn.MultiheadAttention(
        4,
        config["heads"],
        dropout=config.get("dropout", 0.0),
        bias=config.get("bias") is not False,
        add_bias_kv=config.get("bias_kv", False),
        add_zero_attn=config.get("zero_attn", False),
        kdim=6 if config["embed_dim"] == "kdim" else None,
        batch_first=config["batch_first"],
    )
    return hooked(attention, attention.out_proj, config["hooks"])


def hooked(module, submodule, kind):
    if kind == "pre":
        submodule.register_forward_pre_hook(lambda module, args: None)
    elif kind == "forward":
        submodule.register_forward_hook(lambda module, args, output: None)
    elif kind == "backward":
        submodule.register_full_backward_hook(lambda module, grads, more: None)
    return module


ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "module": torch.nn.ReLU(), "tanh": torch.tanh}


def layer_of(config):
    layer = torch.nn.TransformerEncoderLayer(
        4,
        config["heads"],
        4,
        activation=ACTIVATIONS[config["activation"]],
        batch_first=config["batch_first"],
        norm_first=config["norm_first"],
    )
    layer.self_attn = attention_of(dict(config, bias=config["bias"] != "in_proj", hooks=None))
    if config["eps"] in ("differ", "repaired"):
        layer.norm2.eps = 0.5
    if config["bias"] is False:  # as far as an older torch can have it; layers with bias=False have a test of their own
        layer.linear1.register_parameter("bias", None)
    elif config["bias"] == "norm":
        layer.norm1 = torch.nn.LayerNorm(4, elementwise_affine=False)
    return hooked(layer, layer.linear1, config["hooks"])


def encoder_of(config):
    options = {"mask_check": config["mask_check"]} if at_least(1, 13) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constructor tells why it will not pack
        layer = layer_of(config)
        encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=config["enable"], **options)
    eps = {"repaired": (0, layer.norm1.eps), "broken": (0, 0.5), "second": (1, 0.5)}.get(config["eps"])
    if eps:
        encoder.layers[eps[0]].norm2.eps = eps[1]
    if config["late"] == "no attribute":
        del encoder.use_nested_tensor
    return encoder


MADE = ("heads", "dropout", "bias", "bias_kv", "zero_attn", "embed_dim", "batch_first", "hooks", "activation", "eps")
MADE += ("norm_first", "enable", "mask_check", "late")


def maker(build):
    cached = functools.lru_cache(maxsize=None)(lambda items: build(dict(items)))
    return lambda config: cached(tuple((name, config[name]) for name in MADE if name in config))


make = {"attention": maker(attention_of), "layer": maker(layer_of), "encoder": maker(encoder_of)}


def set_grad(module, x, kind):
    module.requires_grad_(kind == "weights")
    if kind in ("first", "second"):
        module.layers[int(kind == "second")].requires_grad_(True)
    if kind == "input" and not x.is_nested:
        x.requires_grad_(True)


@contextlib.contextmanager
def circumstances(config):
    """Grad mode, autocast, switch and mode of a combination."""
    with contextlib.ExitStack() as stack:
        if config["grad"] in ("no_grad", "inference"):
            stack.enter_context(torch.no_grad() if config["grad"] == "no_grad" else torch.inference_mode())
        if config["autocast"] == "cpu":
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        elif config["autocast"] == "cuda":  # the context would see that there is no device
            torch.set_autocast_enabled(True)
            stack.callback(torch.set_autocast_enabled, False)
        if not config["flag"]:
            torch.backends.mha.set_fastpath_enabled(False)
            stack.callback(torch.backends.mha.set_fastpath_enabled, True)
        if config["override"] == "mode":
            stack.enter_context(PassThrough())
        yield


if MODE:

    class PassThrough(MODE):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))


def codes(reasons):
    return {reason.partition(":")[0] for reason in reasons}


def expected_codes(factors, config):
    found = {code for name, levels in factors.items() for code in levels[config[name]] if code}
    masks = [config["padding"]] + ([config["mask"]] if at_least(2, 0) else [])
    if config["embed_dim"] == "kdim" and config["bias"] is False:  # then there is no in_proj to compare with
        found.discard("dtype")
    return found | ({"nested_mask"} if config["nested"] and any(masks) else set())


def grad_input(config):
    """A nested tensor is not made to require grad here."""
    return dict(config, grad="frozen") if config["grad"] == "input" and config["nested"] else config


def a_layer(**options):
    options = dict({"batch_first": True}, **options) if at_least(1, 9) else options
    return torch.nn.TransformerEncoderLayer(4, 2, 4, **options).eval()


def an_encoder(layer, count=2, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constructor tells why it will not pack
        return torch.nn.TransformerEncoder(layer, count, **options).eval()


def places(reasons):
    for reason in reasons:
        code, place, _ = reason.split(": ", 2)
        for index in (0, 1):
            if place == "every layer" or str(index) in place:
                yield code, index
