"""How each shim that torch has a twin of is used, in a line of code that both objects can be put into as `f`.

A name of `INPUTS` in a line is a tensor, and an argument of what is compiled; other names are those of `NAMES`, and
`$path.of.a.shim` is another shim's object of the same side, torch's or ours. A line is an expression, or statements
that end with `return`.
"""

import torch
from takes_functions import CALLS, FAMILIES

INPUTS = {"x": (3, 4), "y": (3, 4), "v": (3,), "w": (5,), "q": (1, 2, 3, 4), "s": (5, 2, 6), "image": (2, 3, 5, 5)}
SHORT = {"batch_first": True}


class Row:
    """One shim.

    Attributes:
        call: what is compiled; of the module `m` where *module* is given.
        made: an object made of `f`, which is pickled, copied and asked for its type; `o` in *call*.
        module: a module made of `f`; `m` in *call*.
        other: what is `o` in *call*, and nothing else.
        left_out: the ways that are not tried, and why.
    """

    def __init__(self, call="", made="", module="", other=""):
        self.left_out = {}
        self.call, self.made, self.module, self.other = call, made or module, module, other or made


def _module(make, call="m(x)"):
    return Row(call, module=make)


def _made(make, call=""):
    return Row(call, made=make)


def _with_parameters(call):
    return Row(call + "\nreturn o[0].grad + x", other="parameters()")


def _rows(prefix, **calls):
    return {prefix + name: Row(call) for name, call in calls.items()}


def linear():
    return torch.nn.Linear(4, 4)


def sgd():
    return torch.optim.SGD(linear().parameters(), lr=0.1)


def double(x):
    return x * 2


def always(x):
    return 1.0


def causal(batch, head, query, key):
    return query >= key


def parameters():
    """The parameters of a module, with gradients."""
    found = list(linear().parameters())
    for parameter in found:
        parameter.grad = torch.ones_like(parameter)
    return found


def hooked(register, hook):
    module = linear()
    register(module, hook)
    return module


def filled(module):
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 0.5)
    return module


NAMES = {
    **{each.__name__: each for each in (linear, sgd, double, always, causal, parameters, hooked, filled)},
    "torch": torch,
    "LINEAR": linear(),
    "NORM": torch.nn.BatchNorm1d(4).eval(),
    "SGD": sgd(),
    "MAP_PRIVATE": 2,
    "INDEX": torch.tensor([0, 2]),
    "BOUNDS": torch.tensor([0, 1, 2], dtype=torch.int32),
}

_FACT = "x + int(f())"
_DO = "f()\nreturn x + 1"
_BLOCK = "with f():\n    y = x * 2\nreturn y + 1"

