"""Honest checkpoints that torch 1.2, 1.6, 1.13, 2.4 and 2.15 wrote are read alike by every torch.

They are in data/, made by checkpoint_exchange.py.
"""

from pathlib import Path

import checkpoint_exchange as exchange
import pytest
import torch

from torchcompat import SHIMS

PACKS = sorted((Path(__file__).parent / "data").glob("torch-*.zip"))


def test_there_are_files_of_five_minors_in_both_formats():
    formats = {path.stem[6:]: {label for _, label, _, _ in exchange.unpacked(path)} for path in PACKS}
    both = {"native", "legacy"}
    assert formats == {"1.2": {"native", "ours"}, "1.6": both, "1.13": both, "2.4": both, "2.15": both}


@pytest.mark.shim("load")
@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_checkpoints_of_another_torch(impl, path):
    faults, read, refused = exchange.check(path, lambda file: impl(file, weights_only=True))
    if impl is SHIMS["load"].native and path.stem == "torch-1.13":  # its sparse CSR tensors have a test of their own
        faults = [fault for fault in faults if fault.split()[1] != "csr"]
    assert not faults, "\n".join(faults)
    assert read >= 20
    lacking = {case for case, _, _, _ in exchange.unpacked(path) if exchange.missing(case)}
    assert bool(refused) == bool(lacking)


@pytest.mark.shim("load")
@pytest.mark.limit("sparse csr")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.skipif(exchange.missing("csr"), reason="torch lacks sparse CSR here")
def test_sparse_csr_of_torch_1_13(impl):
    (path,) = [path for path in PACKS if path.stem == "torch-1.13"]
    files = [data for case, _, data, _ in exchange.unpacked(path) if case == "csr"]
    assert len(files) == 2
    for data in files:
        impl(exchange.io.BytesIO(data), weights_only=True)


def test_what_torch_lacks_is_named():
    lacking = [case for case in exchange.CASES if exchange.missing(case)]
    if not lacking:
        pytest.skip("this torch has every type there is")
    load = SHIMS["load"].fallback
    for path in PACKS:
        for case, _, data, _ in exchange.unpacked(path):
            if case in lacking:
                with pytest.raises(RuntimeError, match=exchange.NAMED.get(case, case)):
                    load(exchange.io.BytesIO(data))


@pytest.mark.shim("load")
def test_what_this_torch_writes(impl, tmp_path):
    path = tmp_path / "own.zip"
    exchange.pack(str(path))
    faults, read, refused = exchange.check(path, lambda file: impl(file, weights_only=True))
    assert not faults, "\n".join(faults)
    assert read >= 40
    assert refused == 0


def test_a_description_tells_things_apart():
    base = torch.arange(4.0)
    different = [
        base,
        base.double(),
        base.reshape(2, 2),
        base + 1,
        base[1:],
        torch.nn.Parameter(base),
        [base, base],
        None,
    ]
    different += [
        [base, base.clone()],
        (base, base),
        {"a": base},
        {"b": base},
        torch.arange(8.0)[::2],
        torch.float32,
        "a",
    ]
    described = [exchange.json.dumps(exchange.describe(item)) for item in different]
    assert len(set(described)) == len(different)
