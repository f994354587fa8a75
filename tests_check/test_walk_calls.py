"""Arguments that reach torch in another way than written down in its call: by `partial`, by `**mapping`, by a stack."""

import pytest
from marked import check

PARTIAL = {
    "partial": """
        import functools
        from functools import partial as bound
        import torch
        from torch import nn
        functools.partial(nn.LayerNorm, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        functools.partial(nn.LayerNorm, 3, 1e-5, True, False)  # > torch.nn.LayerNorm(bias) 2.1-
        grid = bound(torch.meshgrid, indexing="ij")  # > torch.meshgrid(indexing) 1.10-
        functools.partial(nn.LayerNorm, eps=1e-6)(3)
        functools.partial(unknown, bias=False)(3)
        functools.partial(*args, bias=False)
    """,
    "arguments that come later": """
        from functools import partial
        from torch import nn
        norm = partial(nn.LayerNorm, 3)
        norm(bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        norm(1e-5, True, False)  # > torch.nn.LayerNorm(bias) 2.1-
        norm(1e-5, True)
        partial(norm, 1e-5)(bias=True)  # > torch.nn.LayerNorm(bias) 2.1-
        twice = partial(partial(nn.LayerNorm, 3), bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        twice(bias=True)  # > torch.nn.LayerNorm(bias) 2.1-
    """,
    "methods and classes of the project": """
        import functools
        import torch
        from torch import nn
        class Norm(nn.LayerNorm):
            keep = functools.partialmethod(nn.Module.register_buffer)
            plain = functools.partialmethod(
                nn.Module.register_buffer,
                persistent=False,  # > torch.nn.Module.register_buffer(persistent) 1.6-
            )
            __init__ = functools.partialmethod(nn.LayerNorm.__init__, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        class Own(nn.LayerNorm):
            pass
        def make(n, **kwargs):
            return nn.LayerNorm(n, **kwargs)
        functools.partial(Own, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        functools.partial(make, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        functools.partial(make, 3)(bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        functools.partial(make, n=3)
    """,
    "guarded": """
        import functools, torch
        from torch import nn
        if torch.__version__ >= (2, 1):
            norm = functools.partial(nn.LayerNorm, bias=False)
        else:
            norm = nn.LayerNorm
        norm(3)
        try:
            functools.partial(nn.LayerNorm, 3)(bias=False)
        except TypeError:
            pass
        newer = functools.partial(lambda wanted: torch.__version__ >= wanted, (2, 0))
        if newer():
            torch.compile
    """,
}

SPREAD = {
    "a mapping that is written down": """
        import torch
        from torch import nn
        nn.LayerNorm(3, **{"bias": False})  # > torch.nn.LayerNorm(bias) 2.1-
        nn.LayerNorm(3, **dict(bias=False))  # > torch.nn.LayerNorm(bias) 2.1-
        nn.LayerNorm(3, **dict({"bias": False}, eps=1))  # > torch.nn.LayerNorm(bias) 2.1-
        nn.LayerNorm(3, **{"eps": 1, **{"bias": False}, **unknown})  # > torch.nn.LayerNorm(bias) 2.1-
        nn.LayerNorm(3, **{"bias": False} if torch.__version__ >= (2, 1) else {})
        nn.LayerNorm(3, **{"bias": False} if unknown else {})
        nn.LayerNorm(3, **unknown), nn.LayerNorm(3, **{unknown: 1}), nn.LayerNorm(3, **{[]: 1})
        class Norm(nn.LayerNorm):
            def __init__(self, n):
                super().__init__(n, **{"bias": False})  # > torch.nn.LayerNorm(bias) 2.1-
    """,
    "one that has a name": """
        import torch
        from torch import nn
        KW = {"bias": False}
        def run(n, **kwargs):
            nn.LayerNorm(n, **KW)  # > torch.nn.LayerNorm(bias) 2.1-
            kw = dict(eps=1)
            nn.LayerNorm(n, **kw)
            kw["bias"] = False
            nn.LayerNorm(n, **kw)  # > torch.nn.LayerNorm(bias) 2.1-
            more = {**kw}
            more.update(unknown)
            nn.LayerNorm(n, **more)  # > torch.nn.LayerNorm(bias) 2.1-
            kwargs["bias"] = True
            nn.LayerNorm(n, **kwargs)  # > torch.nn.LayerNorm(bias) 2.1-
        def grow(n, **kwargs):
            kw = {}
            nn.LayerNorm(n, **kw)
            kw.update(bias=False)
            nn.LayerNorm(n, **kw)  # > torch.nn.LayerNorm(bias) 2.1-
            kwargs.setdefault("bias", False)
            if "bias" in kwargs and len(kwargs) > 1:
                print(kwargs, kwargs["bias"], kwargs.get("bias"))
            nn.LayerNorm(n, **kwargs)  # > torch.nn.LayerNorm(bias) 2.1-
            kw[n] = 1
            nn.LayerNorm(n, **kw)
    """,
    "one that is filled on some torch": """
        import torch
        from torch import nn
        def run(n, wanted):
            kw = {}
            if torch.__version__ >= (2, 1):
                kw["bias"] = False
            nn.LayerNorm(n, **kw)
            kw = {"bias": True}
            if torch.__version__ < (2, 0):
                kw = {}
            nn.LayerNorm(n, **kw)  # > torch.nn.LayerNorm(bias) 2.1-
            kw = {"bias": True}
            if torch.__version__ < (2, 1):
                kw = dict(eps=1)
            nn.LayerNorm(n, **kw)
            if wanted:
                kw["bias"] = False
            nn.LayerNorm(n, **kw)
    """,
    "one that others may change": """
        import torch
        from torch import nn
        GONE, GIVEN, KEPT, ALIAS, LATER = {"bias": 1}, {"bias": 1}, {"bias": 1}, {"bias": 1}, {}
        GONE = {"bias": 1}
        GIVEN = {"bias": 1}
        KEPT = ALIAS = {"bias": 1}
        LATER = {"bias": 1}
        STATE = {"bias": 1}
        GROWN = {}
        other = LATER
        fill(GIVEN)
        def run(self, n, key):
            nn.LayerNorm(n, **GONE), nn.LayerNorm(n, **GIVEN), nn.LayerNorm(n, **KEPT), nn.LayerNorm(n, **LATER)
            nn.LayerNorm(n, **STATE), nn.LayerNorm(n, **GROWN)
            one = {"bias": 1}
            one.pop(key)
            nn.LayerNorm(n, **one), nn.LayerNorm(n, **{**one})
            nn.LayerNorm(n, **dict(one)), nn.LayerNorm(n, **dict(**one))
            two = {"bias": 1}
            del two[key]
            nn.LayerNorm(n, **two)
            three = {"bias": 1}
            clean(three)
            nn.LayerNorm(n, **three)
            four = self.four = {"bias": 1}
            clean(self)
            nn.LayerNorm(n, **four), nn.LayerNorm(n, **self.four)
            for five in [{"bias": 1}]:
                nn.LayerNorm(n, **five)
            six = {"bias": 1}
            def inner():
                nonlocal six
                six = {}
            inner()
            nn.LayerNorm(n, **six)
            seven = {}
            def later():
                nn.LayerNorm(n, **seven)
            later()
            seven["bias"] = 1
        def clear():
            global STATE
            STATE = {}
            GONE.pop("bias")
            GROWN["bias"] = 1
    """,
    "what a function of the project is given": """
        import torch
        def newer(wanted="9.0", *, strict=True):
            return torch.__version__ >= wanted and strict
        if newer(**{"wanted": "2.0"}):
            torch.compile
        if newer(*unknown):
            torch.compile  # > torch.compile 2.0-
        if newer(**unknown):
            torch.compile  # > torch.compile 2.0-
        if not newer("1.0", **unknown):
            torch.compile  # > torch.compile 2.0-
    """,
}

