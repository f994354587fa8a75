"""The switch of the fused path, and what to pass as enable_nested_tensor."""

import itertools
import threading
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
    fused,
    layer_of,
)

from torchcompat import at_least
from torchcompat.attention import can_pack, fastpath, why_not_fastpath

own_thread = pytest.mark.skipif(
    not at_least(1, 12) or at_least(2, 3), reason="torch has a global switch since 2.3, and a fused path since 1.12"
)


def a_model():
    layer = a_layer(dropout=0.0)
    encoder = an_encoder(layer, 2, enable_nested_tensor=True)
    value = torch.randn(2, 3, 4)
    return {
        LAYER_OP: lambda: layer(value),
        ATTENTION_OP: lambda: layer.self_attn(value, value, value),
        PACKING_OP: lambda: encoder(value, src_key_padding_mask=BOOL["end"]),
    }


def taken(calls):
    """Whether the fused path is taken: of the layer, the attention and the packing encoder, which must agree."""
    found = {bool(Observed(call).called[operator]) for operator, call in calls.items()}
    assert len(found) == 1
    with torch.no_grad():
        assert (why_not_fastpath(a_layer(), torch.randn(2, 3, 4)) == []) == (found == {True})
    return found.pop()


@fused
@torch.no_grad()
def test_off_and_on():
    calls = a_model()
    assert taken(calls)
    with fastpath(False):
        assert not taken(calls)
    assert taken(calls)
    with fastpath(True):
        assert taken(calls)
    assert taken(calls)


@fused
@torch.no_grad()
@pytest.mark.parametrize("settings", list(itertools.product([True, False], repeat=3)))
def test_nested_blocks(settings):
    calls = a_model()
    with fastpath(settings[0]):
        with fastpath(settings[1]):
            with fastpath(settings[2]):
                assert taken(calls) == settings[2]
            assert taken(calls) == settings[1]
        assert taken(calls) == settings[0]
    assert taken(calls)


@fused
@torch.no_grad()
def test_put_back_after_an_error():
    calls = a_model()
    for enabled in (True, False):
        with pytest.raises(KeyError), fastpath(False), fastpath(enabled):
            raise KeyError("x")
        assert taken(calls)
    assert not torch.overrides.has_torch_function((torch.ones(1),))


@fused
@torch.no_grad()
def test_one_object_for_many_blocks():
    calls, off = a_model(), fastpath(False)
    with off, off:
        assert not taken(calls)
        with fastpath(True):
            assert taken(calls)
    assert taken(calls)
    with off:
        assert not taken(calls)
    assert taken(calls)


@fused
@torch.no_grad()
def test_a_decorated_function():
    calls = a_model()

    @fastpath(False)
    def run(one, *, two):
        """What it does."""
        return one, two, taken(calls)

    assert run(1, two=2) == (1, 2, False)
    assert taken(calls)
    assert (run.__name__, run.__doc__) == ("run", "What it does.")


def test_what_cannot_be_decorated():
    class Class:
        pass

    for function in (Class, 3):
        with pytest.raises(TypeError, match="decorates functions"):
            fastpath(True)(function)


@pytest.mark.parametrize("enabled", [1, 0, None, "on", torch.tensor(True), len], ids=str)
def test_only_a_bool(enabled):
    with pytest.raises(TypeError, match="enabled must be True or False"):
        fastpath(enabled)


def test_leaving_what_is_not_open():
    with pytest.raises(RuntimeError, match="not open"):
        fastpath(True).__exit__(None, None, None)


def test_the_same_numbers():
    layer, value = a_layer(dropout=0.0), torch.randn(2, 3, 4)
    expected = layer(value)
    for enabled in (True, False):
        with fastpath(enabled), torch.no_grad():
            assert torch.allclose(layer(value), expected, atol=1e-6)


@pytest.mark.skipif(at_least(1, 12), reason="from 1.12 torch has a fused encoder path")
def test_before_1_12_nothing_is_switched():
    layer, value = a_layer(), torch.randn(2, 3, 4)
    expected = layer(value)
    with fastpath(False), fastpath(True):
        assert torch.equal(layer(value), expected)


