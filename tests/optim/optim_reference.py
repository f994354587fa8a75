"""The optimisers as their papers write them, in float64 NumPy: one function from (t, w, g, memory, options) to w.

*memory* is a dict that each function keeps what it wants in. *o* has all options of the constructor.
"""

import numpy as np


def penalised(w, g, o):
    return g + o["weight_decay"] * w


def shrunk(w, o):
    return w * (1 - o["lr"] * o["weight_decay"])


def averages(t, g, memory, o):
    """Bias-corrected running averages of the gradient and of its square: https://arxiv.org/abs/1412.6980"""
    beta1, beta2 = o["betas"]
    memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
    memory["v"] = beta2 * memory.get("v", 0) + (1 - beta2) * g**2
    return memory["m"] / (1 - beta1**t), memory["v"] / (1 - beta2**t)


def sgd(t, w, g, memory, o):
    g = penalised(w, g, o)
    if o["momentum"]:
        kept = memory.get("direction")
        memory["direction"] = g if kept is None else o["momentum"] * kept + (1 - o["dampening"]) * g
        g = g + o["momentum"] * memory["direction"] if o["nesterov"] else memory["direction"]
    return w - o["lr"] * g


def adam(t, w, g, memory, o):
    if o["decoupled_weight_decay"]:
        w = shrunk(w, o)
    else:
        g = penalised(w, g, o)
    m, v = averages(t, g, memory, o)
    if o["amsgrad"]:
        # https://openreview.net/forum?id=ryQu7f-RZ; torch takes the maximum before the correction.
        memory["largest"] = np.maximum(memory.get("largest", 0), memory["v"])
        v = memory["largest"] / (1 - o["betas"][1] ** t)
    return w - o["lr"] * m / (np.sqrt(v) + o["eps"])


def adamw(t, w, g, memory, o):
    return adam(t, w, g, memory, dict(o, decoupled_weight_decay=True))


def adamax(t, w, g, memory, o):
    """https://arxiv.org/abs/1412.6980, algorithm 2; torch adds eps to the size of the gradient."""
    beta1, beta2 = o["betas"]
    g = penalised(w, g, o)
    memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
    memory["u"] = np.maximum(beta2 * memory.get("u", 0), np.abs(g) + o["eps"])
    return w - o["lr"] / (1 - beta1**t) * memory["m"] / memory["u"]


def nadam(t, w, g, memory, o):
    """https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, with its schedule of momentum."""
    beta1 = o["betas"][0]
    if o["decoupled_weight_decay"]:
        w = shrunk(w, o)
    else:
        g = penalised(w, g, o)
    now, then = (beta1 * (1 - 0.5 * 0.96 ** (s * o["momentum_decay"])) for s in (t, t + 1))
    memory["product"] = memory.get("product", 1) * now
    _, v = averages(t, g, memory, o)
    m = then * memory["m"] / (1 - memory["product"] * then) + (1 - now) * g / (1 - memory["product"])
    return w - o["lr"] * m / (np.sqrt(v) + o["eps"])


def radam(t, w, g, memory, o):
    """https://arxiv.org/abs/1908.03265, algorithm 2; torch rectifies above a length of 5 and adds eps before the root's
    correction."""
    beta2 = o["betas"][1]
    if o["decoupled_weight_decay"]:
        w = shrunk(w, o)
    else:
        g = penalised(w, g, o)
    m, _ = averages(t, g, memory, o)
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / (1 - beta2**t)
    if length <= 5:
        return w - o["lr"] * m
    rectified = np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
    return w - o["lr"] * m * rectified * np.sqrt(1 - beta2**t) / (np.sqrt(memory["v"]) + o["eps"])


def adadelta(t, w, g, memory, o):
    """https://arxiv.org/abs/1212.5701, algorithm 1."""
    g = penalised(w, g, o)
    memory["g2"] = o["rho"] * memory.get("g2", 0) + (1 - o["rho"]) * g**2
    step = np.sqrt(memory.get("d2", 0) + o["eps"]) / np.sqrt(memory["g2"] + o["eps"]) * g
    memory["d2"] = o["rho"] * memory.get("d2", 0) + (1 - o["rho"]) * step**2
    return w - o["lr"] * step


def adagrad(t, w, g, memory, o):
    """https://jmlr.org/papers/v12/duchi11a.html, the diagonal form."""
    g = penalised(w, g, o)
    memory["sum"] = memory.get("sum", o["initial_accumulator_value"]) + g**2
    return w - o["lr"] / (1 + (t - 1) * o["lr_decay"]) * g / (np.sqrt(memory["sum"]) + o["eps"])


