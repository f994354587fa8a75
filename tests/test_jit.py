"""TorchScript's questions and decorators, in Python, in scripted code and in traces."""

import io
from typing import Dict, List, Optional, Tuple, Union

import pytest
import torch
from torch import Tensor

import torchcompat
from torchcompat import SHIMS, torch_version

shim = pytest.mark.shim
# Torch 2.14 and later say at each call that TorchScript is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
IS_SCRIPTING = {kind: getattr(SHIMS["jit.is_scripting"], kind) for kind in ("native", "fallback", "public")}

# The compiler looks up a function's names in its module.
scripting_now = IS_SCRIPTING["fallback"]
native_scripting_now = IS_SCRIPTING["native"] or scripting_now
tracing_now = SHIMS["jit.is_tracing"].fallback
native_tracing_now = SHIMS["jit.is_tracing"].native or tracing_now


def ours_in_script(x):
    # type: (Tensor) -> Tensor
    return x + 1 if scripting_now() else x - 1


def torchs_in_script(x):
    # type: (Tensor) -> Tensor
    return x + 1 if native_scripting_now() else x - 1


def public_in_script(x):
    # type: (Tensor) -> Tensor
    return x + 1 if torchcompat.jit.is_scripting() else x - 1


def no_torchscript(x):
    return sorted(x.tolist(), key=lambda one: -one)[0]


def ours_rules_out(x):
    # type: (Tensor) -> Tensor
    if not scripting_now():
        x = no_torchscript(x)
    return x


def torchs_rules_out(x):
    # type: (Tensor) -> Tensor
    if not native_scripting_now():
        x = no_torchscript(x)
    return x


def ours_tracing(x):
    # type: (Tensor) -> Tensor
    if tracing_now():
        x = x + 1
    return x


def torchs_tracing(x):
    # type: (Tensor) -> Tensor
    if native_tracing_now():
        x = x + 1
    return x


def chosen(impl, name, ours, torchs):
    return ours if impl is SHIMS[name].fallback else torchs


def saved(scripted):
    """What is loaded from what *scripted* was saved to."""
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


zero = torch.zeros(1)
REFUSED = (RuntimeError, torch._C.JITException)


@shim("jit.is_scripting")
def test_is_scripting(impl):
    function = chosen(impl, "jit.is_scripting", ours_in_script, torchs_in_script)
    assert impl() is False
    assert function(zero) == -1
    scripted = torch.jit.script(function)
    assert scripted(zero) == 1


@shim("jit.is_scripting")
@pytest.mark.limit("both branches")
def test_the_branch_for_python_need_not_be_torchscript(impl):
    function = chosen(impl, "jit.is_scripting", ours_rules_out, torchs_rules_out)
    assert torch.jit.script(function)(zero) == 0


def test_the_public_name_can_be_asked_in_scripted_code():
    assert public_in_script(zero) == -1
    assert torch.jit.script(public_in_script)(zero) == 1


class Asks(torch.nn.Module):
    def forward(self, x):
        # type: (Tensor) -> Tensor
        return public_in_script(x)


def test_a_module_that_asks_can_be_saved():
    assert Asks()(zero) == -1
    assert saved(torch.jit.script(Asks()))(zero) == 1


@shim("jit.is_tracing")
def test_is_tracing(impl):
    function = chosen(impl, "jit.is_tracing", ours_tracing, torchs_tracing)
    assert impl() is False
    assert function(zero) == 0
    assert torch.jit.trace(function, (zero,), check_trace=False)(zero) == 1
    assert impl() is False


@shim("jit.is_tracing")
@pytest.mark.limit("scripted")
def test_scripted_code_is_not_being_traced(impl):
    function = chosen(impl, "jit.is_tracing", ours_tracing, torchs_tracing)
    assert torch.jit.script(function)(zero) == 0


def with_unused(unused):
    class Uses(torch.nn.Module):
        def __init__(self, wanted):
            super().__init__()
            self.wanted = wanted

        @unused
        def in_python(self, x):
            # type: (Tensor) -> Tensor
            return x.add_(len(sorted("a", key=lambda one: one)))

        def forward(self, x):
            # type: (Tensor) -> Tensor
            if self.wanted:
                self.in_python(x)
            return x

    return Uses


@shim("jit.unused")
def test_an_unused_method_is_left_alone_and_raises_in_scripted_code(impl):
    Uses = with_unused(impl)
    assert Uses(True)(torch.zeros(1)) == 1
    assert saved(torch.jit.script(Uses(False)))(torch.zeros(1)) == 0
    with pytest.raises(REFUSED):
        saved(torch.jit.script(Uses(True)))(torch.zeros(1))


@shim("jit.unused")
@pytest.mark.limit("called")
def test_an_unused_method_raises_before_it_is_saved(impl):
    scripted = torch.jit.script(with_unused(impl)(True))
    with pytest.raises(REFUSED):
        scripted(torch.zeros(1))


@shim("jit.unused")
@pytest.mark.limit("property")
def test_a_property_can_be_unused(impl):
    found = property(no_torchscript)
    assert impl(found) is found


@shim("jit.ignore")
@pytest.mark.filterwarnings("ignore:ignore")
def test_an_ignored_method_is_called_in_python(impl):
    for decorate in (impl, impl(drop=False)):
        scripted = torch.jit.script(with_unused(decorate)(True))
        assert scripted(torch.zeros(1)) == 1
        with pytest.raises(REFUSED):
            saved(scripted)
    assert saved(torch.jit.script(with_unused(impl(drop=True))(False)))(torch.zeros(1)) == 0


