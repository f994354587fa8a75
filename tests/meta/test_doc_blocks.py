"""Every block of code in the README and the docs runs on this torch, or says in a comment before it why it does not.

`<!-- not run: REASON -->` on the line before a block exempts it. What a block takes for given (a model, a batch) is in
SETUP here. All blocks run in one process of their own, each in a namespace of its own.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from torchcompat import torch_version
from torchcompat._shim import FORCED, NEWEST, minor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md"] + sorted("docs/" + name for name in os.listdir(os.path.join(ROOT, "docs")) if name[-3:] == ".md")
FENCE = re.compile(
    r"^(?: *<!-- not run: (?P<reason>[^\n]+) -->\n+)?(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$",
    re.M | re.S,
)

COMMON = """
import collections, contextlib, types
import torch, torchcompat
from torchcompat import optim
from torchcompat.device import best_device

model = torch.nn.Sequential(collections.OrderedDict(body=torch.nn.Linear(4, 4), head=torch.nn.Linear(4, 2)))
x, y = torch.randn(3, 4), torch.randn(3, 2)
device = "cpu"
"""
LAYER = """
layer = torchcompat.nn.TransformerEncoderLayer(8, 2, batch_first=True)
encoder = torch.nn.TransformerEncoder(layer, 2).eval()
src, padding, alibi = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool), torch.randn(5, 5)
model.encoder = encoder
"""
OPTIMIZER = "optimizer = optim.SGD(model.parameters(), lr=0.1)\n"
# The README's third block of Python is about torch's own objects.
PROOF = ("README.md", 2)
# By page and number of the block among those of Python.
SETUP = {
    ("README.md", 1): "q = k = v = torch.randn(2, 2, 3, 4); mask = None; parameters = dict(model.named_parameters())",
    ("docs/accelerator.md", 0): "build = lambda: torch.nn.Linear(2, 2)",
    ("docs/amp.md", 0): OPTIMIZER + "dtype, loss_fn = torch.bfloat16, torch.nn.functional.mse_loss",
    ("docs/attention.md", 1): LAYER,
    ("docs/check.md", 0): "g = print; gelu = torch.nn.functional.gelu",
    ("docs/checkpoint.md", 0): "block = lambda x, mask: x * 2; mask = None; x.requires_grad_()",
    ("docs/compile.md", 0): "check = print; path = 'state.pt'",
    ("docs/determinism.md", 0): "train = fast_part = lambda: None",
    ("docs/determinism.md", 1): """
from torch.utils.data import DataLoader
from torchcompat.determinism import seed_worker, seeded_generator
data = [1, 2, 3]
""",
    ("docs/device.md", 0): "args = types.SimpleNamespace(device='cpu')",
    ("docs/func.md", 0): "xs, ys = x, y; from torch.nn.functional import mse_loss",
    ("docs/library.md", 0): "import numpy",
    ("docs/memory.md", 0): "def step(batch):\n    raise MemoryError\nbatch = None",
    ("docs/nn-utils.md", 0): "model(x).sum().backward()",
    ("docs/optim.md", 0): """
def log(*_):
    pass
torch.save(torch.optim.AdamW(model.parameters()).state_dict(), "of_torch_1.2.pt")
""",
    ("docs/optim.md", 1): OPTIMIZER
    + """
scheduler = torchcompat.optim.lr_scheduler.StepLR(optimizer, 1)
state, its_state = optimizer.state_dict(), scheduler.state_dict()
""",
    ("docs/pytree.md", 0): """
import dataclasses
@dataclasses.dataclass
class ModelOutput:
    logits: object
batch = {"image": [x], "name": "n"}
""",
    ("docs/schedulers.md", 0): OPTIMIZER,
    ("docs/serialization.md", 0): """
class Config:
    pass
