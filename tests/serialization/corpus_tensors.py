"""Hostile pickles whose tensors, storages and sizes are lies.

A tensor made of them would read memory that is not its own, or cost memory that the file does not pay for.
"""

import itertools

from assembler import (
    EMPTY,
    FALSE,
    NONE,
    TRUE,
    build,
    call,
    named,
    new,
    number,
    ordered,
    persistent,
    raw,
    text,
    utils,
    value,
)

NAN, INFINITY = float("nan"), float("inf")
HUGE = (2**31 - 1, 2**31, 2**32, 2**40, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, 2**100)
WRONG = (NONE, "4", 4.5, NAN, TRUE, EMPTY, [4], {}, (4,), named("torch", "float32"), b"C\x014")
FLOAT = named("torch", "float32")


def storage_counts(form):
    for count in (*HUGE, 0, -1, -4, -(2**63), 3, 5, 1000, *WRONG):
        yield form.tensor(form.storage(count=count))
        yield form.storage(count=count)


def storage_types(form):
    for kind in (
        named("torch", "Tensor"),
        named("torch", "float32"),
        named("collections", "OrderedDict"),
        named("torch", "Size"),
        named("torch.storage", "UntypedStorage"),
        named("torch.storage", "TypedStorage"),
        named("torch", "QInt8Storage"),
        named("torch", "NoSuchStorage"),
        named("torch.cuda", "FloatStorage"),
        utils("_rebuild_tensor_v2"),
        text("FloatStorage"),
        NONE,
        number(4),
        ordered(),
    ):
        yield form.tensor(form.storage(kind=kind))


def storage_locations(form):
    for location in (
        *(
            "cuda:99999999999",
            "cuda:-1",
            "cuda:x",
            "meta",
            "meta:1",
            "../../etc",
            "",
            "cpu:9",
            "cpu\0",
            "\u00e9",
            "\udcff",
        ),
        *("hostile_module", "privateuse1:0", "mps", "x" * 100000, NONE, number(1), EMPTY, raw(b"cpu"), value({})),
    ):
        yield form.tensor(form.storage(location=location))


def storage_keys(form):
    for key in (
        *(
            "../data.pkl",
            "../../../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "0\0",
            "00",
            "1",
            "x" * 70000,
            "\udcff",
        ),
        *(
            "..\\data.pkl",
            "0/",
            "//0",
            "../version",
            "%s",
            "C:\\0",
            number(0),
            NONE,
            raw(b"0"),
            EMPTY,
            value([]),
            value({}),
        ),
    ):
        yield form.tensor(form.storage(key=key))


def one_storage_two_stories(form):
    """The same key with another type or another count: the second must not see more than the first was checked for."""
    small, large = form.tensor(), form.tensor(form.storage(count=2**20), size=(2**20,))
    double = form.tensor(form.storage(kind="DoubleStorage", count=4))
    byte = form.tensor(form.storage(kind="ByteStorage", count=16), size=(16,))
    for pair in ([small, large], [large, small], [small, double], [double, small], [small, byte], [byte, double]):
        yield value(pair)
    yield value([byte] * 50 + [large])


def persistent_ids(form):
    kind = named("torch", "FloatStorage")
    for identity in (
        *(NONE, number(0), "0", "storage", EMPTY, ("storage",), ("storage", kind), ("storage", kind, "0", "cpu")),
        *(("storage", kind, "0", "cpu", 4, NONE, 1, 2), ["storage", kind, "0", "cpu", 4], {"storage": kind}),
        *(
            (b"C\x07storage", kind, "0", "cpu", 4, NONE),
            ("module", kind, "a", "b"),
            (("storage",), kind, "0", "cpu", 4),
        ),
        *(kind, form.storage(), form.tensor(), (NONE,) * 6, ([], {}, [], {}, [], {}), number(2**70), FALSE),
    ):
        yield persistent(identity)
    yield b"P0\n"
    yield b"Pstorage\n"
    yield b"P\xff\n"


def rebuild_arguments(form):
    for function in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"):
        for wrong in (*WRONG, form.tensor(), form.storage()):
            good = [form.storage(), 0, (4,), (1,), FALSE, ordered()]
            for place in range(len(good)):
                yield call(utils(function), *good[:place], wrong, *good[place + 1 :])
        yield call(utils(function))
        yield call(utils(function), *[1] * 12)
        yield utils(function) + value([1, 2]) + b"R"
        yield utils(function) + text("abcd") + b"R"
        yield new(utils(function), form.storage(), 0, (4,), (1,))


def overflowing_views(form):
    for size, stride in (
        ((2**32, 2**32), (1, 1)),
        ((2**62, 4), (0, 1)),
        ((2,), (2**63 - 1,)),
        ((3,), (2**63 - 1,)),
        ((2**32 + 1,), (2**32,)),
        ((5, 2**61), (2**61, 8)),
        ((2**63 - 1, 2**63 - 1), (0, 0)),
        ((2**31, 2**31, 2**31), (2**33, 2**33, 2**33)),
        ((2**63,), (1,)),
        ((2**64 + 4,), (1,)),
        ((0, 2**62, 2**62), (1, 1, 1)),
        ((4,), (2**64 + 1,)),
        ((2,) * 70, (0,) * 70),
        ((1,) * 5000, (1,) * 5000),
    ):
        yield form.tensor(size=size, stride=stride)
        yield call(utils("_rebuild_tensor"), form.storage(), 0, size, stride)


