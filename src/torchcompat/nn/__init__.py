"""``torch.nn``: the classes whose constructor or forward changed after torch 1.2.

What each of them does is in the private module of its base class.
"""

from .._lazy import attach as _attach
from .._shim import Limit, lacks, polyfill
from . import _decoder, _multihead, _seq2seq, _transformer
from . import attention as attention
from . import functional as functional
from . import parameter as parameter
from . import utils as utils
from ._multihead import _PlainLinear as _PlainLinear
from ._states import _activation as _activation

__all__ = [
    "MultiheadAttention",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "attention",
    "functional",
    "parameter",
    "utils",
]

_PADDING = "a sequence of nothing but padding gives NaN, in training too"
_BIAS = "https://github.com/pytorch/pytorch/pull/133882"


def _native(key: str, text: str, last: str = "") -> Limit:
    return Limit(key, text, on="native", first="2.5", last=last)


_DECODED = [
    _native("fast-path-fully-masked", "in inference a target of nothing but padding gives NaN"),
    _native("fast-path-causal-hint", "in inference tgt_is_causal=True without tgt_mask is ignored instead of refused"),
]


@polyfill(
    "torch.nn.MultiheadAttention",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/133882",
    limits=[
        lacks("fullgraph", "2.1", "2.1"),
        lacks("script", "1.4", "1.5"),
        Limit(
            "fast-path-fully-masked",
            "in inference a query that may see no key gives NaN, in training the bias of out_proj",
            on="native",
            first="2.5",
        ),
        Limit(
            "fast-path-causal-hint",
            "in inference is_causal=True without attn_mask is ignored instead of refused",
            on="native",
            first="2.5",
        ),
        Limit(
            "causal-hint-extra-keys",
            "is_causal=True with need_weights=False hides the keys of add_bias_kv and add_zero_attn",
            on="native",
            first="2.5",
        ),
    ],
    reason="with `need_weights=False` a query that may see no key gives NaN, in training too",
)
class MultiheadAttention(_multihead.MultiheadAttentionBase):
    """Multi-head attention, https://arxiv.org/abs/1706.03762 .

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict, whose forward is linear
    layers around ``torchcompat.nn.functional.scaled_dot_product_attention``; nested tensors go to torch's own forward.
    In inference it takes torch 1.12's fused operator where that is right. It can be scripted from torch 1.7 on.

    Below, L is the query's length, S the source's, B the batch size and H *num_heads*.

    Args:
        embed_dim: width of the query and of the output; a multiple of *num_heads*.
        num_heads: number of heads.
        dropout: probability with which a weight is dropped while training.
        bias: whether the projections have biases.
        add_bias_kv: append a learned key and value to every source.
        add_zero_attn: append a key and value of zeros to every source.
        kdim: width of the keys; None for *embed_dim*.
        vdim: width of the values; None for *embed_dim*.
        batch_first: tensors are (B, L, width) instead of (L, B, width).
        device: where the parameters are made.
        dtype: dtype of the parameters.

    Raises:
        ValueError: *embed_dim* or *num_heads* is not positive.
        AssertionError: *num_heads* does not divide *embed_dim*.
    """


