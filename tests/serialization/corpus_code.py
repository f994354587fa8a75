"""Hostile pickles that try to run code. What they run leaves a file named ``canary`` behind, or sets a flag."""

from assembler import (
    EMPTY,
    FALSE,
    MARK,
    NONE,
    archive,
    build,
    call,
    legacy,
    named,
    new,
    number,
    ordered,
    persistent,
    program,
    raw,
    text,
    utils,
    value,
)

SHELL = "echo > canary"
PYTHON = "open('canary', 'w').close()"
RUNNERS = [
    (named("os", "system"), SHELL),
    (named("posix", "system"), SHELL),
    (named("nt", "system"), SHELL),
    (named("subprocess", "call"), ["touch", "canary"]),
    (named("subprocess", "Popen"), ["touch", "canary"]),
    (named("builtins", "eval"), PYTHON),
    (named("builtins", "exec"), PYTHON),
    (named("__builtin__", "eval"), PYTHON),
    (named("io", "open"), "canary"),
    (named("pathlib", "Path"), "canary"),
    (named("runpy", "run_path"), "hostile_module.py"),
    (named("timeit", "timeit"), PYTHON),
    (named("importlib", "import_module"), "hostile_module"),
    (named("torch.jit", "load"), "canary"),
    (named("torch", "load"), "canary"),
    (named("torch.utils.collect_env", "run"), SHELL),
    (named("torch.serialization", "os.system"), SHELL),
    (named("numpy.testing._private.utils", "runstring"), PYTHON),
    (named("__main__", "run"), "canary"),
]


def reduce_of_a_runner(form):
    for function, argument in RUNNERS:
        yield call(function, argument)
        yield value([form.tensor(), call(function, argument)])


def stack_global(form):
    for module, name, argument in [
        ("os", "system", SHELL),
        ("builtins", "exec", PYTHON),
        ("torch", "os.system", SHELL),
    ]:
        yield call(text(module) + text(name) + b"\x93", argument)
    yield number(1) + text("system") + b"\x93"
    yield text("os") + NONE + b"\x93"
    yield raw(b"os") + raw(b"system") + b"\x93"


def inst(form):
    for module, name, argument in [
        ("os", "system", SHELL),
        ("builtins", "exec", PYTHON),
        ("__builtin__", "eval", PYTHON),
    ]:
        yield MARK + text(argument) + f"i{module}\n{name}\n".encode()
    yield MARK + b"icollections\nOrderedDict\n"


def obj(form):
    for function, argument in RUNNERS[:8]:
        yield MARK + function + value(argument) + b"o"


def newobj(form):
    for function, argument in RUNNERS:
        yield new(function, argument)
    yield number(1) + EMPTY + b"\x81"


def newobj_ex(form):
    for function, argument in RUNNERS[:8]:
        yield function + value((argument,)) + value({}) + b"\x92"
    popen = named("subprocess", "Popen")
    yield popen + value((["touch", "canary"],)) + value({"shell": False}) + b"\x92"
    yield named("collections", "OrderedDict") + EMPTY + value({"a": 1}) + b"\x92"


def extension_codes(form):
    for code in (b"\x82\x01", b"\x82\x00", b"\x83\x01\x01", b"\x84\x01\0\0\x7f", b"\x84\xff\xff\xff\xff"):
        yield call(code, SHELL)
    register = call(named("copyreg", "add_extension"), "os", "system", 7)
    yield register + b"0" + call(b"\x82\x07", SHELL)


def attribute_chains(form):
    getattr_ = named("builtins", "getattr")
    yield call(call(getattr_, named("torch", "serialization"), "os"), SHELL)
    yield call(call(getattr_, call(getattr_, utils("_rebuild_tensor_v2"), "__globals__"), "get"), "sys")
    yield call(call(named("operator", "attrgetter"), "system"), named("torch.serialization", "os"))
    yield call(call(named("operator", "methodcaller"), "system", SHELL), named("torch.serialization", "os"))
    yield call(call(named("functools", "partial"), named("os", "system"), SHELL))
    yield call(named("functools", "reduce"), named("builtins", "eval"), [PYTHON])
    yield call(named("builtins", "list"), call(named("builtins", "map"), named("os", "system"), [SHELL]))
    yield call(named("builtins", "__import__"), "hostile_module")
    yield call(call(getattr_, named("collections", "OrderedDict"), "__subclasses__"))


# What an error would show of the file: a line that is written over, one that is new, a screen that is cleared, and text
# that is read from the right.
UNPRINTABLE = ("\r", "\x85", "\u2028", "\x1b[2J", "\u202e")
BLAMED = (("collections", "x"), ("os", "x"), ("torch.distributed", "x"))


