"""What torchcompat.attention says beside the combinations of conditions (test_fastpath_combinations.py)."""

import os
import warnings

import pytest
import torch
from _fastpath_cases import (
    ATTENTION_OP,
    BOOL,
    LAYER_OP,
    PACKING_OP,
    Observed,
    a_layer,
    an_encoder,
    codes,
    fused,
    nested_tensor,
    places,
)

from torchcompat import SHIMS, at_least
from torchcompat.attention import (
    _conditions,
    _sdpa_conditions,
    fastpath_faults,
    why_not_fastpath,
    why_not_nested_tensor,
)


def agree(module, *inputs, **kwargs):
    """The codes of the reasons, after seeing that torch goes the way they say."""
    operator = ATTENTION_OP if isinstance(module, torch.nn.MultiheadAttention) else LAYER_OP
    reasons = why_not_fastpath(module, *inputs, **kwargs)
    seen = Observed(lambda: module(*inputs, **kwargs))
    assert bool(seen.called[operator]) == (not reasons), (reasons, seen.error)
    return codes(reasons)


@fused
@torch.no_grad()
def test_torchs_profiler_sees_the_same():
    layer, x, padding = a_layer(dropout=0.0), torch.randn(2, 3, 4), BOOL["end"]
    encoder = an_encoder(layer, enable_nested_tensor=True)
    for training in (False, True):
        layer.train(training)
        encoder.train(training)
        for call, reasons, operator in (
            (lambda: layer(x), why_not_fastpath(layer, x), LAYER_OP),
            (lambda: layer.self_attn(x, x, x), why_not_fastpath(layer.self_attn, x, x, x), ATTENTION_OP),
            (
                lambda: encoder(x, src_key_padding_mask=padding),
                why_not_nested_tensor(encoder, x, src_key_padding_mask=padding),
                PACKING_OP,
            ),
        ):
            with warnings.catch_warnings(), torch.autograd.profiler.profile() as profile:
                warnings.simplefilter("ignore")
                call()
            names = {event.name for event in profile.function_events}
            assert ("aten::" + operator in names) == (not reasons)
            assert bool(reasons) == training


@pytest.mark.skipif(at_least(1, 12), reason="from 1.12 torch has a fused encoder path")
def test_before_1_12_the_version_is_the_reason():
    layer, x = a_layer(), torch.randn(2, 3, 4)
    decoder_layer = torch.nn.TransformerDecoderLayer(4, 2, 4)
    for reasons in (
        why_not_fastpath(decoder_layer, x, x),
        why_not_fastpath(torch.nn.TransformerDecoder(decoder_layer, 2), x, x),
        why_not_fastpath(a_transformer(), x, x),
        why_not_fastpath(layer, x),
        why_not_fastpath(layer.self_attn, x, x, x),
        why_not_fastpath(an_encoder(layer), x),
        why_not_nested_tensor(an_encoder(layer), x),
    ):
        assert codes(reasons) == {"version"}
        assert len(reasons) == 1


def test_what_is_not_an_encoder_is_refused():
    with pytest.raises(TypeError, match=r"torch\.nn\.MultiheadAttention or .*scaled_dot_product_attention, got Linear"):
        why_not_fastpath(torch.nn.Linear(4, 4), torch.randn(2, 4))
    with pytest.raises(TypeError, match=r"torch\.nn\.TransformerEncoder, got TransformerEncoderLayer"):
        why_not_nested_tensor(a_layer(), torch.randn(2, 3, 4))


def test_inputs_that_do_not_fit_are_refused():
    layer, x = a_layer(), torch.randn(2, 3, 4)
    for module, inputs, kwargs in (
        (layer, (), {}),
        (layer, (x,), {"source_mask": None}),
        (layer, (x, None, None, False, 5), {}),
        (layer, ([[1.0]],), {}),
        (layer, (x, 3), {}),
        (layer, (x,), {"src_key_padding_mask": [True]}),
        (layer.self_attn, (x,), {}),
        (layer.self_attn, (x, x, None), {}),
        (an_encoder(layer), (x,), {"src_mask": None}),
        (torch.nn.TransformerDecoderLayer(4, 2, 4), (x,), {}),
        (torch.nn.TransformerDecoderLayer(4, 2, 4), (x, None), {}),
        (a_transformer(), (x, x), {"memory_mask": 3}),
    ):
        with pytest.raises(TypeError):
            why_not_fastpath(module, *inputs, **kwargs)
    if not at_least(2, 0):
        with pytest.raises(TypeError, match="is_causal"):
            why_not_fastpath(layer, x, is_causal=True)


def a_transformer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constructor tells why it will not pack
        return torch.nn.Transformer(4, 2, 1, 1, 4)


def state_of(module):
    tensors = [tensor.clone() for tensor in module.state_dict().values()]
    return tensors, [m.training for m in module.modules()], torch.get_rng_state(), torch.is_grad_enabled()


