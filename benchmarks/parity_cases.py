"""What `parity.py` measures: how each name that torch has too is called, the same way for ours and for torch's own.

A case is a function of the object (ours, then torch's own) and of an input; it returns what is measured, a function of
no arguments. Each of its inputs has a label. A name may have several cases. One that cannot be measured on a CPU says
why in REASONS. Old objects lack keywords: a case passes none that the object does not spell out.
"""

import io
import os
import tempfile

import torch

from torchcompat import _torch

CASES = {}  # {name: [(what, {label: input}, function of the object and an input)]}


class CannotMeasure(Exception):
    """Torch's own object cannot do this on the installed torch; the message says why."""


def case(names, what, inputs):
    """Declare the function below as a case of each of the *names*, separated by spaces."""

    def declare(build):
        for name in names.split():
            CASES.setdefault(name, []).append((what, inputs, build))
        return build

    return declare


ONE = {"": None}
NO_DEVICE = "without an accelerator torch's own raises, so there is nothing to compare"
NEEDS_MPS = "torch's own needs a device of type mps"
NEEDS_XPU = "torch's own needs a device of type xpu"
NOT_MEASURED = {
    "accelerator.current_accelerator accelerator.current_stream accelerator.set_device_idx "
    "accelerator.set_device_index accelerator.synchronize accelerator.reset_accumulated_memory_stats "
    "accelerator.reset_peak_memory_stats": NO_DEVICE,
    "mps.current_allocated_memory mps.driver_allocated_memory mps.empty_cache mps.get_rng_state mps.manual_seed "
    "mps.set_rng_state mps.synchronize": NEEDS_MPS,
    "nn.attention.SDPBackend": "an enumeration: there is nothing to call",
    "nn.attention.varlen.varlen_attn": "torch's own needs CUDA",
    "serialization.skip_data": "torch's own `load` raises inside it",
    "xpu.Event xpu.mem_get_info": NEEDS_XPU,
}
REASONS = {name: reason for names, reason in NOT_MEASURED.items() for name in names.split()}


def known(target, **options):
    """Those of the *options* that *target* spells out: an old object lacks some, and does without."""
    spelled = _torch.parameters(target.__init__ if isinstance(target, type) else target)
    return {key: value for key, value in options.items() if key in spelled}


def entering(make):
    """What is measured of a context: to make, enter and leave it."""

    def run():
        with make():
            pass

    return run


# Contexts and questions


@case("no_grad enable_grad inference_mode", "enter and leave", ONE)
def _grad_context(target, _):
    return entering(target)


@case("no_grad enable_grad inference_mode", "call what it decorates", ONE)
def _grad_decorated(target, _):
    return target()(lambda: None)


@case("set_grad_enabled", "enter and leave", ONE)
def _set_grad(target, _):
    return entering(lambda: target(True))


@case("amp.autocast", "enter and leave", ONE)
def _autocast(target, _):
    return entering(lambda: target("cpu", dtype=torch.bfloat16))


@case("amp.autocast", "a linear layer within", {"8x8": 8, "512x512": 512})
def _autocast_linear(target, size):
    layer, value = torch.nn.Linear(size, size), torch.randn(8, size)

    def run():
        with target("cpu", dtype=torch.bfloat16):
            layer(value)

    return run


@case("is_autocast_enabled get_default_device compiler.is_exporting cpu.current_stream", "ask", ONE)
def _ask(target, _):
    return target


@case("cpu.Stream", "make", ONE)
def _stream(target, _):
    return target


@case("get_device_module", "ask", ONE)
def _get_device_module(target, _):
    return lambda: target("cpu")


@case("nn.attention.sdpa_kernel", "enter and leave", ONE)
def _sdpa_kernel(target, _):
    from torchcompat import SHIMS

    backend = SHIMS["nn.attention.SDPBackend"]
    # A context of torch's own takes a member of torch's own enumeration.
    math = backend.native.MATH if target is SHIMS["nn.attention.sdpa_kernel"].native else backend.public.MATH
    return entering(lambda: target(math))


