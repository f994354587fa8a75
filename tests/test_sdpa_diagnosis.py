"""What torchcompat.attention says about scaled_dot_product_attention beside the combinations (test_sdpa_choice.py)."""

import warnings

import pytest
import torch

from torchcompat import SHIMS, UnsupportedError, at_least
from torchcompat.attention import sdpa_backend, why_not_fastpath
from torchcompat.attention._sdpa import _debugged as debugged
from torchcompat.attention._sdpa import asked, bind, choose

has_sdpa = pytest.mark.skipif(not at_least(2, 0), reason="torch has the function since 2.0")
if at_least(2, 3):
    # Torch 2.3 to 2.5 at least cannot load this layout once set_float32_matmul_precision has refused a level, as other
    # tests make it: "could not parse dispatch key", followed by the level.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is a prototype
        torch.nested.nested_tensor([torch.zeros(1, 1)], layout=torch.jagged)

NATIVE = torch.nn.functional.scaled_dot_product_attention if at_least(2, 0) else None
SHIM = SHIMS["nn.functional.scaled_dot_product_attention"]
FLASH = at_least(2, 1)


def a_query(*shape):
    return torch.zeros(shape or (2, 4, 3, 8))


def codes(reasons):
    return {reason.partition(":")[0] for reason in reasons}


def kernels(call):
    """The names of the attention operators that ran; a call may raise for having no derivative."""
    with warnings.catch_warnings(), torch.autograd.profiler.profile() as profile:
        warnings.simplefilter("ignore")
        try:
            call()
        except (RuntimeError, NotImplementedError):
            pass
    return {event.name for event in profile.function_events if event.name.startswith("aten::_scaled_dot_product")}


def agree(*inputs, **keywords):
    """The codes of the reasons, after seeing that torch runs what they say."""
    reasons = why_not_fastpath(NATIVE, *inputs, **keywords)
    ran = kernels(lambda: NATIVE(*inputs, **keywords))
    assert any("flash" in name for name in ran) == (not reasons), (ran, reasons)
    return codes(reasons)


@has_sdpa
def test_an_ordinary_call():
    x = a_query()
    assert agree(x, x, x) == (set() if FLASH else {"version"})
    choice = choose("native", bind("native", (x, x, x), {}))
    assert choice.backend == ("FLASH_ATTENTION" if FLASH else "MATH")
    assert choice.reasons["EFFICIENT_ATTENTION"] == ["device: It is a kernel for CUDA devices."]
    assert codes(choice.reasons.get("MATH", [])) == ({"priority"} if FLASH else set())


def test_the_fallback():
    x = a_query()
    with_dropout = sdpa_backend(x, x, x, dropout_p=0.5)
    assert why_not_fastpath(SHIM.fallback, x, x, x, dropout_p=0.5) != []
    if SHIM.public is SHIM.fallback:
        assert with_dropout.backend == "MATH"
        assert {tuple(codes(found)) for found in with_dropout.reasons.values()} == {("fallback",)}
    else:
        assert codes(with_dropout.reasons["FLASH_ATTENTION"]) == {"dropout"}


def test_what_does_not_fit_is_refused():
    x = a_query()
    for inputs, keywords in (((x, x), {}), ((x, x, None), {}), ((x, x, x, [True]), {}), ((x, x, x), {"mask": None})):
        with pytest.raises(TypeError):
            why_not_fastpath(SHIM.fallback, *inputs, **keywords)
    with pytest.raises(TypeError, match=r"^key must be a Tensor, got str$"):
        sdpa_backend(x, "x", x)
    with pytest.raises(TypeError, match=r"^dropout_p must be a float, got str$"):
        sdpa_backend(x, x, x, dropout_p="0")
    if at_least(2, 0) and not at_least(2, 5):
        with pytest.raises(TypeError, match=r"scaled_dot_product_attention of torch 2\.\d+\S* takes no enable_gqa"):
            why_not_fastpath(NATIVE, x, x, x, enable_gqa=True)


def flags():
    switches = torch.backends.cuda
    return [
        getattr(switches, name)() for name in ("flash_sdp_enabled", "math_sdp_enabled", "mem_efficient_sdp_enabled")
    ]


