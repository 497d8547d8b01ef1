"""The PyTorch side of models of histories: the same samples, models and sizes as Splice's configs, written from their definitions.

Usage: python scripts/bench/histories_torch.py train MODEL FILE [seed=1] [epochs=30] [patience=5] [max_len=10] [init=FILE]
       python scripts/bench/histories_torch.py step MODEL FILE [mode=eager] [measure=step] [steps=40] [max_len=...] [batch=...]

train: fits MODEL (din, gru4rec, sasrec, duet_din, duet_gru4rec, duet_sasrec) on MovieLens-100k's u.data as configs/ml100k_MODEL.yaml does
and prints the metrics of the test rows, of the epoch that is best on validation. Negatives and the order of rows are those that Splice
draws from the same seed, number for number; initial weights have the same distributions. With init, the model.safetensors of a run, they are
that run's: those that a training starts from are written by train.max_steps=1, train.learning_rate=1e-12 and train.keep=last.
step: times steps in turns with another program's, as models_torch.py does and in its modes. MODEL is one of the above, or next_full (SASRec
with the cross-entropy over all items, configs/beauty_sasrec.yaml, FILE of user and item a line) or next_sampled (256 items drawn for each position
and items' vectors dropped, configs/beauty_core_sasrec.yaml, FILE of user, item, item, ... a line). Batches and negatives are made before
the clock starts; batches are padded to their longest history, rounded up to a half of the longest, a quarter and so on. With measure=epoch, a turn is
an epoch of din, gru4rec or sasrec over rows with their negatives in memory, shuffled and cut into batches by a DataLoader.
Environment: THREADS (2). Needs torch and numpy.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from modes_torch import Rows, epochs, serve

U64 = np.uint64
GOLDEN = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1
torch.set_num_threads(int(os.environ.get("THREADS", "2")))


# The random streams of data/rng, over arrays.

def mix(x):
    x = np.asarray(x, U64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> U64(30))) * U64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> U64(27))) * U64(0x94D049BB133111EB)
        return x ^ (x >> U64(31))


def xxh64(text):
    """XXH64 with seed 0 of a text below 32 bytes."""
    p1, p2, p3, p4, p5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
    rot = lambda v, r: ((v << r) | (v >> (64 - r))) & MASK64
    b = text.encode()
    assert len(b) < 32
    h, i = (p5 + len(b)) & MASK64, 0
    while i + 8 <= len(b):
        h ^= rot(int.from_bytes(b[i:i + 8], "little") * p2 & MASK64, 31) * p1 & MASK64
        h, i = (rot(h, 27) * p1 + p4) & MASK64, i + 8
    if i + 4 <= len(b):
        h ^= int.from_bytes(b[i:i + 4], "little") * p1 & MASK64
        h, i = (rot(h, 23) * p2 + p3) & MASK64, i + 4
    for c in b[i:]:
        h = rot(h ^ (c * p5 & MASK64), 11) * p1 & MASK64
    h = (h ^ (h >> 33)) * p2 & MASK64
    h = (h ^ (h >> 29)) * p3 & MASK64
    return h ^ (h >> 32)


def key(seed, *parts):
    with np.errstate(over="ignore"):
        g = U64(GOLDEN)
        k = mix(np.asarray(seed, U64) + g)
        for p in parts:
            k = mix(k + g) ^ U64(xxh64(p)) if isinstance(p, str) else mix(mix(k + g) + np.asarray(p).astype(U64)) + g
            k = mix(k)
        return k


def uniform(k, i):
    with np.errstate(over="ignore"):
        return (mix(k + np.asarray(i, U64) * U64(GOLDEN) + U64(GOLDEN)) >> U64(11)).astype(np.float64) / 2.0 ** 53


def permutation(n, k):
    bits = (n - 1).bit_length()
    half = max(1, (bits + 1) // 2)
    mask, keys = U64((1 << half) - 1), [key(k, "round", i) for i in range(6)]
    out = np.arange(n, dtype=U64)
    todo = np.arange(n)
    while len(todo):
        l, r = out[todo] >> U64(half), out[todo] & mask
        for q in keys:
            l, r = r, l ^ (mix(r ^ q) & mask)
        out[todo] = (l << U64(half)) | r
        todo = todo[out[todo] >= U64(n)]
    return out.astype(np.int64)


# The log and its rows.

class Log:
    """Actions by user, the oldest first. Ids of items start at 2, the most frequent first; 0 is padding, 1 unknown."""
    def __init__(self, triples):
        users, start, names = {}, [], {}
        for u, i, t in triples:
            users.setdefault(u, []).append((t, len(start), i))
            start.append(0)
            names[i] = names.get(i, 0) + 1
        order = sorted(names, key=lambda n: (-names[n], n.encode()))
        self.id = {n: k + 2 for k, n in enumerate(order)}
        self.vocab = len(order) + 2
        self.items = [np.array([self.id[i] for _, _, i in sorted(a, key=lambda x: x[:2])]) for a in users.values()]


def read(path):
    def rows():
        with open(path) as f:
            for line in f:
                p = line.split()
                if len(p) == 4:
                    yield p[0], p[1], int(p[3])
                else:
                    for i in p[1:]:
                        yield p[0], i, 0
    return Log(rows())


class Candidates:
    """Rows of an item and the history before it, leave-one-out."""
    def __init__(self, log, max_len, part, negatives):
        self.log, self.negatives, self.max_len = log, negatives, max_len
        user, at = [], []
        for u, a in enumerate(log.items):
            if len(a) < 3:
                where = range(1, len(a)) if part == "train" else ()
            else:
                where = {"train": range(1, len(a) - 2), "valid": [len(a) - 2], "test": [len(a) - 1]}[part]
            user += [u] * len(where)
            at += where
        self.user, self.at = np.array(user), np.array(at)
        self.hist = np.zeros((len(user), max_len), np.int64)
        for r, (u, i) in enumerate(zip(user, at)):
            h = log.items[u][max(0, i - max_len):i]
            self.hist[r, :len(h)] = h
        self.target = np.array([log.items[u][i] for u, i in zip(user, at)])
        self.own = np.zeros((len(log.items), log.vocab), bool)
        for u, a in enumerate(log.items):
            self.own[u, a] = True

    def draw(self, k):
        """Items of each action: the positive, then the negatives, distinct and never the user's own."""
        n, V = len(self.user), self.log.vocab
        out = np.zeros((n, 1 + self.negatives), np.int64)
        out[:, 0] = self.target
        for slot in range(self.negatives):
            stream = key(k, np.arange(n), slot)
            todo, attempt = np.arange(n), 0
            while len(todo):
                c = 2 + (uniform(stream[todo], attempt) * (V - 2)).astype(np.int64)
                bad = self.own[self.user[todo], c] | (out[todo, 1:slot + 1] == c[:, None]).any(1)
                out[todo[~bad], slot + 1] = c[~bad]
                todo, attempt = todo[bad], attempt + 1
        return out

    def epoch(self, seed, epoch):
        """Item, history and label of each row, in the epoch's order."""
        items = self.draw(key(seed, "negatives", epoch))
        per = items.shape[1]
        at = permutation(items.size, key(seed, "shuffle", epoch))
        return items.reshape(-1)[at], self.hist[at // per], (at % per == 0).astype(np.float32)


# Models.

def linear(i, o, bias=True):
    m = nn.Linear(i, o, bias)
    nn.init.xavier_normal_(m.weight)
    if bias:
        nn.init.zeros_(m.bias)
    return m


def last(x, n):
    return x[torch.arange(len(x), device=x.device), n - 1]


class Blocks(nn.Module):
    def __init__(self, d, most, blocks, heads, dropout):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(most, d) * .02)
        self.blocks = nn.ModuleList(nn.ModuleDict({
            "norm1": nn.LayerNorm(d, 1e-8), "qkv": linear(d, 3 * d), "out": linear(d, d), "norm2": nn.LayerNorm(d, 1e-8), "in": linear(d, d),
            "back": linear(d, d)}) for _ in range(blocks))
        self.norm, self.heads, self.p = nn.LayerNorm(d, 1e-8), heads, dropout

    def forward(self, x):
        drop = lambda y: F.dropout(y, self.p, self.training)
        B, L, D = x.shape
        x = drop(x + self.pos[:L])
        for b in self.blocks:
            q, k, v = b["qkv"](b["norm1"](x)).view(B, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.p if self.training else 0.)
            x = x + drop(b["out"](z.transpose(1, 2).reshape(B, L, D)))
            x = x + drop(b["back"](drop(F.relu(b["in"](b["norm2"](x))))))
        return self.norm(x)


