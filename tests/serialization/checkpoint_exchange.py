"""Honest checkpoints, and what is in them, for every torch to write and every other to read.

python checkpoint_exchange.py pack data/torch-2.15.zip     what the installed torch writes: how tests/serialization/data
                                                           was made, on torch 1.2.0, 1.6.0, 1.13.1, 2.4.1 and 2.15.0
python checkpoint_exchange.py all out.zip                  the same, with all that torchcompat.save writes
python checkpoint_exchange.py check data/torch-*.zip       read them with torchcompat.load and compare

A pack holds, for each case and each format, the checkpoint and a description of what the torch that wrote it reads
in it: types, dtypes, sizes, strides, values, who shares memory with whom. What another torch reads must be described
alike.
"""

import functools
import io
import json
import pickle
import sys
import warnings
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import torch

import torchcompat
from torchcompat import SHIMS, has

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "bool", "uint16", "uint32", "uint64")
FLOATS_8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")


# The cases: what each needs to exist, and what makes it.


def _dtype_cases():
    for name in FLOATS:
        yield (
            name,
            ["torch." + name],
            lambda name=name: torch.tensor([0.0, -1.5, 2.0, 65504.0]).to(getattr(torch, name)),
        )
    for name in INTEGERS:
        yield name, ["torch." + name], lambda name=name: torch.tensor([0, 1, 1, 100]).to(getattr(torch, name))
    for name in ("complex64", "complex128"):
        yield name, ["torch.view_as_real"], lambda name=name: torch.tensor([1 + 2j, -0.5j], dtype=getattr(torch, name))
    for name in FLOATS_8:
        yield name, ["torch." + name], lambda name=name: torch.tensor([0.5, 1.0, 2.0, 4.0]).to(getattr(torch, name))


def shared():
    base = torch.arange(12.0).reshape(3, 4)
    return {
        "base": base,
        "rows": base[1:],
        "turned": base.t(),
        "same": base,
        "again": [base, base[:, 2]],
        "own": base + 1,
    }


def views():
    base = torch.arange(24.0).reshape(2, 3, 4)
    views = [base.permute(2, 0, 1), base[:, ::2], base[1, 2, 3], base[:, 1:1], base.narrow(2, 1, 2)]
    expanded = torch.tensor([5.0]).expand(3, 4)
    return (*views, expanded, torch.empty(0), torch.tensor(3.5), torch.zeros(2, 0, 3))


def parameters():
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    integer = torch.nn.Parameter(torch.arange(3), requires_grad=False)
    return {
        "weight": weight,
        "tied": weight,
        "frozen": frozen,
        "integer": integer,
        "leaf": torch.ones(2, requires_grad=True),
    }


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Embedding(5, 2))


def _optimizer(make):
    model = torch.nn.Linear(3, 2)
    optimizer = make(model.parameters())
    for step in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, step + 0.5)
        optimizer.step()
    return optimizer.state_dict()


def scalars():
    return {
        "none": None,
        "numbers": [0, -1, 255, 65536, 2**31, -(2**70), 1.5, float("inf"), True, False],
        "text": ["", "a", "\u00e9\u4e16\U0001f600", "x" * 300],
        "bytes": b"a\xff\0",
        5: ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        (1, "a"): {"empty": [{}, [], OrderedDict()]},
        "ordered": OrderedDict([("z", 1), ("a", 2)]),
        "set": {1, 2, 3},
        "counter": Counter("abca"),
        "complex": 1 - 2j,
    }


def torch_scalars():
    return [torch.Size([2, 3]), torch.float32, torch.int64, torch.device("cpu"), torch.Size([])]


def sparse():
    indices = torch.tensor([[0, 1, 2], [2, 0, 1]])
    tensor = torch.sparse_coo_tensor(indices, torch.tensor([1.0, 2.0, 3.0]), (3, 3))
    return {"plain": tensor, "coalesced": tensor.coalesce()}


def quantized():
    data = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    return {
        "tensor": torch.quantize_per_tensor(data, 0.1, 10, torch.quint8),
        "signed": torch.quantize_per_tensor(data, 0.1, 0, torch.qint8),
    }


def quantized_by_channel():
    scales, zeros = torch.tensor([0.1, 0.5], dtype=torch.float64), torch.tensor([10, 0])
    return torch.quantize_per_channel(torch.tensor([[-1.0, 1.0], [2.0, 3.0]]), scales, zeros, 0, torch.quint8)


def compressed(layout):
    def make():
        if torchcompat.is_version(1, 10):
            raise RuntimeError("torch.save ends the process")
        return getattr(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]), "to_sparse_" + layout)()

    return make


