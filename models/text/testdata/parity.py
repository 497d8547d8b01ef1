"""Writes parity.json: logits, losses and gradients of tiny models of transformers, in float64, over one batch.

    python parity.py > parity.json     # torch 2.15, transformers 5.23

Weights are no data: fill() makes them of a tensor's name, here and in parity_test.go. A gradient is its sum, its norm and
values of it spread evenly over it.
"""
import json
import sys
import zlib

import numpy as np
import torch
from transformers import (BertConfig, BertForMaskedLM, BertForSequenceClassification, RobertaConfig, RobertaForMaskedLM,
                          RobertaForSequenceClassification)

torch.set_default_dtype(torch.float64)
L, VOCAB, LENGTHS = 8, 100, [8, 5, 3]
SHARED = dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
              hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager")
BERT = BertConfig(max_position_embeddings=20, type_vocab_size=2, pad_token_id=0, **SHARED)
ROBERTA = RobertaConfig(max_position_embeddings=22, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **SHARED)


def fill(name, shape):
    """Uniform numbers, of a hash of the name and the place."""
    n = int(np.prod(shape))
    x = (zlib.crc32(name.encode()) + np.arange(n, dtype=np.uint64) * 2654435761) & 0xFFFFFFFF
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    u = (x ^ (x >> 16)) / 2.0**32 - 0.5
    if name.endswith(".bias"):
        u *= 0.4
    elif "norm" in name.lower():
        u = 1 + 0.4 * u
    else:
        u *= 0.5
    return torch.tensor(u.astype(np.float32).astype(np.float64).reshape(shape))


def batch(pad, segments):
    """Three rows, the first two of them pairs."""
    rng = np.random.RandomState(1)
    ids, seg = np.full((3, L), pad), np.zeros((3, L), dtype=int)
    for r, n in enumerate(LENGTHS):
        ids[r, :n] = rng.randint(5, VOCAB, n)
        if segments and r < 2:
            seg[r, n // 2:n] = 1
    return ids, seg


def gradient(g):
    g = g.detach().numpy().ravel()
    return {"sum": float(g.sum()), "norm": float(np.sqrt((g * g).sum())), "at": [float(v) for v in g[::max(1, len(g) // 16)]]}


def case(name, model, config, labels, problem=None, mean=False):
    config = type(config)(**{**config.to_dict(), "attn_implementation": "eager"})
    masked = isinstance(labels[0], list)
    if not masked:
        config.num_labels = 3 if problem is None else 1
        config.problem_type = problem or "single_label_classification"
    m = model(config).double().eval()
    with torch.no_grad():
        for n, p in m.named_parameters():
            p.copy_(fill(n, p.shape))
    ids, seg = batch(config.pad_token_id, config.type_vocab_size > 1)
    live = torch.tensor([[int(i < n) for i in range(L)] for n in LENGTHS])
    args = dict(input_ids=torch.tensor(ids), token_type_ids=torch.tensor(seg), attention_mask=live)
    if mean:
        h = m.bert(**args).last_hidden_state
        pooled = (h * live[:, :, None]).sum(1) / live.sum(1, keepdim=True)
        logits = m.classifier(torch.tanh(m.bert.pooler.dense(pooled)))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    else:
        target = torch.tensor(labels, dtype=torch.float64 if problem else torch.int64)
        out = m(**args, labels=target)
        logits, loss = out.logits, out.loss
        if masked:
            logits = logits[target >= 0]
    loss.backward()
    return {"name": name, "ids": ids.ravel().tolist(), "segments": seg.ravel().tolist(), "len": LENGTHS,
            "labels": np.ravel(labels).tolist(), "logits": logits.detach().numpy().ravel().tolist(), "loss": float(loss.detach()),
            "gradients": {n: gradient(p.grad) for n, p in m.named_parameters()}}


def other(config, **changes):
    return type(config)(**{**config.to_dict(), **changes})


MASKED = [[-100, -100, 17, -100, -100, 3, 88, -100], [-100, 9, -100, -100, -100, -100, -100, -100], [-100] * 8]
cases = [
    case("bert", BertForSequenceClassification, BERT, [2, 0, 1]),
    case("bert/gelu_new", BertForSequenceClassification, other(BERT, hidden_act="gelu_new"), [2, 0, 1]),
    case("bert/relu", BertForSequenceClassification, other(BERT, hidden_act="relu"), [2, 0, 1]),
    case("bert/mean", BertForSequenceClassification, BERT, [2, 0, 1], mean=True),
    case("bert/regression", BertForSequenceClassification, BERT, [0.5, -1.25, 3.0], problem="regression"),
    case("roberta", RobertaForSequenceClassification, ROBERTA, [2, 0, 1]),
    case("roberta/regression", RobertaForSequenceClassification, ROBERTA, [0.5, -1.25, 3.0], problem="regression"),
    case("bert_mlm", BertForMaskedLM, BERT, MASKED),
    case("roberta_mlm", RobertaForMaskedLM, other(ROBERTA, hidden_act="gelu_new"), MASKED),
]


def short(v):
    if isinstance(v, float):
        return float(f"{v:.9g}")
    if isinstance(v, dict):
        return {k: short(x) for k, x in v.items()}
    return [short(x) for x in v] if isinstance(v, list) else v


print("[")
print(",\n".join(json.dumps(short(c), separators=(",", ":")) for c in cases))
print("]")