class Scorer(nn.Module):
    """din, gru4rec and sasrec, and duet_ of each: the classifier's weights are made of the clicks."""
    def __init__(self, kind, vocab, max_len, d=32, hidden=(128, 64), made=32):
        super().__init__()
        self.d, self.item_first = d, kind.endswith("din")
        self.dynamic, self.kind = kind.startswith("duet_"), kind.removeprefix("duet_")
        self.emb = nn.Embedding(vocab, d, padding_idx=0)
        nn.init.normal_(self.emb.weight, 0, .02)
        with torch.no_grad():
            self.emb.weight[0] = 0
        self.target, self.sequence = linear(d, d), linear(d, d)
        if self.kind == "din":
            self.q, self.k, self.v = (linear(d, d, False) for _ in range(3))
        elif self.kind == "gru4rec":
            self.gru = nn.GRU(d, d, batch_first=True)
        else:
            self.blocks = Blocks(d, max_len, 1, 1, 0.)
        w = [2 * d, *hidden, 1]
        if self.dynamic:
            self.clicks = nn.GRU(d, made, batch_first=True)
            self.hid = nn.ModuleList(linear(made, made) for _ in w[1:])
            self.w = nn.ModuleList(linear(made, i * o) for i, o in zip(w, w[1:]))
            self.b = nn.ModuleList(linear(made, o) for o in w[1:])
        else:
            self.layers = nn.ModuleList(linear(i, o) for i, o in zip(w, w[1:]))

    def forward(self, item, hist):
        n = hist.ne(0).sum(1).clamp(min=1)
        e = self.emb(hist)
        t, s = torch.tanh(self.target(self.emb(item))), torch.tanh(self.sequence(e))
        if self.kind == "din":
            mask = torch.arange(hist.shape[1], device=hist.device)[None] < n[:, None]
            z = torch.einsum("bd,bld->bl", self.q(t), self.k(s)) / math.sqrt(t.shape[1])
            x = torch.einsum("bl,bld->bd", z.masked_fill(~mask, -math.inf).softmax(1), self.v(s))
        elif self.kind == "gru4rec":
            x = last(self.gru(s)[0], n)
        else:
            x = last(self.blocks(s), n)
        x = torch.cat([x, t], 1)
        if not self.dynamic:
            for i, f in enumerate(self.layers):
                x = f(x) if i == len(self.layers) - 1 else torch.tanh(f(x))
            return x[:, 0]
        user = last(self.clicks(e)[0], n)
        for i, (h, w, b) in enumerate(zip(self.hid, self.w, self.b)):
            g = F.relu(h(user))
            x = torch.bmm(w(g).view(len(x), -1, x.shape[1]), x[:, :, None])[:, :, 0] + b(g)
            x = x if i == len(self.w) - 1 else torch.tanh(x)
        return x[:, 0]


