"""The PyTorch side of the step benchmark: the same models, sizes and id distribution as BenchmarkStep in train/bench_test.go.

Usage: python scripts/bench_torch.py [deepfm|dcn|dcnv2] [sparse|dense] [steps]
       python scripts/bench_torch.py minilm TOKENS [steps]
sparse: nn.Embedding(sparse=True) with SparseAdam for the tables, Adam for the rest. dense: Adam for everything.
minilm: transformers' BertForSequenceClassification of 6 layers of 384, 32 rows of so many tokens, gradients clipped at 1, AdamW.
Prints the median of the step's wall time, forward, backward and optimizer together.
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(int(__import__("os").environ.get("THREADS", "2")))
torch.manual_seed(0)
B, CATS, NUMS, D, ROWS = 4096, 26, 13, 16, 1_000_000
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
    for h in (400, 400, 400):
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
            self.out = nn.Linear(400, 1)
        else:
            self.out = nn.Linear(W + 400, 1)
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


def median(step, steps):
    """The median time of a step, the first ten left out."""
    times = []
    for i in range(steps + 10):
        start = time.perf_counter()
        step(i)
        if i >= 10:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def minilm(length, steps):
    from transformers import BertConfig, BertForSequenceClassification

    m = BertForSequenceClassification(BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)).train()
    opt = torch.optim.AdamW(m.parameters(), lr=5e-5, weight_decay=0.01)
    data = [(torch.randint(0, 30522, (32, length)), torch.randint(0, 2, (32,))) for _ in range(8)]
    mask = torch.ones(32, length, dtype=torch.long)

    def step(i):
        ids, y = data[i % len(data)]
        opt.zero_grad(set_to_none=True)
        m(input_ids=ids, attention_mask=mask, labels=y).loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()

    t = median(step, steps)
    print(f"torch {torch.__version__} minilm {length}: {t * 1e3:.1f} ms/step {32 / t:.0f} samples/s")


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "deepfm"
    if kind == "minilm":
        return minilm(int(sys.argv[2]) if len(sys.argv) > 2 else 32, int(sys.argv[3]) if len(sys.argv) > 3 else 20)
    sparse = (sys.argv[2] if len(sys.argv) > 2 else "sparse") == "sparse"
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    m, data = Model(kind, sparse), batches()
    if sparse:
        tables = {id(t) for t in m.tables()}
        opts = [torch.optim.SparseAdam(m.tables(), lr=1e-3), torch.optim.Adam([p for p in m.parameters() if id(p) not in tables], lr=1e-3)]
    else:
        opts = [torch.optim.Adam(m.parameters(), lr=1e-3)]

    def step(i):
        ids, x, y = data[i % len(data)]
        for o in opts:
            o.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(m(ids, x), y).backward()
        for o in opts:
            o.step()

    t = median(step, steps)
    print(f"torch {torch.__version__} {kind} {'sparse' if sparse else 'dense'}: {t * 1e3:.1f} ms/step {B / t:.0f} samples/s")


main()
