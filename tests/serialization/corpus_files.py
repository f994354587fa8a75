"""Hostile files: what is wrong is the container, or there is none."""

import copy
import io
import random
import struct
import tarfile
import zipfile

from assembler import (
    FALSE,
    FLOATS,
    FORMS,
    MAGIC,
    NONE,
    PROTOCOL,
    SYSTEM,
    Entry,
    archive,
    build,
    call,
    gzipped,
    legacy,
    named,
    number,
    persistent,
    program,
    raw,
    records,
    tarred,
    text,
    value,
    zipped,
)
from corpus_code import SHELL

NEW, OLD = FORMS["zip"], FORMS["legacy"]
GOOD = program(value({"weight": NEW.tensor()}))
GOOD_OLD = program(value({"weight": OLD.tensor()}))
EVIL = program(call(named("os", "system"), SHELL))
ZEROS = bytes(2**21)


def _deflated(pickle, storages):
    entries = [Entry("archive/data.pkl", pickle, 8), Entry("archive/version", b"3\n")]
    return zipped(entries + [Entry("archive/data/" + key, data, 8) for key, data in storages.items()])


def zip_bomb():
    """Deflated a thousand to one, as torch never writes it: the pickle, a storage, a record nobody asked for."""
    count = 2**19
    yield _deflated(program(value({"weight": NEW.tensor(NEW.storage(count=count), size=(count,))})), {"0": ZEROS})
    yield _deflated(GOOD, {"0": FLOATS, "junk": [(ZEROS, 50)]})
    head, tail = b"\x80\2B" + struct.pack("<I", 50 * len(ZEROS)), b"."
    yield _deflated([(head, 1), (ZEROS, 50), (tail, 1)], {})
    yield _deflated([(head.replace(b"B", b"X"), 1), (b"a" * len(ZEROS), 50), (tail, 1)], {})
    yield _deflated([(b"\x80\2]", 1), (b"]" * 10**6, 10), (tail, 1)], {})
    yield _deflated([(b"\x80\2", 1), (b"(" * 10**6, 10), (tail, 1)], {})
    yield _deflated([(b"\x80\2](", 1), (b"K\1" * 10**6, 5), (b"e.", 1)], {})
    bomb = Entry("archive/byteorder", [(ZEROS, 50)], 8)
    for name in ("byteorder", "version", ".format_version", ".storage_alignment", "data/0"):
        bomb.name = bomb.local["name"] = bomb.central["name"] = b"archive/" + name.encode()
        yield zipped([Entry("archive/data.pkl", GOOD), Entry("archive/data/0", FLOATS), bomb])
        yield zipped([Entry("archive/data.pkl", GOOD), bomb])
    packed = Entry("archive/data/0", ZEROS, 8)
    tensors = [NEW.tensor(NEW.storage(str(key), count), size=(count,)) for key in range(100)]
    entries = [copy.copy(packed) for _ in tensors]
    for key, entry in enumerate(entries):
        entry.local = entry.central = {**packed.local, "name": f"archive/data/{key}".encode()}
    yield zipped([Entry("archive/data.pkl", program(value(tensors))), *entries])


def zip_overlaps():
    """Many names for one piece of the file: small on disk, large in memory."""
    data = b"\0" * 2**20
    size = 2**18
    count = 200
    tensors = [NEW.tensor(NEW.storage(str(key), size), size=(size,)) for key in range(count)]
    entries = [Entry("archive/data.pkl", program(value(tensors))), Entry("archive/data/0", data)]
    place = len(zipped(entries[:1])) - 22 - 46 - len("archive/data.pkl")
    others = [Entry(f"archive/data/{n}", data, central={"offset": place}, written=False) for n in range(1, count)]
    yield zipped([*entries, *others])
    lying = Entry("archive/data/0", FLOATS, central={"offset": 0})
    yield zipped([Entry("archive/data.pkl", GOOD), lying])
    yield zipped(
        [Entry("archive/data.pkl", GOOD), Entry("archive/data/0", FLOATS, central={"name": b"archive/data/0"}), lying]
    )
    # A local header inside the data of another entry.
    inner = zipped([Entry("archive/data/0", FLOATS)])
    outer = Entry("archive/data.pkl", GOOD + inner)
    yield zipped([outer, Entry("archive/data/0", FLOATS, central={"offset": 30 + 16 + len(GOOD)}, written=False)])


