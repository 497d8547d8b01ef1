"""Expected values of the models of histories, from PyTorch: python torch_parity.py writes a .json for each model beside this file.

Each model is written here from its definition, over parameters of the names that this package gives them. Rows are an item, a history
(0 is padding, to the right; one is empty, one is full) and a label, which of a next-item model is the item after the history. logits, buffers and gradients
are those of a step of training, scores those of an evaluation after it.
"""
import json, math, pathlib
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
V, L, D, B = 13, 5, 6, 7
HISTORY = torch.tensor([[2, 3, 4, 5, 6], [7, 0, 0, 0, 0], [0, 0, 0, 0, 0], [3, 3, 12, 0, 0], [1, 2, 0, 0, 0], [11, 10, 9, 8, 0], [5, 6, 7, 2, 2]])
ITEM = torch.tensor([5, 7, 9, 3, 1, 12, 2])
LABEL = torch.tensor([1., 0, 1, 1, 0, 0, 1])
NEXT = torch.tensor([7, 3, 4, 12, 2, 6, 9])
LIVE = HISTORY.ne(0).sum(1).clamp(min=1)  # a row without history has one position, of padding
MASK = torch.arange(L)[None] < LIVE[:, None]


class P(dict):
    """Parameters by name, drawn when they are first asked for, and running statistics."""
    def __init__(self):
        self.buffers, self.training = {}, True

    def buffer(self, name, value):
        return self.buffers.setdefault(name, value)

    def __call__(self, name, *shape, scale=.4):
        if name not in self:
            x = torch.randn(*shape) * scale
            if name.endswith("item.weight"):
                x[0] = 0
            self[name] = x.float().double().requires_grad_()
        return self[name]


def linear(p, name, x, out, bias=True):
    w = p(name + ".weight", out, x.shape[-1])
    return F.linear(x, w, p(name + ".bias", out) if bias else None)


def mlp(p, name, x, hidden, act, out=1, live=None):
    for i, n in enumerate(hidden):
        x = linear(p, f"{name}.{i}", x, n)
        x = dice(p, f"{name}.{i}.dice", x, live) if act is dice else act(x)
    return linear(p, f"{name}.{len(hidden)}", x, out)


def dice(p, name, x, live=None):
    """The statistics are those of the rows that live tells."""
    c = x.shape[-1]
    live = torch.ones(x.shape[:-1]).bool() if live is None else live
    mean, var = p.buffer(name + ".running_mean", torch.zeros(c)), p.buffer(name + ".running_var", torch.ones(c))
    xhat = torch.zeros_like(x)
    xhat[live] = F.batch_norm(x[live], mean, var, training=p.training, momentum=.01, eps=1e-9)
    alpha, q = p(name + ".alpha", c), torch.sigmoid(xhat)
    return q * x + alpha * (1 - q) * x


def norm(p, name, x, eps=1e-8):
    d = x.shape[-1]
    w = p(name + ".weight", d)
    return F.layer_norm(x, (d,), w, p(name + ".bias", d), eps)


def last(x):
    return x[torch.arange(B), LIVE - 1]


def classify(p, *parts, act=torch.tanh):
    return mlp(p, "classifier", torch.cat(parts, 1), [8, 4], act)


def lookups(p, transformed=True):
    e = p("embedding.item.weight", V, D)
    item, seq = F.embedding(ITEM, e), F.embedding(HISTORY, e)
    if transformed:
        item, seq = torch.tanh(linear(p, "target", item, D)), torch.tanh(linear(p, "sequence", seq, D))
    return item, seq


def gru(p, x, size, path="gru"):
    k = x.shape[-1]
    m = torch.nn.GRU(k, size, batch_first=True)
    names = {"weight_ih_l0": p(path + ".weight_ih", 3 * size, k), "weight_hh_l0": p(path + ".weight_hh", 3 * size, size),
             "bias_ih_l0": p(path + ".bias_ih", 3 * size), "bias_hh_l0": p(path + ".bias_hh", 3 * size)}
    return torch.func.functional_call(m, names, (x,))[0]


def attend(p, name, y, heads, mask=None, keys=None):
    """Attention over y itself, or over keys, causal unless a mask tells which positions are seen."""
    n, width = y.shape[1:]
    mask = torch.ones(L, L).tril().bool()[None] & MASK[:, None] if mask is None else mask[:, None]
    q, k, v = (linear(p, name + part, x, width).view(B, n, heads, -1).transpose(1, 2)
               for part, x in (("query", y), ("key", y if keys is None else keys), ("value", y if keys is None else keys)))
    z = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
    return linear(p, name + "out", z.transpose(1, 2).reshape(B, n, width), width)


def transformer(p, x, heads, blocks):
    x = x + p("position.weight", L, D)
    for i in range(blocks):
        b = f"blocks.{i}."
        x = x + attend(p, b + "attention.", norm(p, b + "norm1", x), heads)
        y = norm(p, b + "norm2", x)
        x = x + linear(p, b + "linear2", F.relu(linear(p, b + "linear1", y, D)), D)
    return norm(p, "norm", x)


