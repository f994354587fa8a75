"""Checkpoints put together byte by byte: pickle programs, and the containers torch has kept them in.

A value is written as the bytes of the instructions that push it, so anything can be said, true or not. Nothing here
needs torch, and the same call gives the same bytes on every Python.
"""

import io
import struct
import tarfile
import zlib

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
NONE, TRUE, FALSE, EMPTY, MARK, STOP = b"N", b"\x88", b"\x89", b")", b"(", b"."


# Pickle programs.


def program(body, protocol=2):
    """A whole pickle that pushes *body* and stops."""
    return b"\x80" + bytes([protocol]) + body + STOP


def named(module, name=None):
    """GLOBAL: the object *name* of *module*, both str or bytes; or an object by its whole dotted name."""
    if name is None:
        module, _, name = module.rpartition(".")
    module, name = (part if isinstance(part, bytes) else part.encode() for part in (module, name))
    return b"c" + module + b"\n" + name + b"\n"


def text(value):
    value = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(value)) + value


def raw(value):
    """SHORT_BINBYTES or BINBYTES."""
    return (b"C" + bytes([len(value)]) if len(value) < 256 else b"B" + struct.pack("<I", len(value))) + value


def number(value):
    """An int of any size, a float, a bool or None."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    size = value.bit_length() // 8 + 1
    data = value.to_bytes(size, "little", signed=True)
    return b"\x8a" + bytes([size]) + data if size < 256 else b"\x8b" + struct.pack("<i", size) + data


def value(item):
    """Instructions for a Python value; bytes are instructions already."""
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return text(item)
    if isinstance(item, tuple):
        return MARK + b"".join(map(value, item)) + b"t"
    if isinstance(item, list):
        return b"]" + MARK + b"".join(map(value, item)) + b"e"
    if isinstance(item, dict):
        return b"}" + MARK + b"".join(value(part) for pair in item.items() for part in pair) + b"u"
    return number(item)


def _function(function):
    """What is to be called: instructions, or a dotted name."""
    return named(function) if isinstance(function, str) else function


def call(function, *arguments):
    """REDUCE."""
    return _function(function) + value(tuple(arguments)) + b"R"


def new(cls, *arguments):
    """NEWOBJ."""
    return _function(cls) + value(tuple(arguments)) + b"\x81"


def build(instance, state):
    """BUILD."""
    return instance + value(state) + b"b"


def persistent(identity):
    """BINPERSID."""
    return value(identity) + b"Q"


def keep(body, at):
    """*body*, and LONG_BINPUT: it is noted in the memo under a number."""
    return body + b"r" + struct.pack("<I", at)


def get(at):
    """LONG_BINGET: what is in the memo under a number."""
    return b"j" + struct.pack("<I", at)


def many(first, again, times):
    """A list of *first*, and of *again* many times, for the same few bytes each."""
    return b"](" + first + again * times + b"e"


def calls(function, arguments, times, first=b""):
    """The same call many times, for a few bytes each; *first* is what the arguments name."""
    return many(first + keep(function, 901) + keep(value(arguments), 902), get(901) + get(902) + b"R", times)


def utils(name):
    return named("torch._utils", name)


def ordered(*pairs):
    """An OrderedDict; each pair is of two values."""
    empty = named("collections", "OrderedDict") + EMPTY + b"R"
    return empty + MARK + b"".join(value(part) for pair in pairs for part in pair) + b"u" if pairs else empty


FLOATS = struct.pack("<4f", 1, 2, 3, 4)
STORAGES = {
    "0": (4, FLOATS),
    "1": (4, FLOATS),
    "2": (4, struct.pack("<4q", 0, 1, 2, 3)),
    "3": (4, struct.pack("<4q", -1, 9, 2**62, -(2**63))),
    "4": (4, b"\1\2\3\4"),
}
# These are in a file only if its pickle has their names.
LARGER = {
    "places": (3, struct.pack("<3q", 0, 1, 2)),
    "far": (3, struct.pack("<3q", 0, 2**40, 2)),
    "wrapping": (5, struct.pack("<5i", 0, 2**30, -(2**31), -(2**30), 0)),
    "much": (2**20, bytes(2**20)),
    "many": (2**17, struct.pack(f"<{2**17}q", *range(2**17))),
}


# Containers.


def deflated(pieces):
    """The raw deflate stream of pieces of data, each with how many times it comes: each is packed only once."""
    out = b""
    for piece, times in pieces:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        out += (packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)) * times
    return out + zlib.compressobj(6, zlib.DEFLATED, -15).flush()


class Entry:
    """One entry of a zip file. What is not given is the truth; `local` and `central` replace header fields by lies.

    Deflated (method 8) data may be a list of pieces of bytes, each with how many times it comes.
    """

    def __init__(self, name, data, method=0, local=None, central=None, extra=b"", comment=b"", written=True):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.data, self.method, self.extra, self.comment, self.written = data, method, extra, comment, written
        self.stored = data if method != 8 else deflated([(data, 1)]) if isinstance(data, bytes) else deflated(data)
        if not isinstance(data, bytes):
            crc, size = 0, sum(len(piece) * times for piece, times in data)
            for piece, times in data:
                for _ in range(times):
                    crc = zlib.crc32(piece, crc)
        else:
            crc, size = zlib.crc32(data), len(data)
        truth = {
            "version": 20,
            "flags": 0,
            "method": method,
            "crc": crc & 0xFFFFFFFF,
            "packed": len(self.stored),
            "size": size,
            "name": self.name,
            "offset": None,
        }
        self.local = {**truth, **(local or {})}
        self.central = {**truth, **(central or {})}


def zipped(entries, prefix=b"", comment=b"", end=None, between=b"", suffix=b""):
    """A zip file of *entries*; *end* replaces fields of the end record by lies."""
    out, directory = io.BytesIO(), b""
    out.write(prefix)
    for entry in entries:
        offset, fields = out.tell(), entry.local
        if entry.written:
            head = (fields["version"], fields["flags"], fields["method"], 0, 0x21)
            head += (fields["crc"], fields["packed"], fields["size"], len(fields["name"]), len(entry.extra))
            out.write(b"PK\3\4" + struct.pack("<5H3I2H", *head) + fields["name"] + entry.extra + entry.stored)
        fields = entry.central
        offset = offset if fields["offset"] is None else fields["offset"]
        head = (fields["version"], fields["version"], fields["flags"], fields["method"], 0, 0x21)
        head += (fields["crc"], fields["packed"], fields["size"], len(fields["name"]), len(entry.extra))
        head += (len(entry.comment), 0, 0, 0, offset)
        directory += b"PK\1\2" + struct.pack("<6H3I5H2I", *head) + fields["name"] + entry.extra + entry.comment
    out.write(between)
    fields = {"disk": 0, "start": 0, "here": len(entries), "all": len(entries), "size": len(directory)}
    fields.update({"offset": out.tell(), "comment": len(comment)}, **(end or {}))
    tail = [fields[name] for name in ("disk", "start", "here", "all", "size", "offset", "comment")]
    return out.getvalue() + directory + b"PK\5\6" + struct.pack("<4H2IH", *tail) + comment + suffix


def records(pickle, storages=None, name="archive", order=b"little", method=0):
    """The entries torch writes for *pickle*: the storages are bytes by key."""
    storages = {"0": FLOATS} if storages is None else storages
    entries = [Entry(name + "/data.pkl", pickle, method)]
    entries += [Entry(name + "/byteorder", order, method)] if order is not None else []
    entries += [Entry(f"{name}/data/{key}", data, method) for key, data in storages.items()]
    return [*entries, Entry(name + "/version", b"3\n", method)]


def archive(pickle, storages=None, name="archive", order=b"little", **lies):
    """A checkpoint as torch 1.6 and later write it."""
    return zipped(records(pickle, storages, name, order), **lies)


SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def legacy(pickle, storages=None, keys=None, magic=None, protocol=None, system=None):
    """A checkpoint as torch up to 1.5 writes it: the storages are pairs of element count and bytes by key."""
    storages = {"0": (4, FLOATS)} if storages is None else storages
    out = program(number(MAGIC)) if magic is None else magic
    out += program(number(PROTOCOL)) if protocol is None else protocol
    out += program(value(SYSTEM)) if system is None else system
    out += pickle + (program(value(list(storages))) if keys is None else keys)
    return out + b"".join(struct.pack("<q", count) + data for count, data in storages.values())


def tarred(members):
    """A tar file of (name, bytes) or TarInfo members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            plain = not isinstance(member, tarfile.TarInfo)
            info, data = (tarfile.TarInfo(member[0]), member[1]) if plain else (member, b"")
            info.size = info.size or len(data)
            tar.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def gzipped(data):
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


