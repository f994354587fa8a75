"""More of what `parity.py` measures: functions of tensors, and those that take lists of them. See `parity_cases.py`."""

import torch
from parity_cases import ONE, case, entering

import torchcompat._every  # noqa: F401  (fills the table of shims)
from torchcompat import SHIMS

AT_COMPILE_TIME = "a step of compiling a program, done once for it"
ONCE = "an operator is registered once in a process"
OTHER_MODE = "torch's own of that name is made and entered in another way"
PROCESSES = "torch's own needs a group of processes"
NOT_MEASURED = {
    "_scaled_mm": "torch's own needs a GPU with float8",
    "cuda.is_bf16_supported": "torch's own needs CUDA",
    "distributed.checkpoint.load distributed.checkpoint.save distributed.tensor.parallel.SequenceParallel": PROCESSES,
    "jit.freeze jit.ignore jit.optimize_for_inference": AT_COMPILE_TIME,
    "library.Library library.custom_op library.define library.impl library.infer_schema library.register_fake": ONCE,
    "library.opcheck": "a test of an operator, which takes as long as the operator",
    "overrides.TorchFunctionMode utils._python_dispatch.TorchDispatchMode": OTHER_MODE,
    "scatter_reduce": "torch's own of that name was another function",
}
REASONS = {name: reason for names, reason in NOT_MEASURED.items() for name in names.split()}

SIZES = {"10": 10, "100,000": 100_000}


def index(size):
    return torch.arange(size)


# The arguments of a function, given the size; what is not here takes one tensor.
ARGUMENTS = {
    "_check_is_size": lambda size: (size,),
    "all any squeeze": lambda size: (torch.ones(1, size) > 0, 0),
    "are_deterministic_algorithms_enabled": lambda size: (),
    "argsort asarray diff gradient signbit sort": lambda size: (torch.linspace(-1, 1, size),),
    "can_cast": lambda size: (torch.float32, torch.float64),
    "clamp clip": lambda size: (torch.linspace(-1, 1, size), -0.5, 0.5),
    "clamp_max clamp_min div divide floor_divide remainder": lambda size: (torch.linspace(-1, 1, size), 0.5),
    "einsum": lambda size: ("i,i->i", torch.ones(size), torch.ones(size)),
    "gcd lcm": lambda size: (index(size), index(size)),
    "index_add scatter": lambda size: (torch.zeros(size), 0, index(size), torch.ones(size)),
    "logcumsumexp std std_mean var var_mean": lambda size: (torch.ones(size), 0),
    "logical_xor": lambda size: (torch.ones(size) > 0, torch.ones(size) > 0),
    "result_type": lambda size: (torch.ones(size), torch.ones(size)),
    "searchsorted": lambda size: (torch.linspace(0, 1, size), torch.linspace(0, 1, size)),
    "testing.assert_close": lambda size: (torch.ones(size), torch.ones(size)),
    "use_deterministic_algorithms": lambda size: (False,),
    "sym_max sym_min": lambda size: (1, size),
    "sym_sum": lambda size: ([1, 2, size],),
    "utils._foreach_utils._group_tensors_by_device_and_dtype": lambda size: ([[torch.zeros(size)] * 20] * 2,),
    "where": lambda size: (torch.ones(size) > 0, torch.ones(size), torch.zeros(size)),
}


def function_case(names, make):
    @case(names, "call", SIZES)
    def _function(target, size):
        arguments = make(size)
        return lambda: target(*arguments)


for _names, _make in ARGUMENTS.items():
    function_case(_names, _make)


@case("jit.is_tracing", "ask", ONE)
def _is_tracing(target, _):
    return target


@case("random.fork_rng", "enter and leave", ONE)
def _fork_rng(target, _):
    return entering(lambda: target(devices=[]))


@case("testing.make_tensor", "draw", SIZES)
def _make_tensor(target, size):
    return lambda: target((size,), dtype=torch.float32, device="cpu")


LISTS = {"60 of 64": (60, 64), "6 of 262,144": (6, 262_144)}
# How many lists a function of lists takes; `lerp` and its like take a number more.
OF_TWO = "add clamp_max clamp_min copy div lerp maximum minimum mul pow sub"
OF_THREE = "addcdiv addcmul"


def foreach_case(name):
    bare = name[len("_foreach_") :].rstrip("_")
    count = 3 if bare in OF_THREE.split() else 2 if bare in OF_TWO.split() else 1

    @case(name, "call", LISTS)
    def _foreach(target, shape):
        lists = [[torch.ones(shape[1]) for _ in range(shape[0])] for _ in range(count)]
        more = (0.5,) if bare == "lerp" else ()
        return lambda: target(*lists, *more)


for _name, _shim in SHIMS.items():
    if _name.startswith("_foreach_") and _shim.reason:
        foreach_case(_name)
