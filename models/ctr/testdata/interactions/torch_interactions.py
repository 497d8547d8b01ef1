"""Logits, losses and gradients of models of products of embeddings, from PyTorch: python torch_interactions.py writes parity.json beside this
file (made with torch 2.15.0).

Each model is written here from its paper's formulas, in float64, with loops over fields, heads and feature maps. Rows have two numbers, each of
which scales a vector of its own, and three categories, which embed to rows of tables (id 0 is padding, whose row is zero). Towers have tanh;
what the papers call ReLU is ReLU. The loss is the mean binary cross-entropy. A case has the parameters by the program's names, and the gradient
of each.
"""
import json, pathlib
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
B = 7
NUMBERS = ["n1", "n2"]
VOCAB = {"a": 5, "b": 6, "c": 4}
number = lambda t: [float(f"{v:.9g}") for v in t.reshape(-1).tolist()]


class Case:
    """Parameters by name, made when they are first asked for."""

    def __init__(self, seed):
        self.g, self.p = torch.Generator().manual_seed(seed), {}

    def get(self, name, *shape, mean=0.0):
        if name not in self.p:
            v = (mean + torch.randn(*shape, generator=self.g) * .6).float().double()
            if name.split(".")[-2] in VOCAB:
                v[0] = 0
            self.p[name] = v.requires_grad_()
        return self.p[name]

    def linear(self, name, x, out):
        return x @ self.project(name, x.shape[-1], out).T + self.get(name + ".bias", out)

    def project(self, name, n, out):
        return self.get(name + ".weight", out, n)

    def mlp(self, name, x, hidden, out):
        for i, n in enumerate(hidden):
            x = torch.tanh(self.linear(f"{name}.{i}", x, n))
        return self.linear(f"{name}.{len(hidden)}", x, out) if out else x

    def norm(self, name, x):
        """Layer norm over the last axis."""
        n = x.shape[-1]
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.get(name + ".weight", n, mean=1.0) + self.get(name + ".bias", n)

    def table(self, name, dim, f):
        return self.get(f"{name}.{f}.weight", VOCAB.get(f, 1), dim)

    def fields(self, name, dim, columns=NUMBERS + list(VOCAB)):
        """A list of the fields' vectors, [B, dim] each."""
        return [dense[:, NUMBERS.index(f), None] * self.table(name, dim, f) if f in NUMBERS else self.table(name, dim, f)[ids[f]] for f in columns]

    def wide(self):
        return sum(self.fields("linear", 1)) + self.get("linear.bias", 1, 1)


def pairs(n):
    return [(i, j) for i in range(n) for j in range(i + 1, n)]


def xdeepfm(c, o):
    x0 = x = c.fields("embedding", o["embedding_dim"])
    found = []
    for k, maps in enumerate(o["cin_hidden_units"]):
        w, b = c.get(f"cin.{k}.weight", maps, len(x), len(x0)), c.get(f"cin.{k}.bias", maps)
        x = [b[h] + sum(w[h, i, j] * xi * xj for i, xi in enumerate(x) for j, xj in enumerate(x0)) for h in range(maps)]
        found += [xi.sum(1) for xi in x]
    z = c.wide() + c.linear("fc", torch.stack(found, 1), 1)
    return z + c.mlp("mlp", torch.cat(x0, 1), o["hidden_units"], 1) if o["hidden_units"] else z


def ipnn(c, o):
    e = c.fields("embedding", o["embedding_dim"])
    products = [(e[i] * e[j]).sum(1, keepdim=True) for i, j in pairs(len(e))]
    return c.mlp("mlp", torch.cat(e + products, 1), o["hidden_units"], 1)


def dlrm(c, o):
    z = c.mlp("bottom", dense, o["bottom_hidden_units"] + [o["embedding_dim"]], 0)
    v = [z] + c.fields("embedding", o["embedding_dim"], list(VOCAB))
    if o["interaction"] == "cat":
        return c.mlp("mlp", torch.cat(v, 1), o["hidden_units"], 1)
    products = [(v[i] * v[j]).sum(1, keepdim=True) for i, j in pairs(len(v))]
    return c.mlp("mlp", torch.cat([z] + products, 1), o["hidden_units"], 1)