DEVICES = {
    **_rows(
        "accelerator.",
        current_accelerator="x + (0 if f() is None else 1)",
        current_device_idx=_FACT,
        current_device_index=_FACT,
        current_stream="x + (0 if f() is None else 1)",
        device_count=_FACT,
        empty_cache=_DO,
        empty_host_cache=_DO,
        get_device_capability="x + len(f())",
        get_memory_info="x + f()[0]",
        is_available=_FACT,
        max_memory_allocated=_FACT,
        max_memory_reserved=_FACT,
        memory_allocated=_FACT,
        memory_reserved=_FACT,
        memory_stats="x + len(f())",
        reset_accumulated_memory_stats=_DO,
        reset_peak_memory_stats=_DO,
        set_device_idx="f(0)\nreturn x + 1",
        set_device_index="f(0)\nreturn x + 1",
        set_stream="f($accelerator.current_stream())\nreturn x + 1",
        synchronize=_DO,
        device_index="with f(None):\n    y = x * 2\nreturn y",
        Graph="f()\nreturn x",
    ),
    **_rows(
        "accelerator.random.",
        get_rng_state="x + f().numel()",
        get_rng_state_all="x + len(f())",
        initial_seed=_FACT,
    ),
    **_rows(
        "cpu.",
        current_device="x + len(str(f()))",
        current_stream="f()\nreturn x + 1",
        device_count=_FACT,
        get_capabilities="f()\nreturn x + 1",
        is_available=_FACT,
        is_initialized=_FACT,
        set_device="f('cpu')\nreturn x + 1",
        stream="with f($cpu.current_stream()):\n    y = x * 2\nreturn y",
        synchronize=_DO,
    ),
    "cpu.Event": _made("f()"),
    "cpu.Stream": _made("f()"),
    "cpu.StreamContext": _made("f(None)", "with f(None):\n    y = x * 2\nreturn y"),
    **_rows(
        "mps.",
        current_allocated_memory=_FACT,
        device_count=_FACT,
        driver_allocated_memory=_FACT,
        empty_cache=_DO,
        get_rng_state="x + f().numel()",
        is_available=_FACT,
        manual_seed="f(1)\nreturn x",
        recommended_max_memory=_FACT,
        set_rng_state="f(torch.zeros(1))\nreturn x",
        synchronize=_DO,
        Event="f()\nreturn x",
    ),
    **_rows(
        "xpu.",
        current_device=_FACT,
        current_stream="f()\nreturn x",
        device_count=_FACT,
        empty_cache=_DO,
        get_rng_state="x + f().numel()",
        get_rng_state_all="x + len(f())",
        initial_seed=_FACT,
        is_available=_FACT,
        is_initialized=_FACT,
        manual_seed="f(1)\nreturn x",
        manual_seed_all="f(1)\nreturn x",
        max_memory_allocated=_FACT,
        max_memory_reserved=_FACT,
        mem_get_info="x + f()[0]",
        memory_allocated=_FACT,
        memory_reserved=_FACT,
        memory_stats="x + len(f())",
        reset_accumulated_memory_stats=_DO,
        reset_peak_memory_stats=_DO,
        set_device="f(0)\nreturn x",
        set_rng_state="f(torch.zeros(1))\nreturn x",
        set_stream="f(None)\nreturn x",
        stream="with f(None):\n    y = x * 2\nreturn y",
        synchronize=_DO,
        Event="f()\nreturn x",
        Stream="f()\nreturn x",
    ),
    "get_default_device": Row("x + len(str(f()))"),
    "set_default_device": Row("f('cpu')\nf(None)\nreturn x + 1"),
    "get_device_module": Row("f('cpu')\nreturn x + 1"),
    "OutOfMemoryError": _made("f('out of memory')"),
}

MODES = {
    "amp.GradScaler": _made("f('cpu', enabled=False)", "f('cpu', enabled=False).scale(x)"),
    "amp.autocast": _made("f('cpu')", "with f('cpu'):\n    y = x * 2\nreturn y"),
    "amp.custom_bwd": Row("f(double, device_type='cpu')(x)"),
    "amp.custom_fwd": Row("f(double, device_type='cpu')(x)"),
    "amp.is_autocast_available": Row("x + int(f('cpu'))"),
    "get_autocast_dtype": Row("x.to(f('cpu'))"),
    "is_autocast_enabled": Row("x + int(f('cpu'))"),
    "is_inference_mode_enabled": Row(_FACT),
    "enable_grad": _made("f()", _BLOCK),
    "no_grad": _made("f()", _BLOCK),
    "inference_mode": _made("f()", "with f():\n    y = x * 2\nreturn y"),
    "set_grad_enabled": _made("f(True)", "with f(False):\n    y = x * 2\nreturn y + 1"),
    "get_float32_matmul_precision": Row("x + len(f())"),
    "set_float32_matmul_precision": Row("f('highest')\nreturn x + 1"),
}

COMPILER = {
    "compile": Row("f(double, backend='eager')(x)"),
    **_rows(
        "compiler.",
        allow_in_graph="f(double)(x)",
        assume_constant_result="x + f(always)(1)",
        compile="f(double, backend='eager')(x)",
        disable="f(double)(x)",
        is_compiling="f()\nreturn x + 1",
        is_dynamo_compiling="f()\nreturn x + 1",
        is_exporting="f()\nreturn x + 1",
        list_backends="x + len(f())",
        reset=_DO,
        set_stance="with f('default'):\n    y = x * 2\nreturn y",
        substitute_in_graph="x + f(always, skip_signature_check=True)(always)(1)",
    ),
}

FUNC = {
    **_rows(
        "func.",
        debug_unwrap="f(x)",
        functional_call="f(LINEAR, {'weight': x[:, :1] * y, 'bias': v}, (x,))",
        functionalize="f(double)(x)",
        grad="f(lambda a: (a * a).sum())(x)",
        grad_and_value="f(lambda a: (a * a).sum())(x)",
        hessian="f(lambda a: (a * a * a).sum())(v)",
        jacfwd="f(lambda a: a * a)(v)",
        jacrev="f(lambda a: a * a)(v)",
        jvp="f(lambda a: a * a, (x,), (y,))",
        linearize="f(torch.sin, x)[1](y)",
        rearrange="f(x, 'a (b c) -> b (a c)', b=2)",
        vjp="f(torch.sin, x)[1](y)",
        vmap="f(torch.sum)(x)",
        replace_all_batch_norm_modules_="f(NORM)(x)",
    ),
}

