"""The known differences of ``vmap`` from torch 2.15's, which tests/func show."""

from __future__ import annotations

from .._shim import Limit, lacks

LIMITS = [
    lacks("fullgraph", "2.0"),
    Limit("trace", "`torch.jit.trace` cannot trace it: RuntimeError.", on="fallback", last="2.3"),
    Limit(
        "expanded",
        "A result that is the same for every sample, with an `out_dims` other than 0: RuntimeError, or memory that was "
        "never written.",
        on="native",
        first="2.0",
        last="2.13",
    ),
    Limit("padding_idx", "`embedding`: the row of *padding_idx* has a gradient.", on="native", first="2.0"),
    Limit(
        "embedding_index",
        "`embedding` of a mapped table by an index out of range gives a row of another sample, without an error.",
        on="native",
        first="2.0",
    ),
    Limit(
        "stride_of_one",
        "A convolution by mapped weights, with a bias and one int in a tuple for its *stride*: the bias is added along "
        "another dimension.",
        on="native",
        first="2.0",
    ),
    Limit("name", "The function returned is named `wrapped`.", on="native", first="2.1", last="2.3"),
    Limit(
        "assignment",
        "`x[:, index] = y` and `x[None, index] = y` with a mapped *index*, and `x[i, :, j] = y`: values in the wrong "
        "places, or RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "index_order",
        "`x[i, :, j]` with a mapped *i* of no dimensions beside another tensor: the dimensions of the result are in "
        "another order, or RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "no_rule",
        "`moveaxis`, `column_stack`, `as_strided_scatter`, and writes to the result of `new_tensor` or `new`: "
        "RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "searchsorted",
        "`searchsorted` of a mapped vector for a matrix of values: the result is flat.",
        on="native",
        first="2.0",
        last="2.0",
    ),
    Limit("view_dtype", "`view` of another dtype: RuntimeError.", on="native", first="2.0", last="2.12"),
    Limit(
        "assigned_number",
        "Nested, `x[0] = y` with a mapped *y* of no dimensions: NotImplementedError.",
        on="native",
        first="2.14",
    ),
    Limit("select_scatter", "`select_scatter`: wrong gradients.", on="native", first="2.0"),
    Limit(
        "lenient",
        "`expand` accepts -1 for a new dimension, and `tril` and `triu` accept a vector: the batch dimension is used.",
        on="native",
        first="2.0",
    ),
    Limit(
        "logical_scalar",
        "`where` and `addcmul` promote the dtype as if a scalar operand that is mapped had dimensions; a negative "
        "one beside uint8 wraps around.",
        on="native",
        first="2.0",
    ),
    Limit(
        "outer_none",
        "An inner vmap with None in `out_dims` refuses a result that only an outer one maps: ValueError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "gaussian",
        "`gaussian_nll_loss` of mapped variances branches on their values: RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "flash",
        "`scaled_dot_product_attention`, also of torch's encoder layers, under `grad`: RuntimeError on the CPU.",
        on="native",
        first="2.1",
        last="2.2",
    ),
    Limit("rrelu", "`rrelu` with `training=True`: RuntimeError.", on="native", first="2.0"),
    Limit(
        "sdpa_draw",
        "`scaled_dot_product_attention` with dropout disregards `randomness`: it always drops differently.",
        on="native",
        first="2.0",
        last="2.4",
    ),
    Limit(
        "same_distribution",
        '`randomness="same"`: numbers from a distribution that differs between the samples, where torch\'s raises.',
        on="fallback",
        last="1.6",
    ),
    Limit(
        "unseen_write",
        "A function that writes to its mapped argument, and either draws numbers that are to differ without a mapped "
        "tensor (`torch.rand(3)`) or calls `torch.autograd.grad` with mapped cotangents: UnsupportedError.",
        on="fallback",
        first="1.7",
        last="1.12",
    ),
    Limit(
        "again",
        "A function that draws numbers that are to differ without a mapped tensor (`torch.rand(3)`), or calls "
        "`torch.autograd.grad` with mapped cotangents, runs again for each sample. So what else it does, such as to "
        "append to a list, is repeated.",
        on="fallback",
        last="1.12",
    ),
    Limit(
        "own_generator",
        "Draws without a mapped tensor from a generator that the function makes itself are not seen: the numbers are "
        'the same for each sample, and `randomness="error"` does not refuse them.',
        on="fallback",
        last="1.12",
    ),
    Limit("out", "`out=` of a draw without a mapped tensor is not refused.", on="fallback", last="1.12"),
    Limit("empty", "A batch of no samples: RuntimeError.", on="fallback", last="1.6"),
    Limit(
        "control_flow",
        "Branches on values, `item()` and `backward()` are not refused: each sample goes its way.",
        "fallback",
        last="1.6",
    ),
    Limit(
        "unmapped_writes",
        "A write of mapped values to a tensor that is not mapped is not refused.",
        "fallback",
        last="1.6",
    ),
    Limit(
        "looped_none",
        "None in `out_dims` for a mapped result is not refused: the first sample's.",
        "fallback",
        last="1.6",
    ),
    Limit(
        "head_weights",
        "`average_attn_weights=False` of multi-head attention: averaged, since torch does not pass it on.",
        on="fallback",
        first="1.11",
        last="1.11",
    ),
    Limit(
        "captured_index",
        "A tensor that is not mapped, indexed by a mapped tensor: an error; use `index_select`, `gather` or `take`.",
        on="fallback",
        first="1.7",
        last="1.7",
    ),
    Limit(
        "index",
        "Indexing by a mapped tensor of no dimensions: RuntimeError.",
        on="native",
        first="2.0",
        last="2.10",
    ),
    Limit(
        "ties",
        "`max()`, `min()` and `median()` of a whole sample: one of equal values gets all of the gradient, and does not "
        "share it with the others.",
        on="native",
        first="2.0",
    ),
    Limit(
        "where",
        "`torch.where` of samples without dimensions promotes their types as if they had some.",
        on="native",
        first="2.0",
    ),
    Limit("pow_", "`x.pow_(y)` and `x.cumprod_(0)` cannot be differentiated: RuntimeError.", on="native", first="2.0"),
    Limit(
        "resize_",
        "`resize_` to fewer elements takes those of other samples, and `resize_as_` does nothing.",
        on="native",
        first="2.0",
    ),
    Limit(
        "copied",
        "`torch.tensor(x)` of a mapped tensor: RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "copied_before",
        "`torch.tensor(x)` of a mapped tensor: RuntimeError.",
        on="fallback",
        first="1.7",
        last="1.12",
    ),
    Limit(
        "as_strided_copy",
        "`as_strided_copy` gives all samples the data of the first one, with a warning.",
        on="native",
        first="2.0",
        last="2.4",
    ),
    Limit(
        "as_strided",
        "A sample is a slice of the batch, whose storage offset counts from where the batch begins, and `as_strided` "
        "can reach other samples.",
        on="fallback",
        last="1.6",
    ),
    Limit(
        "grads_batched",
        "`torch.autograd.grad(is_grads_batched=True)` with mapped cotangents: a warning, then RuntimeError.",
        on="native",
        first="2.0",
    ),
    Limit(
        "generator_in_chunks",
        '`randomness="same"` with a *chunk_size*: numbers from a generator of the caller\'s differ between the chunks.',
        on="native",
        first="2.0",
    ),
    Limit("chain_matmul", "`torch.chain_matmul`: RuntimeError.", on="native", first="2.0"),
    Limit(
        "function_vmap",
        "A `torch.autograd.Function` of a mapped tensor: its *vmap* is not called, and where the tensor requires a "
        "gradient there is an UnsupportedError.",
        on="fallback",
        first="2.0",
    ),
]
