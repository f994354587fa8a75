"""One level for matrix products and one for convolutions, after any mix of torch's three ways to set them.

No GPU is needed: torch keeps the settings without one, and it is the settings that are tested.
"""

import asyncio
import enum
import functools
import itertools
import json
import os
import random
import re
import subprocess
import sys
import threading

import pytest
import torch

from torchcompat import at_least, precision
from torchcompat.precision import (
    conv_precision,
    get_conv_precision,
    get_matmul_precision,
    matmul_precision,
    set_conv_precision,
    set_matmul_precision,
)

MATMUL_LEVELS = ["highest", "high", "medium"]
CONV_LEVELS = ["highest", "high"]
SIDES = [
    pytest.param(set_matmul_precision, get_matmul_precision, matmul_precision, MATMUL_LEVELS, id="matmul"),
    pytest.param(set_conv_precision, get_conv_precision, conv_precision, CONV_LEVELS, id="conv"),
]
both_sides = pytest.mark.parametrize(("set_level", "get_level", "context", "levels"), SIDES)

FLAGS = at_least(1, 7)
LEVEL = at_least(1, 12)
TREE = at_least(2, 9)
PARENTS = [("generic", "all"), ("cuda", "all"), ("mkldnn", "all")]
MATMUL_LEAVES = [("cuda", "matmul"), ("mkldnn", "matmul")]
CONV_LEAVES = [("cuda", "conv"), ("cuda", "rnn")]
OTHER_LEAVES = [("mkldnn", "conv"), ("mkldnn", "rnn")]
NODES = PARENTS + MATMUL_LEAVES + CONV_LEAVES + OTHER_LEAVES

needs_flags = pytest.mark.skipif(not FLAGS, reason="torch has had something to set since 1.7")
needs_level = pytest.mark.skipif(not LEVEL, reason="in torch since 1.12")
needs_tree = pytest.mark.skipif(not TREE, reason="torch has had two APIs to mix since 2.9")


# What torch itself says, and how to bring it about.


def read(node):
    return torch._C._get_fp32_precision_getter(*node)


def write(node, value):
    torch._C._set_fp32_precision_setter(*node, value)


def or_raises(function):
    try:
        return function()
    except RuntimeError:
        return "raises"


def old_getters():
    """What torch's getters from before 2.9 say."""
    seen = {}
    if FLAGS:
        seen["cublas"] = or_raises(lambda: torch.backends.cuda.matmul.allow_tf32)
        seen["cudnn"] = or_raises(lambda: torch.backends.cudnn.allow_tf32)
    if LEVEL:
        seen["level"] = or_raises(torch.get_float32_matmul_precision)
    return seen


def own_values():
    """The tree of 2.9 and later: the own value of every node, below parents that say nothing; and the older level."""
    parents = []
    for node in PARENTS:
        parents.append((node, read(node)))
        write(node, "none")
    own = {node: read(node) for node in MATMUL_LEAVES + CONV_LEAVES + OTHER_LEAVES}
    for node in MATMUL_LEAVES:
        write(node, "ieee")
    level = torch.get_float32_matmul_precision()
    for node in MATMUL_LEAVES:
        write(node, own[node])
    for node, value in parents:
        write(node, value)
    return dict(parents, level=level, **{"{}.{}".format(*node): value for node, value in own.items()})


def everything():
    """All that torch and torchcompat say about precision."""
    seen = old_getters()
    seen["ours"] = get_matmul_precision(), get_conv_precision()
    if TREE:
        seen["now"] = {node: read(node) for node in NODES}
        seen["own"] = own_values()
    return seen


def assigning(owner, name, value):
    return lambda: setattr(owner, name, value)


def steps():
    """Everything that some code could do to torch's settings, by name."""
    found = {}
    for level in MATMUL_LEVELS:
        found["ours " + level] = functools.partial(set_matmul_precision, level)
        if LEVEL:
            found["level " + level] = functools.partial(torch.set_float32_matmul_precision, level)
    for level in CONV_LEVELS:
        found["our conv " + level] = functools.partial(set_conv_precision, level)
    for value in (True, False) if FLAGS else ():
        found[f"cublas {value}"] = assigning(torch.backends.cuda.matmul, "allow_tf32", value)
        found[f"cudnn {value}"] = assigning(torch.backends.cudnn, "allow_tf32", value)
    for node in NODES if TREE else ():
        for value in ("none", "ieee", "tf32") + (() if node[0] == "cuda" else ("bf16",)):
            found["{}.{} {}".format(*node, value)] = functools.partial(write, node, value)
    return found


