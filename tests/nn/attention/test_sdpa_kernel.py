"""Which kernels may run: the choice, its order, and that it is put back; an attention that obeys it."""

import copy
import operator
import pickle
import subprocess
import sys
import threading

import pytest
import torch

from torchcompat import SHIMS, at_least, has
from torchcompat.nn.attention import _backends
from torchcompat.nn.attention._backends import CUDNN, EFFICIENT, FLASH, MATH, OVERRIDEABLE

pytestmark = pytest.mark.shim("nn.attention.sdpa_kernel")

KERNEL, BACKEND = SHIMS["nn.attention.sdpa_kernel"], SHIMS["nn.attention.SDPBackend"]
ATTENTION = SHIMS["nn.functional.scaled_dot_product_attention"]
NO_BACKEND = r"(?i)no (viable backend|available kernel)"
NAMES = ["ERROR", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "OVERRIDEABLE"]


@pytest.fixture
def backend(impl):
    """The class whose members *impl* takes: torch's sdpa_kernel takes only torch's."""
    return BACKEND.native if impl is KERNEL.native else BACKEND.fallback


@pytest.fixture(autouse=True)
def _unchanged():
    before = _backends.enabled(), _backends.order()
    yield
    after = _backends.enabled(), _backends.order()
    _backends.enable(before[0])
    _backends.set_order(before[1])
    assert after == before


def kernels():
    """The numbers of the enabled kernels of torch's own devices."""
    return [number for number in _backends.enabled() if number != OVERRIDEABLE]


# ---------------------------------------------------------------------------------------------------------------------
# The choice


@pytest.mark.parametrize("number", [MATH, FLASH, EFFICIENT, CUDNN])
def test_one_backend(impl, backend, number):
    before = kernels()
    with impl(backend(number)):
        assert kernels() == [number]
    assert kernels() == before


def test_the_context_gives_a_dict(impl, backend):
    with impl(backend.MATH) as given:
        assert given == {}


def test_lists(impl, backend):
    with impl([backend.MATH, backend.FLASH_ATTENTION]):
        assert kernels() == [MATH, FLASH]
    with impl([backend.CUDNN_ATTENTION, backend.MATH, backend.MATH, backend.CUDNN_ATTENTION]):
        assert kernels() == [MATH, CUDNN]
    with impl(backends=[backend.EFFICIENT_ATTENTION]):
        assert kernels() == [EFFICIENT]


def test_nothing_left_is_no_error_yet(impl, backend):
    for nothing in ([], backend.ERROR, [backend.ERROR]):
        with impl(nothing):
            assert kernels() == []


@pytest.mark.limit("overrideable")
def test_the_kernel_of_a_foreign_device(impl, backend):
    with impl(backend.OVERRIDEABLE):
        assert _backends.enabled() == [OVERRIDEABLE]
    with impl(backend.MATH):
        assert _backends.enabled() == [MATH]


def test_priority(impl, backend):
    before = _backends.order()
    with impl([backend.CUDNN_ATTENTION, backend.MATH, backend.CUDNN_ATTENTION], set_priority=True):
        assert kernels() == [MATH, CUDNN]
        assert _backends.order()[:2] == [CUDNN, MATH]
        with impl([backend.MATH, backend.FLASH_ATTENTION], True):
            assert _backends.order()[:3] == [MATH, FLASH, CUDNN]
        assert _backends.order()[:2] == [CUDNN, MATH]
    assert _backends.order() == before
    with impl([backend.EFFICIENT_ATTENTION, backend.MATH]):
        assert _backends.order() == before


WITH_ERROR = """
from torchcompat.nn.attention import _backends
from torch.nn.attention import SDPBackend, sdpa_kernel

before = _backends.enabled(), _backends.order()
with sdpa_kernel(SDPBackend.ERROR, set_priority=True):
    within = set(_backends.enabled()) - {_backends.OVERRIDEABLE}
assert not within, within
assert (_backends.enabled(), _backends.order()) == before
"""


@pytest.mark.limit("error")
def test_error_has_no_priority(impl, backend):
    if impl is KERNEL.native:
        # Torch writes beyond its table, so in a process of its own.
        subprocess.run([sys.executable, "-c", WITH_ERROR], check=True, stderr=subprocess.DEVNULL)
        return
    order = _backends.order()
    with impl(backend.ERROR, set_priority=True):
        assert kernels() == []
        assert set(_backends.order()) >= set(order)
    assert _backends.order() == order


