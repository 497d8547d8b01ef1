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
vectors included, biases not). lazy: torch.optim.SparseAdam on the tables of categorical features, Adam on the rest, no L2. L1 adds
embedding_l1 * |E| over the rows of the batch, numeric vectors included, and net_l1 * |w| over all other weights, biases too.

Widths: C1 has embeddings of 6 numbers; those of C2 have 5, which a linear map takes to DIM; the three numbers are one vector I, which a linear
map takes to DIM, too. Columns of DIM come first, then C1, then I and C2.

Experts of DCN-V2 are those of equations 3 to 5 of the paper, with tanh and one softmax gate for all layers. PReLU has a slope for
each column, Dice is FuxiCTR's: batch norm without weights, a momentum of 0.01 and an eps of 1e-9 below a sigmoid.
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
    "dcnv2_experts": dict(model="dcnv2", embeddings="lazy", num_experts=2, low_rank=3),
    "dcnv2_stacked_parallel": dict(model="dcnv2", embeddings="dense", model_structure="stacked_parallel", parallel_hidden_units=[7, 5]),
    "mlp_activations": dict(model="mlp", embeddings="dense", hidden_activations=["prelu", "dice"]),
    "deepfm_l1": dict(model="deepfm", embeddings="lazy", embedding_l1=2e-3, net_l1=1e-3),
    "mlp_widths": dict(model="mlp", embeddings="lazy", widths=True),
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
    if case.get("widths"):
        for f in NUMERIC:
            del p[f"embedding.{f}.weight"]
        for f, d in (("C1", 6), ("C2", 5)):
            normal(f"embedding.{f}.weight", 0.1, VOCAB[f], d)
            p[f"embedding.{f}.weight"][0] = 0
        normal("embedding.C2.project.weight", 0.5, DIM, 5)
        normal("embedding.I.project.weight", 0.5, DIM, 3)
    if case["model"] == "deepfm":
        tables("linear", 1)
        normal("linear.bias", 0.05, 1)
    if case.get("num_experts"):
        normal("cross.gate.weight", (2 / (case["num_experts"] + WIDTH)) ** 0.5, case["num_experts"], WIDTH)
    for i in range(CROSS if case["model"].startswith("dcn") else 0):
        if case.get("num_experts"):
            n, r = case["num_experts"], case["low_rank"]
            for e in range(n):
                normal(f"cross.{i}.{e}.v.weight", (2 / (r + WIDTH)) ** 0.5, r, WIDTH)
                normal(f"cross.{i}.{e}.c.weight", (1 / r) ** 0.5, r, r)
            normal(f"cross.{i}.u", (2 / (WIDTH + n * r)) ** 0.5, WIDTH, n * r)
            normal(f"cross.{i}.bias", 0.05, WIDTH)
        elif case["model"] == "dcn":
            normal(f"cross.{i}.weight", (2 / (1 + WIDTH)) ** 0.5, 1, WIDTH)
            normal(f"cross.{i}.bias", 0.05, WIDTH)
        else:
            linear(f"cross.{i}", WIDTH, WIDTH)
    n = WIDTH if not case.get("widths") else 4 * DIM + 6 + 2 * DIM
    if case.get("model_structure") == "stacked_parallel":
        for i, h in enumerate(HIDDEN):
            linear(f"stacked.{i}", h, n)
            n = h
        n = WIDTH
    for i, h in enumerate(case.get("parallel_hidden_units", HIDDEN)):
        linear(f"mlp.{i}", h, n)
        act = case.get("hidden_activations", ["relu"] * 9)[i]
        if act in ("prelu", "dice"):
            normal(f"mlp.{i}.{act}.alpha", 0.1, h)
        if act == "dice":
            p[f"mlp.{i}.dice.running_mean"], p[f"mlp.{i}.dice.running_var"] = np.zeros(h), np.ones(h)
        if case.get("batch_norm"):
            normal(f"mlp.{i}.bn.weight", 0.1, h, mean=1)
            normal(f"mlp.{i}.bn.bias", 0.1, h)
            p[f"mlp.{i}.bn.running_mean"], p[f"mlp.{i}.bn.running_var"] = np.zeros(h), np.ones(h)
        n = h
    if case["model"] in ("deepfm", "mlp"):
        linear(f"mlp.{len(HIDDEN)}", 1, n)
    else:
        linear("fc", 1, n + (HIDDEN[-1] if case.get("model_structure") == "stacked_parallel" else 0 if case.get("model_structure") == "stacked" else WIDTH))
    return p


def embed(p, prefix, ids, dense, sparse):
    """[B, F, dim]"""
    out = [dense[:, i : i + 1] * p[f"{prefix}.{f}.weight"] for i, f in enumerate(NUMERIC)]
    out += [F.embedding(ids[f], p[f"{prefix}.{f}.weight"], padding_idx=0, sparse=sparse) for f in VOCAB]
    return torch.stack(out, 1)