STEPS = steps()
OLD = [step for step in STEPS if re.match("level|cublas|cudnn", step)]
NEW = [step for step in STEPS if re.match(r"[a-z]+\.(all|matmul)|cuda", step)]
_random = random.Random(0)
HISTORIES = [
    (),
    *itertools.product(STEPS),
    *itertools.product(OLD, OLD),
    *itertools.product(OLD, NEW),
    *itertools.product(NEW, OLD),
    *(tuple(_random.choice(sorted(STEPS)) for _ in range(6)) for _ in range(100)),
]


def start():
    """The defaults, as far as torch can be brought back to them."""
    set_matmul_precision("high" if FLAGS and not LEVEL else "highest")
    set_conv_precision("high" if FLAGS else "highest")
    if TREE:
        for node in PARENTS + MATMUL_LEAVES + OTHER_LEAVES:
            write(node, "none")


def after(history):
    """Go through *history* from the defaults."""
    start()
    for step in history:
        STEPS[step]()


@pytest.fixture(autouse=True)
def _defaults():
    start()
    yield
    start()


# Setting and getting.


def torch_agrees(matmul=None, conv=None):
    """Whether all of torch's getters can be read and say what the level means."""
    seen = old_getters()
    if matmul and LEVEL:
        assert seen["level"] == matmul
    if matmul and FLAGS:
        assert seen["cublas"] is (matmul != "highest")
    if conv and FLAGS:
        assert seen["cudnn"] is (conv != "highest")
    if matmul and TREE:
        leaves = {"highest": ["ieee", "ieee"], "high": ["tf32", "tf32"], "medium": ["tf32", "bf16"]}[matmul]
        assert [torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision] == leaves
    if conv and TREE:
        leaf = {"highest": "ieee", "high": "tf32"}[conv]
        assert [torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision] == [leaf, leaf]
    return True


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_set_is_what_get_and_torch_say(level):
    assert set_matmul_precision(level) is None
    assert get_matmul_precision() == level
    assert torch_agrees(matmul=level)


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_set_is_what_get_and_torch_say(level):
    assert set_conv_precision(level) is None
    assert get_conv_precision() == level
    assert torch_agrees(conv=level)


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_set_overrides_any_history(level):
    for history in HISTORIES:
        after(history)
        set_matmul_precision(level)
        assert get_matmul_precision() == level, history
        assert torch_agrees(matmul=level), history


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_set_overrides_any_history(level):
    for history in HISTORIES:
        after(history)
        set_conv_precision(level)
        assert get_conv_precision() == level, history
        assert torch_agrees(conv=level), history


def test_get_never_raises_and_changes_nothing():
    for history in HISTORIES:
        after(history)
        before = everything()
        assert get_matmul_precision() in MATMUL_LEVELS, history
        assert get_conv_precision() in CONV_LEVELS, history
        assert everything() == before, history


def test_both_sides_are_apart():
    for matmul, conv in itertools.product(MATMUL_LEVELS, CONV_LEVELS):
        set_matmul_precision(matmul)
        set_conv_precision(conv)
        assert (get_matmul_precision(), get_conv_precision()) == (matmul, conv)
        assert torch_agrees(matmul, conv)
        set_matmul_precision(matmul)
        assert (get_matmul_precision(), get_conv_precision()) == (matmul, conv)


def seen_after(*history):
    after(history)
    return get_matmul_precision()


@needs_flags
def test_get_sees_the_flags():
    assert seen_after("cublas True") == "high"
    assert seen_after("cublas False") == "highest"
    assert seen_after("ours medium", "cublas False") == ("medium" if TREE else "highest")
    assert seen_after("cublas True", "ours highest") == "highest"
    after(["cudnn True"])
    assert get_conv_precision() == "high"
    after(["cudnn False"])
    assert get_conv_precision() == "highest"


@needs_level
@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_get_sees_the_level(level):
    assert seen_after("level " + level) == level


@needs_level
def test_get_after_level_and_flag():
    # From 2.9 on the flag is of CUDA alone, and the CPU keeps the level: the less precise of the two counts.
    assert seen_after("level high", "cublas False") == ("high" if TREE else "highest")
    assert seen_after("level medium", "cublas False") == ("medium" if TREE else "highest")
    assert seen_after("level medium", "cublas True") == ("medium" if TREE else "high")
    assert seen_after("level highest", "cublas True") == "high"


