"""Hostile pickles whose instructions are wrong, or right and ruinous: bombs, depth, lengths, stacks, memos, collisions.

These are whole programs, not values.
"""

import struct

from assembler import (
    EMPTY,
    MARK,
    NONE,
    STOP,
    build,
    call,
    named,
    number,
    ordered,
    program,
    raw,
    text,
    value,
)

DEEP = 100000


def laughs(form):
    """Thirty to sixty levels, each holding the level below twice: small as a graph, endless as a tree."""
    for first, last in ((EMPTY, b"\x86"), (text("ha"), b"\x86"), (ordered(), b"\x86")):
        for levels in (30, 60, 200):
            body = first + b"".join(b"q" + bytes([level]) + b"h" + bytes([level]) + last for level in range(levels))
            yield program(body)
    body = b"]" + b"".join(b"q" + bytes([n]) + b"0](h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(60))
    yield program(body)


def laughing_keys(form):
    """A key's hash walks the whole tree."""
    for levels in (24, 40, 60):
        tree = EMPTY + b"".join(b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86" for level in range(levels))
        yield program(b"}" + tree + b"Ns")
        yield program(b"\x8f(" + tree + b"\x90")
        yield program(b"(" + tree + b"\x91")
        yield program(call(named("builtins", "set"), [tree]))
        yield program(call(named("collections", "Counter"), [tree]))
        yield program(tree + b"Q")
        yield program(ordered((tree, 1)))
        yield program(call(named("collections", "OrderedDict"), [(tree, 1)]))
        yield program(form.storage(key=tree))


def deep(form):
    yield program(b"]" * DEEP + b"a" * (DEEP - 1))
    yield program(EMPTY + b"\x85" * DEEP)
    yield program(MARK * DEEP + b"t" * DEEP)
    yield program(b"}N" * DEEP + b"}" + b"s" * DEEP)
    yield program(MARK * DEEP)
    yield program((named("torch", "Size") + EMPTY) * 2000 + b"R" * 2000)
    yield program(EMPTY + b"Q" * 2000)
    yield program(ordered() * 3000 + b"b" * 2999)
    yield program(value([form.tensor()]) + b"\x85" * DEEP)


def deep_keys(form):
    """Hashing and comparing a deep tuple recurses in C."""
    key = EMPTY + b"\x85" * DEEP
    yield program(b"}" + key + b"Ns")
    yield program(b"\x8f(" + key + b"\x90")
    yield program(b"(" + key + key + b"\x91")
    yield program(call(named("builtins", "set"), (key,)))
    yield program(key + b"Q")
    yield program(form.storage(key=key))
    yield program(form.storage(kind=key))
    yield program(call(named("torch", "Size"), key))
    yield program(call(named("torch", "device"), key))
    yield program(form.tensor(size=key))
    yield program(key + EMPTY + b"R")
    yield program(key + EMPTY + b"\x81")
    yield program(key + EMPTY + b"b")


def cycles(form):
    yield program(b"]q\0h\0a")
    yield program(b"}q\0Nh\0s")
    yield program(b"}q\0(h\0h\0u")
    yield program(b"](]q\0h\0etq\1h\1\x86")
    yield program(ordered() + b"q\0Nh\0s")
    yield program(ordered() + b"q\0h\0b")
    yield program(ordered() + b"q\0}Vitems\nh\0sb")
    yield program(b"]q\0" + b"(h\0h\0e" * 1000)
    yield program(call(named("collections", "OrderedDict"), b"]q\0(h\0h\0\x86e"))
    yield program(b"]q\0h\0Q")
    yield program(named("torch", "Size") + b"]q\0h\0a\x85R")
    yield program(build(ordered(), b"}q\0Vself\nh\0s"))


def giant_lengths(form):
    for code, layout in (
        (b"X", "<I"),
        (b"T", "<i"),
        (b"B", "<I"),
        (b"\x8b", "<i"),
        (b"\x8d", "<Q"),
        (b"\x8e", "<Q"),
        (b"\x96", "<Q"),
    ):
        top = {"<I": 2**32, "<i": 2**31, "<Q": 2**64}[layout]
        for length in (top - 1, top // 2 - 1, top // 4, 10**9, 10**8):
            yield program(code + struct.pack(layout, length) + b"abc", 4)
            yield program(code + struct.pack(layout, length) + b"a" * 50000, 5)
    for code in (b"T", b"\x8b"):
        yield program(code + struct.pack("<i", -1) + b"abc")
        yield program(code + struct.pack("<i", -(2**31)) + b"abc")
    for code in (b"U", b"C", b"\x8a", b"\x8c"):
        yield program(code + b"\xffabc", 4)


def frames(form):
    body = value([1, 2, form.tensor()])
    for length in (0, 1, 5, len(body) + 1, len(body) + 2, 2**31, 2**62, 2**63, 2**64 - 1):
        yield program(b"\x95" + struct.pack("<Q", length) + body, 4)
        yield program(b"\x95" + struct.pack("<Q", 9) + b"\x95" + struct.pack("<Q", length) + body, 4)
    yield program(b"\x95\1", 4)


def memo(form):
    for index in (2**31 - 1, 2**31, 2**32 - 1, 10**8, 10**7):
        yield program(b"]r" + struct.pack("<I", index))
        yield program(b"]j" + struct.pack("<I", index))
        yield program(f"]p{index}\n".encode())
        yield program(f"]p{index}\ng{index}\n".encode())
    for index in ("-1", "99999999999999999999", "x", "", "1.5", "0x10", " 1", "1_0", "\u0661"):
        yield program(f"]p{index}\n".encode())
        yield program(f"]p0\ng{index}\n".encode())
    yield program(b"h\0")
    yield program(b"q\0")
    yield program(b"(q\0")
    yield program(b"\x94")
    yield program(b"]" + b"\x94" * 100000)
    yield program(b"]" + b"".join(b"r" + struct.pack("<I", n * 40000) for n in range(1, 2000)))


def unhashable(form):
    for key in (
        b"]",
        b"}",
        b"\x8f",
        b"]\x85",
        form.tensor(),
        ordered(),
        form.storage(),
        b"\x96" + struct.pack("<Q", 0),
    ):
        yield program(b"}" + key + b"Ns", 5)
        yield program(b"}(" + key + b"Nu", 5)
        yield program(b"\x8f(" + key + b"\x90", 5)
        yield program(b"(" + key + b"\x91", 5)
        yield program(ordered() + key + b"Ns", 5)
        yield program(call(named("builtins", "set"), [key]), 5)
        yield program(call(named("collections", "Counter"), [key]), 5)


def collisions(form):
    """Keys that differ and hash alike: each insertion compares with all before it."""
    count = 20000
    same = b"".join(number(n * (2**61 - 1)) for n in range(1, count))
    pairs = b"".join(number(n * (2**61 - 1)) + NONE for n in range(1, count))
    halves = b"".join(b"(" + b"".join(number(-1 - (n >> bit & 1)) for bit in range(14)) + b"tN" for n in range(2**14))
    yield program(b"}(" + pairs + b"u")
    yield program(b"}(" + halves + b"u")
    yield program(b"\x8f(" + same + b"\x90", 4)
    yield program(b"(" + same + b"\x91", 4)
    yield program(call(named("builtins", "set"), b"](" + same + b"e"))
    yield program(ordered() + b"(" + pairs + b"u")
    yield program(b"}(" + (number(float("nan")) + NONE) * count + b"u")
    yield program(call(named("collections", "Counter"), b"](" + same + b"e"))


def underflow(form):
    """Every instruction on an empty stack, on a lone mark, and on things it is not for."""
    for code in range(256):
        yield b"\x80\2" + bytes([code]) + b"\0\0\0\0\0\0\0\0" + STOP
        yield b"\x80\2(" + bytes([code]) + STOP
    for code in b"aebus0123RtQo\x81\x85\x86\x87\x90\x91\x92\x93\x94":
        yield b"\x80\4NNN" + bytes([code]) + STOP
        yield b"\x80\4(NK\1" + bytes([code]) + STOP
        yield b"\x80\4" + form.tensor() + b"NN" + bytes([code]) + STOP


def ends(form):
    body = value([1, form.tensor()])
    whole = program(body)
    for end in range(0, len(whole), 7):
        yield whole[:end]
    yield b""
    yield b"."
    yield b"\x80"
    yield b"\x80\2."
    yield whole + b"garbage" * 100
    yield whole[:-1]
    yield whole[:-1] + b"0."
    yield whole[:-1] + b"N."
    yield program(b"(" + body)
    yield whole * 3


def wrong_targets(form):
    """Items set on, or appended to, what is no container."""
    for target in (
        form.tensor(),
        form.storage(),
        EMPTY,
        b"]",
        b"}",
        ordered(),
        text("abc"),
        number(1),
        named("torch", "Tensor"),
    ):
        yield program(target + number(0) + number(9) + b"s")
        yield program(target + b"(" + number(0) + number(9) + b"u")
        yield program(target + b"(" + number(0) + b"u")
        yield program(target + number(9) + b"a")
        yield program(target + b"(" + number(9) + b"e")
        yield program(target + b"(" + number(9) + b"\x90", 4)
    yield program(named("torch", "Tensor") + text("poisoned") + NONE + b"s")
    yield program(named("collections", "OrderedDict") + text("poisoned") + NONE + b"s")
    counter = call(named("collections", "Counter"), [1, 1])
    yield program(counter + b"(" + text("a") + form.tensor() + b"u")
    yield program(call(named("collections", "Counter"), {"a": form.tensor()}))
    yield program(call(named("collections", "Counter"), text("a" * 100000)))


def text_instructions(form):
    for line in (
        b"I01",
        b"I00",
        b"Ix",
        b"I",
        b"I" + b"9" * 200000,
        b"L1L",
        b"L",
        b"L" + b"9" * 200000 + b"L",
        b"I0x10",
        b"I1_0",
    ):
        yield program(line + b"\n")
    for line in (b"Fnan", b"Finf", b"Fx", b"F", b"F1e999999", b"F" + b"1" * 200000, b"F0x1p3", b"F1_0"):
        yield program(line + b"\n")
    for line in (b"S'a'", b"S'a", b"Sa", b"S'\\x00\\xff'", b"S'\\", b"S", b"S'" + b"\\n" * 50000 + b"'", b"S\"a'"):
        yield program(line + b"\n")
    for line in (b"V\\u0041", b"V\\ud800", b"V\\u", b"V\\U00110000", b"V" + b"\\u0041" * 20000, b"V\xff"):
        yield program(line + b"\n")
    yield program(b"I1")
    yield program(b"X" + struct.pack("<I", 2) + b"\xff\xfe")
    yield program(b"X" + struct.pack("<I", 3) + b"\xed\xa0\x80")
    yield program(b"U\2\xff\xfe")


def codecs(form):
    encode = named("_codecs", "encode")
    for name in (
        "zlib",
        "bz2",
        "hex",
        "base64",
        "uu",
        "rot13",
        "idna",
        "punycode",
        "unicode_escape",
        "utf-7",
        "mbcs",
        "x\0",
        "",
        "no",
    ):
        yield program(call(encode, "a\u00e9" * 10, name))
        yield program(call(encode, raw(b"abc"), name))
        yield program(call(encode, "a", "ascii", name))
    yield program(call(encode, "\u0130" * 30000, "idna"))
    yield program(call(encode, "\u03be\u03b2" * 30000, "punycode"))
    yield program(call(encode, "\udcff", "latin1"))
    yield program(call(encode, "\u20ac" * 1000, "latin1", "namereplace"))
    yield program(call(encode, form.tensor(), "latin1"))
    yield program(call(encode))
    yield program(call(encode, "a" * 1000, "utf-32"))


def containers_of_containers(form):
    for target in (named("collections", "OrderedDict"), named("collections", "Counter"), named("builtins", "set")):
        for argument in (5, "abc", NONE, [1], [(1, 2, 3)], {"a": 1}, form.tensor(), form.storage(), [[1]], target):
            yield program(call(target, argument))
            yield program(call(target, argument, argument))
    for argument in (
        (1, 2),
        ("1+2j",),
        ("x" * 100000,),
        ("1" * 100000,),
        (form.tensor(),),
        ("inf", "nan"),
        (NONE,),
        (2**2000,),
    ):
        yield program(call(named("builtins", "complex"), *argument))
    for argument in ([256], [-1], ["a"], "abc", [1] * 10, form.tensor(), form.storage(), 2**31):
        yield program(call(named("builtins", "bytearray"), argument))
        yield program(call(named("builtins", "bytearray"), argument, "latin1"))
        yield program(call(named("builtins", "bytes"), argument))
        yield program(call(named("builtins", "range"), 2**62))


def protocols(form):
    body = value([1, "a", form.tensor()])
    for protocol in (0, 1, 3, 4, 5, 6, 77, 255):
        yield program(body, protocol)
    yield body + STOP
    yield b"\x80\2" * 1000 + body + STOP
    yield b"\x80\2" + body + b"\x80\xff" + STOP


def buffers(form):
    for code in (b"\x97", b"\x98", b"\x97\x98", b"]\x98"):
        yield program(code, 5)
    yield program(value([b"\x97", form.tensor()]), 5)


def long_integers(form):
    for size in (255, 256, 10000, 200000):
        data = b"\xff" * (size - 1) + b"\x7f"
        yield program(b"\x8b" + struct.pack("<i", size) + data)
        yield program(form.tensor(size=(b"\x8b" + struct.pack("<i", size) + data,)))
        yield program(form.storage(count=b"\x8b" + struct.pack("<i", size) + data))
        yield program(b"}(" + (b"\x8b" + struct.pack("<i", size) + data + NONE) * 3 + b"u")
    yield program(b"\x8b\0\0\0\0")
    yield program(b"\x8a\0")


STRUCTURES = [
    laughs,
    laughing_keys,
    deep,
    deep_keys,
    cycles,
    giant_lengths,
    frames,
    memo,
    unhashable,
    collisions,
    underflow,
    ends,
    wrong_targets,
    text_instructions,
    codecs,
    containers_of_containers,
    protocols,
    buffers,
    long_integers,
]
