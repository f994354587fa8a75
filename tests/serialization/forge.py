"""Writes files by hand: pickles opcode by opcode, and archives record by record."""

import io
import struct
import zipfile

MAGIC = 0x1950A86A20F9469CFC6C


class Global:
    """A name in a pickle: ``Global("torch.FloatStorage")``."""

    def __init__(self, name):
        self.module, _, self.name = name.rpartition(".")


class Call:
    """A call in a pickle."""

    def __init__(self, function, *arguments):
        self.function = Global(function) if isinstance(function, str) else function
        self.arguments = arguments


class New(Call):
    """An object made by the opcode NEWOBJ."""


class Build:
    """An object that is given a state."""

    def __init__(self, instance, state):
        self.instance, self.state = instance, state


class Storage:
    """A storage: ``Storage("Float", "0", 3)``."""

    def __init__(self, kind, key, count, location="cpu"):
        self.identity = ("storage", Global(f"torch.{kind}Storage"), key, location, count)


class Raw:
    """Opcodes as they are."""

    def __init__(self, data):
        self.data = data


def _code(obj, legacy):
    if isinstance(obj, Raw):
        return obj.data
    if isinstance(obj, Global):
        return f"c{obj.module}\n{obj.name}\n".encode()
    if isinstance(obj, Call):
        opcode = b"\x81" if isinstance(obj, New) else b"R"
        return _code(obj.function, legacy) + _code(obj.arguments, legacy) + opcode
    if isinstance(obj, Build):
        return _code(obj.instance, legacy) + _code(obj.state, legacy) + b"b"
    if isinstance(obj, Storage):
        return _code(obj.identity + ((None,) if legacy else ()), legacy) + b"Q"
    if obj is None:
        return b"N"
    if isinstance(obj, bool):
        return b"\x88" if obj else b"\x89"
    if isinstance(obj, int):
        data = obj.to_bytes((obj.bit_length() + 8) // 8, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(obj, float):
        return b"G" + struct.pack(">d", obj)
    if isinstance(obj, str):
        return b"X" + struct.pack("<I", len(obj.encode())) + obj.encode()
    if isinstance(obj, tuple):
        return b"(" + b"".join(_code(item, legacy) for item in obj) + b"t"
    if isinstance(obj, list):
        return b"](" + b"".join(_code(item, legacy) for item in obj) + b"e"
    if isinstance(obj, dict):
        return b"}(" + b"".join(_code(key, legacy) + _code(value, legacy) for key, value in obj.items()) + b"u"
    raise TypeError(type(obj))


def pickled(obj, legacy=False):
    """A pickle of protocol 2."""
    return b"\x80\x02" + _code(obj, legacy) + b"."


def archive(obj, prefix="archive/", compression=zipfile.ZIP_STORED, **records):
    """An archive of that object; storages are records: ``_0=b"..."`` is that of key 0."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        target.writestr(prefix + "data.pkl", pickled(obj))
        for name, data in records.items():
            target.writestr(prefix + ("data/" + name[1:] if name.startswith("_") else name), data)
        target.writestr(prefix + "version", b"3\n")
    buffer.seek(0)
    return buffer


def legacy(obj, *storages):
    """A file of the older format; storages are triples of key, number of elements and data."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickled(part) for part in (MAGIC, 1001, system)]
    parts += [pickled(obj, legacy=True), pickled([key for key, _, _ in storages])]
    parts += [struct.pack("<q", count) + data for _, count, data in storages]
    return io.BytesIO(b"".join(parts))


def tensor(count, size, stride, offset=0, kind="Float", key="0"):
    """A strided tensor."""
    hooks = Call("collections.OrderedDict")
    return Call("torch._utils._rebuild_tensor_v2", Storage(kind, key, count), offset, size, stride, False, hooks)
