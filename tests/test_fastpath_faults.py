"""The faults of the fused path: shown on every torch that is said to have them, and gone through the facade."""

import copy
import os
import pickle
import threading
import warnings

import pytest
import torch
from _fastpath_calls import LENGTH, SIZE, attention, floats, layer, packing, padded, rows, x
from _fastpath_cases import ATTENTION as ATTENTION_FACTORS
from _fastpath_cases import (
    ATTENTION_OP,
    LAYER_OP,
    PACKING_OP,
    Observed,
    a_layer,
    an_encoder,
    circumstances,
    codes,
    drawn,
    fused,
    input_of,
    make,
    mask_of,
    possible,
    set_grad,
)
from _fastpath_cases import ENCODER as ENCODER_FACTORS
from _fastpath_cases import LAYER as LAYER_FACTORS
from _fastpath_fault_cases import CASES as FAULT_CASES
from _fastpath_fault_cases import decoder
from _fastpath_layer_fault_cases import CASES as LAYER_FAULT_CASES

from torchcompat import at_least, is_version
from torchcompat.attention import SafeFastpath, _faults, fastpath_faults, safe_forward
from torchcompat.attention._switch import slow_path

CASES = FAULT_CASES + LAYER_FAULT_CASES
ROWS = [row for name in ("CRASHES", "PACKING", "BOTH", "LAYER", "ATTENTION") for row in getattr(_faults, name)]


def here(code):
    return any(row.code == code and row.holds() for row in ROWS)


