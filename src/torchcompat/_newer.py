"""Dtypes, layouts and types of torch's top level that old torch does not have: to import and to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._absent import Names

if TYPE_CHECKING:
    from torch import SymBool as SymBool
    from torch import SymFloat as SymFloat
    from torch import SymInt as SymInt
    from torch import _grouped_mm as _grouped_mm
    from torch import _scaled_mm as _scaled_mm
    from torch import bits1x8 as bits1x8
    from torch import bits2x4 as bits2x4
    from torch import bits4x2 as bits4x2
    from torch import bits8 as bits8
    from torch import bits16 as bits16
    from torch import channels_last_3d as channels_last_3d
    from torch import float4_e2m1fn_x2 as float4_e2m1fn_x2
    from torch import float8_e4m3fn as float8_e4m3fn
    from torch import float8_e4m3fnuz as float8_e4m3fnuz
    from torch import float8_e5m2 as float8_e5m2
    from torch import float8_e5m2fnuz as float8_e5m2fnuz
    from torch import float8_e8m0fnu as float8_e8m0fnu
    from torch import int1 as int1
    from torch import int2 as int2
    from torch import int3 as int3
    from torch import int4 as int4
    from torch import int5 as int5
    from torch import int6 as int6
    from torch import int7 as int7
    from torch import jagged as jagged
    from torch import quint2x4 as quint2x4
    from torch import quint4x2 as quint4x2
    from torch import sparse_bsc as sparse_bsc
    from torch import sparse_bsr as sparse_bsr
    from torch import sparse_csc as sparse_csc
    from torch import sparse_csr as sparse_csr
    from torch import uint1 as uint1
    from torch import uint2 as uint2
    from torch import uint3 as uint3
    from torch import uint4 as uint4
    from torch import uint5 as uint5
    from torch import uint6 as uint6
    from torch import uint7 as uint7
    from torch import uint16 as uint16
    from torch import uint32 as uint32
    from torch import uint64 as uint64

_names = Names(globals(), "torch", "c10/core/ScalarType.h")


def _facts(itemsize: int, is_signed: bool = False, is_floating_point: bool = False) -> dict[str, Any]:
    return {
        "itemsize": itemsize,
        "is_signed": is_signed,
        "is_floating_point": is_floating_point,
        "is_complex": False,
    }


_floating = _facts(1, is_signed=True, is_floating_point=True)
_names.sentinels("float8_e4m3fn float8_e5m2", "2.1", _floating)
_names.sentinels("float8_e4m3fnuz float8_e5m2fnuz", "2.2", _floating)
_names.sentinels("float8_e8m0fnu", "2.7", _facts(1, is_floating_point=True))
_names.sentinels("float4_e2m1fn_x2", "2.8", _floating)
_names.sentinels("uint16", "2.3", _facts(2))
_names.sentinels("uint32", "2.3", _facts(4))
_names.sentinels("uint64", "2.3", _facts(8))
_names.sentinels("uint1 uint2 uint3 uint4 uint5 uint6 uint7", "2.3", _facts(1))
_names.sentinels("int1 int2 int3 int4 int5 int6 int7", "2.6", _facts(1, is_signed=True))
_names.sentinels("bits8 bits1x8 bits2x4 bits4x2", "2.1", _facts(1))
_names.sentinels("bits16", "2.1", _facts(2))
_names.sentinels("quint4x2", "1.8", _facts(1))
_names.sentinels("quint2x4", "1.11", _facts(1))
_names.sentinels("jagged", "2.2", file="c10/core/Layout.h")
_names.sentinels("sparse_csr", "1.9", file="c10/core/Layout.h")
_names.sentinels("sparse_csc sparse_bsr sparse_bsc", "1.12", file="c10/core/Layout.h")
_names.sentinels("channels_last_3d", "1.5", file="c10/core/MemoryFormat.h")

_names.types("SymInt SymFloat SymBool", "2.0", file="torch/__init__.py")
_native_functions = "aten/src/ATen/native/native_functions.yaml"
_names.functions(
    "_scaled_mm",
    "2.5",
    file=_native_functions,
    reason="other parameters, and the largest value beside the product",
)
_names.functions("_grouped_mm", "2.8", file=_native_functions)

_names.attach()
