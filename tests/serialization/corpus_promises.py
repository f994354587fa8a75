"""Hostile pickles that break a promise only later, or only often: what is changed after it was checked, numbers that
wrap around, and calls of a few bytes that each cost memory or time.
"""

from assembler import (
    FALSE,
    NONE,
    TRUE,
    build,
    call,
    calls,
    get,
    keep,
    many,
    named,
    ordered,
    text,
    utils,
    value,
)

COMPRESSED = ("torch.sparse_csr", "torch.sparse_csc", "torch.sparse_bsr", "torch.sparse_bsc")
AFFINE, CHANNEL = named("torch", "per_tensor_affine"), named("torch", "per_channel_affine")


def layout(name):
    return call(named("torch.serialization", "_get_layout"), name)


def longs(form, key="places", count=3, size=None, stride=(1,), offset=0):
    """A view of the numbers 0, 1, 2 or, under "far", of 0, 2**40, 2."""
    return form.tensor(form.storage(key, count, "LongStorage"), offset, size or (count,), stride)


def floats(form, *size):
    return form.tensor(form.storage("1"), size=size, stride=(1,) * len(size))


def sparse(name, *parts):
    return call(utils("_rebuild_sparse_tensor"), layout(name), parts)


def wrapping_pointers(form):
    """Rows that begin where a number of 32 bits cannot say, so that the steps between them wrap around."""
    pointers = form.tensor(form.storage("wrapping", 5, "IntStorage"), size=(5,))
    none = form.tensor(form.storage("wrapping", 5, "IntStorage"), size=(0,))
    for name in COMPRESSED:
        blocks = (0, 1, 1) if "bs" in name else (0,)
        for size in ((4, 2**30), (2**30, 4), (4, 4), (4, 2**31), (4, 2**40)):
            yield sparse(name, pointers, none, floats(form, *blocks), size)
    for end in (2**31 - 1, 2**31, 2**32, 2**62):
        yield sparse("torch.sparse_csr", longs(form, size=(2,)), longs(form, size=(1,)), floats(form, 1), (1, end))
        yield sparse("torch.sparse_coo", longs(form, size=(1, 2), stride=(2, 1)), floats(form, 2), (end,), TRUE)
        yield sparse("torch.sparse_coo", longs(form, size=(2, 1)), floats(form, 1), (end, end), TRUE)


def parts_that_do_not_fit(form):
    """Blocks that do not divide the size, batches and values of another size, indices with their sign turned."""
    rows, one = longs(form, size=(2,)), longs(form, size=(1,))
    for values, size in (
        (floats(form, 1, 2, 2), (3, 3)),
        (floats(form, 1, 2, 2), (2, 3)),
        (floats(form, 1, 1, 1, 2), (1, 2, 3)),
        (floats(form, 1, 3), (1, 1, 2)),
        (floats(form, 1), (1, 2, 2)),
        (floats(form, 1, 0, 1), (1, 1)),
    ):
        for name in COMPRESSED:
            yield sparse(name, rows, one, values, size)
    turned = call(
        utils("_rebuild_tensor_v2"),
        *(form.storage("places", 3, "LongStorage"), 0, (1, 2), (2, 1), FALSE, ordered(), {"neg": True}),
    )
    plain = longs(form, size=(1, 2), stride=(2, 1))
    both = [sparse("torch.sparse_coo", each, floats(form, 2), (4,)) for each in (plain, turned)]
    yield value(both)
    yield both[1]
    for part in (plain, floats(form, 2)):
        meta = call(utils("_rebuild_meta_tensor_no_storage"), named("torch", "int64"), (1, 2), (2, 1), FALSE)
        yield sparse("torch.sparse_coo", meta, part, (4,))
        yield sparse("torch.sparse_coo", part, meta, (4,))


def changed_after_the_check(form):
    """BUILD gives a part other contents, once the tensor that is made of it has been checked."""
    far = (form.storage("far", 3, "LongStorage"), 0, (3,), (1,))
    few = (form.storage("places", 3, "LongStorage"), 0, (1,), (1,))
    for name in COMPRESSED:
        blocks = (2, 1, 1) if "bs" in name else (2,)
        parts = [longs(form), longs(form, size=(2,)), floats(form, *blocks)]
        for changed, state in ((0, far), (1, far), (0, few), (1, few), (2, (form.storage("1"), 0, (0,), (1,)))):
            kept = [keep(part, number) for number, part in enumerate(parts)]
            yield value([sparse(name, *kept, (2, 2)), build(get(changed), state)])
            plain = [*parts[:changed], build(keep(parts[changed], 9), state), *parts[changed + 1 :]]
            yield value([sparse(name, *plain, (2, 2))])
    for state in (far, few):
        indices = keep(longs(form, size=(1, 2), stride=(2, 1)), 0)
        yield value([sparse("torch.sparse_coo", indices, floats(form, 2), (3,)), build(get(0), state)])
        empty = keep(call(named("torch", "Tensor")), 0)
        yield value([empty, sparse("torch.sparse_coo", get(0), floats(form, 2), (3,)), build(get(0), state)])
    data, doubles = form.storage("4", kind="QUInt8Storage"), form.storage("far", 3, "DoubleStorage")
    scales = keep(form.tensor(doubles, size=(2,)), 0)
    zeros = keep(longs(form, size=(2,)), 1)
    made = call(utils("_rebuild_qtensor"), data, 0, (2, 2), (2, 1), (CHANNEL, scales, zeros, 0), FALSE, ordered())
    yield value([made, build(get(0), (doubles, 0, (0,), (1,)))])
    yield value([made, build(get(1), (form.storage("places", 3, "LongStorage"), 0, (0,), (1,)))])
    yield value([keep(made, 2), build(get(2), (data, 0, (4, 1), (1, 1)))])
    yield value([keep(made, 2), build(get(2), (data, 0, (0,), (1,))), build(get(2), (data, 0, (4,), (1,)))])