def published(p, x, heads, blocks):
    """The blocks of SASRec's published code: what is added to is normalized."""
    x = x + p("position.weight", L, D)
    for i in range(blocks):
        b = f"blocks.{i}."
        q = norm(p, b + "norm1", x)
        x = norm(p, b + "norm2", q + attend(p, b + "attention.", q, heads, keys=x))
        x = x + linear(p, b + "linear2", F.relu(linear(p, b + "linear1", x, D)), D)
    return norm(p, "norm", x)


def ligr(p, x, heads, blocks, inner):
    """Blocks of attention and SwiGLU whose results a gate of their input lets in."""
    back = (LIVE[:, None] - 1 - torch.arange(L)).clamp(min=0)  # places counted from the last action
    x = x + p("position.weight", L, D)[back]
    for i in range(blocks):
        b = f"blocks.{i}."
        y = attend(p, b + "attention.", norm(p, b + "norm1", x, 1e-5), heads)
        x = x + torch.sigmoid(linear(p, b + "gate1", x, D)) * y
        y = norm(p, b + "norm2", x, 1e-5)
        f = b + "feed_forward."
        y = F.silu(linear(p, f + "gate_proj", y, inner, False)) * linear(p, f + "up_proj", y, inner, False)
        x = x + torch.sigmoid(linear(p, b + "gate2", x, D)) * linear(p, f + "down_proj", y, D, False)
    return x


def augru(p, x, a, size, path):
    """The states after each item of a gated recurrent unit whose update gate attention scales."""
    k = x.shape[-1]
    wi, wh = p(path + ".weight_ih", 3 * size, k), p(path + ".weight_hh", 3 * size, size)
    gates = F.linear(x, wi, p(path + ".bias_ih", 3 * size))
    h, out, bh = torch.zeros(B, size), [], p(path + ".bias_hh", 3 * size)
    for t in range(L):
        xr, xz, xn = gates[:, t].chunk(3, 1)
        hr, hz, hn = F.linear(h, wh, bh).chunk(3, 1)
        u = a[:, t, None] * (1 - torch.sigmoid(xz + hz))
        new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
        h = torch.where(HISTORY[:, t, None].ne(0), (1 - u) * h + u * new, h)
        out.append(h)
    return torch.stack(out, 1)


def dien(p):
    item, seq = lookups(p, False)
    states = gru(p, seq, D, "extractor")
    z = torch.einsum("bld,bd->bl", states, linear(p, "attention", item, D, False))
    z = torch.where(HISTORY.ne(0), z, -1e30).softmax(1)
    return classify(p, augru(p, states, z, D, "evolving")[:, -1], item)


def dien_dot(p):
    item, seq = lookups(p, False)
    states = gru(p, seq, D, "extractor")
    z = torch.einsum("bld,bd->bl", states, item)
    return classify(p, augru(p, states, z, D, "evolving")[:, -1], item)


def dien_unit(p):
    item, seq = lookups(p, False)
    states = gru(p, seq, D, "extractor")
    z = unit(p, item, states, dice)
    total = (seq * HISTORY.ne(0)[..., None]).sum(1)
    return classify(p, augru(p, states, z, D, "evolving")[:, -1], item, total, item * total, act=dice)


def unit(p, item, seq, act):
    """The weights of the local activation unit, [B, L]."""
    q = item[:, None].expand(-1, L, -1)
    return mlp(p, "attention", torch.cat([q, seq, q - seq, q * seq], 2), [5], act, live=HISTORY.ne(0))[..., 0]


def din_unit(p):
    item, seq = lookups(p, False)
    w = unit(p, item, seq, torch.sigmoid)
    return classify(p, item, (w[..., None] * seq * MASK[..., None]).sum(1))


def din_softmax(p):
    item, seq = lookups(p, False)
    w = torch.where(MASK, unit(p, item, seq, torch.sigmoid), -math.inf).softmax(1)
    return classify(p, item, (w[..., None] * seq).sum(1))


def din_dice(p):
    item, seq = lookups(p, False)
    w = unit(p, item, seq, dice)
    return classify(p, item, (w[..., None] * seq * MASK[..., None]).sum(1), act=dice)


def bst(p, pooling="mean", blocks=2):
    """The item stands behind the history, and places are counted from it."""
    item, seq = lookups(p, False)
    n = HISTORY.ne(0).sum(1)
    places = torch.arange(L + 1)
    x = torch.cat([seq, torch.zeros(B, 1, D)], 1)
    x = torch.where(places[None, :, None] == n[:, None, None], item[:, None], x)
    live = places[None] <= n[:, None]
    x = torch.cat([x, p("position.weight", L + 1, D)[(n[:, None] - places[None]).clamp(min=0)]], 2)
    for i in range(blocks):
        b = f"blocks.{i}."
        s = norm(p, b + "norm1", x + attend(p, b + "attention.", x, 2, live), 1e-5)
        x = norm(p, b + "norm2", s + linear(p, b + "linear2", F.leaky_relu(linear(p, b + "linear1", s, 5)), 2 * D), 1e-5)
    if pooling == "target":
        return classify(p, item, x[torch.arange(B), n])
    total = (x * live[..., None]).sum(1)
    return classify(p, item, total / live.sum(1, True) if pooling == "mean" else total)


