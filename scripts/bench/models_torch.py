"""The PyTorch side of the step benchmark: the same models, sizes and id distribution as BenchmarkStep in train/bench_test.go.

Usage: python scripts/bench/models_torch.py MODEL [mode=eager] [tables=sparse|dense] [size=large] [layers=6] [width=384] [tokens=32] [steps=15]

MODEL: deepfm, dcn or dcnv2: batch 4096, 39 fields, a million ids, embedding 16, tower 400x3; size=large: batch 10,000, ten million ids, tower
1000x5. sparse: nn.Embedding(sparse=True) with SparseAdam for the tables, fused Adam for the rest. dense: fused Adam for everything. Or bert:
transformers' BertForSequenceClassification of so many layers of a width, 32 rows of so many tokens, gradients clipped at 1, fused AdamW.
mode: eager (fp32), matmul-bf16 (fp32 products in bf16, by fp32_precision), autocast (bf16), and each with compile- before it (compile alone is
fp32), which is torch.compile of the model and its loss.
Prints a line "ready" after 10 steps, and then for each line of standard input the median of the wall time of so many steps (forward,
backward and optimizer) in milliseconds and the process's peak memory in MB.
Environment: THREADS (2).
"""
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from modes_torch import serve

torch.set_num_threads(int(os.environ.get("THREADS", "2")))
torch.manual_seed(0)
LARGE = "size=large" in sys.argv
B, ROWS, HIDDEN = (10_000, 10_000_000, (1000,) * 5) if LARGE else (4096, 1_000_000, (400,) * 3)
CATS, NUMS, D = 26, 13, 16
PER = ROWS // CATS
W = (CATS + NUMS) * D


def batches(n=8):
    out = []
    for _ in range(n):
        k = torch.floor((1 - torch.rand(B, CATS, dtype=torch.float64)).pow(-1 / 0.2)).clamp(max=1e15).long()
        ids = 1 + k % (PER - 1) + torch.arange(CATS) * PER
        out.append((ids, torch.rand(B, NUMS), (torch.rand(B) < 0.25).float()))
    return out


def tower(width):
    layers = []
    for h in HIDDEN:
        layers += [nn.Linear(width, h), nn.ReLU()]
        width = h
    return nn.Sequential(*layers)


class Model(nn.Module):
    def __init__(self, kind, sparse):
        super().__init__()
        self.kind = kind
        self.emb = nn.Embedding(PER * CATS, D, sparse=sparse)
        nn.init.normal_(self.emb.weight, 0, 1e-4)
        self.num = nn.Parameter(torch.randn(NUMS, D) * 1e-4)
        self.tower = tower(W)
        if kind == "deepfm":
            self.lin = nn.Embedding(PER * CATS, 1, sparse=sparse)
            self.lin_num = nn.Linear(NUMS, 1)
            self.out = nn.Linear(HIDDEN[-1], 1)
        else:
            self.out = nn.Linear(W + HIDDEN[-1], 1)
        if kind == "dcn":
            self.w = nn.ModuleList([nn.Linear(W, 1, bias=False) for _ in range(3)])
            self.b = nn.ParameterList([nn.Parameter(torch.zeros(W)) for _ in range(3)])
        if kind == "dcnv2":
            self.cross = nn.ModuleList([nn.Linear(W, W) for _ in range(3)])

    def tables(self):
        return [self.emb.weight] + ([self.lin.weight] if self.kind == "deepfm" else [])

    def forward(self, ids, x):
        e = torch.cat([x.unsqueeze(-1) * self.num, self.emb(ids)], 1)
        flat = e.flatten(1)
        if self.kind == "deepfm":
            s = e.sum(1)
            fm = 0.5 * (s * s - (e * e).sum(1)).sum(1, keepdim=True)
            return (self.lin(ids).sum(1) + self.lin_num(x) + fm + self.out(self.tower(flat))).squeeze(1)
        c = flat
        if self.kind == "dcn":
            for w, b in zip(self.w, self.b):
                c = w(c) * flat + b + c
        else:
            for layer in self.cross:
                c = flat * layer(c) + c
        return self.out(torch.cat([c, self.tower(flat)], 1)).squeeze(1)


def adam(params, kind=torch.optim.Adam, **o):
    return kind(params, fused=True, **o)


def bert(o):
    from transformers import BertConfig, BertForSequenceClassification

    length, width = int(o.pop("tokens", 32)), int(o.pop("width", 384))
    m = BertForSequenceClassification(BertConfig(
        hidden_size=width, num_hidden_layers=int(o.pop("layers", 6)), num_attention_heads=width // 32, intermediate_size=4 * width)).train()
    data = [(torch.randint(0, 30522, (32, length)), torch.randint(0, 2, (32,))) for _ in range(8)]
    mask = torch.ones(32, length, dtype=torch.long)
    loss = lambda ids, y: m(input_ids=ids, attention_mask=mask, labels=y).loss
    return data, loss, [adam(m.parameters(), torch.optim.AdamW, lr=5e-5, weight_decay=0.01)], lambda: torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)


def recommender(kind, o):
    sparse = o.pop("tables", "sparse") == "sparse"
    m = Model(kind, sparse)
    tables = {id(t) for t in m.tables()} if sparse else set()
    opts = [adam([p for p in m.parameters() if id(p) not in tables], lr=1e-3)]
    if sparse:
        opts.append(torch.optim.SparseAdam(m.tables(), lr=1e-3))
    return batches(), lambda ids, x, y: F.binary_cross_entropy_with_logits(m(ids, x), y), opts, lambda: None


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    kind, o = sys.argv[1], dict(a.split("=", 1) for a in sys.argv[2:])
    mode, steps = o.pop("mode", "eager"), int(o.pop("steps", 15))
    o.pop("size", None)
    data, loss, opts, clip = bert(o) if kind == "bert" else recommender(kind, o)
    if o:
        sys.exit(f"unknown options {sorted(o)}")
    serve(mode, steps, data, loss, opts, clip)


main()