class Next(nn.Module):
    """SASRec that predicts the next item at each live position, over all items or some that are drawn."""
    def __init__(self, vocab, max_len, blocks, drawn, d=64):
        super().__init__()
        self.emb, self.drawn = nn.Embedding(vocab, d, padding_idx=0), drawn
        nn.init.normal_(self.emb.weight, 0, .02)
        self.blocks, self.d = Blocks(d, max_len, blocks, 1, .2), d

    def forward(self, hist, live, follow, draw):
        if not self.drawn:
            x = self.blocks(self.emb(hist) * math.sqrt(self.d)).flatten(0, 1)[live]
            return F.cross_entropy(x @ self.emb.weight[2:].T, follow - 2)
        items = F.dropout(self.emb.weight, .2)
        x = self.blocks(F.embedding(hist, items)).flatten(0, 1)[live]
        pos = (x * F.embedding(follow, items)).sum(1, keepdim=True)
        neg = torch.bmm(F.embedding(draw, items), x[:, :, None])[:, :, 0].masked_fill(draw == follow[:, None], -math.inf)
        return F.cross_entropy(torch.cat([pos, neg], 1), torch.zeros(len(x), dtype=torch.long))


# Training in the protocol of one positive and 99 negatives.

def ranks(score):
    """The place of the first column among all, the mean over ties."""
    return (score[:, 1:] > score[:, :1]).sum(1) + .5 * (score[:, 1:] == score[:, :1]).sum(1)


