"""What each backend says of itself, asked on the installed torch in processes in which no device was asked for."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch

from torchcompat import at_least
from torchcompat.device import available_devices, best_device

LINUX = sys.platform.startswith("linux")


# The probes. A server imports torch once and does nothing with it; each test runs in a child forked from it.


SERVER = """
import json, os, sys, tempfile, traceback, warnings
import torch
from torchcompat.device import _nvidia
from torchcompat._torch import find
from torchcompat.device import available_devices, best_device

warnings.simplefilter("error")


def outcome(function, *args, **kwargs):
    try:
        found = function(*args, **kwargs)
        return [str(device) for device in found] if isinstance(found, list) else str(found)
    except (RuntimeError, ValueError) as error:
        return type(error).__name__ + ": " + str(error)


def in_child(function, **environment):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.environ.update(environment)
        os.write(writer, json.dumps(function()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return json.loads(answer)


def is_spoilt():
    flag = find("torch.cuda._is_in_bad_fork")
    return bool(flag() if flag else find("torch.cuda._in_bad_fork"))


def spoils(function):
    function()
    return in_child(is_spoilt)


def is_mapped(name):
    with open("/proc/self/maps") as file:
        return name in file.read()


def serve(code):
    with tempfile.TemporaryFile() as stderr:
        os.dup2(stderr.fileno(), 2)
        names = dict(globals())
        try:
            exec(code, names)
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        stderr.seek(0)
        return [names.get("result"), stderr.read().decode()]


for line in sys.stdin:
    print(json.dumps(in_child(lambda: serve(json.loads(line)))), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    """A process in which torch is imported and no device has been asked for."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    hidden = ("TORCHCOMPAT_DEVICE", "LOCAL_RANK", "CUDA_VISIBLE_DEVICES")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, stdin=pipe, stdout=pipe, encoding="utf-8"
    )
    yield process
    process.communicate(timeout=60)


@pytest.fixture
def fresh(server):
    """Run code in a process in which no device has been asked for; its `result`. Nothing may be written to stderr."""

    def run(code):
        server.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        server.stdin.flush()
        result, stderr = json.loads(server.stdout.readline())
        assert stderr == ""
        return result

    return run


def test_nothing_is_started_and_nothing_is_set(fresh):
    got = fresh("""
        environment = dict(os.environ)
        result = {
            "spoilt by us": spoils(lambda: (best_device(), available_devices(), outcome(best_device, "cuda:99"))),
            "best": outcome(best_device),
            "best in a child": in_child(lambda: outcome(best_device)),
            "started": bool(find("torch.cuda._initialized")),
            "environment": dict(os.environ) == environment,
        }
    """)
    assert not got["spoilt by us"]
    assert not got["started"]
    assert got["environment"]
    assert got["best in a child"] == got["best"] == str(best_device())


@pytest.mark.skipif(not (at_least(1, 7) and torch.version.cuda), reason="a CUDA torch marks such children from 1.7 on")
def test_what_the_test_above_looks_for_can_be_seen(fresh):
    assert fresh("""
        warnings.simplefilter("ignore")
        result = spoils(torch.cuda.is_available)
    """)


@pytest.mark.skipif(not torch.version.cuda, reason="this torch is built without CUDA")
@pytest.mark.parametrize("value", ["", "-1", "none", "0,0"])
def test_hidden_gpus_are_not_asked_for(fresh, value):
    devices, request, mapped = fresh(f"""
        os.environ["CUDA_VISIBLE_DEVICES"] = {value!r}
        result = outcome(available_devices), outcome(best_device, "cuda"), {LINUX} and is_mapped("libnvidia-ml")
    """)
    assert not any(device.startswith("cuda") for device in devices)
    assert request.startswith(
        f"RuntimeError: device 'cuda' is not available: CUDA_VISIBLE_DEVICES={value!r} hides every"
    )
    assert not mapped


# A backend that registers itself


PLUGINS = """
    import types

    def plugin(members):
        if {rename}:
            torch.utils.rename_privateuse1_backend({name!r})
        module = types.ModuleType({name!r})
        vars(module).update(members)
        torch._register_device_module({name!r}, module)

    def fails():
        raise OSError("no such device file")

    def warns():
        warnings.warn("the driver is old")
        return True

    def asked(members):
        plugin(members)
        others = {{"exclude": ["cuda", "xpu", "mps"]}}
        return {{
            "best": outcome(best_device, **others),
            "all": outcome(available_devices, **others),
            "asked": outcome(best_device, {name!r}),
            "second": outcome(best_device, {name!r} + ":1"),
            "third": outcome(best_device, {name!r} + ":2"),
            "rank 1": outcome(best_device, {name!r}, local_rank=1),
            "excluded": outcome(best_device, exclude=others["exclude"] + [{name!r}]),
            "preferred": outcome(best_device, prefer={name!r}),
            "verified": outcome(best_device, prefer={name!r}, verify=True),
            "in float64": outcome(best_device, prefer={name!r}, dtype=torch.float64),
            "verified request": outcome(best_device, {name!r}, verify=True),
            "unnamed": outcome(best_device, "privateuseone:1"),
        }}

    yes, no, two = lambda: True, lambda: False, lambda: 2
    behaviours = {{
        "two": dict(is_available=yes, device_count=two),
        "one": dict(is_available=yes),
        "warns": dict(is_available=warns, device_count=two),
        "no": dict(is_available=no, device_count=two),
        "raises": dict(is_available=fails, device_count=two),
        "uncounted": dict(is_available=yes, device_count=fails),
        "none": dict(is_available=yes, device_count=lambda: 0),
        "negative": dict(is_available=yes, device_count=lambda: -1),
        "mute": dict(device_count=two),
        "forked": dict(is_available=yes, device_count=two, _is_in_bad_fork=yes),
    }}
    result = {{key: in_child(lambda: asked(members)) for key, members in behaviours.items()}}
"""


UNAVAILABLE = {
    "no": "is_available() is False",
    "raises": "no such device file",
    "uncounted": "no such device file",
    "none": "device_count() is 0",
    "negative": "device_count() is -1",
    "mute": "no torch.{} is loaded",
    "forked": "forked from one in which {} had been started",
}


BACK_ENDS = [("toy", True)] * at_least(2, 0) + [("privateuseone", False)] * at_least(1, 12) + [("hpu", False)]


@pytest.mark.skipif(not at_least(1, 10), reason="backends register themselves from 1.10 on")
@pytest.mark.parametrize(("name", "rename"), BACK_ENDS)
def test_a_back_end_that_registers_itself(fresh, name, rename):
    got = fresh(PLUGINS.format(name=name, rename=rename))
    assert set(got) == {"two", "one", "warns", *UNAVAILABLE}
    for key in ("two", "warns"):
        assert got[key]["best"] == got[key]["asked"] == got[key]["preferred"] == name
        assert got[key]["all"] == [f"{name}:0", f"{name}:1", "cpu"]
        assert got[key]["second"] == got[key]["rank 1"] == f"{name}:1"
        assert got[key]["third"].startswith(f"RuntimeError: device '{name}:2' is not available: {name} has no such")
        assert got[key]["excluded"] == "cpu"
        if name != "hpu":
            assert got[key]["unnamed"] == f"{name}:1"
        # It has no kernels: what is run on it fails, and then it is passed over.
        assert name not in got[key]["verified"]
        assert name not in got[key]["in float64"]
        assert "a tensor of one element fails on it" in got[key]["verified request"]
    assert got["one"]["all"] == [f"{name}:0", "cpu"]
    assert "has no such index" in got["one"]["second"]
    assert f"sees 1 of type {name}" in got["one"]["rank 1"]
    for key, reason in UNAVAILABLE.items():
        assert got[key]["best"] == got[key]["excluded"] == "cpu"
        assert got[key]["all"] == ["cpu"]
        assert name not in got[key]["preferred"]
        for how in ("asked", "second", "third", "rank 1", "verified request"):
            assert got[key][how].startswith(f"RuntimeError: device '{name}")
            assert reason.format(name) in got[key][how]


# A driver of our own in place of NVIDIA's


STAND_IN = r"""
#include <stdlib.h>
#include <stdio.h>
static int number(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }
static int index_of(void *handle) { return (int)(size_t)handle - 1000; }
int nvmlInit_v2(void) { return number("STAND_IN_STATUS"); }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = number("STAND_IN_GPUS"); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)(size_t)(index + 1000); return 0; }
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-%c", 'a' + index_of(handle));
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = number("STAND_IN_CUDA"); return 0; }
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *pending) {
    *now = *pending = number("STAND_IN_MIG") == index_of(handle) + 1;
    return number("STAND_IN_MIG") ? 0 : 3;
}
"""


def library(folder, name, source):
    """A shared library that the loader takes for *name* once it is loaded."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler to make a stand-in for the driver with")
    (folder / "source.c").write_text(source)
    path = str(folder / name)
    subprocess.check_call([compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", path, str(folder / "source.c")])
    return path


@pytest.fixture(scope="module")
def drivers(tmp_path_factory):
    """Code that loads a driver which tells of the GPUs that variables describe; code that loads a broken driver."""
    codes = []
    for source in (STAND_IN, "int nothing_of_the_driver;"):
        folder = tmp_path_factory.mktemp("driver")
        paths = [library(folder, name, source) for name in ("libcuda.so.1", "libnvidia-ml.so.1")]
        codes.append(f"import ctypes\nloaded = [ctypes.CDLL(path) for path in {paths!r}]\n")
    return codes


needs_no_gpu = pytest.mark.skipif(
    not (torch.version.cuda and LINUX) or os.path.exists("/dev/nvidiactl"),
    reason="a stand-in for the NVIDIA driver needs Linux, a torch built for CUDA, and no such driver",
)


SCENES = """
def asked():
    everything = outcome(available_devices)
    return {
        "best": outcome(best_device),
        "all": everything,
        "second": outcome(best_device, "cuda:1"),
        "verified": outcome(best_device, verify=True),
        "started": bool(find("torch.cuda._initialized")),
    }

def follows():
    numbers = []
    for value in ("0", "", "0,1"):
        os.environ["CUDA_VISIBLE_DEVICES"] = value
        numbers.append(len(available_devices()) - 1)
    return numbers

def ask_twice():
    best_device(), available_devices()

os.environ.update(STAND_IN_GPUS="2", STAND_IN_CUDA=CUDA)
scenes = {
    "two": {},
    "one of two": {"CUDA_VISIBLE_DEVICES": "1"},
    "by uuid": {"CUDA_VISIBLE_DEVICES": "GPU-b,GPU-a"},
    "rank 1": {"LOCAL_RANK": "1"},
    "rank 2": {"LOCAL_RANK": "2"},
    "rank 1 of one": {"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "1"},
    "wanted": {"LOCAL_RANK": "1", "TORCHCOMPAT_DEVICE": "cuda:0"},
    "out of range": {"CUDA_VISIBLE_DEVICES": "5"},
    "no gpus": {"STAND_IN_GPUS": "0"},
    "old driver": {"STAND_IN_CUDA": "8000"},
    "partitioned": {"STAND_IN_MIG": "1"},
    "the other is partitioned": {"STAND_IN_MIG": "1", "CUDA_VISIBLE_DEVICES": "1"},
    "a part": {"CUDA_VISIBLE_DEVICES": "MIG-1"},
    "dead": {"STAND_IN_STATUS": "9"},
}
result = {name: in_child(asked, **scene) for name, scene in scenes.items()}
result["spoils"] = in_child(lambda: spoils(ask_twice))
result["follows"] = in_child(follows)
"""


@needs_no_gpu
def test_gpus_are_counted_without_starting_the_driver(fresh, drivers):
    major, minor = map(int, torch.version.cuda.split(".")[:2])
    got = fresh(drivers[0] + SCENES.replace("CUDA)", repr(str(major * 1000 + minor * 10)) + ")"))
    assert not got.pop("spoils")
    assert got.pop("follows") == [1, 0, 2]
    assert not any(scene["started"] for scene in got.values())
    two, one, none = ["cuda:0", "cuda:1", "cpu"], ["cuda:0", "cpu"], ["cpu"]
    expected = {
        "two": ("cuda", two, "cuda:1"),
        "by uuid": ("cuda", two, "cuda:1"),
        "rank 1": ("cuda:1", two, "cuda:1"),
        "wanted": ("cuda:0", two, "cuda:1"),
        "rank 2": ("local rank 2", two, "cuda:1"),
        "one of two": ("cuda", one, "cuda has no such index. Here: cuda:0, cpu"),
        "the other is partitioned": ("cuda", one, "cuda has no such index. Here: cuda:0, cpu"),
        "rank 1 of one": ("sees 1 of type cuda", one, "cuda has no such index"),
        "out of range": ("cpu", none, "CUDA_VISIBLE_DEVICES names no GPU that is here. Here: cpu"),
        "no gpus": ("cpu", none, "the NVIDIA driver sees no GPU. Here: cpu"),
        "old driver": ("cpu", none, "the NVIDIA driver runs CUDA 8.0, this torch needs"),
        # What NVML cannot tell, the runtime is asked for, and the stand-in is none.
        "partitioned": ("cpu", none, "Here: cpu"),
        "a part": ("cpu", none, "Here: cpu"),
        "dead": ("cpu", none, "Here: cpu"),
    }
    assert set(got) == set(expected)
    for name, (best, devices, second) in expected.items():
        assert got[name]["all"] == devices, name
        assert got[name]["best"] == best or best in got[name]["best"].partition(": ")[2], name
        assert got[name]["second"] == second or second in got[name]["second"].partition(": ")[2], name
    # Nothing runs on the stand-in, and verifying finds that out.
    assert got["two"]["verified"] == got["rank 1"]["verified"] == "cpu"
    assert "TORCHCOMPAT_DEVICE='cuda:0' is not available: a tensor of one element" in got["wanted"]["verified"]


@needs_no_gpu
def test_a_broken_driver_is_quietly_no_driver(fresh, drivers):
    best, devices, request = fresh(
        drivers[1] + "result = outcome(best_device), outcome(available_devices), outcome(best_device, 'cuda')"
    )
    assert best == "cpu"
    assert devices == ["cpu"]
    assert request.startswith("RuntimeError: device 'cuda' is not available: ")


# With a GPU


needs_cuda = pytest.mark.skipif(
    best_device().type != "cuda", reason=f"needs a CUDA device; the best device here is {best_device()}"
)


@needs_cuda
def test_a_forked_child_can_use_cuda(fresh):
    best, devices, used, number = fresh("""
        best, devices = outcome(best_device), outcome(available_devices)
        used = in_child(lambda: torch.ones(2, device="cuda").sum().item())
        result = best, devices, used, torch.cuda.device_count()
    """)
    assert best == "cuda"
    assert used == 2
    assert devices[:number] == [f"cuda:{index}" for index in range(number)]
    assert not any(device.startswith("cuda") for device in devices[number:])


@needs_cuda
def test_a_child_forked_after_cuda_was_used_is_not_offered_cuda(fresh):
    before, after, request = fresh("""
        torch.ones(1, device="cuda")
        child = in_child(lambda: [outcome(best_device), outcome(best_device, "cuda")])
        result = [outcome(best_device)] + child
    """)
    assert before == "cuda"
    assert not after.startswith("cuda")
    assert "forked" in request


@needs_cuda
def test_ranks_are_counted_as_torch_counts(monkeypatch):
    number = torch.cuda.device_count()
    assert available_devices()[:number] == [torch.device("cuda", index) for index in range(number)]
    monkeypatch.setenv("LOCAL_RANK", str(number - 1))
    assert best_device() == torch.device("cuda", number - 1)
    assert best_device(verify=True) == torch.device("cuda", number - 1)
    monkeypatch.setenv("LOCAL_RANK", str(number))
    with pytest.raises(RuntimeError, match=f"local rank {number}"):
        best_device()
