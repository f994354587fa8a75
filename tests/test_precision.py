"""One level for matrix products and one for convolutions, after any mix of torch's three ways to set them.

No GPU is needed: torch keeps the settings without one, and it is the settings that are tested.
"""

import enum
import itertools

import pytest
import torch
from precision_tools import (
    CONV_LEVELS,
    FLAGS,
    HISTORIES,
    LEVEL,
    MATMUL_LEVELS,
    TREE,
    _defaults,  # noqa: F401 - runs around every test
    after,
    both_sides,
    everything,
    needs_flags,
    needs_tree,
    torch_agrees,
)

from torchcompat.precision import (
    conv_precision,
    get_conv_precision,
    get_matmul_precision,
    set_conv_precision,
    set_matmul_precision,
)

needs_level = pytest.mark.skipif(not LEVEL, reason="in torch since 1.12")


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_set_is_what_get_and_torch_say(level):
    assert set_matmul_precision(level) is None
    assert get_matmul_precision() == level
    assert torch_agrees(matmul=level)


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_set_is_what_get_and_torch_say(level):
    assert set_conv_precision(level) is None
    assert get_conv_precision() == level
    assert torch_agrees(conv=level)


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_set_overrides_any_history(level):
    for history in HISTORIES:
        after(history)
        set_matmul_precision(level)
        assert get_matmul_precision() == level, history
        assert torch_agrees(matmul=level), history


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_set_overrides_any_history(level):
    for history in HISTORIES:
        after(history)
        set_conv_precision(level)
        assert get_conv_precision() == level, history
        assert torch_agrees(conv=level), history


def test_get_never_raises_and_changes_nothing():
    for history in HISTORIES:
        after(history)
        before = everything()
        assert get_matmul_precision() in MATMUL_LEVELS, history
        assert get_conv_precision() in CONV_LEVELS, history
        assert everything() == before, history


def test_both_sides_are_apart():
    for matmul, conv in itertools.product(MATMUL_LEVELS, CONV_LEVELS):
        set_matmul_precision(matmul)
        set_conv_precision(conv)
        assert (get_matmul_precision(), get_conv_precision()) == (matmul, conv)
        assert torch_agrees(matmul, conv)
        set_matmul_precision(matmul)
        assert (get_matmul_precision(), get_conv_precision()) == (matmul, conv)


def seen_after(*history):
    after(history)
    return get_matmul_precision()


@needs_flags
def test_get_sees_the_flags():
    assert seen_after("cublas True") == "high"
    assert seen_after("cublas False") == "highest"
    assert seen_after("ours medium", "cublas False") == ("medium" if TREE else "highest")
    assert seen_after("cublas True", "ours highest") == "highest"
    after(["cudnn True"])
    assert get_conv_precision() == "high"
    after(["cudnn False"])
    assert get_conv_precision() == "highest"


@needs_level
@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_get_sees_the_level(level):
    assert seen_after("level " + level) == level


@needs_level
def test_get_after_level_and_flag():
    # From 2.9 on the flag is of CUDA alone, and the CPU keeps the level: the less precise of the two counts.
    assert seen_after("level high", "cublas False") == ("high" if TREE else "highest")
    assert seen_after("level medium", "cublas False") == ("medium" if TREE else "highest")
    assert seen_after("level medium", "cublas True") == ("medium" if TREE else "high")
    assert seen_after("level highest", "cublas True") == "high"


@needs_tree
def test_get_sees_the_tree():
    assert seen_after("cuda.matmul tf32") == "high"
    assert seen_after("cuda.matmul ieee") == "highest"
    assert seen_after("cuda.all tf32") == "high"
    assert seen_after("cuda.all tf32", "cuda.matmul ieee") == "highest"
    assert seen_after("generic.all tf32") == "high"
    assert seen_after("generic.all ieee") == "highest"
    assert seen_after("generic.all bf16") == "medium"
    assert seen_after("mkldnn.matmul tf32") == "high"
    assert seen_after("mkldnn.matmul bf16") == "medium"
    assert seen_after("mkldnn.conv bf16") == "highest"
    assert seen_after("cuda.matmul tf32", "mkldnn.matmul ieee") == "high"
    assert seen_after("level high", "cuda.matmul ieee", "mkldnn.matmul ieee") == "highest"


@needs_tree
def test_get_conv_sees_the_tree():
    for conv, rnn in itertools.product(["ieee", "tf32"], repeat=2):
        after([f"cuda.conv {conv}", f"cuda.rnn {rnn}"])
        assert get_conv_precision() == ("high" if "tf32" in (conv, rnn) else "highest")
    after(["our conv highest", "generic.all tf32"])
    assert get_conv_precision() == "highest"
    after(["cudnn False", "generic.all tf32"])
    assert get_conv_precision() == "high"


def test_defaults():
    assert get_matmul_precision() == ("high" if FLAGS and not LEVEL else "highest")
    assert get_conv_precision() == ("high" if FLAGS else "highest")


class Choice(str, enum.Enum):
    HIGH = "high"


@both_sides
def test_a_string_enum_will_do(set_level, get_level, context, levels):
    set_level(Choice.HIGH)
    assert type(get_level()) is str
    assert get_level() == "high"


# What is no level.

NO_STRING = [None, 1, 0, True, 1.0, b"high", [], ["high"], {"high": 1}, {"high"}, ..., str, torch.float32]


NO_LEVEL = ["", "HIGH", "High", " high", "high ", "highest\0", "tf32", "ieee", "bogus", "hochster" * 10]


@both_sides
@pytest.mark.parametrize(
    ("bad", "error"),
    [(bad, TypeError) for bad in NO_STRING] + [(bad, ValueError) for bad in NO_LEVEL],
    ids=repr,
)
def test_anything_else_is_refused_and_changes_nothing(set_level, get_level, context, levels, bad, error):
    set_level("high")
    before = everything()
    for function in (set_level, context):
        with pytest.raises(error, match="must be one of " + ", ".join(map(repr, levels)) + "; got"):
            function(bad)
    assert everything() == before


def test_cudnn_has_no_medium():
    for function in (set_conv_precision, conv_precision):
        with pytest.raises(ValueError, match="one of 'highest', 'high'; got 'medium'"):
            function("medium")
