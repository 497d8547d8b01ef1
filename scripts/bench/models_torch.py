"""The PyTorch side of the benchmark: the same models, sizes and id distribution as in train/bench_test.go, or rows that `bench` has encoded.

Usage: python scripts/bench/models_torch.py MODEL [mode=eager] [measure=step] [tables=sparse|dense] [size=large] [layers=6] [width=384] [tokens=32] [steps=15] [rows=FOLDER]

MODEL: deepfm, dcn or dcnv2: batch 4096, 39 fields, a million ids, embedding 16, tower 400x3; size=large: batch 10,000, ten million ids, tower
1000x5. sparse: nn.Embedding(sparse=True) with SparseAdam for the tables, fused Adam for the rest. dense: fused Adam for everything. Or bert:
transformers' BertForSequenceClassification of so many layers of a width, 32 rows of so many tokens, gradients clipped at 1, fused AdamW.
mode: eager (fp32), matmul-bf16 (fp32 products in bf16, by fp32_precision), autocast (bf16), and each with compile- before it (compile alone is
fp32), which is torch.compile of the model and its loss.
measure: step (the median of so many steps: forward, backward and optimizer, over batches in memory), epoch (over the rows of FOLDER, shuffled and
loaded), inference (the median of so many batches in inference mode) or single (of a hundred times as many single rows).
What it prints is told by modes_torch.py.
Environment: THREADS (2).
"""
import os
import sys
from typing import Callable, NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from modes_torch import MEASURES, Rows, Texts, encoded, epochs, infer, serve

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
    def __init__(self, kind, sparse, ids):
        super().__init__()
        self.kind = kind
        self.emb = nn.Embedding(ids, D, sparse=sparse)
        nn.init.normal_(self.emb.weight, 0, 1e-4)
        self.num = nn.Parameter(torch.randn(NUMS, D) * 1e-4)
        self.tower = tower(W)
        if kind == "deepfm":
            self.lin = nn.Embedding(ids, 1, sparse=sparse)
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


def bert(o, rows):
    from transformers import BertConfig, BertForSequenceClassification

    length, width = int(o.pop("tokens", 32)), int(o.pop("width", 384))
    data, about = None, {"vocab": 30522}
    if rows:
        about, read = encoded(rows)
        data = Texts(read("ids", "<i4").long(), read("lengths", "<i4").long(), read("labels", "<f4").long())
    m = BertForSequenceClassification(BertConfig(
        problem_type="single_label_classification", vocab_size=about["vocab"], hidden_size=width, num_hidden_layers=int(o.pop("layers", 6)), num_attention_heads=width // 32, intermediate_size=4 * width))
    if not rows:
        mask = torch.ones(32, length, dtype=torch.long)
        data = [(torch.randint(0, 30522, (32, length)), mask, torch.randint(0, 2, (32,))) for _ in range(8)]
    return Task(m, data, 32, lambda ids, mask, y: m(input_ids=ids, attention_mask=mask, labels=y).loss, lambda ids, mask: m(input_ids=ids, attention_mask=mask).logits,
                lambda: [adam(m.parameters(), torch.optim.AdamW, lr=5e-5, weight_decay=0.01)], lambda: torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0))


def recommender(kind, o, rows):
    sparse, ids = o.pop("tables", "sparse") == "sparse", PER * CATS
    if rows:
        about, read = encoded(rows)
        vocab = torch.tensor(about["fields"])
        if len(vocab) != CATS or about["dense"] != NUMS:
            sys.exit(f"{rows}: {len(vocab)} categories and {about['dense']} numbers: want {CATS} and {NUMS}")
        data = Rows(read("ids", "<i4").view(-1, CATS) + (vocab.cumsum(0) - vocab).int(), read("dense", "<f4").view(-1, NUMS), read("labels", "<f4"),
                    prepare=lambda i, x, y: (i.long(), x, y))
        ids = int(vocab.sum())
    else:
        data = batches()
    m = Model(kind, sparse, ids)

    def opts():
        tables = {id(t) for t in m.tables()} if sparse else set()
        out = [adam([p for p in m.parameters() if id(p) not in tables], lr=1e-3)]
        return out + [torch.optim.SparseAdam(m.tables(), lr=1e-3)] if sparse else out
    return Task(m, data, B, lambda ids, x, y: F.binary_cross_entropy_with_logits(m(ids, x), y), m, opts, lambda: None)


class Task(NamedTuple):
    """A model and what it learns from: batches of parts, of which the last is the label, or rows."""
    model: nn.Module
    data: object
    batch: int
    loss: Callable
    forward: Callable
    opts: Callable
    clip: Callable


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    kind, o = sys.argv[1], dict(a.split("=", 1) for a in sys.argv[2:])
    mode, steps, measure, rows = o.pop("mode", "eager"), int(o.pop("steps", 15)), o.pop("measure", "step"), o.pop("rows", "")
    o.pop("size", None)
    if measure not in MEASURES or (measure == "epoch") != bool(rows):
        sys.exit(f"measure={measure}: want one of {MEASURES}, epoch with rows=FOLDER and the others without")
    t = bert(o, rows) if kind == "bert" else recommender(kind, o, rows)
    if o:
        sys.exit(f"unknown options {sorted(o)}")
    if measure in ("inference", "single"):
        t.model.eval()
        infer(mode, steps, [b[:-1] for b in t.data], t.forward, measure == "single")
        return
    t.model.train()
    if measure == "epoch":
        epochs(mode, t.data, t.batch, t.loss, t.opts(), t.clip, dynamic=True if kind == "bert" else None)
    else:
        serve(mode, steps, t.data, t.loss, t.opts(), t.clip)


main()
