"""The choice of a device, tested on plain facts, and the public functions, on the machine as it is."""

import inspect
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import at_least
from torchcompat.device import _choice as choice
from torchcompat.device import _probe as probe
from torchcompat.device import available_devices, best_device
from torchcompat.device._choice import Facts, Found

TYPES = ["cuda", "xpu", "toy", "mps", "cpu"]


@pytest.fixture(autouse=True)
def _no_requests(monkeypatch):
    for name in ("TORCHCOMPAT_DEVICE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


# The choice, on plain facts


def facts(numbers, faulty=()):
    """Facts of a machine with so many devices of each type, those of the *faulty* types unusable."""

    def look(name):
        number = numbers.get(name, 0)
        return Found(number, "" if number else f"there is no {name}", indexed=name not in ("mps", "cpu"))

    return Facts(look, lambda device: f"{device[0]} is broken" if device[0] in faulty else "")


accelerators = st.fixed_dictionaries(
    {"cuda": st.integers(0, 3), "xpu": st.integers(0, 2), "toy": st.integers(0, 2), "mps": st.integers(0, 1)}
)
machines = accelerators.map(lambda numbers: dict(numbers, cpu=1))
some_types = st.lists(st.sampled_from(TYPES), max_size=4)
ranks = st.none() | st.integers(0, 4)


def usable_types(numbers, faulty, types):
    return [name for name in types if numbers[name] and name not in faulty]


@given(machines, some_types, some_types, some_types)
def test_the_best_is_the_first_usable_type_in_order(numbers, faulty, prefer, exclude):
    types = choice.order(TYPES, prefer, exclude)
    left = usable_types(numbers, faulty, types)
    if left:
        assert choice.best(facts(numbers, faulty), types, None) == (left[0], None)
    else:
        with pytest.raises(RuntimeError, match="no device is left"):
            choice.best(facts(numbers, faulty), types, None)


@given(some_types, some_types)
def test_the_order(prefer, exclude):
    types = choice.order(TYPES, prefer, exclude)
    assert sorted(types) == sorted(set(TYPES) - set(exclude))
    rank = {name: position for position, name in enumerate(dict.fromkeys(prefer + TYPES))}
    assert [rank[name] for name in types] == sorted(rank[name] for name in types)
    if "cpu" not in prefer + exclude:
        assert types[-1] == "cpu"


@given(machines, some_types, some_types, some_types)
def test_every_device_is_listed_once_and_the_best_first(numbers, faulty, prefer, exclude):
    types = choice.order(TYPES, prefer, exclude)
    devices = choice.every(facts(numbers, faulty), types)
    left = usable_types(numbers, faulty, types)
    assert len(set(devices)) == len(devices) == sum(numbers[name] for name in left)
    assert list(dict.fromkeys(name for name, _ in devices)) == left
    for name, index in devices:
        assert (index is None) == (name in ("mps", "cpu"))
        assert (index or 0) < numbers[name]


def test_only_the_faulty_one_of_several_is_left_out():
    two = Facts(lambda name: Found(3), lambda device: "broken" if device[1] == 1 else "")
    assert choice.every(two, ["cuda"]) == [("cuda", 0), ("cuda", 2)]


@given(machines, some_types, ranks)
def test_a_rank_is_an_index_only_where_there_is_such_a_device(numbers, exclude, rank):
    types = choice.order(TYPES, (), exclude)
    left = usable_types(numbers, (), types)
    if not left:
        return
    name = left[0]
    if name in ("mps", "cpu") or rank is None:
        assert choice.best(facts(numbers), types, rank) == (name, None)
    elif rank < numbers[name]:
        assert choice.best(facts(numbers), types, rank) == (name, rank)
    else:
        with pytest.raises(RuntimeError, match=rf"local rank {rank}.*{name}:{rank}.*sees {numbers[name]} of"):
            choice.best(facts(numbers), types, rank)


@given(machines, st.sampled_from(TYPES), st.none() | st.integers(0, 4), some_types)
def test_a_request_is_met_or_is_an_error_that_says_what_is_there(numbers, name, index, faulty):
    machine = facts(numbers, faulty)
    if numbers[name] > (index or 0) and name not in faulty:
        assert choice.requested(machine, (name, index), "device", TYPES, None) == (name, index)
        return
    with pytest.raises(RuntimeError) as error:
        choice.requested(machine, (name, index), "VARIABLE='x'", TYPES, None)
    here = re.fullmatch(r"VARIABLE='x' is not available: .+\. Here: (.*)", str(error.value)).group(1)
    assert here == (", ".join(map(choice.spell, choice.every(machine, TYPES))) or "none")


@given(machines, some_types, ranks)
def test_asking_for_the_answer_gives_the_answer(numbers, exclude, rank):
    types = choice.order(TYPES, (), exclude)
    try:
        answer = choice.best(facts(numbers), types, rank)
    except RuntimeError:
        return
    assert choice.requested(facts(numbers), answer, "device", types, rank) == answer


@given(machines, st.sampled_from(["cuda", "xpu", "toy"]), st.integers(0, 4))
def test_a_rank_completes_a_request_without_an_index_only(numbers, name, rank):
    if numbers[name] > rank:
        assert choice.requested(facts(numbers), (name, None), "device", TYPES, rank) == (name, rank)
        assert choice.requested(facts(numbers), (name, 0), "device", TYPES, rank) == (name, 0)


def test_nothing_left_says_why():
    machine = facts({"cuda": 1, "cpu": 1}, faulty=["cuda"])
    with pytest.raises(RuntimeError, match="cuda: cuda is broken; xpu: there is no xpu; toy: there is no toy"):
        choice.best(machine, choice.order(TYPES, (), ["cpu"]), None)
    with pytest.raises(RuntimeError, match="every type is excluded"):
        choice.best(machine, [], None)


# The public functions, on the machine as it is


def test_the_best_device_runs():
    device = best_device()
    assert type(device) is torch.device
    assert device.index is None
    assert device.type != "meta"
    assert torch.ones(2, device=device).sum().item() == 2


def test_what_is_available_runs():
    devices = available_devices()
    assert [type(device) for device in devices] == [torch.device] * len(devices)
    assert devices[-1] == torch.device("cpu")
    assert devices[0].type == best_device().type
    assert len(set(devices)) == len(devices)
    for device in devices:
        assert torch.ones(2, device=device).sum().item() == 2
        assert best_device(device) == device
        assert best_device(str(device)) == device
        assert best_device(prefer=device.type).type == device.type


def test_verified_devices_are_among_the_available():
    assert set(available_devices(verify=True)) <= set(available_devices())
    assert best_device(verify=True).type == available_devices(verify=True)[0].type


def test_every_accelerator_excluded_leaves_the_cpu():
    accelerators = [device.type for device in available_devices() if device.type != "cpu"]
    assert best_device(exclude=accelerators) == torch.device("cpu")
    assert best_device(exclude=set(probe.known_types()) - {"cpu"}) == torch.device("cpu")
    assert best_device(prefer="cpu") == torch.device("cpu")
    with pytest.raises(RuntimeError, match="no device is left"):
        best_device(exclude=probe.known_types())
    assert available_devices(exclude=probe.known_types()) == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bool, torch.int64])