@case("utils.checkpoint.set_checkpoint_early_stop", "enter and leave", ONE)
def _early_stop(target, _):
    return entering(lambda: target(True))


@case("compile compiler.compile", "call what it compiled (eager)", {"8": 8, "10,000": 10_000})
def _compiled(target, size):
    def function(value):
        return value + 1

    value = torch.zeros(size)
    try:
        compiled = target(function, backend="eager")
        compiled(value)
    except RuntimeError as error:
        raise CannotMeasure(str(error).splitlines()[0]) from None
    return lambda: compiled(value)


@case("compiler.disable", "call what it disabled", ONE)
def _disabled(target, _):
    return target(lambda: None)


# Tensors


@case("meshgrid", "call", {"2 of 4": (4, 4), "2 of 400": (400, 400)})
def _meshgrid(target, sizes):
    axes = [torch.arange(size) for size in sizes]
    keywords = known(target, indexing="ij")
    return lambda: target(*axes, **keywords)


@case("nn.utils.rnn.pad_sequence", "call", {"8 of 16": (8, 16), "256 of 1000": (256, 1000)})
def _pad_sequence(target, sizes):
    count, length = sizes
    sequences = [torch.zeros(length - index % 8) for index in range(count)]
    return lambda: target(sequences, batch_first=True)


# Attention


def attention_inputs(length, needs_grad=False):
    return [torch.randn(2, 4, length, 32).requires_grad_(needs_grad) for _ in range(3)]


LENGTHS = {"16 tokens": 16, "128 tokens": 128, "512 tokens": 512}
SDPA = "nn.functional.scaled_dot_product_attention"


@case(SDPA, "call", LENGTHS)
def _sdpa(target, length):
    query, key, value = attention_inputs(length)
    return lambda: target(query, key, value)


@case(SDPA, "call, causal", LENGTHS)
def _sdpa_causal(target, length):
    query, key, value = attention_inputs(length)
    return lambda: target(query, key, value, is_causal=True)


@case(SDPA, "call with a mask", LENGTHS)
def _sdpa_masked(target, length):
    query, key, value = attention_inputs(length)
    mask = torch.ones(length, length).tril() > 0
    return lambda: target(query, key, value, mask)


@case(SDPA, "with gradients", LENGTHS)
def _sdpa_gradients(target, length):
    tensors = attention_inputs(length, True)
    return lambda: torch.autograd.grad(target(*tensors).sum(), tensors)


@case(SDPA, "with gradients and a mask", LENGTHS)
def _sdpa_masked_gradients(target, length):
    tensors = attention_inputs(length, True)
    mask = torch.ones(length, length).tril() > 0
    return lambda: torch.autograd.grad(target(*tensors, mask).sum(), tensors)


FLEX = "nn.attention.flex_attention"
FLEX_LENGTHS = {"128 tokens": 128, "1024 tokens": 1024}


def causal(batch, head, query, key):
    return query >= key


@case(f"{FLEX}.flex_attention", "call, not compiled", FLEX_LENGTHS)
def _flex(target, length):
    query, key, value = attention_inputs(length)
    return lambda: target(query, key, value, lambda score, *where: score * 2)


@case(f"{FLEX}.flex_attention", "call, compiled", FLEX_LENGTHS)
def _flex_compiled(target, length):
    query, key, value = attention_inputs(length)

    def attend(query, key, value):
        return target(query, key, value, lambda score, *where: score * 2)

    torch._dynamo.reset()
    compiled = torch.compile(attend)
    try:
        with torch.no_grad():
            compiled(query, key, value)
    except Exception as error:
        raise CannotMeasure(f"torch.compile: {type(error).__name__}") from None

    def run():
        with torch.no_grad():
            return compiled(query, key, value)

    return run


@case(f"{FLEX}.create_mask", "call", FLEX_LENGTHS)
def _create_mask(target, length):
    return lambda: target(causal, 1, 1, length, length, device="cpu")


@case(f"{FLEX}.create_block_mask", "call", FLEX_LENGTHS)
def _create_block_mask(target, length):
    return lambda: target(causal, 1, 1, length, length, device="cpu")