def bst_target(p):
    return bst(p, "target", 1)


def bst_sum(p):
    return bst(p, "sum", 1)


def gru4rec(p):
    item, seq = lookups(p)
    return classify(p, last(gru(p, seq, 5)), item)


def sasrec(p):
    item, seq = lookups(p)
    return classify(p, last(transformer(p, seq, 2, 2)), item)


def esasrec(p):
    item, seq = lookups(p)
    return classify(p, last(ligr(p, seq, 2, 2, 10)), item)


def duet(p, splice=False):
    """The classifier of din with weights that are made of the clicks' last state, or spliced by local weights with those of a static one."""
    clicks = F.embedding(HISTORY, p("embedding.item.weight", V, D))
    item, seq = lookups(p)
    q, k, v = (linear(p, "attention." + n, x, D, False) for n, x in (("query", item), ("key", seq), ("value", seq)))
    z = torch.einsum("bd,bld->bl", q, k) / math.sqrt(D)
    z = torch.where(MASK, z, -math.inf).softmax(1)
    x = torch.cat([item, torch.einsum("bl,bld->bd", z, v)], 1)
    user = last(gru(p, clicks, 3, "generator.gru"))
    for i, out in enumerate([8, 4, 1]):
        g = F.relu(linear(p, f"generator.{i}.hidden", user, 3))
        w, b = linear(p, f"generator.{i}.weight", g, out * x.shape[1]), linear(p, f"generator.{i}.bias", g, out)
        w = w.view(B, out, -1)
        if splice:
            size = x.shape[1]
            static, bias = p(f"classifier.{i}.weight", out, size), p(f"classifier.{i}.bias", out)
            base = torch.sigmoid((static - w).abs() @ p(f"assessor.{i}.weight", size, size).T)
            w = base * static + (1 - base) * w
            base = torch.sigmoid((bias - b).abs() @ p(f"assessor.{i}.bias", out, out).T)
            b = base * bias + (1 - base) * b
        x = torch.einsum("boi,bi->bo", w, x) + b
        x = torch.tanh(x) if i < 2 else x
    return x


def duet_local(p):
    return duet(p, True)


def next_items(p, states):
    """The mean cross-entropy over the positions with a next item; ids 0 and 1 are no items."""
    follow = torch.cat([HISTORY[:, 1:], torch.zeros(B, 1, dtype=torch.long)], 1)
    follow[torch.arange(B), LIVE - 1] = NEXT
    z = states @ p["embedding.item.weight"].T
    z[..., :2] = -math.inf
    live = MASK & (follow >= 2)
    return F.cross_entropy(z[live], follow[live])


def gru4rec_next(p):
    e = p("embedding.item.weight", V, D)
    return next_items(p, F.linear(gru(p, F.embedding(HISTORY, e), 5), p("project.weight", D, 5)))


def sasrec_next(p):
    e = p("embedding.item.weight", V, D)
    return next_items(p, transformer(p, F.embedding(HISTORY, e) * math.sqrt(D), 2, 2))


def sasrec_published_next(p):
    e = p("embedding.item.weight", V, D)
    return next_items(p, published(p, F.embedding(HISTORY, e) * math.sqrt(D), 2, 2))


def esasrec_next(p):
    e = p("embedding.item.weight", V, D)
    return next_items(p, ligr(p, F.embedding(HISTORY, e), 2, 2, 4 * D))


for seed, model in enumerate((din_unit, duet, gru4rec, sasrec, gru4rec_next, sasrec_next, esasrec, esasrec_next, din_softmax, din_dice, bst, bst_sum, bst_target,
                              dien, dien_dot, dien_unit, duet_local, sasrec_published_next)):
    torch.manual_seed(seed)  # a further model changes no file of the others
    p = P()
    out = model(p)
    loss = out if model.__name__.endswith("next") else F.binary_cross_entropy_with_logits(out[:, 0], LABEL)
    loss.backward()
    p["embedding.item.weight"].grad[0] = 0  # padding takes no gradient
    tensor = lambda x: {"shape": list(x.shape), "data": [float(f"{v:.7g}") for v in x.reshape(-1).tolist()]}
    label = NEXT if model.__name__.endswith("next") else LABEL
    p.training = False
    scores = model(p)
    logits, scores = ([] if model.__name__.endswith("next") else tensor(x)["data"] for x in (out, scores))
    result = {"item": ITEM.tolist(), "history": HISTORY.tolist(), "label": label.tolist(), "logits": logits, "scores": scores, "loss": loss.item(),
              "buffers": {k: tensor(v) for k, v in p.buffers.items()},
              "params": {k: tensor(v) for k, v in p.items()}, "grads": {k: tensor(v.grad) for k, v in p.items()}}
    path = pathlib.Path(__file__).parent / (model.__name__ + ".json")
    path.write_text(json.dumps(result) + "\n")
    print(path.name, loss.item(), sum(v.numel() for v in p.values()))