def rmsprop(t, w, g, memory, o):
    """https://arxiv.org/abs/1308.0850, equations 38 to 41; torch adds eps to the root."""
    g = penalised(w, g, o)
    memory["n"] = o["alpha"] * memory.get("n", 0) + (1 - o["alpha"]) * g**2
    memory["g"] = o["alpha"] * memory.get("g", 0) + (1 - o["alpha"]) * g
    variance = memory["n"] - memory["g"] ** 2 if o["centered"] else memory["n"]
    memory["b"] = o["momentum"] * memory.get("b", 0) + g / (np.sqrt(variance) + o["eps"])
    return w - o["lr"] * memory["b"]


def rprop(t, w, g, memory, o):
    """https://doi.org/10.1109/ICNN.1993.298623; where the sign has changed the weight stays, the next step is free."""
    before = memory.get("g", np.zeros_like(w))
    size = memory.get("size", np.full_like(w, o["lr"]))
    down, up = o["etas"]
    factor = np.where(g * before > 0, up, np.where(g * before < 0, down, 1.0))
    memory["size"] = np.clip(size * factor, *o["step_sizes"])
    memory["g"] = np.where(g * before < 0, 0.0, g)
    return w - memory["size"] * np.sign(memory["g"])


def asgd(t, w, g, memory, o):
    """https://dl.acm.org/doi/10.1137/0330046, with the schedule of https://leon.bottou.org/projects/sgd."""
    eta = o["lr"] if t == 1 else o["lr"] / (1 + o["lambd"] * o["lr"] * (t - 1)) ** o["alpha"]
    w = w * (1 - o["lambd"] * eta) - eta * penalised(w, g, o)
    weight = 1 / max(1, t - 1 - o["t0"])
    memory["ax"] = w if weight == 1 else memory["ax"] + weight * (w - memory["ax"])
    return w


def sparse_adam(t, w, g, memory, o):
    """Adam on a gradient that names every entry."""
    m, _ = averages(t, g, memory, o)
    beta2 = o["betas"][1]
    return w - o["lr"] * m * np.sqrt(1 - beta2**t) / (np.sqrt(memory["v"]) + o["eps"])


def adafactor(t, w, g, memory, o):
    """https://arxiv.org/abs/1804.04235, algorithms 4 and 5, with torch's uses of lr and of the first eps."""
    least, least_scale = o["eps"]
    least = np.finfo(w.dtype).eps if least is None else least
    size = max(least_scale, np.sqrt(np.mean(w**2))) * min(o["lr"], t**-0.5)
    w = shrunk(w, o)
    weight = t ** o["beta2_decay"]
    if g.ndim > 1:
        memory["r"] = memory.get("r", 0) * (1 - weight) + weight * np.mean(g**2, axis=-1, keepdims=True)
        memory["c"] = memory.get("c", 0) * (1 - weight) + weight * np.mean(g**2, axis=-2, keepdims=True)
        v = memory["r"] * memory["c"] / np.maximum(memory["r"].mean(axis=-2, keepdims=True), least)
    else:
        v = memory["v"] = memory.get("v", 0) * (1 - weight) + weight * g**2
    step = g / np.sqrt(np.maximum(v, least**2))
    return w - size * step / max(1, np.sqrt(np.mean(step**2)) / o["d"])


def muon(t, w, g, memory, o):
    """https://kellerjordan.github.io/posts/muon/, in float64; torch iterates in bfloat16."""
    memory["b"] = memory.get("b", 0) * o["momentum"] + (1 - o["momentum"]) * g
    step = g + o["momentum"] * (memory["b"] - g) if o["nesterov"] else memory["b"]
    a, b, c = o["ns_coefficients"]
    x = step.T if step.shape[0] > step.shape[1] else step
    x = x / max(np.linalg.norm(x), o["eps"])
    for _ in range(o["ns_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    rows, columns = w.shape
    x = x.T if rows > columns else x
    ratio = {
        "match_rms_adamw": 0.2 * np.sqrt(max(rows, columns)),
        "spectral_unclamped": np.sqrt(rows / columns),
    }.get(o["adjust_lr_fn"], np.sqrt(max(1, rows / columns)))
    return shrunk(w, o) - o["lr"] * ratio * x