def auc(score, label):
    order = np.argsort(score, kind="stable")
    s, y = score[order], label[order]
    _, inv, n = np.unique(s, return_inverse=True, return_counts=True)
    rank = (np.cumsum(n) - (n - 1) / 2)[inv]
    p = y.sum()
    return (rank[y == 1].sum() - p * (p + 1) / 2) / (p * (len(y) - p))


def evaluate(model, rows, items, batch=8192):
    model.eval()
    flat, hist = items.reshape(-1), np.repeat(rows.hist, items.shape[1], 0)
    with torch.no_grad():
        score = np.concatenate([model(torch.from_numpy(flat[i:i + batch]), torch.from_numpy(hist[i:i + batch])).double().numpy()
                                for i in range(0, len(flat), batch)])
    model.train()
    label = np.tile(np.eye(1, items.shape[1])[0], len(items))
    z = score.reshape(items.shape)
    r = ranks(z)
    out = {"auc": auc(score, label), "user_auc": float((1 - r / (items.shape[1] - 1)).mean()),
           "logloss": float(np.mean(np.logaddexp(0, score) - label * score))}
    for k in (5, 10):
        out[f"ndcg@{k}"] = float(np.where(r < k, 1 / np.log2(r + 2), 0).mean())
        out[f"hr@{k}"] = float((r < k).mean())
    return out


def tensors(path):
    """The tensors of a safetensors file of fp32."""
    with open(path, "rb") as f:
        head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    return {k: torch.from_numpy(np.frombuffer(data[slice(*v["data_offsets"])], np.float32).reshape(v["shape"]).copy())
            for k, v in head.items() if k != "__metadata__"}


def load(model, path):
    """Gives a Scorer the weights of a run. The classifiers of din and duet_din have the item before the history there."""
    ours = tensors(path)
    parts = {"emb": "embedding.item", "q": "attention.query", "k": "attention.key", "v": "attention.value", "layers": "classifier", "clicks": "generator.gru",
             "blocks.pos": "position.weight", "blocks.norm": "norm", "blocks.blocks": "blocks", "hid": "generator.{}.hidden", "w": "generator.{}.weight", "b": "generator.{}.bias"}
    state = model.state_dict()
    for name in state:
        at = next((p for p in sorted(parts, key=len, reverse=True) if name == p or name.startswith(p + ".")), None)
        tail = name if at is None else name[len(at) + 1:]
        if at in ("hid", "w", "b"):
            layer, tail = tail.split(".", 1)
            mine = parts[at].format(layer) + "." + tail
        else:
            mine = ".".join(x for x in (parts.get(at, ""), tail) if x).replace("_l0", "")
        for a, b in ((".out.", ".attention.out."), (".in.", ".linear1."), (".back.", ".linear2.")):
            mine = mine.replace(a, b)
        if ".qkv." in mine:
            x = torch.cat([ours[mine.replace(".qkv.", f".attention.{p}.")] for p in ("query", "key", "value")])
        else:
            x = ours[mine]
        if model.item_first and (name == "layers.0.weight" or name.startswith("w.0.")):
            rows = x.view(-1, *([2 * model.d] if name == "layers.0.weight" else [2 * model.d, *x.shape[1:]]))
            x = torch.cat([rows[:, model.d:], rows[:, :model.d]], 1).reshape(x.shape)
        state[name] = x
    model.load_state_dict(state)


def fit(kind, path, seed, epochs, patience, max_len, init):
    torch.manual_seed(seed)
    log = read(path)
    train, valid, test = (Candidates(log, max_len, p, n) for p, n in (("train", 4), ("valid", 99), ("test", 99)))
    valid_items, test_items = (r.draw(key(0, "negatives", p)) for r, p in ((valid, "valid"), (test, "test")))
    model = Scorer(kind, log.vocab, max_len)
    if init:
        load(model, init)
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    best, since, state = -1., 0, None
    for epoch in range(epochs):
        start = time.time()
        item, hist, label = (torch.from_numpy(x) for x in train.epoch(seed, epoch))
        total = 0.
        for i in range(0, len(item), 1024):
            opt.zero_grad(set_to_none=True)
            loss = F.binary_cross_entropy_with_logits(model(item[i:i + 1024], hist[i:i + 1024]), label[i:i + 1024])
            loss.backward()
            opt.step()
            total += loss.item() * len(label[i:i + 1024])
        m = evaluate(model, valid, valid_items)
        print(f"epoch {epoch + 1}: mean loss {total / len(item):.5f}, valid auc {m['auc']:.5f}, {time.time() - start:.1f} s", file=sys.stderr, flush=True)
        if m["auc"] > best:
            best, since, state = m["auc"], 0, {k: v.clone() for k, v in model.state_dict().items()}
            at = epoch + 1
        else:
            since += 1
            if since >= patience:
                break
    model.load_state_dict(state)
    print(json.dumps({"model": kind, "seed": seed, "epoch": at, "valid_auc": best, **evaluate(model, test, test_items)}))