def mlp(p, x, case, train, name="mlp"):
    for i in range(len(HIDDEN)):
        x = F.linear(x, p[f"{name}.{i}.weight"], p[f"{name}.{i}.bias"])
        act = case.get("hidden_activations", ["relu"] * 9)[i]
        if act == "prelu":
            x = F.prelu(x, p[f"mlp.{i}.prelu.alpha"])
            continue
        if act == "dice":
            stats = [p[f"mlp.{i}.dice.{k}"] for k in ("running_mean", "running_var")]
            gate = torch.sigmoid(F.batch_norm(x, *stats, training=train, momentum=0.01, eps=1e-9))
            x = gate * x + (1 - gate) * p[f"mlp.{i}.dice.alpha"] * x
            continue
        if case.get("batch_norm"):
            bn = [p[f"mlp.{i}.bn.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
            x = F.batch_norm(x, *bn, training=train, momentum=0.1, eps=1e-5)
        x = F.relu(x)
    return x


def logits(p, case, ids, dense, train):
    sparse = case["embeddings"] == "lazy"
    if case.get("widths"):
        look = {f: F.embedding(ids[f], p[f"embedding.{f}.weight"], padding_idx=0, sparse=sparse) for f in VOCAB}
        mapped = [dense @ p["embedding.I.project.weight"].T, look["C2"] @ p["embedding.C2.project.weight"].T]
        e = torch.cat([look[f] for f in ("C3", "C4", "C5", "C6", "C1")] + mapped, 1)
    else:
        e = embed(p, "embedding", ids, dense, sparse)
    x0 = x = e.flatten(1)
    if case["model"] == "deepfm":
        y = embed(p, "linear", ids, dense, sparse).sum(1) + p["linear.bias"]
        y = y + 0.5 * (e.sum(1).pow(2) - e.pow(2).sum(1)).sum(1, keepdim=True)
        return (y + F.linear(mlp(p, x, case, train), p["mlp.2.weight"], p["mlp.2.bias"])).squeeze(1)
    if case["model"] == "mlp":
        return F.linear(mlp(p, x, case, train), p["mlp.2.weight"], p["mlp.2.bias"]).squeeze(1)
    for i in range(CROSS):
        if case.get("num_experts"):
            gates, total = torch.softmax(x @ p["cross.gate.weight"].T, 1), 0
            for e, u in enumerate(p[f"cross.{i}.u"].split(case["low_rank"], 1)):
                h = torch.tanh(torch.tanh(x @ p[f"cross.{i}.{e}.v.weight"].T) @ p[f"cross.{i}.{e}.c.weight"].T)
                total = total + gates[:, e : e + 1] * x0 * (h @ u.T + p[f"cross.{i}.bias"])
            x = total + x
            continue
        w, b = p[f"cross.{i}.weight"], p[f"cross.{i}.bias"]
        x = x + x0 * F.linear(x, w) + b if case["model"] == "dcn" else x + x0 * F.linear(x, w, b)
    if case.get("model_structure") == "stacked":
        x = mlp(p, x, case, train)
    elif case.get("model_structure") == "stacked_parallel":
        x = torch.cat([mlp(p, x, case, train, "stacked"), mlp(p, x0, case, train)], 1)
    else:
        x = torch.cat([x, mlp(p, x0, case, train)], 1)
    return F.linear(x, p["fc.weight"], p["fc.bias"]).squeeze(1)


def train(case, start, data, dtype):
    """Losses of the steps, final logits, final parameters."""
    ids, dense, label = data
    ids = {k: torch.tensor(v) for k, v in ids.items()}
    dense, label = torch.tensor(dense, dtype=dtype), torch.tensor(label, dtype=dtype)
    p = {k: torch.tensor(v, dtype=dtype).requires_grad_("running" not in k) for k, v in start.items()}
    tables = {k for k in p if k.split(".")[0] in ("embedding", "linear") and k.endswith(".weight") and "project" not in k}
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
        if case.get("net_l1"):
            loss = loss + case["net_l1"] * sum(v.abs().sum() for k, v in p.items() if v.requires_grad and k not in tables)
            for k in tables:
                w = p[k]
                if k in sparse:
                    live = torch.unique(ids[k.split(".")[1]][b])
                    w = F.embedding(live[live > 0], w, sparse=True)
                loss = loss + case["embedding_l1"] * w.abs().sum()
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
            | ({"num_cross_layers": CROSS} if case["model"].startswith("dcn") else {})
            | {k: case[k] for k in ("num_experts", "low_rank", "parallel_hidden_units", "hidden_activations") if k in case}
            | ({"model_structure": case.get("model_structure", "parallel")} if case["model"] == "dcnv2" else {}),
            "train": {"batch_size": BATCH, "steps": STEPS, "optimizer": "adam", "learning_rate": LR,
                      "embeddings": case["embeddings"], "embedding_regularizer": case["embedding_regularizer"], "max_grad_norm": 0}
            | {k: case[k] for k in ("embedding_l1", "net_l1") if k in case},
            "features": [{"name": f, "vocab": VOCAB.get(f, 0)} for f in FEATURES] if not case.get("widths") else
            [{"name": "I", "vocab": 0, "count": 3, "project": True}]
            + [{"name": f, "vocab": v} | {"C1": {"dim": 6}, "C2": {"dim": 5, "project": True}}.get(f, {}) for f, v in VOCAB.items()],
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