@needs_tree
def test_get_sees_the_tree():
    assert seen_after("cuda.matmul tf32") == "high"
    assert seen_after("cuda.matmul ieee") == "highest"
    assert seen_after("cuda.all tf32") == "high"
    assert seen_after("cuda.all tf32", "cuda.matmul ieee") == "highest"
    assert seen_after("generic.all tf32") == "high"
    assert seen_after("generic.all ieee") == "highest"
    assert seen_after("generic.all bf16") == "medium"
    assert seen_after("mkldnn.matmul tf32") == "high"
    assert seen_after("mkldnn.matmul bf16") == "medium"
    assert seen_after("mkldnn.conv bf16") == "highest"
    assert seen_after("cuda.matmul tf32", "mkldnn.matmul ieee") == "high"
    assert seen_after("level high", "cuda.matmul ieee", "mkldnn.matmul ieee") == "highest"


@needs_tree
def test_get_conv_sees_the_tree():
    for conv, rnn in itertools.product(["ieee", "tf32"], repeat=2):
        after([f"cuda.conv {conv}", f"cuda.rnn {rnn}"])
        assert get_conv_precision() == ("high" if "tf32" in (conv, rnn) else "highest")
    after(["our conv highest", "generic.all tf32"])
    assert get_conv_precision() == "highest"
    after(["cudnn False", "generic.all tf32"])
    assert get_conv_precision() == "high"


def test_defaults():
    assert get_matmul_precision() == ("high" if FLAGS and not LEVEL else "highest")
    assert get_conv_precision() == ("high" if FLAGS else "highest")


class Choice(str, enum.Enum):
    HIGH = "high"


@both_sides
def test_a_string_enum_will_do(set_level, get_level, context, levels):
    set_level(Choice.HIGH)
    assert type(get_level()) is str
    assert get_level() == "high"


# What is no level.

NO_STRING = [None, 1, 0, True, 1.0, b"high", [], ["high"], {"high": 1}, {"high"}, object(), str, torch.float32]
NO_LEVEL = ["", "HIGH", "High", " high", "high ", "highest\0", "tf32", "ieee", "bogus", "hochster" * 10]


@both_sides
@pytest.mark.parametrize(
    ("bad", "error"),
    [(bad, TypeError) for bad in NO_STRING] + [(bad, ValueError) for bad in NO_LEVEL],
    ids=repr,
)
def test_anything_else_is_refused_and_changes_nothing(set_level, get_level, context, levels, bad, error):
    set_level("high")
    before = everything()
    for function in (set_level, context):
        with pytest.raises(error, match="must be one of " + ", ".join(map(repr, levels)) + "; got"):
            function(bad)
    assert everything() == before


def test_cudnn_has_no_medium():
    for function in (set_conv_precision, conv_precision):
        with pytest.raises(ValueError, match="one of 'highest', 'high'; got 'medium'"):
            function("medium")


# Contexts.


@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_matmul_context_puts_back_what_any_history_left(level):
    for history in HISTORIES:
        after(history)
        before = everything()
        with matmul_precision(level) as entered:
            assert get_matmul_precision() == level, history
            assert torch_agrees(matmul=level), history
            assert get_conv_precision() == before["ours"][1]
        assert everything() == before, history
    assert entered is None


@pytest.mark.parametrize("level", CONV_LEVELS)
def test_conv_context_puts_back_what_any_history_left(level):
    for history in HISTORIES:
        after(history)
        before = everything()
        with conv_precision(level):
            assert get_conv_precision() == level, history
            assert torch_agrees(conv=level), history
            assert get_matmul_precision() == before["ours"][0]
        assert everything() == before, history


MATMUL_BLOCK = [step for step in STEPS if re.match(r"ours|level|cublas|[a-z]+\.(all|matmul)", step)]
CONV_BLOCK = [step for step in STEPS if re.match(r"our conv|cudnn|[a-z]+\.all|cuda\.(conv|rnn)", step)]


@pytest.mark.parametrize(("context", "steps"), [(matmul_precision, MATMUL_BLOCK), (conv_precision, CONV_BLOCK)])
def test_context_puts_back_what_its_block_changed(context, steps):
    def block():
        with context("high"):
            STEPS[step]()
            raise KeyError("from the block")

    for history, step in itertools.product([(), *_random.sample(HISTORIES, 10)], steps):
        after(history)
        before = everything()
        with pytest.raises(KeyError, match="from the block"):
            block()
        assert everything() == before, (history, step)