def zip_duplicates():
    yield zipped([*records(GOOD), Entry("archive/data.pkl", EVIL)])
    yield zipped([Entry("archive/data.pkl", EVIL), *records(GOOD)])
    yield zipped([*records(GOOD), Entry("archive/data/0", FLOATS * 2)])
    yield zipped([*records(GOOD), *records(EVIL, name="other")])
    yield zipped([*records(GOOD, name="ARCHIVE"), *records(EVIL)])
    yield zipped([*records(GOOD), Entry("data.pkl", EVIL), Entry("archive//data.pkl", EVIL)])


def zip_names():
    for name in (
        *(
            "../../canary",
            "/canary",
            "archive/../data.pkl",
            "archive/data/../../canary",
            "C:\\canary",
            "archive\\data.pkl",
        ),
        *(
            "",
            "/",
            "archive/",
            "archive",
            "data.pkl",
            "/data.pkl",
            "x" * 60000 + "/data.pkl",
            "a/b/c/data.pkl",
            "\0/data.pkl",
        ),
        *("archive/data.pkl\0.txt", "./data.pkl", "..", b"\xff\xfe/data.pkl", b"archive/data/\xff", "\u202e/data.pkl"),
    ):
        yield zipped([Entry(name, GOOD), *records(GOOD)])
        yield zipped([Entry(name, GOOD), Entry("archive/data/0", FLOATS)])
    for flags in (0x800, 0):
        lie = {"flags": flags, "name": b"\xc3\x28/data.pkl"}
        yield zipped([Entry("archive/data.pkl", GOOD, local=lie, central=lie), Entry("archive/data/0", FLOATS)])


def zip_numbers():
    """Sizes, checksums, offsets and methods that are not so, in the central directory or in the local header."""
    lies = [{"crc": 1}, {"method": 8}, {"method": 12}, {"method": 14}, {"method": 99}, {"version": 9999}]
    lies += [{"flags": flag} for flag in (1, 8, 0x20, 0x40, 0x2000, 0xFFFF)]
    lies += [{name: n} for name in ("size", "packed") for n in (0, 1, 15, 17, 2**20, 2**31, 2**32 - 2, 2**32 - 1)]
    lies += [{"size": n, "packed": n} for n in (0, 3, 2**20, 2**31, 2**32 - 1)]
    for lie in lies:
        for where in ({"central": lie}, {"local": lie}, {"central": lie, "local": lie}):
            pickle, data = Entry("archive/data.pkl", GOOD), Entry("archive/data/0", FLOATS)
            yield zipped([pickle, Entry("archive/data/0", FLOATS, **where)])
            yield zipped([Entry("archive/data.pkl", GOOD, **where), data])
    for offset in (1, 2**31, 2**32 - 2, 2**32 - 1):
        for name in ("archive/data.pkl", "archive/data/0"):
            yield zipped([Entry(name, FLOATS, central={"offset": offset}), *records(GOOD)])


def zip64_lies():
    for size in (0, 16, 2**40, 2**63 - 1, 2**63, 2**64 - 1):
        for offset in (0, 2**40, 2**64 - 1):
            extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
            lie = {"size": 2**32 - 1, "packed": 2**32 - 1, "offset": 2**32 - 1}
            lying = Entry("archive/data/0", FLOATS, central=lie, extra=extra)
            yield zipped([Entry("archive/data.pkl", GOOD), lying])
    for extra in (b"\1\0", b"\1\0\xff\xff", struct.pack("<HH", 1, 0), struct.pack("<HHI", 1, 4, 1), b"\xff" * 65000):
        yield zipped([Entry("archive/data.pkl", GOOD), Entry("archive/data/0", FLOATS, extra=extra)])
        lie = {"size": 2**32 - 1}
        yield zipped([Entry("archive/data.pkl", GOOD), Entry("archive/data/0", FLOATS, central=lie, extra=extra)])
    plain = archive(GOOD)
    for place in (0, 4, len(plain) + 1000, 2**63, 2**64 - 1):
        locator = b"PK\6\7" + struct.pack("<IQI", 0, place, 1)
        yield plain[:-22] + locator + plain[-22:]
        record = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, 2**40, 2**40, 2**50, place)
        end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
        yield plain[:-22] + record + b"PK\6\7" + struct.pack("<IQI", 0, len(plain) - 22, 1) + end


