"""The examples run and do what they say. TORCHCOMPAT_FULL=1 trains the main one as long as it trains by default."""

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys

import pytest
import torch

import torchcompat
from torchcompat import SHIMS, _torch, at_least, at_most, is_version

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples")
# Fewer steps than by default, yet enough to beat the bigram model.
STEPS = [] if os.environ.get("TORCHCOMPAT_FULL") else ["--steps", "120"]

# What torch 1.7 itself says at its first backward on a machine without an NVIDIA driver.
TORCH_SAYS = "ignore:CUDA initialization:UserWarning"
pytestmark = pytest.mark.filterwarnings(TORCH_SAYS)


def path(name):
    return os.path.join(EXAMPLES, name + ".py")


def run(monkeypatch, name, *arguments):
    """Run an example in this process; returns its exit code, None if it only fell off its end."""
    monkeypatch.setattr(sys, "argv", [path(name), *arguments])
    monkeypatch.delenv("TORCHCOMPAT_DEVICE", raising=False)
    try:
        runpy.run_path(path(name), run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return None


@pytest.fixture(scope="module")
def transformer():
    """examples/char_transformer.py as a module."""
    spec = importlib.util.spec_from_file_location("char_transformer", path("char_transformer"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(pattern, text):
    return [float(number) for number in re.search(pattern, text).groups()]


def test_char_transformer_beats_the_bigram_model_twice_with_the_same_bits():
    strict = [sys.executable, "-W", "error", "-W", TORCH_SAYS]
    command = strict + [path("char_transformer"), "--check", "--device", "cpu"] + STEPS
    done = subprocess.run(command, capture_output=True, timeout=900)
    out, progress = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, out + progress
    first, last = numbers(r"first ([\d.]+), last ([\d.]+)", out)
    assert last < first
    _, averaged, bigram = numbers(r"last weights ([\d.]+), averaged weights ([\d.]+), bigram model ([\d.]+)", out)
    assert averaged < bigram
    # Text has more than 1 bit per character and bigrams explain some of its 7.
    assert 1.0 < averaged < bigram < 5.0
    runs = re.findall(r"run \d: (.*)", out)
    assert len(runs) == 2
    assert runs[0] == runs[1]
    assert "Every loss is the same in both runs." in out
    assert len(re.findall(r"^step \d+/\d+  loss ", progress, re.M)) == 20
    for name in ("nn.functional.scaled_dot_product_attention", "func.functional_call"):
        said = re.search(rf"torchcompat\.{re.escape(name)} +(.*)", out).group(1)
        assert said.startswith({"native": "torch's own", "fallback": "fallback"}[SHIMS[name].here])


@pytest.mark.parametrize(
    ("averaged", "second", "code"),
    [(2.0, 2.0, 0), (2.0, 2.1, 1), (3.0, 3.0, 1)],
    ids=["better and the same", "different", "worse"],
)
def test_char_transformer_tells_success_from_failure(transformer, monkeypatch, capsys, averaged, second, code):
    runs = iter([([5.0, 4.0], 2.5, averaged), ([5.0, 4.0], 2.5, second)])
    text = torch.zeros(100, dtype=torch.long)
    monkeypatch.setattr(transformer, "standard_library", lambda: (text, text))
    monkeypatch.setattr(transformer, "bigram_bits", lambda *_: 2.8)
    monkeypatch.setattr(transformer, "train", lambda *_: next(runs))
    monkeypatch.setattr(sys, "argv", ["char_transformer.py", "--check"])
    assert transformer.main() == code
    assert ("DIFFER" in capsys.readouterr().out) == (averaged != second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps must be at least 1"),
        (["--steps", "many"], "invalid int value"),
        (["--seed", "-1"], "seed"),
        (["--device", "toaster"], "toaster"),
        (["--device", "cuda:63"], "cuda:63"),
        (["--epochs", "3"], "unrecognized arguments"),
    ],
)
def test_char_transformer_refuses_bad_input(monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, "char_transformer", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_progress_is_a_bar_on_a_terminal_only(transformer, monkeypatch, capsys):
    for terminal, quiet, lines, bars in ((True, False, 1, 60), (False, False, 10, 0), (True, True, 0, 0)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=terminal: answer)
        progress = transformer.Progress(60, quiet)
        for step in range(1, 61):
            progress.show(step, 2.5)
        printed = capsys.readouterr().err
        assert (printed.count("\n"), printed.count("\r[")) == (lines, bars)
        assert ("[" + "#" * 30 + "] step 60/60  loss 2.500" in printed) == (bars > 0)


def test_the_model_does_not_see_what_it_predicts(transformer):
    model = transformer.Model()
    characters = torch.randint(128, (2, transformer.CONTEXT))
    changed = characters.clone()
    changed[:, 40:] = (changed[:, 40:] + 1) % 128
    with torch.no_grad():
        before, after = model(characters), model(changed)
    assert torch.allclose(before[:, :40], after[:, :40], atol=1e-5)
    assert not torch.allclose(before[:, 40], after[:, 40], atol=1e-5)


def test_the_bigram_model_is_a_probability(transformer):
    text = torch.tensor(list(b"abracadabra"))
    follows = torch.arange(128)
    for character in b"abz":
        here = torch.full((1,), character, dtype=torch.long)
        bits = [transformer.bigram_bits(text, here, after.view(1)) for after in follows]
        assert sum(2**-each for each in bits) == pytest.approx(1.0)
    # "b" is followed by "r" both times: 2 counts, and one unit of smoothing shared out by how often each stands alone.
    bits = transformer.bigram_bits(text, torch.tensor([ord("b")]), torch.tensor([ord("r")]))
    assert 2**-bits == pytest.approx((2 + (2 + 1) / (10 + 128)) / (2 + 1))


def test_the_held_out_text_is_not_trained_on(transformer):
    text, rest = transformer.standard_library()
    assert len(text) > 2 * len(rest) > 100000
    inputs, targets = transformer.held_out_windows(rest)
    assert tuple(inputs.shape) == (transformer.HELD_OUT_WINDOWS, transformer.CONTEXT)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    trained = bytes(text.tolist())
    kept = bytes(rest.tolist())
    assert all(kept[start : start + 2000] not in trained for start in range(0, len(kept) - 2000, 20000))


def test_pick_device(monkeypatch, capsys):
    assert run(monkeypatch, "pick_device") == 0
    out = capsys.readouterr().out
    assert f"chosen: {torchcompat.device.best_device()}" in out
    assert "the sum of 1000 ones" in out
    assert run(monkeypatch, "pick_device", "cpu") == 0
    assert "chosen: cpu\n" in capsys.readouterr().out
    assert run(monkeypatch, "pick_device", "toaster") == 2
    assert "toaster" in capsys.readouterr().err


def test_per_call_weights(monkeypatch, capsys):
    assert run(monkeypatch, "per_call_weights") == 0
    out = capsys.readouterr().out
    assert "weights are untouched" in out
    mean, together = numbers(r"their mean ([\d.]+), the error of their mean ([\d.]+)", out)
    # The noise has a variance of 0.09, the sine of about 0.5.
    assert together < mean < 0.09


def test_matmul_precision(monkeypatch, capsys):
    assert run(monkeypatch, "matmul_precision") == 0
    assert re.search(r"highest .*: computed in float32", capsys.readouterr().out)


def test_why_not_fastpath(monkeypatch, capsys):
    assert run(monkeypatch, "why_not_fastpath") is None
    out = capsys.readouterr().out
    reason = "training:" if at_least(1, 12) else "version:"
    assert reason in out.partition("in evaluation")[0]
    assert ("without gradients: fused" in out) == (reason == "training:")


def test_per_sample_gradients_find_the_mislabelled(monkeypatch, capsys):
    assert run(monkeypatch, "per_sample_gradients") == 0
    out = capsys.readouterr().out
    first, last = numbers(r"loss ([\d.]+) at first, ([\d.]+) after 30 steps", out)
    assert last < first
    right, wrong = numbers(r"norm: ([\d.]+) with the right label, ([\d.]+) with a wrong one", out)
    assert wrong > 1.5 * right
    precision, chance = numbers(r"mislabelled: ([\d.]+) \(by chance ([\d.]+)\)", out)
    assert precision > 4 * chance
    assert numbers(r"difference from a plain loop's gradient: (\S+)", out)[0] < 1e-4


def test_an_ensemble_knows_where_it_does_not_know(monkeypatch, capsys):
    assert run(monkeypatch, "ensemble") == 0
    out = capsys.readouterr().out
    spread = dict(re.findall(r"(inside|outside): spread ([\d.]+)", out))
    assert float(spread["outside"]) > 1.5 * float(spread["inside"])
    shares = [numbers(r"50% ([\d.]+), 80% ([\d.]+), 95% ([\d.]+)", line) for line in re.findall("intervals: .*", out)]
    inside, _, outside, outside_alone = shares
    assert inside == pytest.approx([0.5, 0.8, 0.95], abs=0.15)
    assert inside[2] > 0.9
    # Who knows the noise alone is far too sure of itself where there was no data.
    assert outside_alone[2] < outside[2]
    assert outside_alone[2] < 0.8


def test_maml_learns_to_learn(monkeypatch, capsys):
    assert run(monkeypatch, "maml_sinusoids", "--steps", "80") == 0
    out = capsys.readouterr().out
    four = r" +([\d.]+)" * 4
    pretrained, learned = (numbers(name + four, out) for name in ("pretrained", "meta-learned"))
    assert pretrained[1] > 2 * learned[1]
    # Further steps help as well, though it was trained for one; before any, it is no better.
    assert learned[3] < learned[1] < 0.75 * learned[0]


def losses_of(monkeypatch, tmp_path, *arguments):
    file = str(tmp_path / "losses.json")
    assert run(monkeypatch, "training_loop", "--device", "cpu", "--losses", file, *arguments) == 0
    with open(file, encoding="utf-8") as text:
        return json.load(text)


def test_the_training_loop_loses_the_same_on_every_torch(monkeypatch, tmp_path, capsys):
    # Those of torch 2.15, without a fallback and in double precision.
    with open(os.path.join(os.path.dirname(__file__), "training_loop_losses.json"), encoding="utf-8") as file:
        expected = json.load(file)
    assert len(expected) == 50
    assert losses_of(monkeypatch, tmp_path) == pytest.approx(expected, abs=5e-5)
    out = capsys.readouterr().out
    last, averaged = numbers(r"last weights ([\d.]+), averaged weights ([\d.]+)", out)
    assert min(last, averaged) > 0.9
    for name in ("amp.GradScaler", "optim.AdamW", "utils.checkpoint.checkpoint"):
        said = re.search(rf"torchcompat\.{re.escape(name)} +(.*)", out).group(1)
        assert said.startswith({"native": "torch's own", "fallback": "fallback"}[SHIMS[name].here])
    if os.environ.get("TORCHCOMPAT_FULL"):
        assert losses_of(monkeypatch, tmp_path, "--precision", "float64") == pytest.approx(expected, abs=1e-9)


def test_a_training_loop_that_was_interrupted_goes_on_as_if_not(monkeypatch, tmp_path, capsys):
    file = str(tmp_path / "half.pt")
    whole = losses_of(monkeypatch, tmp_path, "--steps", "14")
    half = losses_of(monkeypatch, tmp_path, "--steps", "14", "--stop", "12", "--save", file)
    assert half + losses_of(monkeypatch, tmp_path, "--steps", "14", "--resume", file) == whole


@pytest.mark.parametrize(("precision", "since"), [("bfloat16", (1, 10)), ("float16", (2, 2))])
def test_the_training_loop_in_mixed_precision(monkeypatch, tmp_path, capsys, precision, since):
    if at_least(*since):
        lower = losses_of(monkeypatch, tmp_path, "--precision", precision, "--steps", "12")
        exact = losses_of(monkeypatch, tmp_path, "--steps", "12")
        assert lower == pytest.approx(exact, rel=0.05)
        assert lower != pytest.approx(exact, rel=1e-5)
    else:
        assert run(monkeypatch, "training_loop", "--device", "cpu", "--precision", precision) == 2
        # Before 1.10 nothing is cast on a CPU.
        needed = "{}.{}".format(*since if at_least(1, 10) else (1, 10))
        assert f"needs torch {needed}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "10"], "--steps must be more than 10"),
        (["--precision", "int8"], "invalid choice"),
        (["--device", "toaster"], "toaster"),
        (["--resume", "nowhere.pt"], "nowhere.pt"),
    ],
)
def test_the_training_loop_refuses_bad_input(monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, "training_loop", "--device", "cpu", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["per_sample_gradients", "ensemble", "maml_sinusoids"])
def test_the_examples_of_func_refuse_bad_steps(monkeypatch, capsys, name):
    assert run(monkeypatch, name, "--steps", "0") == 2
    assert "--steps must be at least 1" in capsys.readouterr().err


def table_of_versions():
    with open(os.path.join(os.path.dirname(EXAMPLES), "docs", "versions.md"), encoding="utf-8") as page:
        rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in page]
    return [row for row in rows if len(row) == 7 and row[2] in ("yes", "no")]


def test_the_table_of_the_page_on_versions(monkeypatch):
    rows = table_of_versions()
    assert len(rows) > 10
    for text, release, *answers in rows:
        version, prerelease = _torch.parse_version(text)
        assert str(version) == release
        monkeypatch.setattr(_torch, "torch_version", version)
        monkeypatch.setattr(_torch, "_prerelease", prerelease)
        asked = [
            at_least(2, 1),
            at_least(2, 1, strict=True),
            at_most(2, 1),
            is_version(2, 1),
            is_version(2, 1, strict=True),
        ]
        assert ["yes" if answer else "no" for answer in asked] == answers, text