def test_asking_runs_nothing_and_changes_nothing():
    encoder, x = an_encoder(a_layer(dropout=0.5)).train(), torch.randn(2, 3, 4)
    if at_least(1, 9):  # reading this weight would run an iteration of its power method
        torch.nn.utils.parametrizations.spectral_norm(encoder.layers[0].linear1)
    for module in encoder.modules():
        module.register_forward_pre_hook(lambda module, args: pytest.fail("the module was run"))
    before = state_of(encoder)
    for padding in (None, BOOL["end"], BOOL["start"]):
        why_not_fastpath(encoder, x, src_key_padding_mask=padding)
        why_not_nested_tensor(encoder, x, src_key_padding_mask=padding)
        why_not_fastpath(encoder.layers[0], x, src_key_padding_mask=padding)
        why_not_fastpath(encoder.layers[0].self_attn, x, x, x, key_padding_mask=padding)
    after = state_of(encoder)
    assert all(torch.equal(old, new) for old, new in zip(before[0], after[0]))
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])
    assert before[3] == after[3]


def ours(kind):
    return SHIMS["nn." + kind].fallback


@fused
@torch.no_grad()
def test_our_own_classes_take_the_fused_path():
    layer, x = ours("TransformerEncoderLayer")(4, 2, 4, batch_first=True).eval(), torch.randn(2, 3, 4)
    attention = ours("MultiheadAttention")(4, 2, batch_first=True).eval()
    assert agree(attention, x, x, x) == set()
    assert agree(attention, x, x, x.clone()) == {"self_attention"}
    assert agree(layer, x) == set()
    assert agree(layer, nested_tensor([x[0], x[1, :2]])) == set()
    assert agree(layer, x, src_key_padding_mask=BOOL["end"]) == set()
    encoder = ours("TransformerEncoder")(layer, 2).eval()
    assert agree(encoder, x) == set()
    assert agree(encoder, x, src_key_padding_mask=BOOL["end"]) == set()


@fused
@torch.no_grad()
def test_our_own_classes_keep_off_the_faults():
    x, empty = torch.randn(2, 3, 4), torch.tensor([[True] * 3, [False] * 3])
    layer = ours("TransformerEncoderLayer")(4, 2, 4, batch_first=True).eval()
    assert agree(layer, x, src_key_padding_mask=empty) == {"fallback"}
    layer.linear1.register_forward_hook(lambda *_: None)
    assert agree(layer, x) == {"hooks" if at_least(2, 5) else "fallback"}
    layer = ours("TransformerEncoderLayer")(4, 2, 4, batch_first=True, activation=torch.nn.ReLU()).eval()
    layer.activation.forward = torch.tanh
    assert agree(layer, x) == {"fallback"}
    assert fastpath_faults(layer, x) == []


@fused
@torch.no_grad()
def test_our_own_encoder_leaves_out_the_padding_by_itself():
    layer = ours("TransformerEncoderLayer")(256, 2, 4, batch_first=True).eval()
    encoder, x = ours("TransformerEncoder")(layer, 2).eval(), torch.randn(2, 16, 256)
    padding = torch.arange(16) >= torch.tensor([[16], [2]])
    assert codes(why_not_nested_tensor(encoder, x, src_key_padding_mask=padding)) == {"fallback"}
    assert agree(encoder, x, src_key_padding_mask=padding) == {"fallback"}
    assert Observed(lambda: encoder(x, src_key_padding_mask=padding)).called[PACKING_OP] == 0


@pytest.mark.skipif(not at_least(2, 0), reason="before 2.0 our encoder takes no layers of torch's")
def test_torchs_layers_in_our_encoder():
    encoder = SHIMS["nn.TransformerEncoder"].fallback(a_layer(), 2).eval()
    with torch.no_grad():
        assert agree(encoder, torch.randn(2, 3, 4)) == set()
        assert agree(encoder, torch.randn(2, 3, 4), src_key_padding_mask=BOOL["end"]) == set()


