"""What the recomputation of a checkpoint repeats and checks: random numbers, autocast, contexts, errors."""

import contextlib

import pytest
import torch
from checkpoint_tools import Counted, Logged, all_close, history, network
from torch import nn

from torchcompat import at_least, at_most
from torchcompat.utils import checkpoint as public

pytestmark = pytest.mark.shim("utils.checkpoint.checkpoint")


def test_dropout_repeats_and_the_generator_goes_on(impl):
    model = network(0.5)
    leaf, h = history()
    torch.manual_seed(3)
    out = impl(model, h, use_reentrant=False)
    after = torch.get_rng_state()
    torch.rand(7)
    here = torch.get_rng_state()
    got = torch.autograd.grad(out.sum(), [leaf, *model.parameters()])
    assert torch.equal(torch.get_rng_state(), here)
    torch.manual_seed(3)
    plain = model(leaf * 2)
    assert torch.equal(torch.get_rng_state(), after)
    all_close([out], [plain])
    all_close(got, torch.autograd.grad(plain.sum(), [leaf, *model.parameters()]))


def test_random_numbers_can_be_left_alone(impl):
    drawn = []

    def function(x):
        drawn.append(torch.rand(4))
        return x * drawn[-1][0] * x

    _, h = history()
    impl(function, h, use_reentrant=False, preserve_rng_state=False).sum().backward()
    assert not torch.equal(*drawn)
    del drawn[:]
    impl(function, h * 1, use_reentrant=False, preserve_rng_state=True).sum().item()
    assert len(drawn) == 1


@pytest.mark.skipif(not at_least(1, 10), reason="there is no autocast on the CPU before torch 1.10")
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_repeats(impl, inside):
    linear = nn.Linear(4, 4)
    x = torch.randn(2, 4)
    seen = []

    def function(x):
        y = linear(x)
        seen.append(y.dtype)
        return y.float() * y.float()

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
        out = impl(function, x, use_reentrant=False)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not inside):
        out.sum().backward()
    assert seen == [torch.bfloat16 if inside else torch.float32] * 2


def _lowered(enabled=True):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def _two_blocks(linear, x):
    with _lowered():
        one = linear(x)
    with _lowered():
        two = linear(2 * x)
    return one.float() * two.float()


def _block_within_a_block(linear, x):
    with _lowered():
        one = linear(x)
        with _lowered(False):
            two = linear(x)
        three = linear(one)
    return one.float() * two * three.float()


def _no_block(linear, x):
    return linear(linear(x)).float()


def _gradients(linear, call, within, backward_within):
    x = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
    linear.zero_grad()
    # A block that switches autocast off counts as one, too: torch's cast weights last until the outermost one closes.
    with _lowered() if within else contextlib.nullcontext():
        if within:
            linear(x)
        out = call(x)
    with _lowered() if backward_within else contextlib.nullcontext():
        out.sum().backward()
    return x.grad, linear.weight.grad.clone()


def _check_autocast(impl, function, within, backward_within, reentrant, tolerance):
    linear = nn.Linear(4, 4)

    def checkpointed(x):
        return impl(lambda x: function(linear, x), x, use_reentrant=reentrant)

    wanted = _gradients(linear, lambda x: function(linear, x), within, backward_within)
    found = _gradients(linear, checkpointed, within, backward_within)
    for one, other in zip(found, wanted):
        assert torch.allclose(one, other, rtol=tolerance, atol=tolerance)
    assert torch.autocast_increment_nesting() == 1
    assert torch.autocast_decrement_nesting() == 0


def autocast_blocks(test):
    """Calls and backward passes within and outside of a block; torch keeps its cast weights until that closes."""
    for name in ("within", "backward_within"):
        test = pytest.mark.parametrize(name, [False, True])(test)
    test = pytest.mark.parametrize("function", [_two_blocks, _block_within_a_block, _no_block])(test)
    return pytest.mark.skipif(not at_least(1, 10), reason="there is no autocast on the CPU before torch 1.10")(test)


@autocast_blocks
def test_weights_that_autocast_has_cast(impl, function, backward_within, within):
    _check_autocast(impl, function, within, backward_within, reentrant=False, tolerance=1e-6)


# On 1.11 and 1.12 torch's own recomputation enters autocast of CUDA as well, and warns where there is none.
RECOMPUTES_ON_CUDA = pytest.mark.filterwarnings(
    *(["ignore:User provided device_type of 'cuda', but CUDA is not available"] if at_least(1, 11) else [])
)


