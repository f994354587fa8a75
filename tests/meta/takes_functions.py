"""How the functions of tensors of torch's top level are used: more rows of the table in `takes_rows.py`.

A row may be here before its shim is: what is no shim is not run.
"""

UNARY = """
    absolute adjoint all any aminmax amax amin argsort argwhere atleast_1d atleast_2d atleast_3d corrcoef count_nonzero
    cov diff fliplr flipud logical_not msort nan_to_num nansum nanmean nanmedian negative nonzero_static positive ravel
    sgn signbit sort square squeeze angle deg2rad rad2deg exp2 expit i0 sinc
"""
BINARY = """
    broadcast_tensors dstack fmax fmin floor_divide float_power greater greater_equal heaviside hypot hstack inner isin
    ldexp less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum multiply nextafter
    not_equal copysign subtract true_divide xlogy divide kron remainder fmod
"""
CALLS = {
    **dict.fromkeys(UNARY.split(), "f(x)"),
    **dict.fromkeys(BINARY.split(), "f(x, y)"),
    **dict.fromkeys(["concat", "concatenate", "hstack", "vstack", "row_stack", "dstack", "column_stack"], "f([x, y])"),
    "block_diag": "f(x, y)",
    "broadcast_to": "f(v, (2, 4))",
    "backends.mps.is_available": "x + int(f())",
    "backends.mps.is_built": "x + int(f())",
    "broadcast_shapes": "x + f((3, 1), (1, 4))[0]",
    "can_cast": "x + int(f(torch.int32, torch.float32))",
    "cuda.is_bf16_supported": "x + int(f())",
    "index_add": "f(x, 0, INDEX, y[:2])",
    "index_reduce": "f(x, 0, INDEX, y[:2], 'amax')",
    "isneginf": "f(x)",
    "isposinf": "f(x)",
    "isreal": "f(x)",
    "promote_types": "x.to(f(torch.int32, torch.float64))",
    "put": "f(x, INDEX, v[:2])",
    "random.fork_rng": "with f(devices=[]):\n    y = x * 2\nreturn y",
    "result_type": "x.to(f(x, 1))",
    "scatter": "f(x, 0, INDEX.view(1, 2), y)",
    "scatter_reduce": "f(x, 0, INDEX.view(1, 2), y, 'amax')",
    "sym_float": "x + f(3)",
    "sym_int": "x + f(3.5)",
    "sym_ite": "x + f(True, 3, 4)",
    "sym_max": "x + f(x.size(0), 2)",
    "sym_min": "x + f(x.size(0), 2)",
    "sym_not": "x + int(f(True))",
    "sym_sqrt": "x + f(x.size(0))",
    "sym_sum": "x + f([x.size(0), 2])",
    "unravel_index": "f(INDEX, (3, 4))[0]",
    "bucketize": "f(x, v)",
    "complex": "f(x, y)",
    "cumulative_trapezoid": "f(x)",
    "trapezoid": "f(x)",
    "diagonal_scatter": "f(x, v[:3])",
    "dsplit": "f(image, [1])",
    "einsum": "f('ij,ij->i', x, y)",
    "histogram": "f(x, 3)[0]",
    "hsplit": "f(x, 2)",
    "vsplit": "f(x, [1])",
    "logcumsumexp": "f(x, 1)",
    "movedim": "f(x, 0, 1)",
    "moveaxis": "f(x, 0, 1)",
    "nonzero_static": "f(x, size=2)",
    "outer": "f(v, w)",
    "permute": "f(x, (1, 0))",
    "polar": "f(x, y)",
    "searchsorted": "f(v, w)",
    "select_scatter": "f(x, v, 0, 1)",
    "slice_scatter": "f(x, x[:1] * 2, 0, 0, 1)",
    "sort": "f(x)[0]",
    "swapaxes": "f(x, 0, 1)",
    "swapdims": "f(x, 0, 1)",
    "take_along_dim": "f(x, x.argsort(1), 1)",
    "tensor_split": "f(x, 2)",
    "tile": "f(x, (2, 2))",
    "unflatten": "f(x, 1, (2, 2))",
    "vander": "f(v)",
    "vdot": "f(v, v)",
    "view_as_complex": "f(x[:, :2])",
    "where": "f(x > 0.5, x, y)",
}
# Why the names of other families have no row: patterns.
FAMILIES = {
    "utils._foreach_utils.*": "asks for facts about devices, in tests/utils/test_foreach_utils.py",
    "_foreach_*": "lists of tensors, of which no compiler of torch makes more than their operations",
    "_check*": "checks, which tests/test_checks.py compiles",
    "_assert": "a check, which tests/test_checks.py compiles",
    "jit.*": "about TorchScript itself, in tests/test_jit.py",
    "library.*": "registers operators, in tests/test_library.py",
}
