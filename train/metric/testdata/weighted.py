"""Expected values of metrics with weights, from scikit-learn: python weighted.py writes weighted.json beside this file (made with
scikit-learn 1.9.1).

ece and calibration are written here by their definitions, since scikit-learn has none.
"""
import json, pathlib
import numpy as np
import sklearn
import sklearn.metrics as M

r = np.random.default_rng(11)
n = 60
z = np.round(r.normal(size=n) * 2, 1)  # some ties
y = (r.random(n) < 1 / (1 + np.exp(-z + 1))).astype(int)
w = np.round(r.gamma(1.0, size=n) + 0.05, 2)
p = 1 / (1 + np.exp(-z))
bins = np.minimum((p * 15).astype(int), 14)
ece = sum(abs((w * (y - p))[bins == b].sum()) for b in range(15)) / w.sum()
k = np.round(r.normal(size=(n, 3)), 2)
c = r.integers(0, 3, n)
soft = np.exp(k) / np.exp(k).sum(1, keepdims=True)
top = k.argmax(1)
v, x = np.round(r.normal(size=n), 2), np.round(r.normal(size=n), 2)
ce = M.log_loss(c, soft, sample_weight=w)
mse = M.mean_squared_error(v, x, sample_weight=w)
hard = (z > 0).astype(int)
result = {
    "weight": w.tolist(),
    "binary": {"logits": z.tolist(), "label": y.tolist(), "expect": {
        "auc": M.roc_auc_score(y, z, sample_weight=w), "logloss": M.log_loss(y, p, sample_weight=w),
        "accuracy": M.accuracy_score(y, hard, sample_weight=w), "f1": M.f1_score(y, hard, sample_weight=w),
        "macro_f1": M.f1_score(y, hard, sample_weight=w, average="macro"), "mcc": M.matthews_corrcoef(y, hard, sample_weight=w),
        "calibration": (w * p).sum() / (w * y).sum(), "ece": ece}},
    "classes": {"logits": k.ravel().tolist(), "label": c.tolist(), "expect": {
        "accuracy": M.accuracy_score(c, top, sample_weight=w), "cross_entropy": ce, "perplexity": np.exp(ce),
        "macro_f1": M.f1_score(c, top, sample_weight=w, average="macro"), "mcc": M.matthews_corrcoef(c, top, sample_weight=w)}},
    "numbers": {"logits": x.tolist(), "label": v.tolist(), "expect": {
        "mse": mse, "rmse": mse**0.5, "mae": M.mean_absolute_error(v, x, sample_weight=w)}},
}
path = pathlib.Path(__file__).parent / "weighted.json"
path.write_text(json.dumps(result, default=float) + "\n")
print(sklearn.__version__)
