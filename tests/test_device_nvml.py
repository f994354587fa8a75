"""What NVIDIA's management library says, made into a number of devices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import at_least
from torchcompat.device._nvidia import Driver, Gpu, usable, visible_devices


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", [0]),
        ("1,0", [1, 0]),
        (" 1 , 2", [1, 2]),
        ("0,-1,1", [0]),
        ("0,,1", [0]),
        ("0,0", []),
        ("0abc,1", [0, 1]),
        ("GPU-aa,GPU-bb", ["GPU-aa", "GPU-bb"]),
        ("GPU-aa,1", ["GPU-aa"]),
        ("GPU-aa,GPU-aa", []),
        ("MIG-aa", ["MIG-aa"]),
        ("0,GPU-aa", [0]),
    ],
)
def test_visible_devices(value, expected):
    assert visible_devices(value) == expected


@pytest.mark.skipif(not at_least(2, 0), reason="torch reads the variable as the driver does from 2.0 on")
def test_visible_devices_are_those_that_torch_sees(monkeypatch):
    entry = st.integers(-3, 12).map(str) | st.sampled_from(["", " 1", "+2", "3x", "x", "GPU-a", "GPU-b", "MIG-c", "-0"])

    @settings(max_examples=300)
    @given(st.lists(entry, max_size=4).map(",".join))
    def check(value):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert visible_devices(value) == torch.cuda._parse_visible_devices()

    check()


A, B, C = (Gpu(f"GPU-{letter}0{letter}", False) for letter in "abc")


PARTITIONED = Gpu("GPU-d0d", True)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, 3),
        ([0], 1),
        ([2, 0, 1], 3),
        ([0, 3, 1], 1),
        ([3], 0),
        (["GPU-c", "GPU-a0a"], 2),
        (["GPU-"], 0),
        (["GPU-a", "GPU-a0"], 0),
        (["GPU-b", "GPU-x", "GPU-a"], 1),
        (["MIG-1"], None),
    ],
)
def test_the_visible_ones_count(visible, expected):
    number, why = usable(Driver((12, 4), (A, B, C)), visible, (12, 4))
    assert number == expected
    assert bool(why) == (number == 0)


@pytest.mark.skipif(not at_least(2, 0), reason="torch knows UUIDs from 2.0 on")
@given(st.lists(st.text("ab", max_size=3), max_size=4), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_uuids_are_those_that_torch_sees(wanted, present):
    wanted = ["GPU-" + text for text in wanted]
    driver = Driver(None, tuple(Gpu("GPU-" + text, False) for text in present))
    expected = torch.cuda._transform_uuid_to_ordinals(wanted, [gpu.uuid for gpu in driver.gpus])
    assert usable(driver, wanted, (12, 4))[0] == len(expected)


def test_a_machine_without_gpus_has_none():
    assert usable(Driver((12, 4), ()), None, (12, 4)) == (0, "the NVIDIA driver sees no GPU")


def test_only_the_driver_can_count_partitions():
    assert usable(Driver((12, 4), (A, PARTITIONED)), None, (12, 4))[0] is None
    assert usable(Driver((12, 4), (A, PARTITIONED)), [0], (12, 4))[0] == 1


@pytest.mark.parametrize(
    ("driver", "built_for", "runs"),
    [
        ((12, 4), (12, 8), True),
        ((13, 0), (12, 8), True),
        ((11, 8), (12, 1), False),
        ((11, 0), (11, 8), True),
        ((10, 1), (10, 2), False),
        ((10, 2), (10, 2), True),
        ((12, 4), (10, 2), True),
        ((10, 2), (11, 1), False),
        (None, (12, 8), True),
    ],
)
def test_a_driver_that_is_too_old(driver, built_for, runs):
    number, why = usable(Driver(driver, (A,)), None, built_for)
    assert number == int(runs)
    assert runs or ("{}.{}".format(*driver) in why and "{}.{}".format(*built_for) in why)
