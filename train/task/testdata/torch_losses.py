"""Expected losses of next items and their gradients, from PyTorch: python torch_losses.py writes losses.json beside this file.

Each loss is written here from the paper that the task names, over scores of all items and masks, without the program's shortcuts. The
items drawn are those of drawn.json, which `go test ./train/task -run TestLossParity -update` writes: the program's own draws. The states are
a parameter plus the embeddings of the history, so that the gradient of the table has all its parts.
"""
import json, math, pathlib
import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
V, L, D, FIRST = 13, 5, 3, 2  # ids 0 and 1 are no items
HISTORY = torch.tensor([[2, 3, 4, 5, 6], [7, 0, 0, 0, 0], [0, 0, 0, 0, 0], [3, 3, 12, 0, 0], [1, 2, 0, 0, 0], [11, 10, 9, 8, 0]])
NEXT = torch.tensor([7, 3, 4, 12, 2, 6])
COUNTS = torch.tensor([40, 30, 8, 7, 7, 5, 4, 3, 2, 2, 1, 1, 1.])
HERE = pathlib.Path(__file__).parent
B = len(NEXT)
live = HISTORY.ne(0).sum(1).clamp(min=1)
follow = torch.cat([HISTORY[:, 1:], torch.zeros(B, 1, dtype=torch.long)], 1)
follow[torch.arange(B), live - 1] = NEXT
mask = torch.arange(L)[None] < live[:, None]  # the positions that there are, one sequence's after the other's
has = follow[mask] >= FIRST
y = follow[mask][has]  # the positions that have a next item
table0 = (torch.randn(V, D) * .8).float().double()
table0[0] = 0
states0 = (torch.randn(B * L, D) * .8).float().double()


def loss(o, x, e, drawn):
    """The mean over positions x of a loss with options o. drawn are ids, [positions, K]."""
    s = x @ e.T
    if o["loss"] == "full":
        s = s.masked_fill(torch.arange(V)[None] < FIRST, -math.inf)
        return F.cross_entropy(s, y)
    up, down = s.gather(1, y[:, None]), s.gather(1, drawn)  # [positions, 1], [positions, K]
    hit = drawn.eq(y[:, None])  # accidental hits
    K = (~hit).sum(1)
    if o["loss"] == "sampled_softmax":
        if o.get("logq"):
            w = COUNTS.clone()
            w[:FIRST] = 0
            w = torch.where(w > 0, w ** (o["exponent"] if o["by"] == "popularity" else 1), torch.zeros(()))
            q = (w / w.sum()).log()
            up, down = up - q[y][:, None], down - q[drawn]
        z = torch.cat([up, down.masked_fill(hit, -math.inf)], 1)
        return F.cross_entropy(z, torch.zeros(len(y), dtype=torch.long))
    if o["loss"] == "bpr":
        return (-F.logsigmoid(up - down).masked_fill(hit, 0).sum(1) / K.clamp(min=1)).mean()
    beta = 1.
    if o["loss"] == "gbce":
        alpha = o["negatives"] / (V - FIRST - 1)
        beta = alpha * (o["calibration"] * (1 - 1 / alpha) + 1 / alpha)
    bce = F.binary_cross_entropy_with_logits
    rows = bce(up, torch.ones_like(up), reduction="none")[:, 0] * beta
    rows = rows + bce(down, torch.zeros_like(down), reduction="none").masked_fill(hit, 0).sum(1)
    return (rows / (1 + K)).mean()


cases = []
for o in json.loads((HERE / "drawn.json").read_text()):
    e, p = table0.clone().requires_grad_(), states0.clone().requires_grad_()
    x = (p[: len(has)] + e[HISTORY[mask]])[has]
    drawn = None
    if o["drawn"]:
        ids = torch.tensor(o["drawn"])
        drawn = ids[None].expand(len(y), -1) if o["shared"] else ids.view(len(y), -1)
    v = loss(o, x, e, drawn)
    v.backward()
    e.grad[0] = 0  # padding takes no gradient
    number = lambda t: [float(f"{v:.7g}") for v in t.reshape(-1).tolist()]
    cases.append(o | {"value": v.item(), "states": number(p.grad), "table": number(e.grad)})
result = {"history": HISTORY.tolist(), "next": NEXT.tolist(), "counts": [int(c) for c in COUNTS], "states": number(states0), "table": number(table0),
          "cases": cases}
(HERE / "losses.json").write_text(json.dumps(result) + "\n")