@case(f"{FLEX}.BlockMask", "make", FLEX_LENGTHS)
def _block_mask(target, length):
    blocks = length // 128
    count = torch.full((1, 1, blocks), blocks, dtype=torch.int32)
    indices = torch.arange(blocks, dtype=torch.int32).expand(1, 1, blocks, blocks).contiguous()
    return lambda: target.from_kv_blocks(count, indices, mask_mod=causal)


# Transformers: the batch first on the torch that has it; elsewhere torch's own takes the same numbers the other way.

WIDTHS = {"width 32, 8 tokens": (32, 8), "width 256, 128 tokens": (256, 128)}
PADDED = {f"{label}, padding {share:.0%}": (*size, share) for label, size in WIDTHS.items() for share in (0.5, 0.8)}
LAYER = {"nhead": 4, "dropout": 0.0, "batch_first": True}


def layer(kind, target, width):
    """A layer of the class of *target*'s kin, torch's own beside torch's own."""
    from torchcompat import SHIMS

    shim = SHIMS[f"nn.{kind}"]
    cls = shim.fallback if target.__module__.startswith("torchcompat") else shim.native
    return cls(width, dim_feedforward=4 * width, **known(cls, **LAYER))


def values(module, count, width, length, batch=8):
    shape = (batch, length, width) if "batch_first" in _torch.parameters(type(module).__init__) else None
    stacks = (torch.nn.TransformerEncoder, torch.nn.TransformerDecoder)
    if shape is None and isinstance(module, stacks):
        shape = values(module.layers[0], 1, width, length, batch)[0].shape
    return [torch.randn(shape or (length, batch, width)) for _ in range(count)]


def attention(target, width):
    module = target(width, 4, **known(target, batch_first=True))
    return module, 3


