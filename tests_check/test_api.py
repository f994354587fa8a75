"""`torchcompat api`: what is asked for, in which words, and what is answered."""

import json
import re
from pathlib import Path

import pytest

from torchcompat_check import ours, shims
from torchcompat_check._minors import ranges
from torchcompat_check.api import UnknownName, api, main
from torchcompat_check.history import load


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("F.gelu", "torch.nn.functional.gelu"),
        ("nn.Linear", "torch.nn.Linear"),
        ("Tensor.nbytes", "torch.Tensor.nbytes"),
        ("optim.Adam", "torch.optim.Adam"),
        ("lr_scheduler.StepLR", "torch.optim.lr_scheduler.StepLR"),
        ("DDP", "torch.nn.parallel.DistributedDataParallel"),
        ("zeros", "torch.zeros"),
        ("relu", "torch.relu"),
        ("scaled_dot_product_attention", "torch.nn.functional.scaled_dot_product_attention"),
        ("DataLoader", "torch.utils.data.DataLoader"),
        ("functorch.vmap", "functorch.vmap"),
        (" torch.zeros ", "torch.zeros"),
        ("torch.zeros()", "torch.zeros"),
    ],
)
def test_short_forms(short, full):
    assert api(short).name == full


@pytest.mark.parametrize("form", ["torch.nn.functional.gelu(approximate)", "F.gelu(approximate='tanh')"])
def test_one_parameter(form):
    found = api(form)
    assert list(found.parameters) == [found.asked] == ["approximate"]
    assert ranges(found.parameters["approximate"].present) == "1.12-"


def test_what_replaced_a_name_and_what_there_was_before():
    assert [(one.name, ranges(one.present)) for one in api("torch.gels").newer] == [("torch.linalg.lstsq", "1.9-")]
    older = {one.name: ranges(one.present) for one in api("torch.linalg.lstsq").older}
    assert older["torch.gels"] == "1.2"
    assert [one.name for one in api("torch.inference_mode").older] == ["torch.no_grad"]
    # torch.no_grad is not replaced by what does a little more.
    assert api("torch.no_grad").newer == []
    assert [one.name for one in api("torch._six.string_classes").newer] == ["str"]


def test_torchcompat_names():
    assert api("torch.func.vmap").shim == ("torchcompat.func.vmap", "1.2")
    # Another name of the same object.
    assert api("torch.optim.adamw.AdamW").shim == ("torchcompat.optim.AdamW", "1.2")
    # This one's stand-in can only say that it cannot.
    assert api("torch.accelerator.Graph").shim == ("torchcompat.accelerator.Graph", "2.12")
    assert api("torch.nn.Linear").shim is None


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("torch.nn.Liner", "torch.nn.Linear"),
        ("torch.optim.AdmaW", "torch.optim.AdamW"),
        ("F.scaled_dot_product_atention", "torch.nn.functional.scaled_dot_product_attention"),
        ("torch.nn.Linear.forwrd", "torch.nn.Linear.forward"),
        ("torch.nn.Linear.state_dit", "torch.nn.Linear.state_dict"),
        ("torch.silu", "torch.nn.functional.silu"),
        ("torch.utils.checkpoint.chekpoint", "torch.utils.checkpoint.checkpoint"),
        ("nn.GELU(aproximate)", "torch.nn.GELU(approximate)"),
    ],
)
def test_close_matches(typo, meant):
    with pytest.raises(UnknownName) as caught:
        api(typo)
    assert meant in caught.value.matches
    assert len(caught.value.matches) <= 5


def test_nothing_like_it():
    with pytest.raises(UnknownName) as caught:
        api("torch.qqqqqqqqqqqqqqqqq")
    assert caught.value.matches == []


@pytest.mark.parametrize("wrong", ["", "a b", "torch.zeros(", "torch.zeros(a, b)", None, 3])
def test_what_cannot_be_a_name(wrong):
    with pytest.raises(ValueError, match="name must be a dotted name"):
        api(wrong)