def with_attributes():
    tensor = torch.arange(3.0)
    tensor.note, tensor.table = "kept", {"a": [1, 2]}
    return tensor


def parameter_with_attributes():
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.note = "kept"
    return parameter


def storages():
    tensor = torch.arange(4.0)
    return {"tensor": tensor, "storage": tensor.storage()}


def cycle():
    found = {"tensor": torch.ones(2)}
    found["self"] = found
    return found


CASES = {
    **{name: (needs, make) for name, needs, make in _dtype_cases()},
    "shared": ([], shared),
    "views": ([], views),
    "parameters": ([], parameters),
    "network": ([], lambda: network().state_dict()),
    "sgd": ([], lambda: _optimizer(lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9))),
    "adam": ([], lambda: _optimizer(lambda parameters: torch.optim.Adam(parameters, 0.1, amsgrad=True))),
    "scalars": ([], scalars),
    "torch_scalars": ([], torch_scalars),
    "sparse": ([], sparse),
    "quantized": (["torch.quint8"], quantized),
    "quantized_by_channel": (["torch.quantize_per_channel"], quantized_by_channel),
    "csr": (["torch.sparse_csr"], compressed("csr")),
    "csc": (["torch.sparse_csc"], compressed("csc")),
    "with_attributes": ([], with_attributes),
    "parameter_with_attributes": ([], parameter_with_attributes),
    "storages": ([], storages),
    "cycle": ([], cycle),
    "bare_tensor": ([], lambda: torch.arange(5)),
    "nothing": ([], lambda: None),
}
# How an error is to name what a torch lacks for a case.
NAMED = {
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
    "csr": "sparse_csr",
    "csc": "sparse_csc",
}
NAMED["quantized_by_channel"] = "per_channel"


# Descriptions.


def describe(item, seen=None):
    """*item* as JSON: two objects that a program cannot tell apart are described alike, on any torch."""
    seen = {"objects": {}, "storages": {}, "kept": []} if seen is None else seen
    if isinstance(item, torch.Tensor):
        return _describe_tensor(item, seen)
    if isinstance(item, (dict, list, set)):
        if id(item) in seen["objects"]:
            return {"as": seen["objects"][id(item)]}
        seen["objects"][id(item)] = len(seen["objects"])
    if isinstance(item, dict):
        # An OrderedDict may carry attributes: the versions of a state dict's modules.
        pairs = [[describe(key, seen), describe(each, seen)] for key, each in item.items()]
        own = getattr(item, "__dict__", None)
        more = {"attributes": describe(own, seen)} if own else {}
        return {"type": type(item).__name__, "items": pairs, **more}
    if isinstance(item, (list, tuple)):
        return {"type": type(item).__name__, "items": [describe(each, seen) for each in item]}
    if isinstance(item, set):
        return {"type": "set", "items": sorted(repr(each) for each in item)}
    if "Storage" in type(item).__name__:
        tensor = torch.tensor(item.tolist())
        return {"type": "storage", "of": str(item.dtype), "values": _values(tensor), "shares": _shares(item, seen)}
    return {"type": type(item).__name__, "value": repr(item)}


def _shares(storage, seen):
    """Which storage this is, counted from 0: two tensors of one storage have one number."""
    seen["kept"].append(storage)
    return seen["storages"].setdefault(storage.data_ptr(), len(seen["storages"])) if len(storage) else None


