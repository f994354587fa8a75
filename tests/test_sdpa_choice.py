"""What torchcompat.attention says about scaled_dot_product_attention agrees with the operator that torch runs.

Every level of every factor alone, every pair of levels and seeded draws, on the CPU, observed with torch's profiler.
"""

import bisect
import contextlib
import itertools
import random
import warnings

import pytest
import torch

from torchcompat import SHIMS, at_least
from torchcompat.attention import sdpa_backend, why_not_fastpath
from torchcompat.attention._sdpa import asked, bind, choose
from torchcompat.nn.attention.bias import causal_lower_right, causal_upper_left

has_sdpa = pytest.mark.skipif(not at_least(2, 0), reason="torch has the function since 2.0")
NATIVE = torch.nn.functional.scaled_dot_product_attention if at_least(2, 0) else None
SHIM = SHIMS["nn.functional.scaled_dot_product_attention"]
NAMES = {"MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "OVERRIDEABLE"}


def since(code, *version):
    return code if at_least(*version) else None


def until(code, *version):
    return None if at_least(version[0], version[1] + 1) else code


# Factors: name, then level: the code to expect.
MASK = until("attn_mask", 2, 2)
STRIDED = MASK or until("mask_stride", 2, 7)
SHAPE = MASK or "mask_shape"
LENGTH = until("length", 2, 11) or "empty"
FACTORS = {
    "dims": {4: None, 3: until("dims", 2, 13), 2: "dims", 5: "dims", "key 3": "dims"},
    "dtype": {"float32": None, "float64": None, "bfloat16": None, "float16": until("dtype", 2, 2)},
    "mask": {
        None: None,
        "LS": MASK,
        "float": MASK,
        "L1": MASK,
        "1S": MASK,
        "B11S": MASK,
        "HLS": SHAPE,
        "grad": MASK or "mask_grad",
        "transposed": STRIDED,
        "expanded": STRIDED,
    },
    "dropout": {0.0: None, 0.5: "dropout"},
    "causal": {False: None, True: None},
    "gqa": {None: None, "same": None, "fewer": until("heads", 2, 8), "other": "heads"}
    if at_least(2, 5)
    else {None: None},
    "broadcast": {None: None, "batch": "batch", "key": "heads", "both": until("heads", 2, 13)},
    "width": {None: None, "value": "width", "one": None, "zero": since("empty", 2, 12)},
    "length": {None: None, "L": LENGTH, "S": LENGTH, "B": since("empty", 2, 12)},
    "stride": {None: None, "query": "stride", "key": "stride", "value": "stride", "step": "stride", "heads": None},
    "grad": {None: None, "query": None, "value": None, "no_grad": None},
    "flags": {None: None, "flash": "flag", "math": None, "both": "flag"},
    "autocast": {None: None, "bfloat16": None, "float16": None} if at_least(2, 3) else {None: None, "bfloat16": None},
    "override": {None: None, "subclass": None, "mode": None},
    "deterministic": {False: None, True: None},
}


class Subclass(torch.Tensor):
    pass


def combinations():
    default = {name: next(iter(levels)) for name, levels in FACTORS.items()}
    others = [(name, level) for name, levels in FACTORS.items() for level in list(levels)[1:]]
    yield default
    for change in others:
        yield dict(default, **dict([change]))
    for one, two in itertools.combinations(others, 2):
        if one[0] != two[0] and not {one[0], two[0]} & {"causal", "override", "deterministic"}:
            yield dict(default, **dict([one, two]))
    sample = random.Random(0)
    for _ in range(150):
        yield {
            name: sample.choice(list(levels)) if sample.random() < 0.2 else default[name]
            for name, levels in FACTORS.items()
        }


def shapes(config):
    batch, heads, length, keys, width = 2, 4, 3, 5, 8
    if config["length"] == "L":
        length = 0
    if config["length"] == "S":
        keys = 0
    if config["length"] == "B":
        batch = 0
    width = {"one": 1, "zero": 0}.get(config["width"], width)
    query, key, value = ([batch, heads, n, width] for n in (length, keys, keys))
    if config["width"] == "value":
        value[3] = 6
    if config["gqa"] == "fewer":
        key[1] = value[1] = 2
    elif config["gqa"] == "other":
        key[1], value[1] = 2, 1
    if config["broadcast"] == "batch":
        key[0] = 1
    elif config["broadcast"] == "key":
        key[1] = 1
    elif config["broadcast"] == "both":
        key[1] = value[1] = 1
    return query, key, value


def tensor(shape, dims, dtype, stride):
    shape = {4: shape, 5: [1, *shape], 3: shape[1:], 2: shape[2:]}[dims]
    if stride == "last":
        return torch.zeros(*shape[:-2], shape[-1], shape[-2], dtype=dtype).transpose(-1, -2)
    if stride == "step":
        return torch.zeros(*shape[:-1], 2 * shape[-1], dtype=dtype)[..., ::2]
    if stride == "heads" and len(shape) > 2:
        return torch.zeros(*shape[:-3], shape[-2], shape[-3], shape[-1], dtype=dtype).transpose(-2, -3)
    return torch.zeros(*shape, dtype=dtype)


def mask_of(config, query, key, dtype):
    batch, heads, length, keys = query[0], query[1], query[2], key[2]
    kind = config["mask"]
    if kind in ("float", "grad"):
        return torch.zeros(length, keys, dtype=dtype, requires_grad=kind == "grad")
    if kind == "transposed":
        return torch.ones(keys, length, dtype=torch.bool).t()
    if kind == "expanded":
        return torch.ones(length, 1, dtype=torch.bool).expand(length, keys)
    shape = {
        "LS": (length, keys),
        "L1": (length, 1),
        "1S": (1, keys),
        "B11S": (batch, 1, 1, keys),
        "HLS": (heads, length, keys),
    }
    return None if kind is None else torch.ones(shape[kind], dtype=torch.bool)


def arguments(config):
    query, key, value = shapes(config)
    dtype, dims, stride = getattr(torch, config["dtype"]), config["dims"], config["stride"]
    dims, key_dims = (4, 3) if dims == "key 3" else (dims, dims)
    everywhere = stride if stride in ("step", "heads") else None
    tensors = [
        tensor(shape, n, dtype, "last" if stride == name else everywhere)
        for shape, n, name in ((query, dims, "query"), (key, key_dims, "key"), (value, dims, "value"))
    ]
    if config["grad"] is not None:
        tensors[2 if config["grad"] == "value" else 0].requires_grad_(True)
    if config["override"] == "subclass":
        tensors[0] = tensors[0].as_subclass(Subclass)
    keywords = {"enable_gqa": True} if config["gqa"] else {}
    return (*tensors, mask_of(config, query, key, dtype), config["dropout"], config["causal"]), keywords


@contextlib.contextmanager
def circumstances(config):
    with contextlib.ExitStack() as stack:
        for name in ("flash", "math"):
            if config["flags"] in (name, "both"):
                switch = getattr(torch.backends.cuda, f"enable_{name}_sdp")
                switch(False)
                stack.callback(switch, True)
        if config["grad"] == "no_grad":
            stack.enter_context(torch.no_grad())
        if config["autocast"]:
            stack.enter_context(torch.autocast("cpu", dtype=getattr(torch, config["autocast"])))
        if config["override"] == "mode":
            stack.enter_context(PassThrough())
        if config["deterministic"]:
            torch.use_deterministic_algorithms(True)
            stack.callback(torch.use_deterministic_algorithms, False)
        yield


if at_least(2, 0):

    class PassThrough(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))


