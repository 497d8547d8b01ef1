"""Writes errors.json: errors of probabilities, by scikit-learn and NumPy.

Run: python train/inspect/testdata/errors.py > train/inspect/testdata/errors.json
"""
import json
import sys

import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

rng = np.random.default_rng(7)
BINS = 15


def errors(p, y, w):
    """p: prediction, y: whether it came true."""
    width = 0.0
    for b in range(BINS):
        at = (np.minimum((p * BINS).astype(int), BINS - 1) == b)
        if at.any():
            width += w[at].sum() / w.sum() * abs(np.average(y[at], weights=w[at]) - np.average(p[at], weights=w[at]))
    mass, order, n = 0.0, np.argsort(p, kind="stable"), len(p)
    for b in range(BINS):
        at = order[b * n // BINS:(b + 1) * n // BINS]
        mass += w[at].sum() / w.sum() * abs(np.average(y[at], weights=w[at]) - np.average(p[at], weights=w[at]))
    return [width, mass]


def binary(n):
    z = rng.normal(-1, 1.5, n).astype(np.float32)
    y = (rng.random(n) < expit(z.astype(float) * 0.6)).astype(float)
    w = rng.integers(1, 4, n).astype(float)
    p = expit(z.astype(float))
    return {"logits": z.tolist(), "labels": y.tolist(), "weights": w.tolist(),
            "errors": errors(p, y, w) + [log_loss(y, p, sample_weight=w), float(np.average((p - y) ** 2, weights=w))]}


def classes(n, k):
    z = rng.normal(0, 2, (n, k)).astype(np.float32)
    p = softmax(z.astype(float), axis=1)
    y = rng.integers(0, k, n)
    y = np.where(rng.random(n) < 0.5, p.argmax(1), y)
    hit, w = (p.argmax(1) == y).astype(float), np.ones(n)
    return {"logits": z.ravel().tolist(), "labels": y.astype(float).tolist(), "weights": None,
            "errors": errors(p.max(1), hit, w) + [log_loss(y, p, labels=range(k)), float(((p - np.eye(k)[y]) ** 2).sum(1).mean())]}


json.dump({"binary": binary(101), "classes": classes(80, 3)}, sys.stdout)
