"""Reads hostile files, in a process of its own that run_probe.py forks, and prints what each did.

It works in the current directory, which is to be empty and of its own. For each file it prints a line with its number
and name before, and a line of JSON after. A file that kills the process, or takes more than its time, is the last one
named.

The readers: "public" and "fallback", the torchcompat.load there is and the one of ours; "torch", torch's own with
weights_only; "trusting", torch's own without; "globals", get_unsafe_globals_in_checkpoint. The selections: those of
corpus.selection.
"""

import collections
import ctypes
import gc
import io
import json
import os
import re
import resource
import signal
import sys
import types
import warnings
from pathlib import Path

import torch

from torchcompat import SHIMS, at_least

SECONDS = 20  # of the processor; of a clock on the wall six times that
LIBC = ctypes.CDLL(None)
FREE = 64 * 2**20  # what reading may take beside four times the file
SPARE = 64 * 2**20  # address space that an allocator or a thread may reserve and never use

COMPRESSED = [f"torch.sparse_{kind}" for kind in ("csr", "csc", "bsr", "bsc")]
OWN = {"checkpoint.pt", "warm.pt", "hostile_module.py", "__pycache__"}
EVENTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
WATCHED = (
    *(collections.OrderedDict, collections.Counter, torch.Tensor, torch.nn.Parameter, torch.Size, torch.device),
    *(torch.float32.__class__, torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter),
)


class Fault(Exception):
    """What a file must not bring about."""


# What a file did to the process.


class Canary:
    """Notices code that ran: by a file left behind, a module imported, an audited event, a changed class."""

    def __init__(self):
        self.events = []
        self.before = self._fingerprint()
        if hasattr(sys, "addaudithook"):  # Python 3.8
            sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if event in EVENTS:
            self.events.append(f"{event}{arguments!r}"[:200])

    def _fingerprint(self):
        sizes = [len(vars(each)) for each in WATCHED]
        return sizes, len(os.environ), torch.get_default_dtype(), sys.getrecursionlimit(), os.getcwd()

    def start(self):
        self.events.clear()
        self.before = self._fingerprint()

    def check(self):
        found = []
        for name in set(os.listdir(".")) - OWN:
            os.remove(name)
            found.append(f"code ran: it left the file {name}")
        for name in [name for name in sys.modules if name.startswith(("hostile_", "antigravity"))]:
            del sys.modules[name]
            found.append(f"the module {name} was imported")
        if self.events:
            found.append(f"code ran: {self.events[0]}")
        if self._fingerprint() != self.before:
            found.append("something of the process has changed")
        if found:
            raise Fault("; ".join(found))


def _status(field):
    found = re.search(field + r":\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) * 1024


class Memory:
    """Limits the address space, and measures the peak of what is resident."""

    def __init__(self, size):
        self.allowed = 4 * size + FREE
        gc.collect()
        LIBC.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self.before = _status("VmRSS")
        self.limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + self.allowed + SPARE, self.limits[1]))

    def taken(self):
        resource.setrlimit(resource.RLIMIT_AS, self.limits)
        return _status("VmHWM") - self.before

    def check(self, taken, error):
        while error is not None:
            if isinstance(error, MemoryError) or re.search("(?i)allocate|enough memory|bad_alloc", str(error)[:1000]):
                raise Fault("it asked for more memory than there is")
            error = error.__cause__ or error.__context__
        if taken > self.allowed:
            raise Fault(f"it took {taken >> 20} MiB, where {self.allowed >> 20} are allowed")


# What was read.


def _parts(item):
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return list(item) if isinstance(item, (list, tuple, set, frozenset)) else []


def examine(result):
    """Look at everything that was read, and use every tensor, which would crash if it was made of another's memory."""
    seen, waiting = {}, [result]
    while waiting and len(seen) < 20000:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, torch.Tensor):
            _examine_tensor(item)
        elif isinstance(item, (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)):
            if not str(getattr(item, "__module__", item)).startswith(("torch", "collections")):
                _allowed_name(item)
        elif type(item).__dict__.get("__reduce_ex__") is None:
            waiting.extend(_parts(item)[:20000])


def _allowed_name(item):
    if item not in (bytearray, set, complex, bytes) and getattr(item, "__name__", "") != "encode":
        raise Fault(f"it gave out {item!r}")


def _examine_tensor(tensor):
    if str(tensor.device) == "meta":
        return
    if tensor.layout == torch.strided and not getattr(tensor, "is_nested", False):
        _inside(tensor)
    try:
        if tensor.layout == torch.sparse_coo:
            _examine_sparse(tensor)
        elif str(tensor.layout) in COMPRESSED:
            _examine_compressed(tensor)
        elif 0 < tensor.numel() <= 10**6:
            plain = tensor.dequantize() if tensor.is_quantized else tensor.clone()
            plain.double().sum()
            if tensor.requires_grad:
                tensor.double().sum().backward()
    except Fault:
        raise
    except Exception:
        pass  # that it cannot be used is no fault; that it kills the process is