@fused
@pytest.mark.parametrize(("code", "build", "also"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_fault(code, build, also):
    call = build()
    call.strict = code == "mask_warning"
    found, expected, native, safe = (
        codes(call.run(fastpath_faults)),
        call.expected(),
        call.run(),
        call.run(safe_forward),
    )
    assert found <= {code} | set(also)
    assert (code in found) == applies(code, call)
    if call.strict:
        assert isinstance(native, UserWarning) == bool(found)
    elif not both_raise(native, expected):
        assert call.agrees(native, expected) == (not found - {"mask_warning"})
    call.strict = False
    assert call.agrees(safe, call.expected()), safe


def both_raise(native, expected):
    """2.0 and 2.1 refuse masks under autocast on either path: https://github.com/pytorch/pytorch/issues/111276"""
    return isinstance(native, RuntimeError) and isinstance(expected, RuntimeError)


def applies(code, call):
    """Whether this torch has the fault in this call; the attention has some for a shorter time than the layer."""
    tables = [_faults.CRASHES, _faults.BOTH]
    if isinstance(
        call.module, (torch.nn.MultiheadAttention, torch.nn.TransformerDecoderLayer, torch.nn.TransformerDecoder)
    ):
        if code == "no_bias" and at_least(2, 1):
            return False
        tables.append(_faults.ATTENTION)
    else:
        tables += [_faults.LAYER, _faults.PACKING]
    if code == "mask_warning" and not at_least(2, 0):
        return any(mask is not None and mask.is_floating_point() for name, mask in call.kwargs.items())
    return any(row.code == code and row.holds() for table in tables for row in table)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_row_has_a_case(row):
    assert row.link.startswith("https://github.com/pytorch/pytorch/")
    assert row.text.endswith(".")
    assert not row.holds() or row.code in {code for _, code, _, _ in CASES}


# Where no fault is found the fused path is right: over combinations of the conditions.


def some(factors):
    default = {name: next(iter(levels)) for name, levels in factors.items()}
    yield default
    yield from (dict(default, **{name: level}) for name, levels in factors.items() for level in levels)
    for violations in [0.0] * 60 + [0.07] * 100:
        yield dict(drawn(factors, violations))


def outcome(call):
    torch.manual_seed(1)
    try:
        out = call()
    except Exception as error:
        return error
    return out[0] if isinstance(out, tuple) else out


def alike(one, two, config, kept=None):
    if isinstance(one, Exception) or isinstance(two, Exception):
        return isinstance(one, Exception) and isinstance(two, Exception)
    one, two = (value.detach().as_subclass(torch.Tensor).float() for value in (one, two))
    if one.shape != two.shape:
        return False
    if kept is not None:
        one, two = one[kept], two[kept]
    return torch.allclose(one, two, atol=0.15 if config["autocast"] else 1e-5, rtol=1e-3, equal_nan=True)


def disagreements(config, module, inputs, masks, kept=None):
    with circumstances(config), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = codes(fastpath_faults(module, *inputs, **masks)) - {"hooks", "mask_warning"}  # the hooks do nothing
        native, safe = (
            outcome(lambda: module(*inputs, **masks)),
            outcome(lambda: safe_forward(module, *inputs, **masks)),
        )
        with slow_path():
            slow = outcome(lambda: module(*inputs, **masks))
    raise_both = isinstance(native, Exception) and isinstance(slow, Exception)
    if not raise_both and alike(native, slow, config, kept) == bool(found):
        yield found, native, slow, config
    if found and not alike(safe, slow, config):
        yield "safe_forward", found, safe, slow, config


def plain(config):
    """Of these the ordinary path makes nothing: nested tensors, no device; and 1.12 adds integers to the scores."""
    integers = is_version(1, 12) and config["padding"] == "int"
    return possible(config) and not config["nested"] and config["device"] == "cpu" and not integers


@fused
def test_no_other_fault_in_a_layer():
    problems = []
    for config in filter(plain, some(LAYER_FACTORS)):
        module, value = make["layer"](config).train(config["training"]), input_of(config)
        set_grad(module, value, config["grad"])
        masks = {"src_mask": mask_of(config, "mask"), "src_key_padding_mask": mask_of(config, "padding")}
        problems += disagreements(config, module, (value,), masks)
    assert not problems, (len(problems), problems[:3])


@fused
def test_no_other_fault_in_an_attention():
    problems = []
    for config in filter(plain, some(ATTENTION_FACTORS)):
        module, value = make["attention"](config).train(config["training"]), input_of(config)
        set_grad(module, value, config["grad"])
        masks = {"attn_mask": mask_of(config, "mask"), "key_padding_mask": mask_of(config, "padding")}
        problems += disagreements(config, module, (value, value, value), masks)
    assert not problems, (len(problems), problems[:3])


@fused
def test_no_other_fault_in_an_encoder():
    problems = []
    for config in filter(plain, some(ENCODER_FACTORS)):
        module, value = make["encoder"](config).eval(), input_of(config)
        if config["training"] != "eval":
            {"train": module, "first": module.layers[0], "second": module.layers[1]}[config["training"]].train()
        set_grad(module, value, config["grad"])
        masks = {"mask": mask_of(config, "mask"), "src_key_padding_mask": mask_of(config, "padding")}
        padding = masks["src_key_padding_mask"]
        kept = None if padding is None or config["dims"] != 3 else padding == 0
        problems += disagreements(config, module, (value,), masks, kept)
    assert not problems, (len(problems), problems[:3])


# The facades themselves.


@fused
@torch.no_grad()
def test_the_fused_path_stays_where_it_is_right():
    encoder, value, padding = packing(), x(), rows(5, 4, 3)
    seen = Observed(lambda: safe_forward(encoder, value, src_key_padding_mask=padding))
    assert (seen.called[PACKING_OP], seen.called[LAYER_OP]) == (1, 2)
    seen = Observed(lambda: safe_forward(attention(), value, value, value))
    assert seen.called[ATTENTION_OP] == 1
    encoder.layers[1].activation = torch.tanh
    seen = Observed(lambda: safe_forward(encoder, value, src_key_padding_mask=padding))
    assert not seen.called


@fused
def test_no_fault_where_the_path_is_not_taken():
    one = layer()
    one.activation = torch.tanh
    value = x()
    assert fastpath_faults(one, value) == []  # grad mode is on, and the weights require grad
    with torch.no_grad():
        assert codes(fastpath_faults(one, value)) == {"activation"}
        assert fastpath_faults(one.train(), value) == []


def test_before_1_12_there_is_nothing():
    if at_least(1, 12):
        pytest.skip("from 1.12 torch has a fused encoder path")
    model = torch.nn.Transformer(SIZE, 2, 1, 1, 16, 0.0).eval()
    value = torch.randn(LENGTH, 3, SIZE)
    assert fastpath_faults(model, value, value) == []
    assert torch.equal(safe_forward(model, value, value), model(value, value))


@pytest.mark.parametrize("function", [fastpath_faults, safe_forward, lambda module, *inputs: SafeFastpath(module)])
def test_other_modules_are_refused(function):
    with pytest.raises(TypeError, match=r"torch\.nn\.MultiheadAttention or .*torch\.nn\.Transformer, got Linear"):
        function(torch.nn.Linear(4, 4), torch.randn(2, 4))


def test_inputs_that_do_not_fit():
    one, value = a_layer(), torch.randn(2, 3, 4)
    for inputs, kwargs in (((), {}), ((value,), {"mask": None}), ((value, 3), {}), (([1.0],), {})):
        with pytest.raises(TypeError):
            fastpath_faults(one, *inputs, **kwargs)
    with pytest.raises(TypeError):
        safe_forward(one)
    with pytest.raises(TypeError, match="no_such"):
        safe_forward(one, value, no_such=1)


def test_a_forward_of_its_own_may_take_something_else():
    class Other(torch.nn.TransformerEncoderLayer):
        def forward(self, src, scale):
            return scale * super().forward(src)

    one, value = Other(4, 2, 4, 0.0).eval(), torch.randn(3, 2, 4)
    assert torch.allclose(safe_forward(one, value, scale=2.0), one(value, 2.0))


@fused
def test_asking_runs_nothing_and_changes_nothing():
    encoder, other = padded(layer(0.5)), decoder(1)
    for module in encoder.modules():
        module.register_forward_pre_hook(lambda module, args: pytest.fail("the module was run"))
    torch.nn.utils.parametrizations.spectral_norm(encoder.layers[0].linear1)  # reading it changes its buffers
    value, mask = x(), rows(5, 3, 1, left=True)
    before = [tensor.clone() for tensor in encoder.state_dict().values()], torch.get_rng_state(), value.clone()
    with torch.no_grad():
        fastpath_faults(encoder, value, src_key_padding_mask=mask)
        fastpath_faults(encoder, value, src_key_padding_mask=floats(mask, 0.5))
        fastpath_faults(other, value, value, tgt_key_padding_mask=mask)
    assert all(torch.equal(old, new) for old, new in zip(before[0], encoder.state_dict().values()))
    assert torch.equal(before[1], torch.get_rng_state())
    assert torch.equal(before[2], value)
    assert not torch.overrides.has_torch_function((value,))


@fused
def test_a_parametrized_layer_has_no_fault():
    one, value = layer(), x()
    torch.nn.utils.parametrizations.spectral_norm(one.linear1)
    with torch.no_grad():
        assert fastpath_faults(one, value) == []
        expected = safe_forward(one, value)
        with slow_path():
            assert torch.allclose(one(value), expected, atol=1e-5)


@fused
@torch.no_grad()
def test_an_error_leaves_no_mode_behind():
    one = layer()
    one.activation = lambda value: value.no_such_method()
    with pytest.raises(AttributeError):
        safe_forward(one, x())
    assert not torch.overrides.has_torch_function((x(),))


@fused
@torch.no_grad()
def test_other_threads_keep_their_fused_path():
    one, other, inside, done = layer(), layer(), threading.Event(), threading.Event()

    def wait(value):
        inside.set()
        assert done.wait(10)
        return value

    one.activation = wait
    thread = threading.Thread(target=torch.no_grad()(safe_forward), args=(one, x()))
    thread.start()
    assert inside.wait(10)
    seen = Observed(lambda: other(x()))
    done.set()
    thread.join(10)
    assert seen.called[LAYER_OP] == 1


@fused
@torch.no_grad()
def test_the_right_result_in_a_transformer():
    model = torch.nn.Transformer(SIZE, 2, 2, 2, 16, 0.0, activation="gelu", batch_first=True).eval()
    model.encoder.layers[1].linear1 = torch.nn.Sequential()
    model.encoder.layers[1].linear1.forward = torch.nn.Linear(SIZE, 16).forward
    model.encoder.layers[1].linear1.weight = model.encoder.layers[0].linear1.weight
    model.encoder.layers[1].linear1.bias = model.encoder.layers[0].linear1.bias
    source, target = x(), x()
    assert codes(fastpath_faults(model, source, target)) == {"replaced"}
    with torch.enable_grad():
        expected = model(source, target)
    assert torch.allclose(safe_forward(model, source, target), expected, atol=1e-5)


@pytest.mark.skipif(not at_least(2, 1), reason="before 2.1 torch.compile is not for every Python")
@pytest.mark.parametrize("what", ["packing", "activation"])
def test_compiled(what):
    import torch._dynamo

    class Model(torch.nn.Module):
        def __init__(self, part):
            super().__init__()
            self.part = part

        def forward(self, value, **masks):
            return safe_forward(self.part, value + 1, **masks) * 2

    part, value = packing() if what == "packing" else layer(), x()
    masks, kept = {}, torch.ones(3, LENGTH, dtype=torch.bool)
    if what == "packing":  # 2.1 to 2.4 cannot compile torch's own packing
        masks, kept = {"src_key_padding_mask": rows(5, 4, 3)}, ~rows(5, 4, 3)
    else:
        part.activation = torch.tanh
    expected = Model(part)(value, **masks).detach()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        found = torch.compile(Model(part), backend="eager")(value, **masks)
    assert torch.allclose(found[kept], expected[kept], atol=1e-5)
    assert not torch.overrides.has_torch_function((value,))


# The wrapper.


def wrapped_model():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), an_encoder(a_layer(dropout=0.0)).train())
    names = list(model.state_dict())
    model[1] = SafeFastpath(model[1])
    return model, names