@both_sides
def test_contexts_nest_and_are_used_again(set_level, get_level, context, levels):
    for first, second in itertools.product(levels, repeat=2):
        set_level("highest")
        outer, inner = context(first), context(second)
        for _ in range(2):
            with outer:
                with inner:
                    assert get_level() == second
                    with outer:
                        assert get_level() == first
                        with outer:
                            assert get_level() == first
                        set_level("highest")
                    assert get_level() == second
                assert get_level() == first
            assert get_level() == "highest"


@needs_tree
@pytest.mark.parametrize("level", MATMUL_LEVELS)
def test_a_parent_still_reaches_the_leaves_after_a_context(level):
    with matmul_precision(level):
        pass
    assert {read(node) for node in MATMUL_LEAVES} == {"none"}
    torch.backends.fp32_precision = "tf32"
    assert {read(node) for node in MATMUL_LEAVES} == {"tf32"}


@needs_flags
@both_sides
def test_cudnn_flags_can_be_used_inside_and_after(set_level, get_level, context, levels):
    with context("highest"), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        pass
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        pass
    assert "raises" not in old_getters().values()


@both_sides
def test_every_order_of_closing_ends_as_it_began(set_level, get_level, context, levels):
    set_level("highest")
    before = everything()
    for order in itertools.permutations(range(3)):
        contexts = [context("high"), context("highest"), context(levels[-1])]
        for opened in contexts:
            opened.__enter__()
        for index in order:
            contexts[index].__exit__(None, None, None)
        assert everything() == before, order


@both_sides
def test_the_last_context_open_keeps_its_level(set_level, get_level, context, levels):
    set_level("highest")
    first, second = context("highest"), context("high")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert get_level() == "high"
    second.__exit__(None, None, None)
    assert get_level() == "highest"


@both_sides
def test_contexts_that_overlap_in_threads(set_level, get_level, context, levels):
    set_level("highest")
    before = everything()
    entered, closed = threading.Barrier(2), threading.Event()

    def first():
        with context("high"):
            entered.wait()
        closed.set()

    def second():
        entered.wait()
        with context("highest"):
            closed.wait()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything() == before


def test_many_threads_at_once():
    set_matmul_precision("highest")
    before = everything()
    shared = matmul_precision("high")

    @matmul_precision("medium")
    def decorated():
        return get_matmul_precision()

    def work():
        for _ in range(30):
            with shared, conv_precision("highest"):
                assert decorated() in MATMUL_LEVELS

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything() == before


def test_a_level_is_of_the_process():
    seen = []
    with matmul_precision("medium"):
        thread = threading.Thread(target=lambda: seen.append(get_matmul_precision()))
        thread.start()
        thread.join()
    assert seen == ["medium"]


def test_suspended_generators_leave_nothing_on():
    set_matmul_precision("highest")
    before = everything()

    def numbers(level):
        with matmul_precision(level):
            yield 1
            yield 2

    first, second = numbers("high"), numbers("medium")
    next(first)
    next(second)
    first.close()
    assert get_matmul_precision() == "medium"
    assert list(second) == [2]
    assert everything() == before


def test_tasks_that_overlap_leave_nothing_on():
    set_matmul_precision("highest")
    before = everything()

    async def task(level, pause):
        with matmul_precision(level):
            await asyncio.sleep(pause)

    async def both():
        await asyncio.gather(task("high", 0), task("medium", 0.001))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(both())
    loop.close()
    assert everything() == before


# Decorators.


@both_sides
def test_decorated_function(set_level, get_level, context, levels):
    set_level("highest")

    @context("high")
    def function(depth, fail=False):
        """A docstring."""
        assert get_level() == "high"
        if fail:
            raise KeyError("from the function")
        return [depth, *(function(depth - 1) if depth else [])]

    assert (function.__name__, function.__doc__) == ("function", "A docstring.")
    assert get_level() == "highest"
    assert function(2) == [2, 1, 0]
    assert get_level() == "highest"
    with pytest.raises(KeyError, match="from the function"):
        function(0, fail=True)
    assert get_level() == "highest"