def dotted_names(form):
    for module, name in [
        ("torch", "os.system"),
        ("torch._utils", "sys.modules"),
        ("torch.serialization", "os.system"),
        ("torch.serialization", "pickle.loads"),
        ("torch.storage", "collections.sys"),
        ("collections", "_sys.modules"),
        ("collections", "OrderedDict.__init__.__globals__"),
        ("collections", "OrderedDict.fromkeys"),
        ("torch", "Tensor.__reduce_ex__"),
        ("torch", "float32.__class__"),
        ("torch", "Size.__new__"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch._utils._rebuild_tensor_v2", "__globals__"),
        ("collections.OrderedDict", "fromkeys"),
        ("torch", "_utils"),
        ("", "os"),
        (".os", "system"),
        ("os.", "system"),
        ("os ", "system"),
        ("", ""),
        ("torch..", "float32"),
        ("torch", "float32\0"),
        ("tor\u0441h", "float32"),
        (b"\xff\xfe", b"system"),
        ("collections", "OrderedDict\r"),
        *((module, name + end) for module, name in BLAMED for end in UNPRINTABLE),
    ]:
        yield named(module, name)
        yield call(named(module, name), SHELL)


def imports(form):
    """Merely naming a module imports it, if the reader is not careful; so does naming a codec."""
    yield named("hostile_module", "anything")
    yield named("hostile_package.inner", "anything")
    yield call(named("hostile_module", "run"), 1)
    yield named("antigravity", "webbrowser")
    yield call(named("_codecs", "encode"), "a", "hostile_module")
    yield call(named("_codecs", "encode"), "a", "../hostile_module")


def build_with_setstate(form):
    state = {"__setstate__": named("os", "system"), "__reduce__": named("builtins", "eval"), "__class__": NONE}
    for instance in (ordered(), form.tensor(), call(utils("_rebuild_parameter"), form.tensor(), FALSE, ordered())):
        yield build(build(instance, state), SHELL)
        yield build(instance, (NONE, state))
        yield build(instance, {"__dict__": {"a": 1}, "__class__": named("torch", "Tensor")})
        yield build(instance, [1, 2])
        yield build(instance, NONE)
        yield build(instance, {1: 2})
        yield build(instance, ({}, {"__setitem__": 1, "__getattribute__": 2}))
    yield build(call(named("torch", "device"), "cpu"), {"type": "cuda"})
    yield build(call(named("torch", "Size"), (1, 2)), {"numel": 3})


def build_on_names(form):
    """BUILD on a class, a function or a dtype would change it for the whole process."""
    for target in (
        named("collections", "OrderedDict"),
        named("collections", "Counter"),
        named("torch", "Tensor"),
        named("torch.nn.parameter", "Parameter"),
        named("torch", "Size"),
        named("torch", "float32"),
        named("torch", "FloatStorage"),
        utils("_rebuild_tensor_v2"),
        named("_codecs", "encode"),
        named("torch._tensor", "_rebuild_from_type_v2"),
    ):
        for state in ({"poisoned": 1}, (NONE, {"poisoned": 1}), ({"poisoned": 1}, {"poisoned": 1})):
            yield build(target, state)


def poisoned_attributes(form):
    state = {name: number(1) for name in ("items", "keys", "__iter__", "__len__", "_metadata", "copy", "update")}
    yield build(ordered(("weight", form.tensor())), state)
    yield build(ordered(("weight", form.tensor())), {"_metadata": build(ordered(), state)})
    names = ["data", "grad", "_backward_hooks", "__class__", "requires_grad", "shape", "is_leaf", "_cdata", "grad_fn"]
    with_state = utils("_rebuild_parameter_with_state")
    for name in [*names, "__setstate__", "_grad", "device", "dtype", "__torch_function__"]:
        yield call(with_state, form.tensor(), FALSE, ordered(), {name: SHELL})
        yield call(with_state, form.tensor(), FALSE, ordered(), (NONE, {name: SHELL}))
        rebuild = named("torch._tensor", "_rebuild_from_type_v2")
        arguments = (form.storage(), 0, (4,), (1,), FALSE, ordered())
        yield call(rebuild, utils("_rebuild_tensor_v2"), named("torch", "Tensor"), arguments, {name: SHELL})


def from_type(form):
    rebuild = named("torch._tensor", "_rebuild_from_type_v2")
    arguments = (form.storage(), 0, (4,), (1,), FALSE, ordered())
    for function, argument in RUNNERS:
        yield call(rebuild, function, named("torch", "Tensor"), (argument,), {})
    tensor_function = utils("_rebuild_tensor_v2")
    for kind in (
        named("os", "system"),
        named("builtins", "type"),
        text("Tensor"),
        NONE,
        named("collections", "Counter"),
    ):
        yield call(rebuild, tensor_function, kind, arguments, {})
    for state in (NONE, [1], "state", (1, 2, 3), {"__class__": named("torch", "Size")}, ({}, {"data": 1})):
        yield call(rebuild, tensor_function, named("torch", "Tensor"), arguments, state)
    yield call(rebuild, rebuild, named("torch", "Tensor"), (rebuild, named("torch", "Tensor"), (), {}), {})
    yield call(rebuild, utils("_rebuild_parameter"), named("torch", "Tensor"), (form.tensor(), FALSE, ordered()), {})
    yield call(utils("_rebuild_wrapper_subclass"), named("os", "system"), named("torch", "float32"), (1,), (1,), 0)


def backward_hooks(form):
    for hook in (named("os", "system"), named("builtins", "bytearray"), named("torch", "Tensor"), text("hook")):
        yield form.tensor(needs_gradient=True, hooks=ordered((0, hook)))
        yield call(utils("_rebuild_parameter"), form.tensor(), True, ordered((0, hook)))
    yield form.tensor(needs_gradient=True, hooks=number(1))
    yield form.tensor(needs_gradient=True, hooks=value({0: SHELL}))


def nested_pickles(form):
    inner = program(call(named("os", "system"), SHELL))
    checkpoints = [inner, legacy(inner), archive(inner)]
    for data in checkpoints:
        yield call(named("torch.storage", "_load_from_bytes"), raw(data))
        yield call(named("pickle", "loads"), raw(data))
        yield call(named("_pickle", "loads"), raw(data))
        yield call(named("torch.multiprocessing.reductions", "rebuild_tensor"), raw(data))


def numpy_objects(form):
    inner = program(call(named("os", "system"), SHELL))
    for package in ("numpy.core.multiarray", "numpy._core.multiarray"):
        dtype = call(named("numpy", "dtype"), "O8", FALSE, True)
        yield call(named(package, "scalar"), dtype, raw(inner))
        array = call(named(package, "_reconstruct"), named("numpy", "ndarray"), (0,), raw(b"b"))
        yield build(array, (1, (1,), dtype, FALSE, [call(named("os", "system"), SHELL)]))
        yield build(array, (1, (2**40,), call(named("numpy", "dtype"), "f8", FALSE, True), FALSE, raw(b"")))
        yield call(utils("_rebuild_device_tensor_from_numpy"), array, named("torch", "float32"), "cpu", FALSE)


def copyreg_tricks(form):
    yield call(named("copyreg", "_reconstructor"), named("os", "_wrap_close"), named("builtins", "object"), NONE)
    yield call(named("copyreg", "__newobj__"), named("subprocess", "Popen"), ["touch", "canary"])
    yield call(named("copy_reg", "__newobj_ex__"), named("subprocess", "Popen"), (["touch", "canary"],), {})
    yield call(named("copyreg", "pickle"), named("torch", "Tensor"), named("os", "system"))
    yield call(named("types", "FunctionType"), NONE, {})
    yield call(named("builtins", "type"), "A", EMPTY, {"__del__": named("os", "system")})


def plain_module(form):
    """An honest pickle of a whole module: it needs classes that a restricted reader does not call."""
    linear = new(named("torch.nn.modules.linear", "Linear"))
    yield build(linear, {"training": True, "_parameters": ordered(("weight", form.tensor()))})
    yield build(new(named("torch.optim.sgd", "SGD")), {"state": {}, "param_groups": []})
    yield build(new(named("__main__", "Net")), {})


def exceptions(form):
    for name in ("KeyboardInterrupt", "SystemExit", "GeneratorExit", "MemoryError", "StopIteration", "Exception"):
        yield call(named("builtins", name), 3)
        yield new(named("builtins", name))
        yield call(named("exceptions", name), 3)
    yield call(named("sys", "exit"), 0)
    yield call(named("os", "_exit"), 0)
    yield call(named("os", "abort"))


def persistent_callables(form):
    for function, argument in RUNNERS[:8]:
        yield persistent(("storage", function, "0", "cpu", 4, NONE))
        yield persistent((function, argument))
        yield persistent(("module", function, "source", PYTHON))
        yield persistent(("module", named("torch.nn.modules.linear", "Linear"), "x.py", PYTHON))


CODE = [
    reduce_of_a_runner,
    stack_global,
    inst,
    obj,
    newobj,
    newobj_ex,
    extension_codes,
    attribute_chains,
    dotted_names,
    imports,
    build_with_setstate,
    build_on_names,
    poisoned_attributes,
    from_type,
    backward_hooks,
    nested_pickles,
    numpy_objects,
    copyreg_tricks,
    plain_module,
    exceptions,
    persistent_callables,
]