Config.__module__ = "__main__"
import __main__
__main__.Config = Config
torchcompat.save({"weight": x}, "model.pt")
torchcompat.save(Config(), "other.pt")
""",
}
TESTS = "import pytest; from torchcompat._shim import Limit"
SETUP.update({("docs/testing.md", number): TESTS for number in range(3)})
# The oldest torch on which a block does what the page says, where that is not every torch.
SINCE = {
    PROOF: "2.15",
    ("docs/accelerator.md", 0): "2.0",  # the default device "meta"
    ("docs/amp.md", 0): "1.10",  # autocast on the CPU
    ("docs/attention.md", 0): "1.9",  # torch's own layer with batch_first
    ("docs/attention.md", 1): "1.12",  # torch's own encoder with enable_nested_tensor
    ("docs/check.md", 0): "2.1",  # code that is checked: torch.compile, on Python 3.11
    ("docs/check.md", 1): "1.12",
    ("docs/determinism.md", 1): "1.6",  # torch's own DataLoader with a generator
}

RUNNER = """
import doctest, json, sys, traceback, warnings
warnings.simplefilter("ignore")
done = {}
for name, setup, code in json.load(open(sys.argv[1])):
    space = {"__name__": "__main__"}
    try:
        exec(setup, space)
        if code.lstrip().startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, space, name, None, 0)
            failed = doctest.DocTestRunner(verbose=False).run(test).failed
            assert not failed, "the doctest failed"
        else:
            exec(compile(code, name, "exec"), space)
        done[name] = ""
    except BaseException:
        done[name] = traceback.format_exc()
json.dump(done, open(sys.argv[2], "w"))
"""


def blocks():
    """(page, language, number among those of the page and language, reason to leave it out, code)."""
    found = []
    for page in PAGES:
        with open(os.path.join(ROOT, *page.split("/")), encoding="utf-8") as file:
            text = file.read()
        counts = {}
        for match in FENCE.finditer(text):
            language = match.group("language")
            number = counts.setdefault(language, 0)
            counts[language] += 1
            code = textwrap.dedent(match.group("code"))
            found.append((page, language, number, match.group("reason"), code))
    return found


BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block[1] == "python" and not block[3]]
SHELL = [block for block in BLOCKS if block[1] == "sh"]


def name_of(block):
    return f"{block[0]}:{block[2]}"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What became of each block of Python: empty, or a traceback."""
    folder = tmp_path_factory.mktemp("blocks")
    todo = [(name_of(block), COMMON + SETUP.get((block[0], block[2]), ""), block[4]) for block in PYTHON]
    (folder / "blocks.json").write_text(json.dumps(todo))
    (folder / "runner.py").write_text(RUNNER)
    path = os.pathsep.join(os.path.abspath(part) for part in sys.path if part)
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1")
    command = [sys.executable, "runner.py", "blocks.json", "done.json"]
    done = subprocess.run(command, cwd=str(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()
    return json.loads((folder / "done.json").read_text())


@pytest.mark.parametrize("block", PYTHON, ids=name_of)
def test_a_block_of_python_runs(block, outcome):
    key = (block[0], block[2])
    if torch_version[:2] < minor(SINCE.get(key, "1.2")):
        pytest.skip(f"the block is about torch {SINCE[key]}")
    if key == PROOF and FORCED:
        pytest.skip("the block is about torch's own objects")
    assert outcome[name_of(block)] == ""


@pytest.mark.parametrize("block", SHELL, ids=name_of)
def test_a_block_of_shell_can_be_parsed_and_names_files_that_are_there(block):
    shell = shutil.which("bash")
    if shell:
        done = subprocess.run([shell, "-n"], input=block[4].encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout.decode()
    if not block[3]:
        for path in re.findall(r"(?<![\w./-])(?:examples|docs|history|tests|src)/[\w./-]+", block[4]):
            assert os.path.exists(os.path.join(ROOT, *path.split("/"))), path


def test_every_exempt_block_says_why_and_every_entry_here_is_of_a_block():
    exempt = {name_of(block): block[3] for block in BLOCKS if block[3]}
    assert all(len(reason.split()) >= 3 for reason in exempt.values()), exempt
    known = {(block[0], block[2]) for block in PYTHON}
    assert {*SETUP, *SINCE} <= known
    assert next(block[4] for block in PYTHON if (block[0], block[2]) == PROOF).startswith(">>> ")
    # Of what is printed, only what the command of the docs can check may be without a reason.
    prose = [block for block in BLOCKS if block[1] == "text" and block[0] != "docs/check.md" and not block[3]]
    assert [(block[0], block[4].split()[0]) for block in prose] == [("README.md", "name")]
    assert len(PYTHON) >= 20


@pytest.mark.parametrize("block", [block for block in BLOCKS if block[1] == "python" and block[3]], ids=name_of)
def test_an_exempt_block_of_python_is_python_all_the_same(block):
    ast.parse(block[4])


def test_the_newest_torch_is_what_the_proof_is_about():
    assert minor(SINCE[PROOF]) == NEWEST