def offsets(form):
    for offset in (-1, -4, 1, 4, 5, 2**31, 2**61, 2**62, 2**63 - 1, 2**63, -(2**63), 2**64, NAN, "1", NONE, TRUE):
        yield form.tensor(offset=offset)
        yield form.tensor(offset=offset, size=(0,))
        yield form.tensor(offset=offset, size=(), stride=())


def views_beyond(form):
    for size, stride in (
        *(
            ((5,), (1,)),
            ((4,), (2,)),
            ((2, 3), (3, 1)),
            ((10**6,), (1,)),
            ((2,), (10**9,)),
            ((4,), (-1,)),
            ((-4,), (1,)),
        ),
        *(
            ((4,), ()),
            ((), (1,)),
            ((4,), (1, 1)),
            ((2, 2), (1,)),
            ((10**9,), (0,)),
            ((2**40,), (0,)),
            ((-1, -4), (4, 1)),
        ),
        *(((4.0,), (1,)), (("4",), (1,)), ((4,), (NAN,)), (([4],), ([1],)), ([4], [1]), (4, 1), ((TRUE,), (TRUE,))),
    ):
        yield form.tensor(size=size, stride=stride)
        yield form.tensor(offset=1, size=size, stride=stride)


def gradients(form):
    """What cannot need a gradient, and what is no flag."""
    integers = form.storage(kind="IntStorage", count=4)
    for flag in (TRUE, number(1), text("no"), form.tensor(), NONE, value([])):
        yield form.tensor(integers, needs_gradient=flag)
        yield call(utils("_rebuild_parameter"), form.tensor(integers), flag, ordered())
        yield call(utils("_rebuild_parameter_with_state"), form.tensor(integers), flag, ordered(), {})


def _indices(form, key, *shape):
    """Indices 0, 1 under the key "2", and such as are in no tensor under "3"."""
    stride = (shape[1], 1) if len(shape) == 2 else (1,)
    return form.tensor(form.storage(key, kind="LongStorage"), size=shape, stride=stride)


def sparse_coo(form):
    layout = call(named("torch.serialization", "_get_layout"), "torch.sparse_coo")
    for key, shape in itertools.product("23", ((1, 2), (2, 1), (2,), (1, 1))):
        for size in ((4,), (1,), (0,), (2**62,), (2**62, 2**62), (-1,), (2, 2), NONE, "4"):
            values = form.tensor(form.storage("1"), size=(shape[-1],))
            yield call(utils("_rebuild_sparse_tensor"), layout, (_indices(form, key, *shape), values, size))
            yield call(utils("_rebuild_sparse_tensor"), layout, (_indices(form, key, *shape), values, size, TRUE))
    for wrong in (form.tensor(), NONE, value([1]), form.storage()):
        yield call(utils("_rebuild_sparse_tensor"), layout, (wrong, wrong, (4,)))
    yield call(utils("_rebuild_sparse_tensor"), layout, ())
    for name in ("torch.sparse_csr", "torch.strided", "torch._mkldnn", "sparse", "os.system", NONE, number(1)):
        yield call(utils("_rebuild_sparse_tensor"), call(named("torch.serialization", "_get_layout"), name), ())
    for kind in ("FloatTensor", "LongTensor"):
        yield call(
            named("torch.sparse", kind), _indices(form, "3", 1, 2), form.tensor(form.storage("1"), size=(2,)), (1,)
        )
        yield new(named("torch.sparse", kind), 2**40)


def sparse_compressed(form):
    for name in ("torch.sparse_csr", "torch.sparse_csc", "torch.sparse_bsr", "torch.sparse_bsc"):
        layout = call(named("torch.serialization", "_get_layout"), name)
        for key, size in itertools.product("23", ((1, 4), (2**40, 2**40), (-1, 4), (4,), (0, 0))):
            rows = _indices(form, key, 2)
            yield call(utils("_rebuild_sparse_tensor"), layout, (rows, rows, form.tensor(), size))
            yield call(utils("_rebuild_sparse_csr_tensor"), layout, (rows, rows, form.tensor(), size))
    nested = (form.tensor(), form.tensor(), form.tensor(), form.tensor())
    yield call(utils("_rebuild_nested_tensor"), *nested)