FUNC["func.stack_module_state"] = Row("f(o)\nreturn x + 1", other="[linear(), linear()]")

LAYERS = {
    "nn.MultiheadAttention": _module("f(6, 2)", "m(s, s, s)[0]"),
    "nn.Transformer": _module("f(6, 2, 1, 1, 8)", "m(s, s)"),
    "nn.TransformerDecoder": _module("f($nn.TransformerDecoderLayer(6, 2, 8), 1)", "m(s, s)"),
    "nn.TransformerDecoderLayer": _module("f(6, 2, 8)", "m(s, s)"),
    "nn.TransformerEncoder": _module("f($nn.TransformerEncoderLayer(6, 2, 8), 1)", "m(s)"),
    "nn.TransformerEncoderLayer": _module("f(6, 2, 8)", "m(s)"),
    "nn.functional.scaled_dot_product_attention": Row("f(q, q, q)"),
    "nn.attention.SDPBackend": _made("f.MATH"),
    "nn.attention.bias.CausalBias": _made("f($nn.attention.bias.CausalVariant.UPPER_LEFT, 2, 3)"),
    "nn.attention.bias.CausalVariant": _made("f.UPPER_LEFT"),
    "nn.attention.bias.causal_lower_right": _made(
        "f(3, 3)", "$nn.functional.scaled_dot_product_attention(q, q, q, f(3, 3))"
    ),
    "nn.attention.bias.causal_upper_left": _made(
        "f(3, 3)", "$nn.functional.scaled_dot_product_attention(q, q, q, f(3, 3))"
    ),
    "nn.attention.flex_attention.AuxOutput": _made("f(torch.ones(1))", "f(x).lse"),
    "nn.attention.flex_attention.AuxRequest": _made("f(lse=True)", "f(lse=True)\nreturn x"),
    "nn.attention.flex_attention.BlockMask": _made(
        "$nn.attention.flex_attention.create_block_mask(causal, 1, 1, 3, 3)"
    ),
    "nn.attention.flex_attention.and_masks": Row("f(causal, causal)\nreturn x"),
    "nn.attention.flex_attention.create_block_mask": Row("f(causal, 1, 1, 3, 3, device='cpu')\nreturn x"),
    "nn.attention.flex_attention.create_mask": Row("f(causal, 1, 1, 3, 3, device='cpu') & (x[:, :3] > 0)"),
    "nn.attention.flex_attention.flex_attention": Row("f(q, q, q)"),
    "nn.attention.flex_attention.noop_mask": Row("f(x, x, x, x)"),
    "nn.attention.flex_attention.or_masks": Row("f(causal, causal)\nreturn x"),
    "nn.attention.sdpa_kernel": Row("with f($nn.attention.SDPBackend.MATH):\n    y = x * 2\nreturn y"),
    "nn.attention.varlen.AuxRequest": _made("f(lse=True)", "f(lse=True)\nreturn x"),
    "nn.attention.varlen.varlen_attn": Row("f(q[0], q[0], q[0], BOUNDS, BOUNDS, 2, 2)"),
    "nn.attention.varlen.varlen_attn_out": Row("f(torch.zeros(2, 3, 4), q[0], q[0], q[0], BOUNDS, BOUNDS, 2, 2)"),
}