def transformer(target, width):
    options = {"num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 4 * width}
    return target(width, **options, **known(target, **LAYER)), 2


def one_layer(kind, count):
    return lambda target, width: (layer(kind, target, width), count)


def stack(kind, count):
    return lambda target, width: (target(layer(kind, target, width), 2), count)


MODULES = {
    "nn.MultiheadAttention": attention,
    "nn.Transformer": transformer,
    "nn.TransformerEncoderLayer": one_layer("TransformerEncoderLayer", 1),
    "nn.TransformerDecoderLayer": one_layer("TransformerDecoderLayer", 2),
    "nn.TransformerEncoder": stack("TransformerEncoderLayer", 1),
    "nn.TransformerDecoder": stack("TransformerDecoderLayer", 2),
}


def module_cases(name, make):
    @case(name, "make", {"width 32": 32})
    def _make(target, width):
        return lambda: make(target, width)

    @case(name, "evaluate", WIDTHS)
    def _evaluate(target, size):
        module, count = make(target, size[0])
        tensors = values(module.eval(), count, *size)

        def run():
            with torch.no_grad():
                module(*tensors)

        return run

    @case(name, "train", WIDTHS)
    def _train(target, size):
        module, count = make(target, size[0])
        tensors = values(module, count, *size)

        def run():
            found = module(*tensors)
            (found[0] if isinstance(found, tuple) else found).sum().backward()

        return run


for _name, _make in MODULES.items():
    module_cases(_name, _make)


@case("nn.TransformerEncoder nn.TransformerEncoderLayer", "evaluate", PADDED)
def _padded(target, size):
    width, length, share = size
    name = "nn.TransformerEncoderLayer" if "Layer" in target.__name__ else "nn.TransformerEncoder"
    module, count = MODULES[name](target, width)
    (value,) = values(module.eval(), count, width, length)
    kept = max(1, int(length * (1 - share * 8 / 7)))
    mask = torch.arange(length)[None, :] >= torch.tensor([length] + [kept] * 7)[:, None]

    def run():
        with torch.no_grad():
            module(value, src_key_padding_mask=mask)

    return run


# Modules and their parts


def parameters(count, shape):
    made = [torch.nn.Parameter(torch.ones(shape)) for _ in range(count)]
    for parameter in made:
        parameter.grad = torch.full_like(parameter, 0.1).detach()
    return made


SHAPES = {"60 of 64": (60, (64,)), "6 of 512x512": (6, (512, 512))}


@case("nn.utils.clip_grad_norm_ nn.utils.clip_grad_value_", "call", SHAPES)
def _clip(target, shape):
    params = parameters(*shape)
    return lambda: target(params, 1.0)


CHANNELS = {"4 channels": 4, "256 channels": 256}


@case("nn.utils.fusion.fuse_conv_bn_eval", "call", CHANNELS)
def _fuse_conv(target, channels):
    conv, norm = torch.nn.Conv2d(channels, channels, 3).eval(), torch.nn.BatchNorm2d(channels).eval()
    return lambda: target(conv, norm)


@case("nn.utils.fusion.fuse_linear_bn_eval", "call", CHANNELS)
def _fuse_linear(target, channels):
    linear, norm = torch.nn.Linear(channels, channels).eval(), torch.nn.BatchNorm1d(channels).eval()
    return lambda: target(linear, norm)


@case("nn.utils.fusion.fuse_conv_bn_weights nn.utils.fusion.fuse_linear_bn_weights", "call", CHANNELS)
def _fuse_weights(target, channels):
    shape = (channels, channels, 3, 3) if "conv" in target.__name__ else (channels, channels)
    weight, bias = torch.nn.Parameter(torch.randn(shape)), torch.nn.Parameter(torch.randn(channels))
    norm = torch.nn.BatchNorm2d(channels).eval()
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    return lambda: target(weight, bias, *statistics)


WIDE = {"8x8": 8, "512x512": 512}
HOOKS = "nn.utils.module.register_full_backward_hook nn.utils.module.register_full_backward_pre_hook"


@case(HOOKS, "forward and backward with a hook", WIDE)
def _hooked(target, size):
    module, value = torch.nn.Linear(size, size), torch.randn(8, size).requires_grad_()
    target(module, lambda *given: None)
    return lambda: module(value).sum().backward()


@case("nn.utils.stateless.functional_call", "call", WIDE)
def _functional_call(target, size):
    module = torch.nn.Sequential(*[torch.nn.Linear(size, size) for _ in range(3)])
    state, value = dict(module.named_parameters()), torch.randn(8, size)
    return lambda: target(module, state, (value,))


class Doubled(torch.nn.Module):
    def forward(self, value):
        return value * 2


def kin(target, name):
    """The function of that name beside *target*: torch's own beside torch's own."""
    from torchcompat import SHIMS

    shim = SHIMS[f"nn.utils.parametrize.{name}"]
    return shim.fallback if target.__module__.startswith("torchcompat") else shim.native


def parametrized(target, size):
    return kin(target, "register_parametrization")(torch.nn.Linear(size, size), "weight", Doubled())


@case("nn.utils.parametrize.register_parametrization", "read what it registered", WIDE)
def _parametrized(target, size):
    module = parametrized(target, size)
    return lambda: module.weight


@case("nn.utils.parametrize.register_parametrization nn.utils.parametrize.remove_parametrizations", "both", WIDE)
def _register_and_remove(target, size):
    remove = kin(target, "remove_parametrizations")
    return lambda: remove(parametrized(target, size), "weight")


@case("nn.utils.parametrize.ParametrizationList", "make", WIDE)
def _parametrization_list(target, size):
    modules, original = [Doubled()], torch.nn.Parameter(torch.ones(size, size))
    return lambda: target(modules, original)


@case("nn.utils.parametrize.cached", "read twice within", WIDE)
def _cached(target, size):
    module = parametrized(target, size)

    def run():
        with target():
            return module.weight, module.weight

    return run


@case("nn.utils.parametrize.is_parametrized nn.utils.parametrize.type_before_parametrizations", "ask", ONE)
def _is_parametrized(target, _):
    module = parametrized(target, 4)
    return lambda: target(module)


@case("nn.utils.parametrize.transfer_parametrizations_and_params", "call", WIDE)
def _transfer(target, size):
    module = parametrized(target, size)
    return lambda: target(module, torch.nn.Linear(size, size))


@case("nn.utils.parametrizations.orthogonal nn.utils.parametrizations.spectral_norm", "read the weight", {"8x8": 8})
def _parametrizations(target, size):
    module = target(torch.nn.Linear(size, size))
    return lambda: module.weight


# Optimisers and schedulers

OPTIMIZERS = "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax ASGD NAdam RAdam Rprop"
PREFIXED = " ".join("optim." + name for name in OPTIMIZERS.split())


@case(PREFIXED, "step, not foreach", SHAPES)
def _step_alone(target, shape):
    return target(parameters(*shape), lr=1e-6, **known(target, foreach=False)).step


@case(PREFIXED, "step", SHAPES)
def _step(target, shape):
    return target(parameters(*shape), lr=1e-6).step


@case("optim.SGD", "step with momentum and weight decay", SHAPES)
def _momentum(target, shape):
    return target(parameters(*shape), lr=1e-6, momentum=0.9, weight_decay=1e-6).step


@case(PREFIXED, "make", {"60 of 64": (60, (64,))})
def _make_optimizer(target, shape):
    params = parameters(*shape)
    return lambda: target(params, lr=1e-6)


@case(PREFIXED, "zero_grad, set to zero", SHAPES)
def _zero_grad(target, shape):
    optimizer = target(parameters(*shape), lr=1e-6)
    keywords = known(optimizer.zero_grad, set_to_none=False)
    return lambda: optimizer.zero_grad(**keywords)


@case("optim.Muon", "step", {"6 of 64x64": (6, (64, 64)), "2 of 512x512": (2, (512, 512))})
def _muon(target, shape):
    return target(parameters(*shape), lr=1e-6).step


@case("optim.SparseAdam", "step", {"10 rows of 100": (100, 10), "1000 rows of 10,000": (10_000, 1000)})
def _sparse_adam(target, sizes):
    rows, used = sizes
    embedding = torch.nn.Embedding(rows, 16, sparse=True)
    embedding(torch.arange(used)).sum().backward()
    return target(list(embedding.parameters()), lr=1e-6).step


@case("optim.LBFGS", "step", {"8": 8, "100,000": 100_000})
def _lbfgs(target, size):
    parameter = torch.nn.Parameter(torch.zeros(size))
    goal = torch.linspace(1, 2, size)
    optimizer = target([parameter], lr=1e-9, max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = ((parameter - goal) ** 2).sum()
        loss.backward()
        return loss

    return lambda: optimizer.step(closure)


ENDLESS = 10**9
SCHEDULERS = {
    "LRScheduler": None,  # the base class: as of a class that is derived from it
    "ConstantLR": {"total_iters": 4},
    "CosineAnnealingLR": {"T_max": 50},
    "CosineAnnealingWarmRestarts": {"T_0": 50},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "cycle_momentum": False},
    "ExponentialLR": {"gamma": 0.999999},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.95},
    "LinearLR": {"total_iters": 1000},
    "MultiStepLR": {"milestones": [10, 1000]},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.999999},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": ENDLESS},
    "PolynomialLR": {"total_iters": 1000},
    "ReduceLROnPlateau": {},
    "StepLR": {"step_size": 1000},
    "SWALR": {"swa_lr": 0.05},
}
GROUPS = {"1 group": 1, "50 groups": 50}


