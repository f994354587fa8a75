"""Deterministic algorithms for good: what was asked for is what is answered, on every torch."""

import pytest
import torch

import torchcompat
from torchcompat import torch_version

shim = pytest.mark.shim
NAMES = ["are_deterministic_algorithms_enabled", "is_deterministic_algorithms_warn_only_enabled"]


@pytest.fixture(autouse=True)
def _put_back():
    cudnn = torch.backends.cudnn.deterministic
    yield
    torchcompat.use_deterministic_algorithms(False)
    assert torch.backends.cudnn.deterministic == cudnn


def answers():
    return tuple(getattr(torchcompat, name)() for name in NAMES)


@shim("use_deterministic_algorithms")
def test_use(impl):
    for mode, warn_only in ((True, False), (True, True), (False, False), (True, True), (True, False), (False, True)):
        impl(mode, warn_only=warn_only)
        assert torchcompat.are_deterministic_algorithms_enabled() is mode
        if mode:
            assert torchcompat.is_deterministic_algorithms_warn_only_enabled() is warn_only
    impl(mode=True)
    assert answers() == (True, False)


@shim("use_deterministic_algorithms")
@pytest.mark.limit("no-error")
def test_an_operation_without_a_deterministic_algorithm_is_refused(impl):
    impl(True)
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))


@shim("are_deterministic_algorithms_enabled")
def test_are_enabled(impl):
    assert impl() is False
    for warn_only in (True, False):
        torchcompat.use_deterministic_algorithms(True, warn_only=warn_only)
        assert impl() is True


@shim("is_deterministic_algorithms_warn_only_enabled")
def test_is_warn_only(impl):
    assert impl() is False
    for warn_only in (True, False):
        torchcompat.use_deterministic_algorithms(True, warn_only=warn_only)
        assert impl() is warn_only


@shim("set_deterministic_debug_mode")
def test_set_debug_mode(impl):
    for word, number, expected in (
        ("warn", 1, (True, True)),
        ("error", 2, (True, False)),
        ("default", 0, (False, False)),
    ):
        for mode in (word, number):
            impl(mode)
            assert answers() == expected
            assert torchcompat.get_deterministic_debug_mode() == number
    for error, wrong in ((TypeError, None), (RuntimeError, "no"), (RuntimeError, 3)):
        with pytest.raises(error):
            impl(wrong)


@shim("get_deterministic_debug_mode")
def test_get_debug_mode(impl):
    for number in (1, 2, 0):
        torchcompat.set_deterministic_debug_mode(number)
        assert impl() == number


@pytest.mark.skipif(torch_version >= (1, 7), reason="newer torch has a switch of its own")
def test_cudnn_is_deterministic_meanwhile():
    torchcompat.use_deterministic_algorithms(True)
    assert torch.backends.cudnn.deterministic is True


def test_a_block_puts_back_what_was_asked_for():
    torchcompat.set_deterministic_debug_mode("warn")
    with torchcompat.deterministic():
        assert answers() == (True, False)
    assert torchcompat.get_deterministic_debug_mode() == 1