def zip_ends():
    """The end record: where it is, how often, and what it says."""
    for lie in (
        *({"here": 0, "all": 0}, {"here": 1, "all": 1}, {"here": 9999, "all": 9999}, {"here": 65535, "all": 65535}),
        *(
            {"disk": 1},
            {"start": 7},
            {"size": 0},
            {"size": 2**31},
            {"size": 2**32 - 1},
            {"offset": 0},
            {"offset": 2**31},
        ),
        *({"offset": 2**32 - 1}, {"comment": 5}, {"comment": 65535}),
    ):
        yield archive(GOOD, end=lie)
    good, evil = archive(GOOD), archive(EVIL)
    yield archive(GOOD, comment=b"x" * 65535)
    yield archive(GOOD, comment=b"PK\5\6" + bytes(18))
    yield archive(GOOD, comment=evil[-22:])
    yield good + evil
    yield evil + good
    yield good[:-22] + evil
    yield good[-22:]
    yield b"PK\5\6" + bytes(18)
    yield b"PK\3\4"
    yield good + b"x" * 70000
    yield archive(GOOD, between=b"x" * 1000)
    yield archive(GOOD, prefix=b"x" * 1000)
    yield good[:4] + bytes(len(good) - 8) + good[-4:]


def zip_missing():
    for left_out in range(4):
        yield zipped([entry for place, entry in enumerate(records(GOOD)) if place != left_out])
    yield archive(b"")
    yield archive(GOOD, {})
    yield archive(GOOD, {"1": FLOATS})
    yield zipped([Entry("archive/data.pkl", GOOD), Entry("other/data/0", FLOATS)])
    yield zipped([Entry("archive/data.pkl", GOOD), Entry("data/0", FLOATS)])


def zip_storage_sizes():
    for length in (0, 1, 15, 17, 32, 2**20):
        yield archive(GOOD, {"0": b"\1" * length})
    for count in (0, 3, 5, 2**31, 2**61):
        pickle = program(NEW.tensor(NEW.storage(count=count), size=(count,)))
        yield archive(pickle)
        yield archive(pickle, {"0": b""})


def zip_notes():
    """The small records: byte order, version, alignment."""
    for order in (b"", b"middle", b"big", b"BIG", b"little\n", b"\xff\xfe", b"x" * 100000):
        yield archive(GOOD, order=order)
    for name in (
        "version",
        ".format_version",
        ".storage_alignment",
        ".data/version",
        ".data/serialization_id",
        "byteorder",
    ):
        for data in (b"", b"x", b"-1", b"0", b"3", b"99999999999999999999", b"9" * 5000, b"\0", b"\xff"):
            yield zipped([*records(GOOD, order=None)[:-1], Entry("archive/" + name, data)])


