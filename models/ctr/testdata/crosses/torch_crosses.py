"""Logits, losses and gradients of FCN, QNN, FinalMLP, FINAL, GDCN and MaskNet, from PyTorch: python torch_crosses.py writes parity.json
beside this file (made with torch 2.15.0).

Each model is written here from the formulas of its paper, over a number and categories that embed to rows of tables (id 0 is padding, whose row is
zero). The loss is the mean over the rows of the binary cross-entropy times the row's weight, with what the model adds to it in training; dropout
is off, batch norms have the statistics of the batch. A case has the parameters by the program's names, and the gradient of each.
"""
import json, pathlib
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
B, DIM, FIELDS = 9, 4, 3
VOCAB = {"a": 5, "b": 6}
number = lambda t: [float(f"{v:.7g}") for v in t.reshape(-1).tolist()]


class Case:
    """Parameters by name, made when they are first asked for, and the losses beside that of the logits."""

    def __init__(self, seed, weight):
        self.g, self.p, self.more, self.weight = torch.Generator().manual_seed(seed), {}, 0, weight

    def get(self, name, *shape):
        if name not in self.p:
            v = (torch.randn(*shape, generator=self.g) * 50).round().div(100).float().double()  # numbers of two digits
            if "embedding" in name and len(shape) == 2 and shape[0] > 1:
                v[0] = 0
            self.p[name] = v.requires_grad_()
        return self.p[name]

    def bce(self, z, y):
        return (self.weight * F.binary_cross_entropy_with_logits(z[:, 0], y, reduction="none")).mean()

    def affine(self, name, x, out, bias=True):
        return F.linear(x, self.get(name + ".weight", out, x.shape[1]), self.get(name + ".bias", out) if bias else None)

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[1:], self.get(name + ".weight", x.shape[1]), self.get(name + ".bias", x.shape[1]))

    def batch_norm(self, name, x):
        return F.batch_norm(x, None, None, self.get(name + ".weight", x.shape[1]), self.get(name + ".bias", x.shape[1]), training=True)

    def mlp(self, name, x, hidden, out=0, bn=False):
        for i, n in enumerate(hidden):
            x = self.affine(f"{name}.{i}", x, n)
            x = torch.relu(self.batch_norm(f"{name}.{i}.bn", x) if bn else x)
        return self.affine(f"{name}.{len(hidden)}", x, out) if out else x

    def table(self, name, column, ids, dim):
        return self.get(f"{name}.{column}.weight", VOCAB[column], dim)[ids[column]]

    def fields(self, ids, dense, dim=DIM):
        """The embeddings, [B, F, dim]."""
        n = dense[:, None] * self.get("embedding.n.weight", 1, dim)
        return torch.stack([n] + [self.table("embedding", k, ids, dim) for k in VOCAB], 1)


def gdcn(c, ids, dense, y, structure):
    x0 = c.fields(ids, dense).flatten(1)
    x = x0
    for i in range(2):
        gate = torch.sigmoid(c.affine(f"cross.{i}.gate", x, x.shape[1], bias=False))
        x = x0 * c.affine(f"cross.{i}", x, x.shape[1]) * gate + x
    h = c.mlp("mlp", x if structure == "stacked" else x0, [6, 5])
    return c.affine("fc", h if structure == "stacked" else torch.cat([x, h], 1), 1)


def masknet(c, ids, dense, y, structure, embedding_norm=True, norm=True):
    e = c.fields(ids, dense)
    x = e
    if embedding_norm:
        x = torch.stack([c.layer_norm(f"embedding_norm.{f}", e[:, f]) for f in range(FIELDS)], 1)
    e, x = e.flatten(1), x.flatten(1)

    def block(name, x, out):
        width = x.shape[1]
        mask = c.affine(name + ".mask.1", torch.relu(c.affine(name + ".mask.0", e, int(width * .5))), width)
        v = c.affine(name + ".hidden", mask * x, out, bias=False)
        return torch.relu(c.layer_norm(name + ".norm", v) if norm else v)

    if structure == "serial":
        for i, n in enumerate([6, 5]):
            x = block(f"blocks.{i}", x, n)
        return c.affine("fc", x, 1)
    return c.mlp("mlp", torch.cat([block(f"blocks.{i}", x, 5) for i in range(2)], 1), [6, 5], 1)


def finalmlp(c, ids, dense, y, contexts, heads):
    e = c.fields(ids, dense).flatten(1)

    def gate(name, columns):
        if columns:
            v = torch.cat([c.table(name + ".embedding", k, ids, DIM) for k in columns], 1)
        else:
            v = c.get(name + ".context", 1, DIM).expand(B, DIM)
        return 2 * torch.sigmoid(c.affine(name + ".out", c.mlp(name + ".mlp", v, [5]), e.shape[1])) * e

    a, b = (gate("gate1", contexts[0]), gate("gate2", contexts[1])) if contexts else (e, e)
    a, b = c.mlp("mlp1", a, [7, 6], bn=True), c.mlp("mlp2", b, [4])
    z = c.affine("fusion.x", a, 1) + c.affine("fusion.y", b, 1)
    for h, (u, v) in enumerate(zip(a.chunk(heads, 1), b.chunk(heads, 1))):
        z = z + torch.einsum("bi,ji,bj->b", u, c.get(f"fusion.{h}.weight", v.shape[1], u.shape[1]), v)[:, None]
    return z


