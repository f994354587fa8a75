import json
import os
import subprocess
import sys

import pytest
import torch

import torchcompat
from torchcompat import SHIMS
from torchcompat._report import python_m


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
    done = report(TORCHCOMPAT_FALLBACK="func.functional_call,func.functional_cal")
    assert done.returncode == 2
    assert done.stdout.decode() == ""
    message = done.stderr.decode()
    assert "TORCHCOMPAT_FALLBACK" in message
    assert "func.functional_cal." in message
    assert "func.functional_call" in message


def test_an_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        python_m(["--yaml"])
    assert stop.value.code == 2
    assert "--yaml" in capsys.readouterr().err