def test_the_best_device_takes_the_dtype(dtype):
    device = best_device(dtype=dtype)
    assert device.type != "mps" or dtype != torch.float64
    assert torch.ones(1, dtype=dtype, device=device).cpu().dtype == dtype
    assert torch.device("cpu") in available_devices(dtype=dtype)


ABSENT = ["cuda:99", "xpu:99", "npu:99", "privateuseone:99", "cpu:1", "mkldnn", "cuda:300", "cuda:255"]


@pytest.mark.parametrize("name", ABSENT)
def test_an_absent_device_is_an_error_that_says_what_is_there(name, monkeypatch):
    here = ", ".join(str(device) for device in available_devices())
    for how in ("argument", "variable"):
        if how == "variable":
            monkeypatch.setenv("TORCHCOMPAT_DEVICE", name)
        with pytest.raises(RuntimeError) as error:
            best_device(None if how == "variable" else name)
        message = str(error.value)
        assert message.endswith("Here: " + here)
        assert message.startswith(f"TORCHCOMPAT_DEVICE={name!r}" if how == "variable" else f"device {name!r}")


BAD = ["gpu", "cuad", "cuda:", "cuda:-1", "cuda:01", "cuda:1:1", "cu da", "0", "meta", "META", "meta:0", "cpu,cuda"]


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_device_is_an_error_that_names_its_source(value, monkeypatch):
    with pytest.raises(ValueError, match=re.escape(f"device {value!r}") + ".*Accepted: a type .cuda"):
        best_device(value)
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", value)
    with pytest.raises(ValueError, match=re.escape(f"TORCHCOMPAT_DEVICE={value!r}") + ".*Accepted: a type .cuda"):
        best_device()
    assert best_device("cpu") == torch.device("cpu")


@given(st.text(max_size=12) | st.from_regex(r"[a-z]{1,5}:[0-9]{1,25}", fullmatch=True))
def test_no_string_does_worse_than_an_error(value):
    try:
        device = best_device(value)
    except (ValueError, RuntimeError):
        return
    assert str(device) == value.strip().lower()


@pytest.mark.parametrize("value", ["CPU", " cpu", "cpu\n", "Cpu:0", "\tCPU:0 "])
def test_capitals_and_blanks_around_a_device_do_not_matter(value, monkeypatch):
    expected = torch.device(value.strip().lower())
    assert best_device(value) == expected
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", value)
    assert best_device() == expected
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", "  ")
    assert best_device(prefer=" CPU") == torch.device("cpu")
    assert torch.device("cpu") in available_devices(exclude="CUDA")
    assert torch.device("cpu") not in available_devices(exclude="CPU")


