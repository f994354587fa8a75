"""Placeholders: what a torch does not have can be imported and tested with, and says so when it is used for more."""

import copy
import enum
import functools
import pickle
import subprocess
import sys
import typing

import pytest
import torch

import torchcompat
from torchcompat import SHIMS, UnsupportedError, _torch, torch_version
from torchcompat._absent import Sentinel
from torchcompat._shim import FORCED, NEWEST, minor

ROWS = [pytest.param(shim, id=name) for name, shim in sorted(SHIMS.items()) if shim.kind == "absent"]
FALLBACKS = [pytest.param(row.values[0].fallback, id=row.id) for row in ROWS]
TYPES = [row for row in FALLBACKS if isinstance(row.values[0], type) and not issubclass(row.values[0], enum.Enum)]
SENTINELS = [row for row in FALLBACKS if isinstance(row.values[0], Sentinel)]
ENUMERATIONS = [row for row in FALLBACKS if row not in TYPES and isinstance(row.values[0], type)]
FUNCTIONS = [row for row in FALLBACKS if row not in TYPES + SENTINELS + ENUMERATIONS]
THINGS = [3, 2.5, True, None, "text", torch.ones(2), torch.nn.Linear(1, 1), torch.float32, object()]


def meets(shim):
    return torch_version[:2] >= minor(shim.since)


def test_there_are_some_of_each_sort():
    assert len(TYPES) > 40
    assert len(FUNCTIONS) > 20
    assert len(SENTINELS) > 20
    assert len(ENUMERATIONS) >= 5


@pytest.mark.parametrize("shim", ROWS)
def test_the_row_says_what_the_name_is(shim):
    public = functools.reduce(getattr, shim.name.split("."), torchcompat)
    assert public is shim.public
    if FORCED and shim.why == "forced":
        assert (shim.public, shim.here) == (shim.fallback, "absent")
    elif meets(shim):
        assert (shim.why, shim.here) == ("native", "native")
        assert public is shim.native
        assert shim.native in [_torch.find_importing(path) for path in (shim.path, *shim.was)]
    else:
        assert (shim.public, shim.here, shim.native) == (shim.fallback, "absent", None)


@pytest.mark.parametrize("shim", ROWS)
def test_torch_has_the_name_since_then_and_not_before(shim):
    found = [path for path in (shim.path, *shim.was) if _torch.find_importing(path) is not None]
    if meets(shim):
        assert found
    elif found:
        assert shim.reason
        # Missing, until somebody imports the module that has it.
        assert FORCED or shim.why in ("too old", "missing")
    else:
        assert FORCED or shim.why == "missing"


@pytest.mark.parametrize("value", FALLBACKS)
def test_a_placeholder_is_copied_and_hashed_as_one_object(value):
    assert copy.copy(value) is value
    assert copy.deepcopy([value])[0] is value
    assert {value: 1}[value] == 1


def test_placeholders_are_pickled_by_their_public_names():
    public = [shim.fallback for shim in SHIMS.values() if shim.kind == "absent" and shim.public is shim.fallback]
    assert public or all(meets(row.values[0]) for row in ROWS)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(public, protocol)) == public


@pytest.mark.parametrize("value", TYPES)
def test_nothing_is_an_instance_of_the_placeholder_of_a_class(value):
    assert not any(isinstance(thing, value) for thing in THINGS)
    assert isinstance(3, (value, int))
    assert not issubclass(torch.Tensor, value)


@pytest.mark.parametrize("value", TYPES)
def test_a_placeholder_of_a_class_is_of_use_in_annotations_and_dispatch(value):
    def function(x: value, y: typing.Optional[value] = None) -> typing.List[value]:
        return []

    hints = typing.get_type_hints(function)
    assert hints["x"] is value
    assert typing.Union[value, int] != typing.Union[torch.Tensor, int]

    @functools.singledispatch
    def dispatched(x):
        return "other"

    dispatched.register(value, lambda x: "placeholder")
    assert dispatched(torch.ones(1)) == dispatched(3) == "other"