def _plain_storage(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2 warns that the class of storages is going to change
        return tensor.storage()


def _values(tensor):
    tensor = tensor.detach()
    if tensor.is_complex() if hasattr(tensor, "is_complex") else False:
        tensor = torch.view_as_real(tensor)
    if tensor.dtype.is_floating_point:
        return [float(each).hex() for each in tensor.double().reshape(-1).tolist()]
    return [int(each) for each in tensor.reshape(-1).tolist()]


def _describe_tensor(tensor, seen):
    found = {
        "type": type(tensor).__name__,
        "dtype": str(tensor.dtype),
        "layout": str(tensor.layout),
        "size": list(tensor.size()),
        "needs_gradient": tensor.requires_grad,
    }
    own = {name: each for name, each in vars(tensor).items() if not name.startswith("_")}
    if own:
        found["attributes"] = describe(own, seen)
    if str(tensor.layout) == "torch.sparse_coo":
        parts = [tensor._indices(), tensor._values()]
        return {**found, "parts": [_describe_tensor(part, seen) for part in parts], "coalesced": tensor.is_coalesced()}
    if str(tensor.layout) != "torch.strided":
        names = ("crow_indices", "col_indices") if "csr" in str(tensor.layout) else ("ccol_indices", "row_indices")
        parts = [getattr(tensor, name)() for name in (*names, "values")]
        return {**found, "parts": [_describe_tensor(part, seen) for part in parts]}
    found["stride"], found["offset"] = list(tensor.stride()), tensor.storage_offset()
    storage = _plain_storage(tensor)
    found["shares"], found["storage"] = _shares(storage, seen), len(storage)
    if tensor.dtype.is_floating_point or not getattr(tensor, "is_quantized", False):
        return {**found, "values": _values(tensor)}
    if tensor.qscheme() == torch.per_tensor_affine:
        scheme = [tensor.q_scale(), tensor.q_zero_point()]
    else:
        scheme = [tensor.q_per_channel_scales().tolist(), tensor.q_per_channel_zero_points().tolist()]
        scheme.append(tensor.q_per_channel_axis())
    return {**found, "values": _values(tensor.int_repr()), "scheme": scheme}


# Packs.


def written(case):
    """The checkpoints of a case, with their descriptions, by format; none where this torch cannot make or save it."""
    needs, make = CASES[case]
    if not all(has(need) for need in needs):
        return {}
    try:
        item = make()
    except (RuntimeError, AttributeError) as error:
        print(f"torch {torch.__version__} has no {case}: {type(error).__name__}: {error}"[:200])
        return {}
    savers = {"native": torch.save, "ours": SHIMS["save"].fallback}
    if torchcompat.at_least(1, 6):
        savers["legacy"] = functools.partial(torch.save, _use_new_zipfile_serialization=False)
    found = {label: _saved(item, save, f"{case} ({label})") for label, save in savers.items()}
    if not (found["native"] and found["native"][1]):
        return {}
    # Torch below 1.6 does not read our files: what it reads in its own is to be in them.
    return {label: (each[0], each[1] or found["native"][1]) for label, each in found.items() if each}


def _saved(item, save, label):
    """What *save* writes, and what torch itself reads in it, if it can."""
    out = io.BytesIO()
    try:
        save(item, out)
    except (RuntimeError, AttributeError, KeyError) as error:
        print(f"torch {torch.__version__} cannot save {label}: {type(error).__name__}: {error}"[:200])
        return None
    try:
        out.seek(0)
        return out.getvalue(), describe(
            torch.load(out, **({"weights_only": False} if torchcompat.at_least(1, 13) else {}))
        )
    except (RuntimeError, AttributeError, KeyError, pickle.UnpicklingError) as error:
        print(f"torch {torch.__version__} cannot load {label}: {type(error).__name__}: {error}"[:200])
        return (out.getvalue(), None) if "ours" in label else None


def pack(path, small=False):
    """Write a pack; a small one leaves out what our own save writes where torch writes such files too."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for case in CASES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = written(case)
            for label, (data, description) in found.items():
                if not (small and label == "ours" and torchcompat.at_least(1, 6) and "native" in found):
                    _add(file, f"{case}.{label}.pt", data)
                    _add(file, f"{case}.{label}.json", json.dumps(description).encode())


def _add(file, name, data):
    file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def unpacked(path):
    """The checkpoints of a pack: (case, format, bytes, description).

    The formats: "native", what torch.save writes; "legacy", with _use_new_zipfile_serialization=False; "ours", what the
    fallback of torchcompat.save writes.
    """
    with zipfile.ZipFile(path) as file:
        for name in sorted(file.namelist()):
            if name.endswith(".pt"):
                case, label, _ = name.split(".")
                yield case, label, file.read(name), json.loads(file.read(name[:-3] + ".json").decode())


def missing(case):
    """What a case needs and this torch has not."""
    return [need for need in CASES[case][0] if not has(need)]


def check(path, load):
    """Read a pack, and return what went wrong, and how many were read and how many refused for want of a type."""
    faults, read, refused = [], 0, 0
    for case, label, data, description in unpacked(path):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = json.loads(json.dumps(describe(load(io.BytesIO(data)))))
        except Exception as error:
            if missing(case) and NAMED.get(case, case) in str(error):
                refused += 1
            else:
                faults.append(f"{path} {case} {label}: {type(error).__name__}: {error}")
            continue
        read += 1
        if found != description:
            faults.append(f"{path} {case} {label}: {json.dumps(found)}\n    is not {json.dumps(description)}")
    return faults, read, refused


def main(command, *paths):
    if command in ("pack", "all"):
        return pack(*paths, small=command == "pack")
    load = SHIMS["load"].fallback if command == "check" else torch.load
    for path in paths:
        faults, read, refused = check(path, load)
        print(f"torch {torch.__version__}: {Path(path).name}: {read} read, {refused} refused, {len(faults)} wrong")
        print("\n".join(faults[:20]), end="\n" if faults else "")
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