@has_sdpa
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_asking_changes_nothing(device):
    x = a_query().to(device).requires_grad_(True)
    before = torch.get_rng_state(), flags(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for keywords in ({}, {"dropout_p": 0.5}):
            why_not_fastpath(NATIVE, x, x, x, **keywords)
            sdpa_backend(x, x, x, **keywords)
    after = torch.get_rng_state(), flags(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@has_sdpa
def test_torch_is_asked_on_other_devices():
    x = a_query().to("meta")
    assert agree(x, x, x) == {"device"}
    choice = choose("native", bind("native", (x, x, x), {}))
    assert choice.backend == "MATH"
    assert choice.reasons["FLASH_ATTENTION"] == ["device: It does not run on meta."]
    assert why_not_fastpath(NATIVE, x, x, x)[0] == "device: FLASH_ATTENTION: It does not run on meta."


@has_sdpa
def test_where_torch_cannot_be_asked():
    x = a_query().to("meta")
    with pytest.raises(UnsupportedError, match="meta can only be told for plain tensors"):
        torch.func.vmap(lambda one: why_not_fastpath(NATIVE, one, one, one) or one)(x)


@pytest.mark.skipif(not at_least(2, 3) or torch.version.cuda is None, reason="torch tells since 2.2, if built for CUDA")
@pytest.mark.parametrize("name", ["flash", "efficient"])
def test_what_torch_says_about_its_cuda_kernels(name, capfd):
    x = a_query()
    question = getattr(torch.backends.cuda, f"can_use_{name}_attention")
    can, said = debugged(question, bind("native", (x, x, x), {}))
    assert not can
    assert len(said) == 1
    assert said[0].startswith("All tensors need to be on cuda device. Got query on device: cpu")
    assert "Triggered" not in said[0]
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.skipif(not at_least(2, 1), reason="2.0 has no kernel for the CPU")
class TestWhereTorchsOwnAnswerIsNoHelp:
    def test_vmap(self):
        found = []

        def call(x):
            found.append(codes(why_not_fastpath(NATIVE, x, x, x)))
            assert asked(bind("native", (x, x, x), {})) is None
            return NATIVE(x, x, x)

        for shape in ((3, 2, 4, 3, 8), (3, 4, 3, 8)):
            ran = kernels(lambda shape=shape: torch.func.vmap(call)(torch.zeros(shape)))
            assert any("flash" in name for name in ran) == (not found.pop()), ran

    def test_grad(self):
        found, x = [], a_query()

        def by_mask(mask):
            found.append(codes(why_not_fastpath(NATIVE, x, x, x, mask)))
            return NATIVE(x, x, x, mask).sum()

        def by_query(query):
            found.append(codes(why_not_fastpath(NATIVE, query, x, x)))
            return NATIVE(query, x, x).sum()

        for call, argument in ((by_mask, torch.zeros(3, 3)), (by_query, x)):
            ran = kernels(lambda call=call, argument=argument: torch.func.grad(call)(argument))
            assert any("flash" in name for name in ran) == (not found.pop()), ran

    def test_fake_tensors(self):
        from torch._subclasses.fake_tensor import FakeTensorMode

        with FakeTensorMode():
            x = a_query()
            assert agree(x, x, x) == set()
            assert agree(x, x, x, None, 0.5) == {"dropout"}

    def test_a_tracer_sees_no_question(self):
        from torch.fx.experimental.proxy_tensor import make_fx

        def call(x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert why_not_fastpath(NATIVE, x, x, x) == []
            return x + 1

        graph = make_fx(call)(a_query()).graph
        assert [node.op for node in graph.nodes] == ["placeholder", "call_function", "output"]

    def test_forward_mode(self):
        forward_ad, x = torch.autograd.forward_ad, a_query()
        with forward_ad.dual_level():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch 2.15 scripts its decompositions, which is deprecated
                dual = forward_ad.make_dual(x, x)
            assert agree(dual, x, x) == set()

    def test_a_key_without_heads(self):
        if at_least(2, 5):  # torch's own answer ends the process on 2.9 to 2.11
            none = a_query(2, 0, 3, 8)
            assert codes(why_not_fastpath(NATIVE, a_query(), none, none, enable_gqa=True)) >= {"heads"}


@pytest.mark.skipif(not at_least(2, 1), reason="2.0 has no kernel for the CPU")
def test_nested_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are a prototype
        rows = [torch.zeros(4, 3, 8), torch.zeros(4, 2, 8)]
        nested = torch.nested.nested_tensor(rows)
        assert agree(nested, nested, nested) == {"nested"}
        if at_least(2, 3):
            jagged = torch.nested.nested_tensor([x.transpose(0, 1) for x in rows], layout=torch.jagged).transpose(1, 2)
            assert agree(jagged, jagged, jagged) == {"nested"}


@pytest.mark.skipif(not at_least(2, 1), reason="2.0 has no kernel for the CPU")
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (1, 3), (4, 3, 3), (1, 3, 3), (1, 4, 3, 3), (1, 1, 1, 3)])
def test_masks_of_unbatched_queries(shape, enabled, grad):
    x, mask = a_query(4, 3, 8), torch.zeros(shape, requires_grad=grad)
    with torch.set_grad_enabled(enabled):
        agree(x, x, x, mask)


@pytest.mark.skipif(not at_least(2, 3), reason="sdpa_kernel since 2.3")
def test_sdpa_kernel():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    x, native = a_query(), bind("native", (a_query(),) * 3, {})
    with sdpa_kernel(SDPBackend.MATH):
        assert agree(x, x, x) == {"flag"}
        assert choose("native", native).backend == "MATH"
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert agree(x, x, x) == set()
        assert codes(choose("native", native).reasons["MATH"]) == {"flag"}
        assert choose("native", native._replace(dropout_p=0.5)).backend == "ERROR"
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        assert choose("native", native).backend == "ERROR"
        assert sdpa_backend(x, x, x).backend == "ERROR"
    if at_least(2, 6):  # the CPU does not go by the priority
        with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], set_priority=True):
            assert agree(x, x, x) == set()