@shim("jit.ignore")
def test_ignore_refuses_what_is_no_bool(impl):
    with pytest.raises(RuntimeError, match="must be a bool"):
        impl("yes")
    with pytest.warns((FutureWarning, DeprecationWarning), match="unused"):
        impl(drop=True)


def doubled(x):
    # type: (Tensor) -> Tensor
    for _ in range(int(x.size(0))):
        x = x * 2
    return x


@shim("jit.script_if_tracing")
def test_a_loop_is_a_part_of_the_trace(impl):
    function = impl(doubled)
    assert function.__name__ == "doubled"
    assert function(torch.ones(2)).tolist() == [4.0, 4.0]
    traced = torch.jit.trace(lambda x: function(x) + 1, (torch.ones(2),))
    assert traced(torch.ones(3)).tolist() == [9.0, 9.0, 9.0]


compiled_if_tracing = SHIMS["jit.script_if_tracing"].fallback(doubled)
torchs_if_tracing = (SHIMS["jit.script_if_tracing"].native or SHIMS["jit.script_if_tracing"].fallback)(doubled)


def calls_ours(x):
    # type: (Tensor) -> Tensor
    return compiled_if_tracing(x)


def calls_torchs(x):
    # type: (Tensor) -> Tensor
    return torchs_if_tracing(x)


@shim("jit.script_if_tracing")
def test_scripted_code_calls_a_function_that_is_compiled_if_tracing(impl):
    function = chosen(impl, "jit.script_if_tracing", calls_ours, calls_torchs)
    assert torch.jit.script(function)(torch.ones(2)).tolist() == [4.0, 4.0]


OF = [
    (1, int, True),
    (1, str, False),
    (torch.ones(1), Tensor, True),
    ([1, 2], List[int], True),
    ([1, "2"], List[int], False),
    ((1, 2), List[int], False),
    ([[1], [2]], List[List[int]], True),
    ([[1], ["2"]], List[List[int]], False),
    ({"a": 1}, Dict[str, int], True),
    ({"a": "b"}, Dict[str, int], False),
    ({1: 1}, Dict[str, int], False),
    ((1, "a"), Tuple[int, str], True),
    ((1, "a", 2), Tuple[int, str], False),
    ((1, 2), Tuple[int, str], False),
    (None, Optional[int], True),
    (1, Optional[int], True),
    ("a", Optional[int], False),
    ([1], Optional[List[int]], True),
    pytest.param("a", Union[int, str], True, marks=pytest.mark.limit("union")),
    pytest.param([1], (str, List[int]), True, marks=pytest.mark.limit("tuple")),
    pytest.param([1], (str, List[str]), False, marks=pytest.mark.limit("tuple")),
]


@shim("jit.isinstance")
@pytest.mark.parametrize(("value", "kind", "expected"), OF)
def test_isinstance(impl, value, kind, expected):
    assert impl(value, kind) is expected


@shim("jit.isinstance")
@pytest.mark.limit("empty")
def test_isinstance_of_an_empty_container_warns(impl):
    with pytest.warns(UserWarning, match="container"):
        assert impl([], List[int]) is True


@shim("jit.isinstance")
@pytest.mark.parametrize("kind", [List, Dict, Tuple])
def test_isinstance_wants_to_know_what_is_in_a_container(impl, kind):
    with pytest.raises(RuntimeError):
        impl([1], kind)


@shim("jit.isinstance")
def test_isinstance_takes_no_list_of_types(impl):
    with pytest.raises((RuntimeError, TypeError)):
        impl([1], [int])


is_a = SHIMS["jit.isinstance"].fallback
is_torchs = SHIMS["jit.isinstance"].native


def ours_refines(x):
    # type: (Tensor) -> bool
    return is_a(x, Tensor)


def torchs_refines(x):
    # type: (Tensor) -> bool
    return is_torchs(x, Tensor)


@shim("jit.isinstance")
@pytest.mark.limit("scripted")
def test_isinstance_in_scripted_code(impl):
    assert torch.jit.script(chosen(impl, "jit.isinstance", ours_refines, torchs_refines))(zero)


def traced_linear():
    return torch.jit.trace(torch.nn.Linear(2, 2).eval(), (torch.ones(1, 2),))


def linear():
    """A scripted layer in evaluation mode; torch 1.2 has no such thing."""
    return torch.jit.script(torch.nn.Linear(2, 2).eval()) if torch_version >= (1, 3) else traced_linear()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=shim("jit." + name)) for name in ("freeze", "optimize_for_inference")]
)
def test_a_frozen_module_computes_the_same(impl, name):
    module, x = linear(), torch.ones(1, 2)
    for each in (None, []):
        assert torch.allclose(impl(module, each)(x), module(x))
    with pytest.raises(RuntimeError, match=r"[sS]cript"):
        impl(torch.nn.Linear(2, 2))


@shim("jit.freeze")
@pytest.mark.limit("not frozen")
def test_a_frozen_module_has_no_parameters(impl):
    module = linear()
    assert list(impl(module, optimize_numerics=False).parameters()) == []
    assert len(list(module.parameters())) == 2


@shim("jit.freeze")
@pytest.mark.limit("traced")
def test_a_traced_module_is_frozen(impl):
    module, x = traced_linear(), torch.ones(1, 2)
    assert torch.allclose(impl(module)(x), module(x))


@shim("jit.freeze")
def test_a_module_in_training_mode_is_not_frozen(impl):
    module = torch.jit.script(torch.nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="eval"):
        impl(module)