@polyfill(
    "torch.nn.TransformerEncoderLayer",
    since="2.5",
    link=_BIAS,
    limits=[
        lacks("fullgraph", "2.1", "2.1"),
        lacks("script", "1.5", "1.5"),
        _native("fast-path-float-mask", "in inference a float src_mask is read as bool; where it hides a query, NaN"),
        _native("fast-path-causal-hint", "in inference is_causal=True without src_mask is ignored instead of refused"),
        _native("fast-path-fully-masked", "in inference a sequence of nothing but padding gives NaN"),
        _native("fast-path-tanh-gelu", "in inference nn.GELU(approximate='tanh') is computed as the exact GELU"),
        _native("fast-path-replaced-modules", "in inference replaced modules, activations and methods are not called"),
        _native("fast-path-quantised", "in inference a layer with quantised linear layers raises AttributeError"),
        _native("fast-path-autocast", "in inference CPU autocast raises RuntimeError", last="2.5"),
        Limit("onnx-gelu", "torch.onnx.export refuses activation='gelu', as torch's own", "fallback", last="1.2"),
    ],
    reason=_PADDING,
)
class TransformerEncoderLayer(_transformer.TransformerEncoderLayerBase):
    """Self-attention and a feed-forward network, each with a residual connection and a layer norm.

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict. In inference it takes
    torch 1.12's fused operator where that computes what the submodules would; elsewhere its forward calls these one by
    one, and nested tensors go to torch's own forward. It can be scripted from torch 1.7 on.

    Args:
        d_model: width of the input and of the output.
        nhead: number of heads; divides *d_model*.
        dim_feedforward: width of the hidden layer.
        dropout: probability of dropping in training: attention weights, hidden units and what is added to the residual.
        activation: ``"relu"``, ``"gelu"`` or a callable.
        layer_norm_eps: added to the variance.
        batch_first: tensors are (B, S, d_model) instead of (S, B, d_model).
        norm_first: normalise before attention and feed-forward instead of after the residual sum.
        bias: whether linear layers and norms have biases.
        device: where the parameters are made.
        dtype: dtype of the parameters.

    Raises:
        RuntimeError: *activation* is another string.
        ValueError, AssertionError: as :class:`torchcompat.nn.MultiheadAttention` does.
    """


@polyfill(
    "torch.nn.TransformerEncoder",
    since="2.5",
    link=_BIAS,
    limits=[
        lacks("fullgraph", "2.1", "2.1"),
        lacks("script", "1.5", "1.6"),
        _native("nested-all-padded", "in inference a batch of nothing but padding raises RuntimeError"),
        _native("nested-float-padding", "in inference a float padding mask other than 0 and -inf raises RuntimeError"),
        _native("nested-mixed-modes", "a padded batch raises AssertionError if only the first layers are in inference"),
        _native("nested-autocast", "in inference CPU autocast with padding raises RuntimeError"),
    ],
    reason=_PADDING,
)
class TransformerEncoder(_transformer.TransformerEncoderBase):
    """A stack of encoder layers.

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict. Where torch 2.15 would
    pack a padded batch, its padded positions are 0, and are left out of the computation by operators that every torch
    has, if enough of them are padded to pay for it. It can be scripted from torch 1.7 on, without the latter.

    Args:
        encoder_layer: the layer to copy *num_layers* times. All copies start with the same parameters.
        num_layers: number of layers.
        norm: applied at the end, if given.
        enable_nested_tensor: in inference, where the layers can, do not compute padded positions: they are then 0
            (before *norm*).
        mask_check: do so only if every sequence is padded at its end.

    Raises:
        TypeError: *encoder_layer* is the own layer of a torch below 2.0, whose forward takes no *is_causal*.

    Warns:
        UserWarning: *enable_nested_tensor* is wanted, but not possible with this layer.
    """


@polyfill(
    "torch.nn.TransformerDecoderLayer",
    since="2.5",
    link=_BIAS,
    limits=[
        lacks("fullgraph", "2.1", "2.1"),
        lacks("script", "1.5", "1.5"),
        *_DECODED,
        _native("copied-activation", "a copy, or what is loaded from a pickle, has relu in place of a module"),
    ],
    reason=_PADDING,
)
class TransformerDecoderLayer(_decoder.TransformerDecoderLayerBase):
    """Self-attention, attention to a memory, and a feed-forward network, each with a residual connection and a norm.

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict, whose forward
    calls its submodules one by one. It can be scripted from torch 1.7 on.

    Args:
        d_model: width of the target, of the memory and of the output.
        nhead: number of heads; divides *d_model*.
        dim_feedforward: width of the hidden layer.
        dropout: probability of dropping in training: attention weights, hidden units and what is added to the residual.
        activation: ``"relu"``, ``"gelu"`` or a callable.
        layer_norm_eps: added to the variance.
        batch_first: tensors are (B, T, d_model) instead of (T, B, d_model).
        norm_first: normalise before attention and feed-forward instead of after the residual sum.
        bias: whether linear layers and norms have biases.
        device: where the parameters are made.
        dtype: dtype of the parameters.

    Raises:
        RuntimeError: *activation* is another string.
        ValueError, AssertionError: as :class:`torchcompat.nn.MultiheadAttention` does.
    """


