"""The diagnosis of the fused path agrees with what torch does, over the combinations of its conditions.

A combination gives every factor one of its levels. Run are every pair of levels and seeded draws, most of them with no
violation or with one or two. ``TORCHCOMPAT_FACTORS=n`` in the environment adds all combinations of up to n factors.
"""

import pytest
from _fastpath_cases import (
    ATTENTION,
    ATTENTION_OP,
    ENCODER,
    LAYER,
    LAYER_OP,
    PACKING_OP,
    Observed,
    circumstances,
    codes,
    combinations,
    expected_codes,
    fused,
    grad_input,
    input_of,
    make,
    mask_of,
    places,
    possible,
    set_grad,
)

from torchcompat import at_least, is_version
from torchcompat.attention import _conditions, why_not_fastpath, why_not_nested_tensor


def check(factors, config, module, inputs, masks, operator, crashes):
    """What the diagnosis and torch disagree on, in words."""
    with circumstances(config):
        reasons = why_not_fastpath(module, *inputs, **masks)
        seen = Observed(lambda: module(*inputs, **masks))
    if codes(reasons) != expected_codes(factors, config) or len(reasons) != len(codes(reasons)):
        yield f"expected {expected_codes(factors, config)}, got {reasons}"
    if (seen.called[operator] == 1) != (not reasons or unparsed(config, operator, reasons)):
        yield f"called {seen.called}, error {seen.error!r}, but got {reasons}"
    if bool(seen.raised[operator]) != (unparsed(config, operator, reasons) or (not reasons and crashes(config))):
        yield f"raised {seen.error!r}, expected to raise: {crashes(config)}"


def unparsed(config, operator, reasons):
    """1.13 and 2.0 call the operator of an attention without bias, which takes no None and never runs."""
    return operator is ATTENTION_OP and codes(reasons) == {"weights"} and (is_version(1, 13) or is_version(2, 0))


def layer_crashes(config):
    """Under CPU autocast the fused layer mixes dtypes: up to 2.5, and with a nested tensor still."""
    return config["autocast"] == "cpu" and (config["nested"] or not at_least(2, 6))


def attention_crashes(config):
    """The same; the attention does so up to 2.1."""
    return config["autocast"] == "cpu" and not at_least(2, 2)


@fused
def test_layer():
    problems = []
    for config in map(grad_input, filter(possible, combinations(LAYER))):
        layer, x = make["layer"](config).train(config["training"]), input_of(config)
        set_grad(layer, x, config["grad"])
        masks = {"src_mask": mask_of(config, "mask"), "src_key_padding_mask": mask_of(config, "padding")}
        problems += [(p, config) for p in check(LAYER, config, layer, (x,), masks, LAYER_OP, layer_crashes)]
    assert not problems, (len(problems), problems[:5])


@fused
def test_attention():
    problems = []
    for config in map(grad_input, filter(possible, combinations(ATTENTION))):
        attention, x, other = make["attention"](config).train(config["training"]), input_of(config), input_of(config)
        set_grad(attention, x, config["grad"])
        inputs = (x, other if config["self"] == "key" else x, other if config["self"] == "value" else x)
        masks = {"attn_mask": mask_of(config, "mask"), "key_padding_mask": mask_of(config, "padding")}
        problems += [
            (p, config) for p in check(ATTENTION, config, attention, inputs, masks, ATTENTION_OP, attention_crashes)
        ]
    assert not problems, (len(problems), problems[:5])


def expected_static(config, different_eps):
    """What the layer is made like, that keeps a batch from being packed."""
    found = {
        code
        for name in ("norm_first", "batch_first", "embed_dim", "activation", "heads")
        for code in ENCODER[name][config[name]]
        if code
    }
    found |= {"eps"} if different_eps else set()
    return found | ({"bias"} if config["bias"] == "in_proj" and at_least(2, 3) else set())


def expected_packing(config):
    static = expected_static(config, config["eps"] in ("differ", "broken"))
    at_construction = expected_static(config, config["eps"] in ("differ", "repaired"))
    usable = config["enable"] and not at_construction and not config["late"]
    names = ("flag", "enable", "dims", "padding", "mask", "autocast", "override", "device", "grad", "training")
    found = {code for name in names for code in ENCODER[name][config[name]] if code and config[name] != "second"}
    if not at_least(2, 1) or not usable:
        found |= static
    if at_least(2, 1) and not usable and config["enable"] and not static:
        found.add("use_nested_tensor")
    if not at_least(1, 13) or not config["mask_check"] or config["device"] == "meta":
        found.discard("alignment")
    if config["mask"] == "int" and at_least(2, 0):
        found.add("mask_dtype")
    if config["bias"] is not True and config["grad"] not in ("no_grad", "inference"):
        found.add("weights")
    return found | ({"nested"} if config["nested"] else set())