def test_nested(impl, backend):
    with impl([backend.MATH, backend.EFFICIENT_ATTENTION]):
        with impl(backend.FLASH_ATTENTION):
            assert kernels() == [FLASH]
            with impl([]):
                assert kernels() == []
            assert kernels() == [FLASH]
        assert kernels() == [MATH, EFFICIENT]


@pytest.mark.limit("overlap")
def test_blocks_of_which_the_first_ends_first(impl, backend):
    before, enabled = kernels(), _backends.enabled()
    first, second = impl(backend.MATH), impl(backend.FLASH_ATTENTION)
    first.__enter__()
    second.__enter__()
    try:
        first.__exit__(None, None, None)
        assert kernels() == [FLASH]
    finally:
        # Torch's own would otherwise put back its first choice whenever Python collects the block.
        second.__exit__(None, None, None)
        after = kernels()
        _backends.enable(enabled)
    assert after == before


def test_an_exception_puts_it_back(impl, backend):
    before, order = kernels(), _backends.order()
    with pytest.raises(KeyError), impl([backend.EFFICIENT_ATTENTION, backend.MATH], set_priority=True):
        raise KeyError
    assert (kernels(), _backends.order()) == (before, order)


def test_decorator(impl, backend):
    @impl(backend.MATH)
    def chosen(number):
        """Its own text."""
        return [*kernels(), number]

    assert chosen.__name__ == "chosen"
    assert chosen.__doc__ == "Its own text."
    before = kernels()
    assert chosen(7) == [MATH, 7]
    assert kernels() == before
    assert chosen(number=8) == [MATH, 8]


def test_nothing_happens_before_it_is_entered(impl, backend):
    before = kernels()
    impl(backend.MATH)
    impl("neither")
    assert kernels() == before


def test_the_choice_is_that_of_the_process(impl, backend):
    seen = []
    with impl(backend.MATH):
        thread = threading.Thread(target=lambda: seen.append(kernels()))
        thread.start()
        thread.join()
    assert seen == [[MATH]]


@pytest.mark.parametrize("wrong", ["MATH", None, 0, (), {1: 2}], ids=repr)
def test_neither_a_backend_nor_a_list(impl, wrong):
    before = kernels()
    with pytest.raises(AssertionError, match=r"(?i)backend"), impl(wrong):
        pass
    assert kernels() == before


@pytest.mark.limit("items")
@pytest.mark.parametrize("wrong", ["MATH", None, 0], ids=repr)
def test_items_that_are_no_backends(impl, backend, wrong):
    before = kernels()
    with pytest.raises(TypeError, match="backends must be a list of SDPBackend"), impl([backend.MATH, wrong]):
        pass
    assert kernels() == before


@pytest.mark.parametrize("path", ["torch.nn.attention.SDPBackend", "torch.backends.cuda.SDPBackend"])
def test_the_fallback_takes_members_of_torchs_own(path):
    if not has(path):
        pytest.skip(f"{path} is missing here")
    own = operator.attrgetter(path[len("torch.") :])(torch)
    with KERNEL.fallback(own.MATH):
        assert kernels() == [MATH]
    with KERNEL.fallback([own.EFFICIENT_ATTENTION, BACKEND.fallback.FLASH_ATTENTION]):
        assert kernels() == [FLASH, EFFICIENT]


# ---------------------------------------------------------------------------------------------------------------------
# What it does


def attentions():
    """torchcompat's attention, and torch's own where there is one."""
    return [ATTENTION.fallback] + [ATTENTION.native] * (ATTENTION.native is not None)


def inputs():
    return [torch.randn(1, 2, 4, 8, requires_grad=True) for _ in range(3)]


def test_an_attention_without_a_kernel(impl, backend):
    query, key, value = (x.detach() for x in inputs())
    for nothing in ([], backend.ERROR, backend.EFFICIENT_ATTENTION, backend.CUDNN_ATTENTION, backend.OVERRIDEABLE):
        with impl(nothing), pytest.raises(RuntimeError, match=NO_BACKEND):
            ATTENTION.fallback(query, key, value)
    # Torch 2.0 runs its plain formula on CPU whatever the flags say.
    if at_least(2, 1):
        with impl([]), pytest.raises(RuntimeError, match=NO_BACKEND):
            ATTENTION.native(query, key, value)
    ATTENTION.fallback(query, key, value)