def quantized(form):
    data = form.storage("4", kind="QUInt8Storage")
    affine, channel = named("torch", "per_tensor_affine"), named("torch", "per_channel_affine")
    floats = form.tensor()
    parameters = [(affine, scale, zero) for scale in (0.0, -1.0, NAN, INFINITY, 1e-45) for zero in (0, -(2**31), 2**40)]
    parameters += [(affine,), (affine, "1", "0"), (affine, NONE, NONE), (affine, 1.0, 0, 0), (NONE, 1.0, 0), EMPTY]
    parameters += [(channel, floats, floats, axis) for axis in (0, 1, -1, 7, 2**40, NONE)]
    parameters += [(channel, form.tensor(size=(2,)), floats, 0), (channel, 1.0, 0, 0), (channel, [1.0], [0], 0)]
    for each in parameters:
        yield call(utils("_rebuild_qtensor"), data, 0, (4,), (1,), each, FALSE, ordered())
    for size, stride, offset in (((2**40,), (1,), 0), ((4,), (1,), 9), ((4,), (2**62,), 0), ((-1,), (1,), 0)):
        yield call(utils("_rebuild_qtensor"), data, offset, size, stride, (affine, 1.0, 0), FALSE, ordered())
    yield call(utils("_rebuild_qtensor"), form.storage(), 0, (4,), (1,), (affine, 1.0, 0), FALSE, ordered())


def without_storage(form):
    meta = utils("_rebuild_meta_tensor_no_storage")
    for size, stride in (((2**40, 2**40), (2**40, 1)), ((-1,), (1,)), ((2,), (2**63 - 1,)), ("4", "1"), ((), ())):
        yield call(meta, FLOAT, size, stride, FALSE)
        wrapper = utils("_rebuild_wrapper_subclass")
        yield call(wrapper, named("torch", "Tensor"), FLOAT, size, stride, 0, NONE, "cpu", FALSE)
    yield call(meta, text("float32"), (1,), (1,), FALSE)
    yield call(meta, ordered(), (1,), (1,), FALSE)
    for wrong in (form.tensor(), NONE, number(1), text("a"), value([1])):
        yield call(utils("_rebuild_device_tensor_from_numpy"), wrong, FLOAT, "cpu", FALSE)
        yield call(utils("_rebuild_device_tensor_from_cpu_tensor"), wrong, FLOAT, "xla:0", FALSE)
    yield call(utils("_rebuild_xla_tensor"), form.tensor(), FLOAT, "cpu", FALSE)


def constructors_that_allocate(form):
    """Names a checkpoint may hold, called with a size that the file does not pay for."""
    for size in (10**9, 2**36, 2**62, -1):
        for target in (
            *(named("torch", "Tensor"), named("torch", "FloatTensor"), named("torch", "ByteTensor")),
            *(named("torch.storage", "UntypedStorage"), named("torch", "FloatStorage"), named("torch", "ByteStorage")),
            *(named("builtins", "bytearray"), named("__builtin__", "bytearray"), named("torch", "Size")),
        ):
            yield call(target, size)
            yield new(target, size)
        yield call(named("torch.nn.parameter", "Parameter"), call(named("torch", "FloatTensor"), size))
        yield new(named("torch.nn.parameter", "Parameter"), new(named("torch", "FloatTensor"), size))


def tensor_states(form):
    """BUILD on an empty tensor calls `set_` with whatever the file says."""
    for target in (named("torch", "Tensor"), named("torch", "FloatTensor"), named("torch.nn.parameter", "Parameter")):
        for state in (
            (form.storage(), 0, (4,), (1,)),
            (form.storage(), 0, (2**20,), (1,)),
            (form.storage(), 2**40, (4,), (1,)),
            (form.storage(), 0, (4,), (2**62,)),
            (FALSE, form.tensor(), ordered()),
            (form.tensor(), 2**40, (1,), (1,)),
            ({}, {"data": 1}),
            EMPTY,
            NONE,
            number(3),
        ):
            yield build(new(target), state)
            yield build(call(target), state)


def devices_sizes_dtypes(form):
    for argument in (
        "cpu:99999999999999999999",
        "cuda:-1",
        "\0",
        "",
        "x" * 10**5,
        "meta:0",
        "os.system",
        NONE,
        -1,
        2**70,
    ):
        yield call(named("torch", "device"), argument)
        yield call(named("torch", "device"), argument, argument)
    for argument in (
        (2**62,) * 100,
        ("a",),
        ((1,),),
        "abc",
        (-1,),
        (2**64,),
        {1: 2},
        (1.5,),
        (form.tensor(),),
        number(5),
    ):
        yield call(named("torch", "Size"), argument)
        yield call(named("torch", "Size"), call(named("torch", "Size"), argument))
    for name in (
        "float33",
        "nn",
        "os",
        "__doc__",
        "__class__",
        "qint8",
        "uint1",
        "int7",
        "bits16",
        "float8_e4m3fn",
        "load",
    ):
        yield named("torch", name)
        yield call(named("torch", name), (1,))
        yield build(named("torch", name), {"a": 1})


TENSORS = [
    storage_counts,
    storage_types,
    storage_locations,
    storage_keys,
    one_storage_two_stories,
    persistent_ids,
    rebuild_arguments,
    overflowing_views,
    offsets,
    views_beyond,
    gradients,
    sparse_coo,
    sparse_compressed,
    quantized,
    without_storage,
    constructors_that_allocate,
    tensor_states,
    devices_sizes_dtypes,
]