def fibinet(c, o):
    d, kind = o["embedding_dim"], o["bilinear_type"]
    e = c.fields("embedding", d)
    n = len(e)
    z = torch.stack([x.mean(1) for x in e], 1)
    reduced = max(1, n // o["reduction_ratio"])
    a = torch.relu(torch.relu(z @ c.project("senet.squeeze", n, reduced).T) @ c.project("senet.excite", reduced, n).T)

    def bilinear(name, v):
        out = []
        for i, j in pairs(n):
            if kind == "field_all":
                w = c.project(name, d, d)
            elif kind == "field_each":
                w = c.project(f"{name}.{i}", d, d)
            else:
                w = c.project(f"{name}.{i}", d, (n - 1 - i) * d)[(j - i - 1) * d : (j - i) * d]
            out.append(v[i] @ w.T * v[j])
        return out

    x = bilinear("bilinear", e) + bilinear("senet_bilinear", [a[:, i : i + 1] * e[i] for i in range(n)])
    return c.wide() + c.mlp("mlp", torch.cat(x, 1), o["hidden_units"], 1)


def autoint(c, o):
    e = x = torch.stack(c.fields("embedding", o["embedding_dim"]), 1)  # [B, F, D]
    n, width = o["num_heads"], o["attention_dim"]
    d = width // n
    for l in range(o["attention_layers"]):
        s = f"attention.{l}"
        q, k, v = (x @ c.project(f"{s}.{name}", x.shape[2], width).T for name in ("query", "key", "value"))
        heads = []
        for h in range(n):
            at = slice(h * d, (h + 1) * d)
            score = torch.einsum("bmd,bkd->bmk", q[..., at], k[..., at]) / (d**0.5 if o["use_scale"] else 1)
            weight = score.exp() / score.exp().sum(2, keepdim=True)
            heads.append(torch.einsum("bmk,bkd->bmd", weight, v[..., at]))
        y = torch.cat(heads, 2)
        if o["use_residual"]:
            y = y + (x if x.shape[2] == width else x @ c.project(f"{s}.residual", x.shape[2], width).T)
        x = torch.relu(c.norm(f"{s}.norm", y) if o["layer_norm"] else y)
    z = c.linear("fc", x.flatten(1), 1)
    if o["hidden_units"]:
        z = z + c.mlp("mlp", e.flatten(1), o["hidden_units"], 1)
    return z + c.wide() if o["use_wide"] else z


def wukong(c, o):
    d, lcb, fmb, rank = o["embedding_dim"], o["lcb_features"], o["fmb_features"], o["fmb_rank"]
    x = torch.stack(c.fields("embedding", d), 1)  # [B, n, D]
    for i in range(o["num_layers"]):
        s, n = f"layers.{i}", x.shape[1]
        fm = x @ x.transpose(1, 2)
        if rank:
            fm = fm @ c.project(f"{s}.fmb.projection", n, rank).T
        h = c.mlp(f"{s}.fmb.mlp", c.norm(f"{s}.fmb.norm", fm.flatten(1)), o["fmb_hidden_units"], fmb * d).reshape(B, fmb, d)
        z = torch.cat([h, torch.einsum("ln,bnd->bld", c.project(f"{s}.lcb", n, lcb), x)], 1)
        if n != lcb + fmb:
            x = torch.einsum("ln,bnd->bld", c.project(f"{s}.residual", n, lcb + fmb), x)
        x = c.norm(f"{s}.norm", z + x)
    return c.mlp("mlp", x.flatten(1), o["hidden_units"], 1)


g = torch.Generator().manual_seed(1)
ids = {k: torch.randint(0, v, (B,), generator=g) for k, v in VOCAB.items()}
dense = torch.randn(B, len(NUMBERS), generator=g).float().double()
label = torch.tensor([1, 0, 1, 1, 0, 1, 0.0])
cases = []
for i, (model, o) in enumerate([
    (xdeepfm, {"embedding_dim": 3, "cin_hidden_units": [4, 2, 3], "hidden_units": [5, 4]}),
    (xdeepfm, {"embedding_dim": 2, "cin_hidden_units": [3], "hidden_units": []}),
    (ipnn, {"embedding_dim": 3, "hidden_units": [5, 4]}),
    (dlrm, {"embedding_dim": 3, "bottom_hidden_units": [4], "interaction": "dot", "hidden_units": [5]}),
    (dlrm, {"embedding_dim": 2, "bottom_hidden_units": [], "interaction": "cat", "hidden_units": [5]}),
    (fibinet, {"embedding_dim": 3, "reduction_ratio": 2, "bilinear_type": "field_all", "hidden_units": [5]}),
    (fibinet, {"embedding_dim": 3, "reduction_ratio": 1, "bilinear_type": "field_each", "hidden_units": [5]}),
    (fibinet, {"embedding_dim": 2, "reduction_ratio": 2, "bilinear_type": "field_interaction", "hidden_units": [4]}),
    (autoint, {"embedding_dim": 3, "attention_layers": 2, "num_heads": 2, "attention_dim": 4, "use_residual": True, "use_scale": False,
               "use_wide": False, "layer_norm": False, "hidden_units": []}),
    (autoint, {"embedding_dim": 4, "attention_layers": 1, "num_heads": 2, "attention_dim": 4, "use_residual": True, "use_scale": True,
               "use_wide": True, "layer_norm": True, "hidden_units": [5]}),
    (wukong, {"embedding_dim": 3, "num_layers": 2, "lcb_features": 2, "fmb_features": 2, "fmb_rank": 2, "fmb_hidden_units": [4],
              "hidden_units": [5]}),
    (wukong, {"embedding_dim": 3, "num_layers": 1, "lcb_features": 2, "fmb_features": 3, "fmb_rank": 0, "fmb_hidden_units": [4, 3],
              "hidden_units": [4]}),
]):
    for seed in range(20 + 100 * i, 120 + 100 * i):  # the first one that leaves nothing behind a ReLU that is always 0
        c = Case(seed)
        z = model(c, o)[:, 0]
        loss = F.binary_cross_entropy_with_logits(z, label)
        loss.backward()
        if all(p.grad.any() for p in c.p.values()):
            break
    assert all(p.grad.any() for p in c.p.values()), model
    for name, p in c.p.items():
        if name.split(".")[-2] in VOCAB:
            p.grad[0] = 0  # padding takes no gradient
    cases.append({"model": model.__name__, "options": o, "logits": number(z.detach()), "loss": loss.item(),
                  "params": {k: {"value": number(v.detach()), "gradient": number(v.grad)} for k, v in c.p.items()}})
result = {"ids": {k: v.tolist() for k, v in ids.items()}, "dense": number(dense), "label": label.tolist(), "cases": cases}
text = json.dumps(result, separators=(",", ":")).replace('},"', '},\n"').replace('{"model"', '\n{"model"')
(pathlib.Path(__file__).parent / "parity.json").write_text(text + "\n")