@pytest.mark.parametrize("name", ["MATH", "FLASH_ATTENTION"])
def test_any_kernel_gives_the_same(impl, backend, name):
    query, key, value = inputs()
    scores = query.double() @ key.double().transpose(-2, -1) / 8**0.5
    expected = torch.softmax(scores, -1) @ value.double()
    for attention in attentions():
        with impl(getattr(backend, name)):
            out = attention(query, key, value)
        assert out.shape == expected.shape
        assert (out.double() - expected).abs().max() < 1e-5


def test_torchs_own_attention_obeys(impl, backend):
    if not at_least(2, 1):
        pytest.skip("torch below 2.1 has one kernel on CPU")
    for chosen, fused in ((backend.MATH, False), (backend.FLASH_ATTENTION, True)):
        with impl(chosen):
            out = ATTENTION.native(*inputs())
        assert ("Flash" in type(out.grad_fn).__name__) is fused


def compiled(impl, backend, fullgraph):
    torch._dynamo.reset()

    def within(query):
        with impl([backend.MATH, backend.FLASH_ATTENTION], set_priority=True):
            return ATTENTION.public(query, query, query) * 2

    query = torch.randn(1, 2, 4, 8)
    before = _backends.enabled(), _backends.order()
    out = torch.compile(within, backend="eager", fullgraph=fullgraph)(query)
    assert (_backends.enabled(), _backends.order()) == before
    return (out - 2 * ATTENTION.public(query, query, query)).abs().max()


@pytest.mark.filterwarnings("ignore:.*Dynamo does not know how to trace:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Graph break due to unsupported builtin:UserWarning")
@pytest.mark.skipif(not at_least(2, 1), reason="torch.compile takes Python 3.11 since torch 2.1")
def test_compiled(impl, backend):
    assert compiled(impl, backend, False) < 1e-5


@pytest.mark.limit("fullgraph")
@pytest.mark.skipif(not at_least(2, 1), reason="torch.compile takes Python 3.11 since torch 2.1")
def test_fullgraph(impl, backend):
    assert compiled(impl, backend, True) < 1e-5


@pytest.mark.parametrize(
    ("chosen", "cpu", "cuda", "other"),
    [
        ([], (False, False), (False, False), (False, False)),
        (["MATH"], (True, False), (True, False), (True, False)),
        (["FLASH_ATTENTION"], (False, True), (False, True), (False, True)),
        (["EFFICIENT_ATTENTION"], (False, False), (False, True), (False, True)),
        (["CUDNN_ATTENTION", "MATH"], (True, False), (True, True), (True, True)),
        (["OVERRIDEABLE"], (False, False), (False, False), (False, True)),
    ],
    ids=str,
)
def test_what_our_attention_is_told(chosen, cpu, cuda, other):
    with KERNEL.fallback([getattr(BACKEND.fallback, name) for name in chosen]):
        assert [_backends.allowed(device) for device in ("cpu", "cuda", "xpu")] == [cpu, cuda, other]


# ---------------------------------------------------------------------------------------------------------------------
# SDPBackend


@pytest.mark.shim("nn.attention.SDPBackend")
def test_members(impl):
    assert list(impl.__members__) == NAMES
    for number, name in enumerate(NAMES, -1):
        member = getattr(impl, name)
        assert (member.name, member.value, int(member), operator.index(member)) == (name, number, number, number)
        assert impl(number) == member
        assert isinstance(member, impl)
        assert (str(member), repr(member)) == (f"SDPBackend.{name}", f"<SDPBackend.{name}: {number}>")


@pytest.mark.shim("nn.attention.SDPBackend")
def test_members_are_not_numbers(impl):
    assert impl.MATH != 0
    assert impl.MATH != impl.ERROR
    assert not isinstance(impl.MATH, int)
    assert {impl.MATH: "formula", impl.FLASH_ATTENTION: "flash"}[impl.MATH] == "formula"
    assert copy.deepcopy(impl.MATH) == impl.MATH
    with pytest.raises(TypeError):
        operator.lt(impl.MATH, impl.FLASH_ATTENTION)


@pytest.mark.shim("nn.attention.SDPBackend")
@pytest.mark.limit("pickle")
def test_members_are_pickled(impl, shim):
    if impl is not shim.public:
        pytest.skip("pickled by its public name, which is the other object here")
    assert pickle.loads(pickle.dumps(impl.MATH, 2)) == impl.MATH