# Steps.

def rounded(n, most):
    """A length that batches of histories of at most n are padded to: most, halved as often as n allows."""
    while (most + 1) // 2 >= n:
        most = (most + 1) // 2
    return most


def next_batches(log, max_len, batch, drawn, n):
    users = [a[:-2] if len(a) >= 3 else a for a in log.items]
    users = [a for a in users if len(a) >= 2]
    order, out = np.random.default_rng(0).permutation(len(users)), []
    for lo in range(0, len(users) - batch + 1, batch)[:n]:
        rows = [users[i] for i in order[lo:lo + batch]]
        L = rounded(max(min(len(a) - 1, max_len) for a in rows), max_len)
        h, f = np.zeros((batch, L), np.int64), np.zeros((batch, L), np.int64)
        for r, a in enumerate(rows):
            a = a[-max_len - 1:]
            h[r, :len(a) - 1], f[r, :len(a) - 1] = a[:-1], a[1:]
        live = np.flatnonzero(h.reshape(-1))
        draw = np.random.default_rng(lo).integers(2, log.vocab, (len(live), max(1, drawn)))
        out.append([torch.from_numpy(x) for x in (h, live, f.reshape(-1)[live], draw)])
    return out


def trimmed(max_len):
    """Cuts the histories of a batch to their longest, rounded up."""
    return lambda item, hist, label: (item, hist[:, :rounded(int((hist != 0).sum(1).max()), max_len)].contiguous(), label)


def step(kind, path, mode, measure, steps, max_len, batch):
    if measure not in ("step", "epoch") or measure == "epoch" and kind.startswith("next_"):
        sys.exit(f"measure={measure}: want step, or of din, gru4rec and sasrec epoch")
    torch.manual_seed(0)
    log = read(path)
    if kind.startswith("next_"):
        full = kind == "next_full"
        batches = next_batches(log, max_len, batch, 0 if full else 256, steps)
        model = Next(log.vocab, max_len, 2 if full else 1, 0 if full else 256)
        loss = model
    else:
        rows = Candidates(log, max_len, "train", 4)
        item, hist, label = rows.epoch(1, 0)
        data = Rows(*(torch.from_numpy(x) for x in (item, hist, label)), prepare=trimmed(max_len))
        batches = []
        for i in range(0, len(item) - batch + 1, batch)[:steps]:
            L = rounded(int((hist[i:i + batch] != 0).sum(1).max()), max_len)
            batches.append([torch.from_numpy(np.ascontiguousarray(x)) for x in (item[i:i + batch], hist[i:i + batch, :L], label[i:i + batch])])
        model = Scorer(kind, log.vocab, max_len)
        loss = lambda i, h, y: F.binary_cross_entropy_with_logits(model(i, h), y)
    opt = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    if measure == "epoch":
        epochs(mode, data, batch, loss, [opt])
        return
    serve(mode, steps, batches, loss, [opt], dynamic=kind.startswith("next_"))


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("train", "step"):
        sys.exit(__doc__)
    what, kind, path = sys.argv[1:4]
    o = dict(a.split("=", 1) for a in sys.argv[4:])
    whole = kind.startswith("next_")
    if what == "train":
        fit(kind, path, int(o.pop("seed", 1)), int(o.pop("epochs", 30)), int(o.pop("patience", 5)), int(o.pop("max_len", 10)), o.pop("init", None))
    else:
        step(kind, path, o.pop("mode", "eager"), o.pop("measure", "step"), int(o.pop("steps", 40)), int(o.pop("max_len", 50 if whole else 10)),
             int(o.pop("batch", 128 if whole else 1024)))
    if o:
        sys.exit(f"unknown options {sorted(o)}")


main()