def _bytes(form, *size):
    return form.tensor(form.storage("much", 2**20, "ByteStorage"), size=size, stride=(1,) * len(size))


def _row(form, count, start=0, ordered=FALSE):
    """A sparse tensor whose indices are *count* numbers of one storage, from number *start* on."""
    indices = form.tensor(form.storage("many", 2**17, "LongStorage"), start, (1, count), (2**17, 1))
    return layout("torch.sparse_coo"), (indices, _bytes(form, count), (2**17,), ordered)


def memory_that_is_not_in_the_file(form):
    """Calls of a few bytes, each of which makes something that is larger."""
    for ordered_too in (FALSE, TRUE):
        nothing = form.tensor(size=(10**8, 0), stride=(1, 1))
        yield sparse("torch.sparse_coo", longs(form, size=(0, 10**8), stride=(1, 1)), nothing, (0,), ordered_too)
        yield sparse("torch.sparse_coo", *_row(form, 2**17)[1][:3], ordered_too)
    for kind in ("complex128", "float64", "uint8"):
        arguments = (_bytes(form, 2**20), named("torch", kind), "cpu", FALSE)
        yield calls(utils("_rebuild_device_tensor_from_cpu_tensor"), arguments, 200)
    kinds = {"FloatStorage": 4, "IntStorage": 4, "ByteStorage": 16, "CharStorage": 16}
    identities = [
        keep(value(("storage", named("torch", kind), "0", "cpu", count) + ((NONE,) if form.is_legacy else ())), at)
        for at, (kind, count) in enumerate(kinds.items())
    ]
    yield many(b"".join(identities), b"".join(get(at) + b"Q" for at in range(4)), 20000)
    for flag in (FALSE, TRUE):
        wide = (form.storage(), 0, (1,) * 64, (1,) * 64, flag, ordered())
        yield calls(utils("_rebuild_tensor_v2"), wide, 90000)
        yield calls(utils("_rebuild_parameter"), (form.tensor(), flag, ordered()), 120000)
    numbers = b"(" + b"K\1" * 20000 + b"t"
    yield calls(named("torch", "Size"), (numbers,), 2000)
    yield calls(named("torch", "Size"), ([numbers],), 20)
    names = keep(value({f"name{number}": 1 for number in range(5000)}), 1)
    yield many(names, ordered() + get(1) + b"b", 1000)
    yield calls(utils("_rebuild_parameter_with_state"), (form.tensor(), FALSE, ordered(), get(1)), 1000, names)
    data = form.storage("4", kind="QUInt8Storage")
    scheme = (CHANNEL, [0.5] * 20000, [0] * 20000, 0)
    yield calls(utils("_rebuild_qtensor"), (data, 0, (20000, 0), (1, 1), scheme, FALSE, ordered()), 2000)


def time_that_is_not_in_the_file(form):
    """Calls of a few bytes, each of which reads, or walks through, something that is larger."""
    for flag in (FALSE, TRUE):
        yield calls(utils("_rebuild_sparse_tensor"), _row(form, 2**17, 0, flag), 500)
        rows = b"".join(call(utils("_rebuild_sparse_tensor"), *_row(form, 2**16, at, flag)) for at in range(600))
        yield many(b"", rows, 1)
    size = (2**17,) * 3 + (1,) * 27
    indices = form.tensor(form.storage("much", 2**17, "LongStorage"), size=(30, 1), stride=(1, 1))
    yield calls(utils("_rebuild_sparse_tensor"), (layout("torch.sparse_coo"), (indices, floats(form, 1), size)), 40000)
    walked = keep(value({"a": [[] for _ in range(5000)]}), 1)
    yield calls(utils("_rebuild_parameter_with_state"), (form.tensor(), FALSE, ordered(), get(1)), 5000, walked)
    data = form.storage("much", 2**20, "QUInt8Storage")
    scheme = (AFFINE, 1.0, 0)
    yield calls(utils("_rebuild_qtensor"), (data, 0, (2**20,), (1,), scheme, FALSE, ordered()), 20000)
    for key in ("x" * 500000, "x" * 2000):
        name = keep(text(key), 1) + keep(named("torch", "FloatStorage"), 2)
        rest = (NONE,) if form.is_legacy else ()
        yield many(name, value(("storage", get(2), get(1), "cpu", 4, *rest)) + b"Q", 10000)
        yield many(name, value(("storage", get(2), "0", get(1), 4, *rest)) + b"Q", 10000)