UTILS = {
    "meshgrid": Row("f(v, w, indexing='ij')"),
    "nn.utils.clip_grad_norm_": _with_parameters("f(o, 100.0)"),
    "nn.utils.clip_grad_value_": _with_parameters("f(o, 100.0)"),
    "nn.utils.clip_grads_with_norm_": _with_parameters("f(o, 100.0, v[0])"),
    "nn.utils.get_total_norm": Row("f([x, y])"),
    "nn.utils.fusion.fuse_conv_bn_eval": _module(
        "f(torch.nn.Conv2d(3, 4, 2).eval(), torch.nn.BatchNorm2d(4).eval())", "m(image)"
    ),
    "nn.utils.fusion.fuse_conv_bn_weights": Row("f(image, v[:2], v[:2], v[:2] * v[:2], 0.1, v[:2], v[:2])"),
    "nn.utils.fusion.fuse_linear_bn_eval": _module("f(linear().eval(), torch.nn.BatchNorm1d(4).eval())"),
    "nn.utils.fusion.fuse_linear_bn_weights": Row("f(x, v, v, v * v, 0.1, v, v)"),
    "nn.utils.module.register_full_backward_hook": _module("hooked(f, lambda m, g, h: None)"),
    "nn.utils.module.register_full_backward_pre_hook": _module("hooked(f, lambda m, g: None)"),
    "nn.utils.parametrizations.orthogonal": _module("f(linear())"),
    "nn.utils.parametrizations.spectral_norm": _module("f(linear()).eval()"),
    "nn.utils.parametrizations.weight_norm": _module("f(linear())"),
    "nn.utils.parametrize.ParametrizationList": _module(
        "f([torch.nn.Tanh()], torch.nn.Parameter(torch.ones(3, 4)))", "m() + x"
    ),
    "nn.utils.parametrize.cached": Row(_BLOCK),
    "nn.utils.parametrize.is_parametrized": Row("x + int(f(LINEAR))"),
    "nn.utils.parametrize.register_parametrization": _module("f(linear(), 'weight', torch.nn.Tanh())"),
    "nn.utils.parametrize.remove_parametrizations": _module(
        "f($nn.utils.parametrize.register_parametrization(linear(), 'weight', torch.nn.Tanh()), 'weight')"
    ),
    "nn.utils.parametrize.transfer_parametrizations_and_params": _module(
        "f($nn.utils.parametrize.register_parametrization(linear(), 'weight', torch.nn.Tanh()), linear())"
    ),
    "nn.utils.parametrize.type_before_parametrizations": Row("f(LINEAR)\nreturn x"),
    "nn.utils.rnn.pad_sequence": Row("f([v, w])"),
    "nn.utils.rnn.unpack_sequence": Row("f(torch.nn.utils.rnn.pack_sequence([w, v]))[0]"),
    "nn.utils.rnn.unpad_sequence": Row("f(x, torch.tensor([3, 2, 2, 1]))[1]"),
    "nn.utils.skip_init": _module("filled(f(torch.nn.Linear, 4, 4))"),
    "nn.utils.stateless.functional_call": Row("f(LINEAR, {'weight': x[:, :1] * y, 'bias': v}, (x,))"),
    "utils.checkpoint.CheckpointError": _made("f('message')"),
    "utils.checkpoint.DefaultDeviceType": _made("f()", "x + len(f.get_device_type())"),
    "utils.checkpoint.checkpoint": Row("f(torch.sin, x, use_reentrant=False)"),
    "utils.checkpoint.checkpoint_sequential": Row("f([torch.sin, torch.cos], 2, x, use_reentrant=False)"),
    "utils.checkpoint.noop_context_fn": Row("f()\nreturn x"),
    "utils.checkpoint.set_checkpoint_debug_enabled": Row("with f(None):\n    y = x * 2\nreturn y"),
    "utils.checkpoint.set_checkpoint_early_stop": Row("with f(True):\n    y = x * 2\nreturn y"),
}

OPTIMIZERS = {
    "optim." + name: _made("f(parameters(), lr=0.1)", "o.step()\nreturn x")
    for name in ["ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop"]
}
OPTIMIZERS["optim.Rprop"] = _made("f(parameters(), lr=0.1)", "o.step()\nreturn x")
OPTIMIZERS["optim.SGD"] = _made("f(parameters(), lr=0.1)", "o.step()\nreturn x")
OPTIMIZERS["optim.LBFGS"] = _made("f(parameters(), lr=0.1)")
OPTIMIZERS["optim.Muon"] = _made("f([torch.nn.Parameter(torch.ones(2, 2))])")
OPTIMIZERS["optim.SparseAdam"] = _made("f([torch.nn.Parameter(torch.ones(2, 2))])")