@pytest.mark.skipif(not at_least(2, 3), reason="torch has a switch since 2.3")
def test_it_is_torchs_switch():
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with fastpath(True):
            assert torch.backends.mha.get_fastpath_enabled()
        assert not torch.backends.mha.get_fastpath_enabled()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    with fastpath(False):
        assert not torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(10)
    return found[0]


@pytest.mark.skipif(not at_least(2, 3), reason="torch has a switch since 2.3")
def test_blocks_that_overlap_in_threads():
    one, other = fastpath(False), fastpath(False)
    one.__enter__()
    closed, opened = threading.Event(), threading.Event()

    def overlap():
        with other:
            opened.set()
            assert closed.wait(10)
            return torch.backends.mha.get_fastpath_enabled()

    found = []
    thread = threading.Thread(target=lambda: found.append(overlap()))
    thread.start()
    assert opened.wait(10)
    one.__exit__(None, None, None)
    closed.set()
    thread.join(10)
    assert found == [False]
    assert torch.backends.mha.get_fastpath_enabled()


@own_thread
@torch.no_grad()
def test_a_block_is_for_its_own_thread():
    layer, value = a_layer(), torch.randn(2, 3, 4)
    with fastpath(False):
        seen = in_a_thread(torch.no_grad()(lambda: Observed(lambda: layer(value))))
    assert seen.called[LAYER_OP] == 1


@own_thread
@torch.no_grad()
def test_other_modes_stay():
    calls, seen = [], []
    layer, value = a_layer(dropout=0.0), torch.randn(2, 3, 4)

    class Noting(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            calls.append(function)
            return function(*args, **(kwargs or {}))

    enter = Noting if at_least(1, 13) else lambda: torch.overrides.push_torch_function_mode(Noting)
    for enabled in (True, False):
        del calls[:]
        with enter(), fastpath(enabled):
            seen.append(layer(value))
        assert calls
        del calls[:]
        with fastpath(False), enter(), fastpath(enabled):
            seen.append(layer(value))
        assert calls
    assert not torch.overrides.has_torch_function((value,))
    assert all(torch.allclose(out, seen[0]) for out in seen)


# What to pass as enable_nested_tensor.

DEFAULT = {"heads": 2, "dropout": 0.0, "bias": True, "embed_dim": "same", "batch_first": True}
DEFAULT.update({"hooks": None, "activation": "relu", "eps": "same", "norm_first": False})
CHANGES = [
    {},
    {"heads": 1},
    {"embed_dim": "kdim"},
    {"batch_first": False},
    {"activation": "gelu"},
    {"activation": "module"},
    {"activation": "tanh"},
    {"eps": "differ"},
    {"norm_first": True},
    {"bias": False},
    {"bias": "in_proj"},
    {"bias": "norm"},
]


@fused
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_can_pack_agrees_with_the_constructor(change):
    layer = layer_of(dict(DEFAULT, **change))
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=can_pack(layer)).eval()  # without a warning
    warned = []
    if at_least(2, 1):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            torch.nn.TransformerEncoder(layer, 2)
        assert not (warned and can_pack(layer))
    with torch.no_grad():
        value = torch.randn(2, 3, 4)
        packed = Observed(lambda: encoder(value, src_key_padding_mask=BOOL["end"])).called[PACKING_OP] == 1
    assert packed == can_pack(layer)
    if "bias" not in change and at_least(2, 1):
        assert can_pack(layer) == (not warned)


def test_can_pack_takes_any_module():
    assert not can_pack(torch.nn.Linear(2, 2))
    assert can_pack(a_layer()) == at_least(1, 12)
    assert can_pack(a_layer().train()) == at_least(1, 12)


@pytest.mark.skipif(not at_least(2, 1), reason="layers take bias since 2.1")
def test_a_layer_without_bias_cannot_be_packed():
    assert not can_pack(a_layer(bias=False))


@pytest.mark.skipif(not at_least(2, 1), reason="before 2.1 torch.compile is not for every Python")
def test_compiled():
    import torch._dynamo

    layer, value = a_layer(activation=torch.nn.GELU("tanh"), dropout=0.0), 3 * torch.randn(2, 3, 4)
    expected = layer(value)

    def call(value):
        with fastpath(False):
            return layer(value)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        found = torch.compile(call, backend="eager")(value)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.overrides.has_torch_function((value,))
