import json
import os
import subprocess
import sys

import pytest
import torch

import torchcompat
from torchcompat import SHIMS, _report, torch_version
from torchcompat._forced import refuse_unknown
from torchcompat._report import python_m
from torchcompat._shim import NEWEST, _forced_names


def report(*arguments, **environment):
    command = [sys.executable, "-W", "error", "-m", "torchcompat"] + list(arguments)
    environment = dict(os.environ, **environment)
    return subprocess.run(command, capture_output=True, env=environment, timeout=300)


def test_text_names_every_shim(capsys):
    assert python_m([]) == 0
    text, errors = capsys.readouterr()
    assert errors == ""
    assert text.startswith(f"torchcompat {torchcompat.__version__} on torch {torch.__version__}")
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("torchcompat.")}
    assert set(rows) == {"torchcompat." + name for name in SHIMS}
    for name, shim in SHIMS.items():
        assert rows["torchcompat." + name] == [shim.here, shim.since or "-", *shim.why.split()]
        assert all(str(limit) in text for limit in shim.limits_here())


def test_json_says_the_same(capsys):
    assert python_m(["--json"]) == 0
    text, errors = capsys.readouterr()
    data = json.loads(text)
    assert errors == ""
    assert data["torch"] == str(torch.__version__)
    assert data["devices"][-1] == "cpu"
    assert {row["name"]: row["why"] for row in data["shims"]} == {
        "torchcompat." + name: shim.why for name, shim in SHIMS.items()
    }


def test_one_forced_name():
    data = json.loads(report("--json", TORCHCOMPAT_FALLBACK="torchcompat.func.functional_call").stdout.decode())
    whys = {row["name"]: row["why"] for row in data["shims"]}
    assert whys.pop("torchcompat.func.functional_call") == "forced"
    assert "forced" not in whys.values()


def test_a_forced_name_that_is_no_shim_is_an_error():
    command = [sys.executable, "-m", "torchcompat_check"]
    environment = dict(os.environ, TORCHCOMPAT_FALLBACK="func.functional_call,func.functional_cal")
    done = subprocess.run(command, capture_output=True, env=environment, timeout=300)
    assert done.returncode == 2
    assert done.stdout.decode() == ""
    message = done.stderr.decode()
    assert message.count("\n") == 1
    assert "TORCHCOMPAT_FALLBACK='func.functional_call,func.functional_cal'" in message
    assert "'func.functional_cal' is no shim; did you mean 'func.functional_call'?" in message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("ALL", "did you mean 'all'?"),
        ("1", "did you mean 'all'?"),
        ("0", "leave the variable unset"),
        ("torch.load", "did you mean 'load'?"),
        ("functional_call", "did you mean 'func.functional_call'?"),
        ("save,lod", "did you mean 'load'?"),
        ("all,nonsense of any kind", "'nonsense of any kind' is no shim. Accepted"),
        ("nn.attention.flex_attention.creat_mask", "did you mean 'nn.attention.flex_attention.create_mask'?"),
    ],
)
def test_a_forced_name_that_is_no_shim_is_an_error_at_import(value, hint):
    with pytest.raises(ValueError, match="TORCHCOMPAT_FALLBACK=") as error:
        refuse_unknown(_forced_names(value), value)
    assert repr(value) in str(error.value)
    assert hint in str(error.value)


def imported(program, **environment):
    environment = dict(os.environ, **environment)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=300)


def test_importing_torchcompat_asks():
    done = imported("import torchcompat.nn.functional", TORCHCOMPAT_FALLBACK="al")
    assert done.returncode == 1
    assert "ValueError: TORCHCOMPAT_FALLBACK='al': 'al' is no shim; did you mean 'all'?" in done.stderr.decode()
    # Of a module that is not loaded with the package, which loads no more than that.
    program = "import torchcompat, sys; print('torchcompat._report' in sys.modules)"
    done = imported(program, TORCHCOMPAT_FALLBACK=" all,, torchcompat.nn.attention.flex_attention.create_mask, ")
    assert (done.returncode, done.stdout.decode().strip()) == (0, "False"), done.stderr.decode()


NEW = """
import torch
torch.__version__ = "2.16.0"
import json
from torchcompat import _report
report = _report.collect()
print(json.dumps(report), _report.as_text(report), sep=chr(10))
"""


@pytest.mark.skipif(torch_version[:2] != NEWEST, reason="what a torch newer than the newest would be like")
def test_a_torch_that_is_newer_than_the_newest_is_said_to_be_untested():
    done = imported(NEW)
    assert done.returncode == 0, done.stderr.decode()
    first, _, text = done.stdout.decode().partition("\n")
    assert "this torch is untested: torchcompat" in text
    assert "tested up to torch 2.15" in text
    data = json.loads(first)
    assert (data["untested"], data["newest_tested"]) == (True, "2.15")
    here = _report.collect()
    assert here["untested"] is False
    # What is still so on the newest torch is so on the next, until somebody has looked.
    assert [row["limits"] for row in data["shims"]] == [row["limits"] for row in here["shims"]]
    assert any(row["limits"] for row in data["shims"])
    assert [row["why"] for row in data["shims"]] == [row["why"] for row in here["shims"]]


def test_folders_that_another_distribution_puts_beside_ours_are_not_looked_into(tmp_path):
    # `torchcompat` on the index has torchcompat/core and torchcompat/plugins.
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit('the other one was imported')")
    program = (
        f"import torchcompat; torchcompat.__path__.append({str(tmp_path)!r}); from torchcompat import _report; "
        "print('utils.pytree.tree_map' in torchcompat.SHIMS)"
    )
    done = imported(program)
    assert (done.returncode, done.stdout.decode().strip()) == (0, "True"), done.stderr.decode()


def test_an_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        python_m(["--yaml"])
    assert stop.value.code == 2
    assert "--yaml" in capsys.readouterr().err