def test_the_text(capsys):
    assert main(["torch.nn.GELU"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "torch.nn.GELU: class, torch 1.4-"
    assert "    approximate  1.12-  = 'none'" in lines


def test_the_text_tells_moves_and_stand_ins(capsys):
    assert main(["torch.backends.cuda.sdp_kernel"]) == 0
    assert (
        "  replaced by: torch.nn.attention.sdpa_kernel (torch 2.3-); takes a list of backends"
        in capsys.readouterr().out
    )
    assert main(["torch.func.vmap"]) == 0
    assert "  torchcompat: torchcompat.func.vmap, on torch 1.2 and later" in capsys.readouterr().out


def test_json(capsys):
    assert main(["torch.optim.lr_scheduler.StepLR", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "torch.optim.lr_scheduler.StepLR"
    assert found["torch"] == "1.2-"
    assert {"name": "verbose", "torch": "1.7-2.6"}.items() <= {
        key: value for one in found["parameters"] if one["name"] == "verbose" for key, value in one.items()
    }.items()
    assert found["torchcompat"] == {
        "name": "torchcompat.optim.lr_scheduler.StepLR",
        "torch": "1.2-",
        "kind": "polyfill",
    }


def test_exit_codes(capsys):
    assert main(["torch.nn.Liner"]) == 1
    assert "torch.nn.Linear" in capsys.readouterr().err
    assert main(["torch.nn.Liner", "--json"]) == 1
    assert "torch.nn.Linear" in json.loads(capsys.readouterr().out)["matches"]
    assert main(["a b"]) == 2
    assert "got 'a b'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        ("torchcompat.func.vmap", "torch.func.vmap"),
        ("torchcompat.functional_call", "torch.func.functional_call"),
        ("torchcompat.utils.pytree.tree_map", "torch.utils._pytree.tree_map"),
        ("torchcompat.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_norm_"),
        ("torchcompat.OutOfMemoryError", "torch.cuda.OutOfMemoryError"),
        ("torchcompat.optim.Adam.step", "torch.optim.Adam.step"),
        ("torchcompat.nn.functional.scaled_dot_product_attention(is_causal)", None),
    ],
)
def test_a_name_of_torchcompats_is_one_of_torchs(ours, name):
    found = api(ours)
    assert found.name == (name or "torch.nn.functional.scaled_dot_product_attention")
    assert name is None or found.shim.name.rpartition(".")[2] in ours


def test_what_only_torchcompat_has_is_no_name_of_torchs():
    with pytest.raises(UnknownName):
        api("torchcompat.device.best_device")


def test_successors_are_true():
    """Both names exist, what stands in for a newer name is older, and what replaced another is still there."""
    history = load()
    for old, arrow, new, _ in shims.successors():
        assert arrow in ("->", "=>", "~>")
        before = history.find(old)
        assert before is not None, old
        if not new.startswith("torch."):
            continue
        after = history.find(new)
        assert after is not None, new
        first, second = before.present & -before.present, after.present & -after.present
        assert arrow == "->" or first <= second, (old, new)
        # Something that other names replace in turn may go.
        assert after.present >> 27 & 1 or any(each == new for each, _, _, _ in shims.successors()), new


@pytest.mark.parametrize("name", ["torchcompat.is_oom_error", "torchcompat.memory.is_oom_error"])
def test_a_name_that_is_torchcompats_own(name, capsys):
    assert main([name]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "torchcompat.memory.is_oom_error: a name of torchcompat's own, which no torch has, torch 1.2-"
    assert out[1].split("(")[0].split() == ["def", "is_oom_error"]
    assert len(out) == 3
    assert main([name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["kind"], found["torch"]) == ("torchcompat.memory.is_oom_error", "facade", "1.2-")


def test_a_name_that_is_torchcompats_own_is_what_may_have_been_meant(capsys):
    assert main(["is_oom_error"]) == 1
    assert "torchcompat.memory.is_oom_error" in capsys.readouterr().err


def test_an_override_says_why_it_is_one(capsys):
    assert main(["torchcompat.load"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("  that is torchcompat's own on every torch, in the place of torch's: ")
    assert main(["torch.load", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["torchcompat"]["kind"] == "override"
    assert main(["torch.compile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["torchcompat"]["kind"] == "polyfill"


def test_every_facade_and_override_is_found():
    source = Path(__file__).resolve().parent.parent / "src" / "torchcompat"
    text = "".join(file.read_text(encoding="utf-8") for file in source.rglob("*.py"))
    declared = len(re.findall(r"^@(?:facade|override)\(", text, re.M))
    assert declared == len(ours.load()) > 20
    assert all(one.signature and one.summary for one in ours.load().values())