def test_the_wrapper_keeps_all_names():
    model, names = wrapped_model()
    assert list(model.state_dict()) == names
    assert [name for name, _ in model.named_parameters()] == names
    assert model[1].layers is model[1].wrapped.layers
    assert model[1].num_layers == 2
    assert "TransformerEncoder" in repr(model)
    with pytest.raises(AttributeError, match="no_such"):
        model[1].no_such  # noqa: B018


def test_the_wrapper_follows_its_module():
    model, _ = wrapped_model()
    encoder = model[1].wrapped
    model.eval()
    assert not any(module.training for module in encoder.modules())
    model.train()
    assert all(module.training for module in encoder.modules())
    model.double()
    assert encoder.layers[0].linear1.weight.dtype == torch.float64
    model.load_state_dict({name: torch.zeros_like(value) for name, value in model.state_dict().items()})
    assert not (encoder.layers[1].norm1.weight.detach() != 0).any()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_the_wrapper(duplicate):
    model, names = wrapped_model()
    value = torch.randn(2, 3, 4)
    expected = model.eval()(value)
    copied = duplicate(model)
    assert list(copied.state_dict()) == names
    assert torch.equal(copied(value), expected)
    for parameter in copied.parameters():
        parameter.detach().zero_()
    assert torch.equal(model(value), expected)
    assert not torch.equal(copied(value), expected)