_STEP_LR = "torch.optim.lr_scheduler.StepLR(SGD, 2)"
SCHEDULES = {
    "optim.lr_scheduler." + name: _made(f"f({arguments})")
    for name, arguments in {
        "ChainedScheduler": f"[{_STEP_LR}]",
        "ConstantLR": "sgd()",
        "CosineAnnealingLR": "sgd(), 3",
        "CosineAnnealingWarmRestarts": "sgd(), 3",
        "CyclicLR": "sgd(), 0.1, 0.2, cycle_momentum=False",
        "ExponentialLR": "sgd(), 0.5",
        "LambdaLR": "sgd(), always",
        "LinearLR": "sgd()",
        "MultiStepLR": "sgd(), [2, 3]",
        "MultiplicativeLR": "sgd(), always",
        "OneCycleLR": "sgd(), 0.1, 10, cycle_momentum=False",
        "PolynomialLR": "sgd()",
        "ReduceLROnPlateau": "sgd()",
        "SequentialLR": f"SGD, [{_STEP_LR}, {_STEP_LR}], [2]",
        "StepLR": "sgd(), 2",
    }.items()
}
AVERAGES = {
    "optim.swa_utils.AveragedModel": _module("f(linear())"),
    "optim.swa_utils.SWALR": _made("f(sgd(), 0.1)"),
    "optim.swa_utils.get_ema_avg_fn": Row("f(0.5)(x, y, 3)"),
    "optim.swa_utils.get_ema_multi_avg_fn": Row("z = [x * 1]\nf(0.5)(z, [y], 3)\nreturn z[0]"),
    "optim.swa_utils.get_swa_avg_fn": Row("f()(x, y, 3)"),
    "optim.swa_utils.get_swa_multi_avg_fn": Row("z = [x * 1]\nf()(z, [y], 3)\nreturn z[0]"),
    "optim.swa_utils.update_bn": Row("f([x], NORM)\nreturn x"),
}

SERIALIZATION = {
    **_rows(
        "serialization.",
        add_safe_globals="f([])\nreturn x",
        clear_safe_globals="f()\nreturn x",
        get_crc32_options=_FACT,
        get_default_load_endianness="f()\nreturn x",
        get_default_mmap_options=_FACT,
        get_safe_globals="x + len(f())",
        safe_globals="with f([]):\n    y = x * 2\nreturn y",
        set_crc32_options="f(True)\nreturn x",
        set_default_load_endianness="f(None)\nreturn x",
        set_default_mmap_options="with f(MAP_PRIVATE):\n    y = x * 2\nreturn y",
        skip_data="with f():\n    y = x * 2\nreturn y",
    ),
}

ROWS = {
    **DEVICES,
    **MODES,
    **COMPILER,
    **FUNC,
    **LAYERS,
    **UTILS,
    **OPTIMIZERS,
    **SCHEDULES,
    **AVERAGES,
    **SERIALIZATION,
    **_rows("", **CALLS),
}
_PARTS = "its parts are tried, and a file of its own compiles it"
for _name, _ways in {
    "nn.Transformer": ["fullgraph", "export"],
    "nn.TransformerDecoder": ["fullgraph", "export"],
    "nn.TransformerDecoderLayer": ["export"],
    "nn.attention.flex_attention.create_block_mask": ["export"],
    "nn.attention.flex_attention.create_mask": ["export"],
    "nn.attention.flex_attention.flex_attention": ["export"],
    "func.hessian": ["fullgraph", "export"],
    "func.jacfwd": ["fullgraph", "export"],
}.items():
    ROWS[_name].left_out.update(dict.fromkeys(_ways, _PARTS))
for _name in [*CALLS, *DEVICES, *MODES, *COMPILER, *SERIALIZATION]:
    ROWS[_name].left_out["export"] = "the full graph is of the same code"
for _name, _row in ROWS.items():
    if _name.startswith("func."):
        # In func/test_traces_of_transforms.py.
        _row.left_out["trace"] = "a trace of a transform of torch leaves a state that later traces cannot bear"
    if _name in OPTIMIZERS:
        for _way in ("script", "trace", "export"):
            _row.left_out[_way] = "what is made holds no parameter that is changed"

# Why a shim has no row; a star stands for any names.
WITHOUT = {
    **FAMILIES,
    "compiler.cudagraph_mark_step_begin": "torch's own imports the whole of Inductor",
    "fx.wrap": "marks a function for torch.fx, in tests of its own",
    "load": "reads a file; no compiler of torch compiles that, and the exchange tests hold the rest",
    "save": "writes a file; no compiler of torch compiles that, and the exchange tests hold the rest",
    "serialization.get_unsafe_globals_in_checkpoint": "reads a file; no compiler of torch compiles that",
    "optim.lr_scheduler.LRScheduler": "the base class of the others, and no schedule itself",
}
