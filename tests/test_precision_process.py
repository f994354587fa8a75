"""Precision in a process of its own, and by torch's own names."""

import functools
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from precision_tools import (
    CONV_LEVELS,
    FLAGS,
    LEVEL,
    MATMUL_LEVELS,
    TREE,
    _defaults,  # noqa: F401 - runs around every test
    everything,
    needs_flags,
    needs_tree,
    start,
    torch_agrees,
)

from torchcompat import at_least, precision
from torchcompat.precision import (
    conv_precision,
    get_conv_precision,
    get_matmul_precision,
    matmul_precision,
    set_conv_precision,
    set_matmul_precision,
)

# Silence, and what takes a process of its own.


def test_nothing_is_printed(capfd):
    for level in MATMUL_LEVELS:
        set_matmul_precision(level)
        set_conv_precision(CONV_LEVELS[level != "highest"])
        with matmul_precision("high"), conv_precision("highest"):
            assert get_matmul_precision() == "high"
            torch.ones(2, 2) @ torch.ones(2, 2)
    get_conv_precision()
    assert tuple(capfd.readouterr()) == ("", "")


def in_new_process(code, **environment):
    """What *code* prints, as JSON, in a fresh interpreter where every warning is an error."""
    code = "import json, torch, torchcompat.precision as p\n" + code
    environment = dict(os.environ, **environment)
    # The old torch imports pieces of the standard library and of NumPy that now warn.
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return json.loads(done.stdout.decode())


OVERRIDE = """
def levels():
    seen = [p.get_matmul_precision()]
    for level in ("high", "highest"):
        with p.matmul_precision(level):
            seen.append(p.get_matmul_precision())
        seen.append(p.get_matmul_precision())
    p.set_matmul_precision("highest")
    seen.append(p.get_matmul_precision())
    p.set_matmul_precision("medium")
    seen.append(p.get_matmul_precision())
    return seen
seen = {"levels": levels()}
read = getattr(torch._C, "_get_fp32_precision_getter", None)
if read:
    def conv():
        return [read("cuda", "conv"), read("cuda", "rnn"), torch.backends.cudnn.allow_tf32]
    seen["conv"] = [conv()]
    with p.conv_precision("highest"):
        seen["conv"].append(conv())
    seen["conv"].append(conv())
    torch.backends.fp32_precision = "ieee"
    seen["conv"].append(conv())
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def overridden():
    """What a process says whose environment is that of NVIDIA's containers, and that has set nothing before."""
    return in_new_process(OVERRIDE, TORCH_ALLOW_TF32_CUBLAS_OVERRIDE="1")


def test_the_override_of_nvidia_containers(overridden):
    start = "high" if FLAGS else "highest"
    # On 1.12 and 1.13 torch obeys the variable whatever else is set, and get says so.
    highest = "high" if LEVEL and not at_least(2, 0) else "highest"
    assert overridden["levels"] == [start, "high", start, highest, start, highest, "medium"]


@needs_tree
def test_the_untouched_default_of_convolutions_becomes_plain_tf32(overridden):
    default = ["tf32", "tf32", True]
    assert overridden["conv"] == [default, ["ieee", "ieee", False], default, default]


UNTOUCHED = """
read = getattr(torch._C, "_get_fp32_precision_getter", None)
seen = {"start": [p.get_matmul_precision(), p.get_conv_precision()]}
if read:
    def leaves():
        return [read("cuda", "conv"), read("cuda", "rnn")]
    def below(parent):
        torch.backends.fp32_precision = parent
        found = leaves()
        torch.backends.fp32_precision = "none"
        return found
    seen["before"] = [leaves(), below("ieee")]
    for level in ("highest", "high", "medium"):
        with p.matmul_precision(level):
            pass
        p.set_matmul_precision(level)
    p.get_conv_precision()
    seen["after matmul"] = [leaves(), below("ieee")]
    torch.backends.fp32_precision = "ieee"
    before = leaves()
    with p.conv_precision("high"):
        pass
    seen["after conv below ieee"] = [before, leaves()]
    torch.backends.fp32_precision = "none"
    seen["readable"] = torch.backends.cudnn.allow_tf32 in (True, False)
print(json.dumps(seen))
"""