def test_decorated_forward():
    class Net(torch.nn.Linear):
        @matmul_precision("medium")
        def forward(self, x):
            assert get_matmul_precision() == "medium"
            return torch.nn.functional.linear(x, self.weight, self.bias)

    net, x = Net(2, 3), torch.ones(4, 2)
    assert net(x).shape == (4, 3)
    assert get_matmul_precision() != "medium"


def test_decorated_callables():
    class Callable:
        def __call__(self):
            return get_matmul_precision()

    decorate = matmul_precision("medium")
    assert decorate(Callable())() == "medium"
    assert decorate(functools.partial(Callable()))() == "medium"
    assert decorate(Callable().__call__)() == "medium"
    assert decorate(lambda: get_matmul_precision())() == "medium"


@pytest.mark.parametrize("no_function", [torch.nn.Linear, None, "high", 3])
def test_classes_and_no_callables_are_refused(no_function):
    with pytest.raises(TypeError, match="@matmul_precision decorates functions"):
        matmul_precision("high")(no_function)


# Silence, and what takes a process of its own.


def test_nothing_is_printed(capfd):
    for level in MATMUL_LEVELS:
        set_matmul_precision(level)
        set_conv_precision(CONV_LEVELS[level != "highest"])
        with matmul_precision("high"), conv_precision("highest"):
            assert get_matmul_precision() == "high"
            torch.ones(2, 2) @ torch.ones(2, 2)
    get_conv_precision()
    assert tuple(capfd.readouterr()) == ("", "")


def in_new_process(code, **environment):
    """What *code* prints, as JSON, in a fresh interpreter where every warning is an error."""
    code = "import json, torch, torchcompat.precision as p\n" + code
    environment = dict(os.environ, **environment)
    # The old torch imports pieces of the standard library and of NumPy that now warn.
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return json.loads(done.stdout.decode())


OVERRIDE = """
def levels():
    seen = [p.get_matmul_precision()]
    for level in ("high", "highest"):
        with p.matmul_precision(level):
            seen.append(p.get_matmul_precision())
        seen.append(p.get_matmul_precision())
    p.set_matmul_precision("highest")
    seen.append(p.get_matmul_precision())
    p.set_matmul_precision("medium")
    seen.append(p.get_matmul_precision())
    return seen
seen = {"levels": levels()}
read = getattr(torch._C, "_get_fp32_precision_getter", None)
if read:
    def conv():
        return [read("cuda", "conv"), read("cuda", "rnn"), torch.backends.cudnn.allow_tf32]
    seen["conv"] = [conv()]
    with p.conv_precision("highest"):
        seen["conv"].append(conv())
    seen["conv"].append(conv())
    torch.backends.fp32_precision = "ieee"
    seen["conv"].append(conv())
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def overridden():
    """What a process says whose environment is that of NVIDIA's containers, and that has set nothing before."""
    return in_new_process(OVERRIDE, TORCH_ALLOW_TF32_CUBLAS_OVERRIDE="1")


def test_the_override_of_nvidia_containers(overridden):
    start = "high" if FLAGS else "highest"
    # On 1.12 and 1.13 torch obeys the variable whatever else is set, and get says so.
    highest = "high" if LEVEL and not at_least(2, 0) else "highest"
    assert overridden["levels"] == [start, "high", start, highest, start, highest, "medium"]


@needs_tree
def test_the_untouched_default_of_convolutions_becomes_plain_tf32(overridden):
    default = ["tf32", "tf32", True]
    assert overridden["conv"] == [default, ["ieee", "ieee", False], default, default]


UNTOUCHED = """
read = getattr(torch._C, "_get_fp32_precision_getter", None)
seen = {"start": [p.get_matmul_precision(), p.get_conv_precision()]}
if read:
    def leaves():
        return [read("cuda", "conv"), read("cuda", "rnn")]
    def below(parent):
        torch.backends.fp32_precision = parent
        found = leaves()
        torch.backends.fp32_precision = "none"
        return found
    seen["before"] = [leaves(), below("ieee")]
    for level in ("highest", "high", "medium"):
        with p.matmul_precision(level):
            pass
        p.set_matmul_precision(level)
    p.get_conv_precision()
    seen["after matmul"] = [leaves(), below("ieee")]
    torch.backends.fp32_precision = "ieee"
    before = leaves()
    with p.conv_precision("high"):
        pass
    seen["after conv below ieee"] = [before, leaves()]
    torch.backends.fp32_precision = "none"
    seen["readable"] = torch.backends.cudnn.allow_tf32 in (True, False)
print(json.dumps(seen))
"""