def _inside(tensor):
    if tensor.numel():
        last = tensor.storage_offset() + sum((n - 1) * step for n, step in zip(tensor.size(), tensor.stride()))
        storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
        has = storage.nbytes() if hasattr(tensor, "untyped_storage") else storage.size() * storage.element_size()
        if tensor.storage_offset() < 0 or (last + 1) * tensor.element_size() > has:
            raise Fault(f"a view of {tuple(tensor.size())} goes beyond its storage of {has} bytes")


def _examine_sparse(tensor):
    indices = tensor._indices()
    if indices.numel():
        sizes = torch.tensor(list(tensor.size()[: indices.size(0)])).unsqueeze(1)
        if bool((indices < 0).any()) or bool((indices >= sizes).any()):
            raise Fault("a sparse tensor has indices that are out of it")
    if tensor.numel() <= 10**6 and indices.size(1) <= 10**6:
        tensor.to_dense().sum()


def _examine_compressed(tensor):
    rows = "sr" in str(tensor.layout)
    lines = (tensor.crow_indices() if rows else tensor.ccol_indices()).long()
    others = (tensor.col_indices() if rows else tensor.row_indices()).long()
    steps = lines[..., 1:] - lines[..., :-1]
    if bool((steps < 0).any()) or bool((lines[..., -1] != others.size(-1)).any()):
        raise Fault("the rows of a sparse tensor do not begin where the one before ends")
    if bool((others < 0).any()) or bool((others >= max(tensor.shape[-2:])).any()):
        raise Fault("a sparse tensor has indices that are out of it")
    if tensor.numel() <= 10**6:
        tensor.to_dense().double().sum()


# Reading.


def reader(name):
    """The function under test, of what is read and whether the file may be mapped into memory."""
    if name == "trusting":
        trust = {"weights_only": False} if at_least(1, 13) else {}
        return lambda source, mmap: torch.load(source, **trust)
    if name == "torch":
        return lambda source, mmap: torch.load(source, map_location="cpu", weights_only=True)
    if name == "globals":
        return lambda source, mmap: SHIMS["serialization.get_unsafe_globals_in_checkpoint"].public(source)
    load = SHIMS["load"].public if name == "public" else SHIMS["load"].fallback
    return lambda source, mmap: load(source, map_location="cpu", mmap=mmap)


def read(function, number, data, canary):
    """What became of one file: its outcome, the error's text and the memory it took. Raises Fault."""
    path = Path("checkpoint.pt")
    path.write_bytes(data)
    # From a path, from a path that may be mapped, and from an open file.
    source = io.BytesIO(data) if number % 3 == 0 else str(path)
    mmap = True if number % 3 == 1 and data[:4] == b"PK\3\4" else None
    result = error = None
    memory = Memory(len(data))
    canary.start()
    try:
        result = function(source, mmap)
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit) as caught:
        error = caught
    taken = memory.taken()
    canary.check()
    memory.check(taken, error)
    if error is None:
        examine(result)
        canary.check()
    outcome = "loaded" if error is None else type(error).__name__
    text = str(error) if error else ""
    prints = text.replace("\n", "").isprintable()
    return {"outcome": outcome, "text": text[:300], "lines": len(text.split("\n")), "prints": prints, "taken": taken}


def _warm(function):
    from assembler import FORMS, program, value

    for form in FORMS.values():
        for body in (form.tensor(), form.tensor(form.storage(count=5)), b"cos\nsystem\n"):
            for mmap in (True, None):
                Path("warm.pt").write_bytes(form.file(program(value([body]))))
                try:
                    function("warm.pt", mmap)
                except Exception:
                    pass


def main(name, which, first):
    import corpus

    seconds = 0.5 if which == "control" else SECONDS
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    Path("hostile_module.py").write_text("open('canary', 'w').close()\n")
    sys.path.insert(0, os.getcwd())
    function = reader(name)
    _warm(function)
    gc.collect()
    gc.freeze()  # what is there stays there: a collection after each file need not look at it
    canary = Canary()
    for number, (label, data) in enumerate(corpus.selection(which)):
        if number < int(first):
            continue
        print(number, label, flush=True)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 6 * seconds)
        try:
            found = read(function, number, data, canary)
        except Fault as fault:
            found = {"outcome": "FAULT", "text": str(fault), "taken": 0}
        spent = seconds - signal.setitimer(signal.ITIMER_PROF, 0)[0]
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps({"name": label, "size": len(data), "seconds": round(spent, 3), **found}), flush=True)
    print("END", flush=True)