def expected_layer(config, index, packed):
    this = "first" if index == 0 else "second"
    as_layer = dict(
        config,
        training=config["training"] in ("train", this),
        grad="weights" if config["grad"] == "first" or config["grad"] == this else config["grad"],
        eps="differ" if config["eps"] in (("differ", "broken"), ("differ", "repaired", "second"))[index] else "same",
        padding=None if packed else config["padding"],
        nested=config["nested"] or packed,
    )
    if as_layer["grad"] == "second":
        as_layer["grad"] = "frozen"
    return expected_codes(LAYER, as_layer)


def encoder_crashes(config, packed, layers):
    """Whether the call raises, although torch takes its fused path: where padding comes first 1.12 cannot pack."""
    if is_version(1, 12) and packed and config["padding"] == "start":
        return True
    return layer_crashes(dict(config, nested=packed or config["nested"])) and not layers[0]


def check_encoder(config, encoder, x, masks):
    with circumstances(config):
        packing = why_not_nested_tensor(encoder, x, **masks)
        reasons = why_not_fastpath(encoder, x, **masks)
        seen = Observed(lambda: encoder(x, **masks))
    packed = not expected_packing(config)
    layers = [expected_layer(config, index, packed) for index in (0, 1)]
    if codes(packing) != expected_packing(config) or len(packing) != len(codes(packing)):
        yield f"packing: expected {expected_packing(config)}, got {packing}"
    if sorted(places(reasons)) != sorted((code, index) for index in (0, 1) for code in layers[index]):
        yield f"layers: expected {layers}, got {reasons}"
    if seen.called[PACKING_OP] != int(not packing):
        yield f"packing: called {seen.called}, error {seen.error!r}, but got {packing}"
    fused_layers = sum(not layer for layer in layers)
    if seen.error is None and seen.called[LAYER_OP] != fused_layers:
        yield f"layers: called {seen.called}, but got {reasons}"
    if seen.called[LAYER_OP] > fused_layers:
        yield f"layers: called {seen.called}, error {seen.error!r}, but got {reasons}"
    if seen.error is None and encoder_crashes(config, packed, layers):
        yield "expected to raise"
    if seen.error is not None and not reasons and not encoder_crashes(config, packed, layers):
        yield f"raised {seen.error!r}"


@fused
def test_encoder():
    problems = []
    for config in map(grad_input, filter(possible, combinations(ENCODER))):
        encoder, x = make["encoder"](config).eval(), input_of(config)
        if config["training"] != "eval":
            {"train": encoder, "first": encoder.layers[0], "second": encoder.layers[1]}[config["training"]].train()
        set_grad(encoder, x, config["grad"])
        masks = {"mask": mask_of(config, "mask"), "src_key_padding_mask": mask_of(config, "padding")}
        problems += [(p, config) for p in check_encoder(config, encoder, x, masks)]
    assert not problems, (len(problems), problems[:5])


SINGLES = {"layer": LAYER, "attention": ATTENTION, "packing": ENCODER}
TABLES = {"layer": _conditions.LAYER, "attention": _conditions.ATTENTION, "packing": _conditions.PACKING}
ELSEWHERE = {"nested_mask", "tracing", "compiling", "layer_type"}  # these have tests of their own


@pytest.mark.parametrize("kind", TABLES)
def test_the_combinations_reach_every_condition_of_this_torch(kind):
    if kind == "packing":
        reached = {code for config in combinations(ENCODER) for code in expected_packing(config)}
    else:
        reached = {code for levels in SINGLES[kind].values() for found in levels.values() for code in found}
    here = {condition.code for condition in TABLES[kind] if condition.holds()}
    assert not at_least(1, 12) or here - ELSEWHERE == reached - {None, "nested_mask"}


@pytest.mark.parametrize("kind", TABLES)
def test_no_condition_stands_twice(kind):
    here = [condition.code for condition in TABLES[kind] if condition.holds()]
    assert len(here) == len(set(here))
