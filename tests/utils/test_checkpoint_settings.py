"""The other names of torch.utils.checkpoint: sequences of blocks, settings, errors."""

import warnings

import pytest
import torch
from checkpoint_tools import Counted, Logged, all_close, history, network

from torchcompat import SHIMS
from torchcompat.utils import checkpoint as public

pytestmark = pytest.mark.shim("utils.checkpoint.checkpoint")


@pytest.mark.filterwarnings(r"ignore:.torch\.cpu\.amp\.autocast:FutureWarning")
@pytest.mark.shim("utils.checkpoint.checkpoint_sequential")
class TestSequential:
    @pytest.mark.limit("quiet")
    def test_no_warning_escapes(self, impl):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            impl([torch.sin] * 3, 2, history()[1], use_reentrant=False).sum().backward()
        assert not caught

    @pytest.mark.parametrize("segments", [1, 2, 3, 4])
    @pytest.mark.parametrize("as_list", [True, False])
    def test_segments(self, impl, segments, as_list):
        model = network(0.3)
        leaf, h = history()
        torch.manual_seed(2)
        out = impl(list(model) if as_list else model, segments, h, use_reentrant=False)
        got = torch.autograd.grad(out.sum(), [leaf, *model.parameters()])
        torch.manual_seed(2)
        all_close(got, torch.autograd.grad(model(leaf * 2).sum(), [leaf, *model.parameters()]))

    def test_all_but_the_last_are_checkpointed(self, impl):
        functions = [Counted(torch.sin) for _ in range(4)]
        impl(functions, 2, history()[1], use_reentrant=False, preserve_rng_state=False).sum().backward()
        assert [function.count for function in functions] == [2, 2, 1, 1]

    def test_wrong_keyword(self, impl):
        with pytest.raises(ValueError, match="Unexpected keyword arguments: wrong"):
            impl([torch.sin], 1, history()[1], use_reentrant=False, wrong=1)

    def test_more_segments_than_functions(self, impl):
        with pytest.raises(ValueError):
            impl([torch.sin], 2, history()[1], use_reentrant=False)

    @pytest.mark.first
    @pytest.mark.limit("unsaid")
    def test_a_warning_asks_for_use_reentrant(self, impl):
        with pytest.warns(UserWarning, match="use_reentrant"):
            impl([torch.sin, torch.cos], 2, history()[1])

    @pytest.mark.first
    def test_unsaid_it_is_reentrant(self, impl):
        leaf, h = history()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = impl([torch.sin, torch.cos], 2, h)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 1.10 asks for CUDA's autocast here
            out.sum().backward()
        all_close([leaf.grad], [(-h.sin().sin() * h.cos() * 2).detach()])


def recomputed(context, stop):
    """Whether a call in a block of this context's own kind recomputes to the end."""
    kind = "native" if context is SHIMS["utils.checkpoint.set_checkpoint_early_stop"].native else "fallback"
    checkpoint = getattr(SHIMS["utils.checkpoint.checkpoint"], kind)
    log = []
    out = checkpoint(lambda x: (x.exp(), log.append(1))[0], history()[1], use_reentrant=False, early_stop=stop)
    out.sum().backward()
    return len(log) == 2


@pytest.mark.shim("utils.checkpoint.set_checkpoint_early_stop")
class TestEarlyStop:
    def test_it_can_be_forbidden(self, impl):
        with impl(False):
            assert recomputed(impl, True)
            with pytest.raises(KeyError), impl(True):
                raise KeyError
            assert recomputed(impl, True)

    @pytest.mark.limit("stop")
    def test_it_overrides_the_call(self, impl):
        with impl(True):
            assert not recomputed(impl, False)


@pytest.mark.shim("utils.checkpoint.set_checkpoint_debug_enabled")
def test_debug_for_a_block(impl):
    if impl is not public.set_checkpoint_debug_enabled:
        pytest.skip("only the public object sets what the public function reads")
    _, h = history()
    contexts = {"context_fn": lambda: (Logged([], ""), Logged([], ""))}
    with impl(True):
        with pytest.raises(ValueError, match="context_fn"):
            public.checkpoint(torch.exp, h, use_reentrant=False, **contexts)
        with impl(False):
            public.checkpoint(torch.exp, h, use_reentrant=False, debug=True, **contexts)
    public.checkpoint(torch.exp, h, use_reentrant=False, **contexts)


@pytest.mark.shim("utils.checkpoint.noop_context_fn")
def test_noop_context_fn(impl):
    for _ in range(2):
        for context in impl():
            with pytest.raises(KeyError), context:
                raise KeyError


@pytest.mark.shim("utils.checkpoint.CheckpointError")
def test_checkpoint_error(impl):
    assert issubclass(impl, RuntimeError)
    assert str(impl("words")) == "words"


@pytest.mark.shim("utils.checkpoint.DefaultDeviceType")
def test_default_device_type(impl):
    before = impl.get_device_type()
    try:
        impl.set_device_type("xpu")
        assert impl.get_device_type() == "xpu"
        impl.set_device_type()
        assert impl.get_device_type() == "cuda"
    finally:
        impl.set_device_type(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is told without an accelerator")
@pytest.mark.limit("default")
@pytest.mark.shim("utils.checkpoint.DefaultDeviceType")
def test_the_default_without_an_accelerator(impl):
    assert impl.get_device_type() == "cpu"


def test_the_public_functions_are_the_table_s():
    for name in public.__all__:
        assert getattr(public, name) is SHIMS["utils.checkpoint." + name].public