class Form:
    """One of the two containers, for pickles that are to be tried in both."""

    def __init__(self, is_legacy):
        self.is_legacy = is_legacy

    def storage(self, key="0", count=4, kind="FloatStorage", location="cpu"):
        kind = kind if isinstance(kind, bytes) else named("torch", kind)
        return persistent(("storage", kind, key, location, count) + ((None,) if self.is_legacy else ()))

    def tensor(self, data=None, offset=0, size=(4,), stride=(1,), needs_gradient=False, hooks=None):
        """A tensor the way torch writes it; *data* is a storage of four floats under the key "0" by default."""
        data = self.storage() if data is None else data
        return call(utils("_rebuild_tensor_v2"), data, offset, size, stride, needs_gradient, hooks or ordered())

    def file(self, pickle):
        """*pickle* in its container, with those of the ready-made storages that it asks for."""
        asked_for = {key: each for key, each in {**STORAGES, **LARGER}.items() if text(key) in pickle}
        # Torch does not take storages of the older format that the pickle does not ask for.
        return self.holding(pickle, asked_for if self.is_legacy else {**STORAGES, **asked_for})

    def holding(self, pickle, storages):
        """*pickle* in its container, with *storages*: pairs of element count and bytes by key."""
        if self.is_legacy:
            return legacy(pickle, storages)
        return archive(pickle, {key: data for key, (_, data) in storages.items()})

    def checkpoint(self, item, storages=None):
        """An open file of a whole value, with those storages, or with the ready-made ones that it asks for."""
        pickle = program(value(item))
        return io.BytesIO(self.file(pickle) if storages is None else self.holding(pickle, storages))


FORMS = {"zip": Form(False), "legacy": Form(True)}