def observed(calls):
    """For each call what ran, "flash", "math" or None, and its error."""
    errors = []
    with warnings.catch_warnings(), torch.autograd.profiler.profile() as profile:
        warnings.simplefilter("ignore")
        for number, call in enumerate(calls):
            with torch.autograd.profiler.record_function(f"call {number}"):
                try:
                    call()
                    errors.append(None)
                except Exception as error:
                    errors.append(error)
    begun = {e.name: e.time_range.start for e in profile.function_events if e.name.startswith("call ")}
    starts = [begun[f"call {number}"] for number in range(len(errors))]
    ran = [None] * len(errors)
    for event in profile.function_events:
        kernel = event.name.replace("aten::_scaled_dot_product_", "")
        if kernel in ("flash_attention", "flash_attention_for_cpu", "attention_math"):
            ran[bisect.bisect_right(starts, event.time_range.start) - 1] = "flash" if "flash" in kernel else "math"
    return list(zip(ran, errors))


def run(function, config):
    inputs, keywords = arguments(config)
    with circumstances(config):
        return function(*inputs, **keywords)


def codes(reasons):
    return {reason.partition(":")[0] for reason in reasons}


# Levels whose code does not come by itself: see `exceptions`.
RELATED = ("dims", "mask", "gqa", "broadcast", "length", "width", "stride", "grad", "autocast")