DEVICES = (
    *("privateuseone", "privateuseone:0", "cuda:0", "cuda:99", "xla:0", "mkldnn", "opengl", "ideep", "hip:0", "mps:0"),
    *("hpu", "vulkan", "maia", "lazy", "ort", "fpga", "msnpu", "ve", "meta", "mtia", "ipu", "nowhere", "cpu:3"),
    *("cuda:-1", "cpu:x", "", "cpu\nfor ever"),
)


def devices_that_are_not_there(form):
    for name in DEVICES:
        device = call(named("torch", "device"), name)
        move = utils("_rebuild_device_tensor_from_cpu_tensor")
        for dtype in ("float32", "float64", "qint8", "bool"):
            yield call(move, form.tensor(), named("torch", dtype), name, FALSE)
        yield call(move, form.tensor(), named("torch", "float32"), device, FALSE)
        yield device
        yield form.tensor(form.storage(location=name))
        for cls in (named("torch", "Tensor"), named("torch.nn.parameter", "Parameter")):
            where = (0, layout("torch.strided"), name, FALSE)
            yield call(utils("_rebuild_wrapper_subclass"), cls, named("torch", "float32"), (4,), (1,), *where)


def calls_in_calls(form):
    """A function that calls what it is given is given itself."""
    arguments = value((form.storage(), 0, (4,), (1,)))
    cls = named("torch", "Tensor")
    for name in ("_rebuild_from_type_v2", "_rebuild_from_type"):
        function = named("torch._tensor", name)
        for times in (1, 60, 300, 3000):
            inner = b"(" + utils("_rebuild_tensor") + cls + arguments + b"}t"
            yield function + (b"(" + function + cls) * times + inner + b"}t" * times + b"R"


CHAINS = {
    "list": lambda inner: value({"a": [inner]}),
    "set": lambda inner: value({"a": call(named("builtins", "set"), [inner])}),
    "attributes": lambda inner: value({"a": build(ordered(), {"b": inner})}),
    "ordered": lambda inner: value({"a": ordered(("b", inner))}),
    "key": lambda inner: value({"a": b"}" + inner + NONE + b"s"}),
    "key in a tuple": lambda inner: value({"a": b"}" + inner + b"\x85" + NONE + b"s"}),
    "deep": lambda inner: value({"a": [([({"b": inner},)],)]}),
    "slots": lambda inner: value((NONE, {"a": inner})),
}


def _parameter(state):
    """A parameter with attributes, where the first one is in the memo: a function under 1, and its data under 2."""
    return get(1) + value((get(2), FALSE, ordered(), state)) + b"R"


def chain(form, name, times):
    """Tensors that are attributes of one another through a container, *times* deep."""
    before, after = _parameter(CHAINS[name](b"\0HERE\0")).split(b"\0HERE\0")
    start = keep(utils("_rebuild_parameter_with_state"), 1) + keep(form.tensor(), 2)
    return value([start, before * times + get(2) + after * times])


def filled_later(form, times):
    """The same, but each container is empty when it becomes an attribute, and filled when the next tensor is there."""
    body = b"](" + keep(utils("_rebuild_parameter_with_state"), 1) + keep(form.tensor(), 2)
    for number in range(times):
        is_list = number % 2 == 0
        body += keep(b"]" if is_list else ordered(), 2 * number + 10)
        body += keep(_parameter({"a": get(2 * number + 10)}), 2 * number + 11)
        if number:
            body += get(2 * number + 8)
            body += text("x") + get(2 * number + 11) + b"s" if is_list else get(2 * number + 11) + b"a"
    return body + b"e"


def deep_attributes(form):
    """Tensors within one another's attributes: through each kind of container, and filled only afterwards."""
    for times in (99, 150, 20000):
        for name in CHAINS:
            yield chain(form, name, times)
        yield filled_later(form, times)
        yield filled_later(form, times) + b"\0"  # refused halfway
    start = keep(utils("_rebuild_parameter_with_state"), 1) + keep(form.tensor(), 2)
    yield value([start, keep(b"]", 3) + (_parameter({"a": get(3)}) + b"a") * 200])


def many_attributes(form):
    """As many as the file pays for; some of these are honest."""
    for count in (9999, 11000, 200000):
        state = {"a": b"](" + b"K\1" * count + b"e"}
        yield call(utils("_rebuild_parameter_with_state"), form.tensor(), FALSE, ordered(), state)
    state = {"a": b"](" + b"](K\1e" * 20000 + b"e"}
    yield call(utils("_rebuild_parameter_with_state"), form.tensor(), FALSE, ordered(), state)


PROMISES = [
    wrapping_pointers,
    parts_that_do_not_fit,
    changed_after_the_check,
    memory_that_is_not_in_the_file,
    time_that_is_not_in_the_file,
    devices_that_are_not_there,
    calls_in_calls,
    deep_attributes,
    many_attributes,
]
