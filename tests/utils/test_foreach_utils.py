"""What optimisers ask before they use the functions over lists."""

import pytest
import torch

from torchcompat import at_least
from torchcompat.utils import _foreach_utils

PREFIX = "utils._foreach_utils."
group = pytest.mark.shim(PREFIX + "_group_tensors_by_device_and_dtype")
CPU = torch.device("cpu")


@group
class TestGroups:
    def test_by_dtype(self, impl):
        one, two, three = torch.ones(2), torch.ones(3).double(), torch.ones(1, requires_grad=True)
        found = impl([[one, two, three], [None, two * 2, three * 2], []])
        assert set(found) == {(CPU, torch.float32), (CPU, torch.float64)}
        lists, indices = found[CPU, torch.float32]
        assert [len(each) for each in lists] == [2, 2, 0]
        assert lists[0][0] is one
        assert lists[0][1] is three
        assert lists[1][0] is None
        assert list(indices) == []
        assert len(found[CPU, torch.float64][0][0]) == 1

    def test_indices(self, impl):
        given = [torch.ones(1), torch.ones(1).double(), torch.ones(1)]
        found = impl(tensorlistlist=[given], with_indices=True)
        assert {key[1]: list(value[1]) for key, value in found.items()} == {torch.float32: [0, 2], torch.float64: [1]}
        assert all(len(lists) == 1 for lists, _ in found.values())

    def test_a_step_may_be_of_another_dtype(self, impl):
        found = impl([[torch.ones(2).double()], [torch.tensor(1.0)]])
        assert found[CPU, torch.float64][0][1][0].dtype == torch.float32

    def test_refused(self, impl):
        one = torch.ones(1)
        for bad in ([], [[]], [[one], [one, one]], [[None, one]], [[one], [one.long()]]):
            with pytest.raises(RuntimeError):
                impl(bad)
        for bad in (1, [one], [[one, 1]], None):
            with pytest.raises(TypeError):
                impl(bad)


@pytest.mark.shim(PREFIX + "_get_foreach_kernels_supported_devices")
def test_devices_with_kernels(impl):
    found = impl()
    assert type(found) is list
    assert all(type(each) is str for each in found)
    assert ("cuda" in found) == at_least(1, 7)
    assert "cpu" not in found
    found.append("mine")
    assert "mine" not in impl()


@pytest.mark.shim(PREFIX + "_get_fused_kernels_supported_devices")
def test_devices_with_fused_optimisers(impl):
    found = impl()
    assert type(found) is list
    assert all(type(each) is str for each in found)
    assert ("cuda" in found) == at_least(1, 13)


@pytest.mark.shim(PREFIX + "_device_has_foreach_support")
def test_devices(impl):
    assert impl(CPU) is True
    assert impl(torch.device("cuda", 0)) is at_least(1, 7)
    assert impl(torch.device("mkldnn" if not at_least(1, 13) else "meta")) is False


@pytest.mark.shim(PREFIX + "_has_foreach_support")
def test_tensors(impl):
    assert impl([torch.ones(1), None], CPU) is True
    assert impl([], CPU) is True
    assert impl([torch.ones(1), torch.nn.Parameter(torch.ones(1))], CPU) is False
    assert impl([torch.ones(1)], torch.device("mkldnn" if not at_least(1, 13) else "meta")) is False


def test_the_list_of_types_is_torchs_own_where_it_has_one():
    assert torch.Tensor in _foreach_utils._foreach_supported_types
    if at_least(2, 4):
        assert _foreach_utils._foreach_supported_types is torch.utils._foreach_utils._foreach_supported_types