def test_a_process_that_has_set_nothing():
    seen = in_new_process(UNTOUCHED)
    assert seen["start"] == ["high" if FLAGS and not LEVEL else "highest", "high" if FLAGS else "highest"]
    if TREE:
        # From 2.13 on an untouched convolution gives way to the generic precision.
        follows = "ieee" if at_least(2, 13) else "tf32"
        assert seen["before"] == [["tf32"] * 2, [follows] * 2]
        assert seen["after matmul"] == seen["before"]
        assert seen["after conv below ieee"] == [[follows] * 2] * 2
        assert seen["readable"]


# torch's own names.


# In a process of its own: an unknown level spoils what comes after it, see the limit "empty strings". Up to 2.2 torch
# names the level on stderr.
UNKNOWN_LEVEL = """
import os, tempfile, warnings
from torchcompat import has

p.set_float32_matmul_precision("high")
levels = [p.get_matmul_precision()]
said = tempfile.TemporaryFile()
os.dup2(said.fileno(), 2)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    p.set_float32_matmul_precision("bogus")
levels.append(p.get_matmul_precision())
said.seek(0)
seen = {"levels": levels, "warnings": [str(warning.message) for warning in seen], "stderr": said.read().decode()}
seen["library"] = "quantities"
if has("torch.library.Library"):
    warnings.simplefilter("ignore")
    try:
        seen["library"] = torch.library.Library("quantities", "DEF").ns
    except RuntimeError as error:
        seen["library"] = str(error)
print(json.dumps(seen))
"""


@functools.lru_cache(maxsize=None)
def after_an_unknown_level(forced):
    return in_new_process(UNKNOWN_LEVEL, TORCHCOMPAT_FALLBACK=forced)


@pytest.fixture
def unknown_level(impl, shim):
    """What an unknown level does, where the name of the shim is what the fixture `impl` is."""
    return after_an_unknown_level("" if impl is shim.native else shim.name)


@pytest.mark.shim("set_float32_matmul_precision")
class TestSetFloat32MatmulPrecision:
    def test_sets(self, impl):
        for level in MATMUL_LEVELS * 2:
            assert impl(level) is None
            assert get_matmul_precision() == level
            assert torch_agrees(matmul=level)
            assert impl(precision="highest") is None
            assert get_matmul_precision() == "highest"

    @pytest.mark.limit("unknown level")
    def test_an_unknown_level_warns_and_changes_nothing(self, unknown_level):
        assert unknown_level["levels"] == ["high", "high"]
        assert unknown_level["stderr"] == ""
        [warning] = unknown_level["warnings"]
        assert re.search("'highest', 'high',.*'medium'", warning)

    @pytest.mark.limit("empty strings")
    def test_an_unknown_level_breaks_nothing_else(self, unknown_level):
        assert unknown_level["library"] == "quantities"

    @pytest.mark.parametrize("bad", [None, 1, True, 1.0, [], ...], ids=repr)
    def test_what_is_no_string_raises_and_changes_nothing(self, impl, bad):
        impl("high")
        before = everything()
        with pytest.raises(RuntimeError, match="str"):
            impl(bad)
        assert everything() == before

    @pytest.mark.limit("bytes")
    def test_bytes(self, impl):
        impl(b"high")
        assert get_matmul_precision() == "high"

    def test_equals_native(self, impl, shim):
        if not LEVEL:
            pytest.skip("in torch since 1.12")
        for level in MATMUL_LEVELS:
            start()
            shim.native(level)
            native = everything()
            start()
            impl(level)
            assert everything() == native


@pytest.mark.shim("get_float32_matmul_precision")
class TestGetFloat32MatmulPrecision:
    def test_gets(self, impl):
        for level in MATMUL_LEVELS * 2:
            precision.set_float32_matmul_precision(level)
            assert impl() == level
            set_matmul_precision("highest")
            assert impl() == "highest"

    @needs_flags
    def test_sees_the_flag(self, impl):
        torch.backends.cuda.matmul.allow_tf32 = True
        assert impl() == "high"
        torch.backends.cuda.matmul.allow_tf32 = False
        assert impl() == "highest"

    @pytest.mark.limit("default")
    def test_starts_as_highest(self, impl):
        assert impl() == "highest"

    @needs_tree
    @pytest.mark.limit("mix")
    def test_raises_after_a_mix(self, impl):
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            impl()
