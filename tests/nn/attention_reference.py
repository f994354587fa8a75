"""Attention in NumPy and float64, written from the definition; True means "ignore" in its masks."""

import io
import math
import warnings

import numpy as np
import torch

from torchcompat import at_least


def as_numpy(tensor):
    return tensor.detach().double().numpy()


def randomised(module):
    """*module* with every parameter drawn anew, so that no bias is 0 and no norm the identity."""
    generator = np.random.RandomState(7)
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = generator.randn(*parameter.shape) * 0.5
            parameter.copy_(torch.as_tensor(drawn).to(parameter.dtype))
    return module


def saved_and_loaded(module):
    """*module* as it comes back from a file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Couldn't retrieve source code")  # torch 1.3 can for no class
        torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False) if at_least(1, 13) else torch.load(file)


def _added(mask):
    if mask is None:
        return 0.0
    if mask.dtype == torch.bool:
        return np.where(mask.numpy(), -np.inf, 0.0)
    return as_numpy(mask)


def softmax(scores):
    finite = np.exp(scores - scores.max(-1, keepdims=True))
    return finite / finite.sum(-1, keepdims=True)


def multihead(module, query, key, value, padding=None, mask=None):
    """Output (B, L, E) and weights (B, H, L, S) for batch-first inputs and a *mask* (L, S) or (B, H, L, S)."""
    state = {name: as_numpy(tensor) for name, tensor in module.state_dict().items()}
    heads, width = module.num_heads, module.embed_dim
    if "in_proj_weight" in state:
        weights = np.split(state["in_proj_weight"], 3)
    else:
        weights = [state[name + "_proj_weight"] for name in "qkv"]
    biases = np.split(state.get("in_proj_bias", np.zeros(3 * width)), 3)
    q, k, v = (as_numpy(x) @ w.T + b for x, w, b in zip((query, key, value), weights, biases))
    batch, length = q.shape[:2]
    scores_mask = np.zeros((batch, heads, length, k.shape[1])) + _added(mask)
    if padding is not None:
        scores_mask = scores_mask + np.asarray(_added(padding))[:, None, None, :]
    extra = []
    if "bias_k" in state:
        extra.append((state["bias_k"], state["bias_v"]))
    if module.add_zero_attn:
        extra.append((np.zeros((1, 1, width)), np.zeros((1, 1, width))))
    for more_k, more_v in extra:
        k = np.concatenate([k, np.repeat(more_k, batch, 0)], 1)
        v = np.concatenate([v, np.repeat(more_v, batch, 0)], 1)
        scores_mask = np.concatenate([scores_mask, np.zeros((batch, heads, length, 1))], -1)

    def split(x):
        return x.reshape(batch, x.shape[1], heads, width // heads).transpose(0, 2, 1, 3)

    q, k, v = split(q), split(k), split(v)
    attention = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads) + scores_mask)
    out = (attention @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
    return out @ state["out_proj.weight"].T + state.get("out_proj.bias", 0.0), attention


def np_relu(x):
    return np.maximum(x, 0.0)


def np_gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


ACTIVATIONS = [
    ("relu", np_relu),
    ("gelu", np_gelu),
    (torch.nn.functional.relu, np_relu),
    (torch.nn.ReLU(), np_relu),
    (torch.tanh, np.tanh),
    (torch.nn.Tanh(), np.tanh),
]


def layer_norm(module, x):
    centred = x - x.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + module.eps)
    bias = 0.0 if module.bias is None else as_numpy(module.bias)
    return normed * as_numpy(module.weight) + bias


def linear(module, x):
    return x @ as_numpy(module.weight).T + (0.0 if module.bias is None else as_numpy(module.bias))


def encoder_layer(layer, src, activation, padding=None, mask=None):
    """What an encoder layer without dropout gives for a batch-first *src*; *activation* is a NumPy function."""

    def attend(x):
        x = torch.as_tensor(x)
        return multihead(layer.self_attn, x, x, x, padding, mask)[0]

    blocks = [(layer.norm1, attend), (layer.norm2, _feed_forward(layer, activation))]
    return _residual(layer.norm_first, as_numpy(src), blocks)


def decoder_layer(layer, tgt, memory, activation, masks=(None, None), paddings=(None, None)):
    """What a decoder layer without dropout gives for a batch-first *tgt*; masks and paddings: of tgt, of memory."""
    memory = torch.as_tensor(as_numpy(memory) if isinstance(memory, torch.Tensor) else memory)

    def attend(x):
        x = torch.as_tensor(x)
        return multihead(layer.self_attn, x, x, x, paddings[0], masks[0])[0]

    def attend_to_memory(x):
        return multihead(layer.multihead_attn, torch.as_tensor(x), memory, memory, paddings[1], masks[1])[0]

    forward = _feed_forward(layer, activation)
    blocks = [(layer.norm1, attend), (layer.norm2, attend_to_memory), (layer.norm3, forward)]
    return _residual(layer.norm_first, as_numpy(tgt) if isinstance(tgt, torch.Tensor) else tgt, blocks)


def _feed_forward(layer, activation):
    return lambda x: linear(layer.linear2, activation(linear(layer.linear1, x)))


def _residual(norm_first, x, blocks):
    for norm, block in blocks:
        x = x + block(layer_norm(norm, x)) if norm_first else layer_norm(norm, x + block(x))
    return x
