"""Logits, losses and gradients of models of several tasks, from PyTorch: python torch_tasks.py writes parity.json beside this file (made with
torch 2.15.0).

Each model is written here from its paper, over numbers and categories that embed to rows of tables (id 0 is padding, whose row is zero), with
experts as loops over single linear layers. The loss is the sum of the tasks' mean binary cross-entropies; for ESMM, of the probabilities
themselves. A case has the parameters by the program's names, and the gradient of each.
"""
import json, pathlib
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
B, DIM = 7, 3
VOCAB = {"a": 5, "b": 6}
number = lambda t: [float(f"{v:.9g}") for v in t.reshape(-1).tolist()]


class Case:
    """Parameters by name, made when they are first asked for."""

    def __init__(self, seed):
        self.g, self.p = torch.Generator().manual_seed(seed), {}

    def get(self, name, *shape):
        if name not in self.p:
            v = (torch.randn(*shape, generator=self.g) * .7).float().double()
            if name.startswith("embedding") and shape[0] > 1:
                v[0] = 0
            self.p[name] = v.requires_grad_()
        return self.p[name]

    def linear(self, name, x, out):
        return F.linear(x, self.get(name + ".weight", out, x.shape[1]), self.get(name + ".bias", out))

    def mlp(self, name, x, hidden, out=0):
        for i, n in enumerate(hidden):
            x = torch.tanh(self.linear(f"{name}.{i}", x, n))
        return self.linear(f"{name}.{len(hidden)}", x, out) if out else x

    def embed(self, ids, dense):
        n = self.get("embedding.n.weight", 1, DIM)
        return torch.cat([dense[:, None] * n] + [self.get(f"embedding.{k}.weight", v, DIM)[ids[k]] for k, v in VOCAB.items()], 1)

    def experts(self, name, x, n, hidden):
        """A list of the experts' outputs; weights are [n, out, in]."""
        out = []
        width = x.shape[1]
        for i, h in enumerate(hidden):
            self.get(f"{name}.{i}.weight", n, h, width)
            self.get(f"{name}.{i}.bias", n, h)
            width = h
        for e in range(n):
            y = x
            for i in range(len(hidden)):
                y = torch.tanh(self.p[f"{name}.{i}.weight"][e] @ y.T + self.p[f"{name}.{i}.bias"][e][:, None]).T
            out.append(y)
        return out

    def gate(self, name, x, hidden, experts):
        g = torch.softmax(self.mlp(name, x, hidden, len(experts)), 1)
        return sum(g[:, i : i + 1] * e for i, e in enumerate(experts))

    def towers(self, xs, hidden):
        return torch.cat([self.mlp(f"towers.{k}", x, hidden, 1) for k, x in enumerate(xs)], 1)


def shared_bottom(c, x, o):
    h = c.mlp("bottom", x, o["bottom_hidden_units"])
    return c.towers([h, h], o["tower_hidden_units"])


def mmoe(c, x, o):
    experts = c.experts("experts", x, o["num_experts"], o["expert_hidden_units"])
    return c.towers([c.gate(f"gates.{k}", x, o.get("gate_hidden_units", []), experts) for k in range(2)], o["tower_hidden_units"])


def ple(c, x, o):
    hidden, gates = o["expert_hidden_units"], o.get("gate_hidden_units", [])
    tasks, shared = [x, x], x
    for i in range(o["num_layers"]):
        l = f"layers.{i}"
        own = [c.experts(f"{l}.experts.{k}", t, o["num_specific_experts"], hidden) for k, t in enumerate(tasks)]
        common = c.experts(f"{l}.shared_experts", shared, o["num_shared_experts"], hidden)
        tasks = [c.gate(f"{l}.gates.{k}", t, gates, own[k] + common) for k, t in enumerate(tasks)]
        if i + 1 < o["num_layers"]:
            shared = c.gate(f"{l}.shared_gate", shared, gates, own[0] + own[1] + common)
    return c.towers(tasks, o["tower_hidden_units"])


def esmm(c, x, o):
    z = c.towers([x, x], o["tower_hidden_units"])
    ctr, cvr = torch.sigmoid(z[:, 0]), torch.sigmoid(z[:, 1])
    return torch.stack([torch.logit(ctr), torch.logit(ctr * cvr)], 1)


g = torch.Generator().manual_seed(1)
ids = {k: torch.randint(0, v, (B,), generator=g) for k, v in VOCAB.items()}
dense = torch.randn(B, generator=g).float().double()
label = torch.tensor([[1, 0], [0, 0], [1, 1], [1, 0], [0, 0], [1, 1], [0, 0.]])
cases = []
for i, (model, o) in enumerate([
    (shared_bottom, {"bottom_hidden_units": [5, 4], "tower_hidden_units": [3]}),
    (mmoe, {"num_experts": 3, "expert_hidden_units": [5, 4], "tower_hidden_units": [3]}),
    (mmoe, {"num_experts": 2, "expert_hidden_units": [4], "gate_hidden_units": [3], "tower_hidden_units": []}),
    (ple, {"num_layers": 1, "num_shared_experts": 1, "num_specific_experts": 2, "expert_hidden_units": [5, 4], "tower_hidden_units": [3]}),
    (ple, {"num_layers": 2, "num_shared_experts": 2, "num_specific_experts": 1, "expert_hidden_units": [4], "gate_hidden_units": [3],
           "tower_hidden_units": [3]}),
    (esmm, {"tower_hidden_units": [4, 3]}),
]):
    c = Case(10 + i)
    z = model(c, c.embed(ids, dense), o)
    loss = F.binary_cross_entropy_with_logits(z, label, reduction="none").mean(0).sum()
    if model is esmm:
        p = torch.sigmoid(c.towers([c.embed(ids, dense)] * 2, o["tower_hidden_units"]))
        loss = F.binary_cross_entropy(p[:, 0], label[:, 0]) + F.binary_cross_entropy(p[:, 0] * p[:, 1], label[:, 1])
    loss.backward()
    for name, p in c.p.items():
        if name.startswith("embedding") and p.shape[0] > 1:
            p.grad[0] = 0  # padding takes no gradient
    cases.append({"model": model.__name__, "options": o, "logits": number(z.detach()), "loss": loss.item(),
                  "params": {k: {"value": number(v.detach()), "gradient": number(v.grad)} for k, v in c.p.items()}})
result = {"ids": {k: v.tolist() for k, v in ids.items()}, "dense": number(dense), "label": label.T.tolist(), "cases": cases}
(pathlib.Path(__file__).parent / "parity.json").write_text(json.dumps(result) + "\n")
