"""Losses that PyTorch gets when it trains small CTR models from given weights on given batches.

    pip install torch numpy && python torch_parity.py          (in this directory; made with torch 2.15.0)

writes <case>.json for every case below. A case holds the options of the model, its features, the initial value of every
parameter, 50 batches, the mean binary cross-entropy of each batch before its step (without L2), and after the last step
the logits of the first batch in evaluation mode and the Euclidean norm of every parameter. A bias before batch norm has no
effect on the loss: its gradient is rounding noise, which Adam turns into a random walk. Such biases and what depends on
them (running means, logits in evaluation mode) are left out.

Definitions are FuxiCTR's: a numeric feature embeds to a learned vector times its value; DeepFM = linear terms + FM pairs
+ MLP; DCN and DCN-V2 = one linear layer over cross network and MLP side by side (stacked: MLP over the cross network);
batch norm stands between the linear map and the ReLU. Id 0 is padding: it embeds to zero and takes no gradient.

dense: torch.optim.Adam on everything, plus embedding_regularizer/2 * |E|^2 over whole tables (linear terms and numeric
vectors included, biases not). lazy: torch.optim.SparseAdam on the tables of categorical features, Adam on the rest, no L2.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

STEPS, BATCH, DIM, HIDDEN, CROSS, LR = 50, 32, 4, [16, 8], 3, 1e-2
NUMERIC = ["I1", "I2", "I3"]
VOCAB = {"C1": 52, "C2": 52, "C3": 48, "C4": 40, "C5": 12, "C6": 5}
FEATURES = NUMERIC + list(VOCAB)  # the order on the concatenated axis
WIDTH = DIM * len(FEATURES)
CASES = {
    "deepfm_lazy": dict(model="deepfm", embeddings="lazy"),
    "deepfm_dense": dict(model="deepfm", embeddings="dense"),
    "deepfm_dense_bn": dict(model="deepfm", embeddings="dense", batch_norm=True),
    "dcn_lazy": dict(model="dcn", embeddings="lazy"),
    "dcn_dense": dict(model="dcn", embeddings="dense"),
    "dcnv2_lazy": dict(model="dcnv2", embeddings="lazy"),
    "dcnv2_dense": dict(model="dcnv2", embeddings="dense"),
    "dcnv2_dense_stacked": dict(model="dcnv2", embeddings="dense", model_structure="stacked"),
}


def batches(rng):
    """Zipf ids (0 and 1 among them), numbers that decimals hold exactly, labels that depend on both."""
    n = STEPS * BATCH
    dense = np.round(rng.normal(0.5, 1, (n, len(NUMERIC))) * 16) / 16
    z = dense @ rng.normal(0, 0.6, len(NUMERIC)) - 1
    ids = {}
    for name, v in VOCAB.items():
        p = 1 / np.arange(1, v)
        ids[name] = rng.choice(np.r_[1 + rng.permutation(v - 1)], n, p=p / p.sum())
        ids[name][rng.random(n) < 0.02] = 0
        z += rng.normal(0, 0.7, v)[ids[name]]
    label = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return ids, dense, label


def init(rng, case):
    """Initial parameters by name."""
    p = {}

    def normal(name, std, *shape, mean=0.0):
        p[name] = rng.normal(mean, std, shape)

    def tables(prefix, dim):
        for f in FEATURES:
            name = f"{prefix}.{f}.weight"
            normal(name, 0.1, VOCAB.get(f, 1), dim)
            if f in VOCAB:
                p[name][0] = 0

    def linear(prefix, out, n):
        normal(prefix + ".weight", (2 / (out + n)) ** 0.5, out, n)
        normal(prefix + ".bias", 0.05, out)

    tables("embedding", DIM)
    if case["model"] == "deepfm":
        tables("linear", 1)
        normal("linear.bias", 0.05, 1)
    for i in range(CROSS if case["model"] != "deepfm" else 0):
        if case["model"] == "dcn":
            normal(f"cross.{i}.weight", (2 / (1 + WIDTH)) ** 0.5, 1, WIDTH)
            normal(f"cross.{i}.bias", 0.05, WIDTH)
        else:
            linear(f"cross.{i}", WIDTH, WIDTH)
    n = WIDTH
    for i, h in enumerate(HIDDEN):
        linear(f"mlp.{i}", h, n)
        if case.get("batch_norm"):
            normal(f"mlp.{i}.bn.weight", 0.1, h, mean=1)
            normal(f"mlp.{i}.bn.bias", 0.1, h)
            p[f"mlp.{i}.bn.running_mean"], p[f"mlp.{i}.bn.running_var"] = np.zeros(h), np.ones(h)
        n = h
    if case["model"] == "deepfm":
        linear(f"mlp.{len(HIDDEN)}", 1, n)
    else:
        linear("fc", 1, n + (0 if case.get("model_structure") == "stacked" else WIDTH))
    return p


def embed(p, prefix, ids, dense, sparse):
    """[B, F, dim]"""
    out = [dense[:, i : i + 1] * p[f"{prefix}.{f}.weight"] for i, f in enumerate(NUMERIC)]
    out += [F.embedding(ids[f], p[f"{prefix}.{f}.weight"], padding_idx=0, sparse=sparse) for f in VOCAB]
    return torch.stack(out, 1)


def mlp(p, x, case, train):
    for i in range(len(HIDDEN)):
        x = F.linear(x, p[f"mlp.{i}.weight"], p[f"mlp.{i}.bias"])
        if case.get("batch_norm"):
            bn = [p[f"mlp.{i}.bn.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
            x = F.batch_norm(x, *bn, training=train, momentum=0.1, eps=1e-5)
        x = F.relu(x)
    return x


def logits(p, case, ids, dense, train):
    sparse = case["embeddings"] == "lazy"
    e = embed(p, "embedding", ids, dense, sparse)
    x0 = x = e.flatten(1)
    if case["model"] == "deepfm":
        y = embed(p, "linear", ids, dense, sparse).sum(1) + p["linear.bias"]
        y = y + 0.5 * (e.sum(1).pow(2) - e.pow(2).sum(1)).sum(1, keepdim=True)
        return (y + F.linear(mlp(p, x, case, train), p["mlp.2.weight"], p["mlp.2.bias"])).squeeze(1)
    for i in range(CROSS):
        w, b = p[f"cross.{i}.weight"], p[f"cross.{i}.bias"]
        x = x + x0 * F.linear(x, w) + b if case["model"] == "dcn" else x + x0 * F.linear(x, w, b)
    if case.get("model_structure") == "stacked":
        x = mlp(p, x, case, train)
    else:
        x = torch.cat([x, mlp(p, x0, case, train)], 1)
    return F.linear(x, p["fc.weight"], p["fc.bias"]).squeeze(1)


def train(case, start, data, dtype):
    """Losses of the steps, final logits, final parameters."""
    ids, dense, label = data
    ids = {k: torch.tensor(v) for k, v in ids.items()}
    dense, label = torch.tensor(dense, dtype=dtype), torch.tensor(label, dtype=dtype)
    p = {k: torch.tensor(v, dtype=dtype).requires_grad_("running" not in k) for k, v in start.items()}
    tables = {k for k in p if k.split(".")[0] in ("embedding", "linear") and k.endswith(".weight")}
    sparse = {k for k in tables if k.split(".")[1] in VOCAB} if case["embeddings"] == "lazy" else set()
    opts = [torch.optim.Adam([v for k, v in p.items() if v.requires_grad and k not in sparse], lr=LR)]
    if sparse:
        opts.append(torch.optim.SparseAdam([p[k] for k in p if k in sparse], lr=LR))
    losses = []
    for s in range(STEPS):
        b = slice(s * BATCH, (s + 1) * BATCH)
        z = logits(p, case, {k: v[b] for k, v in ids.items()}, dense[b], True)
        loss = F.binary_cross_entropy_with_logits(z, label[b])
        losses.append(float(loss.detach()))
        if case["embedding_regularizer"]:
            loss = loss + case["embedding_regularizer"] / 2 * sum(p[k].pow(2).sum() for k in tables)
        for o in opts:
            o.zero_grad(set_to_none=True)
        loss.backward()
        for o in opts:
            o.step()
    for k in tables:
        if k.split(".")[1] in VOCAB:
            assert not p[k][0].any(), k
    with torch.no_grad():
        z = logits(p, case, {k: v[:BATCH] for k, v in ids.items()}, dense[:BATCH], False)
    return losses, z.tolist(), p


def short(x):
    """Nine significant digits: every float32 survives."""
    return [float(f"{v:.9g}") for v in np.asarray(x, np.float64).ravel()]


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for i, (name, case) in enumerate(CASES.items()):
        case.setdefault("embedding_regularizer", 1e-3 if case["embeddings"] == "dense" else 0)
        rng = np.random.default_rng(i)
        data = batches(rng)
        start = {k: v.astype(np.float32) for k, v in init(rng, case).items()}
        losses, z, p = train(case, start, data, torch.float32)
        exact, _, _ = train(case, start, data, torch.float64)
        drift = max(abs(a - b) / b for a, b in zip(losses, exact))
        print(f"{name}: loss {losses[0]:.4f} -> {np.mean(losses[-5:]):.4f}; float32 and float64 differ by {drift:.1e}")
        ids, dense, label = data
        noise = [f"mlp.{i}.{k}" for i in range(len(HIDDEN)) for k in ("bias", "bn.running_mean")] if case.get("batch_norm") else []
        out = {
            "model": case["model"],
            "options": {"embedding_dim": DIM, "hidden_units": HIDDEN, "batch_norm": case.get("batch_norm", False)}
            | ({"num_cross_layers": CROSS} if case["model"] != "deepfm" else {})
            | ({"model_structure": case.get("model_structure", "parallel")} if case["model"] == "dcnv2" else {}),
            "train": {"batch_size": BATCH, "steps": STEPS, "optimizer": "adam", "learning_rate": LR,
                      "embeddings": case["embeddings"], "embedding_regularizer": case["embedding_regularizer"], "max_grad_norm": 0},
            "features": [{"name": f, "vocab": VOCAB.get(f, 0)} for f in FEATURES],
            "init": {k: {"shape": list(v.shape), "data": short(v)} for k, v in start.items()},
            "ids": {k: v.tolist() for k, v in ids.items()},
            "dense": short(dense),
            "label": label.tolist(),
            "losses": short(losses),
            "final_logits": [] if noise else short(z),
            "final_norms": {k: short(v.detach().norm())[0] for k, v in p.items() if k not in noise},
        }
        with open(name + ".json", "w") as f:
            text = json.dumps(out, separators=(",", ":"))
            f.write(text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n")


main()