def optimizer_of(groups):
    return torch.optim.SGD([{"params": parameters(1, (4,))} for _ in range(groups)], lr=0.1, momentum=0.9)


def scheduler_case(name, options):
    prefix = "optim.swa_utils." if name == "SWALR" else "optim.lr_scheduler."

    @case(prefix + name, "step", GROUPS)
    def _step_scheduler(target, groups):
        if options is None:

            class Constant(target):
                def get_lr(self):
                    return list(self.base_lrs)

            return Constant(optimizer_of(groups)).step
        scheduler = target(optimizer_of(groups), **options)
        return (lambda: scheduler.step(1.0)) if name == "ReduceLROnPlateau" else scheduler.step


for _name, _options in SCHEDULERS.items():
    scheduler_case(_name, _options)


def kin_schedulers(target, optimizer):
    from torchcompat import SHIMS

    rows = [SHIMS["optim.lr_scheduler." + name] for name in ("ConstantLR", "ExponentialLR")]
    classes = [row.fallback if target.__module__.startswith("torchcompat") else row.native for row in rows]
    return [classes[0](optimizer, total_iters=4), classes[1](optimizer, gamma=0.999999)]


@case("optim.lr_scheduler.ChainedScheduler", "step", GROUPS)
def _chained(target, groups):
    return target(kin_schedulers(target, optimizer_of(groups))).step