def expected(config):
    """The codes of the factors, where the level of one does not decide what another's means; else None."""
    changed = [name for name in RELATED if config[name] != next(iter(FACTORS[name]))]
    if len(changed) > 1:
        return None
    if not at_least(2, 1):
        return {"version"}
    if config["autocast"] and config["dtype"] == "float16":
        return None
    return {FACTORS[name][config[name]] for name in FACTORS} - {None}


def refused(error):
    return any(words in str(error).lower() for words in ("no viable", "no available kernel"))


def problems_of(config, ran, error):
    """What the diagnosis and torch disagree on, in words."""
    inputs, keywords = arguments(config)
    with circumstances(config):
        reasons = why_not_fastpath(NATIVE, *inputs, **keywords)
        answer = asked(bind("native", inputs, keywords))
        choice = choose("native", bind("native", inputs, keywords))
    if expected(config) not in (None, codes(reasons)) or len(codes(reasons)) != len(reasons):
        yield f"expected {expected(config)}, got {reasons}"
    if ran is None and (not reasons if error is None else False):
        yield f"nothing ran, but got {reasons}"
    if ran is not None and (ran == "flash") != (not reasons):
        yield f"{ran} ran, error {error!r}, but got {reasons}"
    if ran is not None and choice.backend != {"flash": "FLASH_ATTENTION", "math": "MATH"}[ran]:
        yield f"{ran} ran, but got {choice}"
    if (choice.backend == "ERROR") != refused(error):
        yield f"error {error!r}, but got {choice}"
    if ran is not None and not config["autocast"] and config["dims"] == 4 and answer not in (None, choice.backend):
        yield f"torch says {answer}, got {choice}"
    if set(choice.reasons) != NAMES - {choice.backend} or (choice.reasons.get("FLASH_ATTENTION") or []) != reasons:
        yield f"got {choice} and {reasons}"


@has_sdpa
def test_the_choice_is_what_torch_runs():
    configs = list(combinations())
    seen = observed([lambda config=config: run(NATIVE, config) for config in configs])
    report([(p, c) for c, (ran, error) in zip(configs, seen) for p in problems_of(c, ran, error)])


def report(problems):
    changed = [(p, {k: v for k, v in c.items() if v != next(iter(FACTORS[k]))}) for p, c in problems]
    assert not problems, "\n".join([str(len(problems)), *map(str, changed[:8])])


def problems_of_public(config, ran, error):
    """What the answer about the public function and what runs in it disagree on."""
    inputs, keywords = arguments(config)
    with circumstances(config):
        choice = sdpa_backend(*inputs, **keywords)
        reasons = why_not_fastpath(SHIM.public, *inputs, **keywords)
    if (choice.backend == "FLASH_ATTENTION") != (ran == "flash") and (ran is not None or error is None):
        yield f"{ran} ran, error {error!r}, but got {choice}"
    if (choice.backend == "ERROR") != any(
        words in str(error).lower() for words in ("no viable", "no available kernel")
    ):
        yield f"error {error!r}, but got {choice}"
    if bool(reasons) != (choice.backend != "FLASH_ATTENTION"):
        yield f"got {choice} and {reasons}"


@has_sdpa
def test_the_public_function():
    configs = list(combinations())[::4]
    seen = observed([lambda config=config: run(SHIM.public, config) for config in configs])
    report([(p, c) for c, (ran, error) in zip(configs, seen) for p in problems_of_public(c, ran, error)])


@has_sdpa
@pytest.mark.filterwarnings("ignore:.*fully masked|.*NaN")  # at the making of a bias with more queries than keys
@pytest.mark.parametrize("make", [causal_upper_left, causal_lower_right])
@pytest.mark.parametrize(("queries", "keys"), [(3, 5), (5, 3), (4, 4)])
def test_a_causal_bias(make, queries, keys):
    query, key = torch.zeros(2, 4, queries, 8), torch.zeros(2, 4, keys, 8)
    bias = make(queries, keys)
    ((ran, error),) = observed([lambda: SHIM.public(query, key, key, bias)])
    assert error is None
    assert (sdpa_backend(query, key, key, bias).backend == "FLASH_ATTENTION") == (ran == "flash")