@fused
@torch.no_grad()
def test_the_wrapper_keeps_off_faults():
    one, value = layer(), x()
    wrapped = SafeFastpath(one)
    assert Observed(lambda: wrapped(value)).called[LAYER_OP] == 1
    one.activation = torch.tanh
    assert not Observed(lambda: wrapped(value)).called
    model = torch.nn.Transformer(SIZE, 2, 1, 1, 16, 0.0, batch_first=True).eval()
    model.encoder.layers[0].activation = torch.tanh
    with torch.enable_grad():
        expected = model(value, value)
    model.encoder = SafeFastpath(model.encoder)
    assert torch.allclose(model(value, value), expected, atol=1e-5)


TABLES = {"CRASHES": "any", "BOTH": "any", "PACKING": "packing", "LAYER": "layer", "ATTENTION": "attention"}


def test_the_documentation_has_the_faults():
    with open(os.path.join(os.path.dirname(__file__), "..", "docs", "attention.md"), encoding="utf-8") as file:
        written = [line.rstrip() for line in file if line.split(" `")[0][2:] in TABLES.values()]
    assert written == list(documented())


def documented():
    for name, place in TABLES.items():
        for row in getattr(_faults, name):
            until = f" to {row.last}" if row.last else " on"
            until = "" if row.first == row.last else until
            number = "#" + row.link.rpartition("/")[2]
            yield f"| {place} `{row.code}` | {row.first}{until} | {row.text} [{number}]({row.link}) |"
