"""Prints the intervals of interval.json: DeLong's variance of an AUC from its definition, all pairs one by one, and that of a mean.

Made with numpy: python train/metric/testdata/interval.py > train/metric/testdata/interval.json
"""

import json

import numpy as np


def delong(z, y):
    pos, neg = z[y == 1], z[y == 0]
    pairs = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    v = pairs.mean(1).var(ddof=1) / len(pos) + pairs.mean(0).var(ddof=1) / len(neg)
    auc, d = pairs.mean(), 1.959963984540054 * np.sqrt(v)
    return [auc, max(auc - d, 0), min(auc + d, 1)]


def mean(x):
    d = 1.959963984540054 * x.std(ddof=1) / np.sqrt(len(x))
    return [x.mean(), x.mean() - d, x.mean() + d]


r = np.random.default_rng(1)
cases = []
for n, step in [(40, 8), (300, 64), (9, 2)]:
    y = (r.random(n) < 0.3).astype(float)
    y[:2], y[2:4] = 1, 0
    z = np.round((r.normal(size=n) + y) * step) / step  # with ties
    cases.append({"logits": z.tolist(), "labels": y.tolist(), "auc": delong(z, y), "mean": mean(z)})
print(json.dumps(cases))
