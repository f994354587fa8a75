"""``torch.library`` on every torch: custom operators, with a derivative, kernels by device, and checks of them.

docs/library.md tells what holds on which torch, and what is not here.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable

from .._lazy import attach as _attach
from .._shim import Limit, polyfill, positional_only
from . import _defined, _operators
from ._check import opcheck as opcheck
from ._defined import define as define
from ._defined import impl as impl
from ._eager import EagerOp
from ._infer import infer_schema as infer_schema
from ._operators import register_autocast as register_autocast
from ._operators import register_autograd as register_autograd
from ._operators import register_fake as register_fake
from ._operators import register_kernel as register_kernel
from ._operators import register_torch_dispatch as register_torch_dispatch
from ._operators import register_vmap as register_vmap
from ._operators import triton_op as triton_op
from ._operators import wrap_triton as wrap_triton

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "impl",
    "infer_schema",
    "opcheck",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]


@polyfill(
    "torch.library.CustomOpDef",
    since="2.4",
    link="https://github.com/pytorch/pytorch/blob/v2.4.0/torch/_library/custom_ops.py",
)
class CustomOpDef(EagerOp, metaclass=_operators.OfOperators):
    """The class of what `custom_op` returns: a function with methods that register more of it.

    In torch since 2.4. Fallback: an operator in plain Python, whose derivative is a ``torch.autograd.Function``.
    https://docs.pytorch.org/docs/stable/library.html

    Methods: ``register_kernel(device_types, fn)``, ``register_fake(fn)``, ``register_autograd(backward,
    setup_context=)``, ``register_vmap(func)``, ``register_autocast(device_type, cast_inputs)`` and the context
    ``set_kernel_enabled(device_type, enabled)``.
    """


@polyfill(
    "torch.library.custom_op",
    since="2.8",
    link="https://github.com/pytorch/pytorch/blob/v2.8.0/torch/_library/custom_ops.py",
    limits=[
        Limit("device argument", "has no kernels by device where no argument is a tensor", "fallback", "2.4", "2.4"),
        Limit(
            "methods",
            "its operators have no `register_vmap`, `register_torch_dispatch` and `set_kernel_enabled`",
            "fallback",
            "2.4",
            "2.4",
        ),
        Limit("autocast", "its operators have no `register_autocast`", "fallback", "2.4", "2.6"),
    ],
    reason="no `tags`",
)
@positional_only
def custom_op(
    __name: str,
    __fn: Callable[..., Any] | None = None,
    *,
    mutates_args: str | Iterable[str],
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make a function an operator: ``@custom_op("mylib::sin", mutates_args=())``. The function has type hints.

    In torch since 2.8. Fallback: torch's own from 2.4 on, less *tags*; before, an operator in plain Python, which
    ``torch.ops`` knows from 1.12 on. https://docs.pytorch.org/docs/stable/generated/torch.library.custom_op.html

    Args:
        __name: "namespace::name".
        __fn: the function; left out, a decorator is returned.
        mutates_args: the names of the tensors to which the function writes, or "unknown", which is all of them.
        device_types: where the function computes it: "cpu", several, or None for everywhere.
        schema: what is otherwise read from the hints, "(Tensor x, int y) -> Tensor".
        tags: one of torch.Tag, or several.

    Returns:
        A `CustomOpDef`, which is called as the function is.

    Raises:
        ValueError: a hint is missing or of an unsupported type; *mutates_args* has a name that there is not, or does
            not agree with *schema*.
        NotImplementedError: a tensor by keyword only.
        UnsupportedError: tags that torch 2.4 to 2.7 cannot be told.
    """
    return _operators.make_custom_op(CustomOpDef, __name, __fn, mutates_args, device_types, schema, tags)


@polyfill(
    "torch.library.Library",
    since="2.8",
    link="https://github.com/pytorch/pytorch/blob/v2.8.0/torch/library.py",
    limits=[
        Limit("override", "`impl` of a second kernel for the same key raises an error", "native", "2.8", "2.12"),
        Limit("override", "`impl` of a second kernel for the same key raises an error", "fallback", "1.12", "2.7"),
    ],
    reason="no `allow_override` of `impl`",
)
class Library(_defined.Base):  # type: ignore[misc]
    """A set of operators that are defined by schema, or of kernels for operators that there are.

    In torch since 2.8. Fallback: a subclass of torch's own from 1.12 on; UnsupportedError below, where no operator can
    be defined in Python. https://docs.pytorch.org/docs/stable/library.html

    Args:
        ns: the namespace.
        kind: "DEF", "IMPL" or "FRAGMENT".
        dispatch_key: the key for which `impl` registers, if it is told no other.
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        _defined.start(self, ns, kind, dispatch_key)

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Define an operator: ``library.define("name(Tensor x) -> Tensor")``. Its name is returned."""
        return _defined.define_in(self, schema, alias_analysis, tags)

    def impl(
        self, op_name: Any, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False, allow_override: bool = True
    ) -> None:
        """Register a kernel: ``library.impl("name", function, "CPU")``."""
        _defined.impl_in(self, op_name, fn, dispatch_key, with_keyset, allow_override)


_attach(globals())
