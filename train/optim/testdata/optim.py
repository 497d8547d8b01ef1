"""Writes optim.json: 20 steps of PyTorch's optimizers on a small fixed problem.

    python optim.py          # torch 2.15.0, CPU

Dense cases: w [37] and 20 gradients. Row cases: a table [11, 3] and 20 sets of touched rows with their gradients, by
SparseAdam, sparse Adagrad and sparse SGD. Each case holds w and the state after steps 1, 2 and 20.
"""
import json
import pathlib

import torch

STEPS, KEEP = 20, (1, 2, 20)
gen = torch.Generator().manual_seed(7)


def rand(*shape):
    return torch.randn(*shape, generator=gen)


w0, grads = rand(37), [rand(37) * 10.0 ** (i % 5 - 3) for i in range(STEPS)]
rows, dim = 11, 3
t0 = rand(rows, dim)
ids = [sorted(torch.randperm(rows, generator=gen)[: 1 + i % 6].tolist()) for i in range(STEPS)]
tgrads = [rand(len(i), dim) for i in ids]

DENSE = {
    "sgd": (torch.optim.SGD, {}),
    "sgd momentum": (torch.optim.SGD, dict(momentum=0.9, weight_decay=0.01)),
    "sgd nesterov": (torch.optim.SGD, dict(momentum=0.9, nesterov=True, weight_decay=0.01)),
    "adagrad": (torch.optim.Adagrad, {}),
    "adagrad options": (torch.optim.Adagrad, dict(lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.1, eps=1e-6)),
    "adam": (torch.optim.Adam, {}),
    "adam options": (torch.optim.Adam, dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.05)),
    "adamw": (torch.optim.AdamW, {}),
    "adamw options": (torch.optim.AdamW, dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)),
    "rmsprop": (torch.optim.RMSprop, {}),
    "rmsprop momentum": (torch.optim.RMSprop, dict(alpha=0.9, eps=1e-4, momentum=0.7, weight_decay=0.01)),
    "rmsprop centered": (torch.optim.RMSprop, dict(alpha=0.9, eps=1e-2, centered=True)),
    "rmsprop both": (torch.optim.RMSprop, dict(alpha=0.9, eps=1e-2, centered=True, momentum=0.5)),
}
ROWS = {
    "sgd": (torch.optim.SGD, {}),
    "adagrad": (torch.optim.Adagrad, dict(eps=1e-6)),
    "adam": (torch.optim.SparseAdam, {}),
    "adam options": (torch.optim.SparseAdam, dict(betas=(0.8, 0.95), eps=1e-3)),
}


def snapshot(p, opt):
    state = {k: v.flatten().tolist() for k, v in opt.state[p].items() if torch.is_tensor(v) and v.shape == p.shape}
    return {"w": p.detach().flatten().tolist(), "state": state}


def run(cls, kw, start, gradients):
    p = torch.nn.Parameter(start.clone())
    lr = 0.03
    opt = cls([p], lr=lr, **kw)
    after = {}
    for t, g in enumerate(gradients, 1):
        for group in opt.param_groups:
            group["lr"] = lr * (1 if t <= 10 else 0.5)
        p.grad = g
        opt.step()
        if t in KEEP:
            after[str(t)] = snapshot(p, opt)
    return after


def sparse(i, g):
    return torch.sparse_coo_tensor(torch.tensor([i]), g, (rows, dim)).coalesce()


out = {
    "about": "written by optim.py with torch " + torch.__version__ + "; lr .03 to step 10, then .015",
    "w": w0.tolist(),
    "grads": [g.tolist() for g in grads],
    "dim": dim,
    "table": t0.flatten().tolist(),
    "ids": ids,
    "row_grads": [g.flatten().tolist() for g in tgrads],
    "dense": {k: run(c, kw, w0, [g.clone() for g in grads]) for k, (c, kw) in DENSE.items()},
    "rows": {k: run(c, kw, t0, [sparse(i, g) for i, g in zip(ids, tgrads)]) for k, (c, kw) in ROWS.items()},
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out) + "\n")
