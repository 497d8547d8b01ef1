"""Writes calibrate.json: maps of scikit-learn, SciPy and PyTorch for rows that it draws.

Run: python train/calibrate/testdata/calibrate.py > train/calibrate/testdata/calibrate.json
"""
import json
import sys

import numpy as np
import sklearn
import scipy
import torch
from scipy.optimize import minimize, minimize_scalar
from sklearn.isotonic import IsotonicRegression

rng = np.random.default_rng(5)


def rows(n, ties, weighted):
    z = rng.normal(-1, 2, n).astype(np.float32)
    if ties:
        z = np.round(z * 4).astype(np.float32) / 4
    p = 1 / (1 + np.exp(-(0.5 * z + 0.3)))
    y = (rng.random(n) < p).astype(np.float64)
    w = rng.integers(1, 5, n) / 2 if weighted else np.ones(n)
    return z, y, w


def bce(x, t, w):
    return np.sum(w * (np.logaddexp(0, x) - t * x))


def binary(n, ties, weighted):
    z, y, w = rows(n, ties, weighted)
    x = z.astype(np.float64)
    t = minimize_scalar(lambda b: bce(b * x, y, w), bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-13})
    n1, n0 = np.sum(w * y), np.sum(w * (1 - y))
    targets = np.where(y > 0, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))

    def loss(ab):
        v = ab[0] * x + ab[1]
        d = w * (1 / (1 + np.exp(-v)) - targets)
        return bce(v, targets, w), np.array([np.sum(d * x), np.sum(d)])

    platt = minimize(loss, [1.0, 0.0], jac=True, method="BFGS", options={"gtol": 1e-9})
    iso = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(x, y, sample_weight=w)
    at = np.linspace(x.min() - 1, x.max() + 1, 50).astype(np.float32)
    return {
        "logits": z.tolist(), "labels": y.tolist(), "weights": w.tolist() if weighted else None, "temperature": 1 / t.x,
        "slope": platt.x[0], "intercept": platt.x[1], "x": iso.X_thresholds_.tolist(), "y": iso.y_thresholds_.tolist(),
        "at": at.tolist(), "probability": iso.predict(at.astype(np.float64)).tolist(),
    }


def classes(n, k):
    z = rng.normal(0, 3, (n, k)).astype(np.float32)
    y = np.array([rng.choice(k, p=np.exp(r / 2.5) / np.exp(r / 2.5).sum()) for r in z.astype(np.float64)])
    logits, labels = torch.tensor(z, dtype=torch.float64), torch.tensor(y)
    b = torch.ones(1, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.LBFGS([b], max_iter=500, tolerance_grad=1e-14, tolerance_change=1e-16, line_search_fn="strong_wolfe")

    def step():
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits * b, labels)
        loss.backward()
        return loss

    opt.step(step)
    return {"logits": z.ravel().tolist(), "labels": y.astype(float).tolist(), "weights": None, "temperature": 1 / b.item()}


json.dump({
    "versions": f"scikit-learn {sklearn.__version__}, SciPy {scipy.__version__}, PyTorch {torch.__version__}",
    "plain": binary(300, False, False), "ties": binary(400, True, True), "classes": classes(200, 4),
}, sys.stdout)