@pytest.mark.parametrize("value", TYPES)
def test_a_class_can_be_derived_from_a_placeholder_and_not_made_either(value):
    class Derived(value):
        """With a constructor of its own."""

        def __init__(self):
            raise AssertionError("it must not come to this")

    assert issubclass(Derived, value)
    for kind in (value, Derived):
        with pytest.raises(UnsupportedError):
            kind()


@pytest.mark.parametrize("shim", [row for row in ROWS if row.id in {each.id for each in TYPES + FUNCTIONS}])
def test_a_use_that_cannot_be_names_the_torch_that_has_it(shim):
    with pytest.raises(UnsupportedError) as raised:
        shim.fallback(1, key=2)
    reasons = {"forced": "TORCHCOMPAT_FALLBACK", "native": "this build of torch"}
    assert f"{shim.path} needs torch {shim.since} or newer" in str(raised.value)
    assert reasons.get(shim.why, f"this is torch {torch.__version__}") in str(raised.value)


@pytest.mark.parametrize("value", TYPES)
def test_a_placeholder_of_a_class_has_no_members(value):
    assert not hasattr(value, "from_local")
    with pytest.raises(AttributeError, match=f"type object '{value.__name__}' has no attribute 'some': torch.* needs"):
        assert value.some


@pytest.mark.parametrize("value", SENTINELS)
def test_a_sentinel_is_equal_to_nothing_else(value):
    others = [getattr(torch, name) for name in dir(torch) if name not in ("nan", "newaxis")]
    assert not any(value == other for other in others if isinstance(other, (torch.dtype, torch.layout)))
    assert sum(value == row.values[0] for row in SENTINELS) == 1
    assert value not in [3, None, "text"]


@pytest.mark.parametrize("value", SENTINELS)
def test_a_sentinel_prints_as_what_it_stands_for_and_makes_no_tensor(value):
    name = repr(value).rpartition(".")[2]
    assert repr(value) == str(value) == "torch." + name
    for keyword in ("dtype", "layout"):
        with pytest.raises(TypeError):
            torch.zeros(2, **{keyword: value})
    with pytest.raises(TypeError):
        torch.ones(2).to(value)


@pytest.mark.parametrize("shim", [row for row in ROWS if row.id in {each.id for each in SENTINELS}])
def test_a_sentinel_has_the_facts_of_what_it_stands_for(shim):
    facts = [
        name for name in ("is_floating_point", "is_complex", "is_signed", "itemsize") if hasattr(shim.fallback, name)
    ]
    assert len(facts) in (0, 4)
    if torch_version[:2] < NEWEST:
        pytest.skip("older torch says of some unsigned dtypes that they are signed")
    # The packed and the quantised ones refuse to say whether they are signed.
    for name in facts:
        try:
            theirs = getattr(shim.native, name)
        except (AttributeError, RuntimeError):
            continue
        assert getattr(shim.fallback, name) == theirs, name


@pytest.mark.parametrize("shim", [row for row in ROWS if row.id in {each.id for each in ENUMERATIONS}])
def test_an_enumeration_has_the_members_of_the_newest_torch(shim):
    assert shim.fallback.__name__ == shim.name.rpartition(".")[2]
    if torch_version[:2] < NEWEST:
        pytest.skip("an older torch may have fewer")
    assert {one.name: one.value for one in shim.fallback} == {one.name: one.value for one in shim.native}


IMPORTS_NOTHING = """
import sys, torch
before = set(sys.modules)
import torchcompat.distributed.fsdp, torchcompat.distributed.tensor.parallel, torchcompat.distributed.checkpoint
import torchcompat.export, torchcompat.nested
torchcompat.float8_e4m3fn, torchcompat.SymInt
print(sorted(name for name in set(sys.modules) - before if name.partition(".")[0] == "torch"))
"""


def test_a_module_of_placeholders_imports_nothing_of_torch():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTS_NOTHING], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.stdout.decode().strip() == "[]"


def test_a_module_of_placeholders_says_what_it_lacks():
    with pytest.raises(AttributeError, match=r"torchcompat.fx.* has no attribute 'no_such_name'"):
        assert torchcompat.fx.no_such_name
