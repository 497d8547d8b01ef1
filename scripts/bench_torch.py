"""The PyTorch side of the step benchmark: the same models, sizes and id distribution as BenchmarkStep in train/bench_test.go.

Usage: python scripts/bench_torch.py [deepfm|dcn|dcnv2] [sparse|dense] [steps]
sparse: nn.Embedding(sparse=True) with SparseAdam for the tables, Adam for the rest. dense: Adam for everything.
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


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "deepfm"
    sparse = (sys.argv[2] if len(sys.argv) > 2 else "sparse") == "sparse"
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    m, data = Model(kind, sparse), batches()
    if sparse:
        tables = {id(t) for t in m.tables()}
        opts = [torch.optim.SparseAdam(m.tables(), lr=1e-3), torch.optim.Adam([p for p in m.parameters() if id(p) not in tables], lr=1e-3)]
    else:
        opts = [torch.optim.Adam(m.parameters(), lr=1e-3)]
    times = []
    for i in range(steps + 10):
        ids, x, y = data[i % len(data)]
        start = time.perf_counter()
        for o in opts:
            o.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(m(ids, x), y).backward()
        for o in opts:
            o.step()
        if i >= 10:
            times.append(time.perf_counter() - start)
    t = sorted(times)[len(times) // 2]
    print(f"torch {torch.__version__} {kind} {'sparse' if sparse else 'dense'}: {t * 1e3:.1f} ms/step {B / t:.0f} samples/s")


main()
