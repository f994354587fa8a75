"""The corpus of hostile checkpoints: kinds, the files of each, and mutations.

A file is never stored: it is made when it is needed, from code and from seeds, and is the same on every machine but for
what zlib packs how tightly.
"""

import itertools
import random
import zipfile
import zlib
from pathlib import Path

from assembler import FORMS, call, named, program
from corpus_code import CODE, SHELL
from corpus_files import FILES
from corpus_promises import PROMISES
from corpus_structures import STRUCTURES
from corpus_tensors import TENSORS

HONEST = Path(__file__).parent / "data"


def _pickles(kind):
    """The pickles of a kind, with the container each goes into."""
    for label, form in FORMS.items():
        for pickle in kind(form):
            yield label, form, pickle if kind in STRUCTURES else program(pickle)


def files(kind):
    """The files of a kind, as (name, bytes)."""
    if kind in FILES:
        for number, data in enumerate(kind()):
            yield f"{kind.__name__}/{number}", data
        return
    for number, (label, form, pickle) in enumerate(_pickles(kind)):
        yield f"{kind.__name__}/{label}/{number}", form.file(pickle)


KINDS = [*CODE, *TENSORS, *PROMISES, *STRUCTURES, *FILES]


# Mutations.

_NUMBERS = (
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\0\0\0\0",
    b"\1\0\0\0",
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
)


def mutated(data, generator, other=b""):
    """*data* with one to three changes."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 3)):
        place, length = generator.randrange(len(data) + 1), generator.choice((1, 1, 2, 4, 8, 30))
        change = generator.randrange(9)
        if change == 0 and place < len(data):
            data[place] ^= 1 << generator.randrange(8)
        elif change == 1:
            del data[place : place + length]
        elif change == 2:
            data[place:place] = bytes(generator.randrange(256) for _ in range(length))
        elif change == 3:
            number = generator.choice(_NUMBERS)
            data[place : place + len(number)] = number
        elif change == 4:
            start = generator.randrange(len(data) + 1)
            data[place:place] = data[start : start + length]
        elif change == 5:
            del data[place:]
        elif change == 6:
            start = generator.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + generator.randrange(200)]
        elif change == 7 and place < len(data):
            data[place] = generator.choice(b"(.0123]})tuaesbRQhqjrc\x81\x85\x86\x87\x88\x8a\x93GJKMXNl}")
        elif change == 8:
            data[place : place + length] = bytes(len(data[place : place + length]))
    return bytes(data)


def _seeded(name):
    return random.Random(zlib.crc32(name.encode()))


def mutations(kind, count, among=None, largest=20000):
    """*count* mutations of the smaller files of a kind: half of them mutated before they go into their container."""
    generator = _seeded(kind.__name__)
    if kind in FILES:
        bases = ((None, data) for _, data in files(kind))
    else:
        bases = ((form, pickle) for _, form, pickle in _pickles(kind))
    bases = [base for base in itertools.islice(bases, among) if len(base[1]) <= largest]
    for number in range(count if bases else 0):
        form, data = generator.choice(bases)
        _, other = generator.choice(bases)
        inside = number % 2 == 0
        if form and not inside:
            data = form.file(data)
        data = mutated(data, generator, other)
        if form and inside:
            data = form.file(data)
        yield f"{kind.__name__}~{number}", data


def honest_files():
    """What torch 1.2 to 2.15 wrote, from the packs of checkpoint_exchange.py: (name, bytes)."""
    for path in sorted(HONEST.glob("*.zip")):
        with zipfile.ZipFile(str(path)) as pack:
            for name in sorted(pack.namelist()):
                if name.endswith(".pt"):
                    yield f"{path.stem}/{name}", pack.read(name)


def honest_mutations(each, among=1):
    """*each* mutations, and as many cuts at a border of their structure, of every *among*-th of the honest files."""
    for name, data in itertools.islice(honest_files(), 0, None, among):
        generator = _seeded(name)
        yield name, data
        for number in range(each):
            yield f"{name}~{number}", mutated(data, generator, data)
        borders = _borders(data)
        for end in generator.sample(borders, min(each, len(borders))):
            yield f"{name}[:{end}]", data[:end]


def _borders(data):
    """Where headers, records and the first instructions start and end."""
    places = {0, 1, 2, len(data) - 1}
    for sign in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\x80\2", b"q", b"R", b"Q"):
        place = data.find(sign)
        while place >= 0:
            places.update((place, place + len(sign)))
            place = data.find(sign, place + 1)
    return sorted(place for place in places if 0 <= place < len(data))


def selection(which):
    """The files to read: ``"sample"``, one of each kind and a few mutations, or ``"full"``, all of them;
    ``"control"``, a few that do all the harm there is to a reader that trusts them."""
    if which == "control":
        yield from _control()
        return
    if which not in ("sample", "full"):
        raise ValueError(f"which must be 'sample', 'full' or 'control', got {which!r}")
    full = which == "full"
    for number, kind in enumerate(KINDS):
        if full:
            yield from files(kind)
            yield from mutations(kind, 40)
        else:
            yield _one(kind, number)
    yield from honest_mutations(12) if full else honest_mutations(1, among=29)


def _one(kind, number):
    """A file of a kind, not always the first, and not always in the same container."""
    start = _seeded(kind.__name__).randrange(4)
    if kind in FILES:
        found = itertools.chain(itertools.islice(files(kind), start, start + 1), files(kind))
        return next(found)
    label = sorted(FORMS)[number % 2]
    form = FORMS[label]
    pickle = next(itertools.chain(itertools.islice(kind(form), start, start + 1), kind(form)))
    return f"{kind.__name__}/{label}", form.file(pickle if kind in STRUCTURES else program(pickle))


def _control():
    bodies = {
        "code": call(named("os", "system"), SHELL),
        "import": named("hostile_module", "__name__"),
        "request": call(named("builtins", "bytearray"), 2**40),
        "memory": call(named("builtins", "bytearray"), 80 * 2**20),
        "name": named("os", "system"),
        "honest": FORMS["legacy"].tensor(),
        "hang": call(named("builtins", "sum"), call(named("builtins", "range"), 10**12)),
    }
    for name, body in bodies.items():
        yield name, FORMS["legacy"].file(program(body))