def test_a_misspelt_device_is_told_what_was_meant():
    with pytest.raises(ValueError, match="device 'cuad' is no device; did you mean 'cuda'\\?"):
        best_device("cuad")


def test_the_variable(monkeypatch):
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", "cpu")
    assert best_device() == torch.device("cpu")
    assert best_device(prefer="cuda") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"TORCHCOMPAT_DEVICE='cpu' is excluded"):
        best_device(exclude="cpu")
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", "cpu:0")
    assert best_device() == torch.device("cpu", 0)
    assert best_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", "")
    assert best_device().type == available_devices()[0].type
    monkeypatch.setenv("TORCHCOMPAT_DEVICE", "meta")
    assert available_devices()[-1] == torch.device("cpu")


@pytest.mark.parametrize("device", [0, 1, True, b"cpu", 1.0, ["cpu"]])
def test_a_device_is_a_string_or_a_device(device):
    with pytest.raises(TypeError, match="device must be None, a string or a torch"):
        best_device(device)


def test_meta_is_refused():
    if at_least(1, 9):
        with pytest.raises(ValueError, match="runs nothing"):
            best_device(torch.device("meta"))
    with pytest.raises(ValueError, match="prefer must name"):
        best_device(prefer=["meta"])


def test_an_excluded_request_is_an_error():
    with pytest.raises(ValueError, match="device 'cpu' is excluded"):
        best_device("cpu", exclude=["cpu"])


@pytest.mark.parametrize("function", [best_device, available_devices])
@pytest.mark.parametrize("argument", ["prefer", "exclude"])
def test_types_are_types(function, argument):
    for bad in ("gpu", "cuda:0", "", ["cpu", "mpss"]):
        with pytest.raises(ValueError, match=argument):
            function(**{argument: bad})
    for bad in (3, [torch.device("cpu")], None, [None]):
        with pytest.raises(TypeError, match=argument):
            function(**{argument: bad})
    function(**{argument: iter(["npu", "xla"])})  # known to this torch or to us, though not here


@pytest.mark.parametrize("function", [best_device, available_devices])
def test_a_dtype_is_a_dtype(function):
    with pytest.raises(TypeError, match="dtype must be None or a torch"):
        function(dtype="float64")


def test_a_rank_does_not_concern_the_cpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert best_device("cpu") == torch.device("cpu")
    assert best_device(prefer="cpu") == torch.device("cpu")
    assert best_device(prefer="cpu", local_rank=7) == torch.device("cpu")


@pytest.mark.parametrize("value", ["abc", "1.0", "-2", "1 2", "0x1"])
def test_a_bad_rank_of_the_environment_is_an_error(value, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", value)
    with pytest.raises(ValueError, match=re.escape(f"LOCAL_RANK={value!r}")):
        best_device()
    assert best_device("cpu", local_rank=0) == torch.device("cpu")


@pytest.mark.parametrize("value", ["", "-1", " ", "-1 "])
def test_not_distributed(value, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", value)
    assert best_device().index is None


@pytest.mark.parametrize(("rank", "error"), [(-1, ValueError), (True, TypeError), ("0", TypeError), (0.0, TypeError)])
def test_a_bad_rank_is_an_error(rank, error):
    with pytest.raises(error, match="local_rank must"):
        best_device(local_rank=rank)


def test_signatures():
    assert list(inspect.signature(best_device).parameters) == [
        "device",
        "prefer",
        "exclude",
        "dtype",
        "local_rank",
        "verify",
    ]
    assert set(inspect.signature(available_devices).parameters) == {"prefer", "exclude", "dtype", "verify"}


# How it relates to torch.accelerator; docs/device.md says the same


NO_ACCELERATOR_MODULE = pytest.mark.skipif(not at_least(2, 6), reason="torch.accelerator is there from 2.6 on")


@NO_ACCELERATOR_MODULE
def test_where_torch_has_an_accelerator_so_have_we():
    assert torch.accelerator.is_available() == (best_device().type != "cpu")
    if torch.accelerator.is_available():
        assert torch.accelerator.current_accelerator().type in {device.type for device in available_devices()}


@NO_ACCELERATOR_MODULE
@pytest.mark.skipif(best_device().type != "cpu", reason="this machine has an accelerator")
def test_torch_names_an_accelerator_that_is_not_there():
    if not at_least(2, 7):
        with pytest.raises(RuntimeError, match="none is available"):
            torch.accelerator.current_accelerator()
    elif torch.version.cuda:
        assert torch.accelerator.current_accelerator() == torch.device("cuda")
    if at_least(2, 7):
        assert torch.accelerator.current_accelerator(check_available=True) is None