ENTERED = {
    "a stack of contexts": """
        import contextlib, torch
        async def run(self):
            with contextlib.ExitStack() as stack:
                stack.enter_context(torch.device("meta"))  # > torch.device.__enter__ 2.0-
                stack.enter_context(torch.no_grad())
                self.stack.enter_context(open("f"))
                if hasattr(torch.device, "__enter__"):
                    stack.enter_context(torch.device("meta"))
            async with contextlib.AsyncExitStack() as stack:
                stack.enter_context(torch.device("meta"))  # > torch.device.__enter__ 2.0-
            contextlib.ExitStack().enter_context(torch.device("meta"))  # > torch.device.__enter__ 2.0-
            self.enterContext(torch.device("meta"))  # > torch.device.__enter__ 2.0-
            with stack.enter_context(torch.autocast("cpu")):  # > torch.autocast 1.10-
                pass
        class Own:
            def enter_context(self, device):
                return device
            def run(self):
                self.enter_context(torch.device("meta"))
    """,
    "one of two contexts": """
        import contextlib, torch
        def run(x, y):
            with contextlib.nullcontext() if x else torch.device("meta"):  # > torch.device.__enter__ 2.0-
                pass
            with torch.device("meta") if x else contextlib.nullcontext():  # > torch.device.__enter__ 2.0-
                pass
            with torch.device("meta") if torch.__version__ >= (2, 0) else contextlib.nullcontext():
                pass
            context = torch.device("meta") if x else contextlib.nullcontext()
            with context:  # > torch.device.__enter__ 2.0-
                pass
            with (y or torch.device("meta")):  # > torch.device.__enter__ 2.0-
                pass
    """,
    "functions for context managers": """
        import functools, torch
        from torch import nn
        class Net(nn.Module):
            def run(self, f, flag):
                torch.no_grad(self.run)  # > torch.no_grad(orig_func) 2.1-
                torch.no_grad(self.forward)  # > torch.no_grad(orig_func) 2.1-
                torch.no_grad(f)  # > torch.no_grad(orig_func) 2.1-
                torch.no_grad(*f)
                torch.enable_grad(lambda: 1)  # > torch.enable_grad(orig_func) 2.1-
                if torch.__version__ >= (1, 10):
                    torch.inference_mode(f), torch.inference_mode(flag), torch.inference_mode(True)
                    torch.inference_mode(self.run)  # > torch.inference_mode(mode) 1.9, 2.1-
                    torch.inference_mode(lambda: 1)  # > torch.inference_mode(mode) 1.9, 2.1-
                    torch.inference_mode(Net)  # > torch.inference_mode(mode) 1.9, 2.1-
                    torch.inference_mode(functools.partial(f, 1))  # > torch.inference_mode(mode) 1.9, 2.1-
    """,
}

EVERY = {"partial": PARTIAL, "spread": SPREAD, "entered": ENTERED}
CASES = [pytest.param(code, id=f"{kind}: {name}") for kind, cases in EVERY.items() for name, code in cases.items()]


@pytest.mark.parametrize("source", CASES)
def test_calls(source):
    check(source)
