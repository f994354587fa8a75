"""What ``torch.jit.script`` is told about our functions.

What the compiler is told about a function is kept by torch in dictionaries whose key is our function
(https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_jit_internal.py#L258). Nobody else's code changes by it.
"""

# Annotations stay objects here: the compiler of torch 1.2 reads them, and does not understand strings.
from typing import Any, Optional

import torch

from ._torch import find

_modifiers: Any = torch._jit_internal.FunctionModifiers
IGNORE: Any = _modifiers.IGNORE
# Torch 1.2 has one that drops the function when the scripted code is saved, not when it is compiled.
UNUSED: Any = getattr(_modifiers, "UNUSED", None) or _modifiers.IGNORE_AND_DROP
_register: Any = find("torch.jit._builtins._register_builtin") or find("torch.jit._register_builtin")


def compile_instead(function: Any, twin: Any) -> None:
    """Have ``torch.jit.script`` compile *twin* where a scripted function or module calls *function*."""
    table = find("torch._jit_internal.boolean_dispatched")
    if table is not None:
        # The compiler chooses between two functions by an argument that is constant. There is no such argument here, so
        # that it always takes the default.
        table[function] = {
            "if_true": twin,
            "if_false": twin,
            "index": 1000,
            "default": False,
            "arg_name": "no_such_argument",
        }


def script_as(function: Any, operator: str) -> None:
    """Have ``torch.jit.script`` call torch's *operator*, as in ``"aten::meshgrid"``, where *function* is called.

    Torch keeps these names in a table by the identities of the functions, which must not be collected before it.
    https://github.com/pytorch/pytorch/blob/v1.8.1/torch/jit/_builtins.py#L143
    """
    if _register is not None:
        _register(function, operator)


def mark(function: Any, modifier: Any) -> Any:
    """*function*, which the compiler then treats as the *modifier* says."""
    function._torchscript_modifier = modifier
    return function


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


def answer(question: Any, operator: Optional[str], value: bool) -> None:
    """Have scripted code get *value* from *question*: by torch's own *operator* where this torch has it."""
    if operator and _register and find("torch.jit.is_scripting"):
        # The compiler knows the answer of this operator, and leaves out what it rules out.
        script_as(question, operator)
    else:
        compile_instead(question, _yes if value else _no)


def script(function: Any) -> Any:
    """*function*, compiled; the names in it are looked up where it was defined."""
    names: Any = find("torch._jit_internal.createResolutionCallbackFromClosure")
    return torch.jit.script(function, _rcb=names(function)) if names else torch.jit.script(function)


def is_script_module(module: Any) -> bool:
    """Whether *module* is a scripted or traced one."""
    return isinstance(module, torch.jit.ScriptModule)


def assert_bool(condition: bool, message: str) -> None:
    """What scripted code runs for ``torch._assert``."""
    assert condition, message
