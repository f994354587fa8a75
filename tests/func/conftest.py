"""What the tests of the batching rules share."""

import pytest

from torchcompat.func import _batched


@pytest.fixture
def no_loop(monkeypatch):
    """In the fallback, an operation that has no batching rule, or whose rule leaves it to the loop, fails."""

    def refuse(func, *args, **kwargs):
        raise AssertionError(f"{_batched.name_of(func)} was looped")

    def refuse_samples(*args):
        raise AssertionError("an operation was looped over the samples")

    monkeypatch.setattr(_batched, "_rule_of", {})
    monkeypatch.setattr(_batched, "loop", refuse)
    monkeypatch.setattr(_batched, "_samples", refuse_samples)  # for a rule that calls the loop itself
    monkeypatch.setattr(_batched, "_position", refuse_samples)