def finalnet(c, ids, dense, y, blocks, gating, residual, bn):
    e = c.fields(ids, dense)

    def block(name, x, hidden):
        for i, n in enumerate(hidden):
            first, second = c.affine(f"{name}.{i}", x, 2 * n if residual == "sum" else n).chunk(2, 1)
            x = first + first * second if residual == "sum" else torch.cat([first, first * second], 1)
            x = torch.relu(c.batch_norm(f"{name}.{i}.bn", x) if bn else x)
        return x

    x = e
    if gating:
        gates = torch.einsum("gf,bfk->bgk", c.get("gate.weight", FIELDS, FIELDS), e) + c.get("gate.bias", FIELDS)[:, None]
        x = torch.cat([e, e * gates], 1)
    z = c.affine("fc1", block("block1", x.flatten(1), [6, 4]), 1)
    if blocks == 1:
        return z
    other = c.affine("fc2", block("block2", e.flatten(1), [6]), 1)
    both = (z + other) / 2
    teacher = torch.sigmoid(both).detach()[:, 0]
    c.more = c.bce(z, teacher) + c.bce(other, teacher)
    return both


def qnn(c, ids, dense, y, heads, bn):
    x = c.fields(ids, dense).flatten(1)
    d = x.shape[1]
    for i in range(2):
        h = c.affine(f"layers.{i}", x, 3 * d)
        rows = torch.relu(c.batch_norm(f"layers.{i}.bn", h) if bn else h).view(B, 3, d)
        by_head = x.view(B, FIELDS, heads, DIM // heads).transpose(1, 2).reshape(B, d)
        x = torch.einsum("bd,brd->bd", by_head, rows) + x
    return c.affine("fc", x, 1)


def fcn(c, ids, dense, y, heads, norm, tri, bn=False):
    e = c.fields(ids, dense, DIM * heads).view(B, FIELDS, heads, 2, DIM // 2)
    x0 = e.permute(0, 2, 3, 1, 4).reshape(B * heads, FIELDS * DIM)  # first the first halves of all fields

    def network(name, layers, exponential):
        x = x0
        for i in range(layers):
            h = c.affine(f"{name}.{i}", x, x.shape[1] // 2, bias=False)
            if bn:
                h = c.batch_norm(f"{name}.{i}.bn", h.view(B, heads, -1)).view(h.shape)
            mask = torch.relu(c.layer_norm(f"{name}.{i}.norm", h) if norm else h)
            x = (x if exponential else x0) * (torch.cat([h, h * mask], 1) + c.get(f"{name}.{i}.bias", x.shape[1])) + x
        return c.affine(name + ".fc", x, 1).view(B, heads).mean(1, keepdim=True)

    deep, shallow = network("deep", 2, True), network("shallow", 3, False)
    z = (deep + shallow) / 2
    if tri:
        loss = c.bce(z, y)
        for own in (c.bce(deep, y), c.bce(shallow, y)):
            c.more = c.more + torch.clamp(own - loss, min=0) * own
    return z


g = torch.Generator().manual_seed(1)
ids = {k: torch.randint(0, v, (B,), generator=g) for k, v in VOCAB.items()}
dense = torch.randn(B, generator=g).mul(100).round().div(100).float().double()
label = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 0.])
weight = torch.tensor([1, 2, .5, 1, 0, 1, 1.5, 1, .25])
cases = []
for i, (name, model, o) in enumerate([
    ("gdcn/parallel", gdcn, {"structure": "parallel"}),
    ("gdcn/stacked", gdcn, {"structure": "stacked"}),
    ("masknet/serial", masknet, {"structure": "serial"}),
    ("masknet/parallel", masknet, {"structure": "parallel", "embedding_norm": False}),
    ("masknet/plain", masknet, {"structure": "parallel", "embedding_norm": False, "norm": False}),
    ("finalmlp/contexts", finalmlp, {"contexts": [["a"], ["b", "a"]], "heads": 2}),
    ("finalmlp/learned", finalmlp, {"contexts": [[], ["b"]], "heads": 1}),
    ("finalmlp/plain", finalmlp, {"contexts": None, "heads": 2}),
    ("finalnet/2B", finalnet, {"blocks": 2, "gating": True, "residual": "concat", "bn": True}),
    ("finalnet/sum", finalnet, {"blocks": 2, "gating": False, "residual": "sum", "bn": False}),
    ("finalnet/1B", finalnet, {"blocks": 1, "gating": True, "residual": "concat", "bn": False}),
    ("qnn", qnn, {"heads": 1, "bn": True}),
    ("qnn/heads", qnn, {"heads": 2, "bn": False}),
    ("fcn", fcn, {"heads": 1, "norm": True, "tri": True}),
    ("fcn/heads", fcn, {"heads": 2, "norm": True, "tri": True}),
    ("fcn/batch_norm", fcn, {"heads": 2, "norm": True, "tri": True, "bn": True}),
    ("fcn/plain", fcn, {"heads": 1, "norm": False, "tri": False}),
]):
    c = Case(10 + i, weight)
    z = model(c, ids, dense, label, **o)
    loss = c.bce(z, label) + c.more
    loss.backward()
    for p, v in c.p.items():
        if "embedding" in p and v.dim() == 2 and v.shape[0] > 1:
            v.grad[0] = 0  # padding takes no gradient
    cases.append({"name": name, "logits": number(z.detach()), "loss": loss.item(),
                  "params": {k: {"value": number(v.detach()), "gradient": number(v.grad)} for k, v in c.p.items()}})
result = {"ids": {k: v.tolist() for k, v in ids.items()}, "dense": number(dense), "label": label.tolist(), "weight": weight.tolist(), "cases": cases}
(pathlib.Path(__file__).parent / "parity.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
