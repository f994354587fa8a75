import pytest
import torch

import torchcompat
from torchcompat import _torch, at_least, at_most, has, is_version

# Version strings from the field; sources in docs/versions.md.
FIELD = [
    ("2.1.0+cu118", (2, 1, 0), False),
    ("2.1.0.dev20230501+cu118", (2, 1, 0), True),
    ("2.1.0a0+git7654321", (2, 1, 0), True),
    ("2.1.0a0+44dac51c.nv23.10", (2, 1, 0), True),
    ("1.14.0a0+44dac51c.nv23.01", (1, 14, 0), True),
    ("2.1.0rc1", (2, 1, 0), True),
    ("2.0.0.nv23.05", (2, 0, 0), False),
    ("2.1.0.post301", (2, 1, 0), False),
    ("2.10.0+cu128", (2, 10, 0), False),
    ("1.12.0", (1, 12, 0), False),
    ("2.6.0+xpu", (2, 6, 0), False),
    ("2.5.1.dev", (2, 5, 1), True),
    ("v2.3", (2, 3, 0), False),
    ("3", (3, 0, 0), False),
    ("2.0.1+cu117.with.pypi.cudnn", (2, 0, 1), False),
    ("", (0, 0, 0), False),
    ("unknown", (0, 0, 0), False),
    ("2.4.0-abc-def!", (2, 4, 0), False),
]


@pytest.fixture
def pretend(monkeypatch):
    """Set what this torch counts as, for the three tests of the version."""

    def set_version(text):
        release, prerelease = _torch.parse_version(text)
        monkeypatch.setattr(_torch, "torch_version", release)
        monkeypatch.setattr(_torch, "_prerelease", prerelease)

    return set_version


@pytest.mark.parametrize(("text", "release", "prerelease"), FIELD)
def test_parse(text, release, prerelease):
    assert _torch.parse_version(text) == (release, prerelease)


def test_torch_version_is_the_installed_one_in_plain_ints():
    assert type(torchcompat.torch_version) is tuple
    assert [type(part) for part in torchcompat.torch_version] == [int, int, int]
    assert str(torch.__version__).startswith("{}.{}.{}".format(*torchcompat.torch_version))


@pytest.mark.parametrize("text", [row[0] for row in FIELD if row[1] == (2, 1, 0)])
def test_a_build_counts_as_its_release(pretend, text):
    pretend(text)
    assert at_least(2, 1)
    assert at_least(2, 1, 0)
    assert not at_least(2, 1, 1)
    assert not at_least(2, 2)
    assert at_most(2, 1)
    assert not at_most(2, 0)
    assert is_version(2, 1)
    assert is_version(2, 1, 0)
    assert is_version(2)
    assert not is_version(2, 1, 1)


def test_ten_is_more_than_four(pretend):
    pretend("2.10.0+cu128")
    assert at_least(2, 4)
    assert not at_most(2, 9)
    assert not at_least(2, 11)
    assert not is_version(2, 1)


def test_at_most_takes_the_whole_family(pretend):
    pretend("2.8.1+xpu")
    assert at_most(2, 8)
    assert at_most(2)
    assert not at_most(2, 8, 0)


def test_strict_puts_a_prerelease_before_its_release(pretend):
    pretend("2.6.0a0+git123")
    assert at_least(2, 6)
    assert not at_least(2, 6, strict=True)
    assert at_least(2, 5, strict=True)
    assert not is_version(2, 6, strict=True)
    assert is_version(2, 6)
    assert at_most(2, 6)
    pretend("2.6.0+cu124")
    assert at_least(2, 6, strict=True)
    assert is_version(2, 6, strict=True)


@pytest.mark.parametrize("test", [at_least, at_most, is_version])
@pytest.mark.parametrize("bad", [("2.4",), (2.4,), (True,), (None,), ((2, 4),), (), (2, 4, 0, 1), (2, "4")])
def test_anything_but_ints_is_refused(test, bad):
    with pytest.raises(TypeError, match="at_least\\(2, 4\\)"):
        test(*bad)


@pytest.mark.parametrize("test", [at_least, at_most, is_version])
def test_negative_is_refused(test):
    with pytest.raises(ValueError, match="negative"):
        test(2, -1)


@pytest.mark.skipif(not at_least(2, 1), reason="no torch.compile before 2.0, nor in 2.0 on Python 3.11")
def test_compiled_code_takes_the_version_for_a_constant():
    @torch.compile(fullgraph=True, backend="eager")
    def double_if_new(x):
        if at_least(2, 1) and at_most(9) and not is_version(1) and torchcompat.torch_version >= (2, 1):
            return 2 * x
        return x

    assert double_if_new(torch.ones(1)).item() == 2


def test_has_names():
    assert has("torch.nn.Linear")
    assert has("torch.nn.functional.linear")
    assert not has("torch.nn.Linearr")
    assert not has("torch.nope.nope.nope")
    # This owner answers an unknown name with an AssertionError before 2.2.
    assert not has("torch.backends.cuda.matmul.no_such_setting")
    assert has("torch.fft.fft") == at_least(1, 7)
    assert has("torch.nn.attention.bias.causal_lower_right") == at_least(2, 3)


@pytest.mark.parametrize(
    ("path", "param", "first"),
    [
        ("torch.nn.functional.scaled_dot_product_attention", "enable_gqa", (2, 5)),
        ("torch.nn.functional.scaled_dot_product_attention", "scale", (2, 1)),
        ("torch.nn.MultiheadAttention", "batch_first", (1, 9)),
        ("torch.load", "weights_only", (1, 13)),
        ("torch.meshgrid", "indexing", (1, 10)),
        ("torch.func.functional_call", "tie_weights", (2, 0)),
        ("torch.addmm", "alpha", (1, 2)),
        ("torch.addmm", "no_such_parameter", (99, 0)),
        ("torch.nn.Linear", "in_features", (1, 2)),
        ("torch.sort", "stable", (1, 9)),
    ],
)
def test_has_parameters(path, param, first):
    assert has(path, param=param) == at_least(*first)


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [((3,), TypeError, "path"), (("numpy.x",), ValueError, "torch\\."), (("torch.nn", 3), TypeError, "param")],
)
def test_has_refuses(args, error, match):
    with pytest.raises(error, match=match):
        has(*args)


def test_find_imports_nothing():
    assert _torch.find("torch") is torch
    assert _torch.find("torch.nn.Linear") is torch.nn.Linear
    assert _torch.find("torch.no.such") is None
    with pytest.raises(ValueError, match="torch"):
        _torch.find("os.path")