@polyfill(
    "torch.nn.TransformerDecoder",
    since="2.5",
    link=_BIAS,
    limits=[
        lacks("script", "1.5", "1.5"),
        *_DECODED,
        _native("copied-activation", "an activation that is a module is computed as relu, since the layer is copied"),
    ],
    reason=_PADDING,
)
class TransformerDecoder(_decoder.TransformerDecoderBase):
    """A stack of decoder layers.

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict.

    Args:
        decoder_layer: the layer to copy *num_layers* times. All copies start with the same parameters.
        num_layers: number of layers.
        norm: applied at the end, if given.

    Raises:
        TypeError: *decoder_layer* is the own layer of a torch below 2.0, whose forward takes no causal hints.
    """


@polyfill(
    "torch.nn.Transformer",
    since="2.5",
    link=_BIAS,
    limits=[
        lacks("script", "1.5", "1.6"),
        Limit(
            "default-dtype",
            "generate_square_subsequent_mask ignores the default dtype and device",
            on="native",
            first="2.5",
            last="2.5",  # https://github.com/pytorch/pytorch/pull/137654
        ),
        Limit(
            "nested-float-padding",
            "in inference a float src_key_padding_mask other than 0 and -inf raises RuntimeError",
            on="native",
            first="2.5",
        ),
        Limit(
            "copied-activation",
            "an activation that is a module is computed as relu in the decoder, since its layer is copied",
            on="native",
            first="2.5",
        ),
    ],
    reason=_PADDING,
)
class Transformer(_seq2seq.TransformerBase):
    """An encoder and a decoder, https://arxiv.org/abs/1706.03762 .

    In torch since 2.5. Fallback: a subclass of this torch's own class with the same state dict, made of the fallbacks
    of :class:`torchcompat.nn.TransformerEncoder` and :class:`torchcompat.nn.TransformerDecoder`.

    Args:
        d_model: width of source, target and output.
        nhead: number of heads; divides *d_model*.
        num_encoder_layers: number of layers of the encoder.
        num_decoder_layers: number of layers of the decoder.
        dim_feedforward: width of the layers' hidden layers.
        dropout: probability of dropping in training: attention weights, hidden units and what is added to the residual.
        activation: ``"relu"``, ``"gelu"`` or a callable.
        custom_encoder: takes the encoder's place; called with *src* and the keywords of
            ``TransformerEncoder.forward``.
        custom_decoder: takes the decoder's place; called with *tgt*, the memory and the keywords of
            ``TransformerDecoder.forward``.
        layer_norm_eps: added to the variance.
        batch_first: tensors are (B, length, d_model) instead of (length, B, d_model).
        norm_first: normalise before attention and feed-forward instead of after the residual sum.
        bias: whether linear layers and norms have biases.
        device: where the parameters are made.
        dtype: dtype of the parameters.

    Raises:
        RuntimeError: *activation* is another string.
        ValueError, AssertionError: as :class:`torchcompat.nn.MultiheadAttention` does.
        TypeError: *custom_encoder* or *custom_decoder* is the own class of a torch whose forward takes no causal hints:
            below 2.0 and 2.1.

    Warns:
        UserWarning: from the encoder, which can only skip padding with *batch_first*.
    """


_attach(globals())