def zip_many_entries():
    yield zipped([*records(GOOD), *(Entry(f"archive/data/{n}", b"") for n in range(1, 5000))])
    yield zipped([*records(GOOD), *(Entry("archive/data/0", FLOATS) for _ in range(5000))])
    count = 3000
    tensors = [NEW.tensor(NEW.storage(str(n))) for n in range(count)]
    yield archive(program(value(tensors)), {str(n): FLOATS for n in range(count // 2)})


def zip_in_zip():
    inner = archive(EVIL)
    yield zipped([Entry("archive/data.pkl", inner), Entry("archive/version", b"3\n")])
    yield zipped([Entry("checkpoint.pt", archive(GOOD)), Entry("data.pkl", archive(GOOD))])
    yield archive(program(raw(inner)))
    yield gzipped(archive(GOOD))


def torchscript():
    code = b"def forward(self, x: Tensor) -> Tensor:\n  return torch.add(x, x)\n"
    names = {"archive/code/__torch__.py": code, "archive/constants.pkl": program(b")"), "archive/version": b"3\n"}
    entries = [Entry(name, data) for name, data in names.items()]
    module = named("__torch__", "Net") + b")\x81" + value({"weight": NEW.tensor()}) + b"b"
    for pickle in (program(module), GOOD, EVIL):
        yield zipped([Entry("archive/data.pkl", pickle), *entries, Entry("archive/data/0", FLOATS)])
    yield zipped([Entry("archive/model.json", b'{"protoVersion": "6"}'), Entry("archive/attributes.pkl", EVIL)])
    yield zipped([Entry("archive/constants.pkl", EVIL), *records(GOOD)])
    mobile = [Entry("archive/bytecode.pkl", EVIL), Entry("archive/extra/mobile_info.json", b"{")]
    yield zipped([*records(GOOD), *mobile])


def polyglots():
    good, evil = archive(GOOD), legacy(EVIL)
    yield evil + good
    yield legacy(GOOD_OLD) + archive(EVIL)
    yield archive(GOOD, prefix=EVIL)
    yield archive(GOOD, prefix=b"#!/bin/sh\n" + SHELL.encode() + b"\n")
    yield good + evil
    yield good + tarred([("pickle", EVIL)])
    yield tarred([("storages", good), ("tensors", program(b"]")), ("pickle", EVIL)])
    yield tarred([("archive.zip", good)]) + good
    yield EVIL + good
    yield GOOD + b"PK\3\4" + EVIL


def legacy_headers():
    for magic in (0, 1, MAGIC + 1, -MAGIC, 2**4000):
        yield legacy(GOOD_OLD, magic=program(number(magic)))
    for magic in (
        text("magic"),
        NONE,
        value([MAGIC]),
        call(named("os", "system"), SHELL),
        OLD.tensor(),
        number(float(MAGIC)),
    ):
        yield legacy(GOOD_OLD, magic=program(magic))
    for protocol in (0, 1000, 1002, -1, 2**64, float(PROTOCOL)):
        yield legacy(GOOD_OLD, protocol=program(number(protocol)))
    yield legacy(GOOD_OLD, protocol=program(call(named("os", "system"), SHELL)))
    yield legacy(GOOD_OLD, magic=b"")
    yield legacy(GOOD_OLD, magic=b"", protocol=b"")


def legacy_system():
    for change in (
        *({"little_endian": False}, {"little_endian": "maybe"}, {"little_endian": None}, {"type_sizes": {"long": 8}}),
        *({"type_sizes": None}, {"type_sizes": {"short": -1, "int": 2**40}}, {"protocol_version": 7}, {1: 2}),
    ):
        yield legacy(GOOD_OLD, system=program(value({**SYSTEM, **change})))
    for system in (NONE, value([1, 2]), value({}), text("little"), call(named("os", "system"), SHELL), OLD.storage()):
        yield legacy(GOOD_OLD, system=program(system))
    yield legacy(GOOD_OLD, system=program(OLD.tensor()))


def legacy_counts():
    for count in (0, -1, 3, 5, 2**20, 2**31, 2**40, 2**61, 2**62, 2**63 - 1, -(2**63)):
        yield legacy(GOOD_OLD, {"0": (count, FLOATS)})
        same = program(value({"weight": OLD.tensor(OLD.storage(count=count))}))
        yield legacy(same, {"0": (count, FLOATS)})
        yield legacy(same, {"0": (count, b"")})
        yield legacy(same, {"0": (4, FLOATS)})
    yield legacy(GOOD_OLD, {"0": (4, FLOATS[:-1])})
    yield legacy(GOOD_OLD, {"0": (4, b"")})
    yield legacy(GOOD_OLD, {"0": (4, FLOATS * 100)})
    yield legacy(GOOD_OLD)[:-20]


def legacy_keys():
    lists = (
        ["1"],
        [],
        ["0", "0"],
        ["0", "1"],
        [0],
        [None],
        [[]],
        ["0"] * 50000,
        "0",
        {"0": 1},
        ("0",),
        None,
        4,
        [("0",)],
    )
    for keys in lists:
        yield legacy(GOOD_OLD, keys=program(value(keys)))
    yield legacy(GOOD_OLD, keys=program(call(named("os", "system"), SHELL)))
    yield legacy(GOOD_OLD, keys=program(OLD.storage()))
    yield legacy(GOOD_OLD, keys=program(value([OLD.tensor()])))
    yield legacy(GOOD_OLD, keys=b"")
    two = program(value([OLD.tensor(), OLD.tensor(OLD.storage("1", 2**20), size=(2**20,))]))
    yield legacy(two, {"0": (4, FLOATS)})
    yield legacy(two, {"0": (4, FLOATS), "1": (2**20, b"")})


def _view(key, offset, size, root="0", count=4):
    kind = named("torch", "FloatStorage")
    return OLD.tensor(persistent(("storage", kind, root, "cpu", count, (key, offset, size))), size=(1,))


def legacy_views():
    """Views on storages, which torch before 0.4 wrote: a piece of another storage, by offset and size."""
    for offset in (0, 1, 3, 4, -1, 2**31, 2**62, 2**63 - 1, 2**64, "1", None, 1.5):
        for size in (0, 1, 4, 5, -1, 2**31, 2**63 - 1, None):
            yield legacy(program(_view("v", offset, size)))
    yield legacy(program(_view("0", 0, 4)))
    yield legacy(program(value([_view("0", 1, 3), OLD.tensor(), _view("0", 2, 2)])))
    yield legacy(program(value([_view("v", 0, 1), _view("v", 3, 1), _view("v", 0, 10**6)])))
    yield legacy(program(value([_view(f"v{n}", 0, 4, root=f"v{n - 1}" if n else "0") for n in range(500)])))
    kind = named("torch", "FloatStorage")
    for metadata in (
        4,
        "abc",
        (),
        ("v",),
        ("v", 0),
        ("v", 0, 1, 2),
        (None, 0, 1),
        ([], 0, 1),
        [("v", 0, 1)],
        {"v": 1},
        True,
    ):
        yield legacy(program(OLD.tensor(persistent(("storage", kind, "0", "cpu", 4, metadata)))))


def _old_tar(pickle, tensors=b"", storages=b""):
    return tarred(
        [("sys_info", program(value(SYSTEM))), ("pickle", pickle), ("tensors", tensors), ("storages", storages)]
    )


def tar_format():
    """The format of torch 0.1, which torch's own reader kept taking, without restriction, until 2.6."""
    count = program(number(1))
    kind = named("torch", "FloatStorage")
    header = program(value((1, "cpu", kind)))
    storages = count + header + struct.pack("<q", 4) + FLOATS + program(b"]")
    tensors = count + program(value((1, 1, named("torch", "FloatTensor")))) + struct.pack("<iiqqq", 1, 0, 4, 1, 0)
    yield _old_tar(EVIL, tensors, storages)
    yield _old_tar(program(persistent("1")), tensors, storages)
    yield _old_tar(GOOD, EVIL, storages)
    yield _old_tar(GOOD, tensors, EVIL)
    yield _old_tar(GOOD, count + EVIL, count + EVIL)
    yield _old_tar(program(persistent("1")), tensors, count + header + struct.pack("<q", 2**40))
    yield _old_tar(program(persistent("1")), tensors, program(number(2**62)) + header)
    yield _old_tar(b"", b"", b"")
    yield tarred([("pickle", EVIL)])
    yield tarred([("storages", storages), ("tensors", tensors), ("pickle", EVIL), ("sys_info", EVIL)])


def _member(name, kind, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def tar_links():
    rest = [("tensors", program(b"]")), ("pickle", EVIL)]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        for link in ("/etc/passwd", "../../../etc/passwd", "pickle", "storages", "/dev/zero"):
            yield tarred([_member("storages", kind, link), *rest])
            yield tarred([*rest, _member("sys_info", kind, link)])
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"Z"):
        yield tarred([_member("storages", kind), *rest])
    for name in ("../canary", "/tmp/canary", "x" * 5000, "\u00e9", "\udcff", "storages/../pickle"):
        yield tarred([(name, EVIL), *rest])


def tar_numbers():
    plain = _old_tar(EVIL)
    for size in (b"77777777777\0", b"\x80" + b"\0" * 6 + b"\xff" * 5, b"-0000000001\0", b"xxxxxxxxxxx\0", b"\xff" * 12):
        block = bytearray(plain)
        block[124:136] = size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
        yield bytes(block)
    yield plain[:512] * 300
    yield plain[:700]
    yield gzipped(plain)


def numpy_files():
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    head = b"\x93NUMPY\1\0" + struct.pack("<H", 118) + header.ljust(117) + b"\n"
    yield head + EVIL
    yield head.replace(b"|O", b"f8") + bytes(8)
    yield head.replace(b"(1,)", b"(9" + b"9" * 15 + b",)")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("weight.npy"), head + EVIL)
    yield out.getvalue()


def other_files():
    generator = random.Random(0)
    for length in (1, 2, 4, 100, 10000):
        yield bytes(generator.randrange(256) for _ in range(length))
        yield b"\0" * length
        yield b"\xff" * length
    yield b""
    yield b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1000\n"
    yield b"<!DOCTYPE html><html><body>404</body></html>"
    yield struct.pack("<Q", 2**60) + b'{"weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'
    yield b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield b"\x89HDF\r\n\x1a\n" + bytes(100)
    yield b"7z\xbc\xaf\x27\x1c" + bytes(100)
    yield b"#!/usr/bin/env python\nopen('canary', 'w')\n"
    yield b'{"weight": [1, 2, 3]}'
    yield EVIL
    yield GOOD
    yield build(named("os", "system"), SHELL)
    yield program(FALSE)


FILES = [
    zip_bomb,
    zip_overlaps,
    zip_duplicates,
    zip_names,
    zip_numbers,
    zip64_lies,
    zip_ends,
    zip_missing,
    zip_storage_sizes,
    zip_notes,
    zip_many_entries,
    zip_in_zip,
    torchscript,
    polyglots,
    legacy_headers,
    legacy_system,
    legacy_counts,
    legacy_keys,
    legacy_views,
    tar_format,
    tar_links,
    tar_numbers,
    numpy_files,
    other_files,
]