@autocast_blocks
@pytest.mark.limit("reentrant-autocast")
@pytest.mark.filterwarnings(r"ignore:.torch\.cpu\.amp\.autocast:FutureWarning")
@RECOMPUTES_ON_CUDA
def test_weights_that_autocast_has_cast_with_reentrant_autograd(impl, function, backward_within, within):
    # The weight's gradients are summed in another order, in bfloat16.
    _check_autocast(impl, function, within, backward_within, reentrant=True, tolerance=0.02)


def test_contexts(impl):
    log = []
    contexts = Logged(log, "forward"), Logged(log, "recompute")
    _, h = history()
    out = impl(lambda x: log.append("run") or x.exp(), h, use_reentrant=False, context_fn=lambda: contexts)
    assert log == ["forward", "run", "end of forward"]
    out.sum().backward()
    assert log[3:] == ["recompute", "run", "end of recompute"]


def changing(first, later):
    """A function that does something else from its second run on."""
    runs = []

    def function(x):
        runs.append(1)
        return (first if len(runs) == 1 else later)(x)

    return function


def error_of(out):
    with pytest.raises(RuntimeError) as caught:
        out.sum().backward()
    return caught


def test_a_recomputation_of_another_shape(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    text = str(error_of(impl(function, h, use_reentrant=False)).value)
    assert "[2, 3]" in text
    assert "[1, 3]" in text


@pytest.mark.limit("saved metadata")
def test_a_saved_tensor_of_another_shape(impl):
    _, h = history()
    function = changing(lambda x: x.exp().sum(), lambda x: x[:1].exp().sum())
    out = impl(function, h[:2] * 1, use_reentrant=False)
    text = str(error_of(out).value)
    assert "[2, 3]" in text
    assert "[1, 3]" in text


def test_a_recomputation_that_saves_another_number_of_tensors(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp() * x, lambda x: x.exp())
    assert "different number of tensors" in str(error_of(impl(function, h, use_reentrant=False)).value)


@pytest.mark.limit("error type")
def test_the_error_is_a_checkpoint_error(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    assert error_of(impl(function, h, use_reentrant=False)).type.__name__ == "CheckpointError"


def test_the_check_can_be_turned_off(impl):
    _, h = history()
    function = changing(lambda x: x.exp().sum(), lambda x: x[:1].exp().sum())
    impl(function, h, use_reentrant=False, determinism_check="none").backward()


def test_unknown_check(impl):
    function = Counted(torch.exp)
    with pytest.raises(ValueError, match=r"determinism_check should be one of .*default.*none.*got maybe"):
        impl(function, history()[1], use_reentrant=False, determinism_check="maybe")
    assert function.count == 0


@pytest.mark.skipif(public._DELEGATES, reason="here torch's own makes the trace")
@pytest.mark.limit("debug trace")
def test_the_trace(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    assert "aten.exp" in str(error_of(impl(function, h, use_reentrant=False, debug=True)).value)


def test_debug_excludes_contexts(impl):
    with pytest.raises(ValueError, match="context_fn"):
        impl(torch.exp, history()[1], use_reentrant=False, debug=True, context_fn=lambda: (Logged([], ""),) * 2)


@pytest.mark.limit("stop")
@pytest.mark.parametrize("stop", [True, False])
def test_recomputation_stops_at_the_last_tensor(impl, stop):
    if not stop and at_most(1, 10):
        pytest.xfail("recomputation never stops early on this torch")
    log = []
    _, h = history()
    out = impl(lambda x: (x.exp(), log.append("end"))[0], h, use_reentrant=False, early_stop=stop)
    out.sum().backward()
    assert log == ["end"] * (1 if stop else 2)


def test_an_error_in_the_forward_pass(impl):
    def function(x):
        torch.rand(3)
        raise KeyError("forward")

    _, h = history()
    with pytest.raises(KeyError, match="forward"):
        impl(function, h, use_reentrant=False)
    assert torch.is_grad_enabled()
    seen = []
    out = h.exp()  # its saved tensors are torch's own affair again
    out.register_hook(seen.append)
    out.sum().backward()
    assert len(seen) == 1


def test_an_error_in_the_recomputation_leaves_the_generator_alone(impl):
    def fail(x):
        torch.rand(3)
        raise KeyError("recompute")

    leaf, h = history()
    out = impl(changing(lambda x: x.exp(), fail), h, use_reentrant=False)
    before = torch.get_rng_state()
    with pytest.raises((KeyError, RuntimeError), match="recompute"):
        out.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert leaf.grad is None


@pytest.mark.limit("error type")
def test_an_error_in_the_recomputation_keeps_its_type(impl):
    def fail(x):
        raise KeyError("recompute")

    _, h = history()
    out = impl(changing(lambda x: x.exp(), fail), h, use_reentrant=False)
    with pytest.raises(KeyError, match="recompute"):
        out.sum().backward()