@fused
def test_a_layer_of_another_class():
    class Other(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.self_attn = torch.nn.MultiheadAttention(4, 2, batch_first=True)
            self.weight = torch.nn.Parameter(torch.ones(4))

        def forward(self, src, **masks):
            return src * self.weight

    encoder, x, padding = an_encoder(a_layer()), torch.randn(2, 3, 4), BOOL["end"]
    encoder.layers[0] = Other()
    assert set(places(why_not_fastpath(encoder, x))) == {("layer_type", 0), ("grad", 1)}
    assert list(places(why_not_fastpath(encoder.requires_grad_(False), x))) == [("layer_type", 0)]
    assert Observed(lambda: encoder(x)).called[LAYER_OP] == 1
    other = an_encoder(Other(), enable_nested_tensor=True)
    assert "layer_type" in codes(why_not_nested_tensor(other, x, src_key_padding_mask=padding))
    assert Observed(lambda: other(x, src_key_padding_mask=padding)).called[PACKING_OP] == 0


@fused
def test_no_layers():
    encoder = an_encoder(a_layer(), 0)
    assert codes(why_not_fastpath(encoder, torch.randn(2, 3, 4))) == {"no_layers"}
    assert codes(why_not_nested_tensor(encoder, torch.randn(2, 3, 4))) == {"no_layers"}
    assert isinstance(Observed(lambda: encoder(torch.randn(2, 3, 4))).error, IndexError)


@pytest.mark.skipif(not at_least(2, 1), reason="layers take bias since 2.1")
def test_layer_without_bias():
    layer, x = a_layer(bias=False), torch.randn(2, 3, 4)
    with torch.no_grad():
        assert agree(layer, x) == {"weights"}
        encoder, padding = an_encoder(layer), BOOL["end"]
        packing = why_not_nested_tensor(encoder, x, src_key_padding_mask=padding)
        assert codes(packing) == ({"bias"} if at_least(2, 3) else set())
        seen = Observed(lambda: encoder(x, src_key_padding_mask=padding))
        assert seen.called[PACKING_OP] == int(not packing)
        assert seen.called[LAYER_OP] == 0


@fused
def test_quantized_layer():
    layer = a_layer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        layer = torch.quantization.quantize_dynamic(layer, {torch.nn.Linear})
    with torch.no_grad():
        assert agree(layer, torch.randn(2, 3, 4)) == {"weights"}


@fused
def test_parametrized_layer():
    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    layer, x = a_layer(), torch.randn(2, 3, 4)
    torch.nn.utils.parametrize.register_parametrization(layer.linear1, "weight", Double())
    with torch.no_grad():
        assert agree(layer, x) == set()
    layer.requires_grad_(False)
    assert agree(layer, x) == set()
    layer.linear1.parametrizations.weight.original.requires_grad_(True)
    assert agree(layer, x) == {"grad"}


@pytest.mark.skipif(not at_least(2, 0), reason="torch.device is a context manager since 2.0")
def test_the_device_context_is_a_torch_function_mode():
    with torch.no_grad(), torch.device("cpu"):
        assert agree(a_layer(), torch.randn(2, 3, 4)) == {"torch_function"}


@fused
def test_one_reason_per_layer_and_code():
    encoder, x = an_encoder(a_layer(), 3), torch.randn(2, 3, 4)
    encoder.layers[1].train()
    encoder.layers[2].norm2.eps = 0.5
    with torch.no_grad():
        assert {reason[:21] for reason in why_not_fastpath(encoder, x)} == {
            "training: layers[1]: ",
            "eps: layers[2]: norm1",
        }
        encoder.train()
        assert any(r.startswith("training: every layer: ") for r in why_not_fastpath(encoder, x))
        encoder.layers[1].eval()
        assert any(r.startswith("training: layers[0, 2]: ") for r in why_not_fastpath(encoder, x))


@pytest.mark.skipif(not at_least(2, 1), reason="before 2.1 tracing is no condition")
def test_tracing():
    from torch.fx.experimental.proxy_tensor import make_fx

    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True).eval()
    found = []

    def call(x):
        found.append(agree(attention, x, x, x))
        return attention(x, x, x)[0]

    with torch.no_grad():
        make_fx(call)(torch.randn(2, 3, 4))
    assert "tracing" in found[0]


@pytest.mark.skipif(not at_least(2, 10), reason="before 2.10 compiling is no condition")
def test_exporting():
    found = {}

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = an_encoder(a_layer())

        def forward(self, x, padding):
            for key, self.encoder.mask_check in (("unchecked", False), ("checked", True)):
                found[key] = codes(why_not_nested_tensor(self.encoder, x, src_key_padding_mask=padding))
            found["attention"] = codes(why_not_fastpath(self.encoder.layers[0].self_attn, x, x, x))
            return self.encoder(x, src_key_padding_mask=padding)

    with torch.no_grad():
        torch.export.export(Model().eval(), (torch.randn(2, 3, 4), BOOL["start"]), strict=False)
    assert "compiling" in found["checked"]
    assert "compiling" not in found["unchecked"]
    assert "tracing" in found["attention"]


def test_the_documentation_has_the_conditions():
    with open(os.path.join(os.path.dirname(__file__), "..", "docs", "attention.md"), encoding="utf-8") as file:
        rows = {line.rstrip() for line in file if line.startswith("| `")}
    tables = (_conditions.LAYER, _conditions.ATTENTION, _conditions.PACKING, _sdpa_conditions.FLASH_ON_CPU)
    expected = {row(condition) for table in tables for condition in table}
    assert rows == expected, (sorted(rows - expected), sorted(expected - rows))


def row(condition):
    until = f" to {condition.last}" if condition.last else " on"
    until = "" if condition.first == condition.last else until
    return f"| `{condition.code}` | {condition.first}{until} | {condition.text} |"