def test_a_process_that_has_set_nothing():
    seen = in_new_process(UNTOUCHED)
    assert seen["start"] == ["high" if FLAGS and not LEVEL else "highest", "high" if FLAGS else "highest"]
    if TREE:
        # From 2.13 on an untouched convolution gives way to the generic precision.
        follows = "ieee" if at_least(2, 13) else "tf32"
        assert seen["before"] == [["tf32"] * 2, [follows] * 2]
        assert seen["after matmul"] == seen["before"]
        assert seen["after conv below ieee"] == [[follows] * 2] * 2
        assert seen["readable"]


# torch's own names.


def in_new_process_with(impl, shim, code):
    """What *code* prints where the name of the shim is what the fixture `impl` is."""
    return in_new_process(code, TORCHCOMPAT_FALLBACK="" if impl is shim.native else shim.name)


# In a process of its own: an unknown level spoils what comes after it, see the limit "empty strings".
UNKNOWN_LEVEL = """
import warnings
p.set_float32_matmul_precision("high")
levels = [p.get_matmul_precision()]
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    p.set_float32_matmul_precision("bogus")
levels.append(p.get_matmul_precision())
print(json.dumps({"levels": levels, "warnings": [str(warning.message) for warning in seen]}))
"""

# Up to 2.2 the level is named on stderr.
LIBRARY_AFTER_UNKNOWN_LEVEL = """
import os, warnings
from torchcompat import has
warnings.simplefilter("ignore")
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
p.set_float32_matmul_precision("bogus")
name = "quantities"
if has("torch.library.Library"):
    try:
        name = torch.library.Library(name, "DEF").ns
    except RuntimeError as error:
        name = str(error)
print(json.dumps(name))
"""


@pytest.mark.shim("set_float32_matmul_precision")
class TestSetFloat32MatmulPrecision:
    def test_sets(self, impl):
        for level in MATMUL_LEVELS * 2:
            assert impl(level) is None
            assert get_matmul_precision() == level
            assert torch_agrees(matmul=level)
            assert impl(precision="highest") is None
            assert get_matmul_precision() == "highest"

    @pytest.mark.limit("unknown level")
    def test_an_unknown_level_warns_and_changes_nothing(self, impl, shim):
        seen = in_new_process_with(impl, shim, UNKNOWN_LEVEL)
        assert seen["levels"] == ["high", "high"]
        [warning] = seen["warnings"]
        assert re.search("'highest', 'high',.*'medium'", warning)

    @pytest.mark.limit("empty strings")
    def test_an_unknown_level_breaks_nothing_else(self, impl, shim):
        assert in_new_process_with(impl, shim, LIBRARY_AFTER_UNKNOWN_LEVEL) == "quantities"

    @pytest.mark.parametrize("bad", [None, 1, True, 1.0, [], object()], ids=repr)
    def test_what_is_no_string_raises_and_changes_nothing(self, impl, bad):
        impl("high")
        before = everything()
        with pytest.raises(RuntimeError, match="str"):
            impl(bad)
        assert everything() == before

    @pytest.mark.limit("bytes")
    def test_bytes(self, impl):
        impl(b"high")
        assert get_matmul_precision() == "high"

    def test_equals_native(self, impl, shim):
        if not LEVEL:
            pytest.skip("in torch since 1.12")
        for level in MATMUL_LEVELS:
            start()
            shim.native(level)
            native = everything()
            start()
            impl(level)
            assert everything() == native


@pytest.mark.shim("get_float32_matmul_precision")
class TestGetFloat32MatmulPrecision:
    def test_gets(self, impl):
        for level in MATMUL_LEVELS * 2:
            precision.set_float32_matmul_precision(level)
            assert impl() == level
            set_matmul_precision("highest")
            assert impl() == "highest"

    @needs_flags
    def test_sees_the_flag(self, impl):
        torch.backends.cuda.matmul.allow_tf32 = True
        assert impl() == "high"
        torch.backends.cuda.matmul.allow_tf32 = False
        assert impl() == "highest"

    @pytest.mark.limit("default")
    def test_starts_as_highest(self, impl):
        assert impl() == "highest"

    @needs_tree
    @pytest.mark.limit("mix")
    def test_raises_after_a_mix(self, impl):
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            impl()