@case("optim.lr_scheduler.SequentialLR", "step", GROUPS)
def _sequential(target, groups):
    optimizer = optimizer_of(groups)
    return target(optimizer, kin_schedulers(target, optimizer), milestones=[10]).step


@case("optim.swa_utils.AveragedModel", "update", {"3 layers of 8": 8, "3 layers of 512": 512})
def _averaged(target, size):
    model = torch.nn.Sequential(*[torch.nn.Linear(size, size) for _ in range(3)])
    averaged = target(model)
    return lambda: averaged.update_parameters(model)


@case("optim.swa_utils.update_bn", "call", {"8": 8, "512": 512})
def _update_bn(target, size):
    model, batches = torch.nn.BatchNorm1d(size), [torch.randn(16, size) for _ in range(4)]
    return lambda: target(batches, model)


# Files

STATES = {"1 tensor of 32 B": (1, 8), "100 tensors of 64 B": (100, 16), "100 tensors of 200 kB": (100, 50_000)}


def state(shape):
    return {f"layer.{index}.weight": torch.zeros(shape[1]) for index in range(shape[0])}


@case("save", "to memory", STATES)
def _save(target, shape):
    tensors = state(shape)
    return lambda: target(tensors, io.BytesIO())


@case("save", "to a file", STATES)
def _save_file(target, shape):
    tensors = state(shape)
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "checkpoint.pt")
    return lambda folder=folder: target(tensors, path)


@case("load", "from memory", STATES)
def _load(target, shape):
    file = io.BytesIO()
    torch.save(state(shape), file)
    keywords = known(target, weights_only=True)

    def run():
        file.seek(0)
        target(file, **keywords)

    return run


@case("load", "from a file", STATES)
def _load_file(target, shape):
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "checkpoint.pt")
    torch.save(state(shape), path)
    keywords = known(target, weights_only=True)
    return lambda folder=folder: target(path, **keywords)


@case("serialization.add_safe_globals", "call", ONE)
def _add_safe_globals(target, _):
    return lambda: target([dict])


@case(
    "serialization.clear_safe_globals serialization.get_safe_globals serialization.get_default_mmap_options",
    "call",
    ONE,
)
def _call(target, _):
    return target


@case("serialization.safe_globals", "enter and leave", ONE)
def _safe_globals(target, _):
    return entering(lambda: target([dict]))


@case("serialization.set_default_mmap_options", "call", ONE)
def _mmap_options(target, _):
    from mmap import MAP_PRIVATE

    return lambda: target(MAP_PRIVATE)


# Checkpoints of activations

BLOCKS = {"8x8": 8, "512x512": 512}


def checkpointed(target, size, **options):
    module, value = torch.nn.Linear(size, size), torch.randn(8, size).requires_grad_()
    return lambda: target(module, value, **options).sum().backward()


@case("utils.checkpoint.checkpoint", "reentrant", BLOCKS)
def _reentrant(target, size):
    return checkpointed(target, size, **known(target, use_reentrant=True))


@case("utils.checkpoint.checkpoint", "not reentrant", BLOCKS)
def _not_reentrant(target, size):
    if not _torch.has("torch.utils.checkpoint.checkpoint", param="use_reentrant"):
        raise CannotMeasure("torch's own is always reentrant")
    return checkpointed(target, size, use_reentrant=False)


@case("utils.checkpoint.checkpoint_sequential", "call", BLOCKS)
def _checkpoint_sequential(target, size):
    layers = torch.nn.Sequential(*[torch.nn.Linear(size, size) for _ in range(4)])
    value = torch.randn(8, size).requires_grad_()
    return lambda: target(layers, 2, value).sum().backward()
